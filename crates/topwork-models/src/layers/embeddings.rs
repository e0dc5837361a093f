//! The embeddings of tokens: words, positions and, in some families, segments, with a norm on their sum.

use topwork_engine::{Dropout, EmbeddingTables, LayerNorm, Sequences, Tape, Value};

use crate::backbone::Tokens;

/// Which row of the table of positions a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Its index in its sequence.
    FromZero,
    /// As `create_position_ids_from_input_ids` in `transformers`: counted from the row after the padding token's, over
    /// the tokens that are not padding. Padding itself, which a text may spell out, has the padding token's row.
    AfterPadding(u32),
}

impl Positions {
    /// The rows of the table that no sequence counts to.
    pub(crate) fn unused(self) -> usize {
        match self {
            Self::FromZero => 0,
            Self::AfterPadding(padding) => padding as usize + 1,
        }
    }

    /// The row of the padding token, which learns nothing.
    pub(crate) fn padding(self) -> Option<u32> {
        match self {
            Self::FromZero => None,
            Self::AfterPadding(padding) => Some(padding),
        }
    }

    /// The row of each token, `[tokens]`.
    pub(crate) fn of(self, ids: &[u32], sequences: &Sequences) -> Vec<u32> {
        let tokens = (0..sequences.len()).map(|sequence| sequences.range(sequence));
        match self {
            Self::FromZero => tokens.flat_map(|range| 0..range.len() as u32).collect(),
            Self::AfterPadding(padding) => {
                let counted = |range: std::ops::Range<usize>| {
                    let mut last = padding;
                    ids[range].iter().map(move |&id| {
                        if id == padding {
                            return padding;
                        }
                        last += 1;
                        last
                    })
                };
                tokens.flat_map(counted).collect()
            }
        }
    }
}

/// `dropout(norm(word + position + type))`.
#[derive(Debug)]
pub(crate) struct Embeddings {
    pub(crate) tables: EmbeddingTables,
    pub(crate) positions: Positions,
    pub(crate) norm: LayerNorm,
    pub(crate) dropout: f32,
}

impl Embeddings {
    /// `[tokens, hidden]`. Its site of dropout is the network's first.
    pub(crate) fn apply(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let positions = self.positions.of(tokens.ids, tokens.sequences);
        let embedded = tape.embedding(self.tables, tokens.ids, &positions, tokens.type_ids);
        let normalised = tape.layer_norm(embedded, self.norm);
        let dropout = Dropout { probability: self.dropout, site: 0 };
        tape.dropout(normalised, dropout, tokens.sequences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_that_a_text_spells_out_is_not_counted() {
        let sequences = Sequences::new(vec![0, 5, 7], vec![0, 0]);
        let ids = [0, 9, 1, 8, 2, 0, 2];
        assert_eq!(Positions::AfterPadding(1).of(&ids, &sequences), [2, 3, 1, 4, 5, 2, 3]);
        assert_eq!(Positions::FromZero.of(&ids, &sequences), [0, 1, 2, 3, 4, 0, 1]);
    }
}
