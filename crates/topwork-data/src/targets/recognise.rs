//! Which task the labels look like.

use std::collections::{BTreeMap, BTreeSet};

use super::TargetKind;
use super::labels::{is_one, parts_of_text};
use super::values::{decimal, number};
use crate::dataset::Dataset;
use crate::example::{Example, Label};
use crate::same_label::class_names;

/// Which task the labels of `dataset` look like where nobody said it, and why. What leaves a doubt is one class a row:
/// whole numbers are classes, also as `1.0`, and a `;` in a label is part of its name, unless what stands around it are
/// labels in other combinations as well. Among many different numbers a few labels that are none are slips, for which reading
/// the numbers has an error; as classes, each number would silently become one.
pub fn recognise(dataset: &Dataset) -> (TargetKind, String) {
    let labels = || dataset.examples.iter().filter_map(|example| example.label.as_ref());
    let lists = labels().filter(|label| matches!(label, Label::List(_))).count();
    let column = dataset.columns.label_names();
    if dataset.is_tagged() {
        let tagged = dataset.examples.iter().filter(is_tagged).count();
        let reason = format!("the rows are lists of words, with as many tags in `{column}`: {tagged} of {lists} rows");
        return (TargetKind::TokenTags, reason);
    }
    if dataset.columns.labels.len() > 1 {
        return of_columns(dataset);
    }
    if lists > 0 {
        let numbers: Vec<Option<f64>> = labels().flat_map(Label::values).map(|value| number(value)).collect();
        if !numbers.is_empty() && numbers.iter().all(Option::is_some) && numbers.iter().any(is_fraction) {
            return (TargetKind::Value, format!("`{column}` holds lists of numbers"));
        }
        let values: Vec<&str> = labels().flat_map(Label::values).map(String::as_str).collect();
        if let Some((numbers, fraction)) = nearly_numbers(&values) {
            return (TargetKind::Value, reason_of_most(numbers, values.len(), &column, fraction));
        }
        if let Some(width) = dataset.flags() {
            return (TargetKind::Labels, format!("`{column}` holds lists of 0 and 1, for {width} labels each"));
        }
        return (TargetKind::Labels, format!("`{column}` holds lists: {lists} of {} rows", dataset.examples.len()));
    }
    let texts: Vec<&str> = labels().filter_map(Label::text).collect();
    of_texts(&texts, &column)
}

impl Dataset {
    /// Whether most lists of labels are as long as the row has words.
    pub(super) fn is_tagged(&self) -> bool {
        let is_list = |example: &&Example| matches!(example.label, Some(Label::List(_)));
        let lists = self.examples.iter().filter(is_list).count();
        lists > 0 && 2 * self.examples.iter().filter(is_tagged).count() >= lists
    }
}

fn is_tagged(example: &&Example) -> bool {
    !example.words.is_empty() && matches!(&example.label, Some(Label::List(tags)) if tags.len() == example.words.len())
}

fn of_columns(dataset: &Dataset) -> (TargetKind, String) {
    let (columns, count) = (dataset.columns.label_names(), dataset.columns.labels.len());
    let fields = || {
        let labels = dataset.examples.iter().filter_map(|example| example.label.as_ref());
        labels.flat_map(Label::values).filter(|field| !field.trim().is_empty())
    };
    if fields().all(|field| is_one(field).is_some()) {
        return (TargetKind::Labels, format!("the {count} label columns `{columns}` hold 0 and 1 alone"));
    }
    if fields().all(|field| number(field).is_some()) {
        return (TargetKind::Value, format!("the {count} label columns `{columns}` hold numbers"));
    }
    let (numbers, all) = (fields().filter(|field| decimal(field).is_some()).count(), fields().count());
    if 10 * numbers >= 9 * all {
        return (TargetKind::Value, format!("{numbers} of {all} fields of the label columns `{columns}` are numbers"));
    }
    (TargetKind::Class, format!("the {count} label columns `{columns}` hold neither 0 and 1 nor numbers alone"))
}

fn of_texts(texts: &[&str], column: &str) -> (TargetKind, String) {
    let different: BTreeSet<&str> = texts.iter().copied().collect();
    let is_number = |text: &&str| text.trim().parse::<f64>().is_ok();
    let fraction = texts.iter().find(|text| is_fraction(&number(text)));
    if let Some(fraction) = fraction.filter(|_| different.iter().all(is_number)) {
        let reason = format!("all labels in `{column}` are numbers and not all are whole, such as `{fraction}`");
        return (TargetKind::Value, reason);
    }
    if let Some((numbers, fraction)) = nearly_numbers(texts) {
        return (TargetKind::Value, reason_of_most(numbers, texts.len(), column, fraction));
    }
    if let Some((joined, part)) = combination(&different) {
        let reason =
            format!("labels in `{column}` are joined by `;`, such as `{joined}`, and `{part}` stands elsewhere too");
        return (TargetKind::Labels, reason);
    }
    (
        TargetKind::Class,
        format!("every row has one of {} different labels in `{column}`", class_names(texts.iter().copied()).len()),
    )
}

/// So many different numbers are no names of classes.
const MANY_NUMBERS: usize = 20;

/// How many of `values` are numbers, and one that is not whole: where there are many different ones, and at least nine of ten
/// values are numbers. A decimal comma makes a number as well, though reading refuses it.
fn nearly_numbers<'a>(values: &[&'a str]) -> Option<(usize, &'a str)> {
    let numbers: Vec<&'a str> = values.iter().copied().filter(|value| decimal(value).is_some()).collect();
    let different: BTreeSet<&str> = numbers.iter().map(|number| number.trim()).collect();
    if different.len() < MANY_NUMBERS || 10 * numbers.len() < 9 * values.len() {
        return None;
    }
    numbers.iter().find(|value| is_fraction(&decimal(value))).map(|fraction| (numbers.len(), *fraction))
}

fn reason_of_most(numbers: usize, all: usize, column: &str, fraction: &str) -> String {
    format!("{numbers} of {all} labels in `{column}` are numbers and not all are whole, such as `{}`", fraction.trim())
}

fn is_fraction(number: &Option<f64>) -> bool {
    number.is_some_and(|number| number.fract() != 0.0)
}

/// A label that is joined from others, and one of these: if of the parts of joined labels at least half stand in another label
/// as well, and there are no more parts than different labels, as there would be if the `;` belonged to names.
fn combination<'a>(labels: &BTreeSet<&'a str>) -> Option<(&'a str, &'a str)> {
    let mut homes: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels {
        for part in parts_of_text(label).into_iter().collect::<BTreeSet<&str>>() {
            *homes.entry(part).or_default() += 1;
        }
    }
    let joined: Vec<&'a str> = labels.iter().copied().filter(|label| parts_of_text(label).len() > 1).collect();
    let parts: BTreeSet<&'a str> = joined.iter().flat_map(|label| parts_of_text(label)).collect();
    let recurring = |part: &&str| homes.get(*part).is_some_and(|&count| count > 1);
    let enough = 2 * parts.iter().filter(|part| recurring(part)).count() >= parts.len();
    if joined.is_empty() || !enough || homes.len() > labels.len() {
        return None;
    }
    let example = |label: &&'a str| Some((*label, parts_of_text(label).into_iter().find(|part| recurring(part))?));
    joined.iter().find_map(example)
}
