//! The keys of RoBERTa's `config.json`.

use topwork_engine::Activation;

use crate::error::ModelError;
use crate::fields::Fields;

/// RoBERTa's sizes and rates, under the names of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RobertaConfig {
    /// What the names of its models begin with in `transformers`.
    pub(super) class: &'static str,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: Activation,
    pub(super) hidden_dropout_prob: f32,
    pub(super) attention_probs_dropout_prob: f32,
    pub(super) classifier_dropout: Option<f32>,
    /// Rows of the table of positions, of which the first `pad_token_id + 1` are never counted to.
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) initializer_range: f64,
    pub(super) pad_token_id: usize,
    pub(super) id2label: Option<Vec<String>>,
    pub(super) problem_type: Option<String>,
}

impl RobertaConfig {
    /// Sizes that the weights depend on are required; for all else, an absent key has the value that `transformers`
    /// gives it.
    pub(super) fn parse(fields: &Fields<'_>, class: &'static str) -> Result<Self, ModelError> {
        fields.refuse_variants()?;
        let config = Self {
            class,
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
            pad_token_id: fields.id_or("pad_token_id", 1)?,
            id2label: fields.labels()?,
            problem_type: fields.optional_text("problem_type")?,
        };
        let (heads, width) = (config.num_attention_heads, config.hidden_size);
        fields.check_heads(("num_attention_heads", heads), ("hidden_size", width))?;
        if config.max_position_embeddings <= config.pad_token_id + 1 {
            let expected = format!("more than pad_token_id {} + 1", config.pad_token_id);
            let found = config.max_position_embeddings.to_string();
            return Err(fields.invalid("max_position_embeddings", expected, found));
        }
        Ok(config)
    }
}
