//! Whether the trained model is kept, or a linear head on the untouched model in its place: rows of the training file tell, before
//! anything is scored on test rows or saved.

use std::borrow::Cow;

use super::extras::ExtraTrainings;
use super::results::Seconds;
use super::train::{self, Trained, train};
use crate::error::Error;
use crate::events::{Observer, RunEvent, SplitScores};
use crate::fit::Progress;
use crate::judge::floor::FloorChoice;
use crate::judge::repeats::{CrossValidated, LEFT_OUT};
use crate::judge::transfer::baselines;
use crate::network::batch::{Output, infer};
use crate::plan::method;
use crate::plan::value::FloorRule;
use crate::run::RunContext;
use crate::session::inputs::Inputs;
use crate::session::training::{LoadedModel, TrainingSetup};

/// What was chosen.
#[derive(Default)]
pub(super) struct Choice<'a> {
    /// What was found; none where nothing was to be chosen, or nothing could tell.
    pub(super) found: Option<FloorChoice>,
    /// The folds that told.
    pub(super) folds: Option<CrossValidated<'a>>,
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
        observer.event(&RunEvent::phase("choose"));
        // Validation rows, where there are some; else the plan has folds.
        let folds = match inputs.validation {
            Some(_) => None,
            None => extra.folds(inputs, observer),
        };
        let compared = match &folds {
            Some(folds) => by_folds(inputs, folds, context),
            None => by_validation(inputs, loaded),
        };
        let found = extra.found("floor take", compared, |found| (usize::from(found.is_some()), 1));
        let taken = found.as_ref().is_some_and(|found| found.taken);
        let linear = match taken.then(|| Linear::fitted(inputs, context, observer, seconds)) {
            Some(Ok(linear)) => Some(linear),
            Some(Err(error)) => {
                extra.unfinished.push(format!("floor take: {error}"));
                return Self { folds, ..Self::default() };
            }
            None => None,
        };
        if let Some(found) = &found {
            observer.event(&RunEvent::Note { message: found.sentence.clone() });
        }
        Self { found, folds, linear }
    }
}

/// Both on the validation rows.
fn by_validation(inputs: &Inputs, loaded: &LoadedModel) -> Result<Option<FloorChoice>, Error> {
    let Some(rows) = &inputs.validation else { return Ok(None) };
    let Some(linear) = baselines::frozen_on_held_out(inputs, rows)? else { return Ok(None) };
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let own = infer(&loaded.model, &loaded.parameters, &rows.texts, batch_size, Output::Logits);
    Ok(Some(compared(inputs, "validation", &inputs.evaluate(&own, rows), &inputs.evaluate(&linear, rows))))
}

/// Both on rows that folds left out of their training.
fn by_folds(
    inputs: &Inputs,
    folds: &CrossValidated<'_>,
    context: &RunContext<'_>,
) -> Result<Option<FloorChoice>, Error> {
    let linear = baselines::frozen_on_folds(inputs, &folds.parts, context.interrupt)?;
    Ok(linear.map(|linear| compared(inputs, LEFT_OUT, &folds.together, &inputs.evaluate(&linear, &folds.answered))))
}

/// By the metric that the plan calls better; what has no value there is not better.
fn compared(inputs: &Inputs, split: &'static str, own: &SplitScores, linear: &SplitScores) -> FloorChoice {
    let metric = inputs.plan.metric_for_best_model.value;
    let taken = linear.value(metric).is_finite() && !metric.better(own.value(metric), linear.value(metric));
    FloorChoice::new(Cow::Borrowed(split), own.rows, metric, taken, (own.value(metric), linear.value(metric)))
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
        let mut own = Seconds::default();
        let trained = train(&inputs, &setup, &mut loaded, Progress::default(), false, context, &mut own, observer)?;
        seconds.train += own.train;
        match trained {
            Trained::Finished(trained) => Ok(Self { inputs, loaded, trained }),
            Trained::Lost(error) => Err(error),
            Trained::Interrupted { .. } => Err(Error::run("interrupted", "topwork tune again")),
        }
    }
}
