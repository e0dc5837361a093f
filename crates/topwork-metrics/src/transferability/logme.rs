//! The evidence of a linear model (You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
//! ICML 2021).

use crate::matrix::{Matrix, eigen, gram, is_sample, outer_gram, rows_by_class};

/// Directions with less than this part of the largest energy are rounding.
const NEGLIGIBLE: f64 = 1e-13;

/// The logarithm of the evidence for each class against the rest, a row, and the mean over the classes that occur. As in
/// the authors' code the features are not centred and there is no bias; unlike there, directions that are missing because
/// there are fewer rows than columns count with their prior.
pub fn logme(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    let by_class = by_class(features, classes)?;
    Some(by_class.iter().sum::<f64>() / by_class.len() as f64)
}

/// One evidence for each class that occurs.
pub(crate) fn by_class(features: Matrix<'_>, classes: &[u32]) -> Option<Vec<f64>> {
    if !is_sample(features, classes) {
        return None;
    }
    let (rows, columns) = (features.nrows(), features.ncols());
    let is_wide = rows < columns;
    let product = if is_wide { outer_gram(features) } else { gram(features) };
    let (values, vectors) = eigen(product.as_ref())?;
    let largest = values.last().copied().unwrap_or(0.0);
    let kept: Vec<usize> = (0..values.len()).filter(|&k| values[k] > NEGLIGIBLE * largest).collect();
    let energies: Vec<f64> = kept.iter().map(|&k| values[k]).collect();
    let evidence = |members: Vec<usize>| {
        // How far the class's column of zeros and ones lies along each direction of the rows, squared.
        let squares: Vec<f64> = if is_wide {
            kept.iter().map(|&k| members.iter().map(|&row| vectors[(row, k)]).sum::<f64>().powi(2)).collect()
        } else {
            let sums: Vec<f64> =
                (0..columns).map(|column| members.iter().map(|&row| features[(row, column)]).sum()).collect();
            let along = |k: usize| (0..columns).map(|column| vectors[(column, k)] * sums[column]).sum::<f64>();
            kept.iter().map(|&k| along(k).powi(2) / values[k]).collect()
        };
        let ones = members.len() as f64;
        let outside = (ones - squares.iter().sum::<f64>()).max(0.0);
        evidence(&energies, &squares, outside, rows as f64, columns as f64)
    };
    Some(rows_by_class(classes).into_iter().map(evidence).collect())
}

/// Finds the precisions α of the weights and β of the noise by their fixed point; the evidence at it, a row.
fn evidence(energies: &[f64], squares: &[f64], outside: f64, rows: f64, columns: f64) -> f64 {
    let (mut alpha, mut beta) = (1.0f64, 1.0f64);
    let (mut residual, mut weights) = (0.0, 0.0);
    for _ in 0..11 {
        let ratio = alpha / beta;
        let gamma: f64 = energies.iter().map(|e| e / (e + ratio)).sum();
        weights = energies.iter().zip(squares).map(|(e, x)| e * x / (ratio + e).powi(2)).sum();
        residual = energies.iter().zip(squares).map(|(e, x)| x / (1.0 + e / ratio).powi(2)).sum::<f64>() + outside;
        // The constants keep both finite when nothing or everything is explained.
        alpha = gamma.max(f64::MIN_POSITIVE) / (weights + 1e-5);
        beta = (rows - gamma).max(f64::EPSILON) / (residual + 1e-5);
        if (alpha / beta - ratio).abs() / ratio <= 1e-3 {
            break;
        }
    }
    let log_determinant =
        energies.iter().map(|e| (alpha + beta * e).ln()).sum::<f64>() + (columns - energies.len() as f64) * alpha.ln();
    let evidence = 0.5 * columns * alpha.ln() + 0.5 * rows * beta.ln()
        - 0.5 * log_determinant
        - 0.5 * beta * residual
        - 0.5 * alpha * weights
        - 0.5 * rows * std::f64::consts::TAU.ln();
    evidence / rows
}
