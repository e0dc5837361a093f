//! What is known of the corpus and the model before pre-training.

use std::path::PathBuf;

use crate::plan::facts::VERSION;
use crate::plan::value::on_one_line;

/// Facts about the corpus, the model to go on from, and the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PretrainFacts {
    /// Documents of the corpus, held out or not.
    pub documents: u64,
    /// SHA-256 over the hashes of the corpus' files, in order.
    pub corpus_sha256: String,
    /// The model to go on from.
    pub model: Option<SourceFacts>,
    /// A directory for the result that is not taken.
    pub unused_output_dir: PathBuf,
    /// Cores that may be used.
    pub cores: usize,
}

/// What is known of the model to go on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFacts {
    /// Layers.
    pub num_hidden_layers: usize,
    /// Width.
    pub hidden_size: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of a layer's middle.
    pub intermediate_size: usize,
    /// The longest sequence that the weights know, in tokens.
    pub max_position_embeddings: usize,
    /// Tokens of the embedding.
    pub vocab_size: usize,
    /// Dropout of embeddings and sublayers in `config.json`.
    pub hidden_dropout_prob: f32,
    /// Dropout of attention probabilities in `config.json`.
    pub attention_probs_dropout_prob: f32,
    /// SHA-256 of the weights.
    pub sha256: String,
    /// SHA-256 of `config.json`.
    pub config_sha256: String,
    /// SHA-256 of the tokenizer's files.
    pub tokenizer_sha256: String,
}

impl PretrainFacts {
    /// The longest sequence, in tokens, that the model to go on from knows.
    pub fn longest(&self) -> usize {
        self.model.as_ref().map_or(usize::MAX, |model| model.max_position_embeddings)
    }

    /// Each fact that a plan pins, as TOML text.
    pub(crate) fn pins(&self) -> Vec<(&'static str, String)> {
        let mut pins =
            vec![("topwork_version", on_one_line(VERSION)), ("corpus_sha256", on_one_line(&self.corpus_sha256))];
        if let Some(model) = &self.model {
            pins.push(("model_sha256", on_one_line(&model.sha256)));
            pins.push(("config_sha256", on_one_line(&model.config_sha256)));
            pins.push(("tokenizer_sha256", on_one_line(&model.tokenizer_sha256)));
        }
        pins
    }
}
