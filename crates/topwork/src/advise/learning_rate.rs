//! At which learning rate: a range test, and a race between what it suggests, what is usual, and the proposed depth.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::depth::DepthProposal;
use super::race::{Entrant, PARTS, Race, SEEDS, Track, race};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::features::LayerFeatures;
use crate::inputs::{Inputs, Split};
use crate::lr_find::{RangeOptions, RangeTest, range_test};
use crate::recipe::Recipe;
use crate::training::{Regimen, Subject, classification, fit_options, start_from_probe, starts_from_probe};
use topwork_metrics::transferability::folds;

/// Floating-point operations of a range test: a few seconds on two cores.
const OPERATIONS: f64 = 1e12;
/// Steps of a range test at least; fewer make no curve.
const FEWEST_STEPS: usize = 40;
/// Rates nearer to each other than this factor are one.
const APART: f64 = 1.6;
/// No suggestion is taken that lies farther from the usual rate than this factor.
const FARTHEST: f64 = 12.0;
/// What else is tried: this multiple of the usual rate.
const HIGHER: f64 = 3.0;

/// The range test and the race.
#[derive(Debug, Serialize)]
pub struct LearningRate {
    /// Of the usual setting.
    pub range_test: RangeTest,
    /// Between the few that are left.
    pub race: Race,
}

/// The rows that were looked at, and the model that was chosen.
pub(crate) struct Chosen<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) inputs: &'a Inputs,
    pub(crate) rows: &'a Split,
    pub(crate) features: &'a LayerFeatures,
    pub(crate) depth: &'a DepthProposal,
    pub(crate) effort: f64,
}

pub(crate) fn choose(
    chosen: &Chosen<'_>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<LearningRate, Error> {
    observer.event(&RunEvent::phase("range test"));
    let range_test = test(chosen.inputs, chosen.rows, &chosen.features.pooled, None)?;
    observer.event(&RunEvent::phase("race"));
    let entrants = entrants(chosen, &range_test);
    let parts = parts(chosen.features, &chosen.rows.labels);
    let Chosen { inputs, rows, features, effort, .. } = *chosen;
    let track = Track { inputs, rows, features, parts: &parts, effort };
    Ok(LearningRate { race: race(&track, entrants, observer, interrupt)?, range_test })
}

/// The part of each row. Rows with the same features share one, unless all of them would.
fn parts(features: &LayerFeatures, labels: &[u32]) -> Vec<usize> {
    let parts = folds(features.layer_mean().as_ref(), labels, PARTS);
    let is_whole = |part: usize| {
        let held_out = parts.iter().filter(|own| **own == part).count();
        held_out == 0 || held_out == parts.len()
    };
    if (0..SEEDS).any(is_whole) { (0..labels.len()).map(|row| row % PARTS).collect() } else { parts }
}

/// A range test of the plan's setting on these rows, whose `pooled` features `[rows, hidden]` are known.
pub(crate) fn test(
    inputs: &Inputs,
    rows: &Split,
    pooled: &[f32],
    options: Option<RangeOptions>,
) -> Result<RangeTest, Error> {
    let regimen = Regimen::planned(inputs);
    let Subject { mut parameters, model, report } = Subject::load(inputs, &regimen, inputs.plan.seed.value)?;
    let mut task = classification(inputs, &regimen, &model, inputs.plan.seed.value);
    task.train = rows.rows();
    if starts_from_probe(&inputs.plan, &report) {
        start_from_probe(&model, &mut parameters, pooled, &rows.labels, &task.options);
    }
    let options = options.unwrap_or_else(|| {
        let per_row = rows.texts.total_tokens() as f64 / rows.labels.len().max(1) as f64;
        let tokens = per_row * task.options.rows_per_step().min(rows.labels.len()) as f64;
        let cost = 6.0 * inputs.plan.facts.model.layer_values() as f64 * tokens;
        let usual = RangeOptions::default();
        let steps = ((OPERATIONS / cost.max(1.0)) as usize).clamp(FEWEST_STEPS, usual.steps);
        RangeOptions { steps, ..usual }
    });
    let fit = fit_options(&inputs.plan, options.steps);
    range_test(&mut task, &mut parameters, None, fit.adamw, fit.max_grad_norm, &options)
}

/// The usual setting first, then what the range test suggests, a higher rate, and both rates at the proposed depth.
fn entrants(chosen: &Chosen<'_>, range_test: &RangeTest) -> Vec<Entrant> {
    let plan = &chosen.inputs.plan;
    let (usual, frozen) = (plan.learning_rate.value, plan.freeze_layers.value);
    let entrant = |freeze_layers: usize, learning_rate: f64, from: &str| Entrant {
        freeze_layers,
        learning_rate,
        from: from.to_string(),
        rounds: Vec::new(),
    };
    let mut entrants = vec![entrant(frozen, usual, "what is usual")];
    if chosen.recipe.learning_rate.is_none() {
        let suggestions = [
            (range_test.valley, "the valley of the range test"),
            (range_test.minimum_tenth, "a tenth of the range test's minimum"),
            (Some(HIGHER * usual), "three times what is usual"),
        ];
        for (rate, from) in suggestions {
            let Some(rate) = rate.map(round) else { continue };
            let near = |a: f64, b: f64, factor: f64| (a / b).max(b / a) <= factor;
            let is_new = entrants.iter().all(|other| !near(other.learning_rate, rate, APART));
            if is_new && near(rate, usual, FARTHEST) {
                entrants.push(entrant(frozen, rate, from));
            }
        }
    }
    if chosen.recipe.freeze_layers.is_none() && chosen.depth.freeze_layers != frozen {
        let depth = chosen.depth.freeze_layers;
        entrants.push(entrant(depth, usual, "the proposed depth at the usual rate"));
        if chosen.recipe.learning_rate.is_none() {
            entrants.push(entrant(depth, round(HIGHER * usual), "the proposed depth at three times the usual rate"));
        }
    }
    entrants
}

/// To two digits: nobody needs more of a learning rate.
fn round(rate: f64) -> f64 {
    let scale = 10f64.powi(1 - rate.log10().floor() as i32);
    (rate * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits() {
        assert_eq!(round(1.234e-4), 1.2e-4);
        assert_eq!(round(3e-4), 3e-4);
    }
}
