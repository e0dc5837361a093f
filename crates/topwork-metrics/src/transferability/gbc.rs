//! How much the classes overlap when each is a Gaussian (Pándy et al., "Transferability Estimation using Bhattacharyya
//! Class Separability", CVPR 2022).

use crate::matrix::{Matrix, is_sample, principal_components, rows_by_class};

/// Components that are looked at.
const COMPONENTS: usize = 64;
/// The least variance of a class along a component, as a part of the mean variance of all: a class of one row has none.
const LEAST_VARIANCE: f64 = 1e-9;

/// [`gbc`] of the 64 components of most variance.
pub fn gbc_of_components(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    if !is_sample(features, classes) {
        return None;
    }
    gbc(principal_components(features, 1.0, COMPONENTS)?.as_ref(), classes)
}

/// Minus the sum of exp(−Bhattacharyya distance) over all ordered pairs of classes, each a Gaussian with independent
/// columns; 0 when no two overlap.
pub fn gbc(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    if !is_sample(features, classes) {
        return None;
    }
    let columns = features.ncols();
    let moments = |rows: &[usize]| -> (Vec<f64>, Vec<f64>) {
        let count = rows.len() as f64;
        let mean: Vec<f64> =
            (0..columns).map(|c| rows.iter().map(|&row| features[(row, c)]).sum::<f64>() / count).collect();
        let variance = |c: usize| rows.iter().map(|&row| (features[(row, c)] - mean[c]).powi(2)).sum::<f64>() / count;
        let variance = (0..columns).map(variance).collect();
        (mean, variance)
    };
    let all: Vec<usize> = (0..features.nrows()).collect();
    let overall = moments(&all).1.iter().sum::<f64>() / columns as f64;
    let least = (LEAST_VARIANCE * overall).max(f64::MIN_POSITIVE);
    let groups: Vec<(Vec<f64>, Vec<f64>)> = rows_by_class(classes).iter().map(|rows| moments(rows)).collect();
    let distance = |(m, v): &(Vec<f64>, Vec<f64>), (o, w): &(Vec<f64>, Vec<f64>)| -> f64 {
        let column = |c: usize| {
            let (v, w) = (v[c].max(least), w[c].max(least));
            let mean = 0.5 * (v + w);
            (m[c] - o[c]).powi(2) / (8.0 * mean) + 0.5 * (mean.ln() - 0.5 * (v.ln() + w.ln()))
        };
        (0..columns).map(column).sum()
    };
    let mut overlap = 0.0;
    for (i, one) in groups.iter().enumerate() {
        overlap += groups[..i].iter().map(|other| 2.0 * (-distance(one, other)).exp()).sum::<f64>();
    }
    Some(-overlap)
}
