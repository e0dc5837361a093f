//! Training: one function that reads top to bottom, and its paragraphs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use topwork_data::epoch_order;
use topwork_engine::{
    AdamW, AdamWOptions, AdamWState, CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Rates, Tape, mix,
};
use topwork_metrics::{Metric, Scores};
use topwork_models::bert::Bert;

use crate::batch::{Batch, Output, Rows, infer};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::policy::Policy;
use crate::schedule::{Schedule, learning_rate_factor};

/// Tells the dropout's random streams from the other draws of the same seed.
const DROPOUT_STREAM: u64 = 0x6472_6F70_6F75_7400;

/// Everything about a run that does not change while it goes on.
pub struct FitOptions {
    /// How often the training rows are gone through.
    pub epochs: usize,
    /// Steps of the run, in place of the epochs.
    pub max_steps: Option<usize>,
    /// Rows of one forward and backward pass.
    pub batch_size: usize,
    /// Passes whose gradients make one step.
    pub gradient_accumulation_steps: usize,
    /// Rows of one forward pass when scoring.
    pub eval_batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The share of the steps that warm up.
    pub warmup_ratio: f64,
    /// The constants of AdamW.
    pub adamw: AdamWOptions,
    /// The largest norm of a step's gradient; 0 is no limit.
    pub max_grad_norm: f64,
    /// Spread over all classes.
    pub label_smoothing: f32,
    /// A weight for each class.
    pub class_weights: Option<Vec<f32>>,
    /// Names all random draws.
    pub seed: u64,
    /// What "better" means.
    pub metric: Metric,
    /// Evaluations without improvement after which training stops.
    pub early_stopping_patience: Option<usize>,
}

/// What a run trains, and on what.
pub struct Training<'a> {
    /// The model.
    pub model: &'a Bert,
    /// For each parameter: trained or not, and how fast.
    pub policy: &'a Policy,
    /// The number of classes.
    pub classes: usize,
    /// The rows to learn from.
    pub train: Rows<'a>,
    /// The rows to look at after each epoch.
    pub validation: Option<Rows<'a>>,
}

/// The state of a run between two steps: all that is needed to go on.
#[derive(Default)]
pub struct Progress {
    /// Optimizer steps taken.
    pub step: usize,
    /// Real tokens that went through forward and backward passes.
    pub tokens: u64,
    /// Seconds in forward, backward and optimizer, without evaluation.
    pub seconds: f64,
    /// The optimizer's state, when a run is interrupted and when it goes on.
    pub optimizer: Option<AdamWState>,
    /// For each parameter: whether a non-zero gradient arrived at some step.
    pub gradient_seen: Vec<bool>,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// How many evaluations have passed since.
    pub evaluations_without_gain: usize,
}

/// An evaluation that was better than those before it.
#[derive(Clone, Debug)]
pub struct Best {
    /// The step after which it was made.
    pub step: usize,
    /// The value of the metric.
    pub value: f64,
    /// The trainable parameters then, in order.
    pub weights: Vec<Vec<f32>>,
}

/// Why training ended before its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The metric did not improve any more.
    Early,
    /// The user asked for it.
    Interrupted,
    /// The loss or the gradient was not a finite number at this step (counted from 1).
    Diverged(usize),
}

/// How the steps of a run are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Rows of one optimizer step.
    pub rows_per_step: usize,
    /// Optimizer steps of one epoch; the last may be smaller.
    pub per_epoch: usize,
    /// Optimizer steps of the run.
    pub total: usize,
    /// Steps of the warm-up.
    pub warmup: usize,
}

impl Steps {
    /// Counts the steps for so many training rows.
    pub fn count(rows: usize, options: &FitOptions) -> Self {
        let rows_per_step = options.batch_size * options.gradient_accumulation_steps;
        let per_epoch = rows.div_ceil(rows_per_step);
        let total = options.max_steps.unwrap_or(per_epoch * options.epochs);
        Self { rows_per_step, per_epoch, total, warmup: (total as f64 * options.warmup_ratio).ceil() as usize }
    }
}

/// Trains `parameters` and reports to `observer`; gives the reason if it ended early.
///
/// `progress` says where to go on; the default starts at the beginning. Data order and dropout are functions of
/// the seed, the epoch and the row, so a run that was interrupted and resumed gives the same bits as one that was not.
///
/// # Errors
/// When the optimizer's state in `progress` is that of another model.
pub fn fit(
    training: &Training<'_>,
    parameters: &mut Parameters,
    options: &FitOptions,
    progress: &mut Progress,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<Option<Stop>, Error> {
    let steps = Steps::count(training.train.labels.len(), options);
    let pool = Pool::new();
    let mut gradients = Gradients::new(parameters, &training.model.sparse_tables());
    progress.gradient_seen.resize(parameters.len(), false);
    let mut adamw = AdamW::new(parameters, &gradients, options.adamw);
    if let Some(state) = progress.optimizer.take()
        && !adamw.restore(&state)
    {
        return Err(Error::run("the checkpoint is of another model than the run's", "start again without --resume"));
    }
    let mut stop = None;

    while progress.step < steps.total && stop.is_none() {
        let epoch = progress.step / steps.per_epoch;
        let order = epoch_order(training.train.labels.len(), options.seed, epoch as u64);
        let within = progress.step % steps.per_epoch;
        let last = (steps.total - epoch * steps.per_epoch).min(steps.per_epoch);

        for rows in order.chunks(steps.rows_per_step).take(last).skip(within) {
            let started = Instant::now();
            let factor = learning_rate_factor(options.schedule, progress.step, steps.total, steps.warmup);
            let learning_rate = options.learning_rate * factor;

            gradients.clear();
            let pass = Pass { training, options, pool: &pool, epoch };
            let loss = pass.accumulate(parameters, rows, &mut gradients);
            let norm = gradient_norm(parameters, &gradients, &mut progress.gradient_seen);
            if !(loss.is_finite() && norm.is_finite()) {
                stop = Some(Stop::Diverged(progress.step + 1));
                break;
            }
            let scale = clipping_factor(norm, options.max_grad_norm);
            adamw.step(parameters, &gradients, scale, |id| training.rates(id, learning_rate));

            progress.step += 1;
            progress.tokens += rows.iter().map(|&row| training.train.texts.length(row) as u64).sum::<u64>();
            progress.seconds += started.elapsed().as_secs_f64();
            observer.event(&RunEvent::Step {
                step: progress.step,
                total_steps: steps.total,
                epoch: progress.step as f64 / steps.per_epoch as f64,
                loss,
                learning_rate,
                grad_norm: norm,
                tokens: progress.tokens,
                tokens_per_second: progress.tokens as f64 / progress.seconds,
                seconds: progress.seconds,
            });
            if interrupt.load(Ordering::Relaxed) && progress.step < steps.total {
                stop = Some(Stop::Interrupted);
                break;
            }
        }

        let is_epoch_done = progress.step.is_multiple_of(steps.per_epoch) || progress.step == steps.total;
        let has_diverged = matches!(stop, Some(Stop::Diverged(_)));
        if is_epoch_done
            && !has_diverged
            && let Some(validation) = training.validation
        {
            adamw.settle(parameters);
            let scores = score(training, parameters, validation, options.eval_batch_size);
            let epoch = progress.step as f64 / steps.per_epoch as f64;
            observer.event(&RunEvent::evaluated(progress.step, epoch, "validation", &scores));
            stop = judge(&scores, parameters, options, progress, observer).or(stop);
        }
    }

    if stop == Some(Stop::Interrupted) {
        // Unsettled: settling rounds, and the run that goes on from here is to give the same bits as one that did not
        // stop.
        progress.optimizer = Some(adamw.state());
    } else {
        adamw.settle(parameters);
    }
    Ok(stop)
}

impl Training<'_> {
    /// The learning rate and weight decay of a parameter, at the run's learning rate of this step.
    fn rates(&self, id: ParameterId, learning_rate: f64) -> Rates {
        let policy = self.policy.get(id.index());
        Rates { learning_rate: learning_rate * policy.lr_scale, weight_decay: policy.weight_decay }
    }
}

/// The forward and backward passes of one step.
struct Pass<'a> {
    training: &'a Training<'a>,
    options: &'a FitOptions,
    pool: &'a Pool,
    epoch: usize,
}

impl Pass<'_> {
    /// Adds the gradients of the mean loss over `rows` in parts of a batch, and gives that loss. Every part divides by
    /// the normaliser of the whole, so the parts add up to the full batch's mean over examples.
    fn accumulate(&self, parameters: &Parameters, rows: &[usize], gradients: &mut Gradients) -> f64 {
        let Self { training, options, pool, epoch } = self;
        let class_weights = options.class_weights.as_deref();
        let targets: Vec<u32> = rows.iter().map(|&row| training.train.labels[row]).collect();
        let normaliser = CrossEntropy::normaliser(&targets, class_weights);
        let streams = mix(options.seed ^ DROPOUT_STREAM) ^ mix(*epoch as u64);
        let mut total = 0.0;
        for (rows, targets) in rows.chunks(options.batch_size).zip(targets.chunks(options.batch_size)) {
            let batch = Batch::gather(training.train.texts, rows, |row| mix(streams ^ row as u64));
            let mut tape = Tape::new(parameters, pool, Mode::Training);
            let logits = training.model.logits(&mut tape, &batch.tokens());
            let label_smoothing = options.label_smoothing;
            let loss = CrossEntropy { targets, class_weights, label_smoothing, normaliser };
            let loss = tape.cross_entropy(logits, &loss);
            total += f64::from(loss.values()[0]);
            tape.backward(loss, gradients);
        }
        total
    }
}

/// The norm of the whole gradient; notes which parameters have one that is not zero.
fn gradient_norm(parameters: &Parameters, gradients: &Gradients, seen: &mut [bool]) -> f64 {
    let squares = parameters.iter().zip(seen).map(|((id, _), seen)| {
        let square = gradients.sum_of_squares(id);
        *seen |= square > 0.0;
        square
    });
    squares.sum::<f64>().sqrt()
}

/// What the gradients are multiplied with so that their norm is at most `most`, as PyTorch's `clip_grad_norm_`.
fn clipping_factor(norm: f64, most: f64) -> f32 {
    if most > 0.0 { (most / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// Scores the model on rows, without dropout.
pub fn score(training: &Training<'_>, parameters: &Parameters, rows: Rows<'_>, batch_size: usize) -> Scores {
    let logits = infer(training.model, parameters, rows.texts, batch_size, Output::Logits);
    topwork_metrics::evaluate(&logits, training.classes, rows.labels)
}

/// Remembers an evaluation that is better than those before; says when to stop waiting for one.
fn judge(
    scores: &Scores,
    parameters: &Parameters,
    options: &FitOptions,
    progress: &mut Progress,
    observer: &mut dyn Observer,
) -> Option<Stop> {
    let value = options.metric.value(scores);
    let is_better = progress.best.as_ref().is_none_or(|best| options.metric.better(value, best.value));
    if is_better {
        progress.evaluations_without_gain = 0;
        progress.best = Some(Best { step: progress.step, value, weights: trainable_weights(parameters) });
        let metric = options.metric.name().to_string();
        observer.event(&RunEvent::NewBest { step: progress.step, metric, value });
        return None;
    }
    progress.evaluations_without_gain += 1;
    let patience = options.early_stopping_patience?;
    (progress.evaluations_without_gain >= patience).then_some(Stop::Early)
}

fn trainable_weights(parameters: &Parameters) -> Vec<Vec<f32>> {
    parameters.iter().filter(|(_, p)| p.trainable).map(|(_, p)| p.values.to_vec()).collect()
}

/// Puts the weights of the best evaluation back.
pub fn restore_best(parameters: &mut Parameters, best: &Best) {
    let trainable = parameters.iter_mut().filter(|(_, p)| p.trainable);
    for ((_, parameter), weights) in trainable.zip(&best.weights) {
        parameter.values.copy_from_slice(weights);
    }
}
