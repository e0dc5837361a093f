//! How alike two views of the same rows are (Kornblith et al., "Similarity of Neural Network Representations Revisited",
//! ICML 2019).

use crate::matrix::{Matrix, centred, gram};

/// Linear centred kernel alignment ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of two matrices with the same rows, 0 to 1: the same up to
/// rotation and scale is 1. None for different numbers of rows, or when a view is constant.
pub fn linear_cka(x: Matrix<'_>, y: Matrix<'_>) -> Option<f64> {
    if x.nrows() != y.nrows() || x.nrows() < 2 {
        return None;
    }
    let (x, y) = (centred(x), centred(y));
    let both = y.transpose() * &x;
    let own = gram(x.as_ref()).norm_l2() * gram(y.as_ref()).norm_l2();
    (own > 0.0).then(|| both.squared_norm_l2() / own)
}
