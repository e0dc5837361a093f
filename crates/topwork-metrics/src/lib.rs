//! Scores: pure functions on slices and matrices.
//!
//! Nothing here reads a file or prints; random draws are functions of a seed. Logits are row-major slices with their width
//! beside them; features are [`Matrix`]es, one row a text.

pub mod bootstrap;
pub mod calibration;
pub mod centroid;
mod chance;
mod classification;
pub mod discriminant;
mod drift;
pub mod label_errors;
pub mod learning_curve;
pub mod linear;
pub mod logistic;
mod matrix;
mod metric;
pub mod multi_label;
pub mod one_vs_rest;
#[cfg(test)]
pub(crate) mod oracle;
pub mod paired;
mod proportion;
pub mod regression;
pub mod ridge;
pub mod similarity;
pub mod tagging;
pub mod transferability;

pub use chance::{Chance, after_order_luck, by_chance, by_permutation, least_chance};
pub use classification::{
    Scores, accuracy, argmax, confusion, cross_entropy, evaluate, macro_f1, matthews_correlation, softmax,
};
pub use drift::relative_drift;
pub use faer::Mat;
pub use matrix::{Matrix, matrix, select_rows};
pub use metric::{Metric, TaskScores, UnknownMetric};
pub use proportion::{wilson, wilson_among};
