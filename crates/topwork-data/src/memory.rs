//! Rows that were handed over in memory: whether they hold together, and what their hash is of.

use std::path::Path;

use serde_json::json;

use crate::columns::Columns;
use crate::error::DataError;
use crate::example::{Example, Label};

/// The bytes that stand for `examples` in a hash, after a look at whether every row is what the others are.
pub(crate) fn checked(path: &Path, columns: &Columns, examples: &[Example]) -> Result<Vec<u8>, DataError> {
    let has_words = examples.first().is_some_and(|example| !example.words.is_empty());
    let mut bytes = Vec::new();
    for (row, example) in examples.iter().enumerate() {
        if let Some((expected, found)) = contradiction(columns, example, has_words) {
            return Err(DataError::MemoryRow { path: path.into(), row: row + 1, expected, found });
        }
        let words: Vec<[usize; 2]> = example.words.iter().map(|word| [word.start, word.end]).collect();
        let label = example.label.as_ref().map(|label| match label {
            Label::Text(text) => json!(text),
            Label::List(values) => json!(values),
        });
        bytes.extend_from_slice(json!([example.text, example.text_pair, words, label]).to_string().as_bytes());
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// What a row must have, and what it has instead.
fn contradiction(columns: &Columns, example: &Example, has_words: bool) -> Option<(&'static str, String)> {
    match (&columns.text_pair, example.text_pair.as_deref()) {
        (Some(_), None | Some("")) => return Some(("the second text of a pair", "nothing".into())),
        (None, Some(_)) => return Some(("a single text, as the columns have it", "a pair".into())),
        _ => {}
    }
    if !example.words.is_empty() && example.text_pair.is_some() {
        return Some(("a single text, as lists of words are", "a pair".into()));
    }
    match (has_words, example.words.is_empty()) {
        (true, true) => return Some(("a list of words, as the first row has", "none".into())),
        (false, false) => return Some(("plain text, as the first row has", "a list of words".into())),
        _ => {}
    }
    let mut end = 0;
    for word in &example.words {
        if word.start < end || example.text.get(word.clone()).is_none() {
            let found = format!("one at bytes {} to {} of {}", word.start, word.end, example.text.len());
            return Some(("words within the text, one after the other", found));
        }
        end = word.end;
    }
    match &example.label {
        Some(_) if columns.labels.is_empty() => Some(("no label, as there is no column of them", "one".into())),
        Some(Label::List(values)) if columns.labels.len() > 1 && values.len() != columns.labels.len() => {
            Some(("a value for each column of labels", values.len().to_string()))
        }
        Some(Label::Text(_)) if columns.labels.len() > 1 => {
            Some(("a value for each column of labels", "a single one".into()))
        }
        Some(Label::Text(text)) if text.trim().is_empty() => Some(("a label or none", "an empty one".into())),
        _ => None,
    }
}
