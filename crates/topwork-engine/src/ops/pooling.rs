//! One row a sequence from one row a token.

use crate::sequences::Sequences;
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// The first token's row of each sequence of `x` `[tokens, columns]`: `[sequences, columns]`.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn first_token(&mut self, x: &Value, sequences: &Sequences) -> Value {
        let columns = x.columns();
        let mut y = self.take(sequences.len(), columns);
        let firsts: Vec<usize> = (0..sequences.len())
            .map(|s| {
                assert!(!sequences.range(s).is_empty(), "sequence {s} is empty");
                sequences.range(s).start
            })
            .collect();
        for (row, &first) in y.values_mut().chunks_exact_mut(columns).zip(&firsts) {
            row.copy_from_slice(&x.values()[first * columns..(first + 1) * columns]);
        }
        if !self.records(&[x], &[]) {
            return self.constant(y);
        }
        self.record(y, FirstToken { x: x.slot(), firsts })
    }
}

struct FirstToken {
    x: Slot,
    firsts: Vec<usize>,
}

impl Operation for FirstToken {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let columns = dy.columns();
        context.contribute(self.x, |gradient, accumulate| {
            if !accumulate {
                gradient.fill(0.0);
            }
            for (&first, dy) in self.firsts.iter().zip(dy.values().chunks_exact(columns)) {
                let row = &mut gradient[first * columns..(first + 1) * columns];
                row.iter_mut().zip(dy).for_each(|(total, &dy)| *total += dy);
            }
        });
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// The first row of each sequence.
    pub(crate) fn first_token(x: &[f64], columns: usize, offsets: &[usize]) -> Vec<f64> {
        offsets[..offsets.len() - 1].iter().flat_map(|&o| x[o * columns..(o + 1) * columns].to_vec()).collect()
    }
}
