//! Holding rows out of training.

use std::collections::BTreeMap;

use crate::dataset::Dataset;
use crate::example::Example;
use crate::learnt::LearntRows;
use crate::random::Stream;

/// The two parts of a data set, as row numbers in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldOut {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to judge by.
    pub held_out: Vec<usize>,
}

/// Holds out about `fraction` of the rows, in each class the same part as far as whole rows allow.
///
/// Rows whose texts are the same or nearly the same ([`LearntRows`]) stay together, so that no held-out row was seen in
/// training. Every class keeps a training row. A class with at least two different texts has a held-out row, provided
/// that `fraction` of all rows is at least one row for every such class. Where many rows repeat, fewer are held out:
/// neither more rows nor more different texts of a class than `fraction` of them, rounded.
///
/// `labels` are the classes of the rows, below `classes`. The result is a function of the arguments alone, on every
/// platform.
///
/// # Panics
///
/// When `labels` is not as long as the data set, or names a class that is not below `classes`.
pub fn hold_out(dataset: &Dataset, labels: &[u32], classes: usize, fraction: f64, seed: u64) -> HoldOut {
    assert_eq!(dataset.examples.len(), labels.len(), "every row has a class");
    // NaN is no fraction: nothing is held out.
    let fraction = if fraction > 0.0 { fraction.min(1.0) } else { 0.0 };
    let stream = Stream::named("hold out", seed);
    let mut by_class: Vec<Vec<Group>> = vec![Vec::new(); classes];
    for group in groups(&dataset.examples, labels) {
        by_class[group.class as usize].push(group);
    }
    let mut split = Split { labels, in_training: vec![0; classes], is_held: vec![false; labels.len()] };
    for &label in labels {
        split.in_training[label as usize] += 1;
    }
    let quotas = quotas(&split.in_training, &by_class, fraction, &stream);
    for (class, mut groups) in by_class.into_iter().enumerate() {
        stream.nth(class as u64 + 1).shuffle(&mut groups);
        split.hold(&groups, class, quotas[class], fraction);
    }
    let (held_out, train) = (0..labels.len()).partition(|&row| split.is_held[row]);
    HoldOut { train, held_out }
}

/// Parts the rows into `count` folds, as row numbers in ascending order: each row is in one. Rows whose texts are the same or
/// nearly the same are in the same fold, and every class is spread over the folds as evenly as that allows.
///
/// `labels` are the classes of the rows, below `classes`. The result is a function of the arguments alone.
///
/// # Panics
///
/// When `labels` is not as long as `examples`, or names a class that is not below `classes`.
pub fn folds(examples: &[Example], labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
    assert_eq!(examples.len(), labels.len(), "every row has a class");
    let stream = Stream::named("folds", seed);
    let mut by_class: Vec<Vec<Group>> = vec![Vec::new(); classes];
    for group in groups(examples, labels) {
        by_class[group.class as usize].push(group);
    }
    let mut folds: Vec<Vec<usize>> = vec![Vec::new(); count.max(1)];
    for (class, mut groups) in by_class.into_iter().enumerate() {
        stream.nth(class as u64).shuffle(&mut groups);
        // Large groups first: what is left evens them out.
        groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
        let mut of_class = vec![0; folds.len()];
        for group in groups {
            let emptiest = (0..folds.len()).min_by_key(|&fold| (of_class[fold], folds[fold].len()));
            let fold = emptiest.unwrap_or(0);
            of_class[fold] += group.rows.len();
            folds[fold].extend(group.rows);
        }
    }
    folds.iter_mut().for_each(|fold| fold.sort_unstable());
    folds
}

/// How many different texts each class has, as [`folds`] sees them: a class is in at most so many folds.
/// A text with several labels counts for the most frequent of them.
///
/// # Panics
///
/// When a label is not below `classes`.
pub fn distinct_texts(examples: &[Example], labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    groups(examples, labels).iter().for_each(|group| counts[group.class as usize] += 1);
    counts
}

/// Rows with the same text, or nearly the same.
#[derive(Clone, Debug)]
struct Group {
    rows: Vec<usize>,
    /// The class of most of them; the lowest among equals.
    class: u32,
}

/// The groups in the order of their first rows.
fn groups(examples: &[Example], labels: &[u32]) -> Vec<Group> {
    let alike = LearntRows::new(examples).groups();
    let mut numbers: BTreeMap<_, usize> = BTreeMap::new();
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (row, text) in alike.into_iter().enumerate() {
        let number = *numbers.entry(text).or_insert(rows.len());
        if number == rows.len() {
            rows.push(Vec::new());
        }
        rows[number].push(row);
    }
    let group = |rows: Vec<usize>| {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &row in &rows {
            *counts.entry(labels[row]).or_default() += 1;
        }
        let mut class = labels[rows[0]];
        let mut most = 0;
        for (label, count) in counts {
            if count > most {
                (class, most) = (label, count);
            }
        }
        Group { rows, class }
    };
    rows.into_iter().map(group).collect()
}

/// How many rows of each class are to be held out: the fraction, rounded so that the sum is right too (the largest
/// remainders are rounded up, by lot among equals), and at least one where there is room for one of each class.
fn quotas(rows: &[usize], groups: &[Vec<Group>], fraction: f64, stream: &Stream) -> Vec<usize> {
    let mut quotas: Vec<usize> = rows.iter().map(|&rows| (fraction * rows as f64) as usize).collect();
    let total = (fraction * rows.iter().sum::<usize>() as f64).round() as usize;
    let missing = total.saturating_sub(quotas.iter().sum());
    let mut classes: Vec<usize> = (0..rows.len()).collect();
    stream.nth(0).shuffle(&mut classes);
    let remainder = |class: usize| fraction * rows[class] as f64 - quotas[class] as f64;
    classes.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
    for &class in classes.iter().take(missing) {
        quotas[class] += 1;
    }
    let divisible = groups.iter().filter(|groups| groups.len() > 1).count();
    if total >= divisible && total > 0 {
        for (quota, groups) in quotas.iter_mut().zip(groups) {
            *quota = (*quota).max(usize::from(groups.len() > 1));
        }
    }
    quotas
}

struct Split<'a> {
    labels: &'a [u32],
    /// Rows of each class that are not held out.
    in_training: Vec<usize>,
    is_held: Vec<bool>,
}

impl Split<'_> {
    /// Holds out groups of `class`, at most `quota` rows of it and `fraction` of the groups. If the first group alone
    /// would exceed the quota everywhere, the smallest one is held out.
    fn hold(&mut self, groups: &[Group], class: usize, quota: usize, fraction: f64) {
        if quota == 0 || groups.len() < 2 {
            return;
        }
        let mut groups_left = ((fraction * groups.len() as f64).round() as usize).clamp(1, groups.len() - 1);
        let mut rows_left = quota;
        for group in groups {
            let rows = self.rows_of(group, class);
            if groups_left > 0 && rows <= rows_left && self.leaves_training_rows(group) {
                self.take(group);
                rows_left -= rows;
                groups_left -= 1;
            }
        }
        if rows_left == quota {
            let smallest =
                groups.iter().filter(|group| self.leaves_training_rows(group)).min_by_key(|group| group.rows.len());
            if let Some(group) = smallest {
                self.take(group);
            }
        }
    }

    fn rows_of(&self, group: &Group, class: usize) -> usize {
        group.rows.iter().filter(|&&row| self.labels[row] as usize == class).count()
    }

    /// Whether every class of `group` has a row elsewhere that is not held out.
    fn leaves_training_rows(&self, group: &Group) -> bool {
        group.rows.iter().all(|&row| {
            let class = self.labels[row] as usize;
            self.in_training[class] > self.rows_of(group, class)
        })
    }

    fn take(&mut self, group: &Group) {
        for &row in &group.rows {
            self.is_held[row] = true;
            self.in_training[self.labels[row] as usize] -= 1;
        }
    }
}
