//! `BertForPreTraining` and `BertForMaskedLM`: predicting masked words, and how two passages belong together.

use topwork_engine::{Activation, LayerNorm, ParameterId, Parameters, Tape, Value};

use super::BertConfig;
use super::encoder::{Asked, BertEncoder, EncoderDropout, Linear, Names, Tokens, pool};
use crate::error::ModelError;

/// The pre-training heads on BERT's encoder: which parameter goes where.
#[derive(Debug)]
pub struct BertPretraining {
    encoder: BertEncoder,
    transform: Linear,
    transform_norm: LayerNorm,
    activation: Activation,
    decoder_bias: ParameterId,
    pooler: Option<Linear>,
    relation: Option<Linear>,
}

/// What the heads say about a batch.
pub struct PretrainingLogits {
    /// For each masked token, the words `[masked, vocab_size]`.
    pub words: Value,
    /// For each sequence, the pooled first token `[sequences, hidden]`; none without a pooler.
    pub pooled: Option<Value>,
    /// For each sequence, how its two passages belong together, `[sequences, 2]`; none without that head.
    pub pairs: Option<Value>,
}

impl BertPretraining {
    /// Binds the model to `parameters`, which bear Hugging Face's names. The pooler and the head for pairs are there
    /// when their parameters are.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub fn new(config: &BertConfig, parameters: &Parameters, dropout: EncoderDropout) -> Result<Self, ModelError> {
        let names = Names { parameters, epsilon: config.layer_norm_eps as f32 };
        let if_there = |prefix: &str| {
            parameters.find(&format!("{prefix}.weight")).is_some().then(|| names.linear(prefix)).transpose()
        };
        Ok(Self {
            encoder: BertEncoder::new(config, &names, dropout)?,
            transform: names.linear("cls.predictions.transform.dense")?,
            transform_norm: names.norm("cls.predictions.transform.LayerNorm")?,
            activation: config.hidden_act,
            decoder_bias: names.id("cls.predictions.bias")?,
            pooler: if_there("bert.pooler.dense")?,
            relation: if_there("cls.seq_relationship")?,
        })
    }

    /// The embedding tables of which a batch touches few rows. The words' table is not among them: it is the decoder,
    /// too, and every word gets a gradient from there.
    pub fn sparse_tables(&self) -> [ParameterId; 1] {
        [self.encoder.tables().position]
    }

    /// The logits at the rows `masked` of the token axis (ascending), where alone the product with the vocabulary is
    /// paid, and those of the pairs.
    pub fn logits(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, masked: &[u32]) -> PretrainingLogits {
        let sequences = tokens.sequences;
        let firsts = (0..sequences.len()).map(|sequence| sequences.range(sequence).start as u32);
        // The first tokens are asked for in any case: a sequence without a hidden word has something to say, too.
        let mut asked: Vec<u32> = masked.iter().copied().chain(firsts.clone()).collect();
        asked.sort_unstable();
        asked.dedup();
        let within = |row: u32| asked.partition_point(|&other| other < row) as u32;
        let masked: Vec<u32> = masked.iter().map(|&row| within(row)).collect();
        let firsts: Vec<u32> = firsts.map(within).collect();
        let hidden = self.encoder.last_hidden_state(tape, tokens, &Asked::rows(asked, sequences));
        let pooled = self.pooler.map(|pooler| {
            let first = tape.rows(&hidden, &firsts);
            pool(tape, pooler, &first)
        });
        let relation = pooled.as_ref().zip(self.relation);
        let pairs = relation.map(|(pooled, relation)| tape.linear(pooled, relation.weight, Some(relation.bias)));
        let masked = tape.rows(&hidden, &masked);
        drop(hidden);
        let transformed = tape.linear(&masked, self.transform.weight, None);
        let transformed = tape.activation(transformed, self.transform.bias, self.activation);
        let transformed = tape.layer_norm(transformed, self.transform_norm);
        let words = tape.linear(&transformed, self.encoder.tables().word, Some(self.decoder_bias));
        PretrainingLogits { words, pooled, pairs }
    }
}
