//! Texts that repeat: with other labels, in other files, nearly.

use std::collections::BTreeMap;

use serde::Serialize;
use topwork_data::audit::{Repeats, RowOf, Shared};

use super::{Place, Splits};

/// Pairs and rows of each kind that are kept to be shown.
const SHOWN: usize = 1_000;

/// A text with several labels: classes, sets of labels, numbers or tags.
#[derive(Clone, Debug, Serialize)]
pub struct Conflict {
    /// The beginning of the text.
    pub text: String,
    /// Rows of each label.
    pub labels: BTreeMap<String, usize>,
    /// Where they stand.
    pub rows: Vec<Place>,
}

/// What two files share.
#[derive(Clone, Debug, Serialize)]
pub struct SharedRows {
    /// The file that comes first.
    pub earlier: &'static str,
    /// The other one.
    pub later: &'static str,
    /// Different texts that stand in both, letter for letter.
    pub identical_texts: usize,
    /// Different texts that stand in both but for case and space; those letter for letter among them.
    pub texts: usize,
    /// Rows of the later file whose text stands in the earlier one, but for case and space.
    pub rows: usize,
    /// More rows of the later file whose text nearly agrees with one of the earlier.
    pub near_rows: usize,
}

/// Two rows whose texts agree or nearly agree.
#[derive(Clone, Debug, Serialize)]
pub struct TextPair {
    /// The row that comes first.
    pub first: Place,
    /// The other one.
    pub second: Place,
    /// The part of their runs of five letters that both have; 1 for texts that differ in case and space at most.
    pub resemblance: f64,
    /// The beginning of the first text.
    pub first_text: String,
    /// The beginning of the second text.
    pub second_text: String,
    /// Whether both have the same label.
    pub same_label: bool,
}

pub(super) fn conflicts(splits: &Splits, repeats: &Repeats) -> Vec<Conflict> {
    let conflict = |rows: &Vec<RowOf>| {
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        rows.iter().filter_map(|&row| splits.label(row)).for_each(|label| *labels.entry(label).or_default() += 1);
        let places = rows.iter().map(|&row| splits.place(row)).collect();
        (labels.len() > 1).then(|| Conflict { text: splits.text(rows[0]), labels, rows: places })
    };
    repeats.texts.iter().filter_map(conflict).collect()
}

pub(super) fn shared(splits: &Splits, repeats: &Repeats) -> Vec<SharedRows> {
    let count = splits.datasets.len();
    let combinations = (0..count).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    combinations
        .map(|(earlier, later)| {
            let Shared { identical_texts, texts, rows, near_rows } =
                repeats.shared(&splits.references(), earlier, later);
            let (earlier, later) = (splits.names[earlier], splits.names[later]);
            SharedRows { earlier, later, identical_texts, texts, rows, near_rows }
        })
        .collect()
}

/// Pairs across files first, then within; the same text before nearly the same.
pub(super) fn pairs(splits: &Splits, repeats: &Repeats) -> Vec<TextPair> {
    let pair = |first: RowOf, second: RowOf, resemblance: f64| TextPair {
        first: splits.place(first),
        second: splits.place(second),
        resemblance,
        first_text: splits.text(first),
        second_text: splits.text(second),
        same_label: splits.label(first) == splits.label(second),
    };
    let mut across: Vec<(RowOf, RowOf, f64)> = Vec::new();
    let mut within: Vec<(RowOf, RowOf, f64)> = Vec::new();
    for rows in &repeats.texts {
        for &row in rows.iter().skip(1) {
            let place = if row.split == rows[0].split { &mut within } else { &mut across };
            place.push((rows[0], row, 1.0));
        }
    }
    for near in &repeats.near {
        let (first, second) = (&repeats.texts[near.first], &repeats.texts[near.second]);
        let other = second.iter().find(|row| row.split != first[0].split);
        match other {
            Some(&other) => across.push((first[0], other, near.resemblance)),
            None => within.push((first[0], second[0], near.resemblance)),
        }
    }
    across.into_iter().chain(within).take(SHOWN).map(|(a, b, resemblance)| pair(a, b, resemblance)).collect()
}
