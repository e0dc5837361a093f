//! Advice before a run: what the data is like, how far it lies from what the model knows, which model to take, how deep and
//! how long to tune it, at which learning rate, and what to expect. Models are judged by one pass of each over the rows, whose
//! features the other parts share; depth, length and rate follow rules that were measured (docs/experiments.md), checked by a race
//! where one can be afforded.
//!
//! What is of one class a row (scores of features, depth by probes, doubtful labels, words alone, the race, the expectation) is left
//! out for other tasks, and the advice says so.

pub mod audit;
mod candidates;
pub mod depth;
pub mod expectation;
pub mod length;
mod linear_probe;
pub mod race;
pub mod rate_proposal;
pub mod recipe;
mod sample;
pub mod similarity;
pub mod transferability;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use topwork_metrics::transferability::cross_validate;
use topwork_models::{HubSettings, Pooling, SEEDLING};

use crate::advise::audit::{Audit, audit_files};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::range_test::{RangeOptions, RangeTest};
use crate::network::batch::{Output, infer};
use crate::network::features::LayerFeatures;
use crate::plan::Plan;
use crate::plan::facts::VERSION;
use crate::plan::recipe::{Options, Recipe};
use crate::plan::resolve::resolve;
use crate::plan::value::Init;
use crate::plan::value::{Method, OrAuto};
use crate::run::{lap, thread_pool};
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingSetup};
use crate::tasks::{Part, Supervised};
use depth::DepthProposal;
use expectation::{Asked, Expectation, Measured, expect};
use length::LengthProposal;
use rate_proposal::{Chosen, LearningRate, choose};
use recipe::AdvisedRecipe;
use similarity::Similarity;
use transferability::{Baselines, Candidate, Of, RANKED_BY, rank};

pub use candidates::Failure;
pub(crate) use candidates::every_row;
use candidates::{
    Examined, baselines, different, is_of_the_rows, keys, look_at_all, not_told_apart, probe_curve, sample_of,
};

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
    /// What is to be learnt.
    pub task: &'static str,
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
    /// The method that the rows can carry, where it is not fine-tuning: depth, length and rate are its own then; none when only models were
    /// scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<AdvisedMethod>,
    /// How deep to tune it; none when only models were scored, and where another method is advised.
    pub depth: Option<DepthProposal>,
    /// How long to train; none when only models were scored.
    pub length: Option<LengthProposal>,
    /// At which learning rate.
    pub learning_rate: Option<LearningRate>,
    /// What to expect; none of a task without classes.
    pub expectation: Option<Expectation>,
    /// Seconds of `topwork tune` without comparisons; none when only models were scored.
    pub tune_seconds: Option<f64>,
    /// What `tune` is to do.
    pub recipe: Option<AdvisedRecipe>,
    /// What does not apply to the task, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_applicable: Vec<(String, String)>,
    /// Models that could not be looked at.
    pub failures: Vec<Failure>,
    /// Seconds of each part, in order.
    pub seconds_by_part: Vec<(&'static str, f64)>,
    /// Seconds of everything.
    pub seconds: f64,
}

/// A method that suits few rows better than fine-tuning.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisedMethod {
    /// Its name.
    pub name: &'static str,
    /// What speaks for it.
    pub why: String,
}

/// The candidates, and what is known without them.
#[derive(Debug, Serialize)]
pub struct Transferability {
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// The metric of a linear head by which the models of a task without classes are ranked, under whose name it stands among their
    /// scores. None of classes, which have scores of their own, and where models are not ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranked_by: Option<&'static str>,
    /// Candidates of which a probe at its best layer cannot tell whether they are worse than the first one.
    pub not_told_apart: Vec<String>,
    /// What needs no pretrained model; none of a task without classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Baselines>,
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
    if let Some(other) = recipe.method.as_ref().filter(|said| !is_advised(said.value) && !options.only_transferability)
    {
        let message = format!(
            "{}: expected auto, finetune or setfit: a linear head has no setting to advise",
            other.place.of("method")
        );
        return Err(Error::run(message, "tune without advice, or --scores-only"));
    }
    let mut audit = audit_files(recipe)?;
    seconds.push(("audit", lap(&mut timer)));
    let (mut looked, failures) = look_at_all(recipe, &models, hub, observer, interrupt)?;
    let task = looked[0].inputs.task;
    let by_scores = task.why_not(Part::Transferability).is_none();
    let mut candidates: Vec<&mut Candidate> = looked.iter_mut().map(|looked| &mut looked.scored.candidate).collect();
    let by_metric = [(task.headline().name(), Of::Best)];
    rank(&mut candidates, if by_scores { &RANKED_BY } else { &by_metric });
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
        task: task.name(),
        rows: best.inputs.plan.facts.rows,
        rows_looked_at: rows.len(),
        model: best.scored.candidate.model.clone(),
        audit,
        similarity,
        transferability: Transferability {
            candidates: looked.iter().map(|looked| looked.scored.candidate.clone()).collect(),
            ranked_by: (!by_scores && task.why_not(Part::FrozenHead).is_none()).then(|| task.headline().name()),
            not_told_apart: not_told_apart(&looked, rows.classes()),
            baselines,
        },
        method: None,
        depth: None,
        length: None,
        learning_rate: None,
        expectation: None,
        tune_seconds: None,
        recipe: None,
        not_applicable: not_applicable(task, looked.len() > 1),
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
    best: &Examined,
    rows: &Split,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(), Error> {
    let Examined { inputs, features, keys, .. } = best;
    let planned = as_planned(recipe, best)?;
    if planned.method.value != Method::Finetune {
        other_method(advice, recipe, best, rows, &planned);
        return Ok(());
    }
    let depth = match inputs.plan.init.value {
        Init::Pretrained => match inputs.task.why_not(Part::Transferability) {
            None => depth::propose(&best.scored.probes[..features.layers.len()], rows.len(), advice.rows),
            Some(why) => DepthProposal {
                freeze_layers: planned.freeze_layers.value,
                why: format!("as tune has it: no layer was probed, since {why}"),
                considered: Vec::new(),
            },
        },
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
        None => asked_probe(best, rows),
    };
    let steps = planned.steps(epoch, learning_rate.setting.num_train_epochs);
    let seconds = seconds_of_a_run(&planned, best, &learning_rate, steps, epoch);
    let expectation = asked.and_then(|asked| expected(advice, best, rows, asked, rows_to_learn, seconds));
    advice.recipe = Some(AdvisedRecipe::of(recipe, advice, &planned, &depth, &length, &learning_rate));
    advice.depth = Some(depth);
    advice.length = Some(length);
    advice.learning_rate = Some(learning_rate);
    advice.expectation = expectation;
    advice.tune_seconds = Some(seconds);
    Ok(())
}

/// Advises a method that has a depth, a length and a rate of its own: nothing is left to measure of them.
fn other_method(advice: &mut Advice, recipe: &Recipe, best: &Examined, rows: &Split, planned: &Plan) {
    let rows_to_learn = planned.facts.rows_to_learn(planned.validation_fraction.value);
    let seconds = seconds_of_other_method(planned, best);
    let asked = asked_probe(best, rows);
    advice.expectation = asked.and_then(|asked| expected(advice, best, rows, asked, rows_to_learn, seconds));
    advice.method = Some(AdvisedMethod { name: planned.method.value.name(), why: planned.method.reason.clone() });
    advice.recipe = Some(AdvisedRecipe::of_method(recipe, advice, planned));
    advice.tune_seconds = Some(seconds);
}

/// The probe of the best model, as the one whose error tells what to expect.
fn asked_probe(best: &Examined, rows: &Split) -> Option<Asked<'static>> {
    let probe = best.scored.probe.as_ref()?;
    Some(Asked::Probe { accuracy: probe.accuracy(rows.classes()), rows: rows.len() })
}

fn expected(
    advice: &Advice,
    best: &Examined,
    rows: &Split,
    asked: Asked<'_>,
    rows_to_learn: usize,
    seconds: f64,
) -> Option<Expectation> {
    let baselines = advice.transferability.baselines?;
    Some(expect(&Measured {
        asked,
        rows: rows_to_learn,
        curve: &probe_curve(best, rows.classes()),
        looked_at: rows.len(),
        bag_of_words: baselines.bag_of_words,
        majority: baselines.majority,
        model: &advice.model,
        seconds,
    }))
}

/// What is left out for a task, and why.
fn not_applicable(task: &'static dyn Supervised, several_models: bool) -> Vec<(String, String)> {
    let mut parts: Vec<(&str, &str)> = Vec::new();
    if let Some(why) = task.why_not(Part::Transferability) {
        parts.extend([Part::Transferability.name(), "depth by probes", "race", "expectation"].map(|part| (part, why)));
    }
    parts.extend([Part::LabelErrors, Part::BagOfWords].into_iter().filter_map(|p| Some((p.name(), task.why_not(p)?))));
    if let Some(why) = task.why_not(Part::FrozenHead).filter(|_| several_models) {
        parts.push(("ranking of models: the first that can be used is taken", why));
    }
    parts.into_iter().map(|(part, why)| (part.to_string(), why.to_string())).collect()
}

/// What the user's own recipe makes of the data with the best model: every value as `tune` would have it.
fn as_planned(recipe: &Recipe, best: &Examined) -> Result<Plan, Error> {
    let mut model = Recipe::default();
    model.say("model_name_or_path", &best.scored.candidate.model, "--models")?;
    Ok(resolve(&recipe.clone().overridden_by(model), &best.inputs.plan.facts)?)
}

/// Whether advice is about that method.
fn is_advised(method: OrAuto<Method>) -> bool {
    matches!(method, OrAuto::Auto | OrAuto::Chosen(Method::Finetune | Method::Setfit))
}

/// The user wants no advice any more.
pub(crate) fn interrupted() -> Error {
    Error::Interrupted { message: "nothing was advised" }
}

/// How many trainings `tune` is asked for, in parts of one: other seeds, labels in random order, folds without their part, which is as
/// long where steps are counted, not epochs.
fn trainings(plan: &Plan) -> f64 {
    let part = if plan.max_steps.value.is_some() { 0.0 } else { 1.0 };
    let folds = plan.folds.value.map_or(0.0, |folds| folds as f64 - part);
    plan.seeds.value.max(1) as f64 + f64::from(plan.permuted_control.value) + folds
}

/// Writing the model, reading it back and scoring it.
const SECONDS_AROUND: f64 = 1.0;

/// Seconds of `tune` with a method of its own settings, from the speed at which the model was read through: a step costs three passes.
fn seconds_of_other_method(plan: &Plan, best: &Examined) -> f64 {
    let Inputs { train, test, .. } = &best.inputs;
    let a_row = train.texts.total_tokens() as f64 / train.len().max(1) as f64;
    let rows_to_learn = plan.facts.rows_to_learn(plan.validation_fraction.value);
    let steps = plan.steps(rows_to_learn.div_ceil(plan.rows_per_step()).max(1), None);
    // The head is fitted to the training rows; the untouched model is asked about all rows once more.
    let test = test.as_ref().map_or(0, |split| split.len());
    let passes = 3 * steps * plan.rows_per_step() + 3 * train.len() + 2 * test;
    let loaded = best.inputs.load_seconds + best.inputs.tokenize_seconds;
    loaded + trainings(plan) * a_row * passes as f64 / best.speed + SECONDS_AROUND
}

/// Seconds of `tune` without comparisons, from the speeds that were measured here.
fn seconds_of_a_run(plan: &Plan, best: &Examined, found: &LearningRate, steps: usize, steps_per_epoch: usize) -> f64 {
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
    loaded + trainings(plan) * (share * a_step * steps as f64 + scored / best.speed) + SECONDS_AROUND
}

/// Adds to an audit what the model of the recipe says of every training row: what its tokenizer makes of them and, of classes,
/// whose label is doubted; where a run would not take the files, only that.
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
        // The mean of all layers is looked at, whatever a head would read.
        let mut recipe = every_row(recipe, model_of(recipe))?;
        recipe.pooling = None;
        recipe.say("pooling", Pooling::FirstToken.name(), "audit")?;
        let inputs = match Inputs::read(&recipe, hub, observer) {
            Ok(inputs) => inputs,
            Err(error) if is_of_the_rows(&error) => {
                audit.findings.push(format!("no model looked at the rows: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        audit.look_at_tokens(&inputs);
        if inputs.task.why_not(Part::LabelErrors).is_some() {
            return Ok(());
        }
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
        let rows = inputs.train.select(&sample_of(&inputs));
        let batch_size = inputs.plan.per_device_eval_batch_size.value;
        let pooled = infer(&subject.model, &subject.parameters, &rows.texts, batch_size, Output::Features);
        let frozen = inputs.plan.freeze_layers.value;
        let found = rate_proposal::test(&inputs, frozen, &rows, &pooled, Some(*options))?;
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
