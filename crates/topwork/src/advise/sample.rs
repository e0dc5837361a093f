//! The rows that advice looks at: all of a small file, a sample of a large one.

use topwork_data::Stream;

/// Rows at most where there are few classes.
const ROWS: usize = 1_000;
/// Rows of each class, where there are as many and [`MOST_ROWS`] leaves room.
const ROWS_A_CLASS: usize = 8;
/// Rows at most in any case.
const MOST_ROWS: usize = 4_000;

/// The numbers of the rows, in ascending order: of each class its part, drawn with `seed`.
pub(crate) fn sample(labels: &[u32], classes: usize, seed: u64) -> Vec<usize> {
    let most = ROWS.max(ROWS_A_CLASS * classes).min(MOST_ROWS);
    if labels.len() <= most {
        return (0..labels.len()).collect();
    }
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(row, &label)| by_class[label as usize].push(row));
    let stream = Stream::named("advice", seed);
    let a_class = ROWS_A_CLASS.min(MOST_ROWS / classes.max(1)).max(1);
    let part = most as f64 / labels.len() as f64;
    let mut rows: Vec<usize> = Vec::with_capacity(most);
    for (class, mut own) in by_class.into_iter().enumerate() {
        stream.nth(class as u64).shuffle(&mut own);
        let share = ((part * own.len() as f64).round() as usize).max(a_class).min(own.len());
        rows.extend(own.into_iter().take(share));
    }
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_every_class_in_its_part() {
        let labels: Vec<u32> = (0..5_000).map(|row| u32::from(row % 10 == 0) + u32::from(row % 1000 == 0)).collect();
        let rows = sample(&labels, 3, 1);
        let count = |class: u32| rows.iter().filter(|&&row| labels[row] == class).count();
        assert!((995..=1_010).contains(&rows.len()), "{}", rows.len());
        assert_eq!(count(2), 5);
        assert!((95..=105).contains(&count(1)));
        assert!(rows.is_sorted_by(|a, b| a < b));
        assert_eq!(sample(&labels[..900], 3, 1).len(), 900);
    }

    #[test]
    fn many_classes_have_more_rows() {
        let labels: Vec<u32> = (0..10_000).map(|row| row % 400).collect();
        assert_eq!(sample(&labels, 400, 1).len(), 3_200);
        let labels: Vec<u32> = (0..20_000).map(|row| row % 1_000).collect();
        assert_eq!(sample(&labels, 1_000, 1).len(), 4_000);
    }
}
