//! Scaled cosines between the rows of two matrices, as contrastive losses take them (Chen et al., "SimCLR", 2020).

use rayon::prelude::*;

use crate::matmul::{View, Write, matmul};
use crate::simd::{sum, vectorized};
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

/// Keeps the length of a row of zeros above zero.
const EPSILON: f32 = 1e-12;

impl Tape<'_> {
    /// `scale · cos(aᵢ, bⱼ)` for the rows of `a` `[n, width]` and `b` `[m, width]`: `[n, m]`. A scale is the inverse of a
    /// temperature.
    ///
    /// # Panics
    /// When the widths differ.
    pub fn cosines(&mut self, a: &Value, b: &Value, scale: f32) -> Value {
        assert_eq!(a.columns(), b.columns(), "rows of one width");
        let [a, b] = [a, b].map(|x| {
            let mut unit = self.take(x.rows(), x.columns());
            let lengths = normalise(x.values(), unit.values_mut(), x.columns());
            Side { slot: x.slot(), is_recorded: self.records(&[x], &[]), unit, lengths }
        });
        let mut y = self.take(a.unit.rows(), b.unit.rows());
        matmul(y.values_mut(), Write::Replace, scale, a.view(), b.view().transposed());
        if !a.is_recorded && !b.is_recorded {
            return self.constant(y);
        }
        self.record(y, Cosines { a, b, scale })
    }
}

/// Writes each row of `x` with length one; gives the lengths that they had.
fn normalise(x: &[f32], unit: &mut [f32], columns: usize) -> Vec<f32> {
    let rows = unit.par_chunks_exact_mut(columns).zip(x.par_chunks_exact(columns));
    rows.map(|(unit, x)| {
        vectorized(|| {
            let length = (sum(columns, |i| x[i] * x[i]) + EPSILON).sqrt();
            unit.iter_mut().zip(x).for_each(|(unit, &x)| *unit = x / length);
            length
        })
    })
    .collect()
}

/// One of the two matrices.
struct Side {
    slot: Slot,
    is_recorded: bool,
    /// Its rows with length one.
    unit: Tensor,
    lengths: Vec<f32>,
}

impl Side {
    fn view(&self) -> View<'_> {
        View::new(self.unit.values(), self.unit.rows(), self.unit.columns())
    }

    /// From the gradient of the rows with length one to that of the rows: what goes along a row only changes its length.
    fn pass_on(self, mut gradient: Tensor, context: &mut Backward<'_>) {
        let columns = gradient.columns();
        let rows = gradient.values_mut().par_chunks_exact_mut(columns);
        rows.zip(self.unit.values().par_chunks_exact(columns)).zip(&self.lengths).for_each(|((g, unit), &length)| {
            vectorized(|| {
                let along = sum(columns, |i| g[i] * unit[i]);
                g.iter_mut().zip(unit).for_each(|(g, &unit)| *g = (*g - along * unit) / length);
            });
        });
        context.pass_on(self.slot, gradient);
    }
}

struct Cosines {
    a: Side,
    b: Side,
    scale: f32,
}

impl Operation for Cosines {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let Self { a, b, scale } = *self;
        let dy_view = View::new(dy.values(), dy.rows(), dy.columns());
        let gradient_of = |own: &Side, dy: View<'_>, other: &Side| {
            own.is_recorded.then(|| {
                let mut gradient = context.take(own.unit.rows(), own.unit.columns());
                matmul(gradient.values_mut(), Write::Replace, scale, dy, other.view());
                gradient
            })
        };
        let of_a = gradient_of(&a, dy_view, &b);
        let of_b = gradient_of(&b, dy_view.transposed(), &a);
        for (side, gradient) in [(a, of_a), (b, of_b)] {
            if let Some(gradient) = gradient {
                side.pass_on(gradient, context);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// Scaled cosines between rows.
    pub(crate) fn cosines(a: &[f64], b: &[f64], columns: usize, scale: f64) -> Vec<f64> {
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let cosine = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / length(x) / length(y);
        a.chunks(columns).flat_map(|x| b.chunks(columns).map(move |y| scale * cosine(x, y))).collect()
    }
}
