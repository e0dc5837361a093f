//! `BertForSequenceClassification`.

use topwork_engine::{Dropout, ParameterId, Parameters, Sequences, Tape, Value};

use super::BertConfig;
use super::encoder::{Asked, BertEncoder, EncoderDropout, Linear, Names, Tokens, pool};
use crate::error::ModelError;

/// The probabilities of dropout at each kind of place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassifierDropout {
    /// Within the encoder.
    pub encoder: EncoderDropout,
    /// Before the classifier: `classifier_dropout`.
    pub classifier: f32,
}

impl ClassifierDropout {
    /// No dropout anywhere.
    pub const NONE: Self = Self { encoder: EncoderDropout { hidden: 0.0, attention: 0.0 }, classifier: 0.0 };
}

/// `BertForSequenceClassification`: which parameter goes where.
#[derive(Debug)]
pub struct BertClassifier {
    encoder: BertEncoder,
    pooler: Linear,
    classifier: Linear,
    dropout: f32,
}

impl BertClassifier {
    /// Binds the model to `parameters`, which bear Hugging Face's names.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub fn new(config: &BertConfig, parameters: &Parameters, dropout: ClassifierDropout) -> Result<Self, ModelError> {
        let names = Names { parameters, epsilon: config.layer_norm_eps as f32 };
        Ok(Self {
            encoder: BertEncoder::new(config, &names, dropout.encoder)?,
            pooler: names.linear("bert.pooler.dense")?,
            classifier: names.linear("classifier")?,
            dropout: dropout.classifier,
        })
    }

    /// The embedding tables of which a batch touches few rows.
    pub fn sparse_tables(&self) -> [ParameterId; 2] {
        let tables = self.encoder.tables();
        [tables.word, tables.position]
    }

    /// The classifier's weight `[classes, hidden]` and bias `[classes]`.
    pub fn classifier(&self) -> (ParameterId, ParameterId) {
        (self.classifier.weight, self.classifier.bias)
    }

    /// The output of the embeddings and of each layer, `[tokens, hidden]` each, as `output_hidden_states` in
    /// `transformers`.
    pub fn hidden_states(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Vec<Value> {
        self.encoder.hidden_states(tape, tokens)
    }

    /// What the classifier sees, without dropout: the pooled first token, `[sequences, hidden]`.
    pub fn features(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let first = self.encoder.last_hidden_state(tape, tokens, &Asked::first_tokens(tokens.sequences));
        self.pooled(tape, &first)
    }

    /// BERT's pooler on the last layer's first tokens, `[sequences, hidden]`.
    pub fn pooled(&self, tape: &mut Tape<'_>, first: &Value) -> Value {
        pool(tape, self.pooler, first)
    }

    /// The logits, `[sequences, classes]`.
    pub fn logits(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let features = self.features(tape, tokens);
        self.classify(tape, features, tokens.sequences)
    }

    /// The output of the embeddings and the lowest `layers` layers, `[tokens, hidden]`.
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn hidden_below(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, layers: usize) -> Value {
        self.encoder.below(tape, tokens, layers)
    }

    /// The logits `[sequences, classes]` from the output `hidden` `[tokens, hidden]` of the lowest `layers` layers on.
    ///
    /// # Panics
    /// When there are fewer layers, or a sequence is empty.
    pub fn logits_above(&self, tape: &mut Tape<'_>, layers: usize, hidden: Value, sequences: &Sequences) -> Value {
        let first = self.encoder.above(tape, layers, hidden, sequences, &Asked::first_tokens(sequences));
        let features = self.pooled(tape, &first);
        self.classify(tape, features, sequences)
    }

    fn classify(&self, tape: &mut Tape<'_>, features: Value, sequences: &Sequences) -> Value {
        let dropout = Dropout { probability: self.dropout, site: u32::MAX };
        let features = tape.dropout(features, dropout, sequences);
        tape.linear(&features, self.classifier.weight, Some(self.classifier.bias))
    }
}
