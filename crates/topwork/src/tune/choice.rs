//! Whether the trained model is kept, or a linear head on the untouched model in its place: validation rows tell, or rows that folds leave
//! out, before anything is scored on test rows or saved.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::extras::ExtraTrainings;
use super::results::Seconds;
use super::train::{self, Trained, train};
use crate::error::Error;
use crate::events::{Observer, RecordedEvents, RunEvent};
use crate::fit::Progress;
use crate::judge::floor::FloorChoice;
use crate::judge::repeats::{CrossValidated, LEFT_OUT};
use crate::judge::transfer::baselines;
use crate::network::batch::{Output, infer};
use crate::plan::method;
use crate::plan::value::FloorRule;
use crate::run::RunContext;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingSetup};

/// What was chosen.
#[derive(Default)]
pub(super) struct Choice<'a> {
    /// What was found; none where nothing was to be chosen, or nothing could tell.
    pub(super) found: Option<FloorChoice>,
    /// The folds of the plan, where they were to tell; none inside where they came to nothing.
    pub(super) folds: Option<Option<CrossValidated<'a>>>,
    /// What is kept in place of the trained model.
    pub(super) linear: Option<Linear>,
}

/// A linear head on the untouched model.
pub(super) struct Linear {
    /// The same rows and model, under the plan of that head.
    pub(super) inputs: Inputs,
    pub(super) loaded: LoadedModel,
    pub(super) trained: train::Finished,
}

impl<'a> Choice<'a> {
    /// Compares the trained model with a linear head on the untouched one where the plan says so, and fits that head to all training
    /// rows where the trained model is not better. What goes wrong is noted, and the trained model is kept.
    pub(super) fn of(
        inputs: &'a Inputs,
        loaded: &LoadedModel,
        extra: &mut ExtraTrainings<'_>,
        context: &RunContext<'_>,
        observer: &mut dyn Observer,
        seconds: &mut Seconds,
    ) -> Self {
        if inputs.plan.floor.value != FloorRule::Take {
            return Self::default();
        }
        let started = Instant::now();
        observer.event(&RunEvent::phase("choose"));
        let folds = match inputs.validation {
            Some(_) => None,
            None => Some(extra.folds(inputs, observer)),
        };
        let compared = match (&inputs.validation, folds.as_ref().map(Option::as_ref)) {
            (Some(rows), _) => by_validation(inputs, loaded, rows, context),
            (None, Some(Some(folds))) => by_folds(inputs, folds, context),
            (None, _) => Err("the folds gave no outputs to choose by".to_string()),
        };
        let spent = started.elapsed().as_secs_f64();
        match inputs.validation {
            Some(_) => seconds.evaluate += spent,
            None => seconds.repeat += spent,
        }
        let mut found = match compared {
            Ok(found) => found,
            Err(why) => {
                extra.unfinished.push(format!("floor take: {why}"));
                return Self { folds, ..Self::default() };
            }
        };
        let linear = match found.taken.then(|| Linear::fitted(inputs, context, observer, seconds)) {
            Some(Err(error)) => {
                found.keep_trained(&error.to_string());
                None
            }
            linear => linear.and_then(Result::ok),
        };
        observer.event(&RunEvent::Note { message: found.sentence.clone() });
        Self { found: Some(found), folds, linear }
    }
}

/// Both on the validation rows, or why that cannot be.
fn by_validation(
    inputs: &Inputs,
    loaded: &LoadedModel,
    rows: &Split,
    context: &RunContext<'_>,
) -> Result<FloorChoice, String> {
    let linear = baselines::frozen_on_held_out(inputs, rows).map_err(|error| error.to_string())?;
    let linear = linear.ok_or_else(|| why_none(context))?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let own = infer(&loaded.model, &loaded.parameters, &rows.texts, batch_size, Output::Logits);
    Ok(compared(inputs, "validation", rows, (&own, &linear)))
}

/// Both on rows that folds left out of their training, or why that cannot be.
fn by_folds(inputs: &Inputs, folds: &CrossValidated<'_>, context: &RunContext<'_>) -> Result<FloorChoice, String> {
    // Those that diverged, or were interrupted, would be left out of the trained model's score.
    if folds.answered.len() < inputs.train.len() {
        return Err(format!(
            "{} of {} rows have no output of a fold",
            inputs.train.len() - folds.answered.len(),
            inputs.train.len()
        ));
    }
    let linear =
        baselines::frozen_on_folds(inputs, &folds.parts, context.interrupt).map_err(|error| error.to_string())?;
    let linear = linear.ok_or_else(|| why_none(context))?;
    Ok(compared(inputs, LEFT_OUT, &folds.answered, (&folds.logits, &linear)))
}

/// Why there are no outputs of a linear head.
fn why_none(context: &RunContext<'_>) -> String {
    match context.interrupt.load(Ordering::Relaxed) {
        true => "interrupted".to_string(),
        false => "no linear head can be fitted to these rows".to_string(),
    }
}

/// By the metric that the plan calls better; what has no value there is not better. Labels have the thresholds that suit each model.
fn compared(inputs: &Inputs, split: &'static str, rows: &Split, outputs: (&[f32], &[f32])) -> FloorChoice {
    let metric = inputs.plan.metric_for_best_model.value;
    let value = |outputs: &[f32]| {
        let scoring = inputs.scoring.clone().with_thresholds(outputs, &rows.targets);
        let scores = inputs.task.evaluate(outputs, &rows.targets, &scoring);
        scores.get(metric).unwrap_or(f64::NAN)
    };
    let (trained, linear) = (value(outputs.0), value(outputs.1));
    let taken = linear.is_finite() && !metric.better(trained, linear);
    FloorChoice::new(Cow::Borrowed(split), rows.len(), metric, taken, (trained, linear))
}

impl Linear {
    /// The head, fitted to all training rows.
    fn fitted(
        inputs: &Inputs,
        context: &RunContext<'_>,
        observer: &mut dyn Observer,
        seconds: &mut Seconds,
    ) -> Result<Self, Error> {
        let setup = TrainingSetup::of(inputs, method::as_linear(&inputs.plan))?;
        let inputs = inputs.under(&setup);
        let mut loaded = LoadedModel::load(&inputs, &setup, inputs.plan.seed.value)?;
        // What is reported is of the model that is kept: of a head that cannot be fitted, nothing is.
        let (mut recorded, mut own) = (RecordedEvents::default(), Seconds::default());
        let trained =
            train(&inputs, &setup, &mut loaded, Progress::default(), false, None, context, &mut own, &mut recorded)?;
        match trained {
            Trained::Finished(trained) => {
                seconds.train += own.train;
                recorded.events.iter().for_each(|event| observer.event(event));
                Ok(Self { inputs, loaded, trained })
            }
            Trained::Lost(error) => Err(error),
            Trained::Interrupted { .. } => Err(Error::run("interrupted", "topwork tune again")),
        }
    }
}
