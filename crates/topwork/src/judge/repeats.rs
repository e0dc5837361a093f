//! The same training again: with other seeds, on parts of the rows, and on labels in random order. With few rows, one number is
//! a matter of luck.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use topwork_data::{Strata, Stream, Targets};
use topwork_metrics::{Metric, paired};

use crate::error::Error;
use crate::events::Observer;
use crate::events::SplitScores;
use crate::run::side_by_side;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{Trained, TrainingRows, TrainingSetup, train_and_predict, trainings_at_once};

/// What was left out of a fold's training, and answered by it.
pub const LEFT_OUT: &str = "left-out";

/// A mean over trainings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The sample's standard deviation; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub std: Option<f64>,
    /// Student's interval, which holds the true mean in 95 of 100 cases, cut at what the metric can be; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<(f64, f64)>,
}

impl Mean {
    /// The mean of these shares.
    pub fn of(values: &[f64]) -> Self {
        Self::widened(values, 1.0, (0.0, 1.0))
    }

    /// The mean of a metric over independent trainings.
    pub(crate) fn of_scores(metric: Metric, values: &[f64]) -> Self {
        Self::widened(values, 1.0, metric.bounds())
    }

    /// The mean of a metric, with an interval that is so many times as wide as that of independent trainings.
    fn of_metric(metric: Metric, scores: &[SplitScores], times: f64) -> Self {
        let values: Vec<f64> = scores.iter().map(|scores| scores.value(metric)).collect();
        Self::widened(&values, times, metric.bounds())
    }

    fn widened(values: &[f64], times: f64, (least, largest): (f64, f64)) -> Self {
        let Some(found) = paired::mean_interval(values) else {
            return Self { mean: values.iter().sum::<f64>() / values.len() as f64, std: None, interval: None };
        };
        let half = times * (found.interval.1 - found.mean);
        let (low, high) = (found.mean - half, found.mean + half);
        let interval = (low.max(least), high.min(largest));
        Self { mean: found.mean, std: Some(found.std), interval: Some(interval) }
    }
}

/// Scores of several trainings.
#[derive(Clone, Debug, Deserialize)]
pub struct Repeated {
    /// The rows that were scored: `test`, `validation`, or `left-out` of folds.
    pub split: String,
    /// One training's each; those that came to nothing have none.
    pub scores: Vec<SplitScores>,
    /// For each of the scores: the seed of its training, or the number of the fold from 1.
    #[serde(default)]
    pub numbers: Vec<u64>,
    /// How many of the trainings diverged. Those of which an epoch could be kept have that epoch's scores.
    #[serde(default)]
    pub diverged: usize,
    /// How many times as wide as those of independent trainings the intervals are.
    #[serde(default = "one")]
    pub widened: f64,
}

fn one() -> f64 {
    1.0
}

/// With the mean of each metric over the trainings, by the metric's name.
impl Serialize for Repeated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("split", &self.split)?;
        map.serialize_entry("scores", &self.scores)?;
        map.serialize_entry("numbers", &self.numbers)?;
        map.serialize_entry("diverged", &self.diverged)?;
        map.serialize_entry("widened", &self.widened)?;
        for metric in self.metrics() {
            map.serialize_entry(metric.name(), &self.mean(metric))?;
        }
        map.end()
    }
}

impl Repeated {
    /// `widened`: how many times as wide as those of independent trainings the intervals are.
    fn new(split: &str, scored: Vec<(u64, SplitScores)>, diverged: usize, widened: f64) -> Self {
        let (numbers, scores): (Vec<u64>, Vec<SplitScores>) = scored.into_iter().unzip();
        Self { split: split.to_string(), scores, numbers, diverged, widened }
    }

    /// The metrics but the loss.
    pub fn metrics(&self) -> Vec<Metric> {
        let of_first = self.scores.first().into_iter().flat_map(|scores| scores.scores.iter());
        of_first.map(|(metric, _)| metric).filter(|metric| *metric != Metric::Loss).collect()
    }

    /// The mean of a metric over the trainings.
    pub fn mean(&self, metric: Metric) -> Mean {
        Mean::of_metric(metric, &self.scores, self.widened)
    }
}

/// How many times as wide as that of independent trainings the interval of the mean over `done` of K folds is: their trainings
/// share most rows (Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 2003). √(1/J + 1/(K−1)) takes
/// the place of √(1/J).
fn folds_share(done: usize, folds: usize) -> f64 {
    (1.0 + done as f64 / (folds as f64 - 1.0).max(1.0)).sqrt()
}

/// The answers to training rows by models that have not seen them.
pub(crate) struct CrossValidated<'a> {
    pub(crate) repeated: Repeated,
    /// The numbers of the rows of each fold that has answers.
    pub(crate) parts: Vec<Vec<usize>>,
    /// The rows that have an answer.
    pub(crate) answered: Cow<'a, Split>,
    /// `[rows, classes]`.
    pub(crate) logits: Vec<f32>,
    /// Of all answered rows together.
    pub(crate) together: SplitScores,
}

/// A training of a repetition.
struct Repetition<'a> {
    name: String,
    seed: u64,
    rows: RepeatedRows<'a>,
}

/// What a repetition learns from and answers. Only numbers of rows: the rows themselves are copied when their turn comes.
enum RepeatedRows<'a> {
    /// Learns from all training rows but these, and answers these.
    AllBut(&'a [usize]),
    /// Learns from all training rows.
    All { answers: &'a Split },
    /// Learns from all training rows, with these labels.
    Labelled { targets: &'a Targets, answers: &'a Split },
}

/// Leaves each of so many parts of the training rows out in turn. None when interrupted before the first is done.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn cross_validate<'a>(
    inputs: &'a Inputs,
    count: usize,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<CrossValidated<'a>>, Error> {
    let (rows, seed) = (&inputs.train, inputs.plan.seed.value);
    let parts = Strata::new(&inputs.scoring.space, &rows.targets).folds(&rows.examples, count, seed);
    let mut repetitions: Vec<Repetition<'_>> = Vec::new();
    for (fold, part) in parts.iter().enumerate() {
        let name = format!("fold {} of {count}", fold + 1);
        repetitions.push(Repetition { name, seed, rows: RepeatedRows::AllBut(part) });
    }
    let trained = train_all(inputs, &repetitions, observer, interrupt)?;
    let diverged = trained.iter().flatten().filter(|trained| trained.diverged.is_some()).count();
    let mut scored = Vec::new();
    let mut done = Vec::new();
    let mut by_row: Vec<(usize, &[f32])> = Vec::new();
    for ((part, number), trained) in parts.iter().zip(1..).zip(&trained) {
        let Some(logits) = trained.as_ref().and_then(|trained| trained.logits.as_ref()) else { continue };
        let left_out = rows.select(part);
        scored.push((number, inputs.evaluate(logits, &left_out)));
        by_row.extend(part.iter().copied().zip(lines(inputs, logits, &left_out)));
        done.push(part.clone());
    }
    if scored.is_empty() {
        return Ok(None);
    }
    by_row.sort_by_key(|(row, _)| *row);
    let answered = match by_row.len() == rows.len() {
        true => Cow::Borrowed(rows),
        false => Cow::Owned(rows.select(&by_row.iter().map(|(row, _)| *row).collect::<Vec<usize>>())),
    };
    let logits: Vec<f32> = by_row.iter().flat_map(|(_, logits)| *logits).copied().collect();
    let widened = folds_share(scored.len(), parts.len());
    let together = inputs.evaluate(&logits, &answered);
    Ok(Some(CrossValidated {
        repeated: Repeated::new(LEFT_OUT, scored, diverged, widened),
        parts: done,
        answered,
        logits,
        together,
    }))
}

/// The outputs of each row: a line, or a line for each of its words.
pub(crate) fn lines<'a>(inputs: &Inputs, outputs: &'a [f32], rows: &Split) -> Vec<&'a [f32]> {
    let width = inputs.scoring.outputs();
    let mut rest = outputs;
    let line = |row: usize| {
        let count = match &rows.targets {
            Targets::Tags(tags) => tags.row(row).len(),
            Targets::Class(_) | Targets::Labels(_) | Targets::Values(_) => 1,
        };
        let (own, others) = rest.split_at((count * width).min(rest.len()));
        rest = others;
        own
    };
    (0..rows.len()).map(line).collect()
}

/// The scores of a run that others are compared with.
#[derive(Clone)]
pub(crate) struct Own<'a> {
    /// `validation`, `test` or [`LEFT_OUT`].
    pub(crate) name: &'static str,
    /// The rows that were scored.
    pub(crate) split: &'a Split,
    pub(crate) scores: SplitScores,
    pub(crate) has_diverged: bool,
}

/// Trains with the seeds after the run's own, so that there are `count` with it. None when interrupted before the first of them
/// is done, or none of them came to anything.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn with_seeds(
    inputs: &Inputs,
    count: usize,
    own: Own<'_>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Repeated>, Error> {
    let first = inputs.plan.seed.value;
    let repetition = |nth: u64| {
        let seed = first.wrapping_add(nth);
        Repetition { name: format!("seed {seed}"), seed, rows: RepeatedRows::All { answers: own.split } }
    };
    let repetitions: Vec<Repetition<'_>> = (1..count as u64).map(repetition).collect();
    let trained = train_all(inputs, &repetitions, observer, interrupt)?;
    let mut scored = vec![(first, own.scores)];
    for (repetition, trained) in repetitions.iter().zip(&trained) {
        if let Some(logits) = trained.as_ref().and_then(|trained| trained.logits.as_ref()) {
            scored.push((repetition.seed, inputs.evaluate(logits, own.split)));
        }
    }
    if scored.len() < 2 {
        return Ok(None);
    }
    let others = trained.iter().flatten().filter(|trained| trained.diverged.is_some()).count();
    Ok(Some(Repeated::new(own.name, scored, others + usize::from(own.has_diverged), 1.0)))
}

/// Trains on the same rows with their labels in random order, and scores held-out rows: what that reaches is worth nothing.
/// None when interrupted.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn permuted_control(
    inputs: &Inputs,
    answers: &Split,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<SplitScores>, Error> {
    let seed = inputs.plan.seed.value;
    let targets = inputs.train.targets.permute(&mut Stream::named("permuted control", seed));
    let rows = RepeatedRows::Labelled { targets: &targets, answers };
    let repetition = Repetition { name: "labels in random order".to_string(), seed, rows };
    let trained = train_all(inputs, &[repetition], observer, interrupt)?.pop().flatten();
    let logits = trained.and_then(|trained| trained.logits);
    Ok(logits.map(|logits| inputs.evaluate(&logits, answers)))
}

/// What each repetition comes to, in order; none for those that an interruption prevented.
fn train_all(
    inputs: &Inputs,
    repetitions: &[Repetition<'_>],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Vec<Option<Trained>>, Error> {
    let setup = TrainingSetup::planned(inputs);
    let at_once = trainings_at_once(inputs, repetitions.len());
    let on = |train: &Split, added: Option<&Split>, answers: &Split, seed: u64| {
        // Epochs are compared by validation rows where there are some; a fold's own rows are not looked at before the end.
        let learnt = TrainingRows { train, validation: inputs.validation.as_ref(), added };
        train_and_predict(inputs, &setup, learnt, seed, &answers.texts, interrupt)
    };
    let added = inputs.added.as_ref();
    let train = |repetition: &Repetition<'_>| match repetition.rows {
        RepeatedRows::AllBut(part) => {
            let is_other = |row: &usize| part.binary_search(row).is_err();
            let others: Vec<usize> = (0..inputs.train.len()).filter(is_other).collect();
            on(&inputs.train.select(&others), added, &inputs.train.select(part), repetition.seed)
        }
        RepeatedRows::All { answers } => on(&inputs.train, added, answers, repetition.seed),
        RepeatedRows::Labelled { targets, answers } => {
            let train = Split { targets: targets.clone(), ..inputs.train.clone() };
            // The names would say what the order hides.
            on(&train, None, answers, repetition.seed)
        }
    };
    let done = |repetition: &Repetition<'_>, trained: &Result<Option<Trained>, Error>| {
        let Ok(Some(trained)) = trained else { return };
        let score = |logits: &[f32]| match repetition.rows {
            RepeatedRows::AllBut(part) => inputs.evaluate(logits, &inputs.train.select(part)),
            RepeatedRows::All { answers } | RepeatedRows::Labelled { answers, .. } => inputs.evaluate(logits, answers),
        };
        trained.report(&repetition.name, score, observer);
    };
    side_by_side(inputs.plan.threads.value, at_once, repetitions, train, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_training_has_no_interval() {
        let one = Mean::of(&[0.5]);
        assert_eq!((one.mean, one.std, one.interval), (0.5, None, None));
        assert_eq!(Mean::of(&[0.9, 1.0]).interval.map(|(_, high)| high), Some(1.0), "no score is above 1");
        let Mean { mean, interval: Some((low, high)), .. } = Mean::of(&[0.4, 0.5, 0.6]) else {
            panic!("three have one")
        };
        // Student's t with two degrees of freedom, 4.303, times 0.1 / √3.
        assert!((mean - 0.5).abs() < 1e-12 && (high - 0.7484).abs() < 1e-4 && (low - 0.2516).abs() < 1e-4);
    }

    #[test]
    fn folds_share_rows_and_their_interval_is_wider_for_it() {
        let scores = |(accuracy, number): (f64, u64)| {
            let scores = topwork_metrics::Scores { loss: 1.0, accuracy, macro_f1: accuracy, mcc: 0.0 };
            (number, SplitScores::new(4, scores.into()))
        };
        let all = || [(0.49, 1), (0.5, 2), (0.51, 3)].map(scores).to_vec();
        let width = |widened: f64| {
            let (low, high) = Repeated::new(LEFT_OUT, all(), 0, widened).mean(Metric::Accuracy).interval.unwrap();
            high - low
        };
        // √(1/3 + 1/2) in place of √(1/3).
        assert!((width(folds_share(3, 3)) / width(1.0) - (5.0f64 / 6.0 * 3.0).sqrt()).abs() < 1e-12);
        // Of eight folds, two share as much as any two.
        assert!((folds_share(2, 8) - (1.0f64 + 2.0 / 7.0).sqrt()).abs() < 1e-12);
    }
}
