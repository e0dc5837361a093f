//! The classes of a task: names, order and numbers.

use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::UnicodeNormalization;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::same_label::{Classes, class_names, label_key};
use crate::target_error::TargetError;

/// The names of the classes; a class's number is its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    names: Vec<String>,
}

impl LabelSet {
    /// The labels that occur in the training data: by number if all are integers, else by code point. Labels that are
    /// the integers from 0 to n − 1 so keep their numbers.
    ///
    /// # Errors
    ///
    /// When a row has no label, or there are fewer than two different ones.
    pub fn from_training(dataset: &Dataset) -> Result<LabelSet, DataError> {
        let labels =
            dataset.examples.iter().map(|example| label_of(dataset, example)).collect::<Result<Vec<_>, _>>()?;
        let classes = LabelSet::of_labels(labels.into_iter());
        if let [label] = classes.names() {
            let column = dataset.columns.label_names();
            return Err(DataError::OneClass { path: dataset.path.clone(), column, label: label.clone() });
        }
        Ok(classes)
    }

    /// The classes of these labels, however few; those that are the same are one.
    pub fn of_labels<'l>(labels: impl Iterator<Item = &'l str>) -> LabelSet {
        LabelSet::ordered(class_names(labels))
    }

    /// The classes of these names, however few: by number if all are integers, else by code point.
    pub fn ordered(names: BTreeSet<String>) -> LabelSet {
        let mut names: Vec<String> = names.into_iter().collect();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            // A stable sort, so that `01` and `1` have an order as well.
            names.sort_by_key(|name| name.parse::<i64>().ok());
        }
        LabelSet { names }
    }

    /// The classes of an existing model, in its order.
    ///
    /// # Errors
    ///
    /// When a name occurs twice.
    pub fn from_names(names: Vec<String>) -> Result<LabelSet, DataError> {
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(name.as_str())) {
            Some(label) => Err(DataError::DuplicateLabel { label: label.clone() }),
            None => Ok(LabelSet { names }),
        }
    }

    /// The names, in the order of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many classes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The class of every row of `dataset`.
    ///
    /// # Errors
    ///
    /// When a row has no label, or one that is the same as none of the names.
    pub fn encode(&self, dataset: &Dataset) -> Result<Vec<u32>, DataError> {
        let classes = Classes::new(&self.names);
        let encode = |example| {
            let label = label_of(dataset, example)?;
            classes.of(label).ok_or_else(|| DataError::UnknownLabel {
                path: dataset.path.clone(),
                line: example.line,
                column: dataset.columns.label_names(),
                found: label.to_owned(),
                known: self.names.clone(),
            })
        };
        dataset.examples.iter().map(encode).collect()
    }

    /// Rows per class. A number that is not a class is not counted.
    pub fn counts(&self, labels: &[u32]) -> Vec<usize> {
        let mut counts = vec![0; self.len()];
        for &label in labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }
}

/// Pairs of different names that are the same but for case, or for letters that look alike, each in the order of `names`: most often a slip
/// of the pen that would become a class of its own.
pub fn label_variants(names: &[String]) -> Vec<(String, String)> {
    let mut first: BTreeMap<String, &String> = BTreeMap::new();
    let mut pairs = Vec::new();
    for name in names {
        let earlier = *first.entry(without_case(name)).or_insert(name);
        if earlier != name {
            pairs.push((earlier.clone(), name.clone()));
        }
    }
    pairs
}

/// What labels have in common that differ only in case, or in letters that Unicode calls compatible.
pub fn without_case(name: &str) -> String {
    label_key(name).nfkc().collect::<String>().to_lowercase()
}

fn label_of<'a>(dataset: &'a Dataset, example: &'a Example) -> Result<&'a str, DataError> {
    let (path, line, column) = (dataset.path.clone(), example.line, dataset.columns.label_names());
    match &example.label {
        Some(Label::Text(label)) if !label.trim().is_empty() => Ok(label),
        Some(Label::List(found)) => Err(TargetError::SeveralLabels { path, line, column, found: found.len() }.into()),
        Some(Label::Text(_)) | None => Err(dataset.missing_labels(vec![(line, String::new())])),
    }
}
