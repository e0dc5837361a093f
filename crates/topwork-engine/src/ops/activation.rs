//! `y = f(x + b)` for the activation functions of encoders. The forward pass keeps f′ instead of `x`, so that the
//! backward pass is one product.

use rayon::prelude::*;

use crate::parameters::ParameterId;
use crate::simd::{ROW_BLOCK, normal, tanh, vectorized};
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

use super::linear::sum_columns;

/// An activation function, by its name in Hugging Face's `hidden_act`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`: "gelu" (Hendrycks and Gimpel, 2016).
    Gelu,
    /// The tanh approximation of it: "gelu_new", "gelu_pytorch_tanh".
    GeluTanh,
    /// `max(x, 0)`: "relu".
    Relu,
    /// "tanh", as in BERT's pooler.
    Tanh,
}

impl Activation {
    /// The function and its derivative at `x`.
    #[inline(always)]
    fn at(self, x: f32) -> (f32, f32) {
        match self {
            Activation::Gelu => {
                let (distribution, density) = normal(x);
                (x * distribution, distribution + x * density)
            }
            Activation::GeluTanh => {
                const C: f32 = 0.797_884_6; // √(2/π)
                let t = tanh(C * (x + 0.044_715 * x * x * x));
                let inner = C * (1.0 + 3.0 * 0.044_715 * x * x);
                (0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)
            }
            Activation::Relu => (if x > 0.0 { x } else { 0.0 }, if x > 0.0 { 1.0 } else { 0.0 }),
            Activation::Tanh => {
                let t = tanh(x);
                (t, 1.0 - t * t)
            }
        }
    }
}

impl Tape<'_> {
    /// `f(x + b)` for `x` `[rows, columns]` and `b` `[columns]`.
    pub fn activation(&mut self, x: Value, bias: ParameterId, activation: Activation) -> Value {
        let (rows, columns) = (x.rows(), x.columns());
        let b = self.parameter(bias);
        let mut y = self.take(rows, columns);
        let block = ROW_BLOCK * columns;
        if !self.records(&[&x], &[bias]) {
            let blocks = y.values_mut().par_chunks_mut(block).zip(x.values().par_chunks(block));
            blocks.for_each(|(y, x)| evaluate(activation, x, b, y));
            return self.constant(y);
        }
        let mut derivative = self.take(rows, columns);
        let outputs = y.values_mut().par_chunks_mut(block).zip(derivative.values_mut().par_chunks_mut(block));
        outputs.zip(x.values().par_chunks(block)).for_each(|((y, slopes), x)| {
            differentiate(activation, x, b, y, slopes);
        });
        self.record(y, Activated { slot: x.slot(), bias, derivative })
    }
}

/// Runs the expression with `$kind` bound to the function, chosen outside of all loops.
macro_rules! for_each_kind {
    ($activation:expr, |$kind:ident| $work:expr) => {
        match $activation {
            Activation::Gelu => vectorized(|| {
                const $kind: Activation = Activation::Gelu;
                $work
            }),
            Activation::GeluTanh => vectorized(|| {
                const $kind: Activation = Activation::GeluTanh;
                $work
            }),
            Activation::Relu => vectorized(|| {
                const $kind: Activation = Activation::Relu;
                $work
            }),
            Activation::Tanh => vectorized(|| {
                const $kind: Activation = Activation::Tanh;
                $work
            }),
        }
    };
}

/// `y = f(x + b)` for whole rows.
fn evaluate(activation: Activation, x: &[f32], bias: &[f32], y: &mut [f32]) {
    for_each_kind!(activation, |KIND| {
        for (x, y) in x.chunks_exact(bias.len()).zip(y.chunks_exact_mut(bias.len())) {
            for ((&x, &b), y) in x.iter().zip(bias).zip(y) {
                *y = KIND.at(x + b).0;
            }
        }
    });
}

/// `y = f(x + b)` and `slopes = f′(x + b)` for whole rows. The loops hold nothing but slices of one length, or the
/// compiler would not vectorise them.
fn differentiate(activation: Activation, x: &[f32], bias: &[f32], y: &mut [f32], slopes: &mut [f32]) {
    let columns = bias.len();
    for_each_kind!(activation, |KIND| {
        let rows = x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)).zip(slopes.chunks_exact_mut(columns));
        for ((x, y), slopes) in rows {
            for (((&x, &b), y), slope) in x.iter().zip(bias).zip(y).zip(slopes) {
                (*y, *slope) = KIND.at(x + b);
            }
        }
    });
}

struct Activated {
    slot: Slot,
    bias: ParameterId,
    derivative: Tensor,
}

impl Operation for Activated {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (columns, mut dx) = (dy.columns(), self.derivative);
        let block = ROW_BLOCK * columns;
        dx.values_mut().par_chunks_mut(block).zip(dy.values().par_chunks(block)).for_each(|(dx, dy)| {
            vectorized(|| {
                for (dx, &dy) in dx.iter_mut().zip(dy) {
                    *dx *= dy;
                }
            });
        });
        context.gradients.contribute(self.bias, |gradient, accumulate| {
            sum_columns(dx.values(), columns, gradient, accumulate);
        });
        context.pass_on(self.slot, dx);
    }
}

#[cfg(test)]
pub(super) mod reference {
    use super::Activation;

    /// The activation in double precision, with erf by its power series (|x| below 4 in the tests).
    pub(crate) fn activation(kind: Activation, x: &[f64], bias: &[f64]) -> Vec<f64> {
        let one = |x: f64| match kind {
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
        };
        x.iter().enumerate().map(|(i, x)| one(x + bias[i % bias.len()])).collect()
    }

    fn erf(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * 2.0 / std::f64::consts::PI.sqrt()
    }
}
