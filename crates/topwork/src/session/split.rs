//! The rows of one purpose.

use topwork_data::{Example, Targets, TokenizedTexts};

use crate::network::batch::Rows;

/// The rows of one purpose: texts, tokens and targets.
#[derive(Clone, Debug)]
pub struct Split {
    /// The rows as they were read.
    pub examples: Vec<Example>,
    /// Their targets.
    pub targets: Targets,
    /// Their tokens.
    pub texts: TokenizedTexts,
}

impl Split {
    /// Tokens and targets.
    pub fn rows(&self) -> Rows<'_> {
        Rows { texts: &self.texts, targets: &self.targets }
    }

    /// These rows, and then those of `others`, whose targets are of the same kind.
    pub(crate) fn followed_by(&self, others: &Self) -> Self {
        let targets = match (&self.targets, &others.targets) {
            (Targets::Class(own), Targets::Class(others)) => Targets::Class([own.as_slice(), others].concat()),
            // Only classes have names that stand for rows.
            (own, _) => own.clone(),
        };
        Self {
            examples: self.examples.iter().chain(&others.examples).cloned().collect(),
            targets,
            texts: self.texts.followed_by(&others.texts),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// The class of each row; none where rows have other targets.
    pub fn classes(&self) -> &[u32] {
        match &self.targets {
            Targets::Class(classes) => classes,
            Targets::Labels(_) | Targets::Values(_) | Targets::Tags(_) => &[],
        }
    }

    /// So many rows, or all where there are fewer: at even distances, because a file may be sorted by label.
    pub fn spread(&self, count: usize) -> Self {
        self.select(&self.spread_rows(count))
    }

    /// The numbers of the rows of [`Split::spread`].
    pub(crate) fn spread_rows(&self, count: usize) -> Vec<usize> {
        spread(&(0..self.len()).collect::<Vec<_>>(), count)
    }

    /// The rows of these numbers.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            examples: rows.iter().map(|&row| self.examples[row].clone()).collect(),
            targets: self.targets.select(rows),
            texts: self.texts.select(rows),
        }
    }
}

/// So many of these at even distances, or all where there are fewer: a file may be sorted.
pub(crate) fn spread<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    let count = most.min(all.len());
    (0..count).map(|i| all[i * all.len() / count]).collect()
}
