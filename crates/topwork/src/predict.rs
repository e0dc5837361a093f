//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;
use topwork_data::{Dataset, Example, TargetKind, TargetSpace, TokenizedTexts, for_words, split_words};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::{
    Block, Checkpoint, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, ParameterSpec, Pooling, ProblemType,
    WeightOptions, Weights, check_tokenizer, load_tokenizer, max_length,
};

use crate::error::Error;
use crate::events::SplitScores;
use crate::network::batch::{Output, check_tokens, infer};
use crate::tasks::prediction::Prediction;
use crate::tasks::{Scoring, Supervised, TaskDescription, of_kind};

/// The key of `config.json` for what is learnt.
pub const TASK: &str = "topwork_task";
/// The key of `config.json` for what of the tokens the head reads, where it is not the first one's.
pub const POOLING: &str = "topwork_pooling";
/// The key of `config.json` for what logits are divided by before they become probabilities.
pub const TEMPERATURE: &str = "calibration_temperature";
/// The key of `config.json` for the probabilities from which on labels apply.
pub const THRESHOLDS: &str = "label_thresholds";

/// A fine-tuned model: what is needed to turn texts into predictions.
#[derive(Debug)]
pub struct Predictor {
    /// The directory it was read from.
    pub directory: PathBuf,
    /// The longest sequence, in tokens; longer texts are cut, longer rows of words read in windows.
    pub max_length: usize,
    /// How outputs become predictions: the classes, labels, numbers or tags, and what was fitted on held-out rows.
    pub scoring: Scoring,
    task: TaskKind,
    tokenizer: Tokenizer,
    parameters: Parameters,
    model: Model,
    config: ModelConfig,
    specs: Vec<ParameterSpec>,
}

/// A task that can be printed.
#[derive(Clone, Copy)]
struct TaskKind(&'static dyn Supervised);

impl std::fmt::Debug for TaskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Predictor {
    /// Reads a directory that `tune` or `transformers` saved. Every parameter comes from the checkpoint.
    ///
    /// # Errors
    /// When the directory is no fine-tuned model, or is damaged.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        let config = ModelConfig::load(directory)?;
        config.check_labels(directory)?;
        let labels = config.labels().ok_or_else(|| {
            let message = format!("{}: expected a fine-tuned model with id2label, found none", directory.display());
            Error::run(message, format!("topwork tune train.csv --model '{}' --output out", directory.display()))
        })?;
        let task = task_of(directory, &config, labels.len())?;
        let space = TargetSpace::from_names(task.kind(), labels.to_vec())?;
        let mut scoring = Scoring::of(space);
        scoring.temperature = temperature(directory, &config)?;
        scoring.thresholds = thresholds(directory, &config, scoring.outputs())?;
        let sizes = config.encoder().sizes();
        let mut tokenizer = load_tokenizer(directory)?;
        if task.kind() == TargetKind::TokenTags {
            tokenizer = for_words(&tokenizer);
        }
        check_tokenizer(directory, &tokenizer, sizes.vocab_size)?;
        let head = task.head(scoring.outputs());
        let options = WeightOptions { seed: 0, head, head_rule: HeadRule::Required };
        let weights = Weights::load(&Checkpoint::open(directory)?, &config, &options)?;
        let parameters = weights.parameters();
        let pooling = pooling(directory, &config)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            max_length: max_length(directory, sizes.max_tokens)?,
            model: Model::bind(&config, &parameters, ModelOptions { pooling, ..ModelOptions::of(head) })?,
            specs: weights.specs,
            task: TaskKind(task),
            config,
            scoring,
            tokenizer,
            parameters,
        })
    }

    /// What the model predicts.
    pub fn task(&self) -> &'static dyn Supervised {
        self.task.0
    }

    /// The names of the classes, labels, numbers or tags, by their ids.
    pub fn labels(&self) -> &[String] {
        self.scoring.space.names()
    }

    /// Makes rows as they were read ready for the model: a tagger reads words, any other model texts.
    pub fn prepare(&self, dataset: &mut Dataset) {
        match self.task().kind() {
            TargetKind::TokenTags => part_into_words(dataset),
            TargetKind::Class | TargetKind::Labels | TargetKind::Value => dataset.forget_words(),
        }
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

    /// The outputs, without dropout: a line for each row, or for each word of the rows.
    pub fn logits(&self, texts: &TokenizedTexts, batch_size: usize) -> Vec<f32> {
        infer(&self.model, &self.parameters, texts, batch_size, Output::Logits)
    }

    /// What the model says of rows, from their outputs.
    pub fn predictions(&self, outputs: &[f32], rows: &[Example]) -> Vec<Prediction> {
        self.task().predict(outputs, rows, &self.scoring)
    }

    /// The scores of the outputs for a labelled file.
    ///
    /// # Errors
    /// When a row has not what the task takes, or a label that the model does not know.
    pub fn evaluate(&self, outputs: &[f32], dataset: &Dataset) -> Result<SplitScores, Error> {
        let targets = self.scoring.space.encode(dataset)?;
        Ok(SplitScores::new(targets.len(), self.task().evaluate(outputs, &targets, &self.scoring)))
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

/// The task of a model: by its own key, or by its architecture and `problem_type`, as `transformers` reads them.
fn task_of(directory: &Path, config: &ModelConfig, outputs: usize) -> Result<&'static dyn Supervised, Error> {
    let path = directory.join("config.json");
    let fails = |key: &str, expected: String, found: String| {
        let message = format!("{}: {key}: expected {expected}, found {found}", path.display());
        Err(Error::run(message, "choose a directory that `topwork tune` or `transformers` fine-tuned"))
    };
    if let Some(name) = config.raw.get(TASK).and_then(Value::as_str) {
        return match TaskDescription::find(name).and_then(|task| task.supervised) {
            Some(task) => Ok(task),
            None => fails(TASK, TaskDescription::supervised_names().join(", "), name.to_string()),
        };
    }
    let architectures = config.raw.get("architectures").and_then(Value::as_array);
    let is_tagger = config.encoder().architecture(HeadKind::Token { labels: outputs });
    if architectures.is_some_and(|list| list.iter().any(|name| name.as_str() == Some(&is_tagger))) {
        return Ok(of_kind(TargetKind::TokenTags));
    }
    let kind = match config.encoder().problem_type() {
        None if outputs == 1 => TargetKind::Value,
        None => TargetKind::Class,
        Some(name) => match ProblemType::named(name) {
            Some(ProblemType::SingleLabelClassification) => TargetKind::Class,
            Some(ProblemType::MultiLabelClassification) => TargetKind::Labels,
            Some(ProblemType::Regression) => TargetKind::Value,
            None => {
                let names = ProblemType::ALL.map(ProblemType::name).join(", ");
                return fails("problem_type", names, name.to_string());
            }
        },
    };
    if kind == TargetKind::Class && outputs < 2 {
        return fails("id2label", "at least 2 classes".to_string(), outputs.to_string());
    }
    Ok(of_kind(kind))
}

fn pooling(directory: &Path, config: &ModelConfig) -> Result<Pooling, Error> {
    let Some(value) = config.raw.get(POOLING) else { return Ok(Pooling::FirstToken) };
    Pooling::ALL.into_iter().find(|pooling| value.as_str() == Some(pooling.name())).ok_or_else(|| {
        let names = Pooling::ALL.map(Pooling::name).join(" or ");
        let path = directory.join("config.json");
        let message = format!("{}: {POOLING}: expected {names}, found {value}", path.display());
        Error::run(message, "leave the key out for the first token")
    })
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

fn thresholds(directory: &Path, config: &ModelConfig, labels: usize) -> Result<Option<Vec<f64>>, Error> {
    let Some(value) = config.raw.get(THRESHOLDS).filter(|value| !value.is_null()) else { return Ok(None) };
    let numbers: Option<Vec<f64>> =
        value.as_array().and_then(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
    match numbers {
        Some(numbers) if numbers.len() == labels && numbers.iter().all(|number| (0.0..=1.0).contains(number)) => {
            Ok(Some(numbers))
        }
        _ => {
            let path = directory.join("config.json");
            let message =
                format!("{}: {THRESHOLDS}: expected {labels} numbers from 0 to 1, found {value}", path.display());
            Err(Error::run(message, "leave the key out for one half"))
        }
    }
}

/// Parts plain texts into words, as a tagger reads them; rows that have words stay as they are.
fn part_into_words(dataset: &mut Dataset) {
    for example in dataset.examples.iter_mut().filter(|example| example.words.is_empty()) {
        example.words = split_words(&example.text);
    }
}
