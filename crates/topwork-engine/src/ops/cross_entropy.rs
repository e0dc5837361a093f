//! Softmax cross-entropy with class weights and label smoothing, as in PyTorch's `CrossEntropyLoss`, divided by a
//! normaliser that the caller chooses, so that the parts of a batch add up to the whole.

use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

/// What the loss takes besides the logits.
#[derive(Clone, Debug)]
pub struct CrossEntropy<'a> {
    /// The class of each row.
    pub targets: &'a [u32],
    /// A weight for each class; `None` is one each.
    pub class_weights: Option<&'a [f32]>,
    /// The probability mass ε that is spread over all classes (Szegedy et al., 2016).
    pub label_smoothing: f32,
    /// What the sum over the rows is divided by: [`CrossEntropy::normaliser`] of the whole batch.
    pub normaliser: f64,
}

impl CrossEntropy<'_> {
    /// The sum of the targets' class weights: what a weighted mean over a batch divides by.
    pub fn normaliser(targets: &[u32], class_weights: Option<&[f32]>) -> f64 {
        let weight = |&target: &u32| class_weights.map_or(1.0, |weights| f64::from(weights[target as usize]));
        targets.iter().map(weight).sum()
    }
}

impl Tape<'_> {
    /// The loss of logits `[rows, classes]`: `[1, 1]`.
    ///
    /// # Panics
    /// When there is not one target a row, or a target is no class.
    pub fn cross_entropy(&mut self, logits: Value, options: &CrossEntropy<'_>) -> Value {
        let classes = logits.columns();
        assert_eq!(logits.rows(), options.targets.len(), "one target a row");
        let mut gradient = self.take(logits.rows(), classes);
        let smoothing = f64::from(options.label_smoothing);
        let weights: Vec<f64> = match options.class_weights {
            Some(weights) => weights.iter().map(|&w| f64::from(w)).collect(),
            None => vec![1.0; classes],
        };
        let all_weights: f64 = weights.iter().sum();
        let mut total = 0.0f64;
        let rows = logits.values().chunks_exact(classes).zip(gradient.values_mut().chunks_exact_mut(classes));
        for ((logits, gradient), &target) in rows.zip(options.targets) {
            let target = target as usize;
            let top = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(f64::from(b)));
            let log_sum = top + logits.iter().map(|&l| (f64::from(l) - top).exp()).sum::<f64>().ln();
            let row_weight = (1.0 - smoothing) * weights[target] + smoothing / classes as f64 * all_weights;
            for (class, (&logit, gradient)) in logits.iter().zip(gradient).enumerate() {
                let log_probability = f64::from(logit) - log_sum;
                let mut mass = smoothing / classes as f64 * weights[class];
                if class == target {
                    mass += (1.0 - smoothing) * weights[target];
                }
                total -= mass * log_probability;
                *gradient = ((row_weight * log_probability.exp() - mass) / options.normaliser) as f32;
            }
        }
        let loss = Tensor::from_values(&[(total / options.normaliser) as f32], 1, 1);
        if !self.records(&[&logits], &[]) {
            return self.constant(loss);
        }
        self.record(loss, Loss { logits: logits.slot(), gradient })
    }
}

struct Loss {
    logits: Slot,
    gradient: Tensor,
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
    /// Weighted, smoothed cross-entropy, summed over the rows.
    pub(crate) fn cross_entropy(logits: &[f64], targets: &[u32], weights: &[f64], smoothing: f64) -> f64 {
        let classes = weights.len();
        let mut total = 0.0;
        for (logits, &target) in logits.chunks(classes).zip(targets) {
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            for class in 0..classes {
                let hot = if class == target as usize { 1.0 - smoothing } else { 0.0 };
                total -= weights[class] * (hot + smoothing / classes as f64) * (logits[class].exp() / sum).ln();
            }
        }
        total
    }
}
