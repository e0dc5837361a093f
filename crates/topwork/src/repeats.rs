//! The same training again: with other seeds, on parts of the rows, and on labels in random order. With few rows, one number is
//! a matter of luck.

use std::borrow::Cow;
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

/// A mean over trainings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The sample's standard deviation; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub std: Option<f64>,
    /// Student's interval, which holds the true mean in 95 of 100 cases; none for one training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<(f64, f64)>,
}

impl Mean {
    /// The mean of these values.
    pub fn of(values: &[f64]) -> Self {
        match paired::mean_interval(values) {
            Some(found) => Self { mean: found.mean, std: Some(found.std), interval: Some(found.interval) },
            None => Self { mean: values.iter().sum::<f64>() / values.len() as f64, std: None, interval: None },
        }
    }
}

/// Scores of several trainings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repeated {
    /// The rows that were scored: `test`, `validation`, or `left-out` of folds.
    pub split: String,
    /// One training's each.
    pub scores: Vec<SplitScores>,
    /// Over the trainings. The folds' trainings share most of their rows, so their interval is narrower than the truth (Nadeau
    /// and Bengio, "Inference for the Generalization Error", 2003).
    pub accuracy: Mean,
    /// Over the trainings.
    pub macro_f1: Mean,
}

impl Repeated {
    fn new(split: &str, scores: Vec<SplitScores>) -> Self {
        let values = |of: fn(&SplitScores) -> f64| scores.iter().map(of).collect::<Vec<f64>>();
        let (accuracy, macro_f1) = (values(|scores| scores.accuracy), values(|scores| scores.macro_f1));
        Self { split: split.to_string(), accuracy: Mean::of(&accuracy), macro_f1: Mean::of(&macro_f1), scores }
    }
}

/// The answers to every training row by a model that has not seen it.
pub(crate) struct CrossValidated {
    pub(crate) repeated: Repeated,
    /// Of all rows together.
    pub(crate) together: SplitScores,
    /// `[rows, classes]`, in the order of the training rows.
    pub(crate) logits: Vec<f32>,
}

/// A training of a repetition.
struct Repetition<'a> {
    name: String,
    train: Cow<'a, Split>,
    answered: Cow<'a, Split>,
    seed: u64,
}

/// Leaves each of so many parts of the training rows out in turn. None when interrupted.
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
    let repetition = |(fold, part): (usize, &Vec<usize>)| {
        let others: Vec<usize> = (0..rows.labels.len()).filter(|row| part.binary_search(row).is_err()).collect();
        let name = format!("fold {} of {count}", fold + 1);
        Repetition { name, train: Cow::Owned(rows.select(&others)), answered: Cow::Owned(rows.select(part)), seed }
    };
    let repetitions: Vec<Repetition<'_>> = parts.iter().enumerate().map(repetition).collect();
    let Some(answers) = train_all(inputs, &repetitions, observer, interrupt)? else { return Ok(None) };
    let mut logits = vec![0.0; rows.labels.len() * classes];
    for (part, answers) in parts.iter().zip(&answers) {
        for (&row, own) in part.iter().zip(answers.chunks_exact(classes)) {
            logits[row * classes..(row + 1) * classes].copy_from_slice(own);
        }
    }
    let scores = repetitions.iter().zip(&answers).map(|(own, logits)| scores(logits, &own.answered, classes)).collect();
    let repeated = Repeated::new(LEFT_OUT, scores);
    Ok(Some(CrossValidated { repeated, together: scores_of(&logits, &rows.labels, classes), logits }))
}

/// Trains with the seeds after the run's own, so that there are `count` with `own`, the run's scores. None when interrupted.
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
    let (name, answered, own) = own;
    let repetition = |nth: u64| {
        let seed = inputs.plan.seed.value.wrapping_add(nth);
        let (train, answered) = (Cow::Borrowed(&inputs.train), Cow::Borrowed(answered));
        Repetition { name: format!("seed {seed}"), train, answered, seed }
    };
    let repetitions: Vec<Repetition<'_>> = (1..count as u64).map(repetition).collect();
    let Some(answers) = train_all(inputs, &repetitions, observer, interrupt)? else { return Ok(None) };
    let others = answers.iter().map(|logits| scores(logits, answered, inputs.labels.len()));
    Ok(Some(Repeated::new(name, std::iter::once(own).chain(others).collect())))
}

/// Trains on the same rows with their labels in random order, and scores held-out rows: what that reaches is worth nothing.
/// None when interrupted.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn permuted_control(
    inputs: &Inputs,
    answered: &Split,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<SplitScores>, Error> {
    let seed = inputs.plan.seed.value;
    let mut train = inputs.train.clone();
    Stream::named("permuted control", seed).shuffle(&mut train.labels);
    let name = "labels in random order".to_string();
    let (train, answered_by) = (Cow::Owned(train), Cow::Borrowed(answered));
    let repetitions = [Repetition { name, train, answered: answered_by, seed }];
    let answers = train_all(inputs, &repetitions, observer, interrupt)?;
    Ok(answers.map(|answers| scores(&answers[0], answered, inputs.labels.len())))
}

fn scores(logits: &[f32], answered: &Split, classes: usize) -> SplitScores {
    scores_of(logits, &answered.labels, classes)
}

fn scores_of(logits: &[f32], gold: &[u32], classes: usize) -> SplitScores {
    SplitScores::new(gold.len(), &topwork_metrics::evaluate(logits, classes, gold))
}

/// The answers of each repetition, in order; none when interrupted.
fn train_all(
    inputs: &Inputs,
    repetitions: &[Repetition<'_>],
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Vec<Vec<f32>>>, Error> {
    let regimen = Regimen::planned(inputs);
    let at_once = trainings_at_once(inputs, repetitions.len());
    let train = |repetition: &Repetition<'_>| {
        // Epochs are compared by validation rows where there are some; a fold's own rows are not looked at before the end.
        let lesson = Lesson { train: &repetition.train, validation: inputs.validation.as_ref() };
        train_and_answer(inputs, &regimen, lesson, repetition.seed, &repetition.answered, interrupt)
    };
    let done = |repetition: &Repetition<'_>, trained: &Result<Option<Trained>, Error>| {
        let Ok(Some(Trained { logits, diverged })) = trained else { return };
        let name = &repetition.name;
        if let Some(step) = diverged {
            observer.event(&RunEvent::warning(format!("{name}: diverged at step {step}")));
        }
        let accuracy = 100.0 * scores(logits, &repetition.answered, inputs.labels.len()).accuracy;
        observer.event(&RunEvent::Note { message: format!("{name}: accuracy {accuracy:.1} %") });
    };
    let trained = side_by_side(inputs.plan.threads.value, at_once, repetitions, train, done)?;
    // None of an interrupted training makes none of all.
    Ok(trained.into_iter().map(|trained| trained.map(|trained| trained.logits)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_training_has_no_interval() {
        let one = Mean::of(&[0.5]);
        assert_eq!((one.mean, one.std, one.interval), (0.5, None, None));
        let Mean { mean, interval: Some((low, high)), .. } = Mean::of(&[0.4, 0.5, 0.6]) else {
            panic!("three have one")
        };
        // Student's t with two degrees of freedom, 4.303, times 0.1 / √3.
        assert!((mean - 0.5).abs() < 1e-12 && (high - 0.7484).abs() < 1e-4 && (low - 0.2516).abs() < 1e-4);
    }
}
