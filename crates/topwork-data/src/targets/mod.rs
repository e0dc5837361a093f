//! What a task makes of the labels of a file: the second of two steps, of which reading the labels as they stand is the first.
//!
//! A [`TargetSpace`] is learnt from the training file, or made of the names that a saved model has; it then encodes any
//! file into [`Targets`]. [`recognise`] says which task the labels look like where nobody said it.

pub(crate) mod labels;
mod names;
mod recognise;
mod space;
mod strata;
pub(crate) mod tags;
mod values;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::random::Stream;

pub use labels::flag_names;
pub use recognise::recognise;
pub use space::TargetSpace;
pub use strata::Strata;
pub use tags::{TagProblem, TagScheme};

/// What the target of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One of several classes.
    Class,
    /// Any number of labels.
    Labels,
    /// A number, or several.
    Value,
    /// A tag for each word.
    TokenTags,
}

impl fmt::Display for TargetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            TargetKind::Class => "one class a row",
            TargetKind::Labels => "any number of labels a row",
            TargetKind::Value => "numbers",
            TargetKind::TokenTags => "a tag for each word",
        })
    }
}

/// The targets of the rows of a data set, in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each row `[rows]`.
    Class(Vec<u32>),
    /// Whether each label applies `[rows, labels]`.
    Labels(Matrix<bool>),
    /// Numbers `[rows, outputs]`.
    Values(Matrix<f64>),
    /// The tag of each word of each row.
    Tags(TagRows),
}

/// A matrix `[rows, width]`, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    width: usize,
    values: Vec<T>,
}

impl<T: Copy> Matrix<T> {
    /// The matrix of these values, row by row.
    ///
    /// # Panics
    ///
    /// When the width is zero, or the values are not a whole number of rows.
    pub fn new(width: usize, values: Vec<T>) -> Matrix<T> {
        assert!(width > 0 && values.len().is_multiple_of(width), "whole rows of at least one value");
        Matrix { width, values }
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// A row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// A column, from the first row on.
    pub fn column(&self, column: usize) -> impl Iterator<Item = T> {
        self.values.iter().skip(column).step_by(self.width).copied()
    }

    /// All values, row by row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    fn select(&self, rows: &[usize]) -> Matrix<T> {
        Matrix { width: self.width, values: rows.iter().flat_map(|&row| self.row(row)).copied().collect() }
    }
}

impl Matrix<bool> {
    /// Rows without any label.
    pub fn rows_without_label(&self) -> Vec<usize> {
        (0..self.rows()).filter(|&row| !self.row(row).contains(&true)).collect()
    }
}

/// The tags of the words of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRows {
    ids: Vec<u32>,
    /// Row `i` is `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    /// Whether the file's tags were IOB1 and are now IOB2: each span begins with `B-`.
    pub from_iob1: bool,
}

impl TagRows {
    /// The rows of these tags.
    pub fn new(rows: impl IntoIterator<Item = Vec<u32>>) -> TagRows {
        let mut tags = TagRows { ids: Vec::new(), offsets: vec![0], from_iob1: false };
        for row in rows {
            tags.push(&row);
        }
        tags
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The tags of the words of a row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.ids[self.range(row)]
    }

    /// The tags of all words, row by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    fn push(&mut self, row: &[u32]) {
        self.ids.extend_from_slice(row);
        self.offsets.push(self.ids.len());
    }
}

impl Targets {
    /// What they are.
    pub fn kind(&self) -> TargetKind {
        match self {
            Targets::Class(_) => TargetKind::Class,
            Targets::Labels(_) => TargetKind::Labels,
            Targets::Values(_) => TargetKind::Value,
            Targets::Tags(_) => TargetKind::TokenTags,
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Targets::Class(classes) => classes.len(),
            Targets::Labels(labels) => labels.rows(),
            Targets::Values(values) => values.rows(),
            Targets::Tags(tags) => tags.rows(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows given, in the order given.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn select(&self, rows: &[usize]) -> Targets {
        match self {
            Targets::Class(classes) => Targets::Class(rows.iter().map(|&row| classes[row]).collect()),
            Targets::Labels(labels) => Targets::Labels(labels.select(rows)),
            Targets::Values(values) => Targets::Values(values.select(rows)),
            Targets::Tags(tags) => {
                let mut chosen = TagRows { from_iob1: tags.from_iob1, ..TagRows::new([]) };
                rows.iter().for_each(|&row| chosen.push(tags.row(row)));
                Targets::Tags(chosen)
            }
        }
    }

    /// The same targets on other rows, by lot, as a control that has nothing to learn. Tags are dealt out anew among all
    /// words, since rows differ in length.
    #[must_use]
    pub fn permute(&self, stream: &mut Stream) -> Targets {
        if let Targets::Tags(tags) = self {
            let mut tags = tags.clone();
            stream.shuffle(&mut tags.ids);
            return Targets::Tags(tags);
        }
        let mut rows: Vec<usize> = (0..self.len()).collect();
        stream.shuffle(&mut rows);
        self.select(&rows)
    }

    /// SHA-256 of the content, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut number = |number: u64| hash.update(number.to_le_bytes());
        match self {
            Targets::Class(classes) => {
                number(0);
                classes.iter().for_each(|&class| number(u64::from(class)));
            }
            Targets::Labels(labels) => {
                number(1);
                number(labels.width as u64);
                labels.values.iter().for_each(|&applies| number(u64::from(applies)));
            }
            Targets::Values(values) => {
                number(2);
                number(values.width as u64);
                values.values.iter().for_each(|value| number(value.to_bits()));
            }
            Targets::Tags(tags) => {
                number(3);
                for row in 0..tags.rows() {
                    number(tags.row(row).len() as u64);
                    tags.row(row).iter().for_each(|&tag| number(u64::from(tag)));
                }
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
