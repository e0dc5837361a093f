//! Everything that a run reads, read and checked before anything is done.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use topwork_data::{
    ColumnNames, Dataset, Example, LabelSet, Labels, TokenizedTexts, distinct_texts, hold_out, label_variants,
};
use topwork_models::{
    Checkpoint, HeadKind, HubSettings, ModelConfig, SEEDLING, check_tokenizer, load_tokenizer, locate, max_length,
    tokenizer_files, unpack_seedling,
};

use crate::error::Error;
use crate::events::{Observer, Observers, RecordedEvents, RunEvent};
use crate::network::batch::{Rows, check_tokens};
use crate::plan::Plan;
use crate::plan::error::PlanError;
use crate::plan::facts::{Facts, ModelFacts, TokenLengths};
use crate::plan::policy::{Policy, policy};
use crate::plan::recipe::{Recipe, Said};
use crate::plan::resolve::resolve;
use crate::run::directory::unused_directory;
use crate::session::retained::{Retained, RetainedFile};

/// The rows of one purpose: texts, tokens and classes.
#[derive(Clone, Debug)]
pub struct Split {
    /// The rows as they were read.
    pub examples: Vec<Example>,
    /// Their classes.
    pub labels: Vec<u32>,
    /// Their tokens.
    pub texts: TokenizedTexts,
}

impl Split {
    /// Tokens and classes.
    pub fn rows(&self) -> Rows<'_> {
        Rows { texts: &self.texts, labels: &self.labels }
    }

    /// So many rows, or all where there are fewer: at even distances, because a file may be sorted by label.
    pub fn spread(&self, count: usize) -> Self {
        let rows = self.labels.len();
        let count = count.min(rows);
        self.select(&(0..count).map(|i| i * rows / count).collect::<Vec<_>>())
    }

    /// The rows of these numbers.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            examples: rows.iter().map(|&row| self.examples[row].clone()).collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            texts: self.texts.select(rows),
        }
    }
}

/// What a run works on, and what it will do.
pub struct Inputs {
    /// What the run will do.
    pub plan: Plan,
    /// What it will do with each parameter.
    pub policy: Policy,
    /// The pretrained model's directory.
    pub source: PathBuf,
    /// The same, where the model is the carried one: it goes with this value.
    _unpacked: Option<TempDir>,
    /// Its configuration.
    pub config: ModelConfig,
    /// Its weights.
    pub checkpoint: Checkpoint,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The classes.
    pub labels: LabelSet,
    /// The rows to learn from.
    pub train: Split,
    /// The rows to look at after each epoch.
    pub validation: Option<Split>,
    /// The rows to score once, at the end.
    pub test: Option<Split>,
    /// What is not to be forgotten.
    pub retained: Retained,
    /// What was reported while reading.
    pub events: Vec<RunEvent>,
    /// Seconds spent on reading data and model.
    pub load_seconds: f64,
    /// Seconds spent on tokenizing.
    pub tokenize_seconds: f64,
}

impl Inputs {
    /// Reads the files and the model that `recipe` names, and resolves the plan.
    ///
    /// Data comes before the model: a mistyped column is reported before anything is downloaded.
    ///
    /// # Errors
    /// When anything that the run needs is missing or unusable. Nothing is written.
    pub fn read(recipe: &Recipe, hub: &HubSettings, observer: &mut dyn Observer) -> Result<Self, Error> {
        let mut recorded = RecordedEvents::default();
        let mut inputs = Self::gather(recipe, hub, &mut Observers(&mut [observer, &mut recorded]))?;
        inputs.events = recorded.events;
        Ok(inputs)
    }

    /// What stands on the model.
    pub fn head(&self) -> HeadKind {
        HeadKind::Sequence { outputs: self.labels.len() }
    }

    fn gather(recipe: &Recipe, hub: &HubSettings, observer: &mut dyn Observer) -> Result<Self, Error> {
        observer.event(&RunEvent::phase("load"));
        let started = Instant::now();
        let files = Files::read(recipe)?;
        files.warn(observer);
        let retained = files.retained(recipe)?;
        let spec = recipe.model_name_or_path.as_ref().map_or(SEEDLING, |said| said.value.as_str());
        let (source, unpacked) = find_model(spec, hub)?;
        if recipe.model_name_or_path.is_some() {
            warn_of_namesake(spec, observer);
        }
        let config = ModelConfig::load(&source)?;
        let checkpoint = Checkpoint::open(&source)?;
        let tokenizer = load_tokenizer(&source)?;
        let model =
            model_facts(&source, &config, &checkpoint, &tokenizer, HeadKind::Sequence { outputs: files.labels.len() })?;
        let load_seconds = started.elapsed().as_secs_f64();

        observer.event(&RunEvent::phase("tokenize"));
        let started = Instant::now();
        // The plan depends on how long the rows are, so they are tokenized whole first.
        let train_texts = TokenizedTexts::tokenize(&tokenizer, &files.train.examples, usize::MAX, &files.train.path)?;
        let retain_sha256 = retained.as_ref().map(|file| file.sha256().to_string());
        let facts = Facts { retain_sha256, ..files.facts(model, &train_texts) };
        let plan = resolve(recipe, &facts)?;
        let policy = policy(&config.specs(HeadKind::Sequence { outputs: files.labels.len() })?, &plan)?;
        let retained = Retained::gather(retained, &source, &config, &tokenizer, &plan)?;
        for warning in plan.warnings.iter().chain(&retained.warnings) {
            observer.event(&RunEvent::warning(warning));
        }
        let Files { train, validation, test, labels } = files;
        let most = plan.max_seq_length.value;
        let sizes = config.encoder().sizes();
        let mut counted = Counted::default();
        let mut tokenize = |dataset: &Dataset, whole: Option<TokenizedTexts>| -> Result<TokenizedTexts, Error> {
            let texts = match whole {
                Some(whole) if whole.length_quantile(1.0) <= most => whole,
                _ => TokenizedTexts::tokenize(&tokenizer, &dataset.examples, most, &dataset.path)?,
            };
            check_tokens(&texts, &sizes, &dataset.path)?;
            counted.add(&texts, &dataset.path, most, observer);
            Ok(texts)
        };
        let train_labels = labels.encode(&train)?;
        if let Some(folds) = plan.folds.value {
            check_folds(folds, &train, &train_labels, &labels)?;
        }
        let held_out = match validation {
            Some(_) => None,
            None => {
                Some(hold_out(&train, &train_labels, labels.len(), plan.validation_fraction.value, plan.seed.value))
            }
        };
        let whole =
            Split { texts: tokenize(&train, Some(train_texts))?, labels: train_labels, examples: train.examples };
        let mut split = |dataset: Dataset| -> Result<Split, Error> {
            Ok(Split { labels: labels.encode(&dataset)?, texts: tokenize(&dataset, None)?, examples: dataset.examples })
        };
        let test = test.map(&mut split).transpose()?;
        let is_held_out = held_out.is_some();
        let (train, validation) = match (held_out, validation) {
            (Some(parts), _) if !parts.held_out.is_empty() => {
                (whole.select(&parts.train), Some(whole.select(&parts.held_out)))
            }
            (_, Some(validation)) => (whole, Some(split(validation)?)),
            (_, None) => (whole, None),
        };
        let tokenize_seconds = started.elapsed().as_secs_f64();
        counted.warn_unknown(observer);
        if is_held_out && validation.is_none() && plan.validation_fraction.value > 0.0 {
            no_validation_rows(&plan, observer)?;
        }
        Ok(Self {
            plan,
            policy,
            source,
            _unpacked: unpacked,
            config,
            checkpoint,
            tokenizer,
            labels,
            train,
            validation,
            test,
            retained,
            events: Vec::new(),
            load_seconds,
            tokenize_seconds,
        })
    }
}

/// The data files of a run.
pub(crate) struct Files {
    pub(crate) train: Dataset,
    pub(crate) validation: Option<Dataset>,
    pub(crate) test: Option<Dataset>,
    pub(crate) labels: LabelSet,
}

/// The data files of a run, whatever their labels are.
pub(crate) struct Datasets {
    pub(crate) train: Dataset,
    pub(crate) validation: Option<Dataset>,
    pub(crate) test: Option<Dataset>,
}

impl Datasets {
    /// Reads the files; with optional labels a row may lack one, but there is a column for them all the same.
    pub(crate) fn read(recipe: &Recipe, labels: Labels) -> Result<Self, Error> {
        let (names, file) = (said_columns(recipe), required(&recipe.train_file, "train_file")?);
        let mut train = Dataset::read(file, &names, labels)?;
        if train.columns.labels.is_empty() {
            train = Dataset::read(file, &names, Labels::Required)?;
        }
        // The other files have the columns of the training file, not whichever they would be read by on their own.
        let names = ColumnNames {
            text: Some(train.columns.text.clone()),
            text_pair: train.columns.text_pair.clone(),
            labels: train.columns.labels.clone(),
        };
        let other = |file: &Option<Said<PathBuf>>| {
            file.as_ref().map(|file| Dataset::read(&file.value, &names, labels)).transpose()
        };
        let (validation, test) = (other(&recipe.validation_file)?, other(&recipe.test_file)?);
        Ok(Self { train, validation, test })
    }
}

impl Files {
    pub(crate) fn read(recipe: &Recipe) -> Result<Self, Error> {
        let Datasets { train, validation, test } = Datasets::read(recipe, Labels::Required)?;
        let labels = LabelSet::from_training(&train)?;
        for dataset in [&validation, &test].into_iter().flatten() {
            labels.encode(dataset)?;
        }
        Ok(Self { train, validation, test, labels })
    }

    /// The file of what should not be forgotten, if there is one.
    fn retained(&self, recipe: &Recipe) -> Result<Option<RetainedFile>, Error> {
        let Some(file) = &recipe.retain_file else { return Ok(None) };
        RetainedFile::read(&file.value, &said_columns(recipe), &self.train.columns).map(Some)
    }

    fn warn(&self, observer: &mut dyn Observer) {
        for (a, b) in label_variants(self.labels.names()) {
            let message = format!("labels `{a}` and `{b}` differ only in case or space: they count as two classes");
            observer.event(&RunEvent::warning(message));
        }
        let ignored = &self.train.ignored_columns;
        if !ignored.is_empty() {
            let shown: Vec<&str> = ignored.iter().take(8).map(String::as_str).collect();
            let more = if ignored.len() > 8 { ", …" } else { "" };
            let message = format!("{}: columns not used: {}{more}", self.train.path.display(), shown.join(", "));
            observer.event(&RunEvent::warning(message));
        }
    }

    fn facts(&self, model: ModelFacts, texts: &TokenizedTexts) -> Facts {
        let sha256 = |dataset: &Option<Dataset>| dataset.as_ref().map(|dataset| dataset.sha256.clone());
        // Every row of the training file has a label of the set that was made from it.
        let counts = self.labels.encode(&self.train).map(|labels| self.labels.counts(&labels)).unwrap_or_default();
        Facts {
            rows: self.train.examples.len(),
            validation_rows: self.validation.as_ref().map(|dataset| dataset.examples.len()),
            labels: self.labels.names().to_vec(),
            class_counts: counts,
            tokens: TokenLengths::from_lengths((0..texts.len()).map(|row| texts.length(row))),
            total_tokens: texts.total_tokens(),
            model,
            train_sha256: self.train.sha256.clone(),
            validation_sha256: sha256(&self.validation),
            test_sha256: sha256(&self.test),
            retain_sha256: None,
            unused_output_dir: unused_directory(&self.train.path),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The columns that were named.
fn said_columns(recipe: &Recipe) -> ColumnNames {
    let said = |name: &Option<Said<String>>| name.as_ref().map(|said| said.value.clone());
    ColumnNames {
        text: said(&recipe.text_column),
        text_pair: said(&recipe.text_pair_column),
        labels: said(&recipe.label_column).into_iter().collect(),
    }
}

/// A class is in as many folds as it has different texts, and every fold needs one of it.
fn check_folds(count: usize, train: &Dataset, train_labels: &[u32], labels: &LabelSet) -> Result<(), Error> {
    let texts = distinct_texts(&train.examples, train_labels, labels.len());
    let Some((class, &fewest)) = texts.iter().enumerate().min_by_key(|(_, texts)| **texts) else { return Ok(()) };
    if count <= fewest {
        return Ok(());
    }
    let label = labels.names().get(class).map_or("", String::as_str);
    let message = format!(
        "folds: {}: expected at most {fewest}, the different texts of `{label}`, found {count}",
        train.path.display()
    );
    let hint = match fewest {
        0 | 1 => "more texts of that class, or --validation FILE instead of folds".to_string(),
        fewest => format!("--folds {fewest}"),
    };
    Err(Error::run(message, hint))
}

/// What the tokens of all files have in common.
#[derive(Default)]
struct Counted {
    unknown: usize,
    tokens: usize,
}

impl Counted {
    /// Adds the tokens of a file, and warns when its texts are cut.
    fn add(&mut self, texts: &TokenizedTexts, path: &Path, most: usize, observer: &mut dyn Observer) {
        self.unknown += texts.unknown;
        self.tokens += texts.total_tokens();
        if let Some(warning) = cut_warning(texts, path, most) {
            observer.event(&RunEvent::warning(warning));
        }
    }

    fn warn_unknown(&self, observer: &mut dyn Observer) {
        // One in fifty: an English tokenizer on English text has hardly any.
        if self.unknown * 50 > self.tokens {
            let share = 100.0 * self.unknown as f64 / self.tokens as f64;
            let message = format!("the tokenizer does not know {share:.0} % of the tokens: is it of another language?");
            observer.event(&RunEvent::warning(message));
        }
    }
}

/// That texts of a file are cut, when some are.
pub fn cut_warning(texts: &TokenizedTexts, path: &Path, most: usize) -> Option<String> {
    let (cut, rows) = (texts.truncated, texts.len());
    (cut > 0).then(|| format!("{}: {cut} of {rows} texts are cut after {most} tokens", path.display()))
}

/// So few rows that none could be held out: an error where something was asked of them.
fn no_validation_rows(plan: &Plan, observer: &mut dyn Observer) -> Result<(), Error> {
    let message = format!(
        "{}: validation_fraction {} of {} rows leaves none to validate on",
        plan.train_file.value.display(),
        plan.validation_fraction.value,
        plan.facts.rows
    );
    if plan.early_stopping_patience.value.is_some() || plan.load_best_model_at_end.value {
        return Err(Error::run(message, "--validation FILE"));
    }
    observer.event(&RunEvent::warning(message));
    Ok(())
}

/// The directory of a model: the carried one by its name (a folder of that name is `./seedling`), a directory or a hub id.
pub(crate) fn find_model(spec: &str, hub: &HubSettings) -> Result<(PathBuf, Option<TempDir>), Error> {
    if spec != SEEDLING {
        return Ok((locate(spec, hub)?, None));
    }
    let folder = tempfile::tempdir().map_err(|source| Error::write(&std::env::temp_dir(), source))?;
    unpack_seedling(folder.path())?;
    Ok((folder.path().to_path_buf(), Some(folder)))
}

/// A folder that bears the carried model's name is easily meant by it.
pub(crate) fn warn_of_namesake(spec: &str, observer: &mut dyn Observer) {
    if spec == SEEDLING && Path::new(SEEDLING).is_dir() {
        let message = format!("{SEEDLING} is the model that topwork carries; the folder of that name is ./{SEEDLING}");
        observer.event(&RunEvent::warning(message));
    }
}

pub(crate) fn required<'a, T>(said: &'a Option<Said<T>>, key: &'static str) -> Result<&'a T, PlanError> {
    said.as_ref().map(|said| &said.value).ok_or(PlanError::Missing { key })
}

fn model_facts(
    source: &Path,
    config: &ModelConfig,
    checkpoint: &Checkpoint,
    tokenizer: &Tokenizer,
    head: HeadKind,
) -> Result<ModelFacts, Error> {
    let sizes = config.encoder().sizes();
    check_tokenizer(source, tokenizer, sizes.vocab_size)?;
    Ok(ModelFacts {
        family: config.description().name.to_string(),
        num_hidden_layers: sizes.num_hidden_layers,
        hidden_size: sizes.hidden_size,
        intermediate_size: sizes.intermediate_size,
        max_position_embeddings: sizes.max_tokens,
        model_max_length: Some(max_length(source, sizes.max_tokens)?),
        dropouts: config.encoder().dropouts(head),
        sha256: hash_files(&checkpoint.files())?,
        config_sha256: hash_files(&[&source.join("config.json")])?,
        tokenizer_sha256: hash_tokenizer(source)?,
    })
}

/// SHA-256 of the files of a tokenizer.
pub(crate) fn hash_tokenizer(source: &Path) -> Result<String, Error> {
    hash_files(&tokenizer_files(source).iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

/// SHA-256 over the contents of files, in order.
pub(crate) fn hash_files(paths: &[&Path]) -> Result<String, Error> {
    let mut hasher = Sha256::new();
    for path in paths {
        let read = || -> std::io::Result<()> {
            let mut file = std::fs::File::open(path)?;
            std::io::copy(&mut file, &mut hasher).map(|_| ())
        };
        let mut read = read;
        read().map_err(|source| Error::read(path, source))?;
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
