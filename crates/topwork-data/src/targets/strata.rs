//! Which rows are alike, so that the parts of a split are.

use super::{Matrix, TargetSpace, Targets};
use crate::dataset::Dataset;
use crate::example::Example;
use crate::hold_out::{HoldOut, distinct_texts, folds, hold_out};

/// The stratum of each row: the parts of a split have of each stratum as much as of the whole.
///
/// A class is a stratum. A row of several labels is in that of its rarest one; rows without a label are one more. Numbers
/// are parted by their order into at most ten bins of at least ten rows; of several numbers a row, by
/// the mean of their ranks. Rows of tags are all alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strata {
    /// The stratum of each row.
    pub of: Vec<u32>,
    /// How many strata there may be.
    pub count: usize,
}

/// Bins of numbers.
const MOST_BINS: usize = 10;
/// Rows of a bin, but where there are fewer.
const LEAST_ROWS: usize = 10;

impl Strata {
    /// The strata of `targets`, which are in `space`.
    pub fn new(space: &TargetSpace, targets: &Targets) -> Strata {
        match targets {
            Targets::Class(classes) => Strata { of: classes.clone(), count: space.names().len() },
            Targets::Labels(labels) => Strata { of: rarest(labels), count: labels.width() + 1 },
            Targets::Values(values) => {
                let bins = (values.rows() / LEAST_ROWS).clamp(1, MOST_BINS);
                Strata { of: quantiles(values, bins), count: bins }
            }
            Targets::Tags(tags) => Strata { of: vec![0; tags.rows()], count: 1 },
        }
    }

    /// As [`hold_out`], by these strata.
    ///
    /// # Panics
    ///
    /// When they are not of as many rows.
    pub fn hold_out(&self, dataset: &Dataset, fraction: f64, seed: u64) -> HoldOut {
        hold_out(dataset, &self.of, self.count, fraction, seed)
    }

    /// As [`folds`], by these strata.
    ///
    /// # Panics
    ///
    /// When they are not of as many rows.
    pub fn folds(&self, examples: &[Example], count: usize, seed: u64) -> Vec<Vec<usize>> {
        folds(examples, &self.of, self.count, count, seed)
    }

    /// As [`distinct_texts`], by these strata.
    pub fn distinct_texts(&self, examples: &[Example]) -> Vec<usize> {
        distinct_texts(examples, &self.of, self.count)
    }
}

/// The label of each row that fewest rows have, the first among equals.
fn rarest(labels: &Matrix<bool>) -> Vec<u32> {
    let rows = |label| labels.column(label).filter(|&applies| applies).count();
    let counts: Vec<usize> = (0..labels.width()).map(rows).collect();
    let rarest = |row: usize| {
        let applying = (0..labels.width()).filter(|&label| labels.row(row)[label]);
        applying.min_by_key(|&label| counts[label]).unwrap_or(labels.width()) as u32
    };
    (0..labels.rows()).map(rarest).collect()
}

/// The bin of each row.
fn quantiles(values: &Matrix<f64>, bins: usize) -> Vec<u32> {
    let rows = values.rows();
    let mut sums = vec![0.0; rows];
    for output in 0..values.width() {
        let column: Vec<f64> = values.column(output).collect();
        for (sum, rank) in sums.iter_mut().zip(ranks(&column)) {
            *sum += rank as f64;
        }
    }
    ranks(&sums).into_iter().map(|rank| (rank * bins / rows.max(1)) as u32).collect()
}

/// The place of each value in their order; equal ones have the place of the first.
fn ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    for (place, &row) in order.iter().enumerate() {
        let tied = place > 0 && values[order[place - 1]] == values[row];
        ranks[row] = if tied { ranks[order[place - 1]] } else { place };
    }
    ranks
}
