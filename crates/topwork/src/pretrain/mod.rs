//! Pre-training from plan to proven result: one function that reads top to bottom, and its paragraphs.

pub mod baselines;
pub mod facts;
pub mod inputs;
mod model_card;
pub mod options;
pub mod profile;
pub mod resolve;
pub mod results;

use std::path::Path;
use std::time::{Duration, Instant};

use tokenizers::Tokenizer;
use topwork_data::{CorpusPart, DataError};
use topwork_engine::{AdamW, AdamWOptions, Gradients, Parameters, Pool, Rates};
use topwork_models::{
    Block, Checkpoint, Dropouts, HeadBranch, HeadLayout, HeadRule, LoadReport, Model, ModelConfig, ModelOptions,
    ParameterKind, ParameterSpec, WeightOptions, Weights, load_tokenizer, max_length, pooling_of, save_config,
    save_pooling, save_tokenizer, write_trained_tokenizer,
};

use crate::error::Error;
use crate::events::{JsonlObserver, Observer, Observers, RunEvent};
use crate::fit::problem::Problem;
use crate::fit::{Budget, Checkpoints, FitContext, FitOptions, Progress, Stop, fit};
use crate::plan::facts::VERSION;
use crate::plan::parameter_policy::{ParameterPolicy, Policy};
use crate::run::checkpoint;
use crate::run::output_directory::{EVENTS, OutputDirectory, PLAN, RESULTS};
use crate::run::peak_rss_mb;
use crate::run::proofs::{Proofs, ReloadProof, hash_frozen, prove_frozen, prove_gradients, prove_reload, prove_tokens};
use crate::run::{Outcome, RunContext, announce, lap, thread_pool};
use crate::session::profile::PROFILE;
use crate::tasks::objectives::contrastive::Contrastive;
use crate::tasks::objectives::mlm::Mlm;
use crate::tasks::objectives::nsp::NextSentence;
use crate::tasks::objectives::sop::SentenceOrder;
use crate::tasks::objectives::{PairObjective, Questions};
use crate::tasks::pretraining_problem::{ObjectiveScores, Pretraining, PretrainingOptions};
use inputs::{PretrainInputs, tokenizer_options};
use options::PretrainPlan;
use profile::{HeldOutProfile, PretrainingProfile};
use results::{PretrainResults, PretrainSeconds};

/// Steps from which the time of a run is estimated.
const TIMED_STEPS: usize = 10;

/// Pre-trains a model as `inputs.plan` says, and saves it.
///
/// # Errors
/// When the output directory is taken, training diverges, a proof fails or a file cannot be written.
pub fn pretrain(
    inputs: &PretrainInputs,
    context: &RunContext<'_>,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome<PretrainResults>, Error> {
    let path = &inputs.plan.output_dir.value;
    thread_pool(inputs.plan.threads.value)?.install(|| run(inputs, path, context, observer))
}

fn run(
    inputs: &PretrainInputs,
    path: &Path,
    context: &RunContext<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome<PretrainResults>, Error> {
    let plan = &inputs.plan;
    let mut timer = Instant::now();
    let mut seconds =
        PretrainSeconds { load: inputs.load_seconds, tokenize: inputs.tokenize_seconds, ..PretrainSeconds::default() };
    let LoadedModel { mut parameters, model, policy, report } = load_model(inputs)?;
    let mlm = masked_words(plan);
    let options = task_options(inputs, &mlm);
    let mut task = Pretraining::new(&model, &policy, options, &inputs.train, inputs.held_out.as_ref())?;
    let (output, mut log, mut progress) = open(inputs, path, context, &mut parameters)?;
    let mut observers: [&mut dyn Observer; 2] = [observer, &mut log];
    let mut all = Observers(&mut observers);
    let observer: &mut dyn Observer = &mut all;
    announce(context.resume && progress.step == 0, &report, observer);
    seconds.load += lap(&mut timer);

    observer.event(&RunEvent::phase("train"));
    let fit_options = fit_options(inputs, &task);
    let timed = time_steps(&mut task, &mut parameters, fit_options.adamw)?;
    let estimate = Estimate::new(fit_options.budget, &task, &progress, timed);
    observer.event(&started(inputs, &estimate, &parameters, &policy));
    observer.event(&RunEvent::Note { message: estimate.to_string() });
    if plan.objective.value.contrastive.is_some() && inputs.held_out.is_some() && task.held_out().len() < 4 {
        let message = "contrastive is not scored: fewer than two passages are held out, and one is told from another";
        observer.event(&RunEvent::warning(message));
    }
    let frozen = hash_frozen(&parameters);
    let mut save = |parameters: &Parameters, progress: &Progress| checkpoint::save(&output, parameters, progress);
    let every = Duration::from_secs_f64(plan.save_every.value.seconds);
    let fit_context = FitContext {
        observer,
        interrupt: context.interrupt,
        checkpoints: Some(Checkpoints { every, spare: 0, save: &mut save }),
    };
    let stop = fit(&mut task, &mut parameters, &fit_options, &mut progress, fit_context)?;
    seconds.train = progress.seconds;
    let epoch = task.epoch(&progress);
    match stop {
        Some(Stop::Interrupted) => {
            observer.event(&RunEvent::Stopped { step: progress.step, reason: "interrupted".to_string() });
            checkpoint::save(&output, &parameters, &progress)?;
            log.finish()?;
            let (step, total_steps) = (progress.step, estimate.steps.max(progress.step));
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step, total_steps });
        }
        Some(Stop::Diverged(step)) => {
            let error = diverged(plan, &output, step);
            observer.event(&RunEvent::Stopped { step, reason: error.to_string() });
            log.finish()?;
            if !context.resume && !output.file(checkpoint::FOLDER).is_dir() {
                output.discard()?;
            }
            return Err(error);
        }
        Some(Stop::Early) | None => {}
    }
    lap(&mut timer);

    observer.event(&RunEvent::phase("evaluate"));
    let held_out = task.score(&parameters);
    let baselines = baselines_of(inputs, &options, &task)?;
    seconds.evaluate = progress.elapsed - progress.seconds + lap(&mut timer);

    observer.event(&RunEvent::phase("save"));
    write_model(inputs, &output, &parameters)?;
    output.write_json(PROFILE, &PretrainingProfile::measure(inputs, &held_out)?)?;
    let proofs = Proofs {
        frozen_unchanged: prove_frozen(&frozen, &parameters)?,
        trained_received_gradient: prove_gradients(&parameters, &progress.gradient_seen, &[])?,
        reloaded_same_logits: reload(inputs, &output, &task, &parameters, options)?,
    };
    proofs.report(observer);
    seconds.save = lap(&mut timer);
    seconds.total = context.started.elapsed().as_secs_f64();
    let results = PretrainResults {
        held_out: held_out.iter().map(HeldOutProfile::from).collect(),
        baselines: baselines.iter().map(HeldOutProfile::from).collect(),
        seconds,
        peak_rss_mb: peak_rss_mb(),
        steps: progress.step,
        tokens: progress.tokens,
        epochs: epoch,
        tokens_per_second: progress.tokens as f64 / progress.seconds,
        parameters: parameters.iter().map(|(_, parameter)| parameter.values.len()).sum(),
        seed: plan.seed.value,
        proofs,
        topwork_version: VERSION,
    };
    output.write("README.md", &model_card::model_card(inputs, &results))?;
    output.write_json(RESULTS, &results)?;
    checkpoint::remove(&output)?;
    observer.event(&RunEvent::Finished { output_dir: path.to_path_buf(), seconds: results.seconds.total });
    log.finish()?;
    Ok(Outcome::Finished { output_dir: path.to_path_buf(), results: Box::new(results) })
}

/// The output directory of a run that begins or goes on, its log, and how far it has come.
fn open(
    inputs: &PretrainInputs,
    path: &Path,
    context: &RunContext<'_>,
    parameters: &mut Parameters,
) -> Result<(OutputDirectory, Log, Progress), Error> {
    if context.resume {
        let progress = checkpoint::load(path, parameters)?.unwrap_or_default();
        let output = OutputDirectory::existing(path);
        let log = JsonlObserver::resume(&output.file(EVENTS), progress.step)?;
        return Ok((output, log, progress));
    }
    let output = OutputDirectory::create(path)?;
    output.write(PLAN, &inputs.plan.to_toml())?;
    let mut log = JsonlObserver::create(&output.file(EVENTS))?;
    inputs.events.iter().for_each(|event| log.event(event));
    Ok((output, log, Progress::default()))
}

type Log = JsonlObserver<std::io::BufWriter<std::fs::File>>;

/// How tokens are hidden.
fn masked_words(plan: &PretrainPlan) -> Mlm {
    Mlm {
        probability: plan.mlm_probability.value,
        unit: plan.mask_unit.value,
        replacement: plan.mask_replacement.value,
    }
}

/// What there is to do.
fn started(inputs: &PretrainInputs, estimate: &Estimate, parameters: &Parameters, policy: &Policy) -> RunEvent {
    let counts = inputs.corpus.counts();
    RunEvent::Started {
        unit: "documents".to_string(),
        total_steps: estimate.steps,
        epochs: estimate.epochs.ceil() as usize,
        rows: counts.documents as usize - counts.held_out_documents as usize,
        validation_rows: counts.held_out_documents as usize,
        parameters: parameters.iter().map(|(_, parameter)| parameter.values.len()).sum(),
        trainable_parameters: policy.trainable_values(),
    }
}

/// What counting words scores on the held-out words; nothing where no word is asked for.
fn baselines_of(
    inputs: &PretrainInputs,
    options: &PretrainingOptions,
    task: &Pretraining<'_>,
) -> Result<Vec<ObjectiveScores>, Error> {
    if inputs.plan.objective.value.mlm.is_none() || task.held_out().is_empty() {
        return Ok(Vec::new());
    }
    let max_passage = Questions::max_passage(options.max_length, options.pair.is_some());
    let (start, size) = (inputs.vocabulary.special.cls, inputs.vocabulary.is_text.len());
    Ok(baselines::measure(&inputs.train, max_passage, start, size, task.held_out())?.to_vec())
}

/// A model bound to its parameters.
struct LoadedModel {
    parameters: Parameters,
    model: Model,
    policy: Policy,
    report: LoadReport,
}

fn load_model(inputs: &PretrainInputs) -> Result<LoadedModel, Error> {
    let (plan, head) = (&inputs.plan, inputs.head);
    let weights = match &inputs.source {
        Some(source) => {
            let options = WeightOptions { seed: plan.seed.value, ..WeightOptions::of(head, HeadRule::LoadIfShapeFits) };
            Weights::load(&source.checkpoint, &inputs.config, &options)?
        }
        None => Weights::initial(&inputs.config, head, plan.seed.value)?,
    };
    let policy = policy(&weights.specs, &inputs.config.head(head)?, plan);
    let mut parameters = weights.parameters();
    for ((_, parameter), policy) in parameters.iter_mut().zip(&policy.parameters) {
        parameter.trainable = policy.trainable;
    }
    let dropouts = Dropouts {
        hidden: plan.hidden_dropout_prob.value,
        attention: plan.attention_probs_dropout_prob.value,
        head: 0.0,
    };
    let model = Model::bind(&inputs.config, &parameters, ModelOptions { dropouts, ..ModelOptions::of(head) })?;
    Ok(LoadedModel { parameters, model, policy, report: weights.report })
}

/// Everything that an objective asks for is trained at one rate; what none asks for stays as it is.
fn policy(specs: &[ParameterSpec], head: &HeadLayout, plan: &PretrainPlan) -> Policy {
    let objective = &plan.objective.value;
    let of = |spec: &ParameterSpec| {
        let is_asked = match spec.block {
            Block::Embeddings | Block::Layer(_) => true,
            Block::Final => objective.has_pooler(),
            Block::Head if head.branch_of(&spec.name) == Some(HeadBranch::Pairs) => objective.has_pair_head(),
            Block::Head => objective.mlm.is_some(),
        };
        let is_decayed = is_asked && matches!(spec.kind, ParameterKind::Weight | ParameterKind::Embedding);
        ParameterPolicy {
            name: spec.name.clone(),
            block: spec.block,
            values: spec.len(),
            trainable: is_asked,
            lr_scale: if is_asked { 1.0 } else { 0.0 },
            weight_decay: if is_decayed { plan.weight_decay.value } else { 0.0 },
            why: if is_asked { "pre-trained" } else { "no objective asks for it" }.to_string(),
        }
    };
    Policy { parameters: specs.iter().map(of).collect() }
}

fn task_options<'a>(inputs: &'a PretrainInputs, mlm: &'a Mlm) -> PretrainingOptions<'a> {
    let plan = &inputs.plan;
    let objective = &plan.objective.value;
    // The plan has at most one of them.
    let pair = [
        objective.nsp.map(|weight| (&NextSentence as &dyn PairObjective, weight as f32)),
        objective.sop.map(|weight| (&SentenceOrder as &dyn PairObjective, weight as f32)),
        objective.contrastive.map(|weight| (&Contrastive as &dyn PairObjective, weight as f32)),
    ];
    let pair = pair.into_iter().flatten().next();
    PretrainingOptions {
        vocabulary: &inputs.vocabulary,
        mlm: objective.mlm.map(|weight| (mlm, weight as f32)),
        pair,
        shuffle_pair_labels: plan.shuffle_pair_labels.value,
        max_length: plan.max_seq_length.value,
        batch_size: plan.per_device_train_batch_size.value,
        gradient_accumulation_steps: plan.gradient_accumulation_steps.value,
        eval_batch_size: plan.per_device_train_batch_size.value.max(32),
        shuffle_buffer: plan.shuffle_buffer.value,
        eval_passages: plan.max_eval_samples.value,
        seed: plan.seed.value,
    }
}

fn fit_options(inputs: &PretrainInputs, task: &Pretraining<'_>) -> FitOptions {
    let plan = &inputs.plan;
    let steps_of = |epochs: f64| (epochs * task.steps_per_epoch()).ceil() as usize;
    let epochs = plan.num_train_epochs.value.map(|epochs| Budget::Steps(steps_of(epochs)));
    let steps = plan.max_steps.value.map(Budget::Steps);
    let tokens = plan.max_tokens.value.map(Budget::Tokens);
    let time = plan.max_time.value.map(|span| Budget::Seconds(span.seconds));
    FitOptions {
        keep_by_training_loss: false,
        // The plan has exactly one.
        budget: steps.or(tokens).or(time).or(epochs).unwrap_or(Budget::Steps(0)),
        learning_rate: plan.learning_rate.value,
        schedule: plan.lr_scheduler_type.value,
        warmup_ratio: plan.warmup_ratio.value,
        adamw: AdamWOptions {
            beta1: plan.adam_beta1.value,
            beta2: plan.adam_beta2.value,
            epsilon: plan.adam_epsilon.value,
        },
        max_grad_norm: plan.max_grad_norm.value,
        early_stopping_patience: None,
    }
}

/// What a step takes.
#[derive(Clone, Copy)]
struct TimedStep {
    seconds: f64,
    tokens: f64,
}

/// Measured on the first steps at a learning rate of zero; their gradients are thrown away.
fn time_steps(
    task: &mut Pretraining<'_>,
    parameters: &mut Parameters,
    adamw: AdamWOptions,
) -> Result<TimedStep, Error> {
    let pool = Pool::new();
    let mut gradients = Gradients::new(parameters, &task.sparse_tables());
    let mut adamw = AdamW::new(parameters, &gradients, adamw);
    let (mut started, mut tokens) = (Instant::now(), 0);
    for step in 0..=TIMED_STEPS {
        gradients.clear();
        tokens += task.accumulate(parameters, step, &pool, &mut gradients)?.tokens;
        adamw.step(parameters, &gradients, 1.0, |_| Rates { learning_rate: 0.0, weight_decay: 0.0 });
        if step == 0 {
            // The first step fetches memory from the system.
            (started, tokens) = (Instant::now(), 0);
        }
    }
    let steps = TIMED_STEPS as f64;
    Ok(TimedStep { seconds: started.elapsed().as_secs_f64() / steps, tokens: tokens as f64 / steps })
}

/// How long a run will be.
struct Estimate {
    /// Of the whole run.
    steps: usize,
    epochs: f64,
    step_seconds: f64,
    /// What is left, in seconds.
    seconds: f64,
}

impl Estimate {
    fn new(budget: Budget, task: &Pretraining<'_>, progress: &Progress, timed: TimedStep) -> Self {
        let left = 1.0 - budget.spent(progress).min(1.0);
        let steps_left = match budget {
            Budget::Steps(steps) => left * steps as f64,
            Budget::Tokens(tokens) => left * tokens as f64 / timed.tokens,
            Budget::Seconds(seconds) => left * seconds / timed.seconds,
        };
        let steps = progress.step as f64 + steps_left;
        Self {
            steps: steps.ceil() as usize,
            epochs: steps / task.steps_per_epoch(),
            step_seconds: timed.seconds,
            seconds: steps_left * timed.seconds,
        }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = match self.seconds {
            seconds if seconds < 90.0 => format!("{seconds:.0} s"),
            seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
            seconds => format!("{:.1} h", seconds / 3600.0),
        };
        write!(
            f,
            "{TIMED_STEPS} steps took {:.2} s each: about {time} to step {}, {:.1} times the corpus",
            self.step_seconds, self.steps, self.epochs
        )
    }
}

fn diverged(plan: &PretrainPlan, output: &OutputDirectory, step: usize) -> Error {
    let rate = format!("--learning-rate {:e}", plan.learning_rate.value / 10.0);
    let kept = match output.file(checkpoint::FOLDER).is_dir() {
        true => format!("{} holds an earlier state", output.file(checkpoint::FOLDER).display()),
        false => "nothing was saved before".to_string(),
    };
    let message = format!("step {step}: the loss or the gradient is not a finite number; {kept}");
    Error::run(message, format!("{rate} --output ANOTHER"))
}

fn write_model(inputs: &PretrainInputs, output: &OutputDirectory, parameters: &Parameters) -> Result<(), Error> {
    output.write_weights(parameters, &[])?;
    save_config(output.path(), &inputs.config.for_head(inputs.head, &[], None)?)?;
    match &inputs.source {
        // Going on with shorter texts takes nothing from the positions that the model knows.
        Some(source) => {
            let length = max_length(&source.directory, inputs.plan.facts.longest())?;
            save_tokenizer(&source.directory, output.path(), &inputs.tokenizer, length)?;
            if let Some(stated) = pooling_of(&source.directory, &inputs.config)? {
                save_pooling(output.path(), &stated, inputs.config.encoder().sizes().hidden_size)?;
            }
        }
        None => {
            let length = inputs.plan.max_seq_length.value;
            write_trained_tokenizer(output.path(), &inputs.tokenizer, &tokenizer_options(&inputs.plan), length)?;
        }
    }
    Ok(())
}

/// Reads the saved directory afresh and asks both models the same questions.
fn reload(
    inputs: &PretrainInputs,
    output: &OutputDirectory,
    task: &Pretraining<'_>,
    parameters: &Parameters,
    options: PretrainingOptions<'_>,
) -> Result<ReloadProof, Error> {
    let config = ModelConfig::load(output.path())?;
    let options_of_load = WeightOptions::of(inputs.head, HeadRule::Required);
    let weights = Weights::load(&Checkpoint::open(output.path())?, &config, &options_of_load)?;
    let fresh = weights.parameters();
    let model = Model::bind(&config, &fresh, ModelOptions::of(inputs.head))?;
    let policy = policy(&weights.specs, &config.head(inputs.head)?, &inputs.plan);
    let again = Pretraining::new(&model, &policy, options, &inputs.train, inputs.held_out.as_ref())?;
    let part = if inputs.held_out.is_some() { CorpusPart::HeldOut } else { CorpusPart::Train };
    let split = if inputs.held_out.is_some() { "held-out" } else { "train" };
    let tokens = same_tokens(inputs, output, part, split)?;
    let (in_memory, rows) = task.sample_logits(parameters);
    let (reloaded, _) = again.sample_logits(&fresh);
    prove_reload(&in_memory, &reloaded, rows, split, tokens)
}

/// Documents of which the saved tokenizer has to make the same tokens, and characters of each.
const DOCUMENTS_PROVED: usize = 64;
const CHARACTERS_PROVED: usize = 4096;

/// Reads the saved tokenizer afresh and compares its tokens of the beginnings of documents with those of the run's tokenizer.
fn same_tokens(
    inputs: &PretrainInputs,
    output: &OutputDirectory,
    part: CorpusPart,
    split: &str,
) -> Result<usize, Error> {
    let reloaded = load_tokenizer(output.path())?;
    let encode = |tokenizer: &Tokenizer, text: &str| {
        let failed = |error| Error::proof(format!("the tokenizer fails on a text of the corpus: {error}"));
        tokenizer.encode(text, true).map_err(failed)
    };
    let documents = inputs.corpus.documents(part).take(DOCUMENTS_PROVED).map(|document: Result<String, DataError>| {
        let text: String = document?.chars().take(CHARACTERS_PROVED).collect();
        Ok((encode(&inputs.tokenizer, &text)?, encode(&reloaded, &text)?))
    });
    let both: Vec<_> = documents.collect::<Result<_, Error>>()?;
    let parts =
        both.iter().map(|(one, other)| ((one.get_ids(), one.get_type_ids()), (other.get_ids(), other.get_type_ids())));
    prove_tokens(parts, split)
}
