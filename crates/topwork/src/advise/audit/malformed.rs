//! Rows whose label is not what the task takes: a run would stop at the first of them, an audit lists all.

use serde::Serialize;
use topwork_data::{DataError, Dataset, Example, Label, TargetError, TargetKind, TargetSpace, Targets};

use super::{Splits, counted};

/// A row whose label is not what the task takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MalformedTarget {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// The line on which the row begins, from 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub problem: String,
}

/// What the targets may be: as a run would have it or, where it would not take the file, with the `known` names. None without any
/// name.
pub(super) fn space(splits: &Splits, known: &[String]) -> Option<TargetSpace> {
    let train = &splits.datasets[0];
    // Classes and labels are those that occur. A span of tags has more than its first word's.
    let of_run = || TargetSpace::from_training(splits.kind, train).ok();
    let of_names =
        |names: Vec<String>| (!names.is_empty()).then(|| TargetSpace::from_names(splits.kind, names).ok()).flatten();
    match splits.kind {
        TargetKind::Class | TargetKind::Labels => of_names(known.to_vec()),
        // Rows without any tag are malformed, too.
        TargetKind::TokenTags if known.is_empty() => of_names(vec!["O".to_string()]),
        TargetKind::TokenTags if splits.declared.is_some() => of_names(known.to_vec()).or_else(of_run),
        TargetKind::TokenTags => of_run().or_else(|| of_names(known.to_vec())),
        TargetKind::Value => of_run().or_else(|| of_names(outputs(train))),
    }
}

/// The names of the outputs; of a list, as many as most rows have numbers.
fn outputs(train: &Dataset) -> Vec<String> {
    let [column] = train.columns.labels.as_slice() else { return train.columns.labels.clone() };
    let lists = train.examples.iter().filter_map(|example| match &example.label {
        Some(Label::List(values)) => Some(values.len().max(1)),
        _ => None,
    });
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    lists.for_each(|length| *counts.entry(length).or_default() += 1);
    match counts.into_iter().max_by_key(|(_, rows)| *rows) {
        Some((length, _)) => (1..=length).map(|number| format!("{column} {number}")).collect(),
        None => vec![column.clone()],
    }
}

/// The file with one row alone, to read each for itself.
fn alone(dataset: &Dataset, example: &Example) -> Dataset {
    Dataset {
        path: dataset.path.clone(),
        format: dataset.format,
        columns: dataset.columns.clone(),
        examples: vec![example.clone()],
        sha256: String::new(),
        ignored_columns: Vec::new(),
        notes: Vec::new(),
        class_names: None,
        missing: Vec::new(),
    }
}

/// The rows that the task takes, and their targets; none where it takes no row.
pub(super) fn sound(dataset: &Dataset, space: &TargetSpace) -> Option<(Dataset, Targets)> {
    if let Ok(targets) = space.encode(dataset) {
        return Some((dataset.clone(), targets));
    }
    let is_sound = |example: &&Example| space.encode(&alone(dataset, example)).is_ok();
    let examples: Vec<Example> = dataset.examples.iter().filter(is_sound).cloned().collect();
    let sound = Dataset { examples, ..alone(dataset, &Example::default()) };
    let targets = space.encode(&sound).ok().filter(|_| !sound.examples.is_empty())?;
    Some((sound, targets))
}

/// Every row that cannot be read, in the order of the files. Labels that are missing or unknown, and tags that do not follow from those
/// around them, are reported elsewhere.
pub(super) fn malformed(splits: &Splits, space: &TargetSpace) -> Vec<MalformedTarget> {
    let mut found = Vec::new();
    for (dataset, &split) in splits.datasets.iter().zip(&splits.names) {
        if space.encode(dataset).is_ok() {
            continue;
        }
        let may_be_malformed = |example: &&Example| match &example.label {
            None => false,
            // Any text is a class, be it a known one or not.
            Some(Label::Text(_)) => splits.kind != TargetKind::Class,
            Some(Label::List(_)) => true,
        };
        for example in dataset.examples.iter().filter(may_be_malformed) {
            let Err(error) = space.encode(&alone(dataset, example)) else { continue };
            if !is_reported_elsewhere(&error) {
                let problem = error.to_string();
                let place = format!("{}: line {}: ", dataset.path.display(), example.line);
                let problem = problem.strip_prefix(&place).unwrap_or(&problem).to_string();
                found.push(MalformedTarget { split, line: example.line, problem });
            }
        }
    }
    found
}

fn is_reported_elsewhere(error: &DataError) -> bool {
    match error {
        DataError::UnknownLabel { .. } | DataError::MissingLabels { .. } => true,
        DataError::Target(error) => match &**error {
            TargetError::UnknownTag { .. } => true,
            TargetError::TagSequence { found, .. } => !found.is_empty(),
            _ => false,
        },
        _ => false,
    }
}

pub(super) fn finding(malformed: &[MalformedTarget]) -> Option<String> {
    let first = malformed.first()?;
    let rows = counted(malformed.len(), "row", "rows");
    Some(format!(
        "the labels of {rows} are not what the task takes, the first on line {} of the {} file: {}",
        first.line, first.split, first.problem
    ))
}
