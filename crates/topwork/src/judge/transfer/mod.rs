//! What transfer bought: the fine-tuned model beside what would have been had without it, on the same rows.
//!
//! Contenders are listed from the least that is known to the most: the majority class; words alone ([`bag_of_words`]); the
//! same network from random weights; the pretrained network untouched, with a linear head; the fine-tuned one. Those that
//! draw random numbers run with several seeds; the rows stay the same, so the spread is the training's.

pub mod bag_of_words;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use topwork_metrics::Scores;

use crate::error::Error;
use crate::events::SplitScores;
use crate::events::{Observer, RunEvent};
use crate::network::batch::{Output, infer};
use crate::network::probe;
use crate::plan::value::Init;
use crate::run::side_by_side;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, Trained, TrainingRows, TrainingSetup, train_and_predict, trainings_at_once,
};

pub(crate) const RANDOM: &str = "random weights";
pub(crate) const FROZEN: &str = "frozen + linear head";
pub(crate) const TUNED: &str = "fine-tuned";

/// The comparison of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// The rows that all were scored on: `test` or `validation`.
    pub split: Cow<'static, str>,
    /// Those that were compared.
    pub contenders: Vec<Contender>,
}

/// A comparison, and how many of the trainings that it asks for have scores: those that were interrupted, or came to nothing,
/// have none.
pub(crate) struct Compared {
    pub(crate) transfer: Transfer,
    pub(crate) trained: usize,
    pub(crate) asked: usize,
}

/// Something that answers, and how well.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contender {
    /// What it is.
    pub name: Cow<'static, str>,
    /// Its scores, one a seed.
    pub scores: Vec<SplitScores>,
    /// Mean accuracy over the seeds.
    pub accuracy: f64,
    /// Standard deviation of the accuracy over the seeds; none for one seed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_std: Option<f64>,
    /// Mean macro-F1 over the seeds.
    pub macro_f1: f64,
    /// Standard deviation of the macro-F1 over the seeds; none for one seed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub macro_f1_std: Option<f64>,
}

impl Contender {
    fn new(name: &'static str, scores: Vec<SplitScores>) -> Self {
        let accuracies: Vec<f64> = scores.iter().map(|scores| scores.accuracy).collect();
        let macro_f1s: Vec<f64> = scores.iter().map(|scores| scores.macro_f1).collect();
        Self {
            name: Cow::Borrowed(name),
            accuracy: mean(&accuracies),
            accuracy_std: deviation(&accuracies),
            macro_f1: mean(&macro_f1s),
            macro_f1_std: deviation(&macro_f1s),
            scores,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample's standard deviation.
fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Compares a run with what would have been had without it, with so many `seeds` where the contender draws random numbers. `own`
/// are the run's scores on its held-out rows, and those of its repetitions with the next seeds. None when there are no held-out
/// rows, or it was interrupted before.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn compare(
    inputs: &Inputs,
    own: &[SplitScores],
    seeds: usize,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Compared>, Error> {
    if interrupt.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let (split, rows) = match (&inputs.test, &inputs.validation) {
        (Some(test), _) => ("test", test),
        (None, Some(validation)) => ("validation", validation),
        (None, None) => return Ok(None),
    };
    let score = |logits: &[f32]| -> SplitScores {
        let scores: Scores = topwork_metrics::evaluate(logits, inputs.labels.len(), &rows.labels);
        SplitScores::new(rows.labels.len(), &scores)
    };
    let (from_scratch, planned) = (TrainingSetup::from_scratch(inputs)?, TrainingSetup::planned(inputs));
    // The run itself, with its repetitions, is the first of its kind.
    let known = own.len() as u64;
    let of_seeds = |name, setup, first| (first..seeds as u64).map(move |nth| Training { name, setup, nth });
    let trainings: Vec<Training<'_>> = match inputs.plan.init.value {
        Init::Pretrained => of_seeds(RANDOM, &from_scratch, 0).chain(of_seeds(TUNED, &planned, known)).collect(),
        Init::Random => of_seeds(RANDOM, &planned, known).collect(),
    };
    let own = || own.iter().copied();
    let frozen = score(&frozen(inputs, rows)?);
    let trained = train_all(inputs, &trainings, &|logits| score(logits), rows, observer, interrupt)?;
    let of = |name| {
        let own = trainings.iter().zip(&trained).filter(move |(training, _)| training.name == name);
        own.filter_map(|(_, scores)| *scores)
    };
    let mut contenders = vec![
        Contender::new("majority class", vec![score(&majority(inputs, rows))]),
        Contender::new("bag of words", vec![score(&bag_of_words(inputs, rows))]),
    ];
    match inputs.plan.init.value {
        Init::Pretrained => contenders.extend([
            Contender::new(RANDOM, of(RANDOM).collect()),
            Contender::new(FROZEN, vec![frozen]),
            Contender::new(TUNED, own().chain(of(TUNED)).collect()),
        ]),
        Init::Random => contenders
            .extend([Contender::new(FROZEN, vec![frozen]), Contender::new(RANDOM, own().chain(of(RANDOM)).collect())]),
    }
    // One of which no training was finished has no scores.
    contenders.retain(|contender| !contender.scores.is_empty());
    let done = trained.iter().flatten().count();
    Ok(Some(Compared {
        transfer: Transfer { split: Cow::Borrowed(split), contenders },
        trained: done,
        asked: trained.len(),
    }))
}

/// The log-frequencies of the classes, for every row.
fn majority(inputs: &Inputs, rows: &Split) -> Vec<f32> {
    let mut counts = vec![0.0f32; inputs.labels.len()];
    inputs.train.labels.iter().for_each(|&label| counts[label as usize] += 1.0);
    let logits: Vec<f32> = counts.iter().map(|count| count.max(0.5).ln()).collect();
    logits.repeat(rows.labels.len())
}

fn bag_of_words(inputs: &Inputs, rows: &Split) -> Vec<f32> {
    let Split { examples, labels, .. } = &inputs.train;
    bag_of_words::logits(examples, labels, inputs.labels.len(), &rows.examples)
}

/// A linear head on the features of the untouched pretrained encoder.
fn frozen(inputs: &Inputs, rows: &Split) -> Result<Vec<f32>, Error> {
    let mut setup = TrainingSetup::planned(inputs);
    setup.plan.init.value = Init::Pretrained;
    let subject = LoadedModel::load(inputs, &setup, inputs.plan.seed.value)?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let features =
        |split: &Split| infer(&subject.model, &subject.parameters, &split.texts, batch_size, Output::Features);
    let (train, held_out) = (features(&inputs.train), features(rows));
    Ok(probe::logits(&train, &inputs.train.labels, inputs.labels.len(), &held_out))
}

/// A training to compare with.
struct Training<'a> {
    name: &'static str,
    setup: &'a TrainingSetup,
    /// Which of the seeds, from the plan's on.
    nth: u64,
}

/// The scores of all trainings, in order; none for those that an interruption prevented, or that came to nothing.
fn train_all(
    inputs: &Inputs,
    trainings: &[Training<'_>],
    score: &(dyn Fn(&[f32]) -> SplitScores + Sync),
    rows: &Split,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Vec<Option<SplitScores>>, Error> {
    let at_once = trainings_at_once(inputs, trainings.len());
    observer.event(&note(format!("{} more trainings, {at_once} at a time", trainings.len())));
    let done = |training: &Training<'_>, trained: &Result<Option<Trained>, Error>| {
        let Ok(Some(trained)) = trained else { return };
        let name = format!("for comparison: {}, seed {}", training.name, training.seed(inputs));
        trained.report(&name, |logits| score(logits).accuracy, observer);
    };
    let train = |training: &Training<'_>| {
        train_and_predict(inputs, training.setup, TrainingRows::planned(inputs), training.seed(inputs), rows, interrupt)
    };
    let trained = side_by_side(inputs.plan.threads.value, at_once, trainings, train, done)?;
    Ok(trained.into_iter().map(|trained| Some(score(&trained?.logits?))).collect())
}

fn note(what: String) -> RunEvent {
    RunEvent::Note { message: format!("for comparison: {what}") }
}

impl Training<'_> {
    fn seed(&self, inputs: &Inputs) -> u64 {
        inputs.plan.seed.value.wrapping_add(self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_s_and_needs_two() {
        let scores = |accuracy: f64| SplitScores { rows: 4, loss: 1.0, accuracy, macro_f1: accuracy / 2.0, mcc: 0.0 };
        let one = Contender::new("one", vec![scores(0.5)]);
        assert_eq!((one.accuracy, one.accuracy_std), (0.5, None));
        let three = Contender::new("three", vec![scores(0.2), scores(0.4), scores(0.6)]);
        assert!((three.accuracy - 0.4).abs() < 1e-12 && (three.accuracy_std.unwrap() - 0.2).abs() < 1e-12);
        assert!((three.macro_f1_std.unwrap() - 0.1).abs() < 1e-12);
    }
}
