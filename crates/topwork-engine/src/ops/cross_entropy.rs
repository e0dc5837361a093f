//! Softmax cross-entropy with class weights and label smoothing, as in PyTorch's `CrossEntropyLoss`, divided by a
//! normaliser that the caller chooses, so that the parts of a batch add up to the whole.

use rayon::prelude::*;

use crate::simd::{ROW_BLOCK, exp, max, sum, vectorized};
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
        assert!(options.targets.iter().all(|&target| (target as usize) < classes), "a target is a class");
        let mut gradient = self.take(logits.rows(), classes);
        let row = Row::new(classes, options);
        let block = ROW_BLOCK * classes;
        let blocks = logits.values().par_chunks(block).zip(gradient.values_mut().par_chunks_mut(block));
        let losses: Vec<f64> = blocks
            .zip(options.targets.par_chunks(ROW_BLOCK))
            .map(|((logits, gradient), targets)| {
                let rows = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
                vectorized(|| rows.zip(targets).map(|((l, g), &target)| row.run(l, g, target as usize)).sum::<f64>())
            })
            .collect();
        let total: f64 = losses.iter().sum();
        let loss = Tensor::from_values(&[(total / options.normaliser) as f32], 1, 1);
        if !self.records(&[&logits], &[]) {
            return self.constant(loss);
        }
        self.record(loss, Loss { logits: logits.slot(), gradient })
    }
}

/// What the rows of a loss share.
struct Row<'a> {
    weights: Option<&'a [f32]>,
    /// The sum of the classes' weights.
    all_weights: f64,
    /// The target's share of the mass.
    sharp: f64,
    /// Every class's share of the mass.
    flat: f64,
    normaliser: f64,
}

impl<'a> Row<'a> {
    fn new(classes: usize, options: &CrossEntropy<'a>) -> Self {
        let smoothing = f64::from(options.label_smoothing);
        let sum = |weights: &[f32]| weights.iter().map(|&w| f64::from(w)).sum();
        Self {
            weights: options.class_weights,
            all_weights: options.class_weights.map_or(classes as f64, sum),
            sharp: 1.0 - smoothing,
            flat: smoothing / classes as f64,
            normaliser: options.normaliser,
        }
    }

    /// Writes a row's gradient; gives its loss, not yet divided.
    #[inline(always)]
    fn run(&self, logits: &[f32], gradient: &mut [f32], target: usize) -> f64 {
        let top = max(logits);
        gradient.iter_mut().zip(logits).for_each(|(g, &l)| *g = exp(l - top));
        let total = sum(gradient.len(), |i| gradient[i]);
        let log_sum = f64::from(top) + f64::from(total).ln();
        let own = self.sharp * self.weights.map_or(1.0, |weights| f64::from(weights[target]));
        let mass = own + self.flat * self.all_weights;
        let scale = (mass / f64::from(total) / self.normaliser) as f32;
        let flat = (self.flat / self.normaliser) as f32;
        let weighted = match self.weights {
            Some(weights) => {
                gradient.iter_mut().zip(weights).for_each(|(g, &w)| *g = scale * *g - flat * w);
                sum(logits.len(), |i| weights[i] * logits[i])
            }
            None => {
                gradient.iter_mut().for_each(|g| *g = scale * *g - flat);
                sum(logits.len(), |i| logits[i])
            }
        };
        gradient[target] -= (own / self.normaliser) as f32;
        mass * log_sum - own * f64::from(logits[target]) - self.flat * f64::from(weighted)
    }
}

struct Loss {
    logits: Slot,
    gradient: Tensor,
}

impl Operation for Loss {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (scale, mut gradient) = (dy.values()[0], self.gradient);
        if scale != 1.0 {
            gradient.values_mut().par_iter_mut().with_min_len(1 << 14).for_each(|g| *g *= scale);
        }
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
