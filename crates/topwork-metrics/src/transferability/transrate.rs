//! The bits by which knowing the class shortens the coding of the features (Huang et al., "Frustratingly Easy
//! Transferability Estimation", ICML 2022).

use crate::matrix::{Matrix, centred, is_sample, ln_det_identity_plus, rows_by_class, select_rows};

/// The precision of the code.
const EPSILON: f64 = 1e-4;

/// R(Z) − the mean of R(Z of a class) over the classes that occur, with R(Z) = ½ ln det(I + ZᵀZ / (rows · ε)). Classes
/// count alike, and features twice as large have another score.
pub fn transrate(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    if !is_sample(features, classes) {
        return None;
    }
    let centred = centred(features);
    let rate = |z: Matrix<'_>| Some(0.5 * ln_det_identity_plus(z, 1.0 / (z.nrows() as f64 * EPSILON))?);
    let by_class = rows_by_class(classes);
    let of_classes: Option<Vec<f64>> =
        by_class.iter().map(|rows| rate(select_rows(centred.as_ref(), rows).as_ref())).collect();
    let of_classes = of_classes?;
    Some(rate(centred.as_ref())? - of_classes.iter().sum::<f64>() / of_classes.len() as f64)
}
