//! Training: one loop that reads top to bottom, for every task.

pub mod block_watch;
pub mod problem;
pub mod range_test;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use topwork_engine::{AdamW, AdamWOptions, AdamWState, Gradients, Parameters, Pool};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::plan::schedule::{Schedule, learning_rate_factor};
use block_watch::BlockWatch;
use problem::{Evaluation, Judgement, Problem};

/// What a run may use up. The learning rate's schedule spans it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Optimizer steps.
    Steps(usize),
    /// Real tokens that go through forward and backward passes.
    Tokens(u64),
    /// Seconds, with evaluations. How far a run gets depends on the machine, so it cannot be repeated to the bit.
    Seconds(f64),
}

impl Budget {
    /// The part that is used up; 1 and more when it is spent.
    pub fn spent(self, progress: &Progress) -> f64 {
        match self {
            Self::Steps(steps) => progress.step as f64 / steps as f64,
            Self::Tokens(tokens) => progress.tokens as f64 / tokens as f64,
            Self::Seconds(seconds) => progress.elapsed / seconds,
        }
    }

    /// The optimizer steps of the whole run, as far as can be told after `progress`.
    fn steps(self, progress: &Progress) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Tokens(_) | Self::Seconds(_) => {
                let estimate = progress.step as f64 / self.spent(progress).min(1.0);
                (estimate.round() as usize).max(progress.step)
            }
        }
    }

    /// What the learning rate is multiplied with in the next step.
    fn learning_rate_factor(self, progress: &Progress, schedule: Schedule, warmup_ratio: f64) -> f64 {
        /// Steps that stand for a budget which is not counted in steps.
        const FINE: usize = 1 << 20;
        let (step, total) = match self {
            Self::Steps(steps) => (progress.step, steps),
            // The next step is the first of the warm-up's, not the zeroth: a rate of zero would waste it.
            Self::Tokens(_) | Self::Seconds(_) => (1 + (self.spent(progress) * FINE as f64) as usize, FINE),
        };
        let warmup = (total as f64 * warmup_ratio).ceil() as usize;
        learning_rate_factor(schedule, step, total, warmup)
    }
}

/// Everything about the loop that does not change while it runs.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// What the run may use up.
    pub budget: Budget,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The share of the budget that warms up.
    pub warmup_ratio: f64,
    /// The constants of AdamW.
    pub adamw: AdamWOptions,
    /// The largest norm of a step's gradient; 0 is no limit.
    pub max_grad_norm: f64,
    /// Evaluations without improvement after which training stops.
    pub early_stopping_patience: Option<usize>,
    /// Where there are no rows to judge weights by: keep those of the evaluation before which the training loss was lowest, for
    /// a run that diverges.
    pub keep_by_training_loss: bool,
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
    /// Seconds of this process in looks at blocks and in what observers do with steps. They are not part of a saved state.
    pub log_seconds: f64,
    /// Seconds of the loop, with evaluations and checkpoints.
    pub elapsed: f64,
    /// The optimizer's state, when a run is saved and when it goes on.
    pub optimizer: Option<AdamWState>,
    /// For each parameter: whether a non-zero gradient arrived at some step.
    pub gradient_seen: Vec<bool>,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// How many evaluations have passed since.
    pub evaluations_without_gain: usize,
    /// The weights of the lowest mean training loss between two evaluations, where nothing else judges them
    /// ([`FitOptions::keep_by_training_loss`]).
    pub lowest_training_loss: Option<Best>,
    /// Weights with a lower one still, which are worth nothing until the next step has shown that they give a finite loss.
    pub unproven: Option<Best>,
    /// The training losses since the last evaluation: their sum and their number.
    pub losses: (f64, usize),
}

impl Progress {
    /// Real tokens per second of training; 0 before the first step.
    pub fn tokens_per_second(&self) -> f64 {
        if self.step > 0 { self.tokens as f64 / self.seconds } else { 0.0 }
    }

    /// What a run that diverged goes back to.
    pub fn last_resort(&mut self) -> Option<Best> {
        self.best.take().or_else(|| self.lowest_training_loss.take())
    }
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

/// Why training ended before its budget was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The metric did not improve any more.
    Early,
    /// The user asked for it.
    Interrupted,
    /// The loss or the gradient of this step (counted from 1), or the loss on held-out rows after it, was not a finite
    /// number.
    Diverged(usize),
}

/// What surrounds the loop without changing its result.
pub struct FitContext<'a> {
    /// Sees what happens.
    pub observer: &'a mut dyn Observer,
    /// Set when the run is to stop after the step that it is at.
    pub interrupt: &'a AtomicBool,
    /// Keeps the state of the run every so often.
    pub checkpoints: Option<Checkpoints<'a>>,
}

/// Keeps the state of a run every so often.
pub struct Checkpoints<'a> {
    /// How often.
    pub every: Duration,
    /// Between two checkpoints lies at least so many times what the first took to write.
    pub spare: u32,
    /// Writes the state.
    pub save: &'a mut dyn FnMut(&Parameters, &Progress) -> Result<(), Error>,
}

/// Trains `parameters` and reports to the observer; gives the reason if it ended early.
///
/// `progress` says where to go on; the default starts at the beginning. What a task does in a step is a function of the
/// step's number and the seed, so a run that was interrupted and resumed gives the same bits as one that was not.
///
/// # Errors
/// When the optimizer's state in `progress` is that of another model, the task cannot read its data, or a checkpoint
/// cannot be written.
pub fn fit(
    problem: &mut dyn Problem,
    parameters: &mut Parameters,
    options: &FitOptions,
    progress: &mut Progress,
    context: FitContext<'_>,
) -> Result<Option<Stop>, Error> {
    let FitContext { observer, interrupt, mut checkpoints } = context;
    let pool = Pool::new();
    let mut gradients = Gradients::new(parameters, &problem.sparse_tables());
    progress.gradient_seen.resize(parameters.len(), false);
    let mut adamw = AdamW::new(parameters, &gradients, options.adamw);
    if let Some(state) = progress.optimizer.take()
        && !adamw.restore(&state)
    {
        return Err(Error::run("the checkpoint is of another model than the run's", "start again without --resume"));
    }
    let mut watch = BlockWatch::new(problem, parameters);
    let (began, before) = (Instant::now(), progress.elapsed);
    let (mut saved, mut cost, mut stop) = (began, Duration::ZERO, None);

    while options.budget.spent(progress) < 1.0 && stop.is_none() {
        let started = Instant::now();
        let factor = options.budget.learning_rate_factor(progress, options.schedule, options.warmup_ratio);
        let learning_rate = options.learning_rate * factor;

        gradients.clear();
        let step = problem.accumulate(parameters, progress.step, &pool, &mut gradients)?;
        let norm = gradient_norm(parameters, &gradients, &mut progress.gradient_seen);
        if !(step.loss.is_finite() && norm.is_finite()) {
            stop = Some(Stop::Diverged(progress.step + 1));
            break;
        }
        progress.lowest_training_loss = progress.unproven.take().or_else(|| progress.lowest_training_loss.take());
        let scale = clipping_factor(norm, options.max_grad_norm);
        let is_watched = watch.is_due(progress.step, options.budget.steps(progress));
        let looking = Instant::now();
        if is_watched {
            watch.remember(parameters);
        }
        let remembering = looking.elapsed().as_secs_f64();
        adamw.step(parameters, &gradients, scale, |id| problem.rates(id, learning_rate));

        let spent = options.budget.spent(progress);
        progress.step += 1;
        progress.losses = (progress.losses.0 + step.loss, progress.losses.1 + 1);
        progress.tokens += step.tokens;
        progress.seconds += started.elapsed().as_secs_f64() - remembering;
        let looking = Instant::now();
        progress.elapsed = before + began.elapsed().as_secs_f64();
        observer.event(&step_event(options, progress, problem.epoch(progress), step.loss, learning_rate, norm));
        if is_watched {
            let blocks = watch.motions(parameters, &gradients);
            observer.event(&RunEvent::Blocks { step: progress.step, epoch: problem.epoch(progress), blocks });
        }
        progress.log_seconds += remembering + looking.elapsed().as_secs_f64();

        let is_over = options.budget.spent(progress) >= 1.0;
        if is_over || problem.is_evaluation_due(progress.step, spent, options.budget.spent(progress)) {
            adamw.settle(parameters);
            match problem.evaluate(parameters, progress, observer)? {
                Some(evaluation) if !evaluation.loss.is_finite() => stop = Some(Stop::Diverged(progress.step)),
                Some(Evaluation { judgement: Some(judgement), .. }) => {
                    stop = judge(&judgement, parameters, options, progress, observer);
                }
                _ if options.keep_by_training_loss && !is_over => {
                    progress.unproven = if_lowest(parameters, progress);
                }
                _ => {}
            }
            progress.losses = (0.0, 0);
            progress.elapsed = before + began.elapsed().as_secs_f64();
        }
        if interrupt.load(Ordering::Relaxed) && !is_over && stop.is_none() {
            stop = Some(Stop::Interrupted);
        }
        if let Some(Checkpoints { every, spare, save }) = &mut checkpoints
            && saved.elapsed() >= (*every).max(*spare * cost)
            && !is_over
            && stop.is_none()
        {
            progress.optimizer = Some(adamw.state());
            // First the log, so that it has every step of the state.
            observer.event(&RunEvent::Checkpoint { step: progress.step });
            let saving = Instant::now();
            save(parameters, progress)?;
            progress.optimizer = None;
            (saved, cost) = (Instant::now(), saving.elapsed());
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

fn step_event(
    options: &FitOptions,
    progress: &Progress,
    epoch: f64,
    loss: f64,
    learning_rate: f64,
    grad_norm: f64,
) -> RunEvent {
    RunEvent::Step {
        step: progress.step,
        total_steps: options.budget.steps(progress),
        epoch,
        loss,
        learning_rate,
        grad_norm,
        tokens: progress.tokens,
        tokens_per_second: progress.tokens as f64 / progress.seconds,
        seconds: progress.seconds,
    }
}

/// The norm of the whole gradient; notes which parameters have one that is not zero.
pub(crate) fn gradient_norm(parameters: &Parameters, gradients: &Gradients, seen: &mut [bool]) -> f64 {
    let squares = parameters.iter().zip(seen).map(|((id, _), seen)| {
        let square = gradients.sum_of_squares(id);
        *seen |= square > 0.0;
        square
    });
    squares.sum::<f64>().sqrt()
}

/// What the gradients are multiplied with so that their norm is at most `most`, as PyTorch's `clip_grad_norm_`.
pub(crate) fn clipping_factor(norm: f64, most: f64) -> f32 {
    if most > 0.0 { (most / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// Remembers an evaluation that is better than those before; says when to stop waiting for one.
fn judge(
    judgement: &Judgement,
    parameters: &Parameters,
    options: &FitOptions,
    progress: &mut Progress,
    observer: &mut dyn Observer,
) -> Option<Stop> {
    let Judgement { metric, value } = *judgement;
    let is_better = progress.best.as_ref().is_none_or(|best| metric.better(value, best.value));
    if is_better {
        progress.evaluations_without_gain = 0;
        progress.best = Some(Best { step: progress.step, value, weights: trainable_weights(parameters) });
        observer.event(&RunEvent::NewBest { step: progress.step, metric: metric.name().to_string(), value });
        return None;
    }
    progress.evaluations_without_gain += 1;
    let patience = options.early_stopping_patience?;
    (progress.evaluations_without_gain >= patience).then_some(Stop::Early)
}

/// The weights, when the training losses since the last evaluation were the lowest so far.
fn if_lowest(parameters: &Parameters, progress: &Progress) -> Option<Best> {
    let (sum, count) = progress.losses;
    let value = sum / count.max(1) as f64;
    let is_lowest = progress.lowest_training_loss.as_ref().is_none_or(|kept| value < kept.value);
    is_lowest.then(|| Best { step: progress.step, value, weights: trainable_weights(parameters) })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use topwork_engine::{CrossEntropy, Mode, ParameterId, Rates, Tape, Tensor};
    use topwork_metrics::Metric;
    use topwork_models::Block;

    use super::*;
    use crate::events::RecordedEvents;
    use crate::fit::problem::StepOutcome;

    /// Two logits that learn to prefer the first; the evaluations are as listed.
    struct TwoLogits {
        weight: ParameterId,
        losses: Vec<f64>,
        /// The step, counted from 1, whose loss is no number.
        diverges_at: Option<usize>,
    }

    impl Problem for TwoLogits {
        fn sparse_tables(&self) -> Vec<ParameterId> {
            Vec::new()
        }

        fn rates(&self, _: ParameterId, learning_rate: f64) -> Rates {
            Rates { learning_rate, weight_decay: 0.0 }
        }

        fn block(&self, _: ParameterId) -> Option<Block> {
            Some(Block::Head)
        }

        fn accumulate(
            &mut self,
            parameters: &Parameters,
            step: usize,
            pool: &Pool,
            gradients: &mut Gradients,
        ) -> Result<StepOutcome, Error> {
            let mut tape = Tape::new(parameters, pool, Mode::Training);
            let one = tape.constant(Tensor::from_values(&[1.0], 1, 1));
            let logits = tape.linear(&one, self.weight, None);
            let loss = CrossEntropy { targets: &[0], class_weights: None, label_smoothing: 0.0, normaliser: 1.0 };
            let loss = tape.cross_entropy(logits, &loss);
            let value = f64::from(loss.values()[0]);
            tape.backward(loss, gradients);
            let loss = if self.diverges_at == Some(step + 1) { f64::NAN } else { value };
            Ok(StepOutcome { loss, tokens: 10 })
        }

        fn epoch(&self, progress: &Progress) -> f64 {
            progress.step as f64
        }

        fn is_evaluation_due(&self, _: usize, _: f64, _: f64) -> bool {
            true
        }

        fn evaluate(
            &mut self,
            _: &Parameters,
            progress: &Progress,
            _: &mut dyn Observer,
        ) -> Result<Option<Evaluation>, Error> {
            if self.diverges_at.is_some() {
                return Ok(None);
            }
            let loss = self.losses.get(progress.step - 1).copied().unwrap_or(0.5);
            Ok(Some(Evaluation { loss, judgement: Some(Judgement { metric: Metric::Loss, value: loss }) }))
        }
    }

    fn options(budget: Budget) -> FitOptions {
        FitOptions {
            budget,
            learning_rate: 0.1,
            schedule: Schedule::Linear,
            warmup_ratio: 0.0,
            adamw: AdamWOptions::default(),
            max_grad_norm: 1.0,
            early_stopping_patience: None,
            keep_by_training_loss: false,
        }
    }

    struct Run {
        stop: Option<Stop>,
        progress: Progress,
        weights: Vec<f32>,
        /// The steps at which the state was saved.
        saved: Vec<usize>,
        rates: Vec<f64>,
    }

    fn run(budget: Budget, losses: &[f64], mut progress: Progress, weights: &[f32]) -> Run {
        let mut parameters = Parameters::new();
        let weight = parameters.add("weight", &[2, 1], weights);
        let mut task = TwoLogits { weight, losses: losses.to_vec(), diverges_at: None };
        let (mut observer, mut saved) = (RecordedEvents::default(), Vec::new());
        let mut save = |_: &Parameters, progress: &Progress| -> Result<(), Error> {
            assert!(progress.optimizer.is_some(), "a state to go on from");
            saved.push(progress.step);
            Ok(())
        };
        let context = FitContext {
            observer: &mut observer,
            interrupt: &AtomicBool::new(false),
            checkpoints: Some(Checkpoints { every: Duration::ZERO, spare: 0, save: &mut save }),
        };
        let stop = fit(&mut task, &mut parameters, &options(budget), &mut progress, context).unwrap();
        let rates = observer.events.iter().filter_map(|event| match event {
            RunEvent::Step { learning_rate, .. } => Some(*learning_rate),
            _ => None,
        });
        let rates = rates.collect();
        Run { stop, progress, weights: parameters.get(weight).values.to_vec(), saved, rates }
    }

    #[test]
    fn a_budget_of_tokens_is_spent_and_no_more() {
        let run = run(Budget::Tokens(45), &[], Progress::default(), &[0.0, 0.0]);
        assert_eq!((run.stop, run.progress.step, run.progress.tokens), (None, 5, 50));
        assert_eq!(run.saved, [1, 2, 3, 4], "the last step needs no checkpoint");
        assert!(run.rates.is_sorted_by(|a, b| a > b) && run.rates[4] > 0.0, "{:?}", run.rates);
        assert!(run.weights[0] > 0.1 && run.weights[1] < -0.1, "{:?}", run.weights);
    }

    #[test]
    fn a_loss_on_held_out_rows_that_is_no_number_ends_the_run_and_is_never_the_best() {
        for (losses, best) in [(&[0.7, 0.6, f64::NAN][..], Some(0.6)), (&[f64::INFINITY], None)] {
            let run = run(Budget::Steps(9), losses, Progress::default(), &[0.0, 0.0]);
            assert_eq!(run.stop, Some(Stop::Diverged(losses.len())));
            assert_eq!(run.progress.best.map(|best| best.value), best);
        }
    }

    #[test]
    fn without_rows_to_judge_by_the_weights_of_the_lowest_training_loss_are_kept() {
        let kept = |keep_by_training_loss: bool, diverges_at: usize| {
            let mut parameters = Parameters::new();
            let weight = parameters.add("weight", &[2, 1], &[0.0, 0.0]);
            let mut task = TwoLogits { weight, losses: Vec::new(), diverges_at: Some(diverges_at) };
            let options = FitOptions { keep_by_training_loss, ..options(Budget::Steps(9)) };
            let (mut progress, interrupt) = (Progress::default(), AtomicBool::new(false));
            let context =
                FitContext { observer: &mut RecordedEvents::default(), interrupt: &interrupt, checkpoints: None };
            let stop = fit(&mut task, &mut parameters, &options, &mut progress, context).unwrap();
            assert_eq!(stop, Some(Stop::Diverged(diverges_at)));
            progress.last_resort().map(|best| best.step)
        };
        // The weights after the fourth step are what the fifth could not go on from.
        assert_eq!(kept(true, 5), Some(3));
        assert_eq!(kept(true, 1), None);
        assert_eq!(kept(false, 5), None);
    }

    #[test]
    fn weights_that_are_no_numbers_end_the_run_at_the_first_step() {
        let run = run(Budget::Steps(9), &[], Progress::default(), &[f32::NAN, 0.0]);
        assert_eq!(run.stop, Some(Stop::Diverged(1)));
        assert!(run.saved.is_empty());
    }

    #[test]
    fn a_budget_of_seconds_ends_the_run() {
        let run = run(Budget::Seconds(0.02), &[], Progress::default(), &[0.0, 0.0]);
        assert_eq!(run.stop, None);
        assert!(run.progress.elapsed >= 0.02 && run.progress.elapsed < 5.0, "{}", run.progress.elapsed);
    }
}
