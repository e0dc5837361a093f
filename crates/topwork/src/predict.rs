//! A fine-tuned model directory, read back: for `predict`, `evaluate`, and the proof that saving lost nothing.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use topwork_data::{
    ColumnNames, Columns, DataError, Dataset, Example, Format, Labels, MissingLabels, TargetKind, TargetSpace,
    TokenizedTexts, for_words, respelled_note, split_words, text_hash,
};
use topwork_engine::{ParameterId, Parameters};
use topwork_models::{
    Block, Checkpoint, HeadKind, HeadRule, KeyRule, Model, ModelConfig, ModelOptions, ParameterSpec, Part, Pooling,
    WeightOptions, Weights, check_tokenizer, max_length, read_tokenizer,
};

use crate::error::Error;
use crate::events::SplitScores;
use crate::network::batch::{Output, check_tokens, infer};
use crate::run::output_directory::LEARNT_ROWS;
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
    /// What may surprise of how its tokenizer is read.
    pub notes: Vec<String>,
    task: TaskKind,
    /// Hashes of the rows that it learnt from, in ascending order; none where the directory does not say.
    learnt: Vec<u64>,
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
        let checkpoint = Checkpoint::open(directory)?;
        let labels = labels(directory, &config, &checkpoint)?;
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
            saved = SavedConfig::default();
        }
        let space = TargetSpace::from_names(task.kind(), labels)?;
        let mut scoring = Scoring::of(space);
        scoring.temperature = saved.temperature.unwrap_or(1.0);
        scoring.thresholds = saved.thresholds;
        scoring.scale = saved.target_unit;
        let sizes = config.encoder().sizes();
        let (mut tokenizer, notes) = read_tokenizer(directory)?;
        if task.kind() == TargetKind::TokenTags {
            tokenizer = for_words(&tokenizer);
        }
        check_tokenizer(directory, &tokenizer, sizes.vocab_size)?;
        let head = task.head(scoring.outputs());
        let pooling = config.pooling();
        let options = WeightOptions { pooling, ..WeightOptions::of(head, HeadRule::Required) };
        let weights = Weights::load(&checkpoint, &config, &options)?;
        let parameters = weights.parameters();
        Ok(Self {
            directory: directory.to_path_buf(),
            max_length: max_length(directory, sizes.max_tokens)?,
            model: Model::bind(&config, &parameters, ModelOptions { pooling, ..ModelOptions::of(head) })?,
            specs: weights.specs,
            warnings,
            notes,
            task: TaskKind(task),
            learnt: learnt_rows(directory)?,
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
        // A pipe is read once.
        let bytes = if path.is_dir() { None } else { std::fs::read(path).ok() };
        let read = |names: &ColumnNames| match &bytes {
            Some(bytes) => Dataset::of_bytes(path, bytes.clone(), names, labels),
            None => Dataset::read(path, names, labels),
        };
        let usual = read(said);
        let Some(own) = &self.columns else { return Ok(usual?) };
        let header: Vec<&String> = match &usual {
            // Plain texts have no columns.
            Ok(dataset) if dataset.format == Format::Lines => return Ok(usual?),
            Ok(Dataset { columns, ignored_columns, .. }) => {
                let used = [&columns.text].into_iter().chain(&columns.text_pair).chain(&columns.labels);
                used.chain(ignored_columns).collect()
            }
            Err(DataError::MissingColumn { found, .. }) => found.iter().collect(),
            // Numbers are the names of columns where the training file had no header.
            Err(DataError::NoHeader { .. }) if *said == ColumnNames::default() && own.are_numbered() => {
                return Ok(read(&own.as_named())?);
            }
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
        if names == *said { Ok(usual?) } else { Ok(read(&names)?) }
    }

    /// The columns that are meant, of those that a file has: what was said, else those of the training file, else the usual ones. Without a
    /// header, as before it is known, what the file is read by.
    pub fn columns_among(&self, said: &ColumnNames, header: &[String]) -> ColumnNames {
        let mut names = said.clone();
        let Some(own) = &self.columns else { return names };
        let texts = || [&own.text].into_iter().chain(&own.text_pair);
        let is_open = said.text.is_none() && said.text_pair.is_none();
        let has = |name: &String| header.contains(name);
        if header.is_empty() && *said == ColumnNames::default() && own.are_numbered() {
            return own.as_named();
        }
        // Before the header is known, its names tell it from a line of text.
        if is_open && (texts().all(has) || header.is_empty()) {
            (names.text, names.text_pair) = (Some(own.text.clone()), own.text_pair.clone());
        }
        if said.labels.is_empty() && !own.labels.is_empty() && own.labels.iter().all(has) {
            names.labels = own.labels.clone();
        }
        names
    }

    /// Gives the outputs other names, as for a checkpoint that calls them `LABEL_0` and so on.
    ///
    /// # Errors
    /// When there are not as many, or two are the same.
    pub fn rename_labels(&mut self, names: Vec<String>) -> Result<(), Error> {
        let (expected, found) = (self.labels().len(), names.len());
        if expected != found {
            let message = format!("--label-names-file: expected {expected} names, one for each output, found {found}");
            return Err(Error::run(message, "a file with a name a line, that of the first output first"));
        }
        self.scoring.space = TargetSpace::from_names(self.task().kind(), names)?;
        Ok(())
    }

    /// Settles which rows of a labelled file have a label, and puts class names in place of numbers where the file says them; returns what
    /// the user should know of the file.
    ///
    /// # Errors
    /// When rows have no label and that is to be an error.
    pub fn settle_labels(&self, dataset: &mut Dataset, rule: MissingLabels) -> Result<Vec<String>, Error> {
        let mut notes = std::mem::take(&mut dataset.notes);
        if rule != MissingLabels::Keep {
            dataset.find_missing();
        }
        if let Some(names) = dataset.class_names.take() {
            dataset.name_known_labels(&names)?;
        }
        notes.extend(dataset.settle_missing(rule, self.task().kind())?);
        notes.extend(respelled_note(&self.scoring.space.respelled(dataset), &dataset.path));
        Ok(notes)
    }

    /// Whether the model learnt from a row with these words, as far as its directory says.
    pub fn has_learnt(&self, row: &Example) -> bool {
        self.learnt.binary_search(&text_hash(row)).is_ok()
    }

    /// Makes rows as they were read ready for the model: a tagger reads words, any other model texts.
    ///
    /// # Errors
    /// When rows are pairs of texts and the model reads single ones, or the other way round.
    pub fn prepare(&self, dataset: &mut Dataset) -> Result<(), Error> {
        self.prepare_rows(&dataset.path, &dataset.columns, &mut dataset.examples)
    }

    /// As [`Predictor::prepare`], of rows with these columns.
    ///
    /// # Errors
    /// As [`Predictor::prepare`].
    pub fn prepare_rows(&self, path: &Path, columns: &Columns, rows: &mut [Example]) -> Result<(), Error> {
        let is_tagger = self.task().kind() == TargetKind::TokenTags;
        let path = path.display();
        let expects_pair = self.columns.as_ref().map(|own| own.text_pair.as_deref());
        match (&columns.text_pair, expects_pair) {
            (Some(second), expected) if is_tagger || expected == Some(None) => {
                let first = &columns.text;
                let what = if is_tagger {
                    "one text a row, as a tagger reads"
                } else {
                    "single texts, as in the model's training"
                };
                let message = format!("{path}: expected {what}, found pairs of `{first}` and `{second}`");
                return Err(Error::run(message, format!("--text-column '{first}'")));
            }
            (None, Some(Some(own))) => {
                let message =
                    format!("{path}: expected pairs of texts, as in the model's training, found single texts");
                let hint = format!(
                    "a file with a column for each text; the training file's second one was `{own}`, --text-pair-column names another"
                );
                return Err(Error::run(message, hint));
            }
            _ => {}
        }
        match is_tagger {
            true => part_into_words(rows),
            false => rows.iter_mut().for_each(Example::forget_words),
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

    /// Takes the values of every parameter but the head's that `tuned` has by the same name and with as many values. What was tuned for
    /// another `pooling` than this model's is no part of the encoder.
    pub(crate) fn take_encoder(&mut self, tuned: &Parameters, pooling: Pooling) {
        let is_same = pooling == self.model.pooling();
        let below = self.specs.iter().map(|spec| spec.block != Block::Head && (is_same || spec.block != Block::Final));
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

/// The hashes of the rows that a model learnt from; none where its directory has no file of them.
fn learnt_rows(directory: &Path) -> Result<Vec<u64>, Error> {
    let path = directory.join(LEARNT_ROWS);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::read(&path, error)),
    };
    let (hashes, rest) = bytes.as_chunks::<8>();
    let mut hashes: Vec<u64> = hashes.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    if !rest.is_empty() || !hashes.is_sorted() {
        let message =
            format!("{}: expected hashes of 8 bytes in ascending order, found a damaged file", path.display());
        return Err(Error::run(message, "remove the file: rows that were learnt from are not recognised then"));
    }
    hashes.dedup();
    Ok(hashes)
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

/// Parts plain texts into words, as a tagger reads them; rows that have words stay as they are.
fn part_into_words(rows: &mut [Example]) {
    for example in rows.iter_mut().filter(|example| example.words.is_empty()) {
        example.words = split_words(&example.text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
