//! Any number of labels a row: a list, one text with `;` between the labels, a column of 0 and 1 for each, or a list of
//! 0 and 1 for all of them.
//!
//! Only `;` parts a text: `|` and `,` stand within names of labels too often.

use std::collections::{BTreeMap, BTreeSet};

use super::Matrix;
use super::space::places_of;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::labels::LabelSet;
use crate::same_label::{Classes, class_names, label_key};
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
    if let Some(width) = dataset.flags() {
        let mut parted = dataset.clone();
        parted.part_flags(&flag_names(width));
        return from_training(&parted);
    }
    let rows = dataset.examples.iter().map(|example| parts(dataset, example)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = class_names(rows.iter().flatten().copied()).into_iter().collect();
    let classes = Classes::new(&names);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for class in rows.iter().flatten().filter_map(|label| classes.of(label)) {
        *counts.entry(&names[class as usize]).or_default() += 1;
    }
    let (path, column) = (dataset.path.clone(), dataset.columns.label_names());
    match counts.first_key_value() {
        None => Err(TargetError::NoLabels { path, column }.into()),
        Some((&label, &rows)) if counts.len() == 1 && rows == dataset.examples.len() => {
            Err(DataError::OneClass { path, column, label: label.to_owned() })
        }
        Some(_) if counts.values().all(|&rows| rows == dataset.examples.len()) => {
            let labels = counts.into_keys().map(str::to_owned).collect();
            Err(TargetError::SameLabels { path, column, labels }.into())
        }
        Some(_) => Ok(LabelSet::ordered(counts.into_keys().map(str::to_owned).collect())),
    }
}

/// Which labels apply to each row `[rows, labels]`.
pub(super) fn encode(labels: &LabelSet, dataset: &Dataset) -> Result<Matrix<bool>, DataError> {
    let several = dataset.columns.labels.len() > 1;
    // Where 0 and 1 are no names, lists of them say which labels apply.
    if let Some(width) = dataset.flags().filter(|_| labels.names().iter().all(|name| is_one(name).is_none())) {
        if width == labels.len() {
            let mut parted = dataset.clone();
            parted.part_flags(labels.names());
            return encode(labels, &parted);
        }
        let line = dataset.examples.first().map_or(0, |example| example.line);
        return Err(flag_count(dataset, line, labels.len(), width));
    }
    let places = if several { places_of(labels.names(), dataset)? } else { Vec::new() };
    let classes = Classes::new(labels.names());
    let mut values = Vec::with_capacity(dataset.examples.len() * labels.len());
    for example in &dataset.examples {
        let row = values.len();
        if several {
            let found = example.label.as_ref().map_or(places.len(), |label| label.values().len());
            if found != places.len() {
                return Err(flag_count(dataset, example.line, places.len(), found));
            }
            for &place in &places {
                values.push(yes_or_no(dataset, example, place)?);
            }
            continue;
        }
        values.resize(row + labels.len(), false);
        for label in parts(dataset, example)? {
            let Some(class) = classes.of(label) else {
                return Err(DataError::UnknownLabel {
                    path: dataset.path.clone(),
                    line: example.line,
                    column: dataset.columns.label_names(),
                    found: label.to_owned(),
                    known: labels.names().to_vec(),
                });
            };
            values[row + class as usize] = true;
        }
    }
    Ok(Matrix::new(labels.len().max(1), values))
}

impl Dataset {
    /// How many labels the lists of the rows say 0 or 1 of: where all lists are equally long, longer than one, and hold 0 and 1
    /// alone. A list without anything says nothing of this. None where the lists are the tags of words.
    pub fn flags(&self) -> Option<usize> {
        let mut width = None;
        for label in self.examples.iter().filter_map(|example| example.label.as_ref()) {
            let Label::List(values) = label else { return None };
            if values.is_empty() {
                continue;
            }
            let is_odd = values.len() < 2 || *width.get_or_insert(values.len()) != values.len();
            if is_odd || values.iter().any(|value| is_one(value).is_none()) {
                return None;
            }
        }
        width.filter(|_| self.columns.labels.len() == 1 && !self.is_tagged())
    }

    /// Takes each place of the lists as a column of its own with one of `names`, as [`flag_names`] makes them where nobody said
    /// any. Reading the labels refuses a row that has more or fewer.
    pub fn part_flags(&mut self, names: &[String]) {
        self.columns.labels = names.to_vec();
    }
}

/// The names of so many labels that have none, as transformers gives them.
pub fn flag_names(width: usize) -> Vec<String> {
    (0..width).map(|place| format!("LABEL_{place}")).collect()
}

fn flag_count(dataset: &Dataset, line: usize, expected: usize, found: usize) -> DataError {
    let (path, column) = (dataset.path.clone(), dataset.columns.label_names());
    TargetError::NumberCount { path, line, column, expected, found }.into()
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
    let parts = example.label.as_ref().map(parts_of).unwrap_or_default();
    let (path, line, column) = (dataset.path.clone(), example.line, dataset.columns.label_names());
    let mut seen = BTreeSet::new();
    for part in &parts {
        if part.trim().is_empty() {
            return Err(TargetError::BlankLabel { path, line, column }.into());
        }
        if !seen.insert(label_key(part)) {
            return Err(TargetError::RepeatedLabel { path, line, column, label: (*part).to_owned() }.into());
        }
    }
    Ok(parts)
}

/// The labels that a label names.
pub(super) fn parts_of(label: &Label) -> Vec<&str> {
    match label {
        Label::Text(text) => parts_of_text(text),
        Label::List(values) => values.iter().map(String::as_str).collect(),
    }
}

/// The labels of a text, without the space around them; nothing between two separators is no label.
pub(super) fn parts_of_text(text: &str) -> Vec<&str> {
    text.split(SEPARATOR).map(str::trim).filter(|part| !part.is_empty()).collect()
}
