//! Fine-tuning from plan to proven result: one function that reads top to bottom, and its paragraphs.

use std::path::Path;
use std::time::Instant;

use topwork_engine::Parameters;
use topwork_metrics::Scores;
use topwork_models::bert::BertClassifier;

use crate::batch::{Output, infer};
use crate::checkpoint;
use crate::classifier::Classifier;
use crate::error::Error;
use crate::events::{JsonlObserver, Observer, Observers, RunEvent};
use crate::facts::VERSION;
use crate::fit::{Best, Progress, Stop, Surroundings, fit, restore_best};
use crate::inputs::{Inputs, Split};
use crate::output::{EVENTS, OutputDirectory, PLAN};
use crate::proofs::{Proofs, ReloadProof, hash_frozen, prove_frozen, prove_gradients, prove_reload};
use crate::results::{BestResult, Results, Seconds, SplitScores, peak_rss_mb};
use crate::run::{Circumstances, Outcome, lap, notes, thread_pool};
use crate::training::{Regimen, Subject, classification, fit_options, fit_probe, starts_from_probe, total_steps};
use crate::transfer;

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
    circumstances: &Circumstances<'_>,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome<Results>, Error> {
    let path = &inputs.plan.output_dir.value;
    thread_pool(inputs.plan.threads.value)?.install(|| run(inputs, path, circumstances, observer))
}

fn run(
    inputs: &Inputs,
    path: &Path,
    circumstances: &Circumstances<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome<Results>, Error> {
    let mut seconds = Seconds { load: inputs.load_seconds, tokenize: inputs.tokenize_seconds, ..Seconds::default() };
    let mut timer = Instant::now();
    let regimen = Regimen::planned(inputs);
    let Subject { mut parameters, model, report } = Subject::load(inputs, &regimen, inputs.plan.seed.value)?;
    let mut progress = match circumstances.resume {
        true => checkpoint::load(path, &mut parameters)?.unwrap_or_default(),
        false => Progress::default(),
    };
    let output = if circumstances.resume { OutputDirectory::existing(path) } else { OutputDirectory::create(path)? };
    let mut log = if circumstances.resume {
        JsonlObserver::resume(&output.file(EVENTS), progress.step)?
    } else {
        output.write(PLAN, &inputs.plan.to_toml())?;
        JsonlObserver::create(&output.file(EVENTS))?
    };
    if !circumstances.resume {
        inputs.events.iter().for_each(|event| log.event(event));
    }
    let mut observers: [&mut dyn Observer; 2] = [observer, &mut log];
    let mut all = Observers(&mut observers);
    let observer: &mut dyn Observer = &mut all;
    if circumstances.resume && progress.step == 0 {
        observer.event(&RunEvent::Note { message: "no state was saved: from the start".to_string() });
    }
    for note in notes(&report) {
        observer.event(&RunEvent::Note { message: note });
    }
    seconds.load += lap(&mut timer);

    observer.event(&RunEvent::phase("train"));
    let mut task = classification(inputs, &regimen, &model, inputs.plan.seed.value);
    let steps_per_epoch = task.steps_per_epoch();
    let total_steps = total_steps(&inputs.plan, &task);
    let frozen = hash_frozen(&parameters);
    observer.event(&started(inputs, total_steps, total_steps.div_ceil(steps_per_epoch), &parameters));
    if progress.step == 0 && starts_from_probe(&inputs.plan, &report) {
        fit_probe(inputs, &model, &mut parameters, &task.options);
    }
    let probe_seconds = lap(&mut timer);
    let before = progress.seconds;
    let options = fit_options(&inputs.plan, total_steps);
    let surroundings = Surroundings { observer, interrupt: circumstances.interrupt, checkpoints: None };
    let stop = fit(&mut task, &mut parameters, &options, &mut progress, surroundings)?;
    // What the loop did besides steps is scoring.
    seconds.evaluate = lap(&mut timer) - (progress.seconds - before);
    seconds.train = probe_seconds + progress.seconds;

    match stop {
        Some(Stop::Interrupted) => {
            observer.event(&RunEvent::Stopped { step: progress.step, reason: "interrupted".to_string() });
            checkpoint::save(&output, &parameters, &progress)?;
            log.finish()?;
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step: progress.step, total_steps });
        }
        Some(Stop::Diverged(step)) => {
            let best = progress.best.take();
            let error = diverged(inputs, &output, &mut parameters, best.as_ref(), step);
            observer.event(&RunEvent::Stopped { step, reason: error.to_string() });
            log.finish()?;
            if best.is_none() && !circumstances.resume {
                output.discard()?;
            }
            return Err(error);
        }
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
    let best = progress.best.take().filter(|best| {
        // The last weights are the best ones when the last evaluation was.
        inputs.plan.load_best_model_at_end.value && best.step != progress.step
    });
    if let Some(best) = &best {
        restore_best(&mut parameters, best);
    }

    observer.event(&RunEvent::phase("evaluate"));
    let epoch = progress.step as f64 / steps_per_epoch as f64;
    let batch_size = task.options.eval_batch_size;
    let mut evaluate = |name: &str, split: &Split| -> (SplitScores, Vec<f32>) {
        let logits = infer(&model, &parameters, &split.texts, batch_size, Output::Logits);
        let scores: Scores = topwork_metrics::evaluate(&logits, inputs.labels.len(), &split.labels);
        observer.event(&RunEvent::evaluated(progress.step, epoch, name, &scores));
        (SplitScores::new(split.labels.len(), &scores), logits)
    };
    // At even distances, because a file may be sorted by label.
    let rows = inputs.train.labels.len();
    let scored = rows.min(TRAIN_ROWS_SCORED);
    let sample = inputs.train.select(&(0..scored).map(|i| i * rows / scored).collect::<Vec<_>>());
    let (train, _) = evaluate("train", &sample);
    let validation = inputs.validation.as_ref().map(|split| evaluate("validation", split));
    if !train.loss.is_finite() {
        // Only the last step's update can have done it: every step before is followed by one that would have noticed.
        let error = diverged(inputs, &output, &mut parameters, None, progress.step);
        observer.event(&RunEvent::Stopped { step: progress.step, reason: error.to_string() });
        log.finish()?;
        if !circumstances.resume {
            output.discard()?;
        }
        return Err(error);
    }
    let test = inputs.test.as_ref().map(|split| evaluate("test", split));
    if let Some(warning) = one_class_only(inputs, validation.as_ref(), test.as_ref()) {
        observer.event(&RunEvent::warning(warning));
    }
    seconds.evaluate += lap(&mut timer);

    observer.event(&RunEvent::phase("save"));
    output.write_model(inputs, &parameters)?;
    let held_out = match (&inputs.validation, &inputs.test) {
        (Some(split), _) => ("validation", split),
        (None, Some(split)) => ("test", split),
        (None, None) => ("train", &sample),
    };
    let proofs = Proofs {
        frozen_unchanged: prove_frozen(&frozen, &parameters)?,
        trained_received_gradient: prove_gradients(&parameters, &progress.gradient_seen)?,
        reloaded_same_logits: reload(&model, &parameters, &output, held_out, batch_size)?,
    };
    for (name, detail) in proofs.details() {
        observer.event(&RunEvent::ProofPassed { name: name.to_string(), detail });
    }
    seconds.save = lap(&mut timer);
    let judged = test.as_ref().or(validation.as_ref()).map(|(scores, _)| *scores);
    let transfer = match judged.filter(|_| inputs.plan.compare_seeds.value > 0) {
        Some(scores) => {
            observer.event(&RunEvent::phase("compare"));
            transfer::compare(inputs, scores, inputs.plan.compare_seeds.value, observer, circumstances.interrupt)?
        }
        None => None,
    };
    seconds.compare = lap(&mut timer);
    seconds.total = circumstances.started.elapsed().as_secs_f64();
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
        best: best.map(|best| BestResult { step: best.step, metric: task.options.metric.name(), value: best.value }),
        stopped: (stop == Some(Stop::Early)).then(|| "early_stopping".to_string()),
        transfer,
        proofs,
        topwork_version: VERSION,
    };
    output.write_results(inputs, &results)?;
    checkpoint::remove(&output)?;
    observer.event(&RunEvent::Finished { output_dir: path.to_path_buf(), seconds: seconds.total });
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

/// Saves the best evaluation's weights, if there was one, and says what happened.
fn diverged(
    inputs: &Inputs,
    output: &OutputDirectory,
    parameters: &mut Parameters,
    best: Option<&Best>,
    step: usize,
) -> Error {
    let lower = inputs.plan.learning_rate.value / 10.0;
    let what = format!("step {step}: the loss or the gradient is not a finite number");
    let saved = best.map(|best| {
        restore_best(parameters, best);
        output.write_model(inputs, parameters).map(|()| (best.step, best.value))
    });
    let message = match saved {
        None => format!("{what}; no epoch was finished before, so nothing is kept"),
        Some(Ok((best, value))) => format!(
            "{what}; {} holds the model of step {best}, whose {} on the validation rows was {value:.4}",
            output.path().display(),
            inputs.plan.metric_for_best_model.value
        ),
        Some(Err(error)) => format!("{what}; the best model before it could not be saved: {error}"),
    };
    Error::run(message, format!("--learning-rate {lower:e} --output ANOTHER"))
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
    model: &BertClassifier,
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
