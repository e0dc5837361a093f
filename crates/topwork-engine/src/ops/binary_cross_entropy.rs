//! Binary cross-entropy of independent labels, as in PyTorch's `BCEWithLogitsLoss`, divided by a normaliser that the
//! caller chooses, so that the parts of a batch add up to the whole.

use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

/// What the loss takes besides the logits.
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropy<'a> {
    /// 1 where a row has a label, 0 where it has not: `[rows, labels]`, row by row.
    pub targets: &'a [f32],
    /// A weight for each label; `None` is one each.
    pub label_weights: Option<&'a [f32]>,
    /// The part ε of each target that moves to one half: 1 becomes 1 − ε/2, and 0 becomes ε/2.
    pub label_smoothing: f32,
    /// What the sum over rows and labels is divided by: rows × labels of the whole batch for PyTorch's mean.
    pub normaliser: f64,
}

impl Tape<'_> {
    /// The loss of logits `[rows, labels]`: `[1, 1]`.
    ///
    /// # Panics
    /// When there is not one target a logit.
    pub fn binary_cross_entropy(&mut self, logits: Value, options: &BinaryCrossEntropy<'_>) -> Value {
        let labels = logits.columns();
        assert_eq!(logits.values().len(), options.targets.len(), "one target a logit");
        let mut gradient = self.take(logits.rows(), labels);
        let smoothing = f64::from(options.label_smoothing);
        let mut total = 0.0;
        for (place, ((&logit, &target), gradient)) in
            logits.values().iter().zip(options.targets).zip(gradient.values_mut()).enumerate()
        {
            let weight = options.label_weights.map_or(1.0, |weights| f64::from(weights[place % labels]));
            let (logit, target) = (f64::from(logit), f64::from(target) * (1.0 - smoothing) + smoothing / 2.0);
            // ln(1 + eˣ) − t·x, without an exponential that overflows.
            total += weight * (logit.max(0.0) - target * logit + (-logit.abs()).exp().ln_1p());
            let probability = 1.0 / (1.0 + (-logit).exp());
            *gradient = (weight * (probability - target) / options.normaliser) as f32;
        }
        let loss = Tensor::from_values(&[(total / options.normaliser) as f32], 1, 1);
        if !self.records(&[&logits], &[]) {
            return self.constant(loss);
        }
        self.record(loss, Loss { logits: logits.slot(), gradient })
    }
}

/// A loss whose gradient was computed with its value.
pub(super) struct Loss {
    pub(super) logits: Slot,
    pub(super) gradient: Tensor,
}

impl Operation for Loss {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (scale, mut gradient) = (dy.values()[0], self.gradient);
        gradient.values_mut().iter_mut().for_each(|g| *g *= scale);
        context.pass_on(self.logits, gradient);
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// `Σ −w·(t·ln p + (1 − t)·ln(1 − p))`.
    pub(crate) fn binary_cross_entropy(logits: &[f64], targets: &[f32], weights: &[f64], smoothing: f64) -> f64 {
        let of = |(place, (&logit, &target)): (usize, (&f64, &f32))| {
            let target = f64::from(target) * (1.0 - smoothing) + smoothing / 2.0;
            let probability = 1.0 / (1.0 + (-logit).exp());
            -weights[place % weights.len()] * (target * probability.ln() + (1.0 - target) * (1.0 - probability).ln())
        };
        logits.iter().zip(targets).enumerate().map(of).sum()
    }
}
