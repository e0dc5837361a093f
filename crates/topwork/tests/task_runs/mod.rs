//! Small runs of every task, and what becomes of them when they are stopped.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use topwork::error::Error;
use topwork::events::{NoObserver, Observer, RunEvent};
use topwork::plan::recipe::{Options, Recipe};
use topwork::run::{Outcome, RunContext};
use topwork::session::inputs::{Datasets, Inputs};
use topwork::tasks::{Supervised, TASKS};
use topwork::tune::results::Results;
use topwork::tune::tune;
use topwork_data::{ColumnNames, Dataset, Labels, TargetKind};
use topwork_models::{
    FamilyDescription, HeadKind, HubSettings, ModelConfig, SEEDLING, Sizes, TensorView, Weights, load_tokenizer,
    save_config, tokenizer_files, write_safetensors,
};

pub(crate) fn supervised() -> impl Iterator<Item = &'static dyn Supervised> {
    TASKS.iter().filter_map(|task| task.supervised)
}

const WORDS: [&str; 3] = ["there", "people", "which"];
const REST: [&str; 7] = ["is it", "were in the time", "was", "could do no more", "said", "go", "made up"];

/// Rows with targets of a kind: the word that a text begins with decides them. Every third row has no entity.
pub(crate) fn jsonl(kind: TargetKind, rows: std::ops::Range<usize>) -> String {
    let mut lines = String::new();
    for row in rows {
        let (word, rest) = (row % WORDS.len(), row % REST.len());
        let text = format!("{} {} {row}", WORDS[word], REST[rest]);
        let row = match kind {
            TargetKind::Class => json!({ "text": text, "label": WORDS[word] }),
            TargetKind::Labels => {
                let labels: &[&str] = [["a"].as_slice(), &["a", "b"], &[]][word];
                json!({ "text": text, "label": labels })
            }
            TargetKind::Value => json!({ "text": text, "label": word as f64 + 0.25 * rest as f64 }),
            TargetKind::TokenTags => {
                let tokens: Vec<&str> = text.split(' ').collect();
                let tag = |place: usize| if place > 1 || word == 2 { "O" } else { ["B-WHO", "I-WHO"][place] };
                let tags: Vec<&str> = (0..tokens.len()).map(tag).collect();
                json!({ "tokens": tokens, "ner_tags": tags })
            }
        };
        writeln!(lines, "{row}").unwrap();
    }
    lines
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_string()
}

const FRACTION: &str = "validation_fraction";
/// A model of three layers, for what takes many runs; its numbers are too few to be shared among threads.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-bert");

/// A folder with the rows of a task, and runs on them.
pub(crate) struct Folder {
    directory: TempDir,
    model: &'static str,
}

impl Folder {
    /// With runs of the carried model.
    pub(crate) fn of(task: &dyn Supervised) -> Self {
        Self::with(task, SEEDLING)
    }

    /// With runs of a tiny model.
    pub(crate) fn tiny(task: &dyn Supervised) -> Self {
        Self::with(task, TINY)
    }

    fn with(task: &dyn Supervised, model: &'static str) -> Self {
        let folder = Self { directory: tempfile::tempdir().unwrap(), model };
        folder.write("train.jsonl", &jsonl(task.kind(), 0..48));
        folder.write("test.jsonl", &jsonl(task.kind(), 100..112));
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn weights(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name).join("model.safetensors")).unwrap()
    }

    pub(crate) fn recipe(&self, name: &str, options: &[(&str, &str)]) -> Recipe {
        let [train, test, output] = ["train.jsonl", "test.jsonl", name].map(|name| self.path(name));
        let [train, test, output] = [&train, &test, &output].map(|path| path.to_str().unwrap());
        let usual = [
            ("model_name_or_path", self.model),
            ("train_file", train),
            ("test_file", test),
            ("output_dir", output),
            ("num_train_epochs", "2"),
            ("per_device_train_batch_size", "16"),
            (FRACTION, "0.2"),
            ("compare_seeds", "0"),
            ("threads", "2"),
            ("seed", "42"),
        ];
        let mut recipe = Recipe::default();
        // Folds judge by every row, and take none of them for validation; a file takes the place of a part of the rows.
        let has_other_rows = options.iter().any(|(key, _)| ["folds", "validation_file"].contains(key));
        let is_other = |key: &str| options.iter().any(|(other, _)| *other == key) || key == FRACTION && has_other_rows;
        for (key, value) in usual.iter().filter(|(key, _)| !is_other(key)) {
            recipe.say(key, value, key).unwrap();
        }
        for (key, value) in options {
            recipe.say(key, value, key).unwrap();
        }
        recipe
    }

    /// A run to its end; what `options` say counts more than what is usual here.
    #[track_caller]
    pub(crate) fn tune(&self, name: &str, options: &[(&str, &str)]) -> (Inputs, Results) {
        self.tune_seen(name, options, &mut NoObserver)
    }

    #[track_caller]
    pub(crate) fn tune_seen(
        &self,
        name: &str,
        options: &[(&str, &str)],
        observer: &mut (dyn Observer + Send),
    ) -> (Inputs, Results) {
        tune_recipe(&self.recipe(name, options), observer)
    }

    /// The rows of a file in memory, and those of others.
    pub(crate) fn rows(&self, train: &str, test: &str) -> Datasets {
        let of = |name: &str| {
            let read = Dataset::read(&self.path(name), &ColumnNames::default(), Labels::Required).unwrap();
            Dataset::from_rows(name, read.columns, read.examples).unwrap()
        };
        Datasets { train: of(train), validation: None, test: Some(of(test)) }
    }

    /// A run on rows in memory to its end.
    pub(crate) fn tune_rows(&self, name: &str, rows: Datasets) -> Result<Results, Error> {
        let recipe = Recipe { train_file: None, test_file: None, ..self.recipe(name, &[]) };
        let inputs = Inputs::of_rows(&recipe, rows, &HubSettings::from_env(), &mut NoObserver)?;
        let interrupt = AtomicBool::new(false);
        let context = RunContext { started: Instant::now(), interrupt: &interrupt, resume: false };
        tune(&inputs, &context, &mut NoObserver).map(finished)
    }

    /// Goes on with a run that was stopped.
    pub(crate) fn try_resume(&self, name: &str, observer: &mut (dyn Observer + Send)) -> Result<Results, Error> {
        let mut flags = Recipe::default();
        flags.say("output_dir", self.path(name).to_str().unwrap(), "--resume").unwrap();
        let recipe = Recipe::read(&self.path(name).join("plan.toml"))?.overridden_by(flags);
        run(&recipe, true, &AtomicBool::new(false), observer).map(|(_, outcome)| finished(outcome))
    }

    #[track_caller]
    pub(crate) fn resume(&self, name: &str) -> Results {
        self.try_resume(name, &mut NoObserver).unwrap()
    }

    /// A directory with a small model of a family with random weights, and a tokenizer that the family uses.
    pub(crate) fn new_model(&self, family: &FamilyDescription) -> String {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let tokenizer = match family.name {
            "bert" | "distilbert" => fixtures.join("tiny-bert"),
            name => fixtures.join("tokenizers").join(name),
        };
        let directory = self.path(family.name);
        fs::create_dir(&directory).unwrap();
        for file in tokenizer_files(&tokenizer) {
            fs::copy(&file, directory.join(file_name(&file))).unwrap();
        }
        // What a tokenizer is built of depends on the model.
        let type_vocab_size = match family.name {
            "bert" => Some(2),
            "distilbert" => None,
            _ => Some(1),
        };
        let mut sizes = Sizes {
            vocab_size: 1,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 32,
            max_tokens: 48,
            type_vocab_size,
            pad_token_id: 1,
        };
        save_config(&directory, &(family.new_config)(&sizes)).unwrap();
        sizes.vocab_size = load_tokenizer(&directory).unwrap().get_vocab_size(true);
        save_config(&directory, &(family.new_config)(&sizes)).unwrap();
        let weights = Weights::initial(&ModelConfig::load(&directory).unwrap(), HeadKind::MASKED_WORDS, 42).unwrap();
        let tensors = weights.specs.iter().zip(&weights.tensors);
        let views: Vec<TensorView<'_>> =
            tensors.map(|(spec, data)| TensorView { name: &spec.name, shape: &spec.shape, data }).collect();
        write_safetensors(&directory.join("model.safetensors"), &views).unwrap();
        directory.to_str().unwrap().to_string()
    }
}

/// A run of this recipe to its end.
#[track_caller]
pub(crate) fn tune_recipe(recipe: &Recipe, observer: &mut (dyn Observer + Send)) -> (Inputs, Results) {
    let (inputs, outcome) = run(recipe, false, &AtomicBool::new(false), observer).unwrap();
    (inputs, finished(outcome))
}

fn run(
    recipe: &Recipe,
    resume: bool,
    interrupt: &AtomicBool,
    observer: &mut (dyn Observer + Send),
) -> Result<(Inputs, Outcome<Results>), Error> {
    let inputs = Inputs::read(recipe, &HubSettings::from_env(), &mut NoObserver)?;
    let outcome = tune(&inputs, &RunContext { started: Instant::now(), interrupt, resume }, observer)?;
    Ok((inputs, outcome))
}

#[track_caller]
fn finished(outcome: Outcome<Results>) -> Results {
    match outcome {
        Outcome::Finished { results, .. } => *results,
        Outcome::Interrupted { step, .. } => panic!("interrupted after step {step}"),
    }
}

/// Starts a run and interrupts it after a step.
pub(crate) fn interrupted_after(
    folder: &Folder,
    name: &str,
    step: usize,
    options: &[(&str, &str)],
) -> Outcome<Results> {
    let is_that = move |event: &RunEvent| matches!(event, RunEvent::Step { step: other, .. } if *other == step);
    interrupted_at(&folder.recipe(name, options), is_that)
}

/// Starts a run and interrupts it when an event happens.
pub(crate) fn interrupted_at(recipe: &Recipe, is_that: impl Fn(&RunEvent) -> bool + Send) -> Outcome<Results> {
    struct InterruptAt<'a, F>(&'a AtomicBool, F);
    impl<F: Fn(&RunEvent) -> bool> Observer for InterruptAt<'_, F> {
        fn event(&mut self, event: &RunEvent) {
            if (self.1)(event) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
    }
    let interrupt = AtomicBool::new(false);
    run(recipe, false, &interrupt, &mut InterruptAt(&interrupt, is_that)).unwrap().1
}

/// Copies the directory of a run at some points: what is on disk at a point is what a process leaves that is killed there.
pub(crate) struct Snapshots<'a> {
    folder: &'a Folder,
    run: &'a str,
    point: fn(&RunEvent) -> Option<String>,
    /// The names of the copies.
    pub(crate) taken: Vec<String>,
}

impl<'a> Snapshots<'a> {
    /// `point` gives the name of the copy that is made when an event happens.
    pub(crate) fn of(folder: &'a Folder, run: &'a str, point: fn(&RunEvent) -> Option<String>) -> Self {
        Self { folder, run, point, taken: Vec::new() }
    }
}

impl Observer for Snapshots<'_> {
    fn event(&mut self, event: &RunEvent) {
        if let Some(name) = (self.point)(event) {
            copy(&self.folder.path(self.run), &self.folder.path(&name));
            self.taken.push(name);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(file_name(&path));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).unwrap();
        }
    }
}
