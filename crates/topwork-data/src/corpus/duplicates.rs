//! Documents that were there before, word by word or nearly.
//!
//! Near duplicates are found by MinHash (Broder, "On the resemblance and containment of documents", 1997): the smallest
//! hash of a document's shingles under many permutations, compared by the part that agrees. Documents that agree in all
//! rows of some band are compared; of each smallest hash sixteen bits are kept (Li and König, "b-Bit Minwise Hashing",
//! 2010).

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::random::mix;

/// Words of a shingle.
const SHINGLE: usize = 5;
/// Shorter documents have too few shingles to be compared by them.
const FEWEST_WORDS: usize = 20;
const BANDS: usize = 16;
const ROWS: usize = 4;
const HASHES: usize = BANDS * ROWS;
/// Of the hashes, how many must agree: four fifths.
const AGREEING: usize = (HASHES * 4).div_ceil(5);
/// Documents of a band that a new one is compared with, the latest first: a bound on time, not met by natural text.
const COMPARED: usize = 64;
const NONE: u32 = u32::MAX;

/// Multipliers and offsets of the permutations of 32-bit numbers.
const PERMUTATIONS: ([u32; HASHES], [u32; HASHES]) = {
    let (mut factors, mut offsets) = ([0; HASHES], [0; HASHES]);
    let mut i = 0;
    while i < HASHES {
        let random = mix(i as u64 + 1);
        factors[i] = random as u32 | 1;
        offsets[i] = (random >> 32) as u32;
        i += 1;
    }
    (factors, offsets)
};

/// What a document is recognised by.
pub(super) struct Fingerprint {
    /// 128 bits of the SHA-256 of its words in lower case.
    pub(super) exact: u128,
    /// Its smallest hashes, if it is long enough.
    least: Option<Box<[u32; HASHES]>>,
}

impl Fingerprint {
    /// A function of the words of `text` alone: neither case nor space matters.
    pub(super) fn of(text: &str) -> Fingerprint {
        let mut folded = String::with_capacity(text.len());
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            if !folded.is_empty() {
                folded.push(' ');
            }
            let start = folded.len();
            if word.is_ascii() {
                folded.push_str(word);
                folded[start..].make_ascii_lowercase();
            } else {
                folded.push_str(&word.to_lowercase());
            }
            words.push(hash(&folded.as_bytes()[start..]));
        }
        let digest = Sha256::digest(folded.as_bytes());
        let exact = digest.iter().take(16).fold(0, |bits, &byte| bits << 8 | u128::from(byte));
        Fingerprint { exact, least: (words.len() >= FEWEST_WORDS).then(|| least(&words)) }
    }
}

/// The same on every platform.
fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |state, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(state ^ u64::from_le_bytes(word))
    })
}

fn least(words: &[u64]) -> Box<[u32; HASHES]> {
    let mut least = Box::new([u32::MAX; HASHES]);
    let (factors, offsets) = &PERMUTATIONS;
    for shingle in words.windows(SHINGLE) {
        let hash = (shingle.iter().fold(0, |state, word| mix(state ^ word)) >> 32) as u32;
        for ((least, factor), offset) in least.iter_mut().zip(factors).zip(offsets) {
            *least = (*least).min(hash.wrapping_mul(*factor).wrapping_add(*offset));
        }
    }
    least
}

/// What a document is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    ExactDuplicate,
    NearDuplicate,
}

/// The documents so far.
#[derive(Default)]
pub(super) struct Known {
    exact: HashSet<u128>,
    signatures: Vec<[u16; HASHES]>,
    /// Of each band, the latest signature with some hash of the band's rows.
    latest: [HashMap<u32, u32>; BANDS],
    /// Of each signature and band, the one before it with the same hash.
    before: Vec<[u32; BANDS]>,
}

impl Known {
    /// Compares a document with those before it, and remembers it if it is new.
    pub(super) fn add(&mut self, print: &Fingerprint) -> Novelty {
        if !self.exact.insert(print.exact) {
            return Novelty::ExactDuplicate;
        }
        let Some(least) = print.least.as_deref() else { return Novelty::New };
        let signature = least.map(|hash| (hash ^ hash >> 16) as u16);
        let mut keys = [0; BANDS];
        for (key, rows) in keys.iter_mut().zip(least.chunks(ROWS)) {
            *key = rows.iter().fold(0, |state, &row| mix(state ^ u64::from(row))) as u32;
        }
        if (0..BANDS).any(|band| self.has_near(band, keys[band], &signature)) {
            return Novelty::NearDuplicate;
        }
        // Signatures of four thousand million documents fill half a terabyte; those after them are compared exactly.
        if let Some(number) = u32::try_from(self.signatures.len()).ok().filter(|&number| number != NONE) {
            self.signatures.push(signature);
            let mut band = 0;
            self.before.push(keys.map(|key| {
                band += 1;
                self.latest[band - 1].insert(key, number).unwrap_or(NONE)
            }));
        }
        Novelty::New
    }

    fn has_near(&self, band: usize, key: u32, signature: &[u16; HASHES]) -> bool {
        let mut number = self.latest[band].get(&key).copied().unwrap_or(NONE);
        for _ in 0..COMPARED {
            let Some(other) = self.signatures.get(number as usize).filter(|_| number != NONE) else { return false };
            if signature.iter().zip(other).filter(|(a, b)| a == b).count() >= AGREEING {
                return true;
            }
            number = self.before[number as usize][band];
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words without pattern, those of different seeds different.
    fn text(seed: u64, words: u64) -> Vec<String> {
        (0..words).map(|i| format!("w{}", mix(seed << 32 | i) % 5000)).collect()
    }

    #[test]
    fn case_and_space_make_no_difference() {
        let mut known = Known::default();
        assert_eq!(known.add(&Fingerprint::of("Ärger im  Büro")), Novelty::New);
        assert_eq!(known.add(&Fingerprint::of(" ärger\nIM büro\t")), Novelty::ExactDuplicate);
        assert_eq!(known.add(&Fingerprint::of("ärger imbüro")), Novelty::New);
    }

    #[test]
    fn a_few_other_words_make_a_near_duplicate_and_many_do_not() {
        for seed in 0..20 {
            let mut known = Known::default();
            let original = text(seed, 400);
            assert_eq!(known.add(&Fingerprint::of(&original.join(" "))), Novelty::New);
            let mut near = original.clone();
            near[37] = "other".into();
            near[301] = "other".into();
            assert_eq!(known.add(&Fingerprint::of(&near.join(" "))), Novelty::NearDuplicate);
            let mut far = original;
            far.iter_mut().step_by(10).for_each(|word| *word = "other".into());
            assert_eq!(known.add(&Fingerprint::of(&far.join(" "))), Novelty::New);
        }
    }

    #[test]
    fn the_part_of_equal_hashes_estimates_the_resemblance() {
        // Two documents that share the first words of each: of the union of their shingles, three fifths are common.
        for (shared, own) in [(600, 200), (900, 50), (300, 350)] {
            let first = [text(1, shared), text(2, own)].concat();
            let second = [text(1, shared), text(3, own)].concat();
            let [a, b] = [first, second].map(|words| Fingerprint::of(&words.join(" ")).least.unwrap());
            let agreeing = a.iter().zip(b.iter()).filter(|(a, b)| a == b).count() as f64 / HASHES as f64;
            let common = shared as f64 / (shared + 2 * own) as f64;
            assert!((agreeing - common).abs() < 0.2, "{agreeing} instead of {common}");
        }
    }

    #[test]
    fn short_documents_are_compared_exactly() {
        let mut known = Known::default();
        let words = text(1, FEWEST_WORDS as u64 - 1);
        assert_eq!(known.add(&Fingerprint::of(&words.join(" "))), Novelty::New);
        assert_eq!(known.add(&Fingerprint::of(&(words.join(" ") + "!"))), Novelty::New);
    }

    #[test]
    fn fingerprints_never_change() {
        // They decide what is held out.
        assert_eq!(Fingerprint::of("Hello  world").exact, 0xb94d_27b9_934d_3e08_a52e_52d7_da7d_abfa);
        assert_eq!(hash(b"fingerprint"), PINNED);
    }

    const PINNED: u64 = 3_221_179_642_826_833_769;
}
