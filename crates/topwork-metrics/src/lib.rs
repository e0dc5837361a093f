//! Scores: pure functions on slices and matrices.
//!
//! Nothing here reads a file, draws a random number or prints. Matrices are row-major slices with their width beside
//! them.

mod classification;

pub use classification::{
    Metric, Scores, UnknownMetric, accuracy, argmax, confusion, cross_entropy, evaluate, macro_f1,
    matthews_correlation, softmax,
};
