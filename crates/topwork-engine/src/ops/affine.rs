//! Columns scaled and shifted by fixed numbers: `y = x · scale + shift`.

use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// Each column of `x` `[rows, columns]` times its `scale` plus its `shift`, which are not trained.
    ///
    /// # Panics
    /// When there is not one of each a column.
    pub fn affine(&mut self, x: &Value, scale: &[f32], shift: &[f32]) -> Value {
        let columns = x.columns();
        assert!(scale.len() == columns && shift.len() == columns, "one scale and one shift a column");
        let mut y = self.take(x.rows(), columns);
        for (y, x) in y.values_mut().chunks_exact_mut(columns).zip(x.values().chunks_exact(columns)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(scale).zip(shift) {
                *y = x * scale + shift;
            }
        }
        if !self.records(&[x], &[]) {
            return self.constant(y);
        }
        self.record(y, Affine { x: x.slot(), scale: scale.to_vec() })
    }
}

struct Affine {
    x: Slot,
    scale: Vec<f32>,
}

impl Operation for Affine {
    fn backward(self: Box<Self>, mut dy: Tensor, context: &mut Backward<'_>) {
        let columns = dy.columns();
        for row in dy.values_mut().chunks_exact_mut(columns) {
            row.iter_mut().zip(&self.scale).for_each(|(dy, scale)| *dy *= scale);
        }
        context.pass_on(self.x, dy);
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// `x · scale + shift`, column by column.
    pub(crate) fn affine(x: &[f64], scale: &[f32], shift: &[f32]) -> Vec<f64> {
        let column = |(place, x): (usize, &f64)| {
            let column = place % scale.len();
            x * f64::from(scale[column]) + f64::from(shift[column])
        };
        x.iter().enumerate().map(column).collect()
    }
}
