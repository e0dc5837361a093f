//! Each row less its mean, divided by its deviation: a layer normalisation without parameters of its own (Ba, Kiros, Hinton, 2016).

use rayon::prelude::*;

use super::layer_norm::{standardise, standardise_backward};
use crate::simd::{ROW_BLOCK, vectorized};
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// Each row of `x` `[rows, columns]` with mean 0 and variance 1; `epsilon` is added to the variance.
    pub fn standardise(&mut self, x: &Value, epsilon: f32) -> Value {
        let (rows, columns) = (x.rows(), x.columns());
        let (mut y, mut inverse_deviation) = (self.take(rows, columns), self.take(rows, 1));
        let block = ROW_BLOCK * columns;
        let outputs =
            y.values_mut().par_chunks_mut(block).zip(inverse_deviation.values_mut().par_chunks_mut(ROW_BLOCK));
        outputs.zip(x.values().par_chunks(block)).for_each(|((y, inverse), x)| {
            y.copy_from_slice(x);
            vectorized(|| {
                let rows = y.chunks_exact_mut(columns).zip(inverse);
                rows.for_each(|(row, inverse)| *inverse = standardise(row, epsilon));
            });
        });
        if !self.records(&[x], &[]) {
            return self.constant(y);
        }
        let mut kept = self.take(rows, columns);
        kept.values_mut().copy_from_slice(y.values());
        self.record(y, Standardised { x: x.slot(), standardised: kept, inverse_deviation })
    }
}

struct Standardised {
    x: Slot,
    standardised: Tensor,
    inverse_deviation: Tensor,
}

impl Operation for Standardised {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let columns = dy.columns();
        let mut dx = dy;
        let block = ROW_BLOCK * columns;
        let (standardised, inverse) = (self.standardised.values(), self.inverse_deviation.values());
        let rows = dx.values_mut().par_chunks_mut(block).zip(standardised.par_chunks(block));
        rows.zip(inverse.par_chunks(ROW_BLOCK)).for_each(|((dx, z), inverse)| {
            vectorized(|| {
                let rows = dx.chunks_exact_mut(columns).zip(z.chunks_exact(columns)).zip(inverse);
                rows.for_each(|((d, z), &inverse)| standardise_backward(d, z, inverse));
            });
        });
        context.pass_on(self.x, dx);
    }
}

#[cfg(test)]
pub(super) mod reference {
    use super::super::layer_norm::reference::layer_norm;

    /// Each row with mean 0 and variance 1.
    pub(crate) fn standardise(x: &[f64], columns: usize, epsilon: f64) -> Vec<f64> {
        layer_norm(x, &vec![1.0; columns], &vec![0.0; columns], epsilon)
    }
}
