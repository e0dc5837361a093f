//! Fine-tuning from plan to proven result: one function that reads top to bottom, and its paragraphs.

mod model_card;
pub mod results;
pub mod run_directory;
mod save;

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use topwork_engine::Parameters;
use topwork_metrics::Scores;
use topwork_models::Model;

use crate::error::Error;
use crate::events::SplitScores;
use crate::events::tensorboard::TensorBoardObserver;
use crate::events::trace::Trace;
use crate::events::{JsonlObserver, Observer, Observers, RunEvent};
use crate::fit::{Best, FitContext, FitOptions, Progress, Stop, fit, restore_best};
use crate::judge::hard_rows::{HARD_ROWS, HardRows};
use crate::judge::overfitting::can_tell;
use crate::judge::repeats::{self, LEFT_OUT, Own, Repeated};
use crate::judge::transfer;
use crate::judge::{FinishedRun, Scored, calibrate};
use crate::network::batch::{Output, infer};
use crate::plan::Origin;
use crate::plan::facts::VERSION;
use crate::predict::Classifier;
use crate::run::checkpoint;
use crate::run::directory::{EVENTS, OutputDirectory, PLAN, TENSORBOARD};
use crate::run::peak_rss_mb;
use crate::run::proofs::{Proofs, ReloadProof, hash_frozen, prove_frozen, prove_gradients, prove_reload};
use crate::run::{Outcome, RunContext, lap, notes, thread_pool};
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{
    LoadedModel, TrainingRows, TrainingSetup, blew_up_at_last, classification, fit_options, fit_probe,
    starts_from_probe, total_steps,
};
use crate::tasks::classification::TrainingSample;
use crate::tune::results::{BestResult, Confusion, DIVERGED, Folds, Results, Seconds};

/// The training split is scored on at most so many rows: enough to see a gap to the validation rows.
pub const TRAIN_ROWS_SCORED: usize = 1000;
/// The saved model is compared with the one in memory on at most so many rows.
const ROWS_PROVED: usize = 256;

/// Fine-tunes a model as `inputs.plan` says, and saves it.
///
/// # Errors
/// When the output directory is taken, training diverges, a proof fails or a file cannot be written.
pub fn tune(
    inputs: &Inputs,
    context: &RunContext<'_>,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome<Results>, Error> {
    let path = &inputs.plan.output_dir.value;
    thread_pool(inputs.plan.threads.value)?.install(|| run(inputs, path, context, observer))
}

fn run(
    inputs: &Inputs,
    path: &Path,
    context: &RunContext<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome<Results>, Error> {
    let mut seconds = Seconds { load: inputs.load_seconds, tokenize: inputs.tokenize_seconds, ..Seconds::default() };
    let mut timer = Instant::now();
    let setup = TrainingSetup::planned(inputs);
    let loaded = LoadedModel::load(inputs, &setup, inputs.plan.seed.value)?;
    let from_probe = starts_from_probe(&inputs.plan, &loaded);
    let LoadedModel { mut parameters, model, report } = loaded;
    let mut progress = match context.resume {
        true => checkpoint::load(path, &mut parameters)?.unwrap_or_default(),
        false => Progress::default(),
    };
    let output = if context.resume { OutputDirectory::existing(path) } else { OutputDirectory::create(path)? };
    let mut log = if context.resume {
        JsonlObserver::resume(&output.file(EVENTS), progress.step)?
    } else {
        output.write(PLAN, &inputs.plan.to_toml())?;
        JsonlObserver::create(&output.file(EVENTS))?
    };
    if !context.resume {
        inputs.events.iter().for_each(|event| log.event(event));
    }
    let trace = RefCell::new(if context.resume { Trace::read(&output.file(EVENTS))? } else { Trace::default() });
    let mut curves = &trace;
    let mut board = match context.resume {
        true => TensorBoardObserver::resume(&output.file(TENSORBOARD), progress.step)?,
        false => TensorBoardObserver::create(&output.file(TENSORBOARD))?,
    };
    let mut observers: [&mut dyn Observer; 4] = [observer, &mut log, &mut curves, &mut board];
    let mut all = Observers(&mut observers);
    let observer: &mut dyn Observer = &mut all;
    if context.resume && progress.step == 0 {
        observer.event(&RunEvent::Note { message: "no state was saved: from the start".to_string() });
    }
    for note in notes(&report) {
        observer.event(&RunEvent::Note { message: note });
    }
    seconds.load += lap(&mut timer);

    observer.event(&RunEvent::phase("train"));
    let gauge = gauge(&inputs.train);
    let mut task = classification(TrainingRows::planned(inputs), &setup, &model, inputs.plan.seed.value);
    task.gauge =
        gauge.as_ref().map(|(split, every)| TrainingSample { rows: split.rows(), every: *every, seconds: 0.0 });
    let steps_per_epoch = task.steps_per_epoch();
    let total_steps = total_steps(&inputs.plan, &task);
    let frozen = hash_frozen(&parameters);
    observer.event(&started(inputs, total_steps, total_steps.div_ceil(steps_per_epoch), &parameters));
    if progress.step == 0 && from_probe {
        fit_probe(&inputs.train, &model, &mut parameters, &task.options);
    }
    let probe_seconds = lap(&mut timer);
    let before = progress.seconds;
    let keep_by_training_loss = inputs.validation.is_none();
    let options = FitOptions { keep_by_training_loss, ..fit_options(&inputs.plan, total_steps) };
    let fit_context = FitContext { observer, interrupt: context.interrupt, checkpoints: None };
    let batch_size = task.options.eval_batch_size;
    let stop = match fit(&mut task, &mut parameters, &options, &mut progress, fit_context)? {
        None if blew_up_at_last(&model, &parameters, TrainingRows::planned(inputs), batch_size) => {
            Some(Stop::Diverged(progress.step))
        }
        stop => stop,
    };
    // What the loop did besides steps is scoring.
    seconds.verdict = task.gauge.as_ref().map_or(0.0, |gauge| gauge.seconds);
    seconds.log = progress.log_seconds;
    seconds.evaluate = lap(&mut timer) - (progress.seconds - before) - seconds.verdict - seconds.log;
    seconds.train = probe_seconds + progress.seconds;

    match stop {
        Some(Stop::Interrupted) => {
            observer.event(&RunEvent::Stopped { step: progress.step, reason: "interrupted".to_string() });
            checkpoint::save(&output, &parameters, &progress)?;
            log.finish()?;
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step: progress.step, total_steps });
        }
        Some(Stop::Diverged(step)) => match (&progress.best, &progress.lowest_training_loss) {
            (None, None) => {
                let error = diverged(inputs, step);
                observer.event(&RunEvent::Stopped { step, reason: error.to_string() });
                drop(board);
                log.finish()?;
                if !context.resume {
                    output.discard()?;
                }
                return Err(error);
            }
            (Some(best), _) => observer.event(&went_back(step, best.step, "the best before by its validation rows")),
            (None, Some(kept)) => {
                let why = "the end of the epoch with the lowest training loss, as there are no validation rows";
                observer.event(&went_back(step, kept.step, why));
            }
        },
        Some(Stop::Early) => {
            let reason = format!(
                "{} did not improve in {} evaluations",
                task.options.metric.name(),
                progress.evaluations_without_gain
            );
            observer.event(&RunEvent::Stopped { step: progress.step, reason });
        }
        None => {}
    }
    let has_diverged = matches!(stop, Some(Stop::Diverged(_)));
    // The last weights are the best ones when the last evaluation was.
    let is_wanted = |best: &Best| inputs.plan.load_best_model_at_end.value && best.step != progress.step;
    let (best, kept) = match (has_diverged, progress.best.take(), progress.lowest_training_loss.take()) {
        (true, None, kept) => (None, kept),
        (true, best, _) => (best, None),
        (false, best, _) => (best.filter(is_wanted), None),
    };
    if let Some(best) = best.as_ref().or(kept.as_ref()) {
        restore_best(&mut parameters, best);
    }

    observer.event(&RunEvent::phase("evaluate"));
    let epoch = progress.step as f64 / steps_per_epoch as f64;
    let classes = inputs.labels.len();
    let mut evaluate = |name: &str, split: &Split| -> (SplitScores, Vec<f32>) {
        let logits = infer(&model, &parameters, &split.texts, batch_size, Output::Logits);
        let scores: Scores = topwork_metrics::evaluate(&logits, classes, &split.labels);
        observer.event(&RunEvent::evaluated(progress.step, epoch, name, &scores));
        (SplitScores::new(split.labels.len(), &scores), logits)
    };
    let sample = inputs.train.spread(TRAIN_ROWS_SCORED);
    let (train, train_logits) = evaluate("train", &sample);
    let validation = inputs.validation.as_ref().map(|split| evaluate("validation", split));
    if !train.loss.is_finite() {
        // What was kept gives no numbers for some rows.
        let error = diverged(inputs, progress.step);
        observer.event(&RunEvent::Stopped { step: progress.step, reason: error.to_string() });
        drop(board);
        log.finish()?;
        if !context.resume {
            output.discard()?;
        }
        return Err(error);
    }
    let test = inputs.test.as_ref().map(|split| evaluate("test", split));
    if let Some(warning) = one_class_only(inputs, validation.as_ref(), test.as_ref()) {
        observer.event(&RunEvent::warning(warning));
    }
    seconds.evaluate += lap(&mut timer);

    // What follows takes time and can be killed: the model is saved before.
    observer.event(&RunEvent::phase("save"));
    save::write_model(&output, inputs, &parameters)?;
    let rows_proved = match (&inputs.validation, &inputs.test) {
        (Some(split), _) => ("validation", split),
        (None, Some(split)) => ("test", split),
        (None, None) => ("train", &sample),
    };
    let proofs = Proofs {
        frozen_unchanged: prove_frozen(&frozen, &parameters)?,
        trained_received_gradient: prove_gradients(&parameters, &progress.gradient_seen)?,
        reloaded_same_logits: reload(&model, &parameters, &output, rows_proved, batch_size)?,
    };
    for (name, detail) in proofs.details() {
        observer.event(&RunEvent::ProofPassed { name: name.to_string(), detail });
    }
    seconds.save = lap(&mut timer);

    let mut beside = ExtraTrainings { interrupt: context.interrupt, unfinished: Vec::new() };
    let folds = match inputs.plan.folds.value {
        Some(count) => {
            observer.event(&RunEvent::phase("folds"));
            let found = repeats::cross_validate(inputs, count, observer, context.interrupt);
            beside.found("folds", found, |folds| (folds.map_or(0, |folds| folds.repeated.scores.len()), count))
        }
        None => None,
    };
    seconds.repeat = lap(&mut timer);

    observer.event(&RunEvent::phase("verdict"));
    let on_validation = Scored::of("validation", inputs.validation.as_ref(), validation.as_ref());
    let on_test = Scored::of("test", inputs.test.as_ref(), test.as_ref());
    let left_out = folds.as_ref().map(|folds| Scored { name: LEFT_OUT, split: &folds.answered, logits: &folds.logits });
    // Test rows, unless they can say nothing and there are others.
    let says_something = |scored: &Scored<'_>| can_tell(classes, &scored.split.labels, 1);
    let held_out = on_test.filter(says_something).or(on_validation).or(left_out).or(on_test);
    let on_train = Scored { name: "train", split: &sample, logits: &train_logits };
    let diverged_at = if let Some(Stop::Diverged(step)) = stop { Some(step) } else { None };
    let verdict = {
        let run = FinishedRun {
            inputs,
            parameters: &parameters,
            train: on_train,
            held_out,
            trace: &trace.borrow(),
            tokens: progress.tokens,
            diverged_at,
        };
        run.verdict()
    };
    verdict.report(observer);
    let calibration = calibrate(classes, on_validation.or(left_out).map(Scored::named), on_test.map(Scored::named));
    let hard_rows = held_out.map(|held_out| HardRows::find(&held_out, inputs.labels.names()));
    let confusion = held_out.and_then(|held_out| Confusion::of(&held_out, inputs.labels.names()));
    seconds.verdict += lap(&mut timer);

    if let Some(temperature) = calibration.as_ref().and_then(|calibration| calibration.temperature.as_ref()) {
        save::write_temperature(&output, inputs, temperature.value)?;
    }
    if let Some(rows) = &hard_rows {
        output.write_json(HARD_ROWS, rows)?;
    }
    let judged = [on_test.zip(test.as_ref()), on_validation.zip(validation.as_ref())].into_iter().flatten().next();
    let judged = judged.map(|(scored, (scores, _))| Own {
        name: scored.name,
        split: scored.split,
        scores: *scores,
        has_diverged,
    });
    let (seeds, permuted_control) = match judged {
        Some(own) => beside.repeat(inputs, own, observer),
        None => {
            beside.without_rows(inputs, observer);
            (None, None)
        }
    };
    seconds.repeat += lap(&mut timer);
    let transfer = match judged.filter(|_| inputs.plan.compare_seeds.value > 0) {
        Some(own) => {
            observer.event(&RunEvent::phase("compare"));
            let own = seeds.as_ref().map_or(vec![own.scores], |seeds| seeds.scores.clone());
            let count = inputs.plan.compare_seeds.value;
            let found = transfer::compare(inputs, &own, count, observer, context.interrupt);
            let done_of = |compared: Option<&transfer::Compared>| {
                compared.map_or((0, 1), |compared| (compared.trained, compared.asked))
            };
            beside.found("compare_seeds", found, done_of).map(|compared| compared.transfer)
        }
        None => None,
    };
    if !beside.unfinished.is_empty() {
        let message = format!("the model is saved; left out beside it: {}", beside.unfinished.join("; "));
        observer.event(&RunEvent::warning(message));
    }
    seconds.compare = lap(&mut timer);
    seconds.total = context.started.elapsed().as_secs_f64();
    let results = Results {
        train,
        validation: validation.map(|(scores, _)| scores),
        test: test.map(|(scores, _)| scores),
        seconds,
        peak_rss_mb: peak_rss_mb(),
        steps: progress.step,
        tokens: progress.tokens,
        tokens_per_second: progress.tokens as f64 / progress.seconds,
        seed: inputs.plan.seed.value,
        best: best.map(|best| BestResult {
            step: best.step,
            metric: task.options.metric.name().into(),
            value: best.value,
        }),
        stopped: match stop {
            Some(Stop::Early) => Some("early_stopping".to_string()),
            Some(Stop::Diverged(_)) => Some(DIVERGED.to_string()),
            Some(Stop::Interrupted) | None => None,
        },
        verdict,
        calibration,
        confusion,
        seeds,
        folds: folds.map(|folds| Folds { together: folds.together, repeated: folds.repeated }),
        permuted_control,
        transfer,
        unfinished: beside.unfinished,
        proofs,
        topwork_version: VERSION.into(),
    };
    save::write_results(&output, inputs, &results)?;
    checkpoint::remove(&output)?;
    observer.event(&RunEvent::Finished { output_dir: path.to_path_buf(), seconds: seconds.total });
    board.finish()?;
    log.finish()?;
    Ok(Outcome::Finished { output_dir: path.to_path_buf(), results: Box::new(results) })
}

fn started(inputs: &Inputs, total_steps: usize, epochs: usize, parameters: &Parameters) -> RunEvent {
    RunEvent::Started {
        unit: "rows".to_string(),
        total_steps,
        epochs,
        rows: inputs.train.labels.len(),
        validation_rows: inputs.validation.as_ref().map_or(0, |split| split.labels.len()),
        parameters: parameters.iter().map(|(_, parameter)| parameter.values.len()).sum(),
        trainable_parameters: inputs.policy.trainable_values(),
    }
}

/// That a run goes back to weights from before it diverged.
fn went_back(diverged_at: usize, step: usize, what: &str) -> RunEvent {
    let reason = format!("the loss or the gradient is not a finite number: back to step {step}, {what}");
    RunEvent::Stopped { step: diverged_at, reason }
}

/// What is trained beside the model, which is saved by then: nothing that goes wrong here may lose it.
struct ExtraTrainings<'a> {
    interrupt: &'a AtomicBool,
    /// What the plan asks for and was not done.
    unfinished: Vec<String>,
}

impl ExtraTrainings<'_> {
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

    /// Trains with more seeds and on labels in random order, as far as the plan asks for it.
    fn repeat(
        &mut self,
        inputs: &Inputs,
        own: Own<'_>,
        observer: &mut dyn Observer,
    ) -> (Option<Repeated>, Option<SplitScores>) {
        let seeds = match inputs.plan.seeds.value {
            0 | 1 => None,
            count => {
                observer.event(&RunEvent::phase("seeds"));
                let found = repeats::with_seeds(inputs, count, own, observer, self.interrupt);
                // The run itself is the first.
                self.found("seeds", found, |seeds| (seeds.map_or(1, |seeds| seeds.scores.len()), count))
            }
        };
        let permuted = match inputs.plan.permuted_control.value {
            true => {
                observer.event(&RunEvent::phase("permuted control"));
                let found = repeats::permuted_control(inputs, own.split, observer, self.interrupt);
                self.found("permuted_control", found, |control| (usize::from(control.is_some()), 1))
            }
            false => None,
        };
        (seeds, permuted)
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
}

/// Training rows to look at along the way, and after how many epochs each time: the looking takes about 1.3 % of the training's
/// work, where a row that is trained on costs three forward passes. None where there are no rows.
fn gauge(train: &Split) -> Option<(Split, usize)> {
    let rows = train.labels.len();
    let count = (rows / 12).clamp(32, 256).min(rows);
    let every = (count as f64 / (0.04 * rows as f64)).ceil().max(1.0) as usize;
    (rows > 0).then(|| (train.spread(count), every))
}

/// Says what happened to a run that has nothing to keep.
fn diverged(inputs: &Inputs, step: usize) -> Error {
    let lower = inputs.plan.learning_rate.value / 10.0;
    let what = format!("step {step}: the loss or the gradient is not a finite number");
    let message = format!("{what}; no epoch was over before, so nothing is kept");
    Error::run(message, format!("--learning-rate {lower:e}"))
}

/// A model that gives every row the same class has learnt nothing, and its accuracy hides it.
fn one_class_only(
    inputs: &Inputs,
    validation: Option<&(SplitScores, Vec<f32>)>,
    test: Option<&(SplitScores, Vec<f32>)>,
) -> Option<String> {
    let (_, logits) = test.or(validation)?;
    let predicted = topwork_metrics::argmax(logits, inputs.labels.len());
    let first = *predicted.first()?;
    if predicted.len() < 20 || predicted.iter().any(|&class| class != first) {
        return None;
    }
    let label = inputs.labels.names().get(first as usize)?;
    Some(format!("the model gives every row the label `{label}`: it has learnt nothing that tells the classes apart"))
}

/// Reads the saved directory afresh and compares logits on held-out rows, from the texts on.
///
/// Both sides run the same rows in the same batches: a matrix product may round otherwise for another number of rows.
fn reload(
    model: &Model,
    parameters: &Parameters,
    output: &OutputDirectory,
    (name, split): (&str, &Split),
    batch_size: usize,
) -> Result<ReloadProof, Error> {
    let rows: Vec<usize> = (0..split.labels.len().min(ROWS_PROVED)).collect();
    let in_memory = infer(model, parameters, &split.texts.select(&rows), batch_size, Output::Logits);
    let reloaded = Classifier::load(output.path())?;
    let texts = reloaded.tokenize(&split.examples[..rows.len()], output.path())?;
    prove_reload(&in_memory, &reloaded.logits(&texts, batch_size), rows.len(), name)
}
