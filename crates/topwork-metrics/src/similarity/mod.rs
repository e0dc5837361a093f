//! How far one set of rows lies from another: what a model was pre-trained on, and what it is to be tuned on.
//!
//! Every distance depends on the model, the number of rows and their lengths, so a value says little by itself: it is read
//! between a floor (two halves of one corpus) and a ceiling (text of a language that the model does not know).

mod cka;
mod coverage;
mod frechet;
mod mmd;
mod neighbours;
mod otdd;
mod two_sample;
mod vocabulary;

pub use cka::{linear_cka, linear_cka_debiased};
pub use coverage::{Coverage, coverage};
pub use frechet::{frechet, frechet_of_components};
pub use mmd::{KernelSample, Mmd};
pub use neighbours::neighbour_agreement;
pub use otdd::{LabelledRows, otdd, otdd_of_components};
pub use two_sample::{TwoSample, two_sample};
pub use vocabulary::{VocabularyOverlap, vocabulary_overlap};

use faer::Mat;

use crate::matrix::Matrix;

/// The rows of `a` and then those of `b`.
pub(crate) fn stacked(a: Matrix<'_>, b: Matrix<'_>) -> Mat<f64> {
    let first = a.nrows();
    Mat::from_fn(first + b.nrows(), a.ncols(), |row, column| match row.checked_sub(first) {
        None => a[(row, column)],
        Some(row) => b[(row, column)],
    })
}

/// Whether two sets of rows can be compared: at least two rows each, of one width, finite.
pub(crate) fn is_pair(a: Matrix<'_>, b: Matrix<'_>) -> bool {
    a.nrows() >= 2
        && b.nrows() >= 2
        && a.ncols() == b.ncols()
        && a.ncols() > 0
        && crate::matrix::is_finite(a)
        && crate::matrix::is_finite(b)
}

#[cfg(test)]
mod tests;
