//! At which learning rate: a range test, and a race between what it suggests, what is usual, and the proposed depth and length.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::depth::{DepthProposal, FEW_ROWS};
use super::length::LengthProposal;
use super::race::{Entrant, MOST_EFFORT, PARTS, Race, STEP_OPERATIONS, Track, race};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::range_test::{RangeOptions, RangeTest, range_test};
use crate::network::features::LayerFeatures;
use crate::plan::defaults::SMALL_MODEL;
use crate::plan::recipe::Recipe;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, TrainingRows, TrainingSetup, fit_options, learning, start_from_probe, starts_from_probe,
};
use crate::tasks::Part;
use topwork_metrics::transferability::folds;

/// Floating-point operations of a range test: a few seconds on two cores.
const OPERATIONS: f64 = 8e11;
/// Steps of a range test at least; fewer make no curve.
const FEWEST_STEPS: usize = 40;
/// Rates nearer to each other than this factor are one.
const APART: f64 = 1.6;
/// No suggestion is taken that lies farther from the usual rate than this factor.
const FARTHEST: f64 = 12.0;
/// What else is tried: these multiples of the usual rate. Fewer layers stand higher rates.
const HIGHER: f64 = 3.0;
const HIGHEST: f64 = 10.0;
/// No rate above it is tried.
const HIGHEST_RATE: f64 = 3e-3;

/// The range test and the race.
#[derive(Debug, Serialize)]
pub struct LearningRate {
    /// Of the depth that is tried first.
    pub range_test: RangeTest,
    /// The lowest layers that were frozen there.
    pub tested_freeze_layers: usize,
    /// Between the few that are left; none when it would have cost too much.
    pub race: Option<Race>,
    /// What is advised.
    pub setting: Entrant,
    /// Why.
    pub why: String,
}

/// The rows that were looked at, and the model that was chosen.
pub(crate) struct Chosen<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) inputs: &'a Inputs,
    pub(crate) rows: &'a Split,
    /// The keys of the rows.
    pub(crate) keys: &'a [u64],
    pub(crate) features: &'a LayerFeatures,
    pub(crate) depth: &'a DepthProposal,
    pub(crate) length: &'a LengthProposal,
    /// Rows that the training that is planned learns from.
    pub(crate) rows_to_learn: usize,
    pub(crate) effort: f64,
}

pub(crate) fn choose(
    chosen: &Chosen<'_>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<LearningRate, Error> {
    let plan = &chosen.inputs.plan;
    // The race, and the settings that it was measured with, are of one class a row.
    let no_race = chosen.inputs.task.why_not(Part::Transferability);
    let mut settings = Settings {
        usual: (plan.freeze_layers.value, plan.learning_rate.value, plan.num_train_epochs.value),
        depth: chosen.depth.freeze_layers,
        length: chosen.length.num_train_epochs,
        valley: None,
        rate_is_free: chosen.recipe.learning_rate.is_none(),
        depth_is_free: chosen.recipe.freeze_layers.is_none() && no_race.is_none(),
        has_few_rows: no_race.is_none() && plan.facts.rows < FEW_ROWS && plan.facts.model.layer_values() >= SMALL_MODEL,
    };
    observer.event(&RunEvent::phase("range test"));
    let tested_freeze_layers = settings.entrants()[0].freeze_layers;
    let range_test = test(chosen.inputs, tested_freeze_layers, chosen.rows, &chosen.features.pooled, None)?;
    settings.valley = range_test.valley.map(round);
    let entrants = settings.entrants();
    let first = entrants[0].clone();
    let unchecked = |why: String| format!("not checked: {why}");
    if let Some(no_race) = no_race {
        let why = unchecked(format!("settings are not compared by short trainings, because {no_race}"));
        return Ok(LearningRate { range_test, tested_freeze_layers, race: None, setting: first, why });
    }
    observer.event(&RunEvent::phase("race"));
    let Chosen { inputs, rows, features, effort, rows_to_learn, .. } = *chosen;
    let Some(parts) = parts(features, rows.classes(), chosen.keys) else {
        let why = unchecked(format!("a race needs {PARTS} different rows"));
        return Ok(LearningRate { range_test, tested_freeze_layers, race: None, setting: first, why });
    };
    let track = Track { rows_to_learn, inputs, rows, features, parts: &parts, effort };
    let needed = track.effort_needed(&entrants).ceil();
    let ran = race(&track, entrants, observer, interrupt)?;
    let (race, setting, why) = match ran {
        Some((race, why)) => {
            let setting = race.entrants[race.winner].clone();
            (Some(race), setting, why)
        }
        None if !track.stands_for_all() => {
            (None, first, unchecked("the rows looked at are too few for a race that stands for all".to_string()))
        }
        None if needed > MOST_EFFORT => {
            (None, first, unchecked("no race that can be afforded is long enough to tell".to_string()))
        }
        None => (None, first, unchecked(format!("a race long enough to tell takes --effort {needed}"))),
    };
    Ok(LearningRate { range_test, tested_freeze_layers, race, setting, why })
}

/// The part of each row; every class is spread over all, and rows with the same features share one. None where that leaves a part
/// without rows.
fn parts(features: &LayerFeatures, labels: &[u32], keys: &[u64]) -> Option<Vec<usize>> {
    let parts = folds(features.layer_mean().as_ref(), labels, keys, PARTS);
    (0..PARTS).all(|part| parts.contains(&part)).then_some(parts)
}

/// A range test of the plan's setting with so many frozen layers, on these rows, whose `pooled` features `[rows, hidden]` are known.
pub(crate) fn test(
    inputs: &Inputs,
    freeze_layers: usize,
    rows: &Split,
    pooled: &[f32],
    options: Option<RangeOptions>,
) -> Result<RangeTest, Error> {
    let mut plan = inputs.plan.clone();
    plan.freeze_layers.value = freeze_layers;
    let setup = TrainingSetup::of(inputs, plan)?;
    let loaded = LoadedModel::load(inputs, &setup, inputs.plan.seed.value)?;
    let from_probe = starts_from_probe(&inputs.plan, &loaded);
    let LoadedModel { mut parameters, model, .. } = loaded;
    let learnt = TrainingRows { train: rows, validation: inputs.validation.as_ref(), added: None };
    let mut problem = learning(inputs, learnt, &setup, &model, inputs.plan.seed.value);
    if from_probe {
        start_from_probe(inputs, &model, &mut parameters, pooled, rows, &problem.options);
    }
    let options = options.unwrap_or_else(|| {
        let per_row = rows.texts.total_tokens() as f64 / rows.len().max(1) as f64;
        let tokens = per_row * problem.options.rows_per_step().min(rows.len()) as f64;
        let cost = inputs.plan.facts.model.layer_values() as f64 * (6.0 * tokens + STEP_OPERATIONS);
        let usual = RangeOptions::default();
        let steps = ((OPERATIONS / cost.max(1.0)) as usize).clamp(FEWEST_STEPS, usual.steps);
        RangeOptions { steps, ..usual }
    });
    let fit = fit_options(&inputs.plan, options.steps);
    range_test(&mut problem, &mut parameters, None, fit.adamw, fit.max_grad_norm, &options)
}

/// What the settings that race are made of.
struct Settings {
    /// The layers that tune freezes, its learning rate and its epochs.
    usual: (usize, f64, usize),
    /// The proposed number of frozen layers.
    depth: usize,
    /// The proposed number of epochs; none where `max_steps` decides.
    length: Option<usize>,
    /// What the range test suggests.
    valley: Option<f64>,
    rate_is_free: bool,
    depth_is_free: bool,
    /// Whether the rule for few rows holds: the model is not small, either.
    has_few_rows: bool,
}

impl Settings {
    /// What is most likely to be best first: tune's own setting at the proposed length or, with few rows, the proposed depth at a
    /// higher rate, ten times where the length is as usual (measured: docs/experiments.md). Then what else is worth a try: higher rates, the range test's suggestion,
    /// the proposed depth, tune's own setting as it is.
    fn entrants(&self) -> Vec<Entrant> {
        let (frozen, usual, planned) = self.usual;
        let (depth, long) = (self.depth, self.length);
        let planned = long.map(|_| planned);
        let entrant = |freeze_layers: usize, learning_rate: f64, num_train_epochs: Option<usize>, from: &str| Entrant {
            freeze_layers,
            learning_rate,
            num_train_epochs,
            from: from.to_string(),
            rounds: Vec::new(),
        };
        let tunes_own = entrant(frozen, usual, planned, "tune's own setting");
        let own =
            if long == planned { tunes_own.clone() } else { entrant(frozen, usual, long, "tune's own, for longer") };
        let tries_depth = self.depth_is_free && depth != frozen;
        let has_depth = self.depth_is_free || depth == frozen;
        let higher = round((HIGHER * usual).min(HIGHEST_RATE).max(usual));
        let highest = round((HIGHEST * usual).min(HIGHEST_RATE).max(usual));
        let mut entrants = match (self.rate_is_free, tries_depth) {
            (false, false) => vec![own],
            (false, true) => vec![own, entrant(depth, usual, long, "the proposed depth")],
            (true, _) if self.has_few_rows && has_depth && depth > 0 => {
                let moderate = entrant(depth, higher, long, "the upper half, three times the rate, for few rows");
                let fast = entrant(depth, highest, planned, "the upper half at a high rate");
                // What a short training does not reach in steps, it needs in rate.
                if long == planned { vec![fast, own, moderate] } else { vec![moderate, own, fast] }
            }
            (true, _) => {
                let mut entrants = vec![own, entrant(frozen, higher, long, "three times the usual rate")];
                if let Some(valley) = self.valley {
                    let near = |a: f64, b: f64, factor: f64| (a / b).max(b / a) <= factor;
                    let is_new = entrants.iter().all(|other| !near(other.learning_rate, valley, APART));
                    if is_new && near(valley, usual, FARTHEST) && valley <= HIGHEST_RATE {
                        entrants.push(entrant(frozen, valley, long, "the valley of the range test"));
                    }
                }
                if tries_depth {
                    entrants.push(entrant(depth, higher, long, "the proposed depth at three times the usual rate"));
                    if highest > higher {
                        entrants.push(entrant(depth, highest, long, "the proposed depth at a high rate"));
                    }
                }
                entrants
            }
        };
        if long != planned {
            entrants.push(tunes_own);
        }
        entrants
    }
}

/// To two digits: nobody needs more of a learning rate.
fn round(rate: f64) -> f64 {
    let scale = 10f64.powi(1 - rate.log10().floor() as i32);
    (rate * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            usual: (0, 1e-4, 6),
            depth: 3,
            length: Some(16),
            valley: Some(1.1e-4),
            rate_is_free: true,
            depth_is_free: true,
            has_few_rows: false,
        }
    }

    fn first(settings: &Settings) -> (usize, f64, Option<usize>) {
        let entrants = settings.entrants();
        (entrants[0].freeze_layers, entrants[0].learning_rate, entrants[0].num_train_epochs)
    }

    #[test]
    fn the_first_setting_is_tunes_own_at_the_proposed_length() {
        assert_eq!(first(&settings()), (0, 1e-4, Some(16)));
        // What tune does by itself takes part as well.
        let last = settings().entrants().pop().map(|own| (own.freeze_layers, own.learning_rate, own.num_train_epochs));
        assert_eq!(last, Some((0, 1e-4, Some(6))));
        let given = Settings { length: Some(6), ..settings() };
        assert_eq!(first(&given), (0, 1e-4, Some(6)));
        assert_eq!(
            given.entrants().iter().filter(|own| own.freeze_layers == 0 && own.learning_rate == 1e-4).count(),
            1
        );
        assert!(Settings { length: None, ..settings() }.entrants().iter().all(|own| own.num_train_epochs.is_none()));
    }

    #[test]
    fn few_rows_tune_the_proposed_depth_at_a_higher_rate_unless_another_was_said() {
        let few = || Settings { has_few_rows: true, length: Some(120), ..settings() };
        assert_eq!(first(&few()), (3, 3e-4, Some(120)));
        let said = |frozen| Settings { usual: (frozen, 1e-4, 20), depth_is_free: false, ..few() };
        assert_eq!(first(&said(3)), (3, 3e-4, Some(120)), "what is proposed was said");
        assert_eq!(first(&said(1)), (1, 1e-4, Some(120)));
        assert_eq!(first(&Settings { rate_is_free: false, ..few() }), (0, 1e-4, Some(120)));
        // A short training that was said needs the high rate.
        assert_eq!(first(&Settings { length: Some(6), ..few() }), (3, 1e-3, Some(6)));
        assert_eq!(first(&Settings { length: None, ..few() }), (3, 1e-3, None));
    }

    #[test]
    fn no_other_depth_or_rate_than_what_was_said() {
        let said = Settings { rate_is_free: false, depth_is_free: false, ..settings() };
        assert!(said.entrants().iter().all(|own| own.freeze_layers == 0 && own.learning_rate == 1e-4));
        let rate = Settings { depth_is_free: false, ..settings() };
        assert!(rate.entrants().iter().all(|own| own.freeze_layers == 0));
        let depth = Settings { rate_is_free: false, ..settings() };
        assert!(depth.entrants().iter().all(|own| own.learning_rate == 1e-4));
    }

    #[test]
    fn rates_have_two_digits() {
        assert_eq!(round(1.234e-4), 1.2e-4);
        assert_eq!(round(3e-4), 3e-4);
    }
}
