//! The tokens of one step.

use crate::tokenized::TokenizedTexts;

/// The tokens of a batch, one row after the other, without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// Token ids `[tokens]`.
    pub ids: Vec<u32>,
    /// Token types `[tokens]`: 1 in the second text of a pair.
    pub type_ids: Vec<u32>,
    /// Each token's place in its row `[tokens]`, from 0.
    pub positions: Vec<u32>,
    /// Where each row begins, and where the last one ends `[rows + 1]`.
    pub offsets: Vec<usize>,
    /// Each row's number in the data set `[rows]`.
    pub rows: Vec<usize>,
}

impl PackedBatch {
    /// Gathers `rows` of `texts`, in the order given.
    ///
    /// # Panics
    ///
    /// When `texts` has no such row.
    pub fn gather(texts: &TokenizedTexts, rows: &[usize]) -> PackedBatch {
        let tokens = rows.iter().map(|&row| texts.length(row)).sum();
        let mut batch = PackedBatch {
            ids: Vec::with_capacity(tokens),
            type_ids: Vec::with_capacity(tokens),
            positions: Vec::with_capacity(tokens),
            offsets: vec![0],
            rows: rows.to_vec(),
        };
        for &row in rows {
            let (ids, type_ids) = texts.row(row);
            batch.ids.extend_from_slice(ids);
            batch.type_ids.extend_from_slice(type_ids);
            batch.positions.extend(0..ids.len() as u32);
            batch.offsets.push(batch.ids.len());
        }
        batch
    }
}
