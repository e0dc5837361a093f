//! What labels buy: the score against their number, for words alone, random weights, the frozen encoder and fine-tuning, as far as
//! the task has them. The score is the task's headline metric. Where it is a share its error may follow a power law, by which the
//! labels for the next point are foretold; a correlation has none.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use topwork_data::{Stream, TargetKind};
use topwork_metrics::Metric;
use topwork_metrics::learning_curve::PowerLaw;
use topwork_models::HubSettings;

use crate::error::Error;
use crate::events::{Observer, RunEvent, metric_name, shown};
use crate::judge::repeats::Mean;
use crate::judge::transfer::{FROZEN, RANDOM, TUNED, bag_of_words::logits as bag_of_words, linear_outputs};
use crate::network::batch::{Output, infer};
use crate::plan::Plan;
use crate::plan::facts::VERSION;
use crate::plan::recipe::{Place, Recipe, Said};
use crate::plan::resolve::resolve;
use crate::plan::value::{Init, OrAuto};
use crate::run::{side_by_side, thread_pool};
use crate::session::files::counts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, Trained, TrainingRows, TrainingSetup, train_and_predict, trainings_at_once,
};
use crate::tasks::{Part, Supervised};

/// Numbers of rows, when none are named: halves of halves of all rows.
const SIZES: usize = 6;
/// The least of them.
const FEWEST: usize = 16;
/// Words alone.
const WORDS: &str = "bag of words";
/// More labels than so many times those there are is not foretold.
const FARTHEST: f64 = 20.0;

/// What a curve is drawn from.
#[derive(Clone, Debug)]
pub struct CurveOptions {
    /// Numbers of labelled rows; halves of halves of all rows where none are named.
    pub sizes: Vec<usize>,
    /// Draws of rows for each number.
    pub seeds: usize,
}

/// Scores against numbers of labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// The version of topwork.
    pub topwork_version: String,
    /// What is learnt.
    #[serde(default = "classification")]
    pub task: String,
    /// The score of the points.
    #[serde(with = "metric_name", default = "accuracy")]
    pub metric: Metric,
    /// The model.
    pub model: String,
    /// The rows that all were scored on: `test` or `validation`.
    pub split: String,
    /// How many they are.
    pub rows_scored: usize,
    /// The score of a model that knows nothing but how frequent targets are: the accuracy of the most frequent class; none where
    /// it is undefined, as a correlation with what never changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub majority: Option<f64>,
    /// Each way to answer, from the least that is known to the most.
    pub contenders: Vec<CurveContender>,
    /// Ways to answer that the task does not have, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_applicable: Vec<(String, String)>,
    /// What more labels would bring.
    pub sentence: String,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A way to answer, and how well it does with how many labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CurveContender {
    /// What it is.
    pub name: String,
    /// By number of labels, ascending.
    pub points: Vec<CurvePoint>,
    /// Error = a · rows^−b through the mean errors; none where the error does not fall, or the score is no share.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub law: Option<(f64, f64)>,
    /// So many more labels than there are would bring the next point of the score, by the law.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_for_a_point: Option<usize>,
}

/// The scores with so many labels. In files those of accuracy are `accuracies` and `accuracy`, others `scores` and `score`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "WrittenPoint", into = "WrittenPoint")]
pub struct CurvePoint {
    /// Labelled rows.
    pub rows: usize,
    /// What is scored.
    pub metric: Metric,
    /// One score a draw. With all rows every draw is the same: what draws no random numbers of its own is then measured once, and
    /// the others differ by their seeds alone.
    pub scores: Vec<f64>,
    /// Over the draws.
    pub score: Mean,
}

/// A point in a file.
#[derive(Serialize, Deserialize)]
struct WrittenPoint {
    rows: usize,
    #[serde(with = "metric_name", default = "accuracy", skip_serializing_if = "is_accuracy")]
    metric: Metric,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    accuracies: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    accuracy: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    scores: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    score: Option<Mean>,
}

impl From<CurvePoint> for WrittenPoint {
    fn from(CurvePoint { rows, metric, scores, score }: CurvePoint) -> Self {
        let (of_accuracy, of_others) = match is_accuracy(&metric) {
            true => ((Some(scores), Some(score)), (None, None)),
            false => ((None, None), (Some(scores), Some(score))),
        };
        Self {
            rows,
            metric,
            accuracies: of_accuracy.0,
            accuracy: of_accuracy.1,
            scores: of_others.0,
            score: of_others.1,
        }
    }
}

impl From<WrittenPoint> for CurvePoint {
    fn from(written: WrittenPoint) -> Self {
        let WrittenPoint { rows, metric, accuracies, accuracy, scores, score } = written;
        let scores = accuracies.or(scores).unwrap_or_default();
        let score = accuracy.or(score).unwrap_or_else(|| Mean::of_scores(metric, &scores));
        Self { rows, metric, scores, score }
    }
}

fn classification() -> String {
    crate::tasks::classification::TASK.name.to_string()
}

fn accuracy() -> Metric {
    Metric::Accuracy
}

fn is_accuracy(metric: &Metric) -> bool {
    *metric == Metric::Accuracy
}

/// A training of the curve.
struct Item {
    name: &'static str,
    size: usize,
    seed: u64,
}

/// Draws rows, trains on them and scores the same held-out rows each time. Everything that the recipe does not say is what it
/// would be for so many rows. None when interrupted.
///
/// # Errors
/// When the files or the model cannot be read, there are no held-out rows, or a number of rows is not there.
pub fn curve(
    recipe: &Recipe,
    options: &CurveOptions,
    hub: &HubSettings,
    observer: &mut (dyn Observer + Send),
    interrupt: &AtomicBool,
) -> Result<Option<Curve>, Error> {
    let started = Instant::now();
    let mut recipe = recipe.clone();
    // Draws are trained to their last step.
    (recipe.load_best_model_at_end, recipe.early_stopping_patience) = (None, None);
    if recipe.folds.take().is_some() {
        // A plan with folds holds out nothing.
        recipe.validation_fraction = recipe.validation_fraction.filter(|said| said.value > 0.0);
    }
    let is_open = recipe.validation_fraction.is_none() && recipe.validation_file.is_none();
    if recipe.test_file.is_some() || is_open {
        // Nothing is compared by validation rows beside a test file: they would only be fewer labels. Without one they are what is scored.
        let (fraction, measurement) = match recipe.test_file {
            Some(_) => (0.0, "a curve scores test rows"),
            None => (0.1, "a curve scores rows that are held out"),
        };
        let place = Place::Advice { measurement: measurement.to_string() };
        recipe.validation_fraction.get_or_insert(Said { value: fraction, place });
    }
    let inputs = Inputs::read(&recipe, hub, observer)?;
    thread_pool(inputs.plan.threads.value)?.install(|| run(&recipe, &inputs, options, started, observer, interrupt))
}

fn run(
    recipe: &Recipe,
    inputs: &Inputs,
    options: &CurveOptions,
    started: Instant,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Curve>, Error> {
    let (split, held_out) = scored_rows(inputs)?;
    if let Some(why) = inputs.task.why_not(Part::Curve) {
        return Err(Error::run(format!("there is no curve of {}: {why}", inputs.task.name()), "topwork tune"));
    }
    let metric = inputs.task.headline_of(&inputs.scoring.space);
    let sizes = sizes(inputs, options)?;
    let score = |outputs: &[f32]| inputs.evaluate(outputs, held_out).value(metric);
    let (named, not_applicable) = contenders_of(inputs.task, inputs.plan.init.value);
    let frozen = match named.contains(&FROZEN) {
        true => {
            observer.event(&RunEvent::phase("encode"));
            Some(frozen_features(inputs, held_out)?)
        }
        false => None,
    };

    observer.event(&RunEvent::phase("train"));
    let seeds = 0..options.seeds as u64;
    let all = inputs.train.len();
    let is_new = |item: &Item| item.seed == 0 || item.size < all || matches!(item.name, RANDOM | TUNED);
    let items: Vec<Item> = sizes
        .iter()
        .flat_map(|&size| seeds.clone().map(move |seed| (size, seed)))
        .flat_map(|(size, seed)| named.iter().map(move |name| Item { name, size, seed }))
        .filter(is_new)
        .collect();
    // None of an interrupted training; none within of one that came to nothing, or whose score is undefined.
    let work = |item: &Item| -> Result<Option<Option<f64>>, Error> {
        let rows = draw(inputs, item.size, inputs.plan.seed.value.wrapping_add(item.seed));
        let train = inputs.train.select(&rows);
        let outputs = match (item.name, &frozen) {
            (WORDS, _) => {
                let classes = inputs.labels().len();
                Some(bag_of_words(&train.examples, train.classes(), classes, &held_out.examples))
            }
            (FROZEN, Some((of_train, of_held_out))) => {
                let width = of_train.len() / inputs.train.len().max(1);
                let own: Vec<f32> =
                    rows.iter().flat_map(|&row| &of_train[row * width..(row + 1) * width]).copied().collect();
                linear_outputs(inputs, &own, &train, of_held_out)
            }
            _ => {
                let plan = plan_for(recipe, inputs, &train)?;
                let setup = match item.name == RANDOM && inputs.plan.init.value == Init::Pretrained {
                    true => TrainingSetup::without_transfer(inputs, plan)?,
                    false => TrainingSetup::of(inputs, plan)?,
                };
                let learnt = TrainingRows { train: &train, validation: None, added: inputs.added.as_ref() };
                let seed = inputs.plan.seed.value.wrapping_add(item.seed);
                match train_and_predict(inputs, &setup, learnt, seed, &held_out.texts, interrupt)? {
                    Some(Trained { logits, .. }) => logits,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(outputs.map(|outputs| score(&outputs)).filter(|score| score.is_finite())))
    };
    let done = |item: &Item, found: &Result<Option<Option<f64>>, Error>| {
        if let Ok(Some(score)) = found {
            said_of(item, metric, *score).into_iter().for_each(|event| observer.event(&event));
        }
    };
    let at_once = trainings_at_once(inputs, items.len());
    let found: Option<Vec<Option<f64>>> =
        side_by_side(inputs.plan.threads.value, at_once, &items, work, done)?.into_iter().collect();
    let Some(found) = found else { return Ok(None) };
    let points_of = |name: &'static str| points_of(name, metric, &sizes, items.iter().zip(&found));
    let contenders: Vec<CurveContender> = named
        .iter()
        .map(|name| Ok(CurveContender::new(name, points_of(name)?, inputs.train.len())))
        .collect::<Result<_, Error>>()?;
    let guess = score(&inputs.task.guess(&inputs.train.targets, &held_out.targets, &inputs.scoring));
    let majority = match inputs.task.kind() {
        TargetKind::Class => Some(most_frequent(held_out, inputs.labels().len())),
        _ => Some(guess).filter(|guess| guess.is_finite()),
    };
    let sentence = sentence(&contenders, metric, majority);
    Ok(Some(Curve {
        topwork_version: VERSION.to_string(),
        task: inputs.task.name().to_string(),
        metric,
        model: inputs.plan.model_name_or_path.value.clone(),
        split: split.to_string(),
        rows_scored: held_out.len(),
        majority,
        contenders,
        not_applicable,
        sentence,
        seconds: started.elapsed().as_secs_f64(),
    }))
}

/// The rows that a curve is scored on, with their name.
fn scored_rows(inputs: &Inputs) -> Result<(&'static str, &Split), Error> {
    match (&inputs.test, &inputs.validation) {
        (Some(test), _) => Ok(("test", test)),
        (None, Some(validation)) => Ok(("validation", validation)),
        (None, None) => Err(Error::run("expected held-out rows to score, found none", "--test FILE")),
    }
}

/// What is said of a training that is over; nothing of a score that took no time.
fn said_of(item: &Item, metric: Metric, score: Option<f64>) -> Option<RunEvent> {
    let Item { name, size, seed } = item;
    let said = format!("{name}, {size} rows, draw {}", seed + 1);
    match (score, item.name) {
        (Some(score), RANDOM | TUNED) => {
            Some(RunEvent::Note { message: format!("{said}: {} {}", metric.label(), shown(metric, score)) })
        }
        (Some(_), _) => None,
        (None, _) => {
            let why = if metric.is_share() { "diverged" } else { "diverged, or answers all rows alike" };
            Some(RunEvent::warning(format!("{said}: {why}, and is left out")))
        }
    }
}

/// A contender's points, of the scores that were found.
fn points_of<'a>(
    name: &str,
    metric: Metric,
    sizes: &[usize],
    found: impl Iterator<Item = (&'a Item, &'a Option<f64>)> + Clone,
) -> Result<Vec<CurvePoint>, Error> {
    let point = |&size: &usize| {
        let own = found.clone().filter(|(item, _)| item.name == name && item.size == size);
        let scores: Vec<f64> = own.filter_map(|(_, score)| *score).collect();
        // Each that has no score was warned of.
        (!scores.is_empty()).then(|| CurvePoint { rows: size, metric, score: Mean::of_scores(metric, &scores), scores })
    };
    let points: Vec<CurvePoint> = sizes.iter().filter_map(point).collect();
    if points.is_empty() { Err(all_diverged(name)) } else { Ok(points) }
}

/// The part of the rows that are of their most frequent class.
fn most_frequent(rows: &Split, classes: usize) -> f64 {
    counts(&rows.targets, classes).into_iter().max().unwrap_or(0) as f64 / rows.len().max(1) as f64
}

/// The ways to answer that a task has, from the least that is known to the most, and why it has not the others.
fn contenders_of(task: &'static dyn Supervised, init: Init) -> (Vec<&'static str>, Vec<(String, String)>) {
    let all: &[(&'static str, Option<Part>)] = match init {
        Init::Pretrained => {
            &[(WORDS, Some(Part::BagOfWords)), (FROZEN, Some(Part::FrozenHead)), (RANDOM, None), (TUNED, None)]
        }
        Init::Random => &[(WORDS, Some(Part::BagOfWords)), (RANDOM, None)],
    };
    let why_not = |part: Option<Part>| part.and_then(|part| task.why_not(part));
    let named = all.iter().filter(|(_, part)| why_not(*part).is_none()).map(|(name, _)| *name).collect();
    let others = all.iter().filter_map(|(name, part)| Some((name.to_string(), why_not(*part)?.to_string())));
    (named, others.collect())
}

/// What the output layer of the untouched model sees of the training rows, and of the held-out ones: `[rows, hidden]`.
fn frozen_features(inputs: &Inputs, held_out: &Split) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let untouched = LoadedModel::load(inputs, &TrainingSetup::planned(inputs), inputs.plan.seed.value)?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let features =
        |rows: &Split| infer(&untouched.model, &untouched.parameters, &rows.texts, batch_size, Output::Features);
    Ok((features(&inputs.train), features(held_out)))
}

/// A point of which no training came to anything.
fn all_diverged(name: &str) -> Error {
    let message = format!("{name}: every training diverged before an epoch was over, or its score is undefined");
    Error::run(message, "a lower --learning-rate, or --sizes with more rows")
}

/// The numbers of rows, ascending.
fn sizes(inputs: &Inputs, options: &CurveOptions) -> Result<Vec<usize>, Error> {
    let all = inputs.train.len();
    // A row of each class; numbers need three rows for a line through them.
    let (fewest, why) = match inputs.task.kind() {
        TargetKind::Class => (inputs.labels().len(), " (a row of each class)"),
        TargetKind::Value => (3, " (rows that make a line)"),
        TargetKind::Labels | TargetKind::TokenTags => (1, ""),
    };
    if options.sizes.is_empty() {
        let least = FEWEST.max(fewest);
        let halves = (0..SIZES).map(|halvings| all >> halvings).take_while(|&rows| rows >= least);
        let mut sizes: Vec<usize> = halves.collect();
        sizes.reverse();
        return match sizes.is_empty() {
            true => Err(Error::run(
                format!("expected at least {least} rows to draw from, found {all}"),
                "more rows, or --sizes with fewer",
            )),
            false => Ok(sizes),
        };
    }
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    match sizes.iter().find(|size| !(fewest..=all).contains(*size)) {
        Some(size) => Err(Error::run(
            format!("--sizes: expected {fewest}{why} to {all} (the rows there are), found {size}"),
            format!("--sizes {}", all.min(2 * fewest)),
        )),
        None => Ok(sizes),
    }
}

/// The numbers of so many rows, drawn at random, and more rows hold all of fewer. The first are one of each class, where there are
/// classes.
fn draw(inputs: &Inputs, size: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..inputs.train.len()).collect();
    Stream::named("curve", seed).shuffle(&mut order);
    let mut seen = vec![false; inputs.labels().len()];
    let classes = inputs.train.classes();
    let is_first =
        |&row: &usize| classes.get(row).is_some_and(|&class| !std::mem::replace(&mut seen[class as usize], true));
    let (first, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_first);
    first.into_iter().chain(others).take(size).collect()
}

/// The plan for so many rows.
fn plan_for(recipe: &Recipe, inputs: &Inputs, train: &Split) -> Result<Plan, Error> {
    let mut facts = inputs.plan.facts.clone();
    facts.rows = train.len();
    facts.class_counts = counts(&train.targets, inputs.labels().len());
    facts.total_tokens = train.texts.total_tokens();
    facts.fewest_texts = None;
    let mut recipe = recipe.clone();
    // What pins the whole file is not of its parts; folds, repetitions and linear heads are the curve's own.
    recipe.pins = Default::default();
    (recipe.folds, recipe.floor, recipe.unlabelled_file) = (None, None, None);
    // One curve is of one method, of one pooling and one number of layers, which all rows chose, and of rows alone or of rows and names.
    let method = OrAuto::Chosen(inputs.plan.method.value);
    let place = || Place::Flag { name: "curve".to_string() };
    recipe.method = Some(Said { value: method, place: place() });
    recipe.label_names_as_rows = Some(Said { value: inputs.plan.label_names_as_rows.value, place: place() });
    recipe.pooling = Some(Said { value: OrAuto::Chosen(inputs.plan.pooling.value), place: place() });
    let mut plan = resolve(&recipe, &facts)?;
    plan.load_best_model_at_end.value = false;
    plan.early_stopping_patience.value = None;
    Ok(plan)
}

impl CurveContender {
    fn new(name: &str, points: Vec<CurvePoint>, rows: usize) -> Self {
        let errors = || points.iter().map(|point| (point.rows as f64, 1.0 - point.score.mean)).collect::<Vec<_>>();
        let is_share = points.iter().all(|point| point.metric.is_share());
        let law = is_share.then(|| PowerLaw::fit(&errors())).flatten();
        let rows_for_a_point = law.and_then(|law| {
            let error = law.error(rows as f64);
            let needed = law.rows(error - 0.01) - rows as f64;
            let is_near = error > 0.01 && needed.is_finite() && needed <= FARTHEST * rows as f64;
            is_near.then(|| needed.ceil().max(1.0) as usize)
        });
        Self { name: name.to_string(), points, law: law.map(|law| (law.a, law.b)), rows_for_a_point }
    }

    /// The point with the most labels.
    pub fn last(&self) -> Option<&CurvePoint> {
        self.points.last()
    }
}

/// What more labels would bring, and whether transfer pays. `guess` is the score of what knows only how frequent targets are.
fn sentence(contenders: &[CurveContender], metric: Metric, guess: Option<f64>) -> String {
    let of = |name: &str| contenders.iter().find(|contender| contender.name == name);
    let is_better = |a: f64, b: f64| metric.better(a, b);
    let mut best: Option<(&CurveContender, &CurvePoint)> = None;
    for own in contenders {
        let Some(point) = own.last() else { continue };
        if best.is_none_or(|(_, other)| !is_better(other.score.mean, point.score.mean)) {
            best = Some((own, point));
        }
    }
    let Some((best, point)) = best else { return "nothing was measured".to_string() };
    let value = |value: f64| format!("{} {}", metric.label(), shown(metric, value));
    let mut sentence = format!("with {} labels {} is best ({})", point.rows, best.name, value(point.score.mean));
    if let Some(guess) = guess.filter(|guess| !is_better(point.score.mean, *guess)) {
        let other = if is_accuracy(&metric) { "the most frequent class" } else { "a guess" };
        sentence = format!("with {} labels nothing beats {other} ({})", point.rows, value(guess));
    }
    if let (Some(tuned), Some(words)) = (of(TUNED), of(WORDS)) {
        let of_words = |rows: usize| words.points.iter().find(|point| point.rows == rows);
        let mut pairs = tuned.points.iter().filter_map(|own| Some((own, of_words(own.rows)?)));
        if let Some((first, _)) = pairs.find(|(own, words)| is_better(own.score.mean, words.score.mean))
            && tuned.points.first().is_some_and(|point| point.rows < first.rows)
        {
            sentence.push_str(&format!("; fine-tuning is better than words alone from {} labels on", first.rows));
        }
        // How many labels words alone would need for what fine-tuning has.
        let last = tuned.last().map_or(0.0, |point| point.score.mean);
        let law = words.law.map(|(a, b)| PowerLaw { a, b });
        let needed =
            law.map(|law| law.rows(1.0 - last)).filter(|rows| rows.is_finite() && *rows > 2.0 * point.rows as f64);
        if let Some(needed) = needed.filter(|needed| *needed <= FARTHEST * point.rows as f64) {
            sentence.push_str(&format!("; words alone would need about {needed:.0} labels for as much"));
        }
    }
    match best.rows_for_a_point {
        Some(rows) => sentence.push_str(&format!("; about {rows} more labels would bring the next point")),
        None if metric.is_share() => sentence.push_str("; what more labels would bring cannot be told from this curve"),
        None => {
            sentence
                .push_str(&format!("; what more labels would bring is not foretold: {} has no errors", metric.label()));
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str, law: PowerLaw) -> CurveContender {
        let point = |rows: usize| {
            let scores = vec![1.0 - law.error(rows as f64); 2];
            CurvePoint { rows, metric: Metric::Accuracy, score: Mean::of(&scores), scores }
        };
        CurveContender::new(name, [50, 100, 200].map(point).to_vec(), 200)
    }

    #[test]
    fn the_labels_for_the_next_point_lie_on_the_law() {
        let law = PowerLaw { a: 1.5, b: 0.4 };
        let found = contender(TUNED, law);
        let rows = found.rows_for_a_point.unwrap() as f64;
        assert!((law.error(200.0 + rows) - (law.error(200.0) - 0.01)).abs() < 2e-4);
        let flat = contender(TUNED, PowerLaw { a: 0.5, b: 0.0 });
        assert_eq!((flat.law, flat.rows_for_a_point), (None, None));
    }

    #[test]
    fn the_sentence_says_what_is_best_and_what_is_not_known() {
        let words = contender(WORDS, PowerLaw { a: 1.0, b: 0.05 });
        let tuned = contender(TUNED, PowerLaw { a: 1.5, b: 0.4 });
        let said = sentence(&[words.clone(), tuned], Metric::Accuracy, Some(0.2));
        assert!(said.starts_with("with 200 labels fine-tuned is best") && said.contains("next point"), "{said}");
        let flat = contender(WORDS, PowerLaw { a: 0.9, b: 0.0 });
        let said = sentence(&[flat], Metric::Accuracy, Some(0.5));
        assert!(said.contains("most frequent class") && said.contains("cannot be told"), "{said}");
    }
}
