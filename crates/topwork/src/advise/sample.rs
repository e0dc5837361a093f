//! The rows that advice looks at: all of a small file, a sample of a large one.

use topwork_data::Stream;

/// Rows at most where there are few classes.
const ROWS: usize = 1_000;
/// Rows of each class at least, where there are as many and [`MOST_ROWS`] leaves room.
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
    // Every class has a few rows, and its part of those that are left.
    let few = |own: &Vec<usize>| own.len().min(a_class);
    let taken: usize = by_class.iter().map(few).sum();
    let part = most.saturating_sub(taken) as f64 / (labels.len() - taken).max(1) as f64;
    let mut rows: Vec<usize> = Vec::with_capacity(most);
    for (class, mut own) in by_class.into_iter().enumerate() {
        stream.nth(class as u64).shuffle(&mut own);
        let share = few(&own) + (part * (own.len() - few(&own)) as f64) as usize;
        rows.extend(own.into_iter().take(share));
    }
    if rows.len() > most {
        // More classes than rows: not all can have one.
        stream.nth(classes as u64).shuffle(&mut rows);
        rows.truncate(most);
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
        assert!((995..=1_000).contains(&rows.len()), "{}", rows.len());
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
        // A class for every three rows, and one large class among many of ten rows.
        let labels: Vec<u32> = (0..30_000).map(|row| row % 10_000).collect();
        assert_eq!(sample(&labels, 10_000, 1).len(), 4_000);
        let labels: Vec<u32> = (0..100_000).map(|row| if row < 4_990 { 1 + row % 499 } else { 0 }).collect();
        let rows = sample(&labels, 500, 1);
        assert!(rows.len() <= 4_000, "{}", rows.len());
        assert!((0..500).all(|class| rows.iter().filter(|&&row| labels[row] == class).count() >= 8));
    }
}
