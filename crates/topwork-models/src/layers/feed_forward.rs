//! The two linear maps of a layer's middle, with their residual sum and the norm after it.

use topwork_engine::{Activation, Dropout, LayerNorm, Sequences, Tape, Value};

use super::Linear;

/// `norm(x + dropout(narrow(activation(wide(x)))))`.
#[derive(Debug)]
pub(crate) struct FeedForward {
    pub(crate) wide: Linear,
    pub(crate) activation: Activation,
    pub(crate) narrow: Linear,
    pub(crate) norm: LayerNorm,
    /// Before the residual sum.
    pub(crate) dropout: f32,
}

impl FeedForward {
    /// `[rows, hidden]` to `[rows, hidden]`; the rows are the tokens of `sequences`.
    pub(crate) fn apply(&self, tape: &mut Tape<'_>, x: &Value, sequences: &Sequences, site: u32) -> Value {
        let wide = self.wide.apply_with(tape, x, self.activation);
        let narrow = self.narrow.apply(tape, &wide);
        drop(wide);
        let dropout = Dropout { probability: self.dropout, site };
        tape.residual_layer_norm(narrow, x, self.norm, dropout, sequences)
    }
}
