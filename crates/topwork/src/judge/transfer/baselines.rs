//! What answers rows without any training of layers: guessing, words, and a linear head on the untouched pretrained model.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::OutputScale;

use super::bag_of_words;
use crate::error::Error;
use crate::events::SplitScores;
use crate::judge::repeats::lines;
use crate::network::batch::{Output, infer};
use crate::network::probe;
use crate::plan::value::{Init, Method};
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingRows, TrainingSetup, learning_options, with_added};
use crate::tasks::supervised_problem::LearningOptions;
use crate::tasks::{LossOptions, Part};

pub(crate) const FROZEN: &str = "frozen + linear head";
const BAG_OF_WORDS: &str = "bag of words";
/// Rows that baselines learn from where no comparison was asked for, so that they take seconds.
const BASELINE_ROWS: usize = 10_000;

/// What answers held-out rows without any training of layers.
pub(crate) struct Baseline {
    pub(crate) name: &'static str,
    /// Whether it has not learnt from texts.
    pub(crate) is_guess: bool,
    pub(crate) outputs: Vec<f32>,
    pub(crate) scores: SplitScores,
}

impl Baseline {
    /// The value of a metric.
    pub(crate) fn value(&self, metric: Metric) -> f64 {
        self.scores.value(metric)
    }
}

/// The baselines of a run on its held-out rows, from the least that is known to the most: guessing, words, and a linear head on the
/// untouched pretrained model, as far as the task has them. What the run itself is, is not among them.
///
/// # Errors
/// When the model cannot be loaded.
pub(crate) fn on_held_out(inputs: &Inputs, rows: &Split) -> Result<Vec<Baseline>, Error> {
    let most = if inputs.plan.compare_seeds.value > 0 { inputs.train.len() } else { BASELINE_ROWS };
    let train: Cow<'_, Split> = match inputs.train.len() > most {
        true => Cow::Owned(inputs.train.spread(most)),
        false => Cow::Borrowed(&inputs.train),
    };
    let frozen = match has_frozen(inputs) {
        true => Frozen::of(inputs)?.outputs(&train, rows),
        false => None,
    };
    let words = has_words(inputs).then(|| words(inputs, &train, rows));
    Ok(listed(inputs, rows, guess(inputs, &inputs.train, rows), words, frozen))
}

/// Gives the outputs for rows, the second, by what learns from others, the first: none where that cannot be fitted.
type AnswerPart<'a> = dyn Fn(&[usize], &[usize]) -> Option<Vec<f32>> + 'a;

/// The baselines on training rows that folds left out: the rows of each of `parts` are answered by what was fitted to all other rows.
/// `answered` are the rows of all parts, in order. None when interrupted.
///
/// # Errors
/// When the model cannot be loaded.
pub(crate) fn on_folds(
    inputs: &Inputs,
    parts: &[Vec<usize>],
    answered: &Split,
    interrupt: &AtomicBool,
) -> Result<Option<Vec<Baseline>>, Error> {
    let rows = &inputs.train;
    let together = |outputs: &AnswerPart<'_>| left_out(inputs, parts, interrupt, outputs);
    let frozen = frozen_on_folds(inputs, parts, interrupt)?;
    let of_words = |others: &[usize], part: &[usize]| Some(words(inputs, &rows.select(others), &rows.select(part)));
    let words = has_words(inputs).then(|| together(&of_words)).flatten();
    let guess = together(&|others, part| Some(guess(inputs, &rows.select(others), &rows.select(part))));
    Ok(guess.map(|guess| listed(inputs, answered, guess, words, frozen)))
}

/// The outputs of a linear head on the untouched model for rows, learnt from all training rows. None where there is no such head, or it
/// cannot be fitted.
///
/// # Errors
/// When the model cannot be loaded.
pub(crate) fn frozen_on_held_out(inputs: &Inputs, rows: &Split) -> Result<Option<Vec<f32>>, Error> {
    match has_frozen(inputs) {
        true => Ok(Frozen::of(inputs)?.outputs(&inputs.train, rows)),
        false => Ok(None),
    }
}

/// As [`frozen_on_held_out`], for the rows of all parts, in the order of the rows: those of each part by a head that learnt from all others.
/// None when interrupted, too.
///
/// # Errors
/// When the model cannot be loaded.
pub(crate) fn frozen_on_folds(
    inputs: &Inputs,
    parts: &[Vec<usize>],
    interrupt: &AtomicBool,
) -> Result<Option<Vec<f32>>, Error> {
    if !has_frozen(inputs) {
        return Ok(None);
    }
    let rows = &inputs.train;
    // One pass serves all folds; names follow the rows.
    let all = with_added(TrainingRows::planned(inputs));
    let features = Frozen::of(inputs)?.features(&all);
    let width = features.len() / all.len().max(1);
    let of = |rows: &[usize]| -> Vec<f32> {
        rows.iter().flat_map(|&row| &features[row * width..(row + 1) * width]).copied().collect()
    };
    Ok(left_out(inputs, parts, interrupt, &|others, part| {
        let learnt: Vec<usize> = others.iter().copied().chain(rows.len()..all.len()).collect();
        head_outputs(inputs, &of(&learnt), &all.select(&learnt), &of(part))
    }))
}

/// The outputs for the rows of all parts, in the order of the rows, each part by what learnt from all others.
fn left_out(
    inputs: &Inputs,
    parts: &[Vec<usize>],
    interrupt: &AtomicBool,
    outputs: &AnswerPart<'_>,
) -> Option<Vec<f32>> {
    let rows = &inputs.train;
    let mut by_row: Vec<(usize, Vec<f32>)> = Vec::new();
    for part in parts {
        if interrupt.load(Ordering::Relaxed) {
            return None;
        }
        let is_other = |row: &usize| part.binary_search(row).is_err();
        let others: Vec<usize> = (0..rows.len()).filter(is_other).collect();
        let outputs = outputs(&others, part)?;
        let lines = lines(inputs, &outputs, &rows.select(part)).into_iter().map(<[f32]>::to_vec);
        by_row.extend(part.iter().copied().zip(lines));
    }
    by_row.sort_by_key(|(row, _)| *row);
    Some(by_row.into_iter().flat_map(|(_, line)| line).collect())
}

/// Baselines with their scores on rows.
fn listed(
    inputs: &Inputs,
    rows: &Split,
    guess: Vec<f32>,
    words: Option<Vec<f32>>,
    frozen: Option<Vec<f32>>,
) -> Vec<Baseline> {
    let guess_name = if inputs.task.kind() == TargetKind::Class { "majority class" } else { "guess" };
    let baseline = |(name, outputs): (&'static str, Option<Vec<f32>>)| {
        let outputs = outputs?;
        let scores = inputs.evaluate(&outputs, rows);
        Some(Baseline { name, is_guess: name == guess_name, outputs, scores })
    };
    [(guess_name, Some(guess)), (BAG_OF_WORDS, words), (FROZEN, frozen)].into_iter().filter_map(baseline).collect()
}

/// Whether a linear head on the untouched model is another thing than the run itself, and the task has one.
fn has_frozen(inputs: &Inputs) -> bool {
    inputs.plan.method.value != Method::Linear && inputs.task.why_not(Part::FrozenHead).is_none()
}

fn has_words(inputs: &Inputs) -> bool {
    inputs.task.why_not(Part::BagOfWords).is_none()
}

fn guess(inputs: &Inputs, train: &Split, rows: &Split) -> Vec<f32> {
    inputs.task.guess(&train.targets, &rows.targets, &inputs.scoring)
}

fn words(inputs: &Inputs, train: &Split, rows: &Split) -> Vec<f32> {
    bag_of_words::logits(&train.examples, train.classes(), inputs.labels().len(), &rows.examples)
}

/// The untouched pretrained model, to fit heads on.
struct Frozen<'a> {
    inputs: &'a Inputs,
    loaded: LoadedModel,
}

impl<'a> Frozen<'a> {
    fn of(inputs: &'a Inputs) -> Result<Self, Error> {
        let mut setup = TrainingSetup::planned(inputs);
        setup.plan.init.value = Init::Pretrained;
        Ok(Self { inputs, loaded: LoadedModel::load(inputs, &setup, inputs.plan.seed.value)? })
    }

    fn features(&self, split: &Split) -> Vec<f32> {
        let LoadedModel { model, parameters, .. } = &self.loaded;
        let batch_size = self.inputs.plan.per_device_eval_batch_size.value;
        infer(model, parameters, &split.texts, batch_size, Output::Features)
    }

    /// The outputs for rows of a linear head that is fitted to training rows; none where there is no fit.
    fn outputs(&self, train: &Split, rows: &Split) -> Option<Vec<f32>> {
        let learnt = with_added(TrainingRows { train, ..TrainingRows::planned(self.inputs) });
        head_outputs(self.inputs, &self.features(&learnt), &learnt, &self.features(rows))
    }
}

/// The outputs for features `held_out` of the head that `--method linear` fits to the features of `learnt`: rows, and perhaps names of
/// classes.
fn head_outputs(inputs: &Inputs, features: &[f32], learnt: &Split, held_out: &[f32]) -> Option<Vec<f32>> {
    if inputs.task.kind() == TargetKind::Class {
        let LearningOptions { loss, .. } = learning_options(&inputs.plan, learnt, &inputs.scoring);
        let head = inputs.task.fitted_head(features, &learnt.targets, &loss, inputs.scoring.outputs());
        return head.map(|head| head.outputs(held_out));
    }
    linear_outputs(inputs, features, learnt, held_out)
}

/// The outputs for features `held_out` of a linear model that is fitted on the features of `rows`.
pub(crate) fn linear_outputs(inputs: &Inputs, features: &[f32], rows: &Split, held_out: &[f32]) -> Option<Vec<f32>> {
    if inputs.task.kind() == TargetKind::Class {
        return Some(probe::logits(features, rows.classes(), inputs.labels().len(), held_out));
    }
    let options = LossOptions { scale: inputs.scoring.scale.clone(), ..LossOptions::default() };
    let model = inputs.task.linear_model(features, &rows.targets, &options, inputs.scoring.outputs())?;
    let mut outputs = model.outputs(held_out);
    if let Some(OutputScale { scale, shift }) = &inputs.scoring.scale {
        for row in outputs.chunks_exact_mut(scale.len()) {
            row.iter_mut().zip(scale).zip(shift).for_each(|((value, scale), shift)| *value = *value * scale + shift);
        }
    }
    Some(outputs)
}
