//! From rows to the tokens of a batch, and forward passes over many batches.

use std::path::Path;

use topwork_data::{PackedBatch, Targets, TokenizedTexts};
use topwork_engine::{Mode, Parameters, Pool, Sequences, Tape, Value, mix};
use topwork_models::{HeadKind, Input, Model, Sizes, Tokens};

use crate::error::Error;

/// Tokenised rows and their targets.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The texts.
    pub texts: &'a TokenizedTexts,
    /// The target of each text.
    pub targets: &'a Targets,
}

/// The rows of one forward pass, without padding.
pub(crate) struct Batch {
    packed: PackedBatch,
    sequences: Sequences,
    /// The first tokens of the words, on the token axis; none of plain texts.
    words: Vec<u32>,
}

impl Batch {
    /// Gathers rows; `stream` names each row's random stream. The windows of a row have streams of their own.
    pub(crate) fn gather(texts: &TokenizedTexts, rows: &[usize], stream: impl Fn(usize) -> u64) -> Self {
        let packed = PackedBatch::gather(texts, rows);
        let streams = streams(texts, rows, stream);
        let sequences = Sequences::new(packed.offsets.clone(), streams);
        let words = packed.words.iter().map(|word| word.token as u32).collect();
        Self { packed, sequences, words }
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.packed.ids, type_ids: &self.packed.type_ids, sequences: &self.sequences }
    }

    /// The outputs of the model: a line for each row, or for each word that has a token.
    pub(crate) fn outputs(&self, model: &Model, tape: &mut Tape<'_>) -> Value {
        outputs(model, tape, (&self.tokens()).into(), &self.words)
    }
}

/// The random stream of each sequence of rows: the first of a row has the row's.
pub(super) fn streams(texts: &TokenizedTexts, rows: &[usize], stream: impl Fn(usize) -> u64) -> Vec<u64> {
    let of_row = |&row: &usize| {
        let own = stream(row);
        (0..texts.sequences_of(row).len() as u64).map(move |window| if window == 0 { own } else { mix(own ^ window) })
    };
    rows.iter().flat_map(of_row).collect()
}

/// The outputs of the model: a line for each sequence, or for each of `words` on the token axis.
pub(super) fn outputs(model: &Model, tape: &mut Tape<'_>, input: Input<'_>, words: &[u32]) -> Value {
    match model.kind() {
        HeadKind::Token { .. } => model.token_logits(tape, input, words),
        HeadKind::Sequence { .. } | HeadKind::Pretraining { .. } => model.logits(tape, input),
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

/// Runs all texts through the model without dropout, in order: a line for each row, or for each word of the rows. A word that
/// has no token has a line of zeros.
pub fn infer(
    model: &Model,
    parameters: &Parameters,
    texts: &TokenizedTexts,
    batch_size: usize,
    output: Output,
) -> Vec<f32> {
    let pool = Pool::new();
    let rows: Vec<usize> = (0..texts.len()).collect();
    let is_of_words = matches!(model.kind(), HeadKind::Token { .. });
    let mut all = Vec::new();
    for rows in rows.chunks(batch_size.max(1)) {
        let batch = Batch::gather(texts, rows, |_| 0);
        let mut tape = Tape::new(parameters, &pool, Mode::Inference);
        let value = match output {
            Output::Logits => batch.outputs(model, &mut tape),
            Output::Features if is_of_words => model.token_features(&mut tape, &batch.tokens(), &batch.words),
            Output::Features => model.features(&mut tape, &batch.tokens()),
        };
        match is_of_words {
            true => spread_words(texts, rows, &batch.packed, &value, &mut all),
            false => all.extend_from_slice(value.values()),
        }
    }
    all
}

/// Appends a line for each word of `rows`, in the order of the words: windows have them in that order as well.
fn spread_words(texts: &TokenizedTexts, rows: &[usize], packed: &PackedBatch, value: &Value, all: &mut Vec<f32>) {
    let width = value.columns();
    let mut lines = packed.words.iter().zip(value.values().chunks_exact(width.max(1))).peekable();
    for &row in rows {
        for word in 0..texts.words(row) {
            match lines.next_if(|(own, _)| own.row == row && own.word == word) {
                Some((_, line)) => all.extend_from_slice(line),
                None => all.resize(all.len() + width, 0.0),
            }
        }
    }
}

/// Checks that the model has an embedding for every token and every token type.
///
/// # Errors
/// When it has not: a pair of texts needs two types, and some models have one.
pub(crate) fn check_tokens(texts: &TokenizedTexts, sizes: &Sizes, path: &Path) -> Result<(), Error> {
    let types = texts.largest_type_id().filter(|_| sizes.type_vocab_size.is_some());
    let limits = [
        (
            "token types",
            "type_vocab_size",
            types,
            sizes.type_vocab_size.unwrap_or(0),
            "choose a model that was made for pairs of texts",
        ),
        (
            "token ids",
            "vocab_size",
            texts.largest_id(),
            sizes.vocab_size,
            "take the tokenizer's files from the directory that the model's weights come from",
        ),
    ];
    for (what, key, largest, size, hint) in limits {
        if let Some(largest) = largest.filter(|&largest| largest as usize >= size) {
            let message =
                format!("{}: expected {what} below the model's {key} {size}, found {largest}", path.display());
            return Err(Error::run(message, hint));
        }
    }
    Ok(())
}
