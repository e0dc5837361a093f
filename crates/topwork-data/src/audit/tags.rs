//! What is odd about the tags of words before anything is learnt from them.

use std::collections::{BTreeMap, BTreeSet};

use super::fold;
use crate::dataset::Dataset;
use crate::example::Example;
use crate::target_error::WordPlace;
use crate::targets::tags::{is_iob1, tags_of, word_place};
use crate::targets::{TagProblem, TagScheme};

/// A tag that does not follow from those around it, or fits with no scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedTag {
    /// The row.
    pub row: usize,
    /// The word.
    pub place: WordPlace,
    /// Its tag.
    pub tag: String,
    /// What could stand there.
    pub expected: String,
}

/// Every malformed tag of `dataset`, in the order of the words. Rows that are not words with a tag each are passed over: reading
/// targets reports them. Where spans begin with `I-` throughout (IOB1), that is not malformed.
pub fn malformed_tags(dataset: &Dataset) -> Vec<MalformedTag> {
    let rows = tagged_rows(dataset);
    let tags: Vec<Vec<&str>> = rows.iter().map(|(_, _, tags)| tags.clone()).collect();
    let mut found = Vec::new();
    let mut add = |row: usize, example: &Example, token: usize, tag: &str, expected: String| {
        let place = word_place(dataset, example, token);
        found.push(MalformedTag { row, place, tag: tag.to_owned(), expected });
    };
    match TagScheme::of(&tags.iter().flatten().copied().collect()) {
        Err((odd, expected)) => {
            for (row, example, tags) in &rows {
                let odd_ones = tags.iter().enumerate().filter(|(_, tag)| **tag == odd);
                odd_ones.for_each(|(token, tag)| add(*row, example, token, tag, expected.clone()));
            }
        }
        Ok(TagScheme::Iob2) if is_iob1(&tags) => {}
        Ok(scheme) => {
            for (row, example, tags) in &rows {
                for TagProblem { token, expected, .. } in scheme.problems(tags) {
                    add(*row, example, token, tags[token], expected);
                }
            }
        }
    }
    found
}

/// The same words with different tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictingTags {
    /// The sentence; or a word with the ones beside it.
    pub text: String,
    /// The tags that it has, of a sentence with spaces between, and in which rows.
    pub tags: BTreeMap<String, Vec<usize>>,
}

/// Sentences that repeat, but for case and space, with different tags; most rows first.
pub fn conflicting_sentences(dataset: &Dataset) -> Vec<ConflictingTags> {
    let sentences = tagged_rows(dataset).into_iter();
    conflicts(sentences.map(|(row, example, tags)| (fold(example), tags.join(" "), row)))
}

/// Words with the same two words on each side that are tagged differently, in sentences that are not the
/// same; most rows first. Two words are little: people disagree by right about some of them.
pub fn conflicting_contexts(dataset: &Dataset) -> Vec<ConflictingTags> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut places: Vec<(String, String, usize)> = Vec::new();
    for (row, example, tags) in tagged_rows(dataset) {
        if !seen.insert(fold(example)) {
            continue;
        }
        let words: Vec<&str> = example.words().collect();
        for (token, tag) in tags.into_iter().enumerate() {
            let around = token.saturating_sub(CONTEXT)..(token + CONTEXT + 1).min(words.len());
            // A sentence that is shorter than a context has little to say.
            if around.len() > 2 * CONTEXT {
                places.push((words[around].join(" "), tag.to_owned(), row));
            }
        }
    }
    conflicts(places.into_iter())
}

/// Words on either side.
const CONTEXT: usize = 2;

fn conflicts(places: impl Iterator<Item = (String, String, usize)>) -> Vec<ConflictingTags> {
    let mut texts: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (text, tags, row) in places {
        texts.entry(text).or_default().entry(tags).or_default().push(row);
    }
    let several = texts.into_iter().filter(|(_, tags)| tags.len() > 1);
    let mut found: Vec<ConflictingTags> = several.map(|(text, tags)| ConflictingTags { text, tags }).collect();
    let rows = |conflict: &ConflictingTags| conflict.tags.values().map(Vec::len).sum::<usize>();
    found.sort_by(|a, b| rows(b).cmp(&rows(a)).then_with(|| a.text.cmp(&b.text)));
    found
}

/// The rows that are words with a tag each.
fn tagged_rows(dataset: &Dataset) -> Vec<(usize, &Example, Vec<&str>)> {
    let tagged = |(row, example)| Some((row, example, tags_of(dataset, example).ok()?));
    dataset.examples.iter().enumerate().filter_map(tagged).collect()
}
