//! The sum of several losses, each with a weight.

use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// `Σ weight · x` of matrices of one size.
    ///
    /// # Panics
    /// When there is none, or the sizes differ.
    pub fn weighted_sum(&mut self, terms: &[(Value, f32)]) -> Value {
        let (rows, columns) = (terms[0].0.rows(), terms[0].0.columns());
        let mut y = self.take(rows, columns);
        y.values_mut().fill(0.0);
        for (x, weight) in terms {
            assert_eq!((x.rows(), x.columns()), (rows, columns), "matrices of one size");
            y.values_mut().iter_mut().zip(x.values()).for_each(|(y, &x)| *y += weight * x);
        }
        let inputs: Vec<&Value> = terms.iter().map(|(x, _)| x).collect();
        if !self.records(&inputs, &[]) {
            return self.constant(y);
        }
        self.record(y, WeightedSum { terms: terms.iter().map(|(x, weight)| (x.slot(), *weight)).collect() })
    }
}

struct WeightedSum {
    terms: Vec<(Slot, f32)>,
}

impl Operation for WeightedSum {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        for (slot, weight) in self.terms {
            context.contribute(slot, |gradient, accumulate| {
                for (gradient, &dy) in gradient.iter_mut().zip(dy.values()) {
                    *gradient = if accumulate { *gradient } else { 0.0 } + weight * dy;
                }
            });
        }
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// `Σ weight · x`.
    pub(crate) fn weighted_sum(terms: &[(&[f64], f64)]) -> Vec<f64> {
        (0..terms[0].0.len()).map(|i| terms.iter().map(|(x, weight)| x[i] * weight).sum()).collect()
    }
}
