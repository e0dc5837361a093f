//! Scores: pure functions on slices and matrices.
