//! What tags are like where each word has one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use topwork_data::audit::{conflicting_contexts, malformed_tags};
use topwork_data::{TagScheme, TargetKind, TargetSpace};

use super::names::{ClassRows, named, only_occurring};
use super::{Place, Splits, counted};

/// The tags of the files; of rows that are not words with a tag each, none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagsAudit {
    /// How the tags of the training file make spans, `IOB1` or as [`TagScheme`] is written; none where they fit with no scheme.
    pub scheme: Option<String>,
    /// The tags of the training file, and their words in each of the files.
    pub words: Vec<ClassRows>,
    /// Tags that do not follow from those around them, or fit with no scheme.
    pub malformed: Vec<MalformedTag>,
    /// Words of the training file that are tagged differently between the same two words on each side.
    pub conflicting_contexts: Vec<TagConflict>,
}

/// A tag that does not follow from those around it, or fits with no scheme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MalformedTag {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// The line of the word, where each word has its own; else that of the row.
    pub line: usize,
    /// The word's place in its row, from 1.
    pub token: usize,
    /// The word.
    pub word: String,
    /// Its tag.
    pub tag: String,
    /// What could stand there.
    pub expected: String,
}

/// A word that is tagged differently between the same words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagConflict {
    /// The word with those beside it.
    pub text: String,
    /// The rows of each of its tags.
    pub tags: BTreeMap<String, Vec<Place>>,
}

impl TagsAudit {
    pub(super) fn of(splits: &Splits, counts: &[ClassRows]) -> Self {
        let train = &splits.datasets[0];
        let tags: BTreeSet<&str> =
            train.examples.iter().flat_map(|example| named(splits.kind, &train.columns, example)).collect();
        let scheme = match TargetSpace::from_training(TargetKind::TokenTags, train) {
            Ok(TargetSpace::Tags { from_iob1: true, .. }) => Some("IOB1".to_string()),
            _ => TagScheme::of(&tags).ok().map(|scheme| scheme.to_string()),
        };
        let mut malformed = Vec::new();
        for (dataset, &split) in splits.datasets.iter().zip(&splits.names) {
            malformed.extend(malformed_tags(dataset).into_iter().map(|own| MalformedTag {
                split,
                line: own.place.line,
                token: own.place.token,
                word: own.place.word,
                tag: own.tag,
                expected: own.expected,
            }));
        }
        let place = |row: usize| Place { split: splits.names[0], line: train.examples[row].line };
        let conflict = |own: topwork_data::audit::ConflictingTags| TagConflict {
            text: own.text,
            tags: own.tags.into_iter().map(|(tag, rows)| (tag, rows.into_iter().map(place).collect())).collect(),
        };
        Self {
            scheme,
            words: counts.to_vec(),
            malformed,
            conflicting_contexts: conflicting_contexts(train).into_iter().map(conflict).collect(),
        }
    }

    pub(super) fn hindrance(&self) -> Option<&'static str> {
        match self.words.iter().filter(|tag| tag.rows[0] > 0).count() {
            0 | 1 => Some("it takes two tags at least"),
            _ if !self.malformed.is_empty() => Some("tags are malformed"),
            _ => None,
        }
    }

    pub(super) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if let Some(only) = only_occurring(&self.words) {
            findings.push(format!("all training words that have a tag have the same, `{}`", only.label));
        }
        if self.words.iter().all(|tag| tag.rows[0] == 0) {
            findings.push("no training word has a tag".to_string());
        }
        if let Some(MalformedTag { split, line, token, word, tag, expected }) = self.malformed.first() {
            findings.push(format!(
                "{} malformed, the first on line {line} of the {split} file: word {token} (`{word}`) has `{tag}`, \
                 expected {expected}",
                counted(self.malformed.len(), "tag is", "tags are")
            ));
        }
        if let Some(conflict) = self.conflicting_contexts.first() {
            let tags: Vec<&str> = conflict.tags.keys().map(String::as_str).collect();
            findings.push(format!(
                "{} tagged differently between the same words, such as that in the middle of `{}`: {}",
                counted(self.conflicting_contexts.len(), "word is", "words are"),
                conflict.text,
                tags.join(", ")
            ));
        }
        findings
    }
}
