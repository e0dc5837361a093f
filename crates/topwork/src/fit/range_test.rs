//! A range test of the learning rate (Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017): it rises
//! step by step until the loss explodes, and the curve tells where it may lie. Weights and optimizer are put back exactly.

use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};
use topwork_engine::{AdamW, AdamWOptions, AdamWState, Gradients, Parameters, Pool};

use crate::error::Error;
use crate::fit::problem::Problem;
use crate::fit::{clipping_factor, gradient_norm};

/// How much of the average is kept at each new loss, as in fastai.
const SMOOTHING: f64 = 0.98;
/// The test ends when the smoothed loss is so many times the best.
const EXPLODED: f64 = 4.0;

/// The range and how finely it is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangeOptions {
    /// The first learning rate.
    pub start: f64,
    /// The last learning rate, unless the loss explodes before.
    pub end: f64,
    /// Optimizer steps.
    pub steps: usize,
}

impl Default for RangeOptions {
    /// For encoders: BERT was fine-tuned at 2e-5 to 5e-5, and beyond 1e-1 nothing learns.
    fn default() -> Self {
        Self { start: 1e-6, end: 1e-1, steps: 100 }
    }
}

/// A step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangeStep {
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The loss of its rows, in nats.
    pub loss: f64,
    /// The running average of the losses up to here.
    pub smoothed: f64,
}

/// What a range test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTest {
    /// The steps that were taken.
    pub curve: Vec<RangeStep>,
    /// Half-way along the longest run of ever smaller losses, not all of them neighbours: fastai's choice.
    pub valley: Option<f64>,
    /// Where the loss falls fastest.
    pub steepest: Option<f64>,
    /// A tenth of where the loss is least.
    pub minimum_tenth: Option<f64>,
    /// The hash of weights and optimizer before the test and after it.
    pub state_sha256: String,
    /// Real tokens that went through.
    pub tokens: u64,
    /// Seconds of the steps.
    pub seconds: f64,
}

/// Runs the test on `task` from `parameters`, and puts both back as they were. `state` is the optimizer's, none for a new
/// one.
///
/// # Errors
/// When the task cannot read its data, the state is of another model, or what was put back differs from what was there.
pub fn range_test(
    task: &mut dyn Problem,
    parameters: &mut Parameters,
    state: Option<&AdamWState>,
    adamw_options: AdamWOptions,
    max_grad_norm: f64,
    options: &RangeOptions,
) -> Result<RangeTest, Error> {
    let pool = Pool::new();
    let mut gradients = Gradients::new(parameters, &task.sparse_tables());
    let mut adamw = AdamW::new(parameters, &gradients, adamw_options);
    if let Some(state) = state
        && !adamw.restore(state)
    {
        return Err(Error::run("the optimizer's state is of another model", "start with a new optimizer"));
    }
    let weights: Vec<Vec<f32>> = trainable(parameters).map(<[f32]>::to_vec).collect();
    let before = adamw.state();
    let hash = state_hash(parameters, &before);

    let began = Instant::now();
    let (curve, tokens) = rise(task, parameters, &mut gradients, &mut adamw, &pool, max_grad_norm, options)?;
    let seconds = began.elapsed().as_secs_f64();

    let own = parameters.iter_mut().filter(|(_, parameter)| parameter.trainable);
    own.zip(&weights).for_each(|((_, parameter), weights)| parameter.values.copy_from_slice(weights));
    if !adamw.restore(&before) || state_hash(parameters, &adamw.state()) != hash {
        return Err(Error::proof(
            "the range test of the learning rate did not put weights and optimizer back as they were",
        ));
    }
    let Suggestions { valley, steepest, minimum_tenth } = suggestions(&curve);
    Ok(RangeTest { curve, valley, steepest, minimum_tenth, state_sha256: hash, tokens, seconds })
}

fn rise(
    task: &mut dyn Problem,
    parameters: &mut Parameters,
    gradients: &mut Gradients,
    adamw: &mut AdamW,
    pool: &Pool,
    max_grad_norm: f64,
    options: &RangeOptions,
) -> Result<(Vec<RangeStep>, u64), Error> {
    let mut curve: Vec<RangeStep> = Vec::with_capacity(options.steps);
    let (mut average, mut best, mut tokens) = (0.0, f64::INFINITY, 0);
    let mut seen = vec![false; parameters.len()];
    for step in 0..options.steps {
        let part = step as f64 / (options.steps.max(2) - 1) as f64;
        let learning_rate = options.start * (options.end / options.start).powf(part);
        gradients.clear();
        let outcome = task.accumulate(parameters, step, pool, gradients)?;
        let loss = outcome.loss;
        tokens += outcome.tokens;
        let norm = gradient_norm(parameters, gradients, &mut seen);
        if !(loss.is_finite() && norm.is_finite()) {
            break;
        }
        average = SMOOTHING * average + (1.0 - SMOOTHING) * loss;
        let smoothed = average / (1.0 - SMOOTHING.powi(step as i32 + 1));
        best = f64::min(best, smoothed);
        curve.push(RangeStep { learning_rate, loss, smoothed });
        if smoothed > EXPLODED * best {
            break;
        }
        let scale = clipping_factor(norm, max_grad_norm);
        adamw.step(parameters, gradients, scale, |id| task.rates(id, learning_rate));
    }
    Ok((curve, tokens))
}

/// Where a curve says that the learning rate may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suggestions {
    /// As [`RangeTest::valley`].
    pub valley: Option<f64>,
    /// As [`RangeTest::steepest`].
    pub steepest: Option<f64>,
    /// As [`RangeTest::minimum_tenth`].
    pub minimum_tenth: Option<f64>,
}

/// Reads the suggestions off a curve as fastai does: without the first tenth of the steps, where the average has not
/// settled, and the last five, where the loss explodes. None where that leaves fewer than five steps.
pub fn suggestions(curve: &[RangeStep]) -> Suggestions {
    let kept = (curve.len() / 10)..curve.len().saturating_sub(5);
    let Some(curve) = curve.get(kept).filter(|curve| curve.len() >= 5) else { return Suggestions::default() };
    let losses: Vec<f64> = curve.iter().map(|step| step.smoothed).collect();
    let rate = |place: usize| curve[place].learning_rate;
    let slope = |place: usize| {
        let (low, high) = (place.saturating_sub(1), (place + 1).min(curve.len() - 1));
        (losses[high] - losses[low]) / (rate(high).ln() - rate(low).ln())
    };
    let steepest = (0..curve.len()).min_by(|&a, &b| slope(a).total_cmp(&slope(b)));
    let least = (0..curve.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    Suggestions {
        valley: valley(&losses).map(rate),
        steepest: steepest.filter(|&place| slope(place) < 0.0).map(rate),
        minimum_tenth: least.map(|place| rate(place) / 10.0),
    }
}

/// The place half-way along the longest decreasing subsequence, measured back from its end; none when the loss never falls.
fn valley(losses: &[f64]) -> Option<usize> {
    let mut longest = vec![1usize; losses.len()];
    for end in 1..losses.len() {
        let before = (0..end).filter(|&start| losses[start] > losses[end]).map(|start| longest[start]).max();
        longest[end] = 1 + before.unwrap_or(0);
    }
    // The first among equals.
    let (end, length) = longest.iter().copied().enumerate().rev().max_by_key(|&(_, length)| length)?;
    if length < 2 {
        return None;
    }
    let (start, third) = (end.saturating_sub(length), length as f64 / 3.0);
    Some((start + third as usize + (third / 2.0) as usize).min(losses.len() - 1))
}

fn trainable(parameters: &Parameters) -> impl Iterator<Item = &[f32]> {
    parameters.iter().filter(|(_, parameter)| parameter.trainable).map(|(_, parameter)| &*parameter.values)
}

/// SHA-256 over every weight, frozen or not, and all that the optimizer remembers.
fn state_hash(parameters: &Parameters, state: &AdamWState) -> String {
    let mut hasher = Sha256::new();
    let mut add = |values: &[f32]| values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
    parameters.iter().for_each(|(_, parameter)| add(&parameter.values));
    for moments in state.moments.iter().flatten() {
        add(&moments.first);
        add(&moments.second);
    }
    for (rows, decay) in state.moments.iter().flatten().filter_map(|moments| moments.table.as_ref()) {
        rows.iter().for_each(|row| hasher.update(row.to_le_bytes()));
        hasher.update(decay.to_le_bytes());
    }
    hasher.update(state.steps.to_le_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::training::{LoadedModel, TrainingRows, TrainingSetup, fit_options, learning};

    fn curve(losses: &[f64]) -> Vec<RangeStep> {
        let step = |(place, &smoothed): (usize, &f64)| RangeStep {
            learning_rate: 1e-6 * 10f64.powf(place as f64 / 10.0),
            loss: smoothed,
            smoothed,
        };
        losses.iter().enumerate().map(step).collect()
    }

    /// Flat, then falling, then exploding.
    fn usual() -> Vec<f64> {
        let falling = |place: usize| match place {
            0..20 => 1.0,
            20..35 => 1.0 - 0.04 * (place - 20) as f64,
            place => 0.44 + 0.2 * (place - 35) as f64,
        };
        (0..50).map(falling).collect()
    }

    #[test]
    fn suggestions_lie_where_the_loss_falls() {
        let found = suggestions(&curve(&usual()));
        let place = |rate: f64| (10.0 * (rate / 1e-6).log10()).round() as usize;
        assert_eq!(place(found.minimum_tenth.unwrap()), 24);
        assert!((20..34).contains(&place(found.steepest.unwrap())), "{:?}", found.steepest);
        assert!((20..34).contains(&place(found.valley.unwrap())), "{:?}", found.valley);
    }

    #[test]
    fn a_loss_that_only_rises_has_no_valley() {
        let found = suggestions(&curve(&(0..40).map(|place| 1.0 + place as f64).collect::<Vec<_>>()));
        assert_eq!((found.valley, found.steepest), (None, None));
        assert_eq!(suggestions(&curve(&[1.0; 8])), Suggestions::default());
    }

    #[test]
    fn a_range_test_leaves_every_bit_as_it_was() {
        let inputs = crate::network::prefix::tests::inputs();
        let setup = TrainingSetup::planned(&inputs);
        let LoadedModel { mut parameters, model, .. } = LoadedModel::load(&inputs, &setup, 1).unwrap();
        let mut task = learning(&inputs, TrainingRows::planned(&inputs), &setup, &model, 1);
        let adamw_options = fit_options(&inputs.plan, 30).adamw;
        // An optimizer that has been at work.
        let mut gradients = Gradients::new(&parameters, &task.sparse_tables());
        let mut adamw = AdamW::new(&parameters, &gradients, adamw_options);
        for step in 0..3 {
            gradients.clear();
            task.accumulate(&parameters, step, &Pool::new(), &mut gradients).unwrap();
            adamw.step(&mut parameters, &gradients, 1.0, |id| task.rates(id, 1e-3));
        }
        let state = adamw.state();
        let before = state_hash(&parameters, &state);
        let options = RangeOptions { start: 1e-4, end: 1e-1, steps: 30 };
        let found = range_test(&mut task, &mut parameters, Some(&state), adamw_options, 1.0, &options).unwrap();
        assert!(found.curve.len() > 5, "steps were taken");
        assert!(found.state_sha256 == before && state_hash(&parameters, &state) == before, "something changed");
    }
}
