//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use topwork_data::{
    ColumnNames, Columns, DataError, Dataset, Example, Format, Labels, TargetKind, TargetSpace, TokenizedTexts, for_words,
    split_words,
};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::{
    Block, Checkpoint, HeadRule, Model, ModelConfig, ModelOptions, ParameterSpec, WeightOptions, Weights, check_tokenizer, load_tokenizer, max_length,
};

use crate::error::Error;
use crate::events::SplitScores;
use crate::network::batch::{Output, check_tokens, infer};
use crate::saved_config::{SavedConfig, TASK, task_of};
use crate::tasks::prediction::Prediction;
use crate::tasks::{Scoring, Supervised};

/// A fine-tuned model: what is needed to turn texts into predictions.
#[derive(Debug)]
pub struct Predictor {
    /// The directory it was read from.
    pub directory: PathBuf,
    /// The longest sequence, in tokens; longer texts are cut, longer rows of words read in windows.
    pub max_length: usize,
    /// How outputs become predictions: the classes, labels, numbers or tags, and what was fitted on held-out rows.
    pub scoring: Scoring,
    /// What the user should know of the model.
    pub warnings: Vec<String>,
    task: TaskKind,
    columns: Option<Columns>,
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
        let labels = config.labels().ok_or_else(|| {
            let message = format!("{}: expected a fine-tuned model with id2label, found none", directory.display());
            Error::run(message, format!("topwork tune train.csv --model '{}' --output out", directory.display()))
        })?;
        let mut saved = SavedConfig::read(directory, &config, labels.len())?;
        let (task, is_stale) = task_of(directory, &config, saved.task.as_deref(), labels.len())?;
        let mut warnings = Vec::new();
        if is_stale {
            let name = saved.task.unwrap_or_default();
            warnings.push(format!(
                "{}: {TASK} says {name}, the other keys {}: read as trained anew, without what topwork had fitted",
                directory.join("config.json").display(),
                task.name()
            ));
            saved = SavedConfig { pooling: saved.pooling, ..SavedConfig::default() };
        }
        let space = TargetSpace::from_names(task.kind(), labels.to_vec())?;
        let mut scoring = Scoring::of(space);
        scoring.temperature = saved.temperature.unwrap_or(1.0);
        scoring.thresholds = saved.thresholds;
        scoring.scale = saved.target_unit;
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
        let pooling = saved.pooling;
        Ok(Self {
            directory: directory.to_path_buf(),
            max_length: max_length(directory, sizes.max_tokens)?,
            model: Model::bind(&config, &parameters, ModelOptions { pooling, ..ModelOptions::of(head) })?,
            specs: weights.specs,
            warnings,
            task: TaskKind(task),
            columns: saved.columns,
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

    /// Reads a file: by the columns that the user names, otherwise by those of the training file where it has them, otherwise by
    /// their usual names.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks a column that was named.
    pub fn read(&self, path: &Path, said: &ColumnNames, labels: Labels) -> Result<Dataset, Error> {
        let usual = Dataset::read(path, said, labels);
        let Some(own) = &self.columns else { return Ok(usual?) };
        let header: Vec<&String> = match &usual {
            // Plain texts have no columns.
            Ok(dataset) if dataset.format == Format::Lines => return Ok(usual?),
            Ok(Dataset { columns, ignored_columns, .. }) => {
                let used = [&columns.text].into_iter().chain(&columns.text_pair).chain(&columns.labels);
                used.chain(ignored_columns).collect()
            }
            Err(DataError::MissingColumn { found, .. }) => found.iter().collect(),
            Err(_) => return Ok(usual?),
        };
        let has = |name: &String| header.contains(&name);
        let mut names = said.clone();
        if said.text.is_none() && said.text_pair.is_none() && [&own.text].into_iter().chain(&own.text_pair).all(has) {
            (names.text, names.text_pair) = (Some(own.text.clone()), own.text_pair.clone());
        }
        if said.labels.is_empty() && !own.labels.is_empty() && own.labels.iter().all(has) {
            names.labels = own.labels.clone();
        }
        if names == *said { Ok(usual?) } else { Ok(Dataset::read(path, &names, labels)?) }
    }

    /// Makes rows as they were read ready for the model: a tagger reads words, any other model texts.
    ///
    /// # Errors
    /// When rows are pairs of texts and the model reads single ones, or the other way round.
    pub fn prepare(&self, dataset: &mut Dataset) -> Result<(), Error> {
        let is_tagger = self.task().kind() == TargetKind::TokenTags;
        let pair = || dataset.columns.text_pair.as_deref().unwrap_or_default();
        match self.columns.as_ref().map(|own| own.text_pair.as_deref()) {
            _ if is_tagger && dataset.is_pair() => {
                let message = format!(
                    "{}: expected one text a row, as a tagger reads, found pairs of `{}` and `{}`",
                    dataset.path.display(),
                    dataset.columns.text,
                    pair()
                );
                return Err(Error::run(message, format!("--text-column '{}'", dataset.columns.text)));
            }
            Some(Some(own)) if !dataset.is_pair() => {
                let message = format!(
                    "{}: expected pairs of texts, as in the model's training, found single texts",
                    dataset.path.display()
                );
                let hint = format!("a file with a column for each text; the training file's second one was `{own}`, --text-pair-column names another");
                return Err(Error::run(message, hint));
            }
            Some(None) if dataset.is_pair() => {
                let message = format!(
                    "{}: expected single texts, as in the model's training, found pairs of `{}` and `{}`",
                    dataset.path.display(),
                    dataset.columns.text,
                    pair()
                );
                return Err(Error::run(message, format!("--text-column '{}'", dataset.columns.text)));
            }
            _ => {}
        }
        match is_tagger {
            true => part_into_words(dataset),
            false => dataset.forget_words(),
        }
        Ok(())
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

/// Parts plain texts into words, as a tagger reads them; rows that have words stay as they are.
fn part_into_words(dataset: &mut Dataset) {
    for example in dataset.examples.iter_mut().filter(|example| example.words.is_empty()) {
        example.words = split_words(&example.text);
    }
}
