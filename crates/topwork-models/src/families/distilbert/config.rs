//! The keys of DistilBERT's `config.json`.

use topwork_engine::Activation;

use crate::error::ModelError;
use crate::fields::Fields;

/// DistilBERT's sizes and rates, under the names of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DistilBertConfig {
    pub(super) vocab_size: usize,
    pub(super) dim: usize,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    pub(super) hidden_dim: usize,
    pub(super) activation: Activation,
    pub(super) dropout: f32,
    pub(super) attention_dropout: f32,
    pub(super) seq_classif_dropout: f32,
    pub(super) max_position_embeddings: usize,
    pub(super) initializer_range: f64,
    pub(super) pad_token_id: usize,
    pub(super) id2label: Option<Vec<String>>,
    pub(super) problem_type: Option<String>,
}

impl DistilBertConfig {
    /// Sizes that the weights depend on are required; for all else, an absent key has the value that `transformers`
    /// gives it. With `sinusoidal_pos_embds` the table of positions is in the checkpoint all the same, and is read
    /// from there.
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, ModelError> {
        fields.refuse_variants()?;
        fields.flag("sinusoidal_pos_embds")?;
        let config = Self {
            vocab_size: fields.size("vocab_size")?,
            dim: fields.size("dim")?,
            n_layers: fields.size("n_layers")?,
            n_heads: fields.size("n_heads")?,
            hidden_dim: fields.size("hidden_dim")?,
            activation: fields.activation("activation")?,
            dropout: fields.dropout_or("dropout", 0.1)?,
            attention_dropout: fields.dropout_or("attention_dropout", 0.1)?,
            seq_classif_dropout: fields.dropout_or("seq_classif_dropout", 0.2)?,
            max_position_embeddings: fields.size("max_position_embeddings")?,
            initializer_range: fields.number_or("initializer_range", 0.02, "a positive number", |n| n > 0.0)?,
            pad_token_id: fields.id_or("pad_token_id", 0)?,
            id2label: fields.labels()?,
            problem_type: fields.optional_text("problem_type")?,
        };
        fields.check_heads(("n_heads", config.n_heads), ("dim", config.dim))?;
        Ok(config)
    }
}
