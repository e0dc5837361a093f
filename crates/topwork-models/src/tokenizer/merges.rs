//! Byte-pair encoding: the most frequent pair of neighbouring tokens becomes a token, again and again.
//!
//! Not the trainer of the `tokenizers` crate: that one numbers the `##` characters in the order of a hash map with
//! random keys, and ties between pairs go by these numbers, so that it gives another vocabulary at each run. It also
//! counts in `i32`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

type Pair = (u32, u32);

/// A word as tokens, and how often it occurs.
pub(super) struct Word {
    pub(super) tokens: Vec<u32>,
    pub(super) count: u64,
}

impl Word {
    fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.tokens.windows(2).map(|pair| (pair[0], pair[1]))
    }

    fn merge(&mut self, pair: Pair, merged: u32) {
        let (mut read, mut write) = (0, 0);
        while read < self.tokens.len() {
            let found = self.tokens[read] == pair.0 && self.tokens.get(read + 1) == Some(&pair.1);
            self.tokens[write] = if found { merged } else { self.tokens[read] };
            read += if found { 2 } else { 1 };
            write += 1;
        }
        self.tokens.truncate(write);
    }
}

/// Merges until there are `size` tokens, or no pair occurs `min_frequency` times. Returns the merges in their order;
/// `tokens` grows by what they make. Of pairs that are equally frequent the one with the older tokens goes first.
/// `prefix` marks tokens inside a word.
pub(super) fn learn_merges(
    mut words: Vec<Word>,
    tokens: &mut Vec<String>,
    prefix: &str,
    size: usize,
    min_frequency: u64,
) -> Vec<Pair> {
    let mut ids: HashMap<String, u32> = (0..).zip(tokens.iter()).map(|(id, token)| (token.clone(), id)).collect();
    let mut counts: HashMap<Pair, u64> = HashMap::new();
    // Words in which a pair is, or was: a word is not taken off when it loses the pair.
    let mut places: HashMap<Pair, Vec<usize>> = HashMap::new();
    for (place, word) in words.iter().enumerate() {
        for pair in word.pairs() {
            *counts.entry(pair).or_default() += word.count;
            places.entry(pair).or_default().push(place);
        }
    }
    // A count in the queue may be out of date; a pair is settled when it comes up.
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
    let mut merges = Vec::new();
    while tokens.len() < size
        && let Some((queued, Reverse(pair))) = queue.pop()
    {
        let count = counts.get(&pair).copied().unwrap_or(0);
        if count != queued {
            if count > 0 {
                queue.push((count, Reverse(pair)));
            }
            continue;
        }
        if count < min_frequency.max(1) {
            break;
        }
        let [left, right] = [pair.0, pair.1].map(|id| tokens[id as usize].as_str());
        let token = format!("{left}{}", right.strip_prefix(prefix).unwrap_or(right));
        // Two pairs may make the same token.
        let merged = *ids.entry(token.clone()).or_insert_with(|| {
            tokens.push(token);
            tokens.len() as u32 - 1
        });
        merges.push(pair);
        let mut fresh = Vec::new();
        for place in places.remove(&pair).unwrap_or_default() {
            let word = &mut words[place];
            if !word.pairs().any(|other| other == pair) {
                continue;
            }
            for old in word.pairs() {
                if let Some(count) = counts.get_mut(&old) {
                    *count -= word.count;
                }
            }
            word.merge(pair, merged);
            for new in word.pairs() {
                *counts.entry(new).or_default() += word.count;
                if new.0 == merged || new.1 == merged {
                    places.entry(new).or_default().push(place);
                    fresh.push(new);
                }
            }
        }
        counts.remove(&pair);
        fresh.sort_unstable();
        fresh.dedup();
        queue.extend(fresh.into_iter().map(|pair| (counts[&pair], Reverse(pair))));
    }
    merges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, count: u64) -> Word {
        Word { tokens: text.bytes().map(|byte| u32::from(byte - b'a')).collect(), count }
    }

    #[test]
    fn the_most_frequent_pair_goes_first_and_ties_go_to_older_tokens() {
        let mut tokens: Vec<String> = "abc".chars().map(String::from).collect();
        let words = vec![word("aaaa", 3), word("bc", 2), word("ab", 2), word("abc", 1)];
        let merges = learn_merges(words, &mut tokens, "", 100, 1);
        // a a: 9; then ab and bc: 3 each; then aaaa: 3 (as "aa aa"), older than none of them.
        assert_eq!(tokens, ["a", "b", "c", "aa", "ab", "aaaa", "bc", "abc"]);
        assert_eq!(merges, [(0, 0), (0, 1), (3, 3), (1, 2), (4, 2)]);
    }

    #[test]
    fn rare_pairs_are_left_and_prefixes_joined() {
        let mut tokens: Vec<String> = ["a", "##b", "##c"].map(String::from).into();
        let words = vec![Word { tokens: vec![0, 1, 2], count: 5 }, Word { tokens: vec![0, 2, 2], count: 1 }];
        learn_merges(words, &mut tokens, "##", 100, 2);
        assert_eq!(tokens, ["a", "##b", "##c", "ab", "abc"]);
    }
}
