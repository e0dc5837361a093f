//! A unigram model: pieces with probabilities, of which the likeliest make up a word.
//!
//! Expectation-maximisation over all pieces that the words contain, then those go whose loss hurts the likelihood
//! least, a quarter at a time (Kudo 2018). Not the trainer of the `tokenizers` crate: its result depends on the order
//! of hash maps and on the number of threads. Here every sum has one order and every logarithm is made of basic
//! arithmetic, which is the same on every machine.

use std::collections::{HashMap, HashSet};

use super::train::SPECIAL;

/// A piece has at most so many characters.
const LONGEST_PIECE: usize = 16;
/// A word is learned from in parts of so many characters.
const LONGEST_WORD: usize = 100;
/// So many different words are learned from, the most frequent ones.
const WORDS: usize = 200_000;
/// So many pieces are started with, or four times as many as are wanted.
const SEEDS: usize = 200_000;
/// Expectation and maximisation between two prunings.
const ROUNDS: usize = 2;
/// What a piece counts for at least, so that every word keeps a segmentation.
const FLOOR: f64 = 1e-3;

/// As many pieces as `wanted`, each with the logarithm of its probability, the likeliest first; all of `alphabet` is
/// among them. When the words do not have as many, how many they have.
pub(super) fn learn_pieces(
    words: &[(String, u64)],
    alphabet: &[(char, u64)],
    wanted: usize,
    min_frequency: u64,
) -> Result<Vec<(String, f64)>, usize> {
    let parts = frequent_parts(words, alphabet);
    let mut seeds = seeds(&parts, min_frequency);
    let supported = alphabet.len() + seeds.len();
    if supported < wanted {
        return Err(supported);
    }
    seeds.truncate(SEEDS.max(4 * wanted));
    let characters = alphabet.iter().map(|(char, count)| (char.to_string(), *count));
    let pieces: Vec<(String, u64)> =
        characters.chain(seeds.into_iter().map(|(seed, count)| (seed.to_string(), count))).collect();
    let ids: HashMap<&str, u32> = (0..).zip(&pieces).map(|(id, (piece, _))| (piece.as_str(), id)).collect();

    let mut corpus = Lattices::new(parts.iter().copied(), &ids);
    let mut alternatives = Lattices::new(pieces.iter().map(|(piece, count)| (piece.as_str(), *count)), &ids);
    let mut kept: Vec<usize> = (0..pieces.len()).collect();
    let mut expected: Vec<f64> = pieces.iter().map(|(_, count)| *count as f64).collect();
    let mut probabilities = probabilities(&expected, &kept);
    loop {
        for _ in 0..ROUNDS {
            expected = corpus.expected(&probabilities);
            probabilities = self::probabilities(&expected, &kept);
        }
        if kept.len() == wanted {
            break;
        }
        let (characters, others) = kept.split_at(alphabet.len());
        let mut losses: Vec<(f64, usize)> = others
            .iter()
            .map(|&piece| {
                let without = alternatives.best_without(piece, &probabilities);
                (expected[piece] * (logarithm(probabilities[piece]) - logarithm(without)), piece)
            })
            .collect();
        losses.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        losses.truncate((wanted - characters.len()).max(others.len() * 3 / 4));
        let mut others: Vec<usize> = losses.into_iter().map(|(_, piece)| piece).collect();
        others.sort_unstable();
        kept = characters.iter().copied().chain(others).collect();
        let mut is_kept = vec![false; pieces.len()];
        kept.iter().for_each(|&piece| is_kept[piece] = true);
        corpus.retain(&is_kept);
        alternatives.retain(&is_kept);
    }
    let mut scored: Vec<(String, f64)> =
        kept.iter().map(|&piece| (pieces[piece].0.clone(), logarithm(probabilities[piece]))).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(scored)
}

/// The most frequent words, cut where a character is not in the alphabet and where they are too long.
fn frequent_parts<'a>(words: &'a [(String, u64)], alphabet: &[(char, u64)]) -> Vec<(&'a str, u64)> {
    let known: HashSet<char> = alphabet.iter().map(|(char, _)| *char).collect();
    let mut words: Vec<(&str, u64)> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    words.truncate(WORDS);
    let mut parts = Vec::new();
    for (word, count) in words {
        for run in word.split(|char| !known.contains(&char)) {
            let mut rest = run;
            while !rest.is_empty() {
                let end = rest.char_indices().nth(LONGEST_WORD).map_or(rest.len(), |(place, _)| place);
                let (part, after) = rest.split_at(end);
                parts.push((part, count));
                rest = after;
            }
        }
    }
    parts
}

/// What occurs often enough within the words and has more than one character, those first that cover the most text.
/// What occurs only as a part of the same longer piece is left out.
fn seeds<'a>(parts: &[(&'a str, u64)], min_frequency: u64) -> Vec<(&'a str, u64)> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for &(part, count) in parts {
        let bounds = bounds(part);
        for (start, end) in spans(bounds.len() - 1).filter(|(start, end)| end - start > 1) {
            *counts.entry(&part[bounds[start]..bounds[end]]).or_default() += count;
        }
    }
    counts.retain(|_, count| *count >= min_frequency);
    let mut covered: HashSet<&str> = HashSet::new();
    for (piece, count) in &counts {
        let last = piece.char_indices().next_back().map_or(0, |(place, _)| place);
        let first = piece.chars().next().map_or(0, char::len_utf8);
        covered.extend([&piece[..last], &piece[first..]].into_iter().filter(|part| counts.get(part) == Some(count)));
    }
    let mut seeds: Vec<(u64, &str, u64)> = counts
        .iter()
        .filter(|(piece, _)| !covered.contains(*piece) && !SPECIAL.contains(*piece))
        .map(|(piece, count)| (count * piece.chars().count() as u64, *piece, *count))
        .collect();
    seeds.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    seeds.into_iter().map(|(_, piece, count)| (piece, count)).collect()
}

/// Where the characters of a text begin, and its end.
fn bounds(text: &str) -> Vec<usize> {
    text.char_indices().map(|(place, _)| place).chain([text.len()]).collect()
}

/// Every start and end that a piece can have within so many characters, by start.
fn spans(characters: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..characters)
        .flat_map(move |start| (start + 1..=characters.min(start + LONGEST_PIECE)).map(move |end| (start, end)))
}

/// A piece at a place in a text.
struct Edge {
    start: u8,
    end: u8,
    piece: u32,
}

/// All ways to make up some texts from pieces.
struct Lattices {
    texts: Vec<LatticeText>,
    edges: Vec<Edge>,
}

struct LatticeText {
    /// Where its edges end; they begin where those of the text before it end.
    edges_end: usize,
    characters: usize,
    count: f64,
}

impl Lattices {
    fn new<'a>(texts: impl Iterator<Item = (&'a str, u64)>, ids: &HashMap<&str, u32>) -> Self {
        let mut lattices = Self { texts: Vec::new(), edges: Vec::new() };
        for (text, count) in texts {
            let bounds = bounds(text);
            let characters = bounds.len() - 1;
            lattices.edges.extend(spans(characters).filter_map(|(start, end)| {
                let piece = *ids.get(&text[bounds[start]..bounds[end]])?;
                Some(Edge { start: start as u8, end: end as u8, piece })
            }));
            lattices.texts.push(LatticeText { edges_end: lattices.edges.len(), characters, count: count as f64 });
        }
        lattices
    }

    fn edges(&self, text: usize) -> &[Edge] {
        let start = text.checked_sub(1).map_or(0, |before| self.texts[before].edges_end);
        &self.edges[start..self.texts[text].edges_end]
    }

    fn retain(&mut self, is_kept: &[bool]) {
        let mut edges = Vec::with_capacity(self.edges.len());
        let mut start = 0;
        for text in &mut self.texts {
            let own = &self.edges[start..text.edges_end];
            start = text.edges_end;
            edges.extend(own.iter().filter(|edge| is_kept[edge.piece as usize]).map(|edge| Edge {
                start: edge.start,
                end: edge.end,
                piece: edge.piece,
            }));
            text.edges_end = edges.len();
        }
        self.edges = edges;
    }

    /// How often each piece is expected in the texts.
    fn expected(&self, probabilities: &[f64]) -> Vec<f64> {
        let mut expected = vec![0.0; probabilities.len()];
        let mut before = [0.0; LONGEST_WORD + 1];
        let mut after = [0.0; LONGEST_WORD + 1];
        for (place, text) in self.texts.iter().enumerate() {
            let edges = self.edges(place);
            let end = text.characters;
            before[..=end].fill(0.0);
            after[..=end].fill(0.0);
            (before[0], after[end]) = (1.0, 1.0);
            for edge in edges {
                before[edge.end as usize] += before[edge.start as usize] * probabilities[edge.piece as usize];
            }
            for edge in edges.iter().rev() {
                after[edge.start as usize] += after[edge.end as usize] * probabilities[edge.piece as usize];
            }
            let all = before[end];
            // A long text of rare characters may be less likely than the smallest number; it teaches nothing then.
            if all < f64::MIN_POSITIVE {
                continue;
            }
            for edge in edges {
                let through = before[edge.start as usize] * after[edge.end as usize] / all;
                expected[edge.piece as usize] += text.count * through * probabilities[edge.piece as usize];
            }
        }
        expected
    }

    /// The probability of the likeliest way to make up the text with this number from other pieces than the one with
    /// the same number.
    fn best_without(&self, piece: usize, probabilities: &[f64]) -> f64 {
        let mut best = [0.0; LONGEST_PIECE + 1];
        best[0] = 1.0;
        for edge in self.edges(piece).iter().filter(|edge| edge.piece as usize != piece) {
            let through = best[edge.start as usize] * probabilities[edge.piece as usize];
            best[edge.end as usize] = f64::max(best[edge.end as usize], through);
        }
        best[self.texts[piece].characters]
    }
}

/// Maximisation, with a discount that drives out what is rarely used: close to the exponential of the digamma function
/// of the expected count, as SentencePiece has it.
fn probabilities(expected: &[f64], kept: &[usize]) -> Vec<f64> {
    let mut probabilities = vec![0.0; expected.len()];
    let mut sum = 0.0;
    for &piece in kept {
        let count = expected[piece];
        let discounted = if count > 1.0 { count - 0.5 } else { 0.5 * count * count };
        probabilities[piece] = discounted.max(FLOOR);
        sum += probabilities[piece];
    }
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    probabilities
}

/// The natural logarithm of a positive normal number, to a few units in the last place: libraries differ in the last
/// one.
fn logarithm(value: f64) -> f64 {
    let bits = value.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as f64 - 1023.0;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let series = (0..12).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    exponent * std::f64::consts::LN_2 + 2.0 * ratio * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right() {
        for value in [1e-300, 1e-12, 0.1, 0.5, 0.7, 1.0, 1.41, 1.42, 1.5, 3.0, 1e9] {
            let (found, right) = (logarithm(value), f64::ln(value));
            assert!((found - right).abs() <= 1e-15 * right.abs().max(1.0), "{value}: {found} {right}");
        }
    }

    #[test]
    fn expected_counts_are_those_of_all_segmentations() {
        let pieces = [("a", 0u32), ("b", 1), ("ab", 2), ("ba", 3)];
        let lattices = Lattices::new([("aba", 2)].into_iter(), &pieces.into_iter().collect());
        // a b a: 0.4 * 0.3 * 0.4 = 0.048; ab a: 0.2 * 0.4 = 0.08; a ba: 0.4 * 0.1 = 0.04
        let expected = lattices.expected(&[0.4, 0.3, 0.2, 0.1]);
        let all = 0.048 + 0.08 + 0.04;
        let right = [2.0 * (2.0 * 0.048 + 0.08 + 0.04) / all, 0.096 / all, 0.16 / all, 0.08 / all];
        for (found, right) in expected.iter().zip(right) {
            assert!((found - right).abs() < 1e-12, "{expected:?}");
        }
    }

    #[test]
    fn words_become_pieces() {
        let stems = ["walk", "jump", "cook", "help", "play", "rain", "wait", "turn"];
        let words = stems.iter().flat_map(|stem| ["", "ing", "ed", "s"].map(|end| (format!("{stem}{end}"), 50)));
        let words: Vec<(String, u64)> = words.collect();
        let alphabet: Vec<(char, u64)> = "acdeghijklmnoprstuwy".chars().map(|char| (char, 50)).collect();
        let pieces = learn_pieces(&words, &alphabet, 30, 2).unwrap();
        assert_eq!(pieces.len(), 30);
        let sum: f64 = pieces.iter().map(|(_, score)| score.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let found: HashSet<&str> = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
        assert!(["jump", "walk", "cook"].iter().all(|piece| found.contains(piece)), "{pieces:?}");
        assert!(learn_pieces(&words, &alphabet, 10_000, 2).is_err_and(|supported| supported < 100));
    }
}
