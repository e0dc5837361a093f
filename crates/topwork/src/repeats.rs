//! The same training again: with other seeds, on parts of the rows, and on labels in random order. With few rows, one number is
//! a matter of luck.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use topwork_data::{Stream, folds};
use topwork_metrics::paired;

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::inputs::{Inputs, Split};
use crate::results::SplitScores;
use crate::run::side_by_side;
use crate::training::{Lesson, Regimen, Trained, train_and_answer, trainings_at_once};

/// What was left out of a fold's training, and answered by it.
pub const LEFT_OUT: &str = "left-out";

/// A mean over trainings of a score from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The sample's standard deviation; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub std: Option<f64>,
    /// Student's interval, which holds the true mean in 95 of 100 cases, cut at 0 and 1; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<(f64, f64)>,
}

impl Mean {
    /// The mean of these values.
    pub fn of(values: &[f64]) -> Self {
        Self::widened(values, 1.0)
    }

    /// The same with an interval that is so many times as wide as that of independent trainings.
    fn widened(values: &[f64], times: f64) -> Self {
        let Some(found) = paired::mean_interval(values) else {
            return Self { mean: values.iter().sum::<f64>() / values.len() as f64, std: None, interval: None };
        };
        let half = times * (found.interval.1 - found.mean);
        let interval = ((found.mean - half).max(0.0), (found.mean + half).min(1.0));
        Self { mean: found.mean, std: Some(found.std), interval: Some(interval) }
    }
}

/// Scores of several trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repeated {
    /// The rows that were scored: `test`, `validation`, or `left-out` of folds.
    pub split: String,
    /// One training's each.
    pub scores: Vec<SplitScores>,
    /// How many of the trainings diverged; their scores are those of what could be kept.
    #[serde(default)]
    pub diverged: usize,
    /// Over the trainings.
    pub accuracy: Mean,
    /// Over the trainings.
    pub macro_f1: Mean,
}

impl Repeated {
    /// `shared`: how many times as wide as that of independent trainings the intervals are.
    fn new(split: &str, scores: Vec<SplitScores>, diverged: usize, shared: f64) -> Self {
        let mean = |of: fn(&SplitScores) -> f64| Mean::widened(&scores.iter().map(of).collect::<Vec<f64>>(), shared);
        let (accuracy, macro_f1) = (mean(|scores| scores.accuracy), mean(|scores| scores.macro_f1));
        Self { split: split.to_string(), scores, diverged, accuracy, macro_f1 }
    }
}

/// How many times as wide as that of independent trainings the interval of the mean over K folds is: their trainings share most
/// rows (Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 2003). √(1/K + 1/(K−1)) takes the place of
/// √(1/K).
fn folds_share(folds: usize) -> f64 {
    let folds = folds as f64;
    (1.0 + folds / (folds - 1.0).max(1.0)).sqrt()
}

/// The answers to training rows by models that have not seen them.
pub(crate) struct CrossValidated {
    pub(crate) repeated: Repeated,
    /// Of all answered rows together.
    pub(crate) together: SplitScores,
    /// `[rows, classes]`, in the order of the training rows; none when some of the rows have no answer.
    pub(crate) logits: Option<Vec<f32>>,
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
    Labelled { labels: &'a [u32], answers: &'a Split },
}

/// Leaves each of so many parts of the training rows out in turn. None when interrupted before the first is done.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn cross_validate(
    inputs: &Inputs,
    count: usize,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<CrossValidated>, Error> {
    let (rows, classes, seed) = (&inputs.train, inputs.labels.len(), inputs.plan.seed.value);
    let parts = folds(&rows.examples, &rows.labels, classes, count, seed);
    let mut repetitions: Vec<Repetition<'_>> = Vec::new();
    for (fold, part) in parts.iter().enumerate() {
        let name = format!("fold {} of {count}", fold + 1);
        repetitions.push(Repetition { name, seed, rows: RepeatedRows::AllBut(part) });
    }
    let trained = train_all(inputs, &repetitions, observer, interrupt)?;
    let (mut logits, mut gold, mut scores, mut diverged) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut in_order = vec![0.0; rows.labels.len() * classes];
    for (part, trained) in parts.iter().zip(&trained).filter_map(|(part, trained)| Some((part, trained.as_ref()?))) {
        for (&row, own) in part.iter().zip(trained.logits.chunks_exact(classes)) {
            in_order[row * classes..(row + 1) * classes].copy_from_slice(own);
        }
        let own: Vec<u32> = part.iter().map(|&row| rows.labels[row]).collect();
        scores.push(scores_of(&trained.logits, &own, classes));
        diverged += usize::from(trained.diverged.is_some());
        logits.extend_from_slice(&trained.logits);
        gold.extend(own);
    }
    if scores.is_empty() {
        return Ok(None);
    }
    let is_complete = scores.len() == parts.len();
    let repeated = Repeated::new(LEFT_OUT, scores, diverged, folds_share(parts.len()));
    let together = scores_of(&logits, &gold, classes);
    Ok(Some(CrossValidated { repeated, together, logits: is_complete.then_some(in_order) }))
}

/// Trains with the seeds after the run's own, so that there are `count` with `own`, the run's scores. None when interrupted
/// before the first of them is done.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn with_seeds(
    inputs: &Inputs,
    count: usize,
    own: (&str, &Split, SplitScores),
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Repeated>, Error> {
    let (name, answers, own) = own;
    let repetition = |nth: u64| {
        let seed = inputs.plan.seed.value.wrapping_add(nth);
        Repetition { name: format!("seed {seed}"), seed, rows: RepeatedRows::All { answers } }
    };
    let repetitions: Vec<Repetition<'_>> = (1..count as u64).map(repetition).collect();
    let trained: Vec<Trained> = train_all(inputs, &repetitions, observer, interrupt)?.into_iter().flatten().collect();
    if trained.is_empty() {
        return Ok(None);
    }
    let others = trained.iter().map(|trained| scores_of(&trained.logits, &answers.labels, inputs.labels.len()));
    let scores = std::iter::once(own).chain(others).collect();
    let diverged = trained.iter().filter(|trained| trained.diverged.is_some()).count();
    Ok(Some(Repeated::new(name, scores, diverged, 1.0)))
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
    let mut labels = inputs.train.labels.clone();
    Stream::named("permuted control", seed).shuffle(&mut labels);
    let rows = RepeatedRows::Labelled { labels: &labels, answers };
    let repetition = Repetition { name: "labels in random order".to_string(), seed, rows };
    let trained = train_all(inputs, &[repetition], observer, interrupt)?.pop().flatten();
    Ok(trained.map(|trained| scores_of(&trained.logits, &answers.labels, inputs.labels.len())))
}

fn scores_of(logits: &[f32], gold: &[u32], classes: usize) -> SplitScores {
    SplitScores::new(gold.len(), &topwork_metrics::evaluate(logits, classes, gold))
}

/// What each repetition comes to, in order; none for those that an interruption prevented.
fn train_all(
    inputs: &Inputs,
    repetitions: &[Repetition<'_>],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Vec<Option<Trained>>, Error> {
    let regimen = Regimen::planned(inputs);
    let at_once = trainings_at_once(inputs, repetitions.len());
    let on = |train: &Split, answers: &Split, seed: u64| {
        // Epochs are compared by validation rows where there are some; a fold's own rows are not looked at before the end.
        let lesson = Lesson { train, validation: inputs.validation.as_ref() };
        train_and_answer(inputs, &regimen, lesson, seed, answers, interrupt)
    };
    let train = |repetition: &Repetition<'_>| match repetition.rows {
        RepeatedRows::AllBut(part) => {
            let is_other = |row: &usize| part.binary_search(row).is_err();
            let others: Vec<usize> = (0..inputs.train.labels.len()).filter(is_other).collect();
            on(&inputs.train.select(&others), &inputs.train.select(part), repetition.seed)
        }
        RepeatedRows::All { answers } => on(&inputs.train, answers, repetition.seed),
        RepeatedRows::Labelled { labels, answers } => {
            let train = Split { labels: labels.to_vec(), ..inputs.train.clone() };
            on(&train, answers, repetition.seed)
        }
    };
    let done = |repetition: &Repetition<'_>, trained: &Result<Option<Trained>, Error>| {
        let Ok(Some(Trained { logits, diverged })) = trained else { return };
        let name = &repetition.name;
        if let Some(step) = diverged {
            observer.event(&RunEvent::warning(format!("{name}: diverged at step {step}")));
        }
        let classes = inputs.labels.len();
        let own = |part: &[usize]| part.iter().map(|&row| inputs.train.labels[row]).collect::<Vec<u32>>();
        let scores = match repetition.rows {
            RepeatedRows::AllBut(part) => scores_of(logits, &own(part), classes),
            RepeatedRows::All { answers } | RepeatedRows::Labelled { answers, .. } => {
                scores_of(logits, &answers.labels, classes)
            }
        };
        observer.event(&RunEvent::Note { message: format!("{name}: accuracy {:.1} %", 100.0 * scores.accuracy) });
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
        let scores = |accuracy: f64| SplitScores { rows: 4, loss: 1.0, accuracy, macro_f1: accuracy, mcc: 0.0 };
        let all = || [0.49, 0.5, 0.51].map(scores).to_vec();
        let width = |shared: f64| {
            let (low, high) = Repeated::new(LEFT_OUT, all(), 0, shared).accuracy.interval.unwrap();
            high - low
        };
        // √(1/3 + 1/2) in place of √(1/3).
        assert!((width(folds_share(3)) / width(1.0) - (5.0f64 / 6.0 * 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_diverged_training_is_written_and_read_back() {
        let scores = SplitScores { rows: 4, loss: f64::NAN, accuracy: 0.25, macro_f1: 0.1, mcc: 0.0 };
        let repeated = Repeated::new("test", vec![scores, scores], 2, 1.0);
        let text = serde_json::to_string(&repeated).unwrap();
        let back: Repeated = serde_json::from_str(&text).unwrap();
        assert!(back.scores.iter().all(|scores| scores.loss.is_nan()) && back.diverged == 2, "{text}");
    }
}
