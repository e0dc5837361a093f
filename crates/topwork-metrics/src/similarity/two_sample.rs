//! Whether a classifier can tell the sets apart (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017;
//! Ben-David et al., "Analysis of Representations for Domain Adaptation", NeurIPS 2006).

use super::{is_pair, stacked};
use crate::bootstrap::interval;
use crate::matrix::{Matrix, row_hash, select_rows};
use crate::transferability::cross_validate;

/// How well rows left out were told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSample {
    /// The part of the rows left out that were given the right set.
    pub accuracy: f64,
    /// The proxy A-distance 2 (1 − 2 error): 0 for sets that are alike, 2 for sets that never mix.
    pub distance: f64,
    /// Where the distance lies in 95 % of the resamples of the rows left out.
    pub interval: (f64, f64),
    /// Standard errors by which the accuracy lies above guessing.
    pub sigmas: f64,
}

/// A cross-validated linear classifier of set against set, with as many rows of each; those of the larger set are drawn by
/// their values.
pub fn two_sample(a: Matrix<'_>, b: Matrix<'_>, resamples: usize, seed: u64) -> Option<TwoSample> {
    if !is_pair(a, b) {
        return None;
    }
    let count = a.nrows().min(b.nrows());
    let drawn = |set: Matrix<'_>| {
        let mut rows: Vec<usize> = (0..set.nrows()).collect();
        if rows.len() > count {
            rows.sort_by_key(|&row| row_hash(set, row));
            rows.truncate(count);
        }
        select_rows(set, &rows)
    };
    let both = stacked(drawn(a).as_ref(), drawn(b).as_ref());
    let classes: Vec<u32> = (0..2 * count).map(|row| u32::from(row >= count)).collect();
    let keys: Vec<u64> = (0..2 * count).map(|row| row_hash(both.as_ref(), row)).collect();
    let predicted = cross_validate(both.as_ref(), &classes, &keys)?.predictions();
    let right: Vec<f64> = predicted.iter().zip(&classes).map(|(p, c)| f64::from(p == c)).collect();
    let mean = |rows: &[usize]| rows.iter().map(|&row| right[row]).sum::<f64>() / rows.len() as f64;
    let accuracy = right.iter().sum::<f64>() / right.len() as f64;
    let distance = |accuracy: f64| (2.0 * (2.0 * accuracy - 1.0)).max(0.0);
    let interval = interval(right.len(), resamples, seed, |rows| distance(mean(rows)))?;
    let sigmas = (accuracy - 0.5) / (0.5 / (right.len() as f64).sqrt());
    Some(TwoSample { accuracy, distance: distance(accuracy), interval, sigmas })
}
