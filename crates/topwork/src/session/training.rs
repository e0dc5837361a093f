//! One training of a classifier, from weights to weights: what fine-tuning does once, and a comparison several times.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use topwork_data::{TargetKind, TokenizedTexts};
use topwork_engine::{AdamWOptions, ParameterId, Parameters};
use topwork_models::{Block, Dropouts, HeadRule, LoadReport, Model, ModelOptions, OutputLayer, WeightOptions, Weights};

use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent, SplitScores, shown};
use crate::fit::{Budget, FitContext, FitOptions, Progress, Stop, fit, restore_best};
use crate::network::batch::{Output, infer};
use crate::network::probe;
use crate::plan::Plan;
use crate::plan::defaults;
use crate::plan::parameter_policy::{Policy, policy};
use crate::plan::value::{HeadInit, Init, Method};
use crate::session::files::counts;
use crate::session::inputs::{Inputs, Split};
use crate::tasks::contrast::Contrast;
use crate::tasks::supervised_problem::{Learning, LearningOptions};
use crate::tasks::{LinearModel, LossOptions, Scoring};

/// What a training does, and with each parameter.
pub(crate) struct TrainingSetup {
    pub(crate) plan: Plan,
    pub(crate) policy: Policy,
}

impl TrainingSetup {
    /// As the plan says.
    pub(crate) fn planned(inputs: &Inputs) -> Self {
        Self { plan: inputs.plan.clone(), policy: inputs.policy.clone() }
    }

    /// The same steps on the same rows from random weights, at the rate that suits them and with what only spares
    /// pretrained weights left out: a baseline that was held back would prove nothing.
    pub(crate) fn from_scratch(inputs: &Inputs) -> Result<Self, Error> {
        Self::without_transfer(inputs, inputs.plan.clone())
    }

    /// As another plan for the same model says.
    pub(crate) fn of(inputs: &Inputs, plan: Plan) -> Result<Self, Error> {
        let policy = policy(&inputs.config.specs(inputs.head())?, &plan)?;
        Ok(Self { plan, policy })
    }

    /// As [`TrainingSetup::from_scratch`], of another plan for the same model.
    pub(crate) fn without_transfer(inputs: &Inputs, mut plan: Plan) -> Result<Self, Error> {
        plan.init.value = Init::Random;
        plan.method.value = Method::Finetune;
        plan.freeze_layers.value = 0;
        plan.head_init = defaults::head_init(&plan.facts, Init::Random);
        plan.layer_decay = defaults::layer_decay(Init::Random);
        plan.learning_rate = defaults::learning_rate(&plan.facts, Init::Random);
        Self::of(inputs, plan)
    }
}

/// A model bound to its parameters.
pub(crate) struct LoadedModel {
    pub(crate) parameters: Parameters,
    pub(crate) model: Model,
    pub(crate) report: LoadReport,
}

impl LoadedModel {
    /// The pretrained weights or random ones, trainable or frozen as the policy says. `seed` names what is random.
    pub(crate) fn load(inputs: &Inputs, setup: &TrainingSetup, seed: u64) -> Result<Self, Error> {
        let plan = &setup.plan;
        let (head, labels) = (inputs.head(), inputs.saved_labels());
        let weights = match plan.init.value {
            Init::Pretrained => {
                let pooling = plan.pooling.value;
                let head_rule = match inputs.config.pooling() == pooling {
                    true => inputs.config.head_rule(head, labels, inputs.task.problem_type()),
                    false => HeadRule::New("the checkpoint's head reads another pooling of the tokens"),
                };
                Weights::load(&inputs.checkpoint, &inputs.config, &WeightOptions { seed, head, head_rule, pooling })?
            }
            Init::Random => Weights::initial_with(&inputs.config, head, plan.pooling.value, seed)?,
        };
        let mut parameters = weights.parameters();
        for ((_, parameter), policy) in parameters.iter_mut().zip(&setup.policy.parameters) {
            parameter.trainable = policy.trainable;
        }
        let dropouts = Dropouts {
            hidden: plan.hidden_dropout_prob.value,
            attention: plan.attention_probs_dropout_prob.value,
            head: plan.classifier_dropout.value,
        };
        let options = ModelOptions { head, pooling: plan.pooling.value, dropouts };
        let mut model = Model::bind(&inputs.config, &parameters, options)?;
        let mut report = weights.report;
        if plan.init.value == Init::Random {
            let of_head = weights.specs.iter().filter(|spec| spec.block == Block::Head);
            report.new = of_head.map(|spec| (spec.name.clone(), "init random, as all".into())).collect();
        }
        if let Some(scale) = inputs.scoring.scale.clone() {
            // A head that goes on has the unit of its own training in its weights.
            match has_new_output(&model, &parameters, &report) {
                true => model.set_output_scale(scale),
                false => model.unfold_output_scale(&mut parameters, scale),
            }
        }
        Ok(Self { parameters, model, report })
    }
}

/// The rows of a training.
#[derive(Clone, Copy)]
pub(crate) struct TrainingRows<'a> {
    /// Those to learn from.
    pub(crate) train: &'a Split,
    /// Those to look at after each epoch.
    pub(crate) validation: Option<&'a Split>,
    /// Rows that are learnt from as well and are none of the file: names of classes, and texts that a model labelled.
    pub(crate) added: Option<&'a Split>,
}

impl<'a> TrainingRows<'a> {
    /// The rows as the plan parts them.
    pub(crate) fn planned(inputs: &'a Inputs) -> Self {
        Self { train: &inputs.train, validation: inputs.validation.as_ref(), added: inputs.added.as_ref() }
    }
}

/// Learning from rows as a setup says, on a model.
pub(crate) fn learning<'a>(
    inputs: &'a Inputs,
    learnt: TrainingRows<'a>,
    setup: &'a TrainingSetup,
    model: &'a Model,
    seed: u64,
) -> Learning<'a> {
    Learning {
        task: inputs.task,
        model,
        policy: &setup.policy,
        scoring: &inputs.scoring,
        train: learnt.train.rows(),
        validation: learnt.validation.map(Split::rows),
        sample: None,
        prefix: None,
        options: LearningOptions { seed, ..learning_options(&setup.plan, learnt.train, &inputs.scoring) },
        order: None,
    }
}

/// Learning which of these rows belong together, as a setup says, on a model.
pub(crate) fn contrast<'a>(setup: &'a TrainingSetup, model: &'a Model, rows: &'a Split, seed: u64) -> Contrast<'a> {
    Contrast::new(model, &setup.policy, &rows.texts, rows.classes(), seed, setup.plan.rows_per_step())
}

/// Optimizer steps of the whole run.
pub(crate) fn total_steps(plan: &Plan, problem: &Learning<'_>) -> usize {
    plan.steps(problem.steps_per_epoch(), None)
}

pub(crate) fn learning_options(plan: &Plan, train: &Split, scoring: &Scoring) -> LearningOptions {
    LearningOptions {
        batch_size: plan.per_device_train_batch_size.value,
        gradient_accumulation_steps: plan.gradient_accumulation_steps.value,
        eval_batch_size: plan.per_device_eval_batch_size.value,
        loss: LossOptions {
            label_smoothing: plan.label_smoothing_factor.value,
            class_weights: plan.class_weight_values(&counts(&train.targets, plan.facts.labels.len())),
            huber_delta: plan.huber_delta.value.map(|delta| delta as f32),
            scale: scoring.scale.clone(),
        },
        seed: plan.seed.value,
        metric: plan.metric_for_best_model.value,
    }
}

pub(crate) fn fit_options(plan: &Plan, total_steps: usize) -> FitOptions {
    FitOptions {
        budget: Budget::Steps(total_steps),
        learning_rate: plan.learning_rate.value,
        schedule: plan.lr_scheduler_type.value,
        warmup_ratio: plan.warmup_ratio.value,
        adamw: AdamWOptions {
            beta1: plan.adam_beta1.value,
            beta2: plan.adam_beta2.value,
            epsilon: plan.adam_epsilon.value,
        },
        max_grad_norm: plan.max_grad_norm.value,
        early_stopping_patience: plan.early_stopping_patience.value,
        keep_by_training_loss: false,
    }
}

/// A head that was trained on these labels before is better than a probe.
pub(crate) fn starts_from_probe(plan: &Plan, loaded: &LoadedModel) -> bool {
    let is_probed = plan.method.value == Method::Finetune && plan.head_init.value == HeadInit::LinearProbe;
    is_probed && has_new_output(&loaded.model, &loaded.parameters, &loaded.report)
}

/// Whether the output layer is none of the checkpoint's.
fn has_new_output(model: &Model, parameters: &Parameters, report: &LoadReport) -> bool {
    let output = model.output().map(|output| &parameters.get(output.weight).name);
    output.is_some_and(|output| report.new.iter().any(|(name, _)| name == output))
}

/// Puts a linear model on the untouched features of these rows in the place of the output layer.
pub(crate) fn fit_probe(inputs: &Inputs, train: &Split, loaded: &mut LoadedModel, options: &LearningOptions) {
    let LoadedModel { parameters, model, .. } = loaded;
    let features = infer(model, parameters, &train.texts, options.eval_batch_size, Output::Features);
    start_from_probe(inputs, model, parameters, &features, train, options);
}

/// Puts a linear model on these features `[rows, hidden]` of what the output layer sees in its place, scaled down: it predicts
/// the same classes, and is sure of none. One of numbers stays as it is.
pub(crate) fn start_from_probe(
    inputs: &Inputs,
    model: &Model,
    parameters: &mut Parameters,
    features: &[f32],
    train: &Split,
    options: &LearningOptions,
) {
    let scale = if inputs.task.kind() == TargetKind::Value { 1.0 } else { probe::SCALE };
    let fitted = inputs.task.linear_model(features, &train.targets, &options.loss, inputs.scoring.outputs());
    if let Some(fitted) = fitted {
        put_head(model, parameters, &fitted, scale);
    }
}

/// Puts a linear model, times a scale, in the place of the output layer; gives the parameters that it has.
fn put_head(model: &Model, parameters: &mut Parameters, fitted: &LinearModel, scale: f32) -> Vec<ParameterId> {
    let Some(OutputLayer { weight, bias: Some(bias) }) = model.output() else { return Vec::new() };
    for (id, fitted) in [(weight, &fitted.weight), (bias, &fitted.bias)] {
        let own = parameters.get_mut(id).values.iter_mut();
        own.zip(fitted).for_each(|(own, fitted)| *own = scale * fitted);
    }
    vec![weight, bias]
}

/// All rows that are learnt from: those of the file, and then the added ones.
pub(crate) fn with_added(learnt: TrainingRows<'_>) -> Cow<'_, Split> {
    match learnt.added {
        Some(added) => Cow::Owned(learnt.train.followed_by(added)),
        None => Cow::Borrowed(learnt.train),
    }
}

/// An output layer that was fitted, not trained.
pub(crate) struct FittedHead {
    /// Its parameters.
    pub(crate) parameters: Vec<ParameterId>,
    /// Its outputs for the rows that it was fitted to, `[rows, outputs]`, in units of their own where they have some.
    pub(crate) outputs: Vec<f32>,
}

/// Fits the output layer to what it reads of these rows.
///
/// # Errors
/// When there is no fit: for too few rows, or where the model gives no finite numbers.
pub(crate) fn fit_head(
    inputs: &Inputs,
    rows: &Split,
    model: &Model,
    parameters: &mut Parameters,
    options: &LearningOptions,
) -> Result<FittedHead, Error> {
    let features = infer(model, parameters, &rows.texts, options.eval_batch_size, Output::Features);
    if !features.iter().all(|value| value.is_finite()) {
        let message = "the model gives numbers that are not finite for some rows: no head can be fitted to them";
        return Err(Error::run(message, "a lower --learning-rate, or another model"));
    }
    if !varies(&features, features.len() / rows.len().max(1)) {
        let message = format!("the model gives all {} rows the same numbers: no head can tell them apart", rows.len());
        return Err(Error::run(message, "rows with different texts, --pooling mean, or another model"));
    }
    let fitted = inputs.task.fitted_head(&features, &rows.targets, &options.loss, inputs.scoring.outputs());
    let Some(fitted) = fitted else {
        let message = format!("a linear head needs more rows than the {} there are, or features that vary", rows.len());
        return Err(Error::run(message, "more rows, or --method finetune"));
    };
    let outputs = fitted.outputs(&features);
    Ok(FittedHead { parameters: put_head(model, parameters, &fitted, 1.0), outputs })
}

/// Whether a column of `features` differs between rows by more than rounding.
fn varies(features: &[f32], columns: usize) -> bool {
    let mut rows = features.chunks_exact(columns.max(1));
    let Some(first) = rows.next() else { return false };
    rows.any(|row| row.iter().zip(first).any(|(a, b)| (a - b).abs() > 1e-6 * a.abs().max(b.abs())))
}

/// Checks that there are rows to be put near each other, which folds and rows held out may have taken.
///
/// # Errors
/// When no class has two.
pub(crate) fn check_partners(rows: &Split) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    if rows.classes().iter().all(|class| seen.insert(class)) {
        let message =
            format!("setfit compares rows of a class: expected a class with two rows, found {} of one", rows.len());
        return Err(Error::run(message, "more rows, fewer --folds, --validation-fraction 0, or --method linear"));
    }
    Ok(())
}

/// So many values are trained at once: with their gradients and moments they take 1.6 GB.
pub(crate) const VALUES_AT_ONCE: usize = 100_000_000;

/// How many of so many trainings to run side by side: on few rows a step of a small model has too little work for many threads.
/// What a training gives does not depend on it.
pub(crate) fn trainings_at_once(inputs: &Inputs, trainings: usize) -> usize {
    let values: usize = inputs.policy.parameters.iter().map(|parameter| parameter.values).sum();
    (VALUES_AT_ONCE / values.max(1)).clamp(1, inputs.plan.threads.value.min(trainings).max(1))
}

/// Rows that show whether the weights still give numbers.
const ROWS_TRIED: usize = 32;

/// Whether the last update left weights that give no numbers. After any other update the next step would have noticed, and with
/// validation rows the last evaluation.
pub(crate) fn blew_up_at_last(
    model: &Model,
    parameters: &Parameters,
    learnt: TrainingRows<'_>,
    batch_size: usize,
) -> bool {
    if learnt.validation.is_some() {
        return false;
    }
    let logits = infer(model, parameters, &learnt.train.spread(ROWS_TRIED).texts, batch_size, Output::Logits);
    logits.iter().any(|logit| !logit.is_finite())
}

/// How a training came out.
pub(crate) struct Trained {
    /// The answers `[rows, classes]`; none where it diverged before there was anything to keep.
    pub(crate) logits: Option<Vec<f32>>,
    /// The step at which the loss was no number any more. The answers are of the best weights before.
    pub(crate) diverged: Option<usize>,
}

impl Trained {
    /// Says how good it is, and that it diverged where it did.
    pub(crate) fn report(&self, name: &str, score: impl Fn(&[f32]) -> SplitScores, observer: &mut dyn Observer) {
        if let Some(step) = self.diverged {
            let kept = if self.logits.is_none() { ", and there is nothing to keep" } else { "" };
            observer.event(&RunEvent::warning(format!("{name}: diverged at step {step}{kept}")));
        }
        if let Some(logits) = &self.logits {
            let (metric, value) = score(logits).headline();
            let message = format!("{name}: {} {}", metric.label(), shown(metric, value));
            observer.event(&RunEvent::Note { message });
        }
    }
}

/// Trains, and answers for texts; none when interrupted.
pub(crate) fn train_and_predict(
    inputs: &Inputs,
    setup: &TrainingSetup,
    learnt: TrainingRows<'_>,
    seed: u64,
    texts: &TokenizedTexts,
    interrupt: &AtomicBool,
) -> Result<Option<Trained>, Error> {
    let plan = &setup.plan;
    let is_interrupted = || interrupt.load(Ordering::Relaxed);
    // Loading, and a probe on many rows, take their time.
    if is_interrupted() {
        return Ok(None);
    }
    let mut loaded = LoadedModel::load(inputs, setup, seed)?;
    let rows_learnt = with_added(learnt);
    let options = LearningOptions { seed, ..learning_options(plan, &rows_learnt, &inputs.scoring) };
    let learnt = TrainingRows { train: &rows_learnt, ..learnt };
    if starts_from_probe(plan, &loaded) && !is_interrupted() {
        fit_probe(inputs, learnt.train, &mut loaded, &options);
    }
    let LoadedModel { parameters, model, .. } = &mut loaded;
    let mut progress = Progress::default();
    let context = FitContext { observer: &mut NoObserver, interrupt, checkpoints: None };
    let stop = match plan.method.value {
        Method::Finetune => {
            let mut problem = learning(inputs, learnt, setup, model, seed);
            let keep_by_training_loss = learnt.validation.is_none();
            let options = FitOptions { keep_by_training_loss, ..fit_options(plan, total_steps(plan, &problem)) };
            fit(&mut problem, parameters, &options, &mut progress, context)?
        }
        Method::Linear | Method::Setfit => {
            let stop = match plan.method.value {
                Method::Setfit => {
                    check_partners(learnt.train)?;
                    let mut problem = contrast(setup, model, learnt.train, seed);
                    let steps = plan.steps(problem.steps_per_epoch(), None);
                    fit(&mut problem, parameters, &fit_options(plan, steps), &mut progress, context)?
                }
                _ => None,
            };
            if stop.is_none() {
                fit_head(inputs, learnt.train, model, parameters, &options)?;
            }
            stop
        }
    };
    if stop == Some(Stop::Interrupted) || is_interrupted() {
        return Ok(None);
    }
    let batch_size = plan.per_device_eval_batch_size.value;
    let diverged = match stop {
        Some(Stop::Diverged(step)) => Some(step),
        _ => blew_up_at_last(model, parameters, learnt, batch_size).then_some(progress.step),
    };
    let kept = match diverged {
        Some(_) => progress.last_resort(),
        None => progress.best.take().filter(|_| plan.load_best_model_at_end.value),
    };
    match (&kept, diverged) {
        (Some(kept), _) => restore_best(parameters, kept),
        (None, Some(_)) => return Ok(Some(Trained { logits: None, diverged })),
        (None, None) => {}
    }
    let logits = infer(model, parameters, texts, batch_size, Output::Logits);
    let is_sound = logits.iter().all(|logit| logit.is_finite());
    Ok(Some(Trained {
        logits: is_sound.then_some(logits),
        diverged: diverged.or((!is_sound).then_some(progress.step)),
    }))
}
