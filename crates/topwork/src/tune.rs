//! Fine-tuning from plan to proven result: one function that reads top to bottom, and its paragraphs.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rayon::ThreadPoolBuilder;
use topwork_engine::{AdamWOptions, Parameters};
use topwork_metrics::Scores;
use topwork_models::bert::{Bert, DropoutRates};
use topwork_models::{FamilyConfig, LoadOptions, LoadReport, load_parameters};

use crate::batch::{Output, infer};
use crate::checkpoint;
use crate::classifier::Classifier;
use crate::error::Error;
use crate::events::{JsonlObserver, Observer, Observers, RunEvent};
use crate::facts::VERSION;
use crate::fit::{FitOptions, Progress, Steps, Stop, Training, fit, restore_best};
use crate::inputs::{Inputs, Split};
use crate::output::{EVENTS, OutputDirectory, PLAN};
use crate::plan::Plan;
use crate::plan_error::PlanError;
use crate::probe;
use crate::proofs::{Proofs, ReloadProof, hash_frozen, prove_frozen, prove_gradients, prove_reload};
use crate::results::{BestResult, Results, Seconds, SplitScores, peak_rss_mb};
use crate::value::HeadInit;

/// The training split is scored on at most so many rows: enough to see a gap to the validation rows.
pub const TRAIN_ROWS_SCORED: usize = 1000;
/// The saved model is compared with the one in memory on at most so many rows.
const ROWS_PROVED: usize = 256;

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is over, and the result is saved.
    Finished {
        /// Where.
        output_dir: PathBuf,
        /// What was measured.
        results: Box<Results>,
    },
    /// The user interrupted it; its state is saved.
    Interrupted {
        /// Where.
        output_dir: PathBuf,
        /// Optimizer steps taken.
        step: usize,
        /// Optimizer steps of the whole run.
        total_steps: usize,
    },
}

/// What surrounds a run without changing its result.
pub struct Circumstances<'a> {
    /// When the process began.
    pub started: Instant,
    /// Set when the run is to stop after the step that it is at.
    pub interrupt: &'a AtomicBool,
    /// Go on from the state in the output directory.
    pub resume: bool,
}

/// Fine-tunes a model as `inputs.plan` says, and saves it.
///
/// # Errors
/// When the output directory is taken, training diverges, a proof fails or a file cannot be written.
pub fn tune(
    inputs: &Inputs,
    circumstances: &Circumstances<'_>,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome, Error> {
    let path = inputs.plan.output_dir.value.as_deref().ok_or(PlanError::Missing { key: "output_dir" })?;
    let pool = ThreadPoolBuilder::new().num_threads(inputs.plan.threads.value).build();
    let pool = pool.map_err(|error| Error::run(format!("threads: {error}"), "--threads 1"))?;
    pool.install(|| run(inputs, path, circumstances, observer))
}

fn run(
    inputs: &Inputs,
    path: &Path,
    circumstances: &Circumstances<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let mut seconds = Seconds { load: inputs.load_seconds, tokenize: inputs.tokenize_seconds, ..Seconds::default() };
    let mut timer = Instant::now();
    let (mut parameters, model, report) = load_model(inputs)?;
    let mut progress = match circumstances.resume {
        true => checkpoint::load(path, &mut parameters)?,
        false => Progress::default(),
    };
    let output = if circumstances.resume { OutputDirectory::existing(path) } else { OutputDirectory::create(path)? };
    let mut log = if circumstances.resume {
        JsonlObserver::append(&output.file(EVENTS))?
    } else {
        output.write(PLAN, &inputs.plan.to_toml())?;
        JsonlObserver::create(&output.file(EVENTS))?
    };
    let mut observers: [&mut dyn Observer; 2] = [observer, &mut log];
    let mut all = Observers(&mut observers);
    let observer: &mut dyn Observer = &mut all;
    for note in notes(&report) {
        observer.event(&RunEvent::Note { message: note });
    }
    seconds.load += lap(&mut timer);

    observer.event(&RunEvent::phase("train"));
    let options = fit_options(&inputs.plan, &inputs.train.labels);
    let training = Training {
        model: &model,
        policy: &inputs.policy,
        classes: inputs.labels.len(),
        train: inputs.train.rows(),
        validation: inputs.validation.as_ref().map(Split::rows),
    };
    let frozen = hash_frozen(&parameters);
    let steps = Steps::count(inputs.train.labels.len(), &options);
    observer.event(&started(inputs, &steps, &options, &parameters));
    if !circumstances.resume && starts_from_probe(&inputs.plan, &report) {
        fit_probe(inputs, &model, &mut parameters, &options);
    }
    let stop = fit(&training, &mut parameters, &options, &mut progress, observer, circumstances.interrupt)?;
    seconds.train = lap(&mut timer);

    let total_steps = steps.total;
    match stop {
        Some(Stop::Interrupted) => {
            observer.event(&RunEvent::Stopped { step: progress.step, reason: "interrupted".to_string() });
            checkpoint::save(&output, &parameters, &progress)?;
            log.finish()?;
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step: progress.step, total_steps });
        }
        Some(Stop::Diverged(step)) => {
            let error = diverged(inputs, &output, &mut parameters, &progress, step);
            observer.event(&RunEvent::Stopped { step, reason: error.to_string() });
            log.finish()?;
            if progress.best.is_none() {
                output.discard()?;
            }
            return Err(error);
        }
        Some(Stop::Early) => {
            let reason = format!(
                "{} did not improve in {} evaluations",
                options.metric.name(),
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
    let epoch = progress.step as f64 / steps.per_epoch as f64;
    let batch_size = options.eval_batch_size;
    let mut evaluate = |name: &str, split: &Split| -> (SplitScores, Vec<f32>) {
        let logits = infer(&model, &parameters, &split.texts, batch_size, Output::Logits);
        let scores: Scores = topwork_metrics::evaluate(&logits, inputs.labels.len(), &split.labels);
        observer.event(&RunEvent::evaluated(progress.step, epoch, name, &scores));
        (SplitScores::new(split.labels.len(), &scores), logits)
    };
    let sample: Vec<usize> = (0..inputs.train.labels.len().min(TRAIN_ROWS_SCORED)).collect();
    let sample = inputs.train.select(&sample);
    let (train, train_logits) = evaluate("train", &sample);
    let validation = inputs.validation.as_ref().map(|split| evaluate("validation", split));
    let test = inputs.test.as_ref().map(|split| evaluate("test", split));
    if let Some(warning) = one_class_only(inputs, validation.as_ref(), test.as_ref()) {
        observer.event(&RunEvent::warning(warning));
    }
    seconds.evaluate = lap(&mut timer);

    observer.event(&RunEvent::phase("save"));
    output.write_model(inputs, &parameters)?;
    let held_out = match (&inputs.validation, &validation, &inputs.test, &test) {
        (Some(split), Some((_, logits)), _, _) => ("validation", split, logits),
        (_, _, Some(split), Some((_, logits))) => ("test", split, logits),
        _ => ("train", &sample, &train_logits),
    };
    let proofs = Proofs {
        frozen_unchanged: prove_frozen(&frozen, &parameters)?,
        trained_received_gradient: prove_gradients(&parameters, &progress.gradient_seen)?,
        reloaded_same_logits: reload(inputs, &output, held_out, batch_size)?,
    };
    for (name, detail) in proofs.details() {
        observer.event(&RunEvent::ProofPassed { name: name.to_string(), detail });
    }
    seconds.save = lap(&mut timer);
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
        best: best.map(|best| BestResult { step: best.step, metric: options.metric.name(), value: best.value }),
        stopped: (stop == Some(Stop::Early)).then(|| "early_stopping".to_string()),
        proofs,
        topwork_version: VERSION,
    };
    output.write_results(inputs, &results)?;
    checkpoint::remove(&output)?;
    observer.event(&RunEvent::Finished { output_dir: path.to_path_buf(), seconds: seconds.total });
    log.finish()?;
    Ok(Outcome::Finished { output_dir: path.to_path_buf(), results: Box::new(results) })
}

/// Seconds since the last lap.
fn lap(timer: &mut Instant) -> f64 {
    std::mem::replace(timer, Instant::now()).elapsed().as_secs_f64()
}

/// The pretrained parameters, trainable or frozen as the policy says, and the model on them.
fn load_model(inputs: &Inputs) -> Result<(Parameters, Bert, LoadReport), Error> {
    let FamilyConfig::Bert(bert) = &inputs.config.family else {
        return Err(Error::run(format!("{}: not a text model", inputs.source.display()), "choose a text encoder"));
    };
    let plan = &inputs.plan;
    let labels = inputs.labels.names();
    let specs = inputs.config.parameters(labels.len());
    let options = LoadOptions {
        seed: plan.seed.value,
        initializer_range: bert.initializer_range,
        head: inputs.config.head_rule(labels),
    };
    let loaded = load_parameters(&inputs.checkpoint, inputs.config.description(), &specs, &options)?;
    let mut parameters = Parameters::new();
    for ((spec, values), policy) in specs.iter().zip(loaded.tensors).zip(&inputs.policy.parameters) {
        let id = parameters.add(spec.name.clone(), &spec.shape, &values);
        parameters.get_mut(id).trainable = policy.trainable;
    }
    let dropout = DropoutRates {
        hidden: plan.hidden_dropout_prob.value,
        attention: plan.attention_probs_dropout_prob.value,
        classifier: plan.classifier_dropout.value,
    };
    let model = Bert::new(bert, &parameters, dropout)?;
    Ok((parameters, model, loaded.report))
}

/// What is new in the model, and what was left out of the checkpoint, one line for each reason.
fn notes(report: &LoadReport) -> Vec<String> {
    let grouped = |entries: &[(String, String)]| {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        for (name, reason) in entries {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, names)) => names.push(name.clone()),
                None => reasons.push((reason.clone(), vec![name.clone()])),
            }
        }
        reasons
    };
    let new = grouped(&report.new).into_iter().map(|(reason, names)| format!("new: {} ({reason})", names.join(", ")));
    let left_out = grouped(&report.ignored).into_iter().map(|(reason, names)| match names.as_slice() {
        [name] => format!("left out of the checkpoint: {name} ({reason})"),
        names => format!("left out of the checkpoint: {} tensors ({reason})", names.len()),
    });
    new.chain(left_out).collect()
}

fn fit_options(plan: &Plan, labels: &[u32]) -> FitOptions {
    let mut counts = vec![0; plan.facts.labels.len()];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    FitOptions {
        epochs: plan.num_train_epochs.value,
        max_steps: plan.max_steps.value,
        batch_size: plan.per_device_train_batch_size.value,
        gradient_accumulation_steps: plan.gradient_accumulation_steps.value,
        eval_batch_size: plan.per_device_eval_batch_size.value,
        learning_rate: plan.learning_rate.value,
        schedule: plan.lr_scheduler_type.value,
        warmup_ratio: plan.warmup_ratio.value,
        adamw: AdamWOptions {
            beta1: plan.adam_beta1.value,
            beta2: plan.adam_beta2.value,
            epsilon: plan.adam_epsilon.value,
        },
        max_grad_norm: plan.max_grad_norm.value,
        label_smoothing: plan.label_smoothing_factor.value,
        class_weights: plan.class_weight_values(&counts),
        seed: plan.seed.value,
        metric: plan.metric_for_best_model.value,
        early_stopping_patience: plan.early_stopping_patience.value,
    }
}

fn started(inputs: &Inputs, steps: &Steps, options: &FitOptions, parameters: &Parameters) -> RunEvent {
    RunEvent::Started {
        total_steps: steps.total,
        epochs: options.max_steps.map_or(options.epochs, |most| most.div_ceil(steps.per_epoch)),
        rows: inputs.train.labels.len(),
        validation_rows: inputs.validation.as_ref().map_or(0, |split| split.labels.len()),
        parameters: parameters.iter().map(|(_, parameter)| parameter.values.len()).sum(),
        trainable_parameters: inputs.policy.trainable_values(),
    }
}

/// A head that was trained on these labels before is better than a probe.
fn starts_from_probe(plan: &Plan, report: &LoadReport) -> bool {
    plan.head_init.value == HeadInit::LinearProbe && report.new.iter().any(|(name, _)| name == "classifier.weight")
}

fn fit_probe(inputs: &Inputs, model: &Bert, parameters: &mut Parameters, options: &FitOptions) {
    let features = infer(model, parameters, &inputs.train.texts, options.eval_batch_size, Output::Features);
    let class_weights = options.class_weights.as_deref();
    let probe = probe::fit(&features, &inputs.train.labels, inputs.labels.len(), class_weights);
    let (weight, bias) = model.classifier();
    parameters.get_mut(weight).values.copy_from_slice(&probe.weight);
    parameters.get_mut(bias).values.copy_from_slice(&probe.bias);
}

/// Saves the best evaluation's weights, if there was one, and says what happened.
fn diverged(
    inputs: &Inputs,
    output: &OutputDirectory,
    parameters: &mut Parameters,
    progress: &Progress,
    step: usize,
) -> Error {
    let lower = inputs.plan.learning_rate.value / 10.0;
    let what = format!("step {step}: the loss or the gradient is not a finite number");
    let saved = progress.best.as_ref().map(|best| {
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
fn reload(
    inputs: &Inputs,
    output: &OutputDirectory,
    (name, split, logits): (&str, &Split, &Vec<f32>),
    batch_size: usize,
) -> Result<ReloadProof, Error> {
    let rows = split.labels.len().min(ROWS_PROVED);
    let reloaded = Classifier::load(output.path())?;
    let texts = reloaded.tokenize(&split.examples[..rows])?;
    let compared = &logits[..rows * inputs.labels.len()];
    prove_reload(compared, &reloaded.logits(&texts, batch_size), rows, name)
}
