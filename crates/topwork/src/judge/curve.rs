//! What labels buy: the score against their number, for words alone, random weights, the frozen encoder and fine-tuning.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use topwork_data::Stream;
use topwork_metrics::learning_curve::PowerLaw;
use topwork_models::HubSettings;

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::judge::repeats::Mean;
use crate::judge::transfer::{FROZEN, RANDOM, TUNED, bag_of_words::logits as bag_of_words};
use crate::network::batch::{Output, infer};
use crate::network::probe;
use crate::plan::Plan;
use crate::plan::facts::VERSION;
use crate::plan::recipe::{Place, Recipe, Said};
use crate::plan::resolve::resolve;
use crate::plan::value::Init;
use crate::run::{side_by_side, thread_pool};
use crate::session::files::counts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, Trained, TrainingRows, TrainingSetup, train_and_predict, trainings_at_once,
};

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
    /// The model.
    pub model: String,
    /// The rows that all were scored on: `test` or `validation`.
    pub split: String,
    /// How many they are.
    pub rows_scored: usize,
    /// The accuracy of the most frequent class.
    pub majority: f64,
    /// Each way to answer, from the least that is known to the most.
    pub contenders: Vec<CurveContender>,
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
    /// Error = a · rows^−b through the mean errors; none where the error does not fall.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub law: Option<(f64, f64)>,
    /// So many more labels than there are would bring the next point of accuracy, by the law.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows_for_a_point: Option<usize>,
}

/// The scores with so many labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Labelled rows.
    pub rows: usize,
    /// Accuracy, one a draw. With all rows every draw is the same: what draws no random numbers of its own is then measured once,
    /// and the others differ by their seeds alone.
    pub accuracies: Vec<f64>,
    /// Over the draws.
    pub accuracy: Mean,
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
    if recipe.test_file.is_some() && recipe.validation_fraction.is_none() {
        // Nothing is compared by validation rows: they would only be fewer labels.
        let place = Place::Advice { measurement: "a curve scores test rows".to_string() };
        recipe.validation_fraction = Some(Said { value: 0.0, place });
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
    let (split, held_out) = match (&inputs.test, &inputs.validation) {
        (Some(test), _) => ("test", test),
        (None, Some(validation)) => ("validation", validation),
        (None, None) => return Err(Error::run("expected held-out rows to score, found none", "--test FILE")),
    };
    let classes = inputs.labels().len();
    let sizes = sizes(inputs, options)?;
    let accuracy =
        |logits: &[f32]| topwork_metrics::accuracy(held_out.classes(), &topwork_metrics::argmax(logits, classes));
    observer.event(&RunEvent::phase("encode"));
    let setup = TrainingSetup::planned(inputs);
    let untouched = LoadedModel::load(inputs, &setup, inputs.plan.seed.value)?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let features =
        |rows: &Split| infer(&untouched.model, &untouched.parameters, &rows.texts, batch_size, Output::Features);
    let (of_train, of_held_out) = (features(&inputs.train), features(held_out));
    let width = of_train.len() / inputs.train.len().max(1);

    observer.event(&RunEvent::phase("train"));
    let named: &[&'static str] = match inputs.plan.init.value {
        Init::Pretrained => &[WORDS, FROZEN, RANDOM, TUNED],
        Init::Random => &[WORDS, RANDOM],
    };
    let seeds = 0..options.seeds as u64;
    let all = inputs.train.len();
    let is_new = |item: &Item| item.seed == 0 || item.size < all || matches!(item.name, RANDOM | TUNED);
    let items: Vec<Item> = sizes
        .iter()
        .flat_map(|&size| seeds.clone().map(move |seed| (size, seed)))
        .flat_map(|(size, seed)| named.iter().map(move |name| Item { name, size, seed }))
        .filter(is_new)
        .collect();
    // None of an interrupted training; none within of one that came to nothing.
    let work = |item: &Item| -> Result<Option<Option<f64>>, Error> {
        let rows = draw(&inputs.train, classes, item.size, inputs.plan.seed.value.wrapping_add(item.seed));
        let train = inputs.train.select(&rows);
        let logits = match item.name {
            WORDS => bag_of_words(&train.examples, train.classes(), classes, &held_out.examples),
            FROZEN => {
                let own: Vec<f32> =
                    rows.iter().flat_map(|&row| &of_train[row * width..(row + 1) * width]).copied().collect();
                probe::logits(&own, train.classes(), classes, &of_held_out)
            }
            _ => {
                let plan = plan_for(recipe, inputs, &train)?;
                let setup = match item.name == RANDOM && inputs.plan.init.value == Init::Pretrained {
                    true => TrainingSetup::without_transfer(inputs, plan)?,
                    false => TrainingSetup::of(inputs, plan)?,
                };
                let learnt = TrainingRows { train: &train, validation: None };
                let seed = inputs.plan.seed.value.wrapping_add(item.seed);
                match train_and_predict(inputs, &setup, learnt, seed, held_out, interrupt)? {
                    Some(Trained { logits: Some(logits), .. }) => logits,
                    Some(Trained { logits: None, .. }) => return Ok(Some(None)),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Some(accuracy(&logits))))
    };
    let done = |item: &Item, found: &Result<Option<Option<f64>>, Error>| {
        let Item { name, size, seed } = item;
        let said = format!("{name}, {size} rows, draw {}", seed + 1);
        match (found, item.name) {
            (Ok(Some(Some(accuracy))), RANDOM | TUNED) => {
                observer.event(&RunEvent::Note { message: format!("{said}: accuracy {:.1} %", 100.0 * accuracy) });
            }
            (Ok(Some(None)), _) => observer.event(&RunEvent::warning(format!("{said}: diverged, and is left out"))),
            _ => {}
        }
    };
    let at_once = trainings_at_once(inputs, items.len());
    let found: Option<Vec<Option<f64>>> =
        side_by_side(inputs.plan.threads.value, at_once, &items, work, done)?.into_iter().collect();
    let Some(found) = found else { return Ok(None) };
    let contenders: Vec<CurveContender> = named
        .iter()
        .map(|name| {
            let points = sizes.iter().map(|&size| {
                let own = items.iter().zip(&found).filter(|(item, _)| item.name == *name && item.size == size);
                let accuracies: Vec<f64> = own.filter_map(|(_, accuracy)| *accuracy).collect();
                match accuracies.is_empty() {
                    true => Err(all_diverged(name, size)),
                    false => Ok(CurvePoint { rows: size, accuracy: Mean::of(&accuracies), accuracies }),
                }
            });
            Ok(CurveContender::new(name, points.collect::<Result<_, Error>>()?, inputs.train.len()))
        })
        .collect::<Result<_, Error>>()?;
    let mut counts = vec![0usize; classes];
    held_out.classes().iter().for_each(|&label| counts[label as usize] += 1);
    let majority = counts.into_iter().max().unwrap_or(0) as f64 / held_out.len().max(1) as f64;
    let sentence = sentence(&contenders, majority);
    Ok(Some(Curve {
        topwork_version: VERSION.to_string(),
        model: inputs.plan.model_name_or_path.value.clone(),
        split: split.to_string(),
        rows_scored: held_out.len(),
        majority,
        contenders,
        sentence,
        seconds: started.elapsed().as_secs_f64(),
    }))
}

/// A point of which no training came to anything.
fn all_diverged(name: &str, size: usize) -> Error {
    let message = format!("{name}, {size} rows: every training diverged before an epoch was over");
    Error::run(message, "a lower --learning-rate")
}

/// The numbers of rows, ascending.
fn sizes(inputs: &Inputs, options: &CurveOptions) -> Result<Vec<usize>, Error> {
    let all = inputs.train.len();
    let classes = inputs.labels().len();
    if options.sizes.is_empty() {
        let least = FEWEST.max(classes);
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
    match sizes.iter().find(|size| !(classes..=all).contains(*size)) {
        Some(size) => Err(Error::run(
            format!("--sizes: expected {classes} (a row of each class) to {all} (the rows there are), found {size}"),
            format!("--sizes {}", all.min(2 * classes)),
        )),
        None => Ok(sizes),
    }
}

/// The numbers of so many rows, drawn at random: the first is one of each class, and more rows hold all of fewer.
fn draw(rows: &Split, classes: usize, size: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    Stream::named("curve", seed).shuffle(&mut order);
    let mut seen = vec![false; classes];
    let (first, others): (Vec<usize>, Vec<usize>) =
        order.into_iter().partition(|&row| !std::mem::replace(&mut seen[rows.classes()[row] as usize], true));
    first.into_iter().chain(others).take(size).collect()
}

/// The plan for so many rows.
fn plan_for(recipe: &Recipe, inputs: &Inputs, train: &Split) -> Result<Plan, Error> {
    let mut facts = inputs.plan.facts.clone();
    facts.rows = train.len();
    facts.class_counts = counts(&train.targets, inputs.labels().len());
    facts.total_tokens = train.texts.total_tokens();
    let mut recipe = recipe.clone();
    // What pins the whole file is not of its parts, and folds and repetitions are the curve's own.
    recipe.pins = Default::default();
    recipe.folds = None;
    let mut plan = resolve(&recipe, &facts)?;
    plan.load_best_model_at_end.value = false;
    plan.early_stopping_patience.value = None;
    Ok(plan)
}

impl CurveContender {
    fn new(name: &str, points: Vec<CurvePoint>, rows: usize) -> Self {
        let errors: Vec<(f64, f64)> =
            points.iter().map(|point| (point.rows as f64, 1.0 - point.accuracy.mean)).collect();
        let law = PowerLaw::fit(&errors);
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

/// What more labels would bring, and whether transfer pays.
fn sentence(contenders: &[CurveContender], majority: f64) -> String {
    let of = |name: &str| contenders.iter().find(|contender| contender.name == name);
    let best = contenders
        .iter()
        .filter_map(|own| Some((own, own.last()?)))
        .max_by(|(_, a), (_, b)| a.accuracy.mean.total_cmp(&b.accuracy.mean));
    let Some((best, point)) = best else { return "nothing was measured".to_string() };
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    let mut sentence = format!("with {} labels {} is best ({})", point.rows, best.name, percent(point.accuracy.mean));
    if point.accuracy.mean <= majority {
        sentence = format!("with {} labels nothing beats the most frequent class ({})", point.rows, percent(majority));
    }
    if let (Some(tuned), Some(words)) = (of(TUNED), of(WORDS)) {
        let ahead = tuned.points.iter().zip(&words.points).find(|(own, words)| own.accuracy.mean > words.accuracy.mean);
        if let Some((first, _)) = ahead
            && tuned.points.first().is_some_and(|point| point.rows < first.rows)
        {
            sentence.push_str(&format!("; fine-tuning is better than words alone from {} labels on", first.rows));
        }
        // How many labels words alone would need for what fine-tuning has.
        let last = tuned.last().map_or(0.0, |point| point.accuracy.mean);
        let law = words.law.map(|(a, b)| PowerLaw { a, b });
        let needed =
            law.map(|law| law.rows(1.0 - last)).filter(|rows| rows.is_finite() && *rows > 2.0 * point.rows as f64);
        if let Some(needed) = needed.filter(|needed| *needed <= FARTHEST * point.rows as f64) {
            sentence.push_str(&format!("; words alone would need about {needed:.0} labels for as much"));
        }
    }
    match best.rows_for_a_point {
        Some(rows) => sentence.push_str(&format!("; about {rows} more labels would bring the next point")),
        None => sentence.push_str("; what more labels would bring cannot be told from this curve"),
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str, law: PowerLaw) -> CurveContender {
        let point = |rows: usize| {
            let accuracies = vec![1.0 - law.error(rows as f64); 2];
            CurvePoint { rows, accuracy: Mean::of(&accuracies), accuracies }
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
        let said = sentence(&[words.clone(), tuned], 0.2);
        assert!(said.starts_with("with 200 labels fine-tuned is best") && said.contains("next point"), "{said}");
        let flat = contender(WORDS, PowerLaw { a: 0.9, b: 0.0 });
        let said = sentence(&[flat], 0.5);
        assert!(said.contains("most frequent class") && said.contains("cannot be told"), "{said}");
    }
}
