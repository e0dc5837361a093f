//! Multi-head self-attention with its residual sum and the norm after it.

use topwork_engine::{Attention, Dropout, LayerNorm, Tape, Value};

use super::Linear;
use crate::backbone::BlockInput;

/// `norm(x + dropout(output(attention(query(x), key(x), value(x)))))`.
#[derive(Debug)]
pub(crate) struct SelfAttention {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) heads: usize,
    /// On the attention probabilities.
    pub(crate) dropout: f32,
    /// Before the residual sum.
    pub(crate) output_dropout: f32,
}

impl SelfAttention {
    /// `[asking, hidden]`. It has two sites of dropout, from `site` on.
    pub(crate) fn apply(&self, tape: &mut Tape<'_>, input: BlockInput<'_>, site: u32) -> Value {
        let BlockInput { asking, queries, x, sequences } = input;
        let q = self.query.apply(tape, &asking);
        let [k, v] = [self.key, self.value].map(|linear| linear.apply(tape, &x));
        drop(x);
        let attention = Attention { heads: self.heads, dropout: Dropout { probability: self.dropout, site } };
        let context = tape.attention([q, k, v], attention, queries, sequences);
        let projected = self.output.apply(tape, &context);
        drop(context);
        let dropout = Dropout { probability: self.output_dropout, site: site + 1 };
        tape.residual_layer_norm(projected, &asking, self.norm, dropout, queries)
    }
}
