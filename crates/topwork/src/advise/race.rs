//! A race of a few settings on rows held out (successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm
//! Identification and Hyperparameter Optimization", AISTATS 2016). All settings see the same rows, in the same order, with
//! the same random draws; frozen layers are run once for all of them, before.
//!
//! A race that is much shorter than the training itself is won by the highest rate, whatever is best in the end (measured:
//! docs/experiments.md), so there is none where it would have fewer than half the steps of the planned training, because these
//! cannot be afforded, or where the rows that were looked at, less those held out, are less than half of those to learn from (unless
//! `max_steps` makes any race as long). Accuracy decides, whatever the metric of the run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::interrupted;
use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::fit::{FitContext, Progress, Stop, fit};
use crate::network::batch::{Output, infer};
use crate::network::features::LayerFeatures;
use crate::network::prefix::Prefix;
use crate::run::side_by_side;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, TrainingRows, TrainingSetup, VALUES_AT_ONCE, fit_options, learning, learning_options,
    start_from_probe, starts_from_probe, total_steps,
};

/// Parts of the rows that are held out in turn.
pub(crate) const PARTS: usize = 4;
/// What a race may cost at most, as a multiple of the usual.
pub const MOST_EFFORT: f64 = 1000.0;
/// Seeds of a setting in a round; each holds out another part. What the first round chose is judged by parts that it has not seen.
const SEEDS: usize = 2;
/// Floating-point operations of a race, all rounds: three quarters of a minute on two cores.
const OPERATIONS: f64 = 9e12;
/// The least part of a training that tells anything.
const LEAST_PART: f64 = 0.5;
/// The part of a race that the first round costs, unless its trainings would be too short.
const FIRST_ROUND: f64 = 0.4;
/// What a step costs besides the products of its tokens, for each value that is trained: the optimizer, and reading the
/// weights, as so many floating-point operations. Measured: a step of MiniLM on 8 rows of 13 tokens takes 66 ms on two
/// cores, twice its products.
pub(crate) const STEP_OPERATIONS: f64 = 600.0;
/// A setting is taken in place of the first one when it is better by so many standard errors of the difference.
const CONVINCING: f64 = 1.5;
/// The largest prefix that is kept.
const PREFIX_BYTES: usize = 1 << 30;

/// A setting that takes part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entrant {
    /// The lowest layers that stay as they are.
    pub freeze_layers: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How often the training rows are gone through; none where `max_steps` decides.
    pub num_train_epochs: Option<usize>,
    /// Where it comes from.
    pub from: String,
    /// What it reached, round by round.
    pub rounds: Vec<Round>,
}

/// What a setting reached in a round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Round {
    /// The part of its own full training that was spent on each seed.
    pub part: f64,
    /// Mean accuracy on rows held out.
    pub accuracy: f64,
    /// Mean cross-entropy there, in nats.
    pub loss: f64,
    /// Rows that it was asked about, over all seeds.
    pub rows: usize,
}

/// How the race went.
#[derive(Clone, Debug, Serialize)]
pub struct Race {
    /// The setting that is advised, by its place among the entrants.
    pub winner: usize,
    /// Those that took part; the first is the one that is taken unless another is better.
    pub entrants: Vec<Entrant>,
    /// For each row that the winner was asked about in the last round: whether it was right.
    #[serde(skip)]
    pub(crate) winner_right: Vec<bool>,
    /// Rows that each training of the last round learnt from.
    pub(crate) rows_learnt: usize,
}

/// The rows that the race is run on, and what is known of them.
pub(crate) struct Track<'a> {
    /// Rows that the training that is planned learns from.
    pub(crate) rows_to_learn: usize,
    pub(crate) inputs: &'a Inputs,
    /// The rows that were looked at.
    pub(crate) rows: &'a Split,
    pub(crate) features: &'a LayerFeatures,
    /// The part of each row, 0 to [`PARTS`].
    pub(crate) parts: &'a [usize],
    /// What the race may cost, as a multiple of the usual.
    pub(crate) effort: f64,
}

/// A setting, a seed and a part of a training.
struct Heat {
    entrant: usize,
    /// Names the draws and, of [`PARTS`], the part that is held out.
    seed: usize,
    part: f64,
}

/// What a heat gave, row by row.
struct Finish {
    /// Whether it was right, and its cross-entropy.
    rows: Vec<(bool, f64)>,
    learnt: usize,
}

/// Runs the race, and says why the winner is taken; none when it cannot be afforded. The first entrant is taken unless another is
/// convincingly better.
pub(crate) fn race(
    track: &Track<'_>,
    mut entrants: Vec<Entrant>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<(Race, String)>, Error> {
    if track.least_cost(&entrants) > track.effort * OPERATIONS || !track.stands_for_all() {
        return Ok(None);
    }
    let mut racing: Vec<usize> = (0..entrants.len()).collect();
    let mut left = track.effort * OPERATIONS;
    // Two settings need no first round.
    let rounds: &[(f64, Range<usize>)] = match entrants.len() {
        0..=2 => &[(1.0, 0..PARTS)],
        _ => &[(FIRST_ROUND, 0..SEEDS), (1.0, SEEDS..PARTS)],
    };
    let mut last: Vec<(usize, Vec<Finish>)> = Vec::new();
    let prefixes = track.prefixes(&entrants)?;
    for (round, (share, parts)) in rounds.iter().enumerate() {
        let costs: f64 = racing.iter().map(|&entrant| track.operations(&entrants[entrant])).sum();
        // Longer trainings before more of them: a short one favours high rates.
        let seeds = ((share * left / costs) as usize).clamp(SEEDS, parts.len());
        let part = (share * left / (seeds as f64 * costs)).clamp(LEAST_PART, 1.0);
        left -= part * seeds as f64 * costs;
        let heats: Vec<Heat> = racing
            .iter()
            .flat_map(|&entrant| (parts.start..parts.start + seeds).map(move |seed| Heat { entrant, seed, part }))
            .collect();
        observer.event(&RunEvent::Note {
            message: format!(
                "racing {} settings over {:.0} % of their trainings, {seeds} times",
                racing.len(),
                100.0 * part
            ),
        });
        let threads = track.inputs.plan.threads.value;
        let values: usize = track.inputs.policy.parameters.iter().map(|parameter| parameter.values).sum();
        let at_once = (VALUES_AT_ONCE / values.max(1)).clamp(1, threads.min(heats.len()).max(1));
        let run = |heat: &Heat| track.run(&entrants[heat.entrant], heat, &prefixes, interrupt);
        let mut ran = side_by_side(threads, at_once, &heats, run, |_, _| {})?.into_iter();
        last = racing.iter().map(|&entrant| (entrant, ran.by_ref().take(seeds).collect())).collect();
        for (entrant, finishes) in &last {
            let rows: Vec<&(bool, f64)> = finishes.iter().flat_map(|finish| &finish.rows).collect();
            let count = rows.len().max(1) as f64;
            entrants[*entrant].rounds.push(Round {
                part,
                accuracy: rows.iter().filter(|row| row.0).count() as f64 / count,
                loss: rows.iter().map(|row| row.1).sum::<f64>() / count,
                rows: rows.len(),
            });
        }
        if round + 1 < rounds.len() {
            racing = challengers(&entrants);
        }
    }
    let (winner, why) = judge(&entrants, &last);
    let finishes = last.iter().find(|(entrant, _)| *entrant == winner).map(|(_, finishes)| finishes.as_slice());
    let finishes = finishes.unwrap_or_default();
    let race = Race {
        winner,
        winner_right: finishes.iter().flat_map(|finish| finish.rows.iter().map(|row| row.0)).collect(),
        rows_learnt: finishes.first().map_or(0, |finish| finish.learnt),
        entrants,
    };
    Ok(Some((race, why)))
}

/// The first setting, and the best of the others.
fn challengers(entrants: &[Entrant]) -> Vec<usize> {
    let reached = |entrant: usize| entrants[entrant].rounds.last().map_or((0.0, 0.0), |r| (r.accuracy, -r.loss));
    let best = (1..entrants.len()).max_by(|&a, &b| {
        let (a, b) = (reached(a), reached(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    [0].into_iter().chain(best).collect()
}

/// The best of those that ran last, if it is convincingly better than the first setting on the same rows.
fn judge(entrants: &[Entrant], last: &[(usize, Vec<Finish>)]) -> (usize, String) {
    let right = |finishes: &[Finish]| -> Vec<f64> {
        finishes.iter().flat_map(|finish| finish.rows.iter().map(|row| f64::from(row.0))).collect()
    };
    let Some((_, first)) = last.iter().find(|(entrant, _)| *entrant == 0) else {
        return (0, "it did not run".to_string());
    };
    let first = right(first);
    let mut best = (0, 0.0, String::new());
    for (entrant, finishes) in last.iter().filter(|(entrant, _)| *entrant != 0) {
        let gains: Vec<f64> = right(finishes).iter().zip(&first).map(|(own, first)| own - first).collect();
        let (gain, error) = mean_and_error(&gains);
        if gain / error >= CONVINCING && gain > best.1 {
            let why = format!(
                "{:+.1} ± {:.1} points over {} on {} rows held out",
                100.0 * gain,
                100.0 * error,
                entrants[0].from,
                gains.len()
            );
            best = (*entrant, gain, why);
        }
    }
    if best.0 == 0 {
        let tried = entrants.len() - 1;
        return (0, format!("none of {tried} other settings was convincingly better on {} rows held out", first.len()));
    }
    (best.0, best.2)
}

/// The mean of differences between two answers to the same rows (1, 0 or −1), and its standard error if neither is better:
/// that of the rows of which only one is right (McNemar, 1947), and one more, so that no few rows are sure of themselves.
fn mean_and_error(gains: &[f64]) -> (f64, f64) {
    let count = gains.len().max(1) as f64;
    let differ = gains.iter().filter(|gain| **gain != 0.0).count() as f64;
    (gains.iter().sum::<f64>() / count, (differ + 1.0).sqrt() / count)
}

impl Track<'_> {
    /// What a race of these settings costs at least, all rounds together.
    fn least_cost(&self, entrants: &[Entrant]) -> f64 {
        let costs: Vec<f64> = entrants.iter().map(|entrant| self.operations(entrant)).collect();
        // The last round is between the first and, at worst, the dearest of the others.
        let last = match costs.split_first() {
            Some((first, others)) if others.len() > 1 => first + others.iter().copied().fold(0.0, f64::max),
            _ => 0.0,
        };
        LEAST_PART * SEEDS as f64 * (costs.iter().sum::<f64>() + last)
    }

    /// Whether the rows that are learnt from are at least half of those of the planned training, or it has as many steps for any
    /// number of rows.
    pub(crate) fn stands_for_all(&self) -> bool {
        let is_as_long = self.inputs.plan.max_steps.value.is_some();
        is_as_long || self.rows_learnt() as f64 >= LEAST_PART * self.rows_to_learn as f64
    }

    /// Rows that are not held out.
    fn rows_learnt(&self) -> usize {
        self.rows.len() * (PARTS - 1) / PARTS
    }

    /// Optimizer steps of a training of a setting on the rows that are not held out.
    fn steps(&self, entrant: &Entrant) -> usize {
        let plan = &self.inputs.plan;
        plan.steps(self.rows_learnt().div_ceil(plan.rows_per_step()), entrant.num_train_epochs)
    }

    /// How many times the effort has to be for a race of these settings.
    pub(crate) fn effort_needed(&self, entrants: &[Entrant]) -> f64 {
        self.least_cost(entrants) / OPERATIONS
    }

    /// Floating-point operations of a full training of a setting on the rows that are not held out.
    fn operations(&self, entrant: &Entrant) -> f64 {
        let facts = &self.inputs.plan.facts;
        let (values, layers) = (facts.model.layer_values() as f64, facts.model.num_hidden_layers.max(1) as f64);
        let tuned = (layers - entrant.freeze_layers as f64) / layers;
        let tokens = self.rows.texts.total_tokens() as f64 * (PARTS - 1) as f64 / PARTS as f64;
        let tokens_a_row = self.rows.texts.total_tokens() as f64 / self.rows.len().max(1) as f64;
        let tokens_a_step = tokens_a_row * self.inputs.plan.rows_per_step() as f64;
        // With frozen layers, their forward pass once.
        let prefix = if entrant.freeze_layers > 0 { 2.0 * values * (1.0 - tuned) * tokens } else { 0.0 };
        prefix + values * tuned * (6.0 * tokens_a_step + STEP_OPERATIONS) * self.steps(entrant) as f64
    }

    /// What the frozen layers say of all rows, for every depth of the entrants that fits in memory.
    fn prefixes(&self, entrants: &[Entrant]) -> Result<BTreeMap<usize, Prefix>, Error> {
        let mut prefixes = BTreeMap::new();
        if Prefix::bytes(self.rows.texts.total_tokens(), self.features.hidden_size) > PREFIX_BYTES {
            return Ok(prefixes);
        }
        let subject =
            LoadedModel::load(self.inputs, &TrainingSetup::planned(self.inputs), self.inputs.plan.seed.value)?;
        for depth in entrants.iter().map(|entrant| entrant.freeze_layers).filter(|depth| *depth > 0) {
            let prefix = || Prefix::of(&subject.model, &subject.parameters, &self.rows.texts, depth);
            prefixes.entry(depth).or_insert_with(prefix);
        }
        Ok(prefixes)
    }

    fn run(
        &self,
        entrant: &Entrant,
        heat: &Heat,
        prefixes: &BTreeMap<usize, Prefix>,
        interrupt: &AtomicBool,
    ) -> Result<Finish, Error> {
        if interrupt.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        let (held_out, learnt): (Vec<usize>, Vec<usize>) =
            (0..self.parts.len()).partition(|&row| self.parts[row] == heat.seed);
        let (train, validation) = (self.rows.select(&learnt), self.rows.select(&held_out));
        let mut plan = self.inputs.plan.clone();
        plan.freeze_layers.value = entrant.freeze_layers;
        plan.learning_rate.value = entrant.learning_rate;
        plan.num_train_epochs.value = entrant.num_train_epochs.unwrap_or(plan.num_train_epochs.value);
        let setup = TrainingSetup::of(self.inputs, plan)?;
        let classes = self.inputs.labels().len();
        let plan = &setup.plan;
        // What is new in the model is drawn as `tune` will draw it, and as it was when the features were made; the order of rows and
        // dropout differ from heat to heat.
        let loaded = LoadedModel::load(self.inputs, &setup, plan.seed.value)?;
        let from_probe = starts_from_probe(plan, &loaded);
        let LoadedModel { mut parameters, model, .. } = loaded;
        let mut options = learning_options(plan, &train, &self.inputs.scoring);
        options.seed = plan.seed.value.wrapping_add(heat.seed as u64);
        if from_probe {
            let width = self.features.hidden_size;
            let pooled: Vec<f32> =
                learnt.iter().flat_map(|&row| &self.features.pooled[row * width..(row + 1) * width]).copied().collect();
            start_from_probe(self.inputs, &model, &mut parameters, &pooled, &train, &options);
        }
        let prefix = prefixes.get(&entrant.freeze_layers);
        let of_train = prefix.map(|prefix| prefix.select(&learnt));
        let batch_size = options.eval_batch_size;
        let learnt_rows = TrainingRows { train: &train, validation: None, added: None };
        let mut problem = learning(self.inputs, learnt_rows, &setup, &model, options.seed);
        (problem.prefix, problem.options) = (of_train.as_ref(), options);
        let steps = ((heat.part * total_steps(plan, &problem) as f64).round() as usize).max(1);
        let options = fit_options(plan, steps);
        let context = FitContext { observer: &mut NoObserver, interrupt, checkpoints: None };
        let stop = fit(&mut problem, &mut parameters, &options, &mut Progress::default(), context)?;
        let diverged = matches!(stop, Some(Stop::Diverged(_)));
        let logits = match prefix {
            Some(prefix) => prefix.select(&held_out).infer(&model, &parameters, batch_size),
            None => infer(&model, &parameters, &validation.texts, batch_size, Output::Logits),
        };
        let predicted = topwork_metrics::argmax(&logits, classes);
        let row = |(place, &gold): (usize, &u32)| {
            let own = &logits[place * classes..(place + 1) * classes];
            // What tune would refuse to go on with is no good, whatever it knew before.
            (predicted[place] == gold && !diverged, topwork_metrics::cross_entropy(own, classes, &[gold]))
        };
        Ok(Finish { rows: validation.classes().iter().enumerate().map(row).collect(), learnt: learnt.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrant(rate: f64) -> Entrant {
        Entrant {
            freeze_layers: 0,
            learning_rate: rate,
            num_train_epochs: Some(3),
            from: String::new(),
            rounds: Vec::new(),
        }
    }

    fn finish(right: impl Fn(usize) -> bool) -> Vec<Finish> {
        vec![Finish { rows: (0..100).map(|row| (right(row), 0.5)).collect(), learnt: 300 }]
    }

    #[test]
    fn the_first_setting_stays_unless_another_is_convincing() {
        let entrants = [entrant(1e-4), entrant(3e-4), entrant(1e-3)];
        let usual = finish(|row| row % 2 == 0);
        // One row more is chance, twenty are not.
        let lucky = finish(|row| row % 2 == 0 || row == 1);
        let better = finish(|row| row % 2 == 0 || row < 40);
        assert_eq!(judge(&entrants, &[(0, usual), (1, lucky)]).0, 0);
        let usual = finish(|row| row % 2 == 0);
        assert_eq!(judge(&entrants, &[(0, usual), (2, better)]).0, 2);
    }

    #[test]
    fn a_difference_is_as_sure_as_the_rows_that_make_it() {
        assert_eq!(mean_and_error(&[1.0, 1.0, 0.0, -1.0]), (0.25, 0.5));
        // Two rows that agree are no proof.
        let (gain, error) = mean_and_error(&[1.0, 1.0]);
        assert!(gain / error < CONVINCING);
    }
}
