//! Advice before a run: what the data is like, how far it lies from what the model knows, which model to take, how deep and
//! how long to tune it, at which learning rate, and what to expect. Models are judged by one pass of each over the rows, whose
//! features the other parts share; depth, length and rate follow rules that were measured (docs/experiments.md), checked by a race
//! where one can be afforded.

pub mod audit;
pub mod depth;
pub mod expectation;
pub mod learning_rate;
pub mod length;
pub mod race;
pub mod recipe;
mod sample;
pub mod similarity;
pub mod transferability;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};
use topwork_data::{DataError, Example, normalised};
use topwork_metrics::select_rows;
use topwork_metrics::transferability::{CrossValidation, FOLDS, cross_validate, folds};
use topwork_models::{HubSettings, SEEDLING};

use crate::advise::audit::{Audit, audit_files};
use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::fit::range_test::{RangeOptions, RangeTest};
use crate::judge::transfer::bag_of_words;
use crate::network::batch::{Output, infer};
use crate::network::features::LayerFeatures;
use crate::plan::Plan;
use crate::plan::facts::VERSION;
use crate::plan::recipe::{Options, Recipe};
use crate::plan::resolve::resolve;
use crate::plan::value::Init;
use crate::run::{lap, thread_pool};
use crate::session::files::counts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingSetup};
use depth::DepthProposal;
use expectation::{Asked, CurvePoint, Expectation, Measured, expect};
use learning_rate::{Chosen, LearningRate, choose};
use length::LengthProposal;
use recipe::AdvisedRecipe;
use similarity::Similarity;
use transferability::{Baselines, Candidate, Scored, rank, score};

/// What to look at.
#[derive(Clone, Debug)]
pub struct AdviseOptions {
    /// The models to choose among.
    pub models: Vec<String>,
    /// Texts of the kind that the models were pre-trained on; without any, what the model says of itself.
    pub source_text: Vec<PathBuf>,
    /// A labelled file to measure the distance to, texts and classes together.
    pub source_labels: Option<PathBuf>,
    /// Only the scores of the models, without trainings.
    pub only_transferability: bool,
    /// What the race may cost, as a multiple of the usual.
    pub effort: f64,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Advice {
    /// The version of topwork.
    pub topwork_version: &'static str,
    /// Rows of the training file.
    pub rows: usize,
    /// Rows that were looked at.
    pub rows_looked_at: usize,
    /// The model that is advised.
    pub model: String,
    /// What is wrong with the files.
    pub audit: Audit,
    /// How far the texts lie from what the model knows.
    pub similarity: Similarity,
    /// Which model.
    pub transferability: Transferability,
    /// How deep to tune it; none when only models were scored.
    pub depth: Option<DepthProposal>,
    /// How long to train; none when only models were scored.
    pub length: Option<LengthProposal>,
    /// At which learning rate.
    pub learning_rate: Option<LearningRate>,
    /// What to expect.
    pub expectation: Option<Expectation>,
    /// What `tune` is to do.
    pub recipe: Option<AdvisedRecipe>,
    /// Models that could not be looked at.
    pub failures: Vec<Failure>,
    /// Seconds of each part, in order.
    pub seconds_by_part: Vec<(&'static str, f64)>,
    /// Seconds of everything.
    pub seconds: f64,
}

/// The candidates, and what is known without them.
#[derive(Debug, Serialize)]
pub struct Transferability {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// Candidates of which a probe at its best layer cannot tell whether they are worse than the first one.
    pub not_told_apart: Vec<String>,
    /// What needs no pretrained model.
    pub baselines: Baselines,
}

impl Transferability {
    /// Which models a probe cannot tell from the first, in words; none where it can tell all.
    pub fn not_told_apart(&self) -> Option<String> {
        let first = self.candidates.first()?;
        let others = self.not_told_apart.join(", ");
        (!others.is_empty())
            .then(|| format!("not told apart by a probe at its best layer: {} and {others}", first.model))
    }
}

/// A model that could not be looked at.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The model, as it was named.
    pub model: String,
    /// What happened.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A candidate that was looked at.
struct Looked {
    inputs: Inputs,
    /// The numbers of the training rows that were looked at.
    numbers: Vec<usize>,
    /// Their keys, which part them.
    keys: Vec<u64>,
    features: LayerFeatures,
    scored: Scored,
    /// Tokens a second of a forward pass.
    speed: f64,
}

/// Looks at the data and the models of `options`, and advises.
///
/// # Errors
/// When the data cannot be used, none of the models can, or the user interrupts.
pub fn advise(
    recipe: &Recipe,
    options: &AdviseOptions,
    hub: &HubSettings,
    observer: &mut (dyn Observer + Send),
    interrupt: &AtomicBool,
) -> Result<Advice, Error> {
    with_threads(recipe, || run(recipe, options, hub, observer, interrupt))
}

fn run(
    recipe: &Recipe,
    options: &AdviseOptions,
    hub: &HubSettings,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Advice, Error> {
    let (started, mut timer, mut seconds) = (Instant::now(), Instant::now(), Vec::new());
    let models = different(&options.models)?;
    observer.event(&RunEvent::phase("audit"));
    if let Some(missing) = options.source_text.iter().chain(&options.source_labels).find(|path| !path.exists()) {
        let message = format!("{}: expected a file to compare with, found nothing", missing.display());
        return Err(Error::run(message, format!("ls -l '{}'", missing.display())));
    }
    let mut audit = audit_files(recipe)?;
    seconds.push(("audit", lap(&mut timer)));
    let (mut looked, failures) = look_at_all(recipe, &models, hub, observer, interrupt)?;
    let mut candidates: Vec<&mut Candidate> = looked.iter_mut().map(|looked| &mut looked.scored.candidate).collect();
    rank(&mut candidates);
    looked.sort_by(|a, b| a.scored.candidate.mean_rank.total_cmp(&b.scored.candidate.mean_rank));
    seconds.push(("models", lap(&mut timer)));
    let best = &looked[0];
    let rows = best.inputs.train.select(&best.numbers);
    let baselines = baselines(best, &rows)?;
    audit.look_at_tokens(&best.inputs);
    if let Some(probe) = &best.scored.probe {
        audit.look_at_labels(&best.inputs, &best.numbers, probe);
    }
    seconds.push(("baselines", lap(&mut timer)));
    observer.event(&RunEvent::phase("compare"));
    let similarity = similarity::compare(
        &best.inputs,
        &rows,
        &best.features,
        &options.source_text,
        options.source_labels.as_deref(),
    )?;
    seconds.push(("similarity", lap(&mut timer)));
    let mut advice = Advice {
        topwork_version: VERSION,
        rows: best.inputs.plan.facts.rows,
        rows_looked_at: rows.len(),
        model: best.scored.candidate.model.clone(),
        audit,
        similarity,
        transferability: Transferability {
            candidates: looked.iter().map(|looked| looked.scored.candidate.clone()).collect(),
            not_told_apart: not_told_apart(&looked, rows.classes()),
            baselines,
        },
        depth: None,
        length: None,
        learning_rate: None,
        expectation: None,
        recipe: None,
        failures,
        seconds_by_part: seconds,
        seconds: 0.0,
    };
    if !options.only_transferability {
        train(&mut advice, recipe, options, best, &rows, observer, interrupt)?;
    }
    advice.seconds_by_part.push(("trainings", lap(&mut timer)));
    advice.seconds = started.elapsed().as_secs_f64();
    Ok(advice)
}

/// What takes trainings: depth, length, learning rate, and what to expect of them.
fn train(
    advice: &mut Advice,
    recipe: &Recipe,
    options: &AdviseOptions,
    best: &Looked,
    rows: &Split,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(), Error> {
    let Looked { inputs, features, keys, .. } = best;
    let planned = as_planned(recipe, best)?;
    let probes = &best.scored.probes[..features.layers.len()];
    let depth = match inputs.plan.init.value {
        Init::Pretrained => depth::propose(probes, rows.len(), advice.rows),
        Init::Random => {
            let why = "random layers have all to learn".to_string();
            DepthProposal { freeze_layers: 0, why, considered: Vec::new() }
        }
    };
    let rows_to_learn = planned.facts.rows_to_learn(planned.validation_fraction.value);
    let epoch = rows_to_learn.div_ceil(planned.rows_per_step()).max(1);
    let length = length::propose(&planned, recipe.num_train_epochs.is_some());
    let effort = options.effort;
    let chosen = Chosen { recipe, inputs, rows, keys, features, depth: &depth, length: &length, rows_to_learn, effort };
    let learning_rate = choose(&chosen, observer, interrupt)?;
    if interrupt.load(Ordering::Relaxed) {
        return Err(interrupted());
    }
    let asked = match &learning_rate.race {
        Some(race) => Some(Asked::Race { right: &race.winner_right, rows_learnt: race.rows_learnt }),
        None => best
            .scored
            .probe
            .as_ref()
            .map(|probe| Asked::Probe { accuracy: probe.accuracy(rows.classes()), rows: rows.len() }),
    };
    let steps = planned.steps(epoch, learning_rate.setting.num_train_epochs);
    let seconds = seconds_of_a_run(&planned, best, &learning_rate, steps, epoch);
    let expectation = asked.map(|asked| {
        expect(&Measured {
            asked,
            rows: rows_to_learn,
            curve: &probe_curve(best, rows.classes()),
            looked_at: rows.len(),
            bag_of_words: advice.transferability.baselines.bag_of_words,
            majority: advice.transferability.baselines.majority,
            model: &advice.model,
            seconds,
        })
    });
    advice.recipe = Some(AdvisedRecipe::of(recipe, advice, &planned, &depth, &length, &learning_rate));
    advice.depth = Some(depth);
    advice.length = Some(length);
    advice.learning_rate = Some(learning_rate);
    advice.expectation = expectation;
    Ok(())
}

/// The names of the models, each once.
fn different(models: &[String]) -> Result<Vec<&str>, Error> {
    let mut names: Vec<&str> = Vec::new();
    for name in models.iter().map(|name| name.trim()) {
        if name.is_empty() {
            let message =
                format!("--models {}: expected names with commas between, found an empty one", models.join(","));
            return Err(Error::run(message, "--models seedling,DIR"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Every model that can be looked at; an error when there is none.
fn look_at_all(
    recipe: &Recipe,
    models: &[&str],
    hub: &HubSettings,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(Vec<Looked>, Vec<Failure>), Error> {
    let (mut looked, mut failures) = (Vec::new(), Vec::new());
    let mut last = None;
    for model in models {
        if interrupt.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        observer.event(&RunEvent::Note { message: format!("looking at {model}") });
        // What there is to say of the rows is said once.
        let is_first = looked.is_empty() && failures.is_empty();
        match look(recipe, model, hub, observer, is_first) {
            Ok(own) => looked.push(own),
            Err(error) if is_of_the_rows(&error) => return Err(error),
            Err(error) => {
                observer.event(&RunEvent::warning(format!("{model} is left out: {error}")));
                failures.push(Failure { model: model.to_string(), error: error.to_string(), hint: error.hint() });
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if looked.is_empty() => Err(error),
        None if looked.is_empty() => Err(Error::run("expected a model, found none", "--models seedling")),
        _ => Ok((looked, failures)),
    }
}

/// Whether every model would fail: the files are at fault, not what a tokenizer makes of them.
fn is_of_the_rows(error: &Error) -> bool {
    use DataError::{MaximumLengthTooSmall, NoTokens, Tokenizer};
    match error {
        Error::Data(error) => !matches!(error, Tokenizer { .. } | NoTokens { .. } | MaximumLengthTooSmall { .. }),
        _ => false,
    }
}

/// A number for each row that its texts decide, whatever the model: by it rows are drawn and parted.
fn keys(examples: &[Example]) -> Vec<u64> {
    /// What no normalised text holds.
    const END: &str = " \n";
    let key = |example: &Example| {
        let texts = [Some(example.text.as_str()), example.text_pair.as_deref()];
        let ended: String = texts.into_iter().flatten().map(|text| normalised(text) + END).collect();
        u64::from_le_bytes(Sha256::digest(ended).first_chunk().copied().unwrap_or_default())
    };
    examples.iter().map(key).collect()
}

/// The candidates after the first whose probe is right in about as many rows as the first one's, each at its best layer: McNemar's
/// test (1947) on the rows of which only one is right.
fn not_told_apart(looked: &[Looked], labels: &[u32]) -> Vec<String> {
    /// Standard deviations of what chance alone does in one of twenty cases.
    const TOLD: f64 = 1.96;
    let best = looked.split_first().map(|(best, others)| (best.scored.best_predictions.as_ref(), others));
    let Some((Some(best), others)) = best else { return Vec::new() };
    let is_as_good = |other: &&Looked| {
        let Some(own) = &other.scored.best_predictions else { return false };
        let right = |said: &[u32], row: usize| said[row] == labels[row];
        let only =
            |a: &[u32], b: &[u32]| (0..labels.len()).filter(|&row| right(a, row) && !right(b, row)).count() as f64;
        let (better, worse) = (only(best, own), only(own, best));
        better - worse < TOLD * (better + worse).sqrt().max(1.0)
    };
    others.iter().filter(is_as_good).map(|other| other.scored.candidate.model.clone()).collect()
}

/// Reads a model and the data, runs the rows through it and scores what comes out.
fn look(
    recipe: &Recipe,
    model: &str,
    hub: &HubSettings,
    observer: &mut dyn Observer,
    is_first: bool,
) -> Result<Looked, Error> {
    let own = every_row(recipe, model)?;
    let mut silent = NoObserver;
    let inputs = Inputs::read(&own, hub, if is_first { &mut *observer } else { &mut silent })?;
    let numbers = sample::sample(inputs.train.classes(), inputs.labels().len(), inputs.plan.seed.value);
    let rows = inputs.train.select(&numbers);
    let subject = LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), inputs.plan.seed.value)?;
    observer.event(&RunEvent::phase("encode"));
    let began = Instant::now();
    let features = LayerFeatures::of(&subject.model, &subject.parameters, &rows.texts);
    let speed = rows.texts.total_tokens() as f64 / began.elapsed().as_secs_f64();
    observer.event(&RunEvent::phase("score"));
    let parameters = inputs.policy.parameters.iter().map(|parameter| parameter.values).sum();
    let keys = keys(&rows.examples);
    let scored = score(model, parameters, &features, rows.classes(), &keys);
    Ok(Looked { inputs, numbers, keys, features, scored, speed })
}

/// The recipe with this model, and no row held out.
pub(crate) fn every_row(recipe: &Recipe, model: &str) -> Result<Recipe, Error> {
    let mut own = Recipe::default();
    own.say("model_name_or_path", model, "--models")?;
    if recipe.validation_file.is_none() {
        own.say("validation_fraction", "0", "--validation-fraction")?;
        own.say("load_best_model_at_end", "false", "--load-best-model-at-end")?;
    }
    // What takes rows held out says nothing of a model.
    let mut recipe = recipe.clone();
    (recipe.early_stopping_patience, recipe.seeds, recipe.permuted_control, recipe.folds) = (None, None, None, None);
    Ok(recipe.overridden_by(own))
}

/// What needs no pretrained model, in the same folds as the probe.
fn baselines(best: &Looked, rows: &Split) -> Result<Baselines, Error> {
    let (labels, count) = (rows.classes(), best.inputs.labels().len());
    let counts = counts(&rows.targets, count);
    let majority = counts.iter().max().copied().unwrap_or(0) as f64 / labels.len().max(1) as f64;
    let fold_of = folds(best.features.layer_mean().as_ref(), labels, &best.keys, FOLDS);
    let (mut right, mut asked) = (0, 0);
    for fold in 0..FOLDS {
        let (held_out, fitted): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&row| fold_of[row] == fold);
        if held_out.is_empty() || fitted.is_empty() {
            continue;
        }
        let (train, test) = (rows.select(&fitted), rows.select(&held_out));
        let logits = bag_of_words::logits(&train.examples, train.classes(), count, &test.examples);
        let predicted = topwork_metrics::argmax(&logits, count);
        right += predicted.iter().zip(test.classes()).filter(|(predicted, gold)| predicted == gold).count();
        asked += test.len();
    }
    // Where all rows are alike none can be held out, and words tell no more than how frequent each class is.
    let bag_of_words = if asked == 0 { majority } else { right as f64 / asked as f64 };
    let mut setup = TrainingSetup::planned(&best.inputs);
    setup.plan.init.value = Init::Random;
    let random = LoadedModel::load(&best.inputs, &setup, best.inputs.plan.seed.value)?;
    let features = LayerFeatures::of(&random.model, &random.parameters, &rows.texts);
    let probe = cross_validate(features.layer_mean().as_ref(), labels, &best.keys);
    Ok(Baselines { majority, bag_of_words, random_weights: probe.map_or(majority, |probe| probe.accuracy(labels)) })
}

/// What the user's own recipe makes of the data with the best model: every value as `tune` would have it.
fn as_planned(recipe: &Recipe, best: &Looked) -> Result<Plan, Error> {
    let mut model = Recipe::default();
    model.say("model_name_or_path", &best.scored.candidate.model, "--models")?;
    Ok(resolve(&recipe.clone().overridden_by(model), &best.inputs.plan.facts)?)
}

/// The user wants no advice any more.
pub(crate) fn interrupted() -> Error {
    Error::run("interrupted: nothing was advised", "topwork advise again")
}

/// The errors of a probe fitted to a half and to all of the rows but a fold.
fn probe_curve(best: &Looked, labels: &[u32]) -> Vec<CurvePoint> {
    let share = (FOLDS - 1) as f64 / FOLDS as f64;
    let mean = best.features.layer_mean();
    let parts = folds(mean.as_ref(), labels, &best.keys, 2);
    let half: Vec<usize> = (0..labels.len()).filter(|&row| parts[row] == 0).collect();
    let (of_half, keys): (Vec<u32>, Vec<u64>) = half.iter().map(|&row| (labels[row], best.keys[row])).unzip();
    let error = |probe: &CrossValidation, labels: &[u32]| 1.0 - probe.accuracy(labels);
    let first = cross_validate(select_rows(mean.as_ref(), &half).as_ref(), &of_half, &keys);
    let points = [
        first.map(|probe| CurvePoint {
            rows: share * half.len() as f64,
            error: error(&probe, &of_half),
            asked: half.len(),
        }),
        best.scored.probe.as_ref().map(|probe| CurvePoint {
            rows: share * labels.len() as f64,
            error: error(probe, labels),
            asked: labels.len(),
        }),
    ];
    points.into_iter().flatten().collect()
}

/// How many trainings `tune` is asked for, in parts of one: other seeds, labels in random order, folds without their part.
fn trainings(plan: &Plan) -> f64 {
    let folds = plan.folds.value.map_or(0.0, |folds| folds as f64 - 1.0);
    plan.seeds.value.max(1) as f64 + f64::from(plan.permuted_control.value) + folds
}

/// Seconds of `tune` without comparisons, from the speeds that were measured here.
fn seconds_of_a_run(plan: &Plan, best: &Looked, found: &LearningRate, steps: usize, steps_per_epoch: usize) -> f64 {
    /// Writing the model, reading it back and scoring it.
    const AROUND: f64 = 1.0;
    let Inputs { train, test, .. } = &best.inputs;
    let a_row = train.texts.total_tokens() as f64 / train.len().max(1) as f64;
    let tokens = |rows: usize| a_row * rows as f64;
    let held_out = plan.facts.validation_rows(plan.validation_fraction.value);
    let learnt = plan.facts.rows_to_learn(plan.validation_fraction.value);
    let test = test.as_ref().map_or(0, |split| split.len());
    let epochs = steps.div_ceil(steps_per_epoch);
    // The rows of the probe, the validation rows after each epoch, some training rows at the end.
    let scored = tokens(learnt + held_out * (epochs + 1) + learnt.min(crate::tune::TRAIN_ROWS_SCORED) + test);
    let layers = plan.facts.model.num_hidden_layers;
    let share =
        depth::step_cost(found.setting.freeze_layers, layers) / depth::step_cost(found.tested_freeze_layers, layers);
    let a_step = found.range_test.seconds / found.range_test.curve.len().max(1) as f64;
    let loaded = best.inputs.load_seconds + best.inputs.tokenize_seconds;
    loaded + trainings(plan) * (share * a_step * steps as f64 + scored / best.speed) + AROUND
}

/// Adds to an audit what the model of the recipe says of every training row: what its tokenizer makes of them, and whose
/// label is doubted; where a run would not take the files, only that.
///
/// # Errors
/// When the model cannot be used.
pub fn look_at_every_row(
    recipe: &Recipe,
    audit: &mut Audit,
    hub: &HubSettings,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    if let Some(why) = audit.hindrance() {
        audit.findings.push(format!("no model looked at the rows: {why}"));
        return Ok(());
    }
    with_threads(recipe, || {
        let inputs = Inputs::read(&every_row(recipe, model_of(recipe))?, hub, observer)?;
        audit.look_at_tokens(&inputs);
        observer.event(&RunEvent::phase("encode"));
        let numbers: Vec<usize> = (0..inputs.train.len()).collect();
        let subject = LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), inputs.plan.seed.value)?;
        let features = LayerFeatures::of(&subject.model, &subject.parameters, &inputs.train.texts);
        observer.event(&RunEvent::phase("score"));
        let (labels, examples) = (inputs.train.classes(), &inputs.train.examples);
        if let Some(probe) = cross_validate(features.layer_mean().as_ref(), labels, &keys(examples)) {
            audit.look_at_labels(&inputs, &numbers, &probe);
        }
        Ok(())
    })
}

/// A range test of the recipe's setting on the training rows, and the learning rate that the plan has without it.
///
/// # Errors
/// When the data or the model cannot be used, or the range is none.
pub fn find_learning_rate(
    recipe: &Recipe,
    options: &RangeOptions,
    hub: &HubSettings,
    observer: &mut (dyn Observer + Send),
) -> Result<(RangeTest, f64), Error> {
    if options.end <= options.start {
        let message = format!("--end-lr: expected more than --start-lr {:e}, found {:e}", options.start, options.end);
        return Err(Error::run(message, format!("--start-lr {:e}", options.end / 1e4)));
    }
    with_threads(recipe, || {
        let inputs = Inputs::read(&every_row(recipe, model_of(recipe))?, hub, observer)?;
        observer.event(&RunEvent::phase("range test"));
        let subject = LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), inputs.plan.seed.value)?;
        let numbers = sample::sample(inputs.train.classes(), inputs.labels().len(), inputs.plan.seed.value);
        let rows = inputs.train.select(&numbers);
        let batch_size = inputs.plan.per_device_eval_batch_size.value;
        let pooled = infer(&subject.model, &subject.parameters, &rows.texts, batch_size, Output::Features);
        let frozen = inputs.plan.freeze_layers.value;
        let found = learning_rate::test(&inputs, frozen, &rows, &pooled, Some(*options))?;
        Ok((found, inputs.plan.learning_rate.value))
    })
}

fn model_of(recipe: &Recipe) -> &str {
    recipe.model_name_or_path.as_ref().map_or(SEEDLING, |said| said.value.as_str())
}

fn with_threads<R: Send>(recipe: &Recipe, work: impl FnOnce() -> Result<R, Error> + Send) -> Result<R, Error> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = recipe.threads.as_ref().map_or_else(cores, |said| said.value);
    thread_pool(threads)?.install(work)
}
