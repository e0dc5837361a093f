//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use topwork_data::{DataError, Example, LabelSet, TokenizedTexts};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::bert::{Bert, DropoutRates};
use topwork_models::{
    Checkpoint, FamilyConfig, HeadRule, LoadOptions, ModelConfig, check_tokenizer, load_parameters, load_tokenizer,
    max_length,
};

use crate::batch::{Output, infer};
use crate::error::Error;

/// A classifier: what is needed to turn texts into logits.
#[derive(Debug)]
pub struct Classifier {
    /// The directory it was read from.
    pub directory: PathBuf,
    /// The classes.
    pub labels: LabelSet,
    /// The longest sequence, in tokens; longer texts are cut.
    pub max_length: usize,
    tokenizer: Tokenizer,
    parameters: Parameters,
    model: Bert,
}

impl Classifier {
    /// Reads a directory that `tune` or `transformers` saved. Every parameter comes from the checkpoint.
    ///
    /// # Errors
    /// When the directory is not a classifier, or is damaged.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let config = ModelConfig::load(directory)?;
        let labels = config.labels().ok_or_else(|| {
            let message = format!("{}: expected a classifier with id2label, found none", directory.display());
            Error::run(message, format!("topwork tune train.csv --model '{}' --output out", directory.display()))
        })?;
        let labels = LabelSet::from_names(labels.to_vec())?;
        let FamilyConfig::Bert(bert) = &config.family else {
            return Err(Error::run(format!("{}: not a text model", directory.display()), "choose a text classifier"));
        };
        let tokenizer = load_tokenizer(directory)?;
        check_tokenizer(directory, &tokenizer, bert.vocab_size)?;
        let specs = config.parameters(labels.len());
        let options = LoadOptions { seed: 0, initializer_range: bert.initializer_range, head: HeadRule::Required };
        let loaded = load_parameters(&Checkpoint::open(directory)?, config.description(), &specs, &options)?;
        let mut parameters = Parameters::new();
        for (spec, values) in specs.iter().zip(&loaded.tensors) {
            parameters.add(spec.name.clone(), &spec.shape, values);
        }
        let no_dropout = DropoutRates { hidden: 0.0, attention: 0.0, classifier: 0.0 };
        Ok(Self {
            directory: directory.to_path_buf(),
            max_length: max_length(directory, bert.max_position_embeddings)?,
            model: Bert::new(bert, &parameters, no_dropout)?,
            labels,
            tokenizer,
            parameters,
        })
    }

    /// The tokens of texts, cut to the longest sequence.
    ///
    /// # Errors
    /// When the tokenizer fails on a text.
    pub fn tokenize(&self, examples: &[Example]) -> Result<TokenizedTexts, DataError> {
        TokenizedTexts::tokenize(&self.tokenizer, examples, self.max_length)
    }

    /// The logits `[rows, classes]`, without dropout.
    pub fn logits(&self, texts: &TokenizedTexts, batch_size: usize) -> Vec<f32> {
        infer(&self.model, &self.parameters, texts, batch_size, Output::Logits)
    }

    /// The values of a parameter by Hugging Face's name.
    pub fn parameter(&self, name: &str) -> Option<&[f32]> {
        let id: ParameterId = self.parameters.find(name)?;
        Some(&self.parameters.get(id).values)
    }
}
