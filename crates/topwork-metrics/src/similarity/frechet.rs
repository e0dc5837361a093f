//! The distance of two Gaussians (Fréchet, 1957; Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a
//! Local Nash Equilibrium", NeurIPS 2017).

use faer::Mat;

use super::{is_pair, stacked};
use crate::matrix::{Matrix, centred, column_means, eigen, gram, principal_components};

/// Components that are compared: the distance is biased where columns are more than a fifth of the rows.
const COMPONENTS: usize = 64;

/// [`frechet`] along the directions of most variance of both together, a fifth as many as there are rows and at most 64.
pub fn frechet_of_components(a: Matrix<'_>, b: Matrix<'_>) -> Option<f64> {
    if !is_pair(a, b) {
        return None;
    }
    let most = COMPONENTS.min(a.nrows().min(b.nrows()) / 5).max(1);
    let both = principal_components(stacked(a, b).as_ref(), 1.0, most)?;
    let (first, second) = both.as_ref().split_at_row(a.nrows());
    frechet(first, second)
}

/// ‖Δμ‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), with the covariances of samples.
pub fn frechet(a: Matrix<'_>, b: Matrix<'_>) -> Option<f64> {
    if !is_pair(a, b) {
        return None;
    }
    let means: f64 = column_means(a).iter().zip(column_means(b)).map(|(a, b)| (a - b).powi(2)).sum();
    let distance = means + covariance_distance(covariance(a).as_ref(), covariance(b).as_ref())?;
    Some(distance.max(0.0))
}

pub(super) fn covariance(features: Matrix<'_>) -> Mat<f64> {
    let mut product = gram(centred(features).as_ref());
    let scale = 1.0 / (features.nrows() as f64 - 1.0).max(1.0);
    for column in 0..product.ncols() {
        product.col_mut(column).iter_mut().for_each(|value| *value *= scale);
    }
    product
}

/// tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½), the squared Bures distance.
pub(super) fn covariance_distance(a: Matrix<'_>, b: Matrix<'_>) -> Option<f64> {
    let trace = |m: Matrix<'_>| (0..m.nrows()).map(|i| m[(i, i)]).sum::<f64>();
    let (values, vectors) = eigen(a)?;
    let roots = Mat::from_fn(vectors.nrows(), values.len(), |i, k| vectors[(i, k)] * values[k].max(0.0).sqrt());
    // The eigenvalues of Σ₁^½ Σ₂ Σ₁^½, in the basis of Σ₁.
    let (inner, _) = eigen((roots.transpose() * b * &roots).as_ref())?;
    let shared: f64 = inner.iter().map(|value| value.max(0.0).sqrt()).sum();
    Some(trace(a) + trace(b) - 2.0 * shared)
}
