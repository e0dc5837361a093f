//! BERT's forward pass (Devlin et al., 2019), composed of the engine's operations.

use topwork_engine::{Attention, Dropout, EmbeddingTables, LayerNorm, ParameterId, Parameters, Sequences, Tape, Value};

use super::BertConfig;
use crate::error::ModelError;

/// The tokens of a batch on one axis, and where its sequences lie on it.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Token ids `[tokens]`.
    pub ids: &'a [u32],
    /// Positions in their sequences `[tokens]`.
    pub positions: &'a [u32],
    /// Segment of each token `[tokens]`: 1 for the second text of a pair.
    pub type_ids: &'a [u32],
    /// The bounds of the sequences.
    pub sequences: &'a Sequences,
}

/// The probabilities of dropout at each kind of place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutRates {
    /// After the embeddings and after each sublayer: `hidden_dropout_prob`.
    pub hidden: f32,
    /// On the attention probabilities: `attention_probs_dropout_prob`.
    pub attention: f32,
    /// Before the classifier: `classifier_dropout`.
    pub classifier: f32,
}

/// `BertForSequenceClassification`: which parameter goes where.
#[derive(Debug)]
pub struct Bert {
    tables: EmbeddingTables,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
    config: BertConfig,
    dropout: DropoutRates,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

#[derive(Clone, Copy, Debug)]
struct Linear {
    weight: ParameterId,
    bias: ParameterId,
}

/// Finds parameters by their Hugging Face names.
struct Names<'a> {
    parameters: &'a Parameters,
    epsilon: f32,
}

impl Names<'_> {
    fn id(&self, name: &str) -> Result<ParameterId, ModelError> {
        self.parameters.find(name).ok_or_else(|| ModelError::MissingParameter { name: name.to_string() })
    }

    fn linear(&self, prefix: &str) -> Result<Linear, ModelError> {
        Ok(Linear { weight: self.id(&format!("{prefix}.weight"))?, bias: self.id(&format!("{prefix}.bias"))? })
    }

    fn norm(&self, prefix: &str) -> Result<LayerNorm, ModelError> {
        let Linear { weight, bias } = self.linear(prefix)?;
        Ok(LayerNorm { weight, bias, epsilon: self.epsilon })
    }

    fn layer(&self, index: usize) -> Result<Layer, ModelError> {
        let prefix = format!("bert.encoder.layer.{index}");
        Ok(Layer {
            query: self.linear(&format!("{prefix}.attention.self.query"))?,
            key: self.linear(&format!("{prefix}.attention.self.key"))?,
            value: self.linear(&format!("{prefix}.attention.self.value"))?,
            attention_output: self.linear(&format!("{prefix}.attention.output.dense"))?,
            attention_norm: self.norm(&format!("{prefix}.attention.output.LayerNorm"))?,
            intermediate: self.linear(&format!("{prefix}.intermediate.dense"))?,
            output: self.linear(&format!("{prefix}.output.dense"))?,
            output_norm: self.norm(&format!("{prefix}.output.LayerNorm"))?,
        })
    }
}

impl Bert {
    /// Binds the model to `parameters`, which bear Hugging Face's names.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub fn new(config: &BertConfig, parameters: &Parameters, dropout: DropoutRates) -> Result<Self, ModelError> {
        let names = Names { parameters, epsilon: config.layer_norm_eps as f32 };
        Ok(Self {
            tables: EmbeddingTables {
                word: names.id("bert.embeddings.word_embeddings.weight")?,
                position: names.id("bert.embeddings.position_embeddings.weight")?,
                token_type: names.id("bert.embeddings.token_type_embeddings.weight")?,
            },
            embedding_norm: names.norm("bert.embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers).map(|i| names.layer(i)).collect::<Result<_, _>>()?,
            pooler: names.linear("bert.pooler.dense")?,
            classifier: names.linear("classifier")?,
            config: config.clone(),
            dropout,
        })
    }

    /// The embedding tables of which a batch touches few rows.
    pub fn sparse_tables(&self) -> [ParameterId; 2] {
        [self.tables.word, self.tables.position]
    }

    /// The classifier's weight `[classes, hidden]` and bias `[classes]`.
    pub fn classifier(&self) -> (ParameterId, ParameterId) {
        (self.classifier.weight, self.classifier.bias)
    }

    /// The output of the embeddings and of each layer, `[tokens, hidden]` each, as `output_hidden_states` in
    /// `transformers`.
    pub fn hidden_states(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Vec<Value> {
        let mut states = vec![self.embed(tape, tokens)];
        for index in 0..self.layers.len() {
            let last = states[index].clone();
            states.push(self.layer(tape, index, last, tokens.sequences));
        }
        states
    }

    /// What the classifier sees, without dropout: the pooled first token, `[sequences, hidden]`.
    ///
    /// Of the last layer only the first tokens' outputs are computed, because nothing reads the others: in MiniLM this
    /// saves a seventh of a step.
    pub fn features(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let sequences = tokens.sequences;
        let mut hidden = self.embed(tape, tokens);
        let last = self.layers.len() - 1;
        for index in 0..last {
            hidden = self.layer(tape, index, hidden, sequences);
        }
        let asking = tape.first_token(&hidden, sequences);
        let first = self.asked_layer(tape, last, asking, &sequences.first_tokens(), hidden, sequences);
        self.pooled(tape, &first)
    }

    /// BERT's pooler on the last layer's first tokens, `[sequences, hidden]`.
    pub fn pooled(&self, tape: &mut Tape<'_>, first: &Value) -> Value {
        let pooled = tape.linear(first, self.pooler.weight, None);
        tape.activation(pooled, self.pooler.bias, topwork_engine::Activation::Tanh)
    }

    /// The configuration that it was built for.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The logits, `[sequences, classes]`.
    pub fn logits(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let features = self.features(tape, tokens);
        let dropout = Dropout { probability: self.dropout.classifier, site: u32::MAX };
        let features = tape.dropout(features, dropout, tokens.sequences);
        tape.linear(&features, self.classifier.weight, Some(self.classifier.bias))
    }

    fn embed(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Value {
        let embedded = tape.embedding(self.tables, tokens.ids, tokens.positions, tokens.type_ids);
        let normalised = tape.layer_norm(embedded, self.embedding_norm);
        let dropout = Dropout { probability: self.dropout.hidden, site: 0 };
        tape.dropout(normalised, dropout, tokens.sequences)
    }

    /// A layer on `x` `[tokens, hidden]`.
    fn layer(&self, tape: &mut Tape<'_>, index: usize, x: Value, sequences: &Sequences) -> Value {
        self.asked_layer(tape, index, x.clone(), sequences, x, sequences)
    }

    /// The outputs of a layer on `x` `[tokens, hidden]` for the rows `asking` of it, which are the tokens `queries`.
    fn asked_layer(
        &self,
        tape: &mut Tape<'_>,
        index: usize,
        asking: Value,
        queries: &Sequences,
        x: Value,
        sequences: &Sequences,
    ) -> Value {
        let layer = &self.layers[index];
        // Each layer has three sites of dropout; site 0 is the embeddings'.
        let site = 1 + 3 * index as u32;
        let q = tape.linear(&asking, layer.query.weight, Some(layer.query.bias));
        let [k, v] = [layer.key, layer.value].map(|l| tape.linear(&x, l.weight, Some(l.bias)));
        drop(x);
        let attention = Attention {
            heads: self.config.num_attention_heads,
            dropout: Dropout { probability: self.dropout.attention, site },
        };
        let context = tape.attention([q, k, v], attention, queries, sequences);
        let projected = tape.linear(&context, layer.attention_output.weight, Some(layer.attention_output.bias));
        drop(context);
        let dropout = Dropout { probability: self.dropout.hidden, site: site + 1 };
        let attended = tape.residual_layer_norm(projected, &asking, layer.attention_norm, dropout, queries);
        drop(asking);
        let wide = tape.linear(&attended, layer.intermediate.weight, None);
        let wide = tape.activation(wide, layer.intermediate.bias, self.config.hidden_act);
        let narrow = tape.linear(&wide, layer.output.weight, Some(layer.output.bias));
        drop(wide);
        let dropout = Dropout { site: site + 2, ..dropout };
        tape.residual_layer_norm(narrow, &attended, layer.output_norm, dropout, queries)
    }
}
