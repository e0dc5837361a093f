//! Mean squared error, and Huber's loss, which grows only linearly beyond a threshold (Huber, "Robust Estimation of a
//! Location Parameter", 1964), as in PyTorch's `MSELoss` and `HuberLoss`, divided by a normaliser that the caller chooses.

use super::binary_cross_entropy::Loss;
use crate::tape::{Tape, Value};
use crate::tensor::Tensor;

/// What the loss takes besides the predictions.
#[derive(Clone, Debug)]
pub struct SquaredError<'a> {
    /// The numbers to be predicted, `[rows, outputs]`, row by row.
    pub targets: &'a [f32],
    /// The error δ beyond which the loss is δ·(|e| − δ/2) in place of e²/2 (PyTorch's `HuberLoss`); without it the loss is e².
    pub huber_delta: Option<f32>,
    /// What the sum over rows and outputs is divided by: rows × outputs of the whole batch for PyTorch's mean.
    pub normaliser: f64,
}

impl Tape<'_> {
    /// The loss of predictions `[rows, outputs]`: `[1, 1]`.
    ///
    /// # Panics
    /// When there is not one target a prediction.
    pub fn squared_error(&mut self, predictions: Value, options: &SquaredError<'_>) -> Value {
        assert_eq!(predictions.values().len(), options.targets.len(), "one target a prediction");
        let mut gradient = self.take(predictions.rows(), predictions.columns());
        let mut total = 0.0;
        for ((&prediction, &target), gradient) in
            predictions.values().iter().zip(options.targets).zip(gradient.values_mut())
        {
            let error = f64::from(prediction) - f64::from(target);
            let (loss, slope) = match options.huber_delta.map(f64::from) {
                None => (error * error, 2.0 * error),
                Some(delta) if error.abs() <= delta => (0.5 * error * error, error),
                Some(delta) => (delta * (error.abs() - 0.5 * delta), delta * error.signum()),
            };
            total += loss;
            *gradient = (slope / options.normaliser) as f32;
        }
        let loss = Tensor::from_values(&[(total / options.normaliser) as f32], 1, 1);
        if !self.records(&[&predictions], &[]) {
            return self.constant(loss);
        }
        self.record(loss, Loss { logits: predictions.slot(), gradient })
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// `Σ (y − t)²`, or Huber's.
    pub(crate) fn squared_error(predictions: &[f64], targets: &[f32], delta: Option<f64>) -> f64 {
        let of = |(prediction, target): (&f64, &f32)| {
            let error = (prediction - f64::from(*target)).abs();
            match delta {
                None => error.powi(2),
                Some(delta) => {
                    if error < delta {
                        error.powi(2) / 2.0
                    } else {
                        delta * error - delta * delta / 2.0
                    }
                }
            }
        };
        predictions.iter().zip(targets).map(of).sum()
    }
}
