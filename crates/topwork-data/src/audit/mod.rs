//! What is wrong with labelled rows before anything is learnt from them: texts that repeat within and across splits, texts
//! with several labels, empty texts; and what is odd in tags, numbers and lists of labels.

mod labels;
mod near;
mod tags;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::dataset::Dataset;
use crate::example::Example;
use crate::normal::normalised;

pub use labels::{LabelUse, label_use};
pub use near::RESEMBLANCE;
pub use tags::{ConflictingTags, MalformedTag, conflicting_contexts, conflicting_sentences, malformed_tags};
pub use values::{DEVIATIONS, DifferingValues, Outlier, constant_outputs, differing_values, outliers};

/// A row of one of the splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowOf {
    /// The split, by its place.
    pub split: usize,
    /// The row within it, from 0.
    pub row: usize,
}

/// Texts that repeat.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    /// Every text once (texts that differ only in case and space are one), with the rows that have it, in their order.
    pub texts: Vec<Vec<RowOf>>,
    /// Pairs of different texts that nearly agree, by their place in `texts`, most alike first.
    pub near: Vec<NearPair>,
}

/// Two texts that nearly agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearPair {
    /// The text that comes first, by its place in [`Repeats::texts`].
    pub first: usize,
    /// The other one.
    pub second: usize,
    /// The part of their runs of five letters that both have.
    pub resemblance: f64,
}

/// What two splits share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Different texts that stand in both, letter for letter.
    pub identical_texts: usize,
    /// Different texts that stand in both but for case and space; those letter for letter among them.
    pub texts: usize,
    /// Rows of the later split whose text stands in the earlier one, but for case and space.
    pub rows: usize,
    /// More rows of the later split whose text nearly agrees with one of the earlier.
    pub near_rows: usize,
}

impl Repeats {
    /// Finds every repeated text, and pairs with at least [`RESEMBLANCE`] of their runs of five letters in common or no more
    /// than one word in ten that is another.
    pub fn find(splits: &[&Dataset]) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut texts: Vec<Vec<RowOf>> = Vec::new();
        let mut folded: Vec<String> = Vec::new();
        for (split, dataset) in splits.iter().enumerate() {
            for (row, example) in dataset.examples.iter().enumerate() {
                let text = fold(example);
                let place = *places.entry(text.clone()).or_insert(texts.len());
                if place == texts.len() {
                    texts.push(Vec::new());
                    folded.push(text);
                }
                texts[place].push(RowOf { split, row });
            }
        }
        let near = near::pairs(&folded);
        Self { texts, near }
    }

    /// Rows of a split that repeat an earlier one of it, but for case and space.
    pub fn repeated_rows(&self, split: usize) -> usize {
        self.texts.iter().map(|rows| rows.iter().filter(|row| row.split == split).count().saturating_sub(1)).sum()
    }

    /// Pairs of texts of a split that nearly agree.
    pub fn near_pairs_within(&self, split: usize) -> usize {
        self.near.iter().filter(|pair| self.has(pair.first, split) && self.has(pair.second, split)).count()
    }

    /// What a later split shares with an earlier one.
    pub fn shared(&self, splits: &[&Dataset], earlier: usize, later: usize) -> Shared {
        let mut shared = Shared::default();
        let mut leaked = BTreeSet::new();
        for (place, rows) in self.texts.iter().enumerate() {
            let of = |split: usize| rows.iter().filter(move |row| row.split == split);
            let verbatim =
                |split| of(split).map(|row| raw(&splits[row.split].examples[row.row])).collect::<BTreeSet<_>>();
            if of(earlier).next().is_some() && of(later).next().is_some() {
                shared.texts += 1;
                shared.rows += of(later).count();
                shared.identical_texts += verbatim(earlier).intersection(&verbatim(later)).count();
                leaked.insert(place);
            }
        }
        let mut near = BTreeSet::new();
        for pair in &self.near {
            for (one, other) in [(pair.first, pair.second), (pair.second, pair.first)] {
                if self.has(one, earlier) && self.has(other, later) && !leaked.contains(&other) {
                    near.insert(other);
                }
            }
        }
        let rows_of = |place: &usize| self.texts[*place].iter().filter(|row| row.split == later).count();
        shared.near_rows = near.iter().map(rows_of).sum();
        shared
    }

    /// Texts whose rows have different labels: the place of each in [`Repeats::texts`], with the rows of each label.
    pub fn conflicts(&self, splits: &[&Dataset]) -> Vec<(usize, BTreeMap<String, usize>)> {
        let labels = |rows: &Vec<RowOf>| {
            let mut labels: BTreeMap<String, usize> = BTreeMap::new();
            for row in rows {
                if let Some(label) = &splits[row.split].examples[row.row].label {
                    *labels.entry(label.to_string()).or_default() += 1;
                }
            }
            labels
        };
        let texts = self.texts.iter().enumerate().map(|(place, rows)| (place, labels(rows)));
        texts.filter(|(_, labels)| labels.len() > 1).collect()
    }

    fn has(&self, place: usize, split: usize) -> bool {
        self.texts[place].iter().any(|row| row.split == split)
    }
}

/// The rows of a dataset without any text.
pub fn empty_rows(dataset: &Dataset) -> Vec<usize> {
    let is_blank = |example: &Example| {
        example.text.trim().is_empty() && example.text_pair.as_ref().is_none_or(|text| text.trim().is_empty())
    };
    (0..dataset.examples.len()).filter(|&row| is_blank(&dataset.examples[row])).collect()
}

/// Between the texts of a pair; in no text.
const BETWEEN: char = '\u{1}';

fn fold(example: &Example) -> String {
    match &example.text_pair {
        Some(pair) => format!("{}{BETWEEN}{}", normalised(&example.text), normalised(pair)),
        None => normalised(&example.text),
    }
}

fn raw(example: &Example) -> (&str, Option<&str>) {
    (&example.text, example.text_pair.as_deref())
}

/// Scripts and how many letters of each there are, most frequent first.
pub fn scripts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<(&'static str, usize)> {
    let mut counts: HashMap<&'static str, usize> = HashMap::new();
    for letter in texts.into_iter().flat_map(str::chars).filter(|c| c.is_alphabetic()) {
        *counts.entry(script(letter)).or_default() += 1;
    }
    let mut counts: Vec<(&'static str, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts
}

/// The script of a letter by its block in Unicode: the ones in wide use, and `other`.
fn script(letter: char) -> &'static str {
    match u32::from(letter) {
        0x0041..=0x024F | 0x1E00..=0x1EFF | 0xFF21..=0xFF5A => "Latin",
        0x0370..=0x03FF | 0x1F00..=0x1FFF => "Greek",
        0x0400..=0x052F => "Cyrillic",
        0x0531..=0x058F => "Armenian",
        0x0590..=0x05FF => "Hebrew",
        0x0600..=0x06FF | 0x0750..=0x077F | 0x08A0..=0x08FF => "Arabic",
        0x0900..=0x097F => "Devanagari",
        0x0980..=0x09FF => "Bengali",
        0x0B80..=0x0BFF => "Tamil",
        0x0E00..=0x0E7F => "Thai",
        0x10A0..=0x10FF => "Georgian",
        0x1100..=0x11FF | 0xAC00..=0xD7AF => "Hangul",
        0x3040..=0x30FF | 0x31F0..=0x31FF => "Kana",
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF => "Han",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::columns::Columns;
    use crate::format::Format;

    fn dataset(rows: &[(&str, &str)]) -> Dataset {
        let example = |(line, (text, label)): (usize, &(&str, &str))| Example {
            label: Some((*label).into()),
            line: line + 2,
            ..Example::from_text(*text)
        };
        Dataset {
            path: PathBuf::from("rows.csv"),
            format: Format::Csv,
            columns: Columns { text: "text".into(), text_pair: None, labels: vec!["label".into()] },
            examples: rows.iter().enumerate().map(example).collect(),
            sha256: String::new(),
            ignored_columns: Vec::new(),
            notes: Vec::new(),
            class_names: None,
            missing: Vec::new(),
        }
    }

    const LONG: &str = "the parcel that I ordered on Monday has still not arrived at my door";
    const NEARLY: &str = "the parcel that I ordered on Monday has still not arrived at my house door";

    #[test]
    fn repeats_leaks_and_conflicts_are_counted() {
        let train = dataset(&[("Where is it?", "a"), ("where  is it?", "b"), (LONG, "a"), ("else", "a")]);
        let test = dataset(&[("Where is it?", "a"), ("WHERE is it?", "a"), (NEARLY, "a"), ("another", "b")]);
        let splits = [&train, &test];
        let repeats = Repeats::find(&splits);
        assert_eq!(repeats.repeated_rows(0), 1);
        assert_eq!(repeats.repeated_rows(1), 1);
        let shared = repeats.shared(&splits, 0, 1);
        assert_eq!(shared, Shared { identical_texts: 1, texts: 1, rows: 2, near_rows: 1 });
        let conflicts = repeats.conflicts(&splits);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].1, BTreeMap::from([("a".to_string(), 3), ("b".to_string(), 1)]));
        assert_eq!(repeats.near.len(), 1);
        assert!(repeats.near[0].resemblance > 0.8);
    }

    #[test]
    fn texts_of_a_pair_are_kept_apart() {
        let pair = |first: &str, second: &str| Example { text_pair: Some(second.into()), ..Example::from_text(first) };
        assert_ne!(fold(&pair("a b", "c")), fold(&pair("a", "b c")));
        assert_eq!(fold(&pair("A  b", "c ")), fold(&pair("a b", "C")));
    }

    #[test]
    fn scripts_are_told_apart() {
        assert_eq!(scripts(["Grüße 12", "房间比较差"]), [("Han", 5), ("Latin", 5)]);
        assert_eq!(scripts(["1 2 3"]), []);
    }

    #[test]
    fn a_blank_row_is_empty() {
        assert_eq!(empty_rows(&dataset(&[("a", "x"), (" \t", "x"), ("", "y")])), [1, 2]);
    }
}
