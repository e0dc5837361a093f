//! `y = x · mask / (1 − p)` (Srivastava et al., 2014). The mask is computed again on the way back, not kept.

use rayon::prelude::*;

use crate::random::Dropout;
use crate::sequences::Sequences;
use crate::simd::{ROW_BLOCK, vectorized};
use crate::tape::{Backward, Mode, Operation, Slot, Tape, Value};
use crate::tensor::Tensor;

use super::layer_norm::RowMasks;

impl Tape<'_> {
    /// Drops elements of `x`, which has one row a token, `[tokens, columns]`, or one row a sequence,
    /// `[sequences, columns]`. Does nothing at inference.
    ///
    /// # Panics
    /// When the rows are neither the tokens nor the sequences.
    pub fn dropout(&mut self, x: Value, dropout: Dropout, sequences: &Sequences) -> Value {
        if self.mode() == Mode::Inference || dropout.probability == 0.0 {
            return x;
        }
        let keys = if x.rows() == sequences.len() { sequences.sequence_keys() } else { sequences.token_keys() };
        assert_eq!(x.rows(), keys.len(), "dropout rows are tokens or sequences");
        let masks = RowMasks { dropout, keys };
        let mut y = self.take(x.rows(), x.columns());
        y.values_mut().copy_from_slice(x.values());
        apply(&masks, &mut y);
        if !self.records(&[&x], &[]) {
            return self.constant(y);
        }
        self.record(y, Dropped { x: x.slot(), masks })
    }
}

fn apply(masks: &RowMasks, tensor: &mut Tensor) {
    let columns = tensor.columns();
    tensor.values_mut().par_chunks_mut(ROW_BLOCK * columns).enumerate().for_each(|(index, block)| {
        vectorized(|| {
            for (i, row) in block.chunks_exact_mut(columns).enumerate() {
                masks.apply(index * ROW_BLOCK + i, row);
            }
        });
    });
}

struct Dropped {
    x: Slot,
    masks: RowMasks,
}

impl Operation for Dropped {
    fn backward(self: Box<Self>, mut dy: Tensor, context: &mut Backward<'_>) {
        apply(&self.masks, &mut dy);
        context.pass_on(self.x, dy);
    }
}
