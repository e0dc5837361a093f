//! Texts that nearly agree: candidates by MinHash (Broder, "On the resemblance and containment of documents", 1997), each
//! compared in full.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::NearPair;
use crate::nearest::edit_distance;
use crate::random::mix;

/// Texts with so much of their runs of letters in common nearly agree.
pub const RESEMBLANCE: f64 = 0.8;
/// Texts with so much in common are compared word by word: they nearly agree as well when no more than one word in ten is
/// another. In a short text, one word changes a third of the runs.
const WORTH_COMPARING: f64 = 0.5;
/// Words for each that may be another.
const WORDS_A_CHANGE: usize = 10;

/// Letters of a run.
const RUN: usize = 5;
/// Shorter texts have too few runs to nearly agree.
const FEWEST_RUNS: usize = 8;
/// Texts with the same least hashes in some band are compared: with 40 bands of 3, a pair with half of its runs in common is
/// missed in one of two hundred cases.
const BANDS: usize = 40;
const ROWS: usize = 3;
/// Texts of a band's bucket that each one is compared with: thousands of rows of one template are known from few.
const COMPARED: usize = 64;

/// Pairs of texts, by their places, most alike first.
pub(super) fn pairs(texts: &[String]) -> Vec<NearPair> {
    let runs: Vec<Vec<u64>> = texts.par_iter().map(|text| runs(text)).collect();
    let keys: Vec<Option<[u64; BANDS]>> =
        runs.par_iter().map(|runs| (runs.len() >= FEWEST_RUNS).then(|| bands(runs))).collect();
    let mut candidates: HashSet<(usize, usize)> = HashSet::new();
    for band in 0..BANDS {
        let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, keys) in keys.iter().enumerate() {
            let Some(keys) = keys else { continue };
            let bucket = buckets.entry(keys[band]).or_default();
            candidates.extend(bucket.iter().rev().take(COMPARED).map(|&earlier| (earlier, place)));
            bucket.push(place);
        }
    }
    let compare = |(first, second): (usize, usize)| {
        let resemblance = resemblance(&runs[first], &runs[second]);
        let is_near = resemblance >= RESEMBLANCE
            || (resemblance >= WORTH_COMPARING && few_words_differ(&texts[first], &texts[second]));
        is_near.then_some(NearPair { first, second, resemblance })
    };
    let mut pairs: Vec<NearPair> = candidates.into_par_iter().filter_map(compare).collect();
    pairs.sort_by(|a, b| {
        b.resemblance.total_cmp(&a.resemblance).then_with(|| (a.first, a.second).cmp(&(b.first, b.second)))
    });
    pairs
}

/// Whether one text becomes the other by changing, adding or taking away no more than one word in ten.
fn few_words_differ(a: &str, b: &str) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split_whitespace().collect(), b.split_whitespace().collect());
    let most = a.len().max(b.len()) / WORDS_A_CHANGE;
    a.len().abs_diff(b.len()) <= most && edit_distance(&a, &b) <= most
}

/// The hash of every run of letters, each once, in ascending order.
fn runs(text: &str) -> Vec<u64> {
    let letters: Vec<char> = text.chars().collect();
    let hash = |run: &[char]| run.iter().fold(0, |state, &letter| mix(state ^ u64::from(letter)));
    let mut runs: Vec<u64> = letters.windows(RUN).map(hash).collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

fn bands(runs: &[u64]) -> [u64; BANDS] {
    let least = |number: usize| runs.iter().map(|run| mix(run ^ mix(number as u64))).min().unwrap_or(0);
    std::array::from_fn(|band| (0..ROWS).fold(0, |state, row| mix(state ^ least(band * ROWS + row))))
}

/// The part of all runs that both have (Jaccard), of two lists in ascending order.
fn resemblance(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn text(seed: u64, words: usize) -> Vec<String> {
        let mut stream = Stream::named("words", seed);
        (0..words).map(|_| format!("w{}", stream.below(9000))).collect()
    }

    #[test]
    fn every_planted_near_duplicate_is_found_and_nothing_else() {
        let mut texts: Vec<String> = (0..300).map(|seed| text(seed, 30).join(" ")).collect();
        for seed in 0..100 {
            let mut words = text(seed, 30);
            words[seed as usize % 30] = "other".into();
            texts.push(words.join(" "));
        }
        let found = pairs(&texts);
        let planted: HashSet<(usize, usize)> = (0..100).map(|place| (place, 300 + place)).collect();
        let found: HashSet<(usize, usize)> = found.iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(found, planted);
    }

    #[test]
    fn one_word_in_ten_may_be_another() {
        let text = "how far is it from the old mill to the sea today";
        let other = |from: &str, to: &str| text.replace(from, to);
        assert!(few_words_differ(text, &other("mill", "bakery")));
        assert!(few_words_differ(text, &other(" today", "")));
        assert!(!few_words_differ(text, &other("mill", "bakery").replace("sea", "lake")));
        let found = pairs(&[text.into(), other("mill", "bakery")]);
        assert!(found.len() == 1 && found[0].resemblance < RESEMBLANCE, "{found:?}");
    }

    #[test]
    fn short_texts_do_not_nearly_agree() {
        assert_eq!(pairs(&["yes please".into(), "yes pleased".into(), "".into()]), []);
    }
}
