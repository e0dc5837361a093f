//! Long sentences in windows, so that no word is cut off.

use std::ops::Range;

/// Words that the model sees together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The words of the window.
    pub(crate) words: Range<usize>,
    /// Those that are learnt and predicted here; the others are context.
    pub(crate) own: Range<usize>,
}

/// Two windows that follow on each other have at most this part of their tokens in common.
const OVERLAP: usize = 4;

/// Parts words of these lengths, each at most `budget` tokens, into windows of at most `budget` tokens. Windows overlap by up
/// to a quarter. A word is the own one of the window in which it has most context: tokens between it and the nearer end at
/// which the window cuts the sentence (as Devlin and others, "BERT", 2019, do for questions on long texts); the first window
/// among equals. So the own words of the windows, one window after the other, are all words.
pub(crate) fn windows(lengths: &[usize], budget: usize) -> Vec<Window> {
    // Tokens before each word, and all of them.
    let mut before = vec![0];
    for length in lengths {
        before.push(before[before.len() - 1] + length);
    }
    let words = lengths.len();
    let tokens = |range: Range<usize>| before[range.end] - before[range.start];
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    loop {
        let end = (start..words).find(|&word| tokens(start..word + 1) > budget).unwrap_or(words);
        ranges.push(start..end);
        if end == words {
            break;
        }
        let fits = |next: &usize| tokens(*next..end) <= budget / OVERLAP && tokens(*next..end + 1) <= budget;
        start = (start + 1..end).find(fits).unwrap_or(end);
    }
    let context = |range: &Range<usize>, word: usize| {
        let left = if range.start == 0 { usize::MAX } else { tokens(range.start..word) };
        let right = if range.end == words { usize::MAX } else { tokens(word + 1..range.end) };
        left.min(right)
    };
    let mut windows = Vec::with_capacity(ranges.len());
    let mut owned = 0;
    for (place, range) in ranges.iter().enumerate() {
        let later = &ranges[place + 1..];
        let is_better = |word: usize| {
            let mut others = later.iter().take_while(|other| other.start <= word);
            others.any(|other| word < other.end && context(other, word) > context(range, word))
        };
        let end = (owned..range.end).find(|&word| is_better(word)).unwrap_or(range.end.max(owned));
        windows.push(Window { words: range.clone(), own: owned..end });
        owned = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn what_fits_is_one_window() {
        assert_eq!(windows(&[2, 1, 0, 3], 6), [Window { words: 0..4, own: 0..4 }]);
    }

    #[test]
    fn every_word_is_owned_once_and_no_window_is_too_long() {
        for seed in 0..500 {
            let mut stream = Stream::named("windows", seed);
            let budget = 1 + stream.below(20) as usize;
            let words = 1 + stream.below(60);
            let lengths: Vec<usize> = (0..words).map(|_| (stream.below(6) as usize).min(budget)).collect();
            let parts = windows(&lengths, budget);
            let mut owned = Vec::new();
            for Window { words, own } in &parts {
                assert!(lengths[words.clone()].iter().sum::<usize>() <= budget, "seed {seed}: {parts:?}");
                assert!(words.start <= own.start && own.end <= words.end, "seed {seed}: {parts:?}");
                owned.extend(own.clone());
            }
            assert_eq!(owned, (0..lengths.len()).collect::<Vec<_>>(), "seed {seed}: {parts:?}");
        }
    }

    #[test]
    fn a_word_is_owned_where_it_has_most_context() {
        let parts = windows(&[1; 30], 16);
        let window = |words: Range<usize>, own: Range<usize>| Window { words, own };
        assert_eq!(parts, [window(0..16, 0..14), window(12..28, 14..26), window(24..30, 26..30)]);
    }
}
