//! Texts that nearly agree: candidates by MinHash (Broder, "On the resemblance and containment of documents", 1997), each
//! compared in full.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::NearPair;
use crate::random::mix;

/// The part of their runs of letters that two texts that nearly agree have in common.
pub const RESEMBLANCE: f64 = 0.8;

/// Letters of a run.
const RUN: usize = 5;
/// Shorter texts have too few runs to nearly agree.
const FEWEST_RUNS: usize = 8;
/// Texts with as many least hashes in common in some band are compared: with 32 bands of 4, a pair at the threshold is
/// missed in fewer than one of ten million cases.
const BANDS: usize = 32;
const ROWS: usize = 4;
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
        (resemblance >= RESEMBLANCE).then_some(NearPair { first, second, resemblance })
    };
    let mut pairs: Vec<NearPair> = candidates.into_par_iter().filter_map(compare).collect();
    pairs.sort_by(|a, b| {
        b.resemblance.total_cmp(&a.resemblance).then_with(|| (a.first, a.second).cmp(&(b.first, b.second)))
    });
    pairs
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
    fn short_texts_do_not_nearly_agree() {
        assert_eq!(pairs(&["yes please".into(), "yes pleased".into(), "".into()]), []);
    }
}
