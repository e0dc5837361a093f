//! A PAC-Bayesian bound on the loss of a fine-tuned head (Ding et al., "PACTran: PAC-Bayesian Metrics for Estimating the
//! Transferability of Pretrained Models to Classification Tasks", ECCV 2022): the variant with a Gaussian prior.

use crate::logistic::{Effort, Logistic};
use crate::matrix::{Matrix, is_sample, rows_by_class};

/// λ: how much the prior weighs against the rows.
const LAMBDA: f64 = 1.0;

/// The bound and what it is made of; lower is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacTran {
    /// The least mean cross-entropy + ‖W‖² / (2 λ rows), in nats.
    pub optimum: f64,
    /// The optimum and the price of the weights' uncertainty, in nats.
    pub bound: f64,
}

/// The bound with prior variance 1 / columns. Classes that do not occur are left out.
pub fn pactran(features: Matrix<'_>, classes: &[u32]) -> Option<PacTran> {
    if !is_sample(features, classes) {
        return None;
    }
    let by_class = rows_by_class(classes);
    let mut targets = vec![0; classes.len()];
    for (class, rows) in by_class.iter().enumerate() {
        rows.iter().for_each(|&row| targets[row] = class as u32);
    }
    let (rows, columns, count) = (features.nrows() as f64, features.ncols() as f64, by_class.len());
    let effort = match features.nrows() * features.ncols() {
        0..10_000 => Effort::EXACT,
        _ => Effort { steps: 4 * Effort::usual(features.ncols() * count).steps, slope: 1e-6 },
    };
    let model = Logistic::fit(features, &targets, count, 1.0 / (LAMBDA * rows), effort, None);
    let probabilities = model.probabilities(features);
    // The diagonal of the Hessian of the summed cross-entropy, weights and biases.
    let curvature: f64 = (0..features.nrows())
        .map(|row| {
            let own: f64 = (0..count).map(|c| probabilities[(row, c)] * (1.0 - probabilities[(row, c)])).sum();
            own * (1.0 + features.row(row).squared_norm_l2())
        })
        .sum();
    let values = columns * count as f64;
    let price = 0.5 * values / (LAMBDA * rows) / columns * (curvature * LAMBDA * rows / values).ln_1p();
    Some(PacTran { optimum: model.objective, bound: model.objective + price })
}
