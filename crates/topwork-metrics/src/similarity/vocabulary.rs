//! The words that two texts share (Gururangan et al., "Don't Stop Pretraining", ACL 2020).

use std::collections::HashMap;

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VocabularyOverlap {
    /// The part of the most frequent words of each that are among those of the other.
    pub overlap: f64,
    /// The part of the target's words, as often as they occur, that the source knows at all.
    pub known: f64,
}

/// Compares the `top` most frequent words; fewer where one of the texts has fewer different ones. Words as frequent are
/// taken in the order of the alphabet. None when a text has no word.
pub fn vocabulary_overlap(
    source: &HashMap<String, u64>,
    target: &HashMap<String, u64>,
    top: usize,
) -> Option<VocabularyOverlap> {
    let most = top.min(source.len()).min(target.len());
    if most == 0 {
        return None;
    }
    let frequent = |counts: &HashMap<String, u64>| -> Vec<String> {
        let mut words: Vec<(&String, &u64)> = counts.iter().collect();
        words.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        words.into_iter().take(most).map(|(word, _)| word.clone()).collect()
    };
    let of_source: std::collections::HashSet<String> = frequent(source).into_iter().collect();
    let shared = frequent(target).iter().filter(|word| of_source.contains(*word)).count();
    let total: u64 = target.values().sum();
    let known: u64 = target.iter().filter(|(word, _)| source.contains_key(*word)).map(|(_, count)| count).sum();
    Some(VocabularyOverlap { overlap: shared as f64 / most as f64, known: known as f64 / total.max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_words_are_counted() {
        let counts = |words: &[(&str, u64)]| words.iter().map(|(word, count)| (word.to_string(), *count)).collect();
        let source = counts(&[("the", 9), ("a", 8), ("tree", 1), ("crown", 1)]);
        let target = counts(&[("the", 6), ("tree", 2), ("parcel", 2)]);
        // Of three words each: the, a, crown and the, parcel, tree.
        let found = vocabulary_overlap(&source, &target, 10).unwrap();
        assert!((found.overlap - 1.0 / 3.0).abs() < 1e-12 && (found.known - 0.8).abs() < 1e-12);
        assert_eq!(vocabulary_overlap(&source, &HashMap::new(), 10), None);
    }
}
