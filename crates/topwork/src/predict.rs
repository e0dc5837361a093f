//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use topwork_data::{Example, LabelSet, TokenizedTexts};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::{
    Block, Checkpoint, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, ParameterSpec, WeightOptions, Weights,
    check_tokenizer, load_tokenizer, max_length,
};

use crate::error::Error;
use crate::network::batch::{Output, check_tokens, infer};

/// The key of `config.json` for what logits are divided by before they become probabilities.
pub const TEMPERATURE: &str = "calibration_temperature";

/// A classifier: what is needed to turn texts into logits.
#[derive(Debug)]
pub struct Classifier {
    /// The directory it was read from.
    pub directory: PathBuf,
    /// The classes.
    pub labels: LabelSet,
    /// The longest sequence, in tokens; longer texts are cut.
    pub max_length: usize,
    /// What logits are divided by before they become probabilities: `calibration_temperature` of `config.json`, which `tune` fits on
    /// held-out rows; 1 where there is none.
    pub temperature: f64,
    tokenizer: Tokenizer,
    parameters: Parameters,
    model: Model,
    config: ModelConfig,
    specs: Vec<ParameterSpec>,
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
        check_problem_type(directory, &config, labels.len())?;
        let sizes = config.encoder().sizes();
        let tokenizer = load_tokenizer(directory)?;
        check_tokenizer(directory, &tokenizer, sizes.vocab_size)?;
        let head = HeadKind::Sequence { outputs: labels.len() };
        let options = WeightOptions { seed: 0, head, head_rule: HeadRule::Required };
        let weights = Weights::load(&Checkpoint::open(directory)?, &config, &options)?;
        let parameters = weights.parameters();
        Ok(Self {
            directory: directory.to_path_buf(),
            temperature: temperature(directory, &config)?,
            max_length: max_length(directory, sizes.max_tokens)?,
            model: Model::bind(&config, &parameters, ModelOptions::of(head))?,
            specs: weights.specs,
            config,
            labels,
            tokenizer,
            parameters,
        })
    }

    /// The tokens of texts, cut to the longest sequence; `path` is where the texts come from, for errors.
    ///
    /// # Errors
    /// When the tokenizer fails on a text, or the model has no embedding for a token.
    pub fn tokenize(&self, examples: &[Example], path: &Path) -> Result<TokenizedTexts, Error> {
        let texts = TokenizedTexts::tokenize(&self.tokenizer, examples, self.max_length, path)?;
        check_tokens(&texts, &self.config.encoder().sizes(), path)?;
        Ok(texts)
    }

    /// The logits `[rows, classes]`, without dropout.
    pub fn logits(&self, texts: &TokenizedTexts, batch_size: usize) -> Vec<f32> {
        infer(&self.model, &self.parameters, texts, batch_size, Output::Logits)
    }

    /// The probabilities `[rows, classes]` of logits, at the model's temperature.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        let cooled: Vec<f32> = logits.iter().map(|logit| (f64::from(*logit) / self.temperature) as f32).collect();
        topwork_metrics::softmax(&cooled, self.labels.len())
    }

    /// Takes the values of every parameter but the head's that `tuned` has by the same name and with as many values.
    pub(crate) fn take_encoder(&mut self, tuned: &Parameters) {
        let below = self.specs.iter().map(|spec| spec.block != Block::Head);
        for ((_, own), _) in self.parameters.iter_mut().zip(below).filter(|(_, is_below)| *is_below) {
            if let Some(id) = tuned.find(&own.name)
                && tuned.get(id).values.len() == own.values.len()
            {
                own.values.copy_from_slice(&tuned.get(id).values);
            }
        }
    }

    /// The values of a parameter by Hugging Face's name.
    pub fn parameter(&self, name: &str) -> Option<&[f32]> {
        let id: ParameterId = self.parameters.find(name)?;
        Some(&self.parameters.get(id).values)
    }
}

fn temperature(directory: &Path, config: &ModelConfig) -> Result<f64, Error> {
    let Some(value) = config.raw.get(TEMPERATURE).filter(|value| !value.is_null()) else { return Ok(1.0) };
    match value.as_f64() {
        Some(temperature) if temperature > 0.0 && temperature.is_finite() => Ok(temperature),
        _ => {
            let path = directory.join("config.json");
            let message = format!("{}: {TEMPERATURE}: expected a number above 0, found {value}", path.display());
            Err(Error::run(message, "leave the key out for probabilities as the logits give them"))
        }
    }
}

/// Probabilities that exclude each other need two classes and a softmax; other heads share the class and mean something
/// else.
fn check_problem_type(directory: &Path, config: &ModelConfig, classes: usize) -> Result<(), Error> {
    let problem_type = config.encoder().problem_type();
    let config = directory.join("config.json");
    let message = match problem_type {
        Some("single_label_classification") | None if classes >= 2 => return Ok(()),
        Some("single_label_classification") | None => {
            format!("{}: id2label: expected at least 2 classes, found {classes}", config.display())
        }
        Some(other) => {
            format!("{}: problem_type: expected single_label_classification, found {other}", config.display())
        }
    };
    Err(Error::run(message, "choose a model with one label a text"))
}
