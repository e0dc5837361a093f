//! Some rows of a matrix: the first token of each sequence, or the tokens that were masked.

use crate::sequences::Sequences;
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// The rows `indices` of `x` `[rows, columns]`, in that order: `[indices, columns]`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn rows(&mut self, x: &Value, indices: &[u32]) -> Value {
        let columns = x.columns();
        let mut y = self.take(indices.len(), columns);
        for (row, &index) in y.values_mut().chunks_exact_mut(columns).zip(indices) {
            row.copy_from_slice(&x.values()[index as usize * columns..(index as usize + 1) * columns]);
        }
        if !self.records(&[x], &[]) {
            return self.constant(y);
        }
        self.record(y, Rows { x: x.slot(), indices: indices.to_vec() })
    }

    /// The first token's row of each sequence of `x` `[tokens, columns]`: `[sequences, columns]`.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn first_token(&mut self, x: &Value, sequences: &Sequences) -> Value {
        let first = |sequence| {
            let range = sequences.range(sequence);
            assert!(!range.is_empty(), "sequence {sequence} is empty");
            range.start as u32
        };
        let firsts: Vec<u32> = (0..sequences.len()).map(first).collect();
        self.rows(x, &firsts)
    }
}

struct Rows {
    x: Slot,
    indices: Vec<u32>,
}

impl Operation for Rows {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let columns = dy.columns();
        context.contribute(self.x, |gradient, accumulate| {
            if !accumulate {
                gradient.fill(0.0);
            }
            for (&index, dy) in self.indices.iter().zip(dy.values().chunks_exact(columns)) {
                let row = &mut gradient[index as usize * columns..(index as usize + 1) * columns];
                row.iter_mut().zip(dy).for_each(|(total, &dy)| *total += dy);
            }
        });
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// Some rows of a matrix.
    pub(crate) fn rows(x: &[f64], columns: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().flat_map(|&i| x[i * columns..(i + 1) * columns].to_vec()).collect()
    }
}
