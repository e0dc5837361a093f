//! `y = word[id] + position[p] + type[t]`, the sum of two or three table rows for each token.

use rayon::prelude::*;

use crate::parameters::{Gradient, ParameterId};
use crate::simd::{ROW_BLOCK, vectorized};
use crate::tape::{Backward, Operation, Tape, Value};
use crate::tensor::Tensor;

/// The tables, each `[rows, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbeddingTables {
    /// Indexed by token id.
    pub word: ParameterId,
    /// Indexed by the token's position in its sequence.
    pub position: ParameterId,
    /// Indexed by the token's type (segment); none in a model that does not tell types apart.
    pub token_type: Option<ParameterId>,
    /// The token whose row of the words learns nothing here: `padding_idx` of PyTorch's embeddings.
    pub fixed_word: Option<u32>,
    /// The position whose row learns nothing.
    pub fixed_position: Option<u32>,
}

impl EmbeddingTables {
    /// Tables of which every row learns.
    pub fn new(word: ParameterId, position: ParameterId, token_type: Option<ParameterId>) -> Self {
        Self { word, position, token_type, fixed_word: None, fixed_position: None }
    }
}

impl Tape<'_> {
    /// Looks up and adds the rows of the tables: `[tokens, width]`. Without a table of types, `types` is not read.
    ///
    /// # Panics
    /// When an index lies outside of its table, or the lists differ in length.
    pub fn embedding(&mut self, tables: EmbeddingTables, ids: &[u32], positions: &[u32], types: &[u32]) -> Value {
        assert_eq!(ids.len(), positions.len(), "one position a token");
        let width = self.parameters.get(tables.word).shape[1];
        let mut lookups =
            vec![(tables.word, ids, tables.fixed_word), (tables.position, positions, tables.fixed_position)];
        if let Some(table) = tables.token_type {
            assert_eq!(ids.len(), types.len(), "one type a token");
            lookups.push((table, types, None));
        }
        let mut y = self.take(ids.len(), width);
        let [word, position] = [tables.word, tables.position].map(|table| self.parameter(table));
        let token_type = tables.token_type.map(|table| self.parameter(table));
        y.values_mut().par_chunks_mut(ROW_BLOCK * width).enumerate().for_each(|(index, block)| {
            vectorized(|| {
                for (i, y) in block.chunks_exact_mut(width).enumerate() {
                    let token = index * ROW_BLOCK + i;
                    let word = row(word, ids[token], width);
                    let position = row(position, positions[token], width);
                    let Some(token_type) = token_type else {
                        y.iter_mut().zip(word).zip(position).for_each(|((y, &a), &c)| *y = a + c);
                        continue;
                    };
                    let token_type = row(token_type, types[token], width);
                    for (((y, &a), &b), &c) in y.iter_mut().zip(word).zip(token_type).zip(position) {
                        *y = a + b + c;
                    }
                }
            });
        });
        let tables: Vec<ParameterId> = lookups.iter().map(|(table, ..)| *table).collect();
        if !self.records(&[], &tables) {
            return self.constant(y);
        }
        let lookups =
            lookups.into_iter().map(|(table, indices, fixed)| Lookup { table, indices: indices.to_vec(), fixed });
        let lookups = lookups.collect();
        self.record(y, Embedded { lookups })
    }
}

fn row(table: &[f32], index: u32, width: usize) -> &[f32] {
    &table[index as usize * width..(index as usize + 1) * width]
}

struct Embedded {
    lookups: Vec<Lookup>,
}

/// The rows of one table.
struct Lookup {
    table: ParameterId,
    indices: Vec<u32>,
    /// The row that learns nothing.
    fixed: Option<u32>,
}

impl Operation for Embedded {
    fn backward(self: Box<Self>, dy: Tensor, context: &mut Backward<'_>) {
        for Lookup { table, indices, fixed } in self.lookups {
            scatter(context.gradients.entry_mut(table), &indices, fixed, &dy);
        }
    }
}

/// Adds each row of `dy` to the row of the gradient that its index names, in the order of the tokens, except for the
/// row `fixed`.
fn scatter(gradient: &mut Gradient, indices: &[u32], fixed: Option<u32>, dy: &Tensor) {
    let width = dy.columns();
    let values = match gradient {
        Gradient::None => return,
        Gradient::Dense { values, written } => {
            if !std::mem::replace(written, true) {
                values.fill(0.0);
            }
            values
        }
        Gradient::Rows { values, touched, is_touched, .. } => {
            for &index in indices.iter().filter(|index| Some(**index) != fixed) {
                if !std::mem::replace(&mut is_touched[index as usize], true) {
                    touched.push(index);
                    values[index as usize * width..(index as usize + 1) * width].fill(0.0);
                }
            }
            values
        }
    };
    vectorized(|| {
        for (&index, dy) in indices.iter().zip(dy.values().chunks_exact(width)) {
            if Some(index) == fixed {
                continue;
            }
            let row = &mut values[index as usize * width..(index as usize + 1) * width];
            row.iter_mut().zip(dy).for_each(|(total, &dy)| *total += dy);
        }
    });
}

#[cfg(test)]
pub(super) mod reference {
    /// Adds the rows of several tables, each with its indices.
    pub(crate) fn embedding(tables: &[(&[f64], &[u32])], width: usize) -> Vec<f64> {
        let mut y = vec![0.0; tables[0].1.len() * width];
        for (table, indices) in tables {
            for (token, &index) in indices.iter().enumerate() {
                for column in 0..width {
                    y[token * width + column] += table[index as usize * width + column];
                }
            }
        }
        y
    }
}
