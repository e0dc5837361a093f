//! The words of a corpus and how often each occurs, in an order that depends on nothing but the texts.

use std::collections::HashMap;

use rayon::prelude::*;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    PreTokenizerWrapper,
};

use super::scheme::Scheme;
use super::train::{SPECIAL, failed};
use crate::error::ModelError;

/// So many bytes of text are held at a time.
const BATCH: usize = 16 << 20;

/// Counts the words of the texts, sorted. Counts are whole numbers, so that the order in which they are added up does
/// not matter.
pub(super) fn count_words<E: From<ModelError>>(
    mut texts: impl Iterator<Item = Result<String, E>>,
    scheme: &Scheme,
) -> Result<Vec<(String, u64)>, E> {
    let mut chunks: HashMap<String, u64> = HashMap::new();
    loop {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH
            && let Some(text) = texts.next()
        {
            let text = text?;
            bytes += text.len();
            batch.push(text);
        }
        if batch.is_empty() {
            break;
        }
        let counted: Vec<HashMap<&str, u64>> =
            batch.par_chunks(share(batch.len())).map(|texts| tally(texts.iter().flat_map(|text| cut(text)))).collect();
        for (chunk, count) in counted.into_iter().flatten() {
            add(&mut chunks, chunk, count);
        }
    }
    Ok(words_of(chunks.into_iter().collect(), scheme)?)
}

/// Normalises and splits each different chunk once.
fn words_of(chunks: Vec<(String, u64)>, scheme: &Scheme) -> Result<Vec<(String, u64)>, ModelError> {
    let normalizer: Option<NormalizerWrapper> = serde_json::from_value(scheme.normalizer.clone()).map_err(failed)?;
    let splitter: PreTokenizerWrapper = serde_json::from_value(scheme.pre_tokenizer.clone()).map_err(failed)?;
    let counted: Vec<HashMap<String, u64>> = chunks
        .par_chunks(share(chunks.len()))
        .map(|chunks| {
            let mut words = HashMap::new();
            for (chunk, count) in chunks {
                for text in without_special(chunk) {
                    let mut text = NormalizedString::from(text);
                    if let Some(normalizer) = &normalizer {
                        normalizer.normalize(&mut text).map_err(failed)?;
                    }
                    let mut text = PreTokenizedString::from(text);
                    splitter.pre_tokenize(&mut text).map_err(failed)?;
                    for (word, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
                        if !word.is_empty() {
                            add(&mut words, word, *count);
                        }
                    }
                }
            }
            Ok(words)
        })
        .collect::<Result<_, ModelError>>()?;
    let mut words: HashMap<String, u64> = HashMap::new();
    for (word, count) in counted.into_iter().flatten() {
        *words.entry(word).or_default() += count;
    }
    let mut words: Vec<(String, u64)> = words.into_iter().collect();
    words.sort_unstable();
    Ok(words)
}

/// Cuts a text before each run of white space. No splitter joins what stands on both sides of such a place, nor does
/// what it makes of a run depend on what stands before it.
fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut inside = false;
        let end = rest.char_indices().find(|(_, char)| {
            let before = std::mem::replace(&mut inside, !char.is_whitespace());
            before && char.is_whitespace()
        });
        let (chunk, after) = rest.split_at(end.map_or(rest.len(), |(place, _)| place));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// What is left of a text when special tokens that it spells out are taken away: they never become words.
fn without_special(text: &str) -> Vec<&str> {
    let mut parts = vec![text];
    if text.contains('[') {
        for token in SPECIAL {
            parts = parts.into_iter().flat_map(|part| part.split(token)).collect();
        }
    }
    parts
}

fn tally<'a>(chunks: impl Iterator<Item = &'a str>) -> HashMap<&'a str, u64> {
    let mut counts = HashMap::new();
    for chunk in chunks {
        *counts.entry(chunk).or_default() += 1;
    }
    counts
}

fn add(counts: &mut HashMap<String, u64>, word: &str, count: u64) {
    if let Some(known) = counts.get_mut(word) {
        *known += count;
    } else {
        counts.insert(word.to_string(), count);
    }
}

/// How many of `items` go to a thread at a time.
fn share(items: usize) -> usize {
    items.div_ceil(rayon::current_num_threads()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_before_each_run_of_white_space() {
        let text = "  two words.\n\n\tmore\u{a0}é ";
        let chunks: Vec<&str> = cut(text).collect();
        assert_eq!(chunks, ["  two", " words.", "\n\n\tmore", "\u{a0}é", " "]);
        assert_eq!(cut("").count(), 0);
    }

    #[test]
    fn cutting_does_not_change_the_words_of_a_splitter() {
        let text = "  It's two  words.\n\n\tmore: 12\u{a0}é, x\n y\r\n[z]  \n";
        for kind in super::super::train::TokenizerKind::ALL {
            let scheme = Scheme::new(kind, false);
            let whole = words_of(vec![(text.into(), 1)], &scheme).unwrap();
            let texts = std::iter::once(Ok::<_, ModelError>(text.to_string()));
            assert_eq!(count_words(texts, &scheme).unwrap(), whole, "{}", kind.name());
        }
    }
}
