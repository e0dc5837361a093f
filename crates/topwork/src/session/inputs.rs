//! Everything that a run reads, read and checked before anything is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use topwork_data::{
    Columns, Dataset, Example, HoldOut, Strata, TargetKind, TargetSpace, Targets, TokenizedTexts, for_words,
};
use topwork_models::{
    Checkpoint, HeadKind, HeadRule, HubSettings, Located, ModelConfig, SEEDLING, Sizes, check_tokenizer, locate,
    max_length, pooling_of, read_tokenizer, tokenizer_files, unpack_seedling,
};

use crate::error::Error;
use crate::events::{Observer, Observers, RecordedEvents, RunEvent, SplitScores};
use crate::network::batch::check_tokens;
use crate::plan::Plan;
use crate::plan::facts::{Facts, ModelFacts, TokenLengths};
use crate::plan::parameter_policy::{Policy, policy};
use crate::plan::recipe::{Place, Recipe, Said};
use crate::plan::resolve::resolve;
use crate::plan::value::FloorRule;
use crate::run::output_directory::unused_directory;
pub use crate::session::files::Datasets;
use crate::session::files::Files;
use crate::session::folds::{check_folds, fewest_texts};
use crate::session::label_names;
use crate::session::leaks::LeakedRows;
use crate::session::model_choice::{chosen_by_rows, configured};
use crate::session::retained::{Retained, RetainedFile};
pub use crate::session::split::Split;
use crate::session::training::TrainingSetup;
use crate::session::unlabelled::{Unlabelled, UnlabelledFile};
use crate::tasks::regression::scale_of;
use crate::tasks::{Scoring, Supervised};

/// What a run works on, and what it will do.
pub struct Inputs {
    /// What the run will do.
    pub plan: Plan,
    /// What it will do with each parameter.
    pub policy: Policy,
    /// The pretrained model's directory.
    pub source: PathBuf,
    /// The same, where the model is the carried one: it goes with this value.
    _unpacked: Option<Arc<TempDir>>,
    /// Its configuration.
    pub config: ModelConfig,
    /// Its weights.
    pub checkpoint: Checkpoint,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What is learnt.
    pub task: &'static dyn Supervised,
    /// How outputs are scored: the classes, labels, numbers or tags, and their unit.
    pub scoring: Scoring,
    /// The columns of the training file.
    pub columns: Columns,
    /// The rows to learn from.
    pub train: Split,
    /// Rows that are learnt from as well and are none of the file: the name of each class, where the plan has them as rows, and texts with a
    /// model's label.
    pub(crate) added: Option<Split>,
    /// Texts without labels.
    pub unlabelled: Option<Unlabelled>,
    /// The rows to look at after each epoch.
    pub validation: Option<Split>,
    /// The rows to score once, at the end.
    pub test: Option<Split>,
    /// What is not to be forgotten.
    pub retained: Retained,
    /// Rows of the validation and test files that judge nothing, since they are learnt from.
    pub leaks: Vec<LeakedRows>,
    /// What was reported while reading.
    pub events: Vec<RunEvent>,
    /// Seconds spent on reading data and model, and on choosing a pooling and layers by the rows.
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
        Self::recorded(observer, |observer| Self::gather(recipe, || Files::read(recipe), hub, observer))
    }

    /// As [`Inputs::read`], of rows in memory. The plan has the names of `rows` in place of files, and their hashes: it is repeated, or goes
    /// on, with the same rows under the same names.
    ///
    /// # Errors
    /// When the recipe names another file of rows, or a column, when `rows` have different columns, and as [`Inputs::read`].
    pub fn of_rows(
        recipe: &Recipe,
        rows: Datasets,
        hub: &HubSettings,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let own = [Some(&rows.train), rows.validation.as_ref(), rows.test.as_ref()];
        let files = [&recipe.train_file, &recipe.validation_file, &recipe.test_file];
        for (said, own) in files.into_iter().zip(own).filter_map(|(said, own)| Some((said.as_ref()?, own))) {
            if own.is_none_or(|own| own.path != said.value) {
                let message = format!("expected a recipe without files of rows, found {}", said.value.display());
                return Err(Error::run(message, "the rows are in memory: leave the file out"));
            }
        }
        let columns = [&recipe.text_column, &recipe.text_pair_column, &recipe.label_column];
        if let Some(said) = columns.into_iter().flatten().next() {
            let message = format!("expected a recipe without columns, found {}", said.value);
            return Err(Error::run(message, "the rows are in memory and have their columns: leave it out"));
        }
        let named = |dataset: &Dataset| {
            Some(Said { value: dataset.path.clone(), place: Place::Flag { name: "rows in memory".to_string() } })
        };
        let recipe = Recipe {
            train_file: named(&rows.train),
            validation_file: rows.validation.as_ref().and_then(named),
            test_file: rows.test.as_ref().and_then(named),
            ..recipe.clone()
        };
        Self::recorded(observer, |observer| Self::gather(&recipe, || Files::of_rows(&recipe, rows), hub, observer))
    }

    /// What is read, with what was reported meanwhile.
    fn recorded(
        observer: &mut dyn Observer,
        read: impl FnOnce(&mut dyn Observer) -> Result<Self, Error>,
    ) -> Result<Self, Error> {
        let mut recorded = RecordedEvents::default();
        let mut inputs = read(&mut Observers(&mut [observer, &mut recorded]))?;
        inputs.events = recorded.events;
        Ok(inputs)
    }

    /// What stands on the model.
    pub fn head(&self) -> HeadKind {
        self.task.head(self.scoring.outputs())
    }

    /// The names of the classes, labels, numbers or tags, in their order.
    pub fn labels(&self) -> &[String] {
        self.scoring.space.names()
    }

    /// The names by which the saved model calls its outputs: a single number has none in `transformers`.
    pub fn saved_labels(&self) -> &[String] {
        match (self.task.kind(), self.labels()) {
            (TargetKind::Value, [_]) => &[],
            (_, labels) => labels,
        }
    }

    /// The same rows and model under another plan.
    pub(crate) fn under(&self, setup: &TrainingSetup) -> Self {
        Self {
            plan: setup.plan.clone(),
            policy: setup.policy.clone(),
            source: self.source.clone(),
            _unpacked: self._unpacked.clone(),
            config: self.config.clone(),
            checkpoint: self.checkpoint.clone(),
            tokenizer: self.tokenizer.clone(),
            task: self.task,
            scoring: self.scoring.clone(),
            columns: self.columns.clone(),
            train: self.train.clone(),
            added: self.added.clone(),
            unlabelled: None,
            validation: self.validation.clone(),
            test: self.test.clone(),
            retained: self.retained.clone(),
            leaks: self.leaks.clone(),
            events: Vec::new(),
            load_seconds: self.load_seconds,
            tokenize_seconds: self.tokenize_seconds,
        }
    }

    /// The scores of outputs for rows.
    pub fn evaluate(&self, outputs: &[f32], rows: &Split) -> SplitScores {
        SplitScores::new(rows.len(), self.task.evaluate(outputs, &rows.targets, &self.scoring))
    }

    fn gather(
        recipe: &Recipe,
        files: impl FnOnce() -> Result<Files, Error>,
        hub: &HubSettings,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        observer.event(&RunEvent::phase("load"));
        let started = Instant::now();
        let files = files()?;
        files.warn(observer);
        let retained = files.retained(recipe)?;
        let unlabelled = files.unlabelled(recipe, observer)?;
        let spec = recipe.model_name_or_path.as_ref().map_or(SEEDLING, |said| said.value.as_str());
        let (source, unpacked) = find_model(spec, hub, observer)?;
        recipe.model_name_or_path.iter().for_each(|said| warn_of_namesake(&said.value, observer));
        let config = configured(&source, recipe)?;
        let checkpoint = Checkpoint::open(&source)?;
        let (mut tokenizer, notes) = read_tokenizer(&source)?;
        notes.into_iter().for_each(|message| observer.event(&RunEvent::Note { message }));
        if files.task.kind() == TargetKind::TokenTags {
            tokenizer = for_words(&tokenizer);
        }
        let head = files.task.head(files.space.names().len());
        config.head(head)?;
        let model = model_facts(&source, &config, &checkpoint, &tokenizer, &files)?;
        let load_seconds = started.elapsed().as_secs_f64();

        observer.event(&RunEvent::phase("tokenize"));
        let started = Instant::now();
        // The plan depends on how long the rows are, so they are tokenized whole first.
        let train = &files.datasets.train;
        let train_texts = TokenizedTexts::tokenize(&tokenizer, &train.examples, usize::MAX, &train.path)?;
        let train_targets = files.space.encode(train)?;
        let named = is_named(&files, &tokenizer);
        let beside = (retained.as_ref(), unlabelled.as_ref());
        let facts = facts(recipe, &files, model, &train_texts, &train_targets, beside, named)?;
        let plan = resolve(recipe, &facts)?;
        let retained = Retained::gather(retained, &source, &config, &tokenizer, &plan)?;
        let strata = Strata::new(&files.space, &train_targets);
        if let Some(folds) = plan.folds.value {
            check_folds(folds, train, &strata, &files.space)?;
        }
        let held_out = match files.datasets.validation {
            Some(_) => None,
            None => Some(strata.hold_out(train, plan.validation_fraction.value, plan.seed.value)),
        };
        let rows = (train, &train_texts, &train_targets, held_out.as_ref());
        let model = (config, &checkpoint, head, source.as_path());
        let (plan, config, probe_seconds) = chosen_by_rows(recipe, facts, plan, &tokenizer, rows, model, observer)?;
        let policy = policy(&config.specs(head)?, &plan)?;
        plan.warnings.iter().chain(&retained.warnings).for_each(|text| observer.event(&RunEvent::warning(text)));
        let Files { datasets: Datasets { train, validation, test }, task, space, columns, leaks, .. } = files;
        let mut scoring = Scoring::of(space);
        let mut reader = Reader {
            tokenizer: &tokenizer,
            sizes: config.encoder().sizes(),
            space: &scoring.space,
            most: plan.max_seq_length.value,
            counted: Counted::default(),
            observer,
        };
        let texts = reader.tokenize(&train, Some(train_texts))?;
        let whole = Split { texts, targets: train_targets, examples: train.examples };
        let test = test.map(|test| reader.split(test)).transpose()?;
        let lacks_file = validation.is_none();
        let (train, validation) = reader.train_and_validation(whole, held_out, validation)?;
        let added = reader.names(&plan)?;
        let unlabelled = unlabelled.map(|file| reader.unlabelled(file)).transpose()?;
        let tokenize_seconds = started.elapsed().as_secs_f64() - probe_seconds;
        reader.counted.warn_unknown(observer);
        if lacks_file && validation.is_none() && plan.validation_fraction.value > 0.0 {
            no_validation_rows(&plan, observer)?;
        }
        if let Targets::Values(values) = &train.targets {
            scoring.scale = Some(scale_of(values));
        }
        Ok(Self {
            plan,
            policy,
            source,
            _unpacked: unpacked.map(Arc::new),
            config,
            checkpoint,
            tokenizer,
            task,
            scoring,
            columns,
            train,
            added,
            unlabelled,
            validation,
            test,
            retained,
            leaks,
            events: Vec::new(),
            load_seconds: load_seconds + probe_seconds,
            tokenize_seconds,
        })
    }
}

/// Makes the rows of a file ready for the model.
struct Reader<'a> {
    tokenizer: &'a Tokenizer,
    sizes: Sizes,
    space: &'a TargetSpace,
    most: usize,
    counted: Counted,
    observer: &'a mut dyn Observer,
}

impl Reader<'_> {
    fn split(&mut self, dataset: Dataset) -> Result<Split, Error> {
        let targets = self.space.encode(&dataset)?;
        Ok(Split { targets, texts: self.tokenize(&dataset, None)?, examples: dataset.examples })
    }

    /// The rows to learn from, and those of a validation file or that are held out.
    fn train_and_validation(
        &mut self,
        whole: Split,
        held_out: Option<HoldOut>,
        validation: Option<Dataset>,
    ) -> Result<(Split, Option<Split>), Error> {
        Ok(match (held_out, validation) {
            (Some(parts), _) if !parts.held_out.is_empty() => {
                (whole.select(&parts.train), Some(whole.select(&parts.held_out)))
            }
            (_, Some(validation)) => (whole, Some(self.split(validation)?)),
            (_, None) => (whole, None),
        })
    }

    /// The name of each class as a row of it, where the plan has them as rows.
    fn names(&self, plan: &Plan) -> Result<Option<Split>, Error> {
        if !plan.label_names_as_rows.value {
            return Ok(None);
        }
        let (labels, path) = (&plan.facts.labels, &plan.train_file.value);
        let examples: Vec<Example> =
            labels.iter().map(|label| Example::from_text(label_names::as_text(label))).collect();
        let texts = TokenizedTexts::tokenize(self.tokenizer, &examples, self.most, path)?;
        Ok(Some(Split { texts, targets: Targets::Class((0..labels.len() as u32).collect()), examples }))
    }

    /// Texts without labels.
    fn unlabelled(&mut self, file: UnlabelledFile) -> Result<Unlabelled, Error> {
        let dataset = file.into_dataset();
        let texts = self.tokenize(&dataset, None)?;
        Ok(Unlabelled { texts, examples: dataset.examples })
    }

    /// The tokens of a file; `whole` are those before any text is cut.
    fn tokenize(&mut self, dataset: &Dataset, whole: Option<TokenizedTexts>) -> Result<TokenizedTexts, Error> {
        let texts = match whole {
            Some(whole) if whole.length_quantile(1.0) <= self.most => whole,
            _ => TokenizedTexts::tokenize(self.tokenizer, &dataset.examples, self.most, &dataset.path)?,
        };
        check_tokens(&texts, &self.sizes, &dataset.path)?;
        self.counted.add(&texts, &dataset.path, self.most, self.observer);
        Ok(texts)
    }
}

/// Whether the names of classes are words that the model knows.
fn is_named(files: &Files, tokenizer: &Tokenizer) -> bool {
    files.task.kind() == TargetKind::Class && label_names::are_words(files.space.names(), tokenizer)
}

/// Whether the checkpoint has a head that was trained on these labels.
fn has_own_head(files: &Files, config: &ModelConfig) -> bool {
    let labels = files.space.names();
    let rule = config.head_rule(files.task.head(labels.len()), labels, files.task.problem_type());
    rule == HeadRule::LoadIfShapeFits
}

fn facts(
    recipe: &Recipe,
    files: &Files,
    model: ModelFacts,
    texts: &TokenizedTexts,
    targets: &Targets,
    (retained, unlabelled): (Option<&RetainedFile>, Option<&UnlabelledFile>),
    named_labels: bool,
) -> Result<Facts, Error> {
    let Datasets { train, validation, test } = &files.datasets;
    let sha256 = |dataset: &Option<Dataset>| dataset.as_ref().map(|dataset| dataset.sha256.clone());
    let label_names = recipe.label_names_file.as_ref().map(|said| hash_files(&[&said.value])).transpose()?;
    Ok(Facts {
        rows: train.examples.len(),
        validation_rows: validation.as_ref().map(|dataset| dataset.examples.len()),
        labels: files.space.names().to_vec(),
        has_pairs: train.columns.text_pair.is_some(),
        named_labels,
        class_counts: files.counts(targets),
        fewest_texts: fewest_texts(&train.examples, &Strata::new(&files.space, targets), &files.space)
            .map(|(_, texts)| texts),
        pooling_probe: None,
        layer_probe: None,
        task: files.task_facts(),
        tokens: TokenLengths::from_lengths((0..texts.len()).map(|row| texts.length(row))),
        total_tokens: texts.total_tokens(),
        model,
        train_sha256: train.sha256.clone(),
        validation_sha256: sha256(validation),
        test_sha256: sha256(test),
        retain_sha256: retained.map(|file| file.sha256().to_string()),
        unlabelled_sha256: unlabelled.map(|file| file.sha256().to_string()),
        label_names_sha256: label_names,
        unused_output_dir: unused_directory(&train.path),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Words that the tokenizer drops, such as one of zero-width letters alone: a tagger neither learns them nor finds them.
fn tokenless_warning(texts: &TokenizedTexts, path: &Path) -> Option<String> {
    let words: usize = (0..texts.len()).map(|row| texts.words_without_token(row)).sum();
    let (has, those) = if words == 1 { ("1 word has", "it counts") } else { ("words have", "they count") };
    let count = if words == 1 { String::new() } else { format!("{words} ") };
    (words > 0)
        .then(|| format!("{}: {count}{has} no token by this tokenizer: {those} as outside of entities", path.display()))
}

/// That no text differs from another for the model, when there are several.
fn same_warning(texts: &TokenizedTexts, path: &Path) -> Option<String> {
    let rows = texts.len();
    let are_same = rows > 1 && (1..rows).all(|row| texts.row(row) == texts.row(0));
    are_same.then(|| {
        format!("{}: all {rows} texts have the same tokens: nothing tells one row from another", path.display())
    })
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
        let warnings = [cut_warning(texts, path, most), tokenless_warning(texts, path), same_warning(texts, path)];
        for warning in warnings.into_iter().flatten() {
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
    let is_of_words = (0..rows).any(|row| texts.words(row) > 0);
    match is_of_words {
        true if cut > 0 => Some(format!(
            "{}: {cut} of {rows} rows have a word of more than {most} tokens, which is cut",
            path.display()
        )),
        true if texts.windowed > 0 => {
            let windowed = texts.windowed;
            Some(format!(
                "{}: {windowed} of {rows} rows have more than {most} tokens and are read in windows",
                path.display()
            ))
        }
        false if cut > 0 => Some(format!("{}: {cut} of {rows} texts are cut after {most} tokens", path.display())),
        _ => None,
    }
}

/// So few rows that none could be held out: an error where something was asked of them.
fn no_validation_rows(plan: &Plan, observer: &mut dyn Observer) -> Result<(), Error> {
    let message = format!(
        "{}: validation_fraction {} of {} rows leaves none to validate on",
        plan.train_file.value.display(),
        plan.validation_fraction.value,
        plan.facts.rows
    );
    let chooses = plan.floor.value == FloorRule::Take && plan.folds.value.is_none();
    if plan.early_stopping_patience.value.is_some() || plan.load_best_model_at_end.value || chooses {
        return Err(Error::run(message, "--validation FILE"));
    }
    observer.event(&RunEvent::warning(message));
    Ok(())
}

/// The directory of a model: the carried one by its name (a folder of that name is `./seedling`), or what [`locate`] finds; the
/// way there is said.
pub(crate) fn find_model(
    spec: &str,
    hub: &HubSettings,
    observer: &mut dyn Observer,
) -> Result<(PathBuf, Option<TempDir>), Error> {
    if spec != SEEDLING {
        let Located { directory, notes } = locate(spec, hub)?;
        notes.into_iter().for_each(|message| observer.event(&RunEvent::Note { message }));
        return Ok((directory, None));
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

fn model_facts(
    source: &Path,
    config: &ModelConfig,
    checkpoint: &Checkpoint,
    tokenizer: &Tokenizer,
    files: &Files,
) -> Result<ModelFacts, Error> {
    let head = files.task.head(files.space.names().len());
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
        pooling: pooling_of(source, config)?,
        has_own_head: has_own_head(files, config),
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
