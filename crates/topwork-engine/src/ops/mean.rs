//! The mean of the tokens of each sequence: one vector for a text (Reimers and Gurevych, "Sentence-BERT", 2019).

use rayon::prelude::*;

use crate::sequences::Sequences;
use crate::simd::vectorized;
use crate::tape::{Backward, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

impl Tape<'_> {
    /// The mean row of each sequence of `x` `[tokens, columns]`: `[sequences, columns]`. The rows are added in the order
    /// of the tokens.
    ///
    /// # Panics
    /// When `x` has not one row a token, or a sequence is empty.
    pub fn sequence_means(&mut self, x: &Value, sequences: &Sequences) -> Value {
        let columns = x.columns();
        assert_eq!(x.rows(), sequences.tokens(), "a row for each token");
        assert!((0..sequences.len()).all(|s| !sequences.range(s).is_empty()), "every sequence has a token");
        let (mut y, values) = (self.take(sequences.len(), columns), x.values());
        y.values_mut().par_chunks_exact_mut(columns).enumerate().for_each(|(sequence, mean)| {
            let range = sequences.range(sequence);
            let tokens = range.len() as f32;
            mean.fill(0.0);
            vectorized(|| {
                for row in values[range.start * columns..range.end * columns].chunks_exact(columns) {
                    mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += value);
                }
                mean.iter_mut().for_each(|mean| *mean /= tokens);
            });
        });
        if !self.records(&[x], &[]) {
            return self.constant(y);
        }
        self.record(y, SequenceMeans { x: x.slot(), sequences: sequences.clone() })
    }
}

struct SequenceMeans {
    x: Slot,
    sequences: Sequences,
}

impl Operation for SequenceMeans {
    /// Every token of a sequence gets the same share of its mean's gradient.
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        let (columns, sequences) = (dy.columns(), self.sequences);
        context.contribute(self.x, |gradient, accumulate| {
            if !accumulate {
                gradient.fill(0.0);
            }
            for (sequence, dy) in dy.values().chunks_exact(columns).enumerate() {
                let range = sequences.range(sequence);
                let tokens = range.len() as f32;
                let rows = gradient[range.start * columns..range.end * columns].par_chunks_exact_mut(columns);
                rows.for_each(|row| row.iter_mut().zip(dy).for_each(|(total, &dy)| *total += dy / tokens));
            }
        });
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// The mean row of each sequence.
    pub(crate) fn sequence_means(x: &[f64], columns: usize, offsets: &[usize]) -> Vec<f64> {
        let mean = |bounds: &[usize], column: usize| {
            let tokens = bounds[0]..bounds[1];
            tokens.clone().map(|token| x[token * columns + column]).sum::<f64>() / tokens.len() as f64
        };
        offsets.windows(2).flat_map(|bounds| (0..columns).map(move |column| mean(bounds, column))).collect()
    }
}
