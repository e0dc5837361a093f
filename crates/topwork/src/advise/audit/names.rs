//! The classes, labels or tags that rows name, as they stand there: however malformed a row is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use topwork_data::{Columns, Example, Label, LabelSet, TargetKind, without_case};

use super::{Audit, Splits, rows_have};

/// Classes more unequal than this are worth a word.
const UNEQUAL: f64 = 10.0;

/// A class, a label or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassRows {
    /// Its name.
    pub label: String,
    /// Its rows in each of the files; of a tag, its words.
    pub rows: Vec<usize>,
}

/// A class, a label or a tag that no training row has; where a file declares them, one that is not declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownLabel {
    /// `validation` or `test`; `train` too, where names are declared.
    pub split: &'static str,
    /// The label.
    pub label: String,
    /// The rows that have it.
    pub rows: usize,
    /// The line of the first of them, from 1.
    pub line: usize,
    /// A training label that differs only in case or space.
    pub variant_of: Option<String>,
}

/// What a row names: its class, its labels in alphabetical order, or the tag of each word.
pub(super) fn named<'a>(kind: TargetKind, columns: &'a Columns, example: &'a Example) -> Vec<&'a str> {
    let each_once = |labels: BTreeSet<&'a str>| labels.into_iter().collect();
    match (kind, &example.label) {
        (TargetKind::Value, _) | (_, None) | (TargetKind::TokenTags, Some(Label::Text(_))) => Vec::new(),
        (TargetKind::Class, Some(label)) => label.text().into_iter().collect(),
        (TargetKind::Labels, Some(Label::Text(text))) => {
            each_once(text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect())
        }
        (TargetKind::Labels, Some(Label::List(values))) if columns.labels.len() > 1 => {
            let applies = |value: &String| matches!(value.trim().to_lowercase().as_str(), "1" | "1.0" | "true");
            let with = columns.labels.iter().zip(values).filter(|(_, value)| applies(value));
            each_once(with.map(|(column, _)| column.as_str()).collect())
        }
        (TargetKind::Labels, Some(Label::List(values))) => {
            each_once(values.iter().map(String::as_str).filter(|value| !value.trim().is_empty()).collect())
        }
        (TargetKind::TokenTags, Some(Label::List(tags))) => {
            tags.iter().map(String::as_str).filter(|tag| !tag.trim().is_empty()).collect()
        }
    }
}

/// What a row is to be answered with, in one way of writing, so that equal answers are equal texts.
pub(super) fn written(kind: TargetKind, columns: &Columns, example: &Example) -> Option<String> {
    match kind {
        TargetKind::Class => example.label.as_ref().map(Label::to_string),
        TargetKind::Labels if example.label.is_none() && columns.labels.len() > 1 => None,
        TargetKind::Labels => {
            let labels = named(kind, columns, example);
            Some(if labels.is_empty() { "no label".to_string() } else { labels.join(";") })
        }
        TargetKind::Value => {
            let number = |value: &String| value.trim().parse().map_or(value.clone(), |own: f64| own.to_string());
            let values = example.label.as_ref()?.values();
            Some(values.iter().map(number).collect::<Vec<_>>().join(";"))
        }
        TargetKind::TokenTags => Some(example.label.as_ref()?.values().join(" ")),
    }
}

/// The names that a file declares, else those that occur in the training file; where each label has a column, all of these.
pub(super) fn known(splits: &Splits) -> Vec<String> {
    let train = &splits.datasets[0];
    if splits.kind == TargetKind::Labels && train.columns.labels.len() > 1 {
        return train.columns.labels.clone();
    }
    if let Some(names) = &splits.declared {
        return names.clone();
    }
    let names = train.examples.iter().flat_map(|example| named(splits.kind, &train.columns, example));
    match splits.kind {
        TargetKind::TokenTags => LabelSet::ordered(names.map(str::to_owned).collect()),
        _ => LabelSet::of_labels(names),
    }
    .names()
    .to_vec()
}

/// The rows of each name in each of the files.
pub(super) fn counts(splits: &Splits, names: &[String]) -> Vec<ClassRows> {
    let of_split = |split: &topwork_data::Dataset| {
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        let named = split.examples.iter().flat_map(|example| named(splits.kind, &split.columns, example));
        named.for_each(|name| *rows.entry(name.to_string()).or_default() += 1);
        rows
    };
    let counts: Vec<BTreeMap<String, usize>> = splits.datasets.iter().map(of_split).collect();
    let rows = |name: &String| counts.iter().map(|counts| counts.get(name).copied().unwrap_or(0)).collect();
    names.iter().map(|name| ClassRows { label: name.clone(), rows: rows(name) }).collect()
}

/// What later files name and the training file does not know; of declared names, what any file names beside them.
pub(super) fn unknown(splits: &Splits, known: &[String]) -> Vec<UnknownLabel> {
    let is_known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let mut found: Vec<UnknownLabel> = Vec::new();
    let first = usize::from(splits.declared.is_none());
    for (dataset, &split) in splits.datasets.iter().zip(&splits.names).skip(first) {
        let mut unknown: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for example in &dataset.examples {
            let names: BTreeSet<&str> = named(splits.kind, &dataset.columns, example).into_iter().collect();
            for name in names.into_iter().filter(|name| !is_known.contains(name)) {
                unknown.entry(name).or_insert((0, example.line)).0 += 1;
            }
        }
        found.extend(unknown.into_iter().map(|(label, (rows, line))| UnknownLabel {
            split,
            label: label.to_string(),
            rows,
            line,
            variant_of: known.iter().find(|own| without_case(own) == without_case(label)).cloned(),
        }));
    }
    found
}

/// The name that training rows have, where it is one alone.
pub(super) fn only_occurring(names: &[ClassRows]) -> Option<&ClassRows> {
    let mut occurring = names.iter().filter(|name| name.rows[0] > 0);
    occurring.next().filter(|_| occurring.next().is_none())
}

pub(super) fn findings(audit: &Audit, kind: TargetKind, are_declared: bool) -> Vec<String> {
    let mut findings = Vec::new();
    let what = if kind == TargetKind::TokenTags { "tag" } else { "label" };
    for UnknownLabel { split, label, rows, line, variant_of } in &audit.unknown_labels {
        let alike = variant_of.as_ref().map_or(String::new(), |own| format!("; `{own}` differs only in case or space"));
        findings.push(format!(
            "{} the {what} `{label}`, which {} (line {line}){alike}",
            rows_have(*rows, split),
            if are_declared { "is not declared" } else { "no training row has" }
        ));
    }
    if let Some(only) = only_occurring(&audit.classes) {
        findings.push(format!("all training rows that have a label have the same, `{}`", only.label));
    }
    for (first, second) in &audit.label_variants {
        findings.push(format!("labels `{first}` and `{second}` differ only in case or space"));
    }
    if audit.imbalance.is_some_and(|imbalance| imbalance >= UNEQUAL) {
        let largest = audit.classes.iter().max_by_key(|class| class.rows[0]);
        let smallest = audit.classes.iter().filter(|class| class.rows[0] > 0).min_by_key(|class| class.rows[0]);
        if let (Some(largest), Some(smallest)) = (largest, smallest) {
            findings.push(format!(
                "classes are unequal: {} rows of `{}`, {} of `{}`",
                largest.rows[0], largest.label, smallest.rows[0], smallest.label
            ));
        }
    }
    findings
}
