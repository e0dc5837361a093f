//! BERT's encoder (Devlin et al., 2019), composed of the engine's operations. Every head stands on it.

use topwork_engine::{
    Activation, Attention, Dropout, EmbeddingTables, LayerNorm, ParameterId, Parameters, Sequences, Tape, Value,
};

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

/// Which tokens a head reads off the last layer: the others' outputs are not computed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Their rows on the token axis, in ascending order.
    rows: Vec<u32>,
    /// The same tokens, as sequences.
    sequences: Sequences,
}

impl Asked {
    /// The first token of each sequence.
    pub fn first_tokens(sequences: &Sequences) -> Self {
        let rows = (0..sequences.len()).map(|sequence| sequences.range(sequence).start as u32).collect();
        Self { rows, sequences: sequences.first_tokens() }
    }

    /// These rows of the token axis; in ascending order, none of them twice, and at least one of each sequence.
    ///
    /// # Panics
    /// When a row is no token of the sequences, the order is another, or a sequence has none.
    pub fn rows(rows: Vec<u32>, sequences: &Sequences) -> Self {
        assert!(rows.is_sorted_by(|a, b| a < b), "rows in ascending order");
        assert!(rows.last().is_none_or(|&row| (row as usize) < sequences.tokens()), "rows of the token axis");
        let below = |end: usize| rows.partition_point(|&row| (row as usize) < end);
        let offsets = (0..=sequences.len()).map(|s| match s {
            0 => 0,
            s => below(sequences.range(s - 1).end),
        });
        let sequences = sequences.with_offsets(offsets.collect());
        assert!((0..sequences.len()).all(|s| !sequences.range(s).is_empty()), "every sequence is asked");
        Self { rows, sequences }
    }
}

/// The probabilities of dropout within the encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderDropout {
    /// After the embeddings and after each sublayer: `hidden_dropout_prob`.
    pub hidden: f32,
    /// On the attention probabilities: `attention_probs_dropout_prob`.
    pub attention: f32,
}

/// `BertModel` without its pooler: which parameter goes where.
#[derive(Debug)]
pub(crate) struct BertEncoder {
    tables: EmbeddingTables,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
    activation: Activation,
    dropout: EncoderDropout,
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

/// A linear map with a bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: ParameterId,
    pub(crate) bias: ParameterId,
}

/// Finds parameters by their Hugging Face names.
pub(crate) struct Names<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) epsilon: f32,
}

impl Names<'_> {
    pub(crate) fn id(&self, name: &str) -> Result<ParameterId, ModelError> {
        self.parameters.find(name).ok_or_else(|| ModelError::MissingParameter { name: name.to_string() })
    }

    pub(crate) fn linear(&self, prefix: &str) -> Result<Linear, ModelError> {
        Ok(Linear { weight: self.id(&format!("{prefix}.weight"))?, bias: self.id(&format!("{prefix}.bias"))? })
    }

    pub(crate) fn norm(&self, prefix: &str) -> Result<LayerNorm, ModelError> {
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

impl BertEncoder {
    pub(crate) fn new(config: &BertConfig, names: &Names<'_>, dropout: EncoderDropout) -> Result<Self, ModelError> {
        Ok(Self {
            tables: EmbeddingTables::new(
                names.id("bert.embeddings.word_embeddings.weight")?,
                names.id("bert.embeddings.position_embeddings.weight")?,
                Some(names.id("bert.embeddings.token_type_embeddings.weight")?),
            ),
            embedding_norm: names.norm("bert.embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers).map(|i| names.layer(i)).collect::<Result<_, _>>()?,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            dropout,
        })
    }

    pub(crate) fn tables(&self) -> EmbeddingTables {
        self.tables
    }

    /// The output of the embeddings and of each layer, `[tokens, hidden]` each.
    pub(crate) fn hidden_states(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>) -> Vec<Value> {
        let mut states = vec![self.embed(tape, tokens)];
        for index in 0..self.layers.len() {
            let last = states[index].clone();
            states.push(self.layer(tape, index, last, tokens.sequences));
        }
        states
    }

    /// The last layer's output for the tokens that are asked for, `[asked, hidden]`.
    ///
    /// Of the last layer only these are computed, because nothing reads the others: in MiniLM's classifier this saves a
    /// seventh of a step.
    pub(crate) fn last_hidden_state(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, asked: &Asked) -> Value {
        let embedded = self.embed(tape, tokens);
        self.above(tape, 0, embedded, tokens.sequences, asked)
    }

    /// The output of the embeddings and the lowest `layers` layers, `[tokens, hidden]`.
    pub(crate) fn below(&self, tape: &mut Tape<'_>, tokens: &Tokens<'_>, layers: usize) -> Value {
        let mut hidden = self.embed(tape, tokens);
        for index in 0..layers {
            hidden = self.layer(tape, index, hidden, tokens.sequences);
        }
        hidden
    }

    /// As [`BertEncoder::last_hidden_state`], from the output `hidden` of the lowest `layers` layers on.
    pub(crate) fn above(
        &self,
        tape: &mut Tape<'_>,
        layers: usize,
        mut hidden: Value,
        sequences: &Sequences,
        asked: &Asked,
    ) -> Value {
        if layers == self.layers.len() {
            return tape.rows(&hidden, &asked.rows);
        }
        let last = self.layers.len() - 1;
        for index in layers..last {
            hidden = self.layer(tape, index, hidden, sequences);
        }
        let asking = tape.rows(&hidden, &asked.rows);
        self.asked_layer(tape, last, asking, &asked.sequences, hidden, sequences)
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
        let attention = Attention { heads: self.heads, dropout: Dropout { probability: self.dropout.attention, site } };
        let context = tape.attention([q, k, v], attention, queries, sequences);
        let projected = tape.linear(&context, layer.attention_output.weight, Some(layer.attention_output.bias));
        drop(context);
        let dropout = Dropout { probability: self.dropout.hidden, site: site + 1 };
        let attended = tape.residual_layer_norm(projected, &asking, layer.attention_norm, dropout, queries);
        drop(asking);
        let wide = tape.linear(&attended, layer.intermediate.weight, None);
        let wide = tape.activation(wide, layer.intermediate.bias, self.activation);
        let narrow = tape.linear(&wide, layer.output.weight, Some(layer.output.bias));
        drop(wide);
        let dropout = Dropout { site: site + 2, ..dropout };
        tape.residual_layer_norm(narrow, &attended, layer.output_norm, dropout, queries)
    }
}

/// BERT's pooler: the first token through a linear map and tanh.
pub(crate) fn pool(tape: &mut Tape<'_>, pooler: Linear, first: &Value) -> Value {
    let pooled = tape.linear(first, pooler.weight, None);
    tape.activation(pooled, pooler.bias, Activation::Tanh)
}
