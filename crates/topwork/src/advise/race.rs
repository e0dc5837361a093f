//! A short race of a few settings on rows held out (successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm
//! Identification and Hyperparameter Optimization", AISTATS 2016). All settings see the same rows, in the same order, with
//! the same random draws; frozen layers are run once, before.

use std::sync::atomic::AtomicBool;

use serde::Serialize;
use topwork_metrics::Metric;
use topwork_models::Head;

use crate::batch::{Output, Rows, infer};
use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::features::LayerFeatures;
use crate::fit::{Progress, Surroundings, fit};
use crate::inputs::{Inputs, Split};
use crate::policy::policy;
use crate::prefix::{Prefix, Prefixes};
use crate::run::side_by_side;
use crate::tasks::classification::Classification;
use crate::training::{Regimen, Subject, classification_options, fit_options, start_from_probe, starts_from_probe};

/// Parts of the rows that are held out in turn.
pub(crate) const PARTS: usize = 4;
/// Seeds of a setting in a round; each holds out another part.
pub(crate) const SEEDS: usize = 2;
/// Floating-point operations of a race: some ten seconds on two cores.
const OPERATIONS: f64 = 3e12;
/// A setting is taken in place of the usual one when it is better by so many standard errors of the difference.
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
    /// Where it comes from.
    pub from: String,
    /// What it reached, round by round.
    pub rounds: Vec<Round>,
}

/// What a setting reached in a round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Round {
    /// The part of a full training that was spent on each seed.
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
    /// Why it.
    pub why: String,
    /// Those that took part; the first is the usual setting.
    pub entrants: Vec<Entrant>,
    /// The part of a full training that the last round spent.
    pub part: f64,
    /// For each row that the winner was asked about in the last round: whether it was right.
    #[serde(skip)]
    pub(crate) winner_right: Vec<bool>,
    /// Rows that each training of the last round learnt from.
    pub(crate) rows_learnt: usize,
}

/// The rows that the race is run on, and what is known of them.
pub(crate) struct Track<'a> {
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
    seed: u64,
    part: f64,
}

/// What a heat gave, row by row.
struct Finish {
    /// The row, whether it was right, and its cross-entropy.
    rows: Vec<(usize, bool, f64)>,
    learnt: usize,
}

/// Runs the race. The first entrant is the usual setting: another is taken only when it is convincingly better.
pub(crate) fn race(
    track: &Track<'_>,
    mut entrants: Vec<Entrant>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Race, Error> {
    let mut racing: Vec<usize> = (0..entrants.len()).collect();
    let rounds = if entrants.len() > 2 { 2 } else { 1 };
    let mut last: Vec<(usize, Vec<Finish>)> = Vec::new();
    let mut spent_part = 0.0;
    for round in 0..rounds {
        let costs: f64 = racing.iter().map(|&entrant| track.operations(&entrants[entrant])).sum();
        let part = (track.effort * OPERATIONS / rounds as f64 / (SEEDS as f64 * costs)).clamp(0.02, 1.0);
        spent_part = part;
        let heats: Vec<Heat> = racing
            .iter()
            .flat_map(|&entrant| (0..SEEDS as u64).map(move |seed| Heat { entrant, seed, part }))
            .collect();
        observer.event(&RunEvent::Note {
            message: format!("racing {} settings over {:.0} % of a training, twice", racing.len(), 100.0 * part),
        });
        let threads = track.inputs.plan.threads.value;
        let ran = side_by_side(
            threads,
            threads,
            &heats,
            |heat| track.run(&entrants[heat.entrant], heat, interrupt),
            |_, _| {},
        )?;
        let mut ran = ran.into_iter();
        last = racing.iter().map(|&entrant| (entrant, ran.by_ref().take(SEEDS).collect())).collect();
        for (entrant, finishes) in &last {
            let rows: Vec<&(usize, bool, f64)> = finishes.iter().flat_map(|finish| &finish.rows).collect();
            let count = rows.len().max(1) as f64;
            entrants[*entrant].rounds.push(Round {
                part,
                accuracy: rows.iter().filter(|row| row.1).count() as f64 / count,
                loss: rows.iter().map(|row| row.2).sum::<f64>() / count,
                rows: rows.len(),
            });
        }
        if round + 1 < rounds {
            // The usual setting is always there to compare with.
            let mut others: Vec<usize> = racing.iter().copied().filter(|&entrant| entrant != 0).collect();
            let reached =
                |entrant: &usize| entrants[*entrant].rounds.last().map_or((0.0, 0.0), |r| (r.accuracy, -r.loss));
            others.sort_by(|a, b| {
                let (a, b) = (reached(a), reached(b));
                b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            racing = [0].into_iter().chain(others.into_iter().take(entrants.len().div_ceil(2) - 1)).collect();
        }
    }
    let (winner, why) = judge(&entrants, &last);
    let finishes = last.iter().find(|(entrant, _)| *entrant == winner).map(|(_, finishes)| finishes.as_slice());
    let finishes = finishes.unwrap_or_default();
    Ok(Race {
        winner,
        why,
        winner_right: finishes.iter().flat_map(|finish| finish.rows.iter().map(|row| row.1)).collect(),
        rows_learnt: finishes.first().map_or(0, |finish| finish.learnt),
        entrants,
        part: spent_part,
    })
}

/// The best of those that ran last, if it is convincingly better than the usual setting on the same rows.
fn judge(entrants: &[Entrant], last: &[(usize, Vec<Finish>)]) -> (usize, String) {
    let rows = |finishes: &[Finish]| -> Vec<(bool, f64)> {
        finishes.iter().flat_map(|finish| finish.rows.iter().map(|row| (row.1, row.2))).collect()
    };
    let Some((_, usual)) = last.iter().find(|(entrant, _)| *entrant == 0) else {
        return (0, "it did not run".to_string());
    };
    let usual = rows(usual);
    let mut best = (0, 0.0, String::new());
    for (entrant, finishes) in last.iter().filter(|(entrant, _)| *entrant != 0) {
        let own = rows(finishes);
        let gains: Vec<f64> =
            own.iter().zip(&usual).map(|(own, usual)| f64::from(own.0) - f64::from(usual.0)).collect();
        let (gain, error) = mean_and_error(&gains);
        let sigmas = gain / error.max(1e-9);
        if sigmas >= CONVINCING && gain > best.1 {
            let why = format!(
                "{:+.1} ± {:.1} points over the usual setting on {} rows held out",
                100.0 * gain,
                100.0 * error,
                gains.len()
            );
            best = (*entrant, gain, why);
        }
    }
    if best.0 == 0 {
        let tried = entrants.len() - 1;
        return (0, format!("none of {tried} other settings was convincingly better on {} rows held out", usual.len()));
    }
    (best.0, best.2)
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}

impl Track<'_> {
    /// Floating-point operations of a full training of a setting on the rows that are not held out.
    fn operations(&self, entrant: &Entrant) -> f64 {
        let facts = &self.inputs.plan.facts;
        let (values, layers) = (facts.model.layer_values() as f64, facts.model.num_hidden_layers.max(1) as f64);
        let tuned = (layers - entrant.freeze_layers as f64) / layers;
        let tokens = self.rows.texts.total_tokens() as f64 * (PARTS - 1) as f64 / PARTS as f64;
        // With frozen layers, their forward pass once.
        let prefix = if entrant.freeze_layers > 0 { 2.0 * values * (1.0 - tuned) * tokens } else { 0.0 };
        prefix + 6.0 * values * tuned * tokens * self.epochs() as f64
    }

    /// Epochs of a full training: as many as the plan has.
    fn epochs(&self) -> usize {
        self.inputs.plan.num_train_epochs.value
    }

    fn run(&self, entrant: &Entrant, heat: &Heat, interrupt: &AtomicBool) -> Result<Finish, Error> {
        let held_out_part = heat.seed as usize % PARTS;
        let (held_out, learnt): (Vec<usize>, Vec<usize>) =
            (0..self.parts.len()).partition(|&row| self.parts[row] == held_out_part);
        let (train, validation) = (self.rows.select(&learnt), self.rows.select(&held_out));
        let mut plan = self.inputs.plan.clone();
        plan.freeze_layers.value = entrant.freeze_layers;
        plan.learning_rate.value = entrant.learning_rate;
        let classes = self.inputs.labels.len();
        let policy = policy(&self.inputs.config.parameters(Head::Classification { classes }), &plan)?;
        let regimen = Regimen { plan, policy };
        let plan = &regimen.plan;
        let seed = plan.seed.value.wrapping_add(heat.seed);
        let Subject { mut parameters, model, report } = Subject::load(self.inputs, &regimen, seed)?;
        let mut options = classification_options(plan, &train.labels);
        options.seed = seed;
        options.metric = Metric::Accuracy;
        if starts_from_probe(plan, &report) {
            let width = self.features.hidden_size;
            let pooled: Vec<f32> =
                learnt.iter().flat_map(|&row| &self.features.pooled[row * width..(row + 1) * width]).copied().collect();
            start_from_probe(&model, &mut parameters, &pooled, &train.labels, &options);
        }
        let tokens = train.texts.total_tokens() + validation.texts.total_tokens();
        let fits = Prefix::bytes(tokens, self.features.hidden_size) <= PREFIX_BYTES;
        let prefix = |split: &Split| Prefix::of(&model, &parameters, &split.texts, entrant.freeze_layers);
        let prefixes = (entrant.freeze_layers > 0 && fits)
            .then(|| Prefixes { train: prefix(&train), validation: Some(prefix(&validation)) });
        let batch_size = options.eval_batch_size;
        let mut task = Classification {
            model: &model,
            policy: &regimen.policy,
            classes,
            train: train.rows(),
            validation: None::<Rows<'_>>,
            prefixes: prefixes.as_ref(),
            options,
            order: None,
        };
        let full = task.steps_per_epoch() * self.epochs();
        let steps = ((heat.part * full as f64).round() as usize).max(1);
        let options = fit_options(plan, steps);
        let surroundings = Surroundings { observer: &mut NoObserver, interrupt, checkpoints: None };
        fit(&mut task, &mut parameters, &options, &mut Progress::default(), surroundings)?;
        let logits = match prefixes.as_ref().and_then(|prefixes| prefixes.validation.as_ref()) {
            Some(prefix) => prefix.infer(&model, &parameters, batch_size),
            None => infer(&model, &parameters, &validation.texts, batch_size, Output::Logits),
        };
        let predicted = topwork_metrics::argmax(&logits, classes);
        let row = |(place, &row): (usize, &usize)| {
            let gold = validation.labels[place];
            let own = &logits[place * classes..(place + 1) * classes];
            (row, predicted[place] == gold, topwork_metrics::cross_entropy(own, classes, &[gold]))
        };
        Ok(Finish { rows: held_out.iter().enumerate().map(row).collect(), learnt: learnt.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrant(rate: f64) -> Entrant {
        Entrant { freeze_layers: 0, learning_rate: rate, from: String::new(), rounds: Vec::new() }
    }

    fn finish(right: impl Fn(usize) -> bool) -> Vec<Finish> {
        vec![Finish { rows: (0..100).map(|row| (row, right(row), 0.5)).collect(), learnt: 300 }]
    }

    #[test]
    fn the_usual_setting_stays_unless_another_is_convincing() {
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
    fn the_error_of_a_mean_is_that_of_its_sample() {
        let (mean, error) = mean_and_error(&[1.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-12 && (error - 1.0).abs() < 1e-12);
    }
}
