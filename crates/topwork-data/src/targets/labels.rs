//! Any number of labels a row: a list, one text with `;` between the labels, or a column of 0 and 1 for each.
//!
//! Only `;` parts a text: `|` and `,` stand within names of labels too often.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::space::places_of;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::labels::LabelSet;
use crate::target_error::TargetError;

/// What stands between the labels of one text.
pub(super) const SEPARATOR: char = ';';

/// The labels that occur; with a column for each, these, in the order of the file.
pub(super) fn from_training(dataset: &Dataset) -> Result<LabelSet, DataError> {
    let columns = &dataset.columns.labels;
    if columns.len() > 1 {
        let labels = LabelSet::from_names(columns.clone())?;
        let rows = encode(&labels, dataset)?;
        for (place, column) in columns.iter().enumerate() {
            let ones = rows.column(place).filter(|&applies| applies).count();
            if ones == 0 || ones == rows.rows() {
                let (path, column) = (dataset.path.clone(), column.clone());
                return Err(TargetError::OneValueColumn { path, column, value: u8::from(ones > 0) }.into());
            }
        }
        return Ok(labels);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for example in &dataset.examples {
        for label in parts(dataset, example)? {
            *counts.entry(label).or_default() += 1;
        }
    }
    let (path, column) = (dataset.path.clone(), dataset.columns.label_names());
    match counts.first_key_value() {
        None => Err(TargetError::NoLabels { path, column }.into()),
        Some((&label, &rows)) if counts.len() == 1 && rows == dataset.examples.len() => {
            Err(DataError::OneClass { path, column, label: label.to_owned() })
        }
        Some(_) => Ok(LabelSet::ordered(counts.into_keys().collect())),
    }
}

/// Which labels apply to each row `[rows, labels]`.
pub(super) fn encode(labels: &LabelSet, dataset: &Dataset) -> Result<Matrix<bool>, DataError> {
    let several = dataset.columns.labels.len() > 1;
    let places = if several { places_of(labels.names(), dataset)? } else { Vec::new() };
    let numbers: BTreeMap<&str, usize> = labels.names().iter().enumerate().map(|(at, name)| (&**name, at)).collect();
    let mut values = Vec::with_capacity(dataset.examples.len() * labels.len());
    for example in &dataset.examples {
        let row = values.len();
        if several {
            for &place in &places {
                values.push(yes_or_no(dataset, example, place)?);
            }
            continue;
        }
        values.resize(row + labels.len(), false);
        for label in parts(dataset, example)? {
            let Some(&number) = numbers.get(label) else {
                return Err(DataError::UnknownLabel {
                    path: dataset.path.clone(),
                    line: example.line,
                    column: dataset.columns.label_names(),
                    found: label.to_owned(),
                    known: labels.names().to_vec(),
                });
            };
            values[row + number] = true;
        }
    }
    Ok(Matrix::new(labels.len().max(1), values))
}

fn yes_or_no(dataset: &Dataset, example: &Example, place: usize) -> Result<bool, DataError> {
    let found = example.label.as_ref().and_then(|label| label.values().get(place)).map_or("", String::as_str);
    is_one(found).ok_or_else(|| {
        let (path, line) = (dataset.path.clone(), example.line);
        TargetError::NotBinary { path, line, column: dataset.columns.labels[place].clone(), found: found.into() }.into()
    })
}

/// What a field of 0 and 1 says; also as a boolean, or as a number with a decimal point, as tools write a column with gaps.
pub(super) fn is_one(field: &str) -> Option<bool> {
    match field.trim().to_lowercase().as_str() {
        "1" | "1.0" | "true" => Some(true),
        "0" | "0.0" | "false" => Some(false),
        _ => None,
    }
}

/// The labels of a row, each once.
pub(crate) fn parts<'a>(dataset: &Dataset, example: &'a Example) -> Result<Vec<&'a str>, DataError> {
    let parts = match &example.label {
        None => Vec::new(),
        Some(Label::Text(text)) => parts_of_text(text),
        Some(Label::List(values)) => values.iter().map(String::as_str).collect(),
    };
    let (path, line, column) = (dataset.path.clone(), example.line, dataset.columns.label_names());
    let mut seen = BTreeSet::new();
    for part in &parts {
        if part.trim().is_empty() {
            return Err(TargetError::BlankLabel { path, line, column }.into());
        }
        if !seen.insert(part) {
            return Err(TargetError::RepeatedLabel { path, line, column, label: (*part).to_owned() }.into());
        }
    }
    Ok(parts)
}

/// The labels of a text, without the space around them; nothing between two separators is no label.
pub(super) fn parts_of_text(text: &str) -> Vec<&str> {
    text.split(SEPARATOR).map(str::trim).filter(|part| !part.is_empty()).collect()
}
