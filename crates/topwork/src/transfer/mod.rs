//! What transfer bought: the fine-tuned model beside what would have been had without it, on the same rows.
//!
//! Contenders are listed from the least that is known to the most: the majority class; words alone ([`bag_of_words`]); the
//! same network from random weights; the pretrained network untouched, with a linear head; the fine-tuned one. Those that
//! draw random numbers run with several seeds; the rows stay the same, so the spread is the training's.

pub mod bag_of_words;

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use topwork_metrics::Scores;

use crate::batch::{Output, infer};
use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::fit::{Progress, Stop, Surroundings, fit, restore_best};
use crate::inputs::{Inputs, Split};
use crate::probe;
use crate::results::SplitScores;
use crate::training::{Subject, classification, fit_options, fit_probe, starts_from_probe, total_steps};
use crate::value::Init;

/// The comparison of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Transfer {
    /// The rows that all were scored on: `test` or `validation`.
    pub split: &'static str,
    /// Those that were compared.
    pub contenders: Vec<Contender>,
}

/// Something that answers, and how well.
#[derive(Clone, Debug, Serialize)]
pub struct Contender {
    /// What it is.
    pub name: &'static str,
    /// Its scores, one a seed.
    pub scores: Vec<SplitScores>,
    /// Mean accuracy over the seeds.
    pub accuracy: f64,
    /// Standard deviation of the accuracy over the seeds; none for one seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_std: Option<f64>,
    /// Mean macro-F1 over the seeds.
    pub macro_f1: f64,
    /// Standard deviation of the macro-F1 over the seeds; none for one seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1_std: Option<f64>,
}

impl Contender {
    fn new(name: &'static str, scores: Vec<SplitScores>) -> Self {
        let accuracies: Vec<f64> = scores.iter().map(|scores| scores.accuracy).collect();
        let macro_f1s: Vec<f64> = scores.iter().map(|scores| scores.macro_f1).collect();
        Self {
            name,
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

/// Compares a run that scored `fine_tuned` on its held-out rows with what would have been had without it, with so many
/// `seeds` where the contender draws random numbers. None when the user interrupts it, or there are no held-out rows.
///
/// # Errors
/// When a model cannot be loaded.
pub(crate) fn compare(
    inputs: &Inputs,
    fine_tuned: SplitScores,
    seeds: usize,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Transfer>, Error> {
    let (split, rows) = match (&inputs.test, &inputs.validation) {
        (Some(test), _) => ("test", test),
        (None, Some(validation)) => ("validation", validation),
        (None, None) => return Ok(None),
    };
    let mut note = |what: &str| observer.event(&RunEvent::Note { message: format!("for comparison: {what}") });
    let score = |logits: &[f32]| -> SplitScores {
        let scores: Scores = topwork_metrics::evaluate(logits, inputs.labels.len(), &rows.labels);
        SplitScores::new(rows.labels.len(), &scores)
    };
    let mut contenders = vec![
        Contender::new("majority class", vec![score(&majority(inputs, rows))]),
        Contender::new("bag of words", vec![score(&bag_of_words::logits(inputs, rows))]),
    ];
    let mut trained = |name, init, mut scores: Vec<SplitScores>| -> Result<Option<Contender>, Error> {
        note(name);
        for seed in scores.len()..seeds.max(1) {
            match train(inputs, init, inputs.plan.seed.value + seed as u64, interrupt)? {
                Some(subject) => scores.push(score(&logits(&subject, inputs, rows))),
                None => return Ok(None),
            }
        }
        Ok(Some(Contender::new(name, scores)))
    };
    let Some(random) = trained("random weights", Init::Random, Vec::new())? else { return Ok(None) };
    contenders.push(random);
    contenders.push(Contender::new("frozen + linear head", vec![score(&frozen(inputs, rows)?)]));
    let Some(tuned) = trained("fine-tuned", inputs.plan.init.value, vec![fine_tuned])? else { return Ok(None) };
    contenders.push(tuned);
    Ok(Some(Transfer { split, contenders }))
}

/// The log-frequencies of the classes, for every row.
fn majority(inputs: &Inputs, rows: &Split) -> Vec<f32> {
    let mut counts = vec![0.0f32; inputs.labels.len()];
    inputs.train.labels.iter().for_each(|&label| counts[label as usize] += 1.0);
    let logits: Vec<f32> = counts.iter().map(|count| count.max(0.5).ln()).collect();
    logits.repeat(rows.labels.len())
}

/// A linear head on the features of the untouched pretrained encoder.
fn frozen(inputs: &Inputs, rows: &Split) -> Result<Vec<f32>, Error> {
    let subject = Subject::load(inputs, Init::Pretrained, inputs.plan.seed.value)?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let features =
        |split: &Split| infer(&subject.model, &subject.parameters, &split.texts, batch_size, Output::Features);
    let (train, held_out) = (features(&inputs.train), features(rows));
    Ok(probe::logits(&train, &inputs.train.labels, inputs.labels.len(), &held_out))
}

fn logits(subject: &Subject, inputs: &Inputs, rows: &Split) -> Vec<f32> {
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    infer(&subject.model, &subject.parameters, &rows.texts, batch_size, Output::Logits)
}

/// Trains as the plan says, with another seed; none when interrupted. A run that diverges keeps what it had learnt.
fn train(inputs: &Inputs, init: Init, seed: u64, interrupt: &AtomicBool) -> Result<Option<Subject>, Error> {
    let mut subject = Subject::load(inputs, init, seed)?;
    let Subject { parameters, model, report } = &mut subject;
    let mut task = classification(inputs, model, seed);
    let options = fit_options(&inputs.plan, total_steps(&inputs.plan, &task));
    if starts_from_probe(&inputs.plan, report) {
        fit_probe(inputs, model, parameters, &task.options);
    }
    let mut progress = Progress::default();
    let surroundings = Surroundings { observer: &mut NoObserver, interrupt, checkpoints: None };
    let stop = fit(&mut task, parameters, &options, &mut progress, surroundings)?;
    if stop == Some(Stop::Interrupted) || interrupt.load(Ordering::Relaxed) {
        return Ok(None);
    }
    if let Some(best) = progress.best.take().filter(|_| inputs.plan.load_best_model_at_end.value) {
        restore_best(parameters, &best);
    }
    Ok(Some(subject))
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
