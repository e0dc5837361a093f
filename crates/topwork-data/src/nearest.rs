//! The name that somebody who mistyped probably meant.

/// The candidate nearest to `name`: one that differs only in case or in the space around it, else the one at the
/// smallest edit distance, if that is at most half of the longer name. The first among equals.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    candidates
        .into_iter()
        .map(|candidate| {
            let other = fold(candidate);
            (edit_distance(&folded, &other), folded.len().max(other.len()), candidate)
        })
        .filter(|&(distance, longer, _)| 2 * distance <= longer)
        .min_by_key(|&(distance, _, _)| distance)
        .map(|(_, _, candidate)| candidate)
}

fn fold(name: &str) -> Vec<char> {
    // A label can be a whole text by mistake; the beginning is enough to recognise it.
    name.trim().to_lowercase().chars().take(64).collect()
}

/// Insertions, deletions and replacements between `a` and `b` (Levenshtein).
pub(crate) fn edit_distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_changes() {
        let distance = |a: &str, b: &str| edit_distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn case_and_space_count_as_nothing() {
        assert_eq!(nearest(" Positive", ["position", "positive"]), Some("positive"));
    }

    #[test]
    fn a_different_word_is_not_near() {
        assert_eq!(nearest("sports", ["world", "science"]), None);
    }
}
