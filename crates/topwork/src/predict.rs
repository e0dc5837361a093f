//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;
use topwork_data::{Dataset, Example, TargetKind, TargetSpace, TokenizedTexts, for_words, split_words};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::{
    Block, Checkpoint, HeadKind, HeadRule, KeyRule, Model, ModelConfig, ModelOptions, ParameterSpec, Part, Pooling,
    ProblemType, WeightOptions, Weights, check_tokenizer, load_tokenizer, max_length,
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
        let checkpoint = Checkpoint::open(directory)?;
        let labels = labels(directory, &config, &checkpoint)?;
        let task = task_of(directory, &config, labels.len())?;
        let space = TargetSpace::from_names(task.kind(), labels)?;
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
        let weights = Weights::load(&checkpoint, &config, &options)?;
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

/// The names of the outputs: those of `id2label`. `transformers` leaves them out where they are `LABEL_0`, `LABEL_1` and so
/// on; then there are as many as the checkpoint's classifier has rows.
fn labels(directory: &Path, config: &ModelConfig, checkpoint: &Checkpoint) -> Result<Vec<String>, Error> {
    config.check_labels(directory)?;
    if let Some(labels) = config.labels() {
        return Ok(labels.to_vec());
    }
    let Some((key, rows)) = classifier(config, checkpoint) else {
        let message = format!("{}: expected a fine-tuned model with id2label, found none", directory.display());
        return Err(Error::run(
            message,
            format!("topwork tune train.csv --model '{}' --output out", directory.display()),
        ));
    };
    match config.raw.get("num_labels").filter(|value| !value.is_null()) {
        Some(value) if value.as_u64() != Some(rows as u64) => {
            let path = directory.join("config.json");
            let message = format!("{}: num_labels: expected {rows}, the rows of {key}, found {value}", path.display());
            Err(Error::run(message, "leave the key out: the weights say how many there are"))
        }
        _ => Ok((0..rows).map(|id| format!("LABEL_{id}")).collect()),
    }
}

/// The checkpoint's last linear map for sequences, else for tokens: its key and its rows.
fn classifier<'a>(config: &ModelConfig, checkpoint: &'a Checkpoint) -> Option<(&'a str, usize)> {
    let heads = [HeadKind::Sequence { outputs: 1 }, HeadKind::Token { labels: 1 }];
    heads.into_iter().find_map(|head| {
        let Some(&Part::Output { name, .. }) = config.head(head).ok()?.main.last() else { return None };
        let weight = KeyRule::Parameter(format!("{name}.weight"));
        let key = checkpoint.names().find(|key| (config.description().translate)(key, head) == weight)?;
        Some((key, *checkpoint.shape(key)?.first()?))
    })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use serde_json::json;

    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

    /// The names that a model of a fixture has with some keys of its `config.json` changed.
    fn labels_with(fixture: &str, changes: &[(&str, Value)]) -> Result<Vec<String>, Error> {
        let source = Path::new(FIXTURES).join(fixture);
        let folder = tempfile::tempdir().unwrap();
        for file in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            let from = if source.join(file).exists() { &source } else { &Path::new(FIXTURES).join("tiny-bert") };
            std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
        }
        let mut config = ModelConfig::load(&source).unwrap().raw;
        for (key, value) in changes {
            config[*key] = value.clone();
        }
        topwork_models::save_config(folder.path(), &config).unwrap();
        let config = ModelConfig::load(folder.path())?;
        let names = labels(folder.path(), &config, &Checkpoint::open(folder.path())?)?;
        if fixture == "tiny-bert" {
            assert_eq!(Predictor::load(folder.path())?.labels(), names);
        }
        Ok(names)
    }

    #[test]
    fn labels_that_transformers_leaves_out_are_those_of_the_classifier() {
        let none = ("id2label", Value::Null);
        let expected = ["LABEL_0", "LABEL_1", "LABEL_2"];
        assert_eq!(labels_with("tiny-bert", std::slice::from_ref(&none)).unwrap(), expected);
        assert_eq!(labels_with("tiny-bert", &[none.clone(), ("num_labels", json!(3))]).unwrap(), expected);
        for fixture in ["families/bert-token", "families/roberta-sequence", "families/roberta-token"] {
            let own = ModelConfig::load(&Path::new(FIXTURES).join(fixture)).unwrap().labels().unwrap().len();
            assert_eq!(labels_with(fixture, std::slice::from_ref(&none)).unwrap().len(), own, "{fixture}");
        }
        let refused = |fixture: &str, changes: &[(&str, Value)], parts: &[&str]| {
            let error = labels_with(fixture, changes).unwrap_err();
            assert!(error.hint().is_some(), "{error}");
            parts.iter().for_each(|part| assert!(error.to_string().contains(part), "{part} is not in: {error}"));
        };
        let parts = ["config.json", "num_labels", "expected 3", "classifier.weight", "found 5"];
        refused("tiny-bert", &[none.clone(), ("num_labels", json!(5))], &parts);
        refused("families/bert-masked-words", &[none], &["id2label, found none"]);
        let gap = ("id2label", json!({ "0": "a", "2": "b", "3": "c" }));
        refused("tiny-bert", &[gap], &["config.json", "id2label", "\"0\", \"1\"", "\"2\":\"b\""]);
    }
}
