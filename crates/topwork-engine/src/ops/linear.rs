//! `y = x Wᵀ + b`.

use rayon::prelude::*;

use crate::matmul::{View, Write, matmul};
use crate::parameters::ParameterId;
use crate::simd::{ROW_BLOCK, sum_over_rows, vectorized};
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// `x Wᵀ + b` for `x` `[rows, in]`, `W` `[out, in]` and, if there is one, `b` `[out]`: `[rows, out]`.
    pub fn linear(&mut self, x: &Value, weight: ParameterId, bias: Option<ParameterId>) -> Value {
        let (rows, inputs) = (x.rows(), x.columns());
        let weights = self.parameter(weight);
        let outputs = weights.len() / inputs;
        let mut y = self.take(rows, outputs);
        if let Some(bias) = bias {
            let bias = self.parameter(bias);
            let rows = y.values_mut().par_chunks_exact_mut(outputs).with_min_len(ROW_BLOCK);
            rows.for_each(|row| row.copy_from_slice(bias));
        }
        let left = View::new(x.values(), rows, inputs);
        let right = View::new(weights, outputs, inputs).transposed();
        matmul(y.values_mut(), Write::from(bias.is_some()), 1.0, left, right);
        let parameters: Vec<_> = [Some(weight), bias].into_iter().flatten().collect();
        if !self.records(&[x], &parameters) {
            return self.constant(y);
        }
        let kept = self.trains(weight).then(|| x.clone());
        self.record(y, Linear { slot: x.slot(), x: kept, inputs, weight, bias })
    }
}

struct Linear {
    slot: Slot,
    /// Kept only for the weight's gradient.
    x: Option<Value>,
    inputs: usize,
    weight: ParameterId,
    bias: Option<ParameterId>,
}

impl Operation for Linear {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (rows, outputs, inputs) = (dy.rows(), dy.columns(), self.inputs);
        let dy_view = View::new(dy.values(), rows, outputs);
        if let Some(bias) = self.bias {
            context.gradients.contribute(bias, |gradient, accumulate| {
                sum_columns(dy.values(), outputs, gradient, accumulate);
            });
        }
        if let Some(x) = &self.x {
            let x = View::new(x.values(), rows, inputs);
            context.gradients.contribute(self.weight, |gradient, accumulate| {
                matmul(gradient, Write::from(accumulate), 1.0, dy_view.transposed(), x);
            });
        }
        let parameters = context.parameters;
        context.contribute(self.slot, |gradient, accumulate| {
            let weights = View::new(&parameters.get(self.weight).values, outputs, inputs);
            matmul(gradient, Write::from(accumulate), 1.0, dy_view, weights);
        });
    }
}

/// Adds up each column of a matrix with `columns` columns.
pub(super) fn sum_columns(values: &[f32], columns: usize, target: &mut [f32], accumulate: bool) {
    sum_over_rows(values.len() / columns, columns, accumulate, target, |rows, partial| {
        vectorized(|| {
            for row in values[rows.start * columns..rows.end * columns].chunks_exact(columns) {
                for (total, &value) in partial.iter_mut().zip(row) {
                    *total += value;
                }
            }
        });
    });
}

#[cfg(test)]
pub(super) mod reference {
    /// Plain `x Wᵀ + b` for `x` `[rows, in]`, `W` `[out, in]`, `b` `[out]`.
    pub(crate) fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let inputs = weight.len() / bias.len();
        let mut y = Vec::new();
        for row in x.chunks(inputs) {
            for (weights, bias) in weight.chunks(inputs).zip(bias) {
                y.push(bias + row.iter().zip(weights).map(|(a, b)| a * b).sum::<f64>());
            }
        }
        y
    }
}
