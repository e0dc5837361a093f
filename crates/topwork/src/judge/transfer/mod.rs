//! What transfer bought: the fine-tuned model beside what would have been had without it, on the same rows.
//!
//! Contenders are listed from the least that is known to the most: the majority class; words alone ([`bag_of_words`]); the
//! same network from random weights; the pretrained network untouched, with a linear head; the fine-tuned one. Those that
//! draw random numbers run with several seeds; the rows stay the same, so the spread is the training's.

pub mod bag_of_words;
pub(crate) mod baselines;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use topwork_metrics::Metric;

use crate::error::Error;
use crate::events::SplitScores;
use crate::events::{Observer, RunEvent};
use crate::plan::value::{Init, Method};
use crate::run::side_by_side;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{Trained, TrainingRows, TrainingSetup, train_and_predict, trainings_at_once};

pub(crate) use baselines::{Baseline, FROZEN, linear_outputs};

pub(crate) const RANDOM: &str = "random weights";
pub(crate) const TUNED: &str = "fine-tuned";

/// What a run of that method is called beside others.
pub(crate) fn own_name(method: Method, init: Init) -> &'static str {
    match (method, init) {
        (_, Init::Random) => RANDOM,
        (Method::Finetune, Init::Pretrained) => TUNED,
        (Method::Setfit, Init::Pretrained) => "setfit",
        (Method::Linear, Init::Pretrained) => FROZEN,
    }
}

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

/// Something that predicts, and how well.
#[derive(Clone, Debug, Deserialize)]
pub struct Contender {
    /// What it is.
    pub name: Cow<'static, str>,
    /// Its scores, one a seed.
    pub scores: Vec<SplitScores>,
}

/// With the mean and the standard deviation of each metric over the seeds, as `accuracy` and `accuracy_std`.
impl Serialize for Contender {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("scores", &self.scores)?;
        for metric in self.metrics() {
            map.serialize_entry(metric.name(), &self.mean(metric))?;
            if let Some(deviation) = self.deviation(metric) {
                map.serialize_entry(&format!("{}_std", metric.name()), &deviation)?;
            }
        }
        map.end()
    }
}

impl Contender {
    fn new(name: &'static str, scores: Vec<SplitScores>) -> Self {
        Self { name: Cow::Borrowed(name), scores }
    }

    /// The metrics but the loss.
    pub fn metrics(&self) -> Vec<Metric> {
        let of_first = self.scores.first().into_iter().flat_map(|scores| scores.scores.iter());
        of_first.map(|(metric, _)| metric).filter(|metric| *metric != Metric::Loss).collect()
    }

    /// The mean of a metric over the seeds.
    pub fn mean(&self, metric: Metric) -> f64 {
        mean(&self.values(metric))
    }

    /// The standard deviation of a metric over the seeds; none for one seed.
    pub fn deviation(&self, metric: Metric) -> Option<f64> {
        deviation(&self.values(metric))
    }

    fn values(&self, metric: Metric) -> Vec<f64> {
        self.scores.iter().map(|scores| scores.value(metric)).collect()
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
/// are the run's scores on its held-out rows, and those of its repetitions with the next seeds; `known` counts the run and all that
/// were tried, of which some may have come to nothing. None when there are no held-out
/// rows, or it was interrupted before.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn compare(
    inputs: &Inputs,
    baselines: &[Baseline],
    own: &[SplitScores],
    known: u64,
    seeds: usize,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Compared>, Error> {
    if seeds > 0 && interrupt.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let (split, rows) = match (&inputs.test, &inputs.validation) {
        (Some(test), _) => ("test", test),
        (None, Some(validation)) => ("validation", validation),
        (None, None) => return Ok(None),
    };
    let score = |logits: &[f32]| inputs.evaluate(logits, rows);
    let own_name = own_name(inputs.plan.method.value, inputs.plan.init.value);
    let (from_scratch, planned) = (TrainingSetup::from_scratch(inputs)?, TrainingSetup::planned(inputs));
    // The run itself, with its repetitions, is the first of its kind.
    let of_seeds = |name, setup, first| (first..seeds as u64).map(move |nth| Training { name, setup, nth });
    let trainings: Vec<Training<'_>> = match inputs.plan.init.value {
        Init::Pretrained => of_seeds(RANDOM, &from_scratch, 0).chain(of_seeds(own_name, &planned, known)).collect(),
        Init::Random => of_seeds(RANDOM, &planned, known).collect(),
    };
    let own = || own.iter().cloned();
    let trained = train_all(inputs, &trainings, &|logits| score(logits), rows, observer, interrupt)?;
    let of = |name| {
        let own = trainings.iter().zip(&trained).filter(move |(training, _)| training.name == name);
        own.filter_map(|(_, scores)| scores.clone())
    };
    let (below, frozen): (Vec<&Baseline>, Vec<&Baseline>) =
        baselines.iter().partition(|baseline| baseline.name != FROZEN);
    let contender = |baseline: &&Baseline| Contender::new(baseline.name, vec![baseline.scores.clone()]);
    let mut contenders: Vec<Contender> = below.iter().map(contender).collect();
    if inputs.plan.init.value == Init::Pretrained {
        contenders.push(Contender::new(RANDOM, of(RANDOM).collect()));
    }
    contenders.extend(frozen.iter().map(contender));
    contenders.push(Contender::new(own_name, own().chain(of(own_name)).collect()));
    // One of which no training was finished has no scores.
    contenders.retain(|contender| !contender.scores.is_empty());
    let done = trained.iter().flatten().count();
    Ok(Some(Compared {
        transfer: Transfer { split: Cow::Borrowed(split), contenders },
        trained: done,
        asked: trained.len(),
    }))
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
    if !trainings.is_empty() {
        observer.event(&note(format!("{} more trainings, {at_once} at a time", trainings.len())));
    }
    let done = |training: &Training<'_>, trained: &Result<Option<Trained>, Error>| {
        let Ok(Some(trained)) = trained else { return };
        let name = format!("for comparison: {}, seed {}", training.name, training.seed(inputs));
        trained.report(&name, |logits| score(logits), observer);
    };
    let train = |training: &Training<'_>| {
        train_and_predict(
            inputs,
            training.setup,
            TrainingRows::planned(inputs),
            training.seed(inputs),
            &rows.texts,
            interrupt,
        )
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
        let scores = |accuracy: f64| {
            let scores = topwork_metrics::Scores { loss: 1.0, accuracy, macro_f1: accuracy / 2.0, mcc: 0.0 };
            SplitScores::new(4, scores.into())
        };
        let one = Contender::new("one", vec![scores(0.5)]);
        assert_eq!((one.mean(Metric::Accuracy), one.deviation(Metric::Accuracy)), (0.5, None));
        let three = Contender::new("three", vec![scores(0.2), scores(0.4), scores(0.6)]);
        assert!(
            (three.mean(Metric::Accuracy) - 0.4).abs() < 1e-12
                && (three.deviation(Metric::Accuracy).unwrap() - 0.2).abs() < 1e-12
        );
        assert!((three.deviation(Metric::MacroF1).unwrap() - 0.1).abs() < 1e-12);
    }
}
