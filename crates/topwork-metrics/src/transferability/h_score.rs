//! How much of the features' variance lies between classes (Bao et al., "An Information-Theoretic Approach to
//! Transferability in Task Transfer Learning", ICIP 2019), with the covariance shrunk where rows are few (Ibrahim et al.,
//! "Newer is not always better: Rethinking transferability metrics, their peculiarities, stability and performance", ECML
//! 2022).

use crate::matrix::{Matrix, centred, eigen, gram, is_sample, rows_by_class};

/// Directions with less than this part of the largest variance are rounding.
const NEGLIGIBLE: f64 = 1e-12;

/// tr(Σ⁻¹ Σ between), with both shrunk as Ledoit and Wolf (2004) do; from 0 to the number of classes − 1.
pub fn h_score(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    let rho = shrinkage(features)?;
    score(features, classes, rho, features.nrows() as f64 - 1.0)
}

/// The score as it was first proposed: with the sample's own covariance, of which little is known where rows are few.
pub fn h_score_unshrunk(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    score(features, classes, 0.0, features.nrows() as f64)
}

/// How far the covariance is drawn towards a multiple of the identity, 0 to 1.
pub(crate) fn shrinkage(features: Matrix<'_>) -> Option<f64> {
    let (rows, columns) = (features.nrows() as f64, features.ncols() as f64);
    let centred = centred(features);
    let product = gram(centred.as_ref());
    let trace = (0..features.ncols()).map(|i| product[(i, i)] / rows).sum::<f64>();
    let norm = product.squared_norm_l2() / (rows * rows);
    let fourth: f64 = (0..features.nrows()).map(|row| centred.row(row).squared_norm_l2().powi(2)).sum();
    let mean = trace / columns;
    let spread = (fourth / rows - norm) / (columns * rows);
    let distance = (norm - 2.0 * mean * trace + columns * mean * mean) / columns;
    // A covariance that is a multiple of the identity already is as good shrunk as not.
    let rho = if distance > 0.0 { (spread / distance).clamp(0.0, 1.0) } else { 0.0 };
    rho.is_finite().then_some(rho)
}

fn score(features: Matrix<'_>, classes: &[u32], rho: f64, divisor: f64) -> Option<f64> {
    if !is_sample(features, classes) {
        return None;
    }
    let (rows, columns) = (features.nrows() as f64, features.ncols());
    let centred = centred(features);
    let mut covariance = gram(centred.as_ref());
    let trace: f64 = (0..columns).map(|i| covariance[(i, i)] / rows).sum();
    for i in 0..columns {
        for j in 0..columns {
            covariance[(i, j)] *= (1.0 - rho) / rows;
        }
        covariance[(i, i)] += rho * trace / columns as f64;
    }
    let (values, vectors) = eigen(covariance.as_ref())?;
    let largest = values.last().copied().unwrap_or(0.0);
    let mut total = 0.0;
    for members in rows_by_class(classes) {
        let count = members.len() as f64;
        let mean: Vec<f64> =
            (0..columns).map(|c| members.iter().map(|&row| centred[(row, c)]).sum::<f64>() / count).collect();
        for (k, value) in values.iter().enumerate().filter(|(_, value)| **value > NEGLIGIBLE * largest) {
            let along: f64 = (0..columns).map(|c| vectors[(c, k)] * mean[c]).sum();
            total += count * along * along / value;
        }
    }
    Some((1.0 - rho) * total / divisor)
}
