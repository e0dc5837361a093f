//! The tokens of one step.

use crate::tokenized::TokenizedTexts;

/// The tokens of a batch, one sequence after the other, without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// Token ids `[tokens]`.
    pub ids: Vec<u32>,
    /// Token types `[tokens]`: 1 in the second text of a pair.
    pub type_ids: Vec<u32>,
    /// Each token's place in its sequence `[tokens]`, from 0.
    pub positions: Vec<u32>,
    /// Where each sequence begins, and where the last one ends `[sequences + 1]`. A row of plain text is one sequence; one of
    /// words may be several windows.
    pub offsets: Vec<usize>,
    /// The row of each sequence, by its number in the data set `[sequences]`.
    pub rows: Vec<usize>,
    /// The words of the rows, each once, but for those without a token `[words]`; none in rows of plain text.
    pub words: Vec<WordToken>,
}

/// A word, and the token that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordToken {
    /// The token's place in the batch.
    pub token: usize,
    /// The row's number in the data set.
    pub row: usize,
    /// The word's place in its row, from 0.
    pub word: usize,
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
            rows: Vec::with_capacity(rows.len()),
            words: Vec::new(),
        };
        for &row in rows {
            for sequence in texts.sequences_of(row) {
                let (ids, type_ids) = texts.sequence(sequence);
                let start = batch.ids.len();
                let words = texts.first_tokens(sequence).iter();
                batch.words.extend(words.map(|first| WordToken { token: start + first.token, row, word: first.word }));
                batch.ids.extend_from_slice(ids);
                batch.type_ids.extend_from_slice(type_ids);
                batch.positions.extend(0..ids.len() as u32);
                batch.offsets.push(batch.ids.len());
                batch.rows.push(row);
            }
        }
        batch
    }
}
