//! The training of a run, to the weights that are kept.

use std::time::{Duration, Instant};

use topwork_engine::Parameters;

use super::results::{DIVERGED, Seconds};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::{Best, Checkpoints, FitContext, FitOptions, Progress, Stop, fit, restore_best};
use crate::plan::value::Method;
use crate::run::checkpoint;
use crate::run::output_directory::OutputDirectory;
use crate::run::proofs::{FrozenProof, hash_frozen};
use crate::run::{RunContext, lap};
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    FittedHead, LoadedModel, TrainingRows, TrainingSetup, blew_up_at_last, check_partners, contrast, fit_head,
    fit_options, fit_probe, learning, learning_options, total_steps, with_added,
};
use crate::tasks::supervised_problem::TrainingSample;

/// How the training of a run ended.
pub(super) enum Trained {
    /// The user interrupted it.
    Interrupted { progress: Progress, total_steps: usize },
    /// It came to nothing, for this reason, which was reported.
    Lost(Error),
    /// The model has the weights that are kept.
    Finished(Finished),
}

/// A training that came to something.
pub(super) struct Finished {
    pub(super) progress: Progress,
    /// Epochs done, as a fraction.
    pub(super) epoch: f64,
    /// The evaluation whose weights were kept, when they are not the last.
    pub(super) best: Option<Best>,
    /// The frozen tensors before training.
    pub(super) frozen: FrozenProof,
    /// The step at which the loss was no number any more.
    pub(super) diverged_at: Option<usize>,
    /// The output layer that was fitted, not trained.
    pub(super) fitted: Option<FittedHead>,
    stopped_early: bool,
}

impl Finished {
    pub(super) fn has_diverged(&self) -> bool {
        self.diverged_at.is_some()
    }

    /// Why training ended before its last step, when it did.
    pub(super) fn stopped(&self) -> Option<String> {
        match self.has_diverged() {
            true => Some(DIVERGED.to_string()),
            false => self.stopped_early.then(|| "early_stopping".to_string()),
        }
    }
}

/// Trains as the plan says, and puts the weights that are kept into the model.
#[expect(clippy::too_many_arguments, reason = "the state of a run, which nothing else shares")]
pub(super) fn train(
    inputs: &Inputs,
    setup: &TrainingSetup,
    loaded: &mut LoadedModel,
    mut progress: Progress,
    from_probe: bool,
    output: Option<&OutputDirectory>,
    context: &RunContext<'_>,
    seconds: &mut Seconds,
    observer: &mut dyn Observer,
) -> Result<Trained, Error> {
    if inputs.plan.method.value != Method::Finetune {
        return fit_to_rows(inputs, setup, loaded, progress, output, context, seconds, observer);
    }
    let mut timer = Instant::now();
    let planned = TrainingRows::planned(inputs);
    let rows = with_added(planned);
    let learnt = TrainingRows { train: &rows, ..planned };
    let seed = inputs.plan.seed.value;
    let frozen = hash_frozen(&loaded.parameters);
    let steps = {
        let problem = learning(inputs, learnt, setup, &loaded.model, seed);
        (problem.steps_per_epoch(), total_steps(&inputs.plan, &problem))
    };
    let (steps_per_epoch, total_steps) = steps;
    observer.event(&started(inputs, total_steps, total_steps.div_ceil(steps_per_epoch), &loaded.parameters));
    if from_probe {
        fit_probe(inputs, &rows, loaded, &learning_options(&inputs.plan, &rows, &inputs.scoring));
    }
    let probe_seconds = lap(&mut timer);
    let before = progress.seconds;
    let sample = training_sample(&inputs.train);
    let LoadedModel { parameters, model, .. } = &mut *loaded;
    let mut problem = learning(inputs, learnt, setup, model, seed);
    problem.sample =
        sample.as_ref().map(|(split, every)| TrainingSample { rows: split.rows(), every: *every, seconds: 0.0 });
    let keep_by_training_loss = inputs.validation.is_none();
    let options = FitOptions { keep_by_training_loss, ..fit_options(&inputs.plan, total_steps) };
    let mut save = saved_in(output);
    let checkpoints = save.as_deref_mut().map(|save| Checkpoints { every: KEPT_EVERY, spare: KEPT_SPARE, save });
    let fit_context = FitContext { observer, interrupt: context.interrupt, checkpoints };
    let batch_size = problem.options.eval_batch_size;
    let stop = match fit(&mut problem, parameters, &options, &mut progress, fit_context)? {
        None if blew_up_at_last(model, parameters, learnt, batch_size) => Some(Stop::Diverged(progress.step)),
        stop => stop,
    };
    // What the loop did besides steps is scoring.
    seconds.verdict = problem.sample.as_ref().map_or(0.0, |sample| sample.seconds);
    seconds.log = progress.log_seconds;
    seconds.evaluate = lap(&mut timer) - (progress.seconds - before) - seconds.verdict - seconds.log;
    seconds.train = probe_seconds + progress.seconds;
    match report(stop, inputs, &progress, observer) {
        Ending::Interrupted => return Ok(Trained::Interrupted { progress, total_steps }),
        Ending::Lost(step) => return Ok(Trained::Lost(give_up(diverged(inputs, step), step, observer))),
        Ending::Kept => {}
    }
    let best = keep(inputs, stop, &mut progress, parameters);
    // From here on the model is what is saved.
    loaded.model.fold_output_scale(&mut loaded.parameters);
    Ok(Trained::Finished(Finished {
        epoch: progress.step as f64 / steps_per_epoch as f64,
        progress,
        best,
        frozen,
        diverged_at: if let Some(Stop::Diverged(step)) = stop { Some(step) } else { None },
        fitted: None,
        stopped_early: stop == Some(Stop::Early),
    }))
}

/// What keeps the state of a run.
type Save<'o> = dyn FnMut(&Parameters, &Progress) -> Result<(), Error> + 'o;

/// Keeps the state in a directory, if there is one.
fn saved_in(output: Option<&OutputDirectory>) -> Option<Box<Save<'_>>> {
    let output = output?;
    Some(Box::new(move |parameters, progress| checkpoint::save(output, parameters, progress)))
}

/// How often a run keeps its state, so that one that is killed goes on from there.
const KEPT_EVERY: Duration = Duration::from_secs(5);
/// Keeping it takes at most a hundredth of the time.
const KEPT_SPARE: u32 = 100;

/// The methods that end with a fitted output layer: after layers learnt which rows belong together, or on layers as they were.
#[expect(clippy::too_many_arguments, reason = "as for `train`")]
fn fit_to_rows(
    inputs: &Inputs,
    setup: &TrainingSetup,
    loaded: &mut LoadedModel,
    mut progress: Progress,
    output: Option<&OutputDirectory>,
    context: &RunContext<'_>,
    seconds: &mut Seconds,
    observer: &mut dyn Observer,
) -> Result<Trained, Error> {
    let mut timer = Instant::now();
    let LoadedModel { parameters, model, .. } = &mut *loaded;
    let frozen = hash_frozen(parameters);
    let rows = with_added(TrainingRows::planned(inputs));
    let plan = &inputs.plan;
    let mut problem = contrast(setup, model, &rows, plan.seed.value);
    let steps_per_epoch = problem.steps_per_epoch().max(1);
    let total_steps = match plan.method.value {
        Method::Setfit => plan.steps(steps_per_epoch, None),
        Method::Finetune | Method::Linear => 0,
    };
    observer.event(&started(inputs, total_steps, total_steps.div_ceil(steps_per_epoch), parameters));
    if total_steps > 0 {
        if let Err(error) = check_partners(&rows) {
            return Ok(Trained::Lost(give_up(error, 0, observer)));
        }
        let mut save = saved_in(output);
        let checkpoints = save.as_deref_mut().map(|save| Checkpoints { every: KEPT_EVERY, spare: KEPT_SPARE, save });
        let fit_context = FitContext { observer, interrupt: context.interrupt, checkpoints };
        match fit(&mut problem, parameters, &fit_options(plan, total_steps), &mut progress, fit_context)? {
            Some(Stop::Interrupted) => return Ok(Trained::Interrupted { progress, total_steps }),
            Some(Stop::Diverged(step)) => return Ok(Trained::Lost(give_up(diverged(inputs, step), step, observer))),
            Some(Stop::Early) | None => {}
        }
    }
    let options = learning_options(plan, &rows, &inputs.scoring);
    let fitted = match fit_head(inputs, &rows, model, parameters, &options) {
        Ok(fitted) => fitted,
        Err(error) => return Ok(Trained::Lost(give_up(error, progress.step, observer))),
    };
    seconds.log = progress.log_seconds;
    seconds.train = lap(&mut timer) - progress.log_seconds;
    model.fold_output_scale(parameters);
    let epoch = progress.step as f64 / steps_per_epoch as f64;
    Ok(Trained::Finished(Finished {
        epoch,
        progress,
        best: None,
        frozen,
        diverged_at: None,
        fitted: Some(fitted),
        stopped_early: false,
    }))
}

/// What becomes of a training.
enum Ending {
    Interrupted,
    Lost(usize),
    Kept,
}

/// Says why training ended before its last step.
fn report(stop: Option<Stop>, inputs: &Inputs, progress: &Progress, observer: &mut dyn Observer) -> Ending {
    match stop {
        Some(Stop::Interrupted) => return Ending::Interrupted,
        Some(Stop::Diverged(step)) => match (&progress.best, &progress.lowest_training_loss) {
            (None, None) => return Ending::Lost(step),
            (Some(best), _) => observer.event(&went_back(step, best.step, "the best before by its validation rows")),
            (None, Some(kept)) => {
                let why = "the end of the epoch with the lowest training loss, as there are no validation rows";
                observer.event(&went_back(step, kept.step, why));
            }
        },
        Some(Stop::Early) => {
            let metric = inputs.plan.metric_for_best_model.value.name();
            let reason = format!("{metric} did not improve in {} evaluations", progress.evaluations_without_gain);
            observer.event(&RunEvent::Stopped { step: progress.step, reason });
        }
        None => {}
    }
    Ending::Kept
}

/// Puts the weights back that are kept; gives the evaluation of them, where they are not the last.
fn keep(inputs: &Inputs, stop: Option<Stop>, progress: &mut Progress, parameters: &mut Parameters) -> Option<Best> {
    // The last weights are the best ones when the last evaluation was.
    let last = progress.step;
    let is_wanted = |best: &Best| inputs.plan.load_best_model_at_end.value && best.step != last;
    let has_diverged = matches!(stop, Some(Stop::Diverged(_)));
    let (best, kept) = match (has_diverged, progress.best.take(), progress.lowest_training_loss.take()) {
        (true, None, kept) => (None, kept),
        (true, best, _) => (best, None),
        (false, best, _) => (best.filter(is_wanted), None),
    };
    if let Some(best) = best.as_ref().or(kept.as_ref()) {
        restore_best(parameters, best);
    }
    best
}

fn started(inputs: &Inputs, total_steps: usize, epochs: usize, parameters: &Parameters) -> RunEvent {
    RunEvent::Started {
        unit: "rows".to_string(),
        total_steps,
        epochs,
        rows: inputs.train.len(),
        validation_rows: inputs.validation.as_ref().map_or(0, Split::len),
        parameters: parameters.iter().map(|(_, parameter)| parameter.values.len()).sum(),
        trainable_parameters: inputs.policy.trainable_values(),
    }
}

/// That a run goes back to weights from before it diverged.
fn went_back(diverged_at: usize, step: usize, what: &str) -> RunEvent {
    let reason = format!("the loss or the gradient is not a finite number: back to step {step}, {what}");
    RunEvent::Stopped { step: diverged_at, reason }
}

/// Says that training came to nothing at a step, and why.
pub(super) fn give_up(error: Error, step: usize, observer: &mut dyn Observer) -> Error {
    observer.event(&RunEvent::Stopped { step, reason: error.to_string() });
    error
}

/// Says what happened to a run that has nothing to keep.
pub(super) fn diverged(inputs: &Inputs, step: usize) -> Error {
    let lower = inputs.plan.learning_rate.value / 10.0;
    let what = format!("step {step}: the loss or the gradient is not a finite number");
    let message = format!("{what}; no epoch was over before, so nothing is kept");
    Error::run(message, format!("--learning-rate {lower:e}"))
}

/// Training rows to look at along the way, and after how many epochs each time: the looking takes about 1.3 % of the training's
/// work, where a row that is trained on costs three forward passes. None where there are no rows.
fn training_sample(train: &Split) -> Option<(Split, usize)> {
    let rows = train.len();
    let count = (rows / 12).clamp(32, 256).min(rows);
    let every = (count as f64 / (0.04 * rows as f64)).ceil().max(1.0) as usize;
    (rows > 0).then(|| (train.spread(count), every))
}
