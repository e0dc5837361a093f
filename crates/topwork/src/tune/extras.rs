//! What is trained beside the model: nothing that goes wrong here may lose it. It is saved by then, unless folds choose what is saved.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::results::Seconds;
use crate::error::Error;
use crate::events::{Observer, RunEvent, SplitScores};
use crate::judge::floor::Floor;
use crate::judge::repeats::{self, CrossValidated, LEFT_OUT, Own, Repeated};
use crate::judge::transfer::{self, Baseline, Transfer, baselines};
use crate::plan::Origin;
use crate::run::lap;
use crate::session::inputs::Inputs;

/// Trains beside the model, as far as the plan asks for it.
pub(super) struct ExtraTrainings<'a> {
    interrupt: &'a AtomicBool,
    /// What the plan asks for and was not done.
    pub(super) unfinished: Vec<String>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) seeds: Option<Repeated>,
    pub(super) permuted_control: Option<SplitScores>,
    pub(super) transfer: Option<Transfer>,
}

impl<'a> ExtraTrainings<'a> {
    pub(super) fn new(interrupt: &'a AtomicBool) -> Self {
        Self { interrupt, unfinished: Vec::new() }
    }

    /// Trains on folds.
    pub(super) fn folds<'b>(&mut self, inputs: &'b Inputs, observer: &mut dyn Observer) -> Option<CrossValidated<'b>> {
        let count = inputs.plan.folds.value?;
        observer.event(&RunEvent::phase("folds"));
        let found = repeats::cross_validate(inputs, count, observer, self.interrupt);
        self.found("folds", found, |folds| (folds.map_or(0, |folds| folds.repeated.scores.len()), count))
    }

    /// What answers the held-out rows without any training of layers, and the run beside the best of it. `own` are the rows that the run is
    /// told by with its scores, and its outputs for them; without any, rows that folds left out are.
    pub(super) fn floor(
        &mut self,
        inputs: &Inputs,
        own: Option<&(Own<'_>, &[f32])>,
        folds: Option<&CrossValidated<'_>>,
        observer: &mut dyn Observer,
    ) -> (Vec<Baseline>, Option<Floor>) {
        let is_interrupted = self.interrupt.load(Ordering::Relaxed);
        if is_interrupted && (own.is_some() || folds.is_some()) {
            self.unfinished.push("floor: interrupted".to_string());
            return (Vec::new(), None);
        }
        let of_folds;
        let (found, (own, outputs)) = match (own, folds) {
            (Some((own, outputs)), _) => (baselines::on_held_out(inputs, own.split).map(Some), (own, *outputs)),
            (None, Some(folds)) => {
                let (name, scores) = (LEFT_OUT, folds.together.clone());
                of_folds = Own { name, split: &folds.answered, scores, has_diverged: folds.repeated.diverged > 0 };
                (
                    baselines::on_folds(inputs, &folds.parts, &folds.answered, self.interrupt),
                    (&of_folds, folds.logits.as_slice()),
                )
            }
            (None, None) => return (Vec::new(), None),
        };
        let baselines = self.found("floor", found, |found| (usize::from(found.is_some()), 1)).unwrap_or_default();
        let floor = Floor::of(inputs, own, outputs, &baselines);
        floor.iter().for_each(|floor| floor.report(observer));
        (baselines, floor)
    }

    /// Trains with other seeds, on permuted targets, and what the result is compared with. `own` are the held-out rows that the run
    /// is told by, and its scores.
    pub(super) fn run(
        &mut self,
        inputs: &Inputs,
        own: Option<Own<'_>>,
        baselines: &[Baseline],
        observer: &mut dyn Observer,
        seconds: &mut Seconds,
        timer: &mut Instant,
    ) -> Extras {
        let Some(own) = own else {
            self.without_rows(inputs, observer);
            self.say_unfinished(observer);
            seconds.compare = lap(timer);
            return Extras::default();
        };
        let seeds = self.seeds(inputs, &own, observer);
        let permuted_control = self.permuted_control(inputs, &own, observer);
        seconds.repeat += lap(timer);
        let transfer = self.transfer(inputs, &own, baselines, seeds.as_ref(), observer);
        self.say_unfinished(observer);
        seconds.compare = lap(timer);
        Extras { seeds, permuted_control, transfer }
    }

    fn seeds(&mut self, inputs: &Inputs, own: &Own<'_>, observer: &mut dyn Observer) -> Option<Repeated> {
        let count = inputs.plan.seeds.value;
        if count < 2 {
            return None;
        }
        observer.event(&RunEvent::phase("seeds"));
        let found = repeats::with_seeds(inputs, count, own.clone(), observer, self.interrupt);
        // The run itself is the first.
        self.found("seeds", found, |seeds| (seeds.map_or(1, |seeds| seeds.scores.len()), count))
    }

    fn permuted_control(&mut self, inputs: &Inputs, own: &Own<'_>, observer: &mut dyn Observer) -> Option<SplitScores> {
        if !inputs.plan.permuted_control.value {
            return None;
        }
        observer.event(&RunEvent::phase("permuted control"));
        let found = repeats::permuted_control(inputs, own.split, observer, self.interrupt);
        self.found("permuted_control", found, |control| (usize::from(control.is_some()), 1))
    }

    fn transfer(
        &mut self,
        inputs: &Inputs,
        own: &Own<'_>,
        baselines: &[Baseline],
        seeds: Option<&Repeated>,
        observer: &mut dyn Observer,
    ) -> Option<Transfer> {
        let count = inputs.plan.compare_seeds.value;
        if count > 0 {
            observer.event(&RunEvent::phase("compare"));
        }
        let known = seeds.map_or(1, |_| inputs.plan.seeds.value as u64);
        let own = seeds.map_or_else(|| vec![own.scores.clone()], |seeds| seeds.scores.clone());
        let found = transfer::compare(inputs, baselines, &own, known, count, observer, self.interrupt);
        let done_of = |compared: Option<&transfer::Compared>| {
            compared.map_or((0, 1), |compared| (compared.trained, compared.asked))
        };
        self.found("compare_seeds", found, done_of).map(|compared| compared.transfer)
    }

    /// What was found. An error is noted, and so is it when fewer trainings were `done` than asked for, the numbers that the last
    /// argument tells.
    fn found<T>(
        &mut self,
        key: &str,
        found: Result<Option<T>, Error>,
        done_of: impl Fn(Option<&T>) -> (usize, usize),
    ) -> Option<T> {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.unfinished.push(format!("{key}: {error}"));
                return None;
            }
        };
        let (done, asked) = done_of(found.as_ref());
        if done < asked {
            let why = match self.interrupt.load(Ordering::Relaxed) {
                true => format!("interrupted after {done} of {asked}"),
                false => format!("{done} of {asked} have scores, the others diverged"),
            };
            self.unfinished.push(format!("{key}: {why}"));
        }
        found
    }

    /// Notes what cannot be done without held-out rows.
    fn without_rows(&mut self, inputs: &Inputs, observer: &mut dyn Observer) {
        let plan = &inputs.plan;
        let asked = [
            ("seeds", plan.seeds.value > 1),
            ("permuted_control", plan.permuted_control.value),
            ("compare_seeds", plan.compare_seeds.value > 0 && plan.compare_seeds.origin != Origin::Default),
        ];
        for (key, _) in asked.into_iter().filter(|(_, is_asked)| *is_asked) {
            let what = format!("{key}: there are no held-out rows to score (--test FILE)");
            observer.event(&RunEvent::warning(&what));
            self.unfinished.push(what);
        }
    }

    fn say_unfinished(&self, observer: &mut dyn Observer) {
        if !self.unfinished.is_empty() {
            let message = format!("the model is saved; left out beside it: {}", self.unfinished.join("; "));
            observer.event(&RunEvent::warning(message));
        }
    }
}
