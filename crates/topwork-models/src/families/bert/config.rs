//! The keys of BERT's `config.json`.

use topwork_engine::Activation;

use crate::error::ModelError;
use crate::fields::Fields;

/// BERT's sizes and rates, under the names of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BertConfig {
    /// Rows of the word embedding.
    pub(super) vocab_size: usize,
    /// Width of the network.
    pub(super) hidden_size: usize,
    /// Number of layers.
    pub(super) num_hidden_layers: usize,
    /// Attention heads of a layer; they divide `hidden_size`.
    pub(super) num_attention_heads: usize,
    /// Width of a layer's middle.
    pub(super) intermediate_size: usize,
    /// The activation in a layer's middle.
    pub(super) hidden_act: Activation,
    /// Dropout of embeddings and sublayers.
    pub(super) hidden_dropout_prob: f32,
    /// Dropout of attention probabilities.
    pub(super) attention_probs_dropout_prob: f32,
    /// Dropout before the classifier; `hidden_dropout_prob` when absent.
    pub(super) classifier_dropout: Option<f32>,
    /// The longest sequence, in tokens.
    pub(super) max_position_embeddings: usize,
    /// Segments: 2 for pairs of texts.
    pub(super) type_vocab_size: usize,
    /// Added to the variance in a layer norm.
    pub(super) layer_norm_eps: f64,
    /// Standard deviation of new weights.
    pub(super) initializer_range: f64,
    /// The id of the padding token.
    pub(super) pad_token_id: usize,
    /// The names of the classes by id, when there are any.
    pub(super) id2label: Option<Vec<String>>,
    /// What kind of classification the head was trained for.
    pub(super) problem_type: Option<String>,
}

impl BertConfig {
    /// Sizes that the weights depend on are required; for all else, an absent key has the value that `transformers`
    /// gives it.
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.refuse_variants()?;
        let config = Self {
            vocab_size: fields.size("vocab_size")?,
            hidden_size: fields.size("hidden_size")?,
            num_hidden_layers: fields.size("num_hidden_layers")?,
            num_attention_heads: fields.size("num_attention_heads")?,
            intermediate_size: fields.size("intermediate_size")?,
            hidden_act: fields.activation("hidden_act")?,
            hidden_dropout_prob: fields.dropout_or("hidden_dropout_prob", 0.1)?,
            attention_probs_dropout_prob: fields.dropout_or("attention_probs_dropout_prob", 0.1)?,
            classifier_dropout: fields.optional_dropout("classifier_dropout")?,
            max_position_embeddings: fields.size("max_position_embeddings")?,
            type_vocab_size: fields.size_or("type_vocab_size", 2)?,
            layer_norm_eps: fields.number_or("layer_norm_eps", 1e-12, "a positive number", |n| n > 0.0)?,
            initializer_range: fields.number_or("initializer_range", 0.02, "a positive number", |n| n > 0.0)?,
            pad_token_id: fields.id_or("pad_token_id", 0)?,
            id2label: fields.labels()?,
            problem_type: fields.optional_text("problem_type")?,
        };
        let (heads, width) = (config.num_attention_heads, config.hidden_size);
        fields.check_heads(("num_attention_heads", heads), ("hidden_size", width))?;
        Ok(config)
    }
}
