//! One training of a classifier, from weights to weights: what fine-tuning does once, and a comparison several times.

use std::sync::atomic::{AtomicBool, Ordering};

use topwork_engine::{AdamWOptions, Parameters};
use topwork_models::{
    Block, Dropouts, LoadReport, Model, ModelOptions, OutputLayer, Pooling, ProblemType, WeightOptions, Weights,
};

use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::fit::{Budget, FitContext, FitOptions, Progress, Stop, fit, restore_best};
use crate::network::batch::{Output, infer};
use crate::network::probe;
use crate::plan::Plan;
use crate::plan::defaults;
use crate::plan::policy::{Policy, policy};
use crate::plan::value::{HeadInit, Init};
use crate::session::inputs::{Inputs, Split};
use crate::tasks::classification::{Classification, ClassificationOptions};

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
        plan.freeze_layers.value = 0;
        plan.head_init = defaults::head_init(Init::Random);
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
        let (head, labels) = (inputs.head(), inputs.labels.names());
        let weights = match plan.init.value {
            Init::Pretrained => {
                let problem = Some(ProblemType::SingleLabelClassification);
                let head_rule = inputs.config.head_rule_for(head, labels, problem);
                Weights::load(&inputs.checkpoint, &inputs.config, &WeightOptions { seed, head, head_rule })?
            }
            Init::Random => Weights::initial(&inputs.config, head, seed)?,
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
        let options = ModelOptions { head, pooling: Pooling::FirstToken, dropouts };
        let model = Model::bind(&inputs.config, &parameters, options)?;
        let mut report = weights.report;
        if plan.init.value == Init::Random {
            let of_head = weights.specs.iter().filter(|spec| spec.block == Block::Head);
            report.new = of_head.map(|spec| (spec.name.clone(), "init random, as all".into())).collect();
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
}

impl<'a> TrainingRows<'a> {
    /// The rows as the plan parts them.
    pub(crate) fn planned(inputs: &'a Inputs) -> Self {
        Self { train: &inputs.train, validation: inputs.validation.as_ref() }
    }
}

/// The task of a setup, on a model.
pub(crate) fn classification<'a>(
    learnt: TrainingRows<'a>,
    setup: &'a TrainingSetup,
    model: &'a Model,
    seed: u64,
) -> Classification<'a> {
    Classification {
        model,
        policy: &setup.policy,
        classes: setup.plan.facts.labels.len(),
        train: learnt.train.rows(),
        validation: learnt.validation.map(Split::rows),
        gauge: None,
        prefix: None,
        options: ClassificationOptions { seed, ..classification_options(&setup.plan, &learnt.train.labels) },
        order: None,
    }
}

/// Optimizer steps of the whole run.
pub(crate) fn total_steps(plan: &Plan, task: &Classification<'_>) -> usize {
    plan.steps(task.steps_per_epoch(), None)
}

pub(crate) fn classification_options(plan: &Plan, labels: &[u32]) -> ClassificationOptions {
    let mut counts = vec![0; plan.facts.labels.len()];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    ClassificationOptions {
        batch_size: plan.per_device_train_batch_size.value,
        gradient_accumulation_steps: plan.gradient_accumulation_steps.value,
        eval_batch_size: plan.per_device_eval_batch_size.value,
        label_smoothing: plan.label_smoothing_factor.value,
        class_weights: plan.class_weight_values(&counts),
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
    let output = loaded.model.output().map(|output| &loaded.parameters.get(output.weight).name);
    let is_new = output.is_some_and(|output| loaded.report.new.iter().any(|(name, _)| name == output));
    plan.head_init.value == HeadInit::LinearProbe && is_new
}

pub(crate) fn fit_probe(train: &Split, model: &Model, parameters: &mut Parameters, options: &ClassificationOptions) {
    let features = infer(model, parameters, &train.texts, options.eval_batch_size, Output::Features);
    start_from_probe(model, parameters, &features, &train.labels, options);
}

/// Puts a probe on these features `[rows, hidden]` of what the classifier sees in the classifier's place.
pub(crate) fn start_from_probe(
    model: &Model,
    parameters: &mut Parameters,
    features: &[f32],
    labels: &[u32],
    options: &ClassificationOptions,
) {
    let Some(OutputLayer { weight, bias: Some(bias) }) = model.output() else { return };
    let classes = parameters.get(bias).values.len();
    let probe = probe::fit(features, labels, classes, options.class_weights.as_deref());
    parameters.get_mut(weight).values.copy_from_slice(&probe.weight);
    parameters.get_mut(bias).values.copy_from_slice(&probe.bias);
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
    /// Says how accurate it is, and that it diverged where it did.
    pub(crate) fn report(&self, name: &str, accuracy: impl Fn(&[f32]) -> f64, observer: &mut dyn Observer) {
        if let Some(step) = self.diverged {
            let kept = if self.logits.is_none() { ", and there is nothing to keep" } else { "" };
            observer.event(&RunEvent::warning(format!("{name}: diverged at step {step}{kept}")));
        }
        if let Some(logits) = &self.logits {
            let message = format!("{name}: accuracy {:.1} %", 100.0 * accuracy(logits));
            observer.event(&RunEvent::Note { message });
        }
    }
}

/// Trains, and answers for `rows`; none when interrupted.
pub(crate) fn train_and_predict(
    inputs: &Inputs,
    setup: &TrainingSetup,
    learnt: TrainingRows<'_>,
    seed: u64,
    rows: &Split,
    interrupt: &AtomicBool,
) -> Result<Option<Trained>, Error> {
    let plan = &setup.plan;
    let is_interrupted = || interrupt.load(Ordering::Relaxed);
    // Loading, and a probe on many rows, take their time.
    if is_interrupted() {
        return Ok(None);
    }
    let mut loaded = LoadedModel::load(inputs, setup, seed)?;
    let from_probe = starts_from_probe(plan, &loaded);
    let LoadedModel { parameters, model, .. } = &mut loaded;
    let mut task = classification(learnt, setup, model, seed);
    let keep_by_training_loss = learnt.validation.is_none();
    let options = FitOptions { keep_by_training_loss, ..fit_options(plan, total_steps(plan, &task)) };
    if from_probe && !is_interrupted() {
        fit_probe(learnt.train, model, parameters, &task.options);
    }
    let mut progress = Progress::default();
    let context = FitContext { observer: &mut NoObserver, interrupt, checkpoints: None };
    let stop = fit(&mut task, parameters, &options, &mut progress, context)?;
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
    let logits = infer(model, parameters, &rows.texts, batch_size, Output::Logits);
    let is_sound = logits.iter().all(|logit| logit.is_finite());
    Ok(Some(Trained {
        logits: is_sound.then_some(logits),
        diverged: diverged.or((!is_sound).then_some(progress.step)),
    }))
}
