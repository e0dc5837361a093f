//! From rows to the tokens of a batch, and forward passes over many batches.

use std::path::Path;

use topwork_data::{PackedBatch, TokenizedTexts};
use topwork_engine::{Mode, Parameters, Pool, Sequences, Tape};
use topwork_models::{Model, Sizes, Tokens};

use crate::error::Error;

/// Tokenised rows and their classes.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The texts.
    pub texts: &'a TokenizedTexts,
    /// The class of each text.
    pub labels: &'a [u32],
}

/// The rows of one forward pass, without padding.
pub(crate) struct Batch {
    packed: PackedBatch,
    sequences: Sequences,
}

impl Batch {
    /// Gathers rows; `stream` names each row's random stream.
    pub(crate) fn gather(texts: &TokenizedTexts, rows: &[usize], stream: impl Fn(usize) -> u64) -> Self {
        let packed = PackedBatch::gather(texts, rows);
        let streams = rows.iter().map(|&row| stream(row)).collect();
        let sequences = Sequences::new(packed.offsets.clone(), streams);
        Self { packed, sequences }
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.packed.ids, type_ids: &self.packed.type_ids, sequences: &self.sequences }
    }
}

/// What to read off a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The logits `[rows, classes]`.
    Logits,
    /// What the classifier sees, `[rows, hidden]`.
    Features,
}

/// Runs all texts through the model without dropout, in order.
pub fn infer(
    model: &Model,
    parameters: &Parameters,
    texts: &TokenizedTexts,
    batch_size: usize,
    output: Output,
) -> Vec<f32> {
    let pool = Pool::new();
    let rows: Vec<usize> = (0..texts.len()).collect();
    let mut all = Vec::new();
    for rows in rows.chunks(batch_size.max(1)) {
        let batch = Batch::gather(texts, rows, |_| 0);
        let mut tape = Tape::new(parameters, &pool, Mode::Inference);
        let value = match output {
            Output::Logits => model.logits(&mut tape, &batch.tokens()),
            Output::Features => model.features(&mut tape, &batch.tokens()),
        };
        all.extend_from_slice(value.values());
    }
    all
}

/// Checks that the model has an embedding for every token and every token type.
///
/// # Errors
/// When it has not: a pair of texts needs two types, and some models have one.
pub(crate) fn check_tokens(texts: &TokenizedTexts, sizes: &Sizes, path: &Path) -> Result<(), Error> {
    let types = texts.largest_type_id().filter(|_| sizes.type_vocab_size.is_some());
    let limits = [
        ("token types", "type_vocab_size", types, sizes.type_vocab_size.unwrap_or(0)),
        ("token ids", "vocab_size", texts.largest_id(), sizes.vocab_size),
    ];
    for (what, key, largest, size) in limits {
        if let Some(largest) = largest.filter(|&largest| largest as usize >= size) {
            let message =
                format!("{}: expected {what} below the model's {key} {size}, found {largest}", path.display());
            return Err(Error::run(message, "choose a model that was made for pairs of texts, and its own tokenizer"));
        }
    }
    Ok(())
}
