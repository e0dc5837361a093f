//! Learning from labelled rows, whatever the task: what a [`Supervised`] task is to the loop.

use std::time::Instant;

use topwork_data::{Targets, epoch_order};
use topwork_engine::{Gradients, Mode, ParameterId, Parameters, Pool, Rates, Tape, mix};
use topwork_metrics::{Metric, TaskScores};
use topwork_models::{Block, Model};

use super::{LossOptions, PassTargets, Scoring, Supervised};
use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::Progress;
use crate::fit::problem::{Evaluation, Judgement, Problem, StepOutcome};
use crate::network::batch::{Batch, Output, Rows, infer};
use crate::network::prefix::Prefix;
use crate::plan::parameter_policy::Policy;

/// Tells the dropout's random streams from the other draws of the same seed.
const DROPOUT_STREAM: u64 = 0x6472_6F70_6F75_7400;

/// Learning the targets of rows.
pub struct Learning<'a> {
    /// What is learnt.
    pub task: &'static dyn Supervised,
    /// The model.
    pub model: &'a Model,
    /// For each parameter: trained or not, and how fast.
    pub policy: &'a Policy,
    /// How outputs are scored.
    pub scoring: &'a Scoring,
    /// The rows to learn from.
    pub train: Rows<'a>,
    /// The rows to look at after each epoch.
    pub validation: Option<Rows<'a>>,
    /// Rows that are learnt from, to look at as well, without dropout: what validation rows are compared with.
    pub sample: Option<TrainingSample<'a>>,
    /// What the frozen layers say of the rows to learn from, when it was computed before: they are run without dropout then.
    pub prefix: Option<&'a Prefix>,
    /// Everything else.
    pub options: LearningOptions,
    /// The order of the rows in the epoch at hand.
    pub order: Option<(usize, Vec<usize>)>,
}

/// Rows that are learnt from and looked at, after some epochs.
pub struct TrainingSample<'a> {
    /// The rows.
    pub rows: Rows<'a>,
    /// They are looked at after every so many epochs.
    pub every: usize,
    /// Seconds that the looking took.
    pub seconds: f64,
}

/// What does not change while targets are learnt.
#[derive(Clone, Debug)]
pub struct LearningOptions {
    /// Rows of one forward and backward pass.
    pub batch_size: usize,
    /// Passes whose gradients make one step.
    pub gradient_accumulation_steps: usize,
    /// Rows of one forward pass when scoring.
    pub eval_batch_size: usize,
    /// What the loss takes.
    pub loss: LossOptions,
    /// Names all random draws.
    pub seed: u64,
    /// What "better" means.
    pub metric: Metric,
}

impl LearningOptions {
    /// Rows of one optimizer step.
    pub fn rows_per_step(&self) -> usize {
        self.batch_size * self.gradient_accumulation_steps
    }

    /// Optimizer steps of one epoch on so many rows; the last step may be smaller.
    pub fn steps_per_epoch(&self, rows: usize) -> usize {
        rows.div_ceil(self.rows_per_step())
    }
}

/// The targets of these rows as the loss takes them.
fn pass_targets(targets: &Targets, texts: &topwork_data::TokenizedTexts, rows: &[usize]) -> PassTargets {
    match targets {
        Targets::Class(classes) => PassTargets::Classes(rows.iter().map(|&row| classes[row]).collect()),
        Targets::Labels(labels) => {
            let of_row = |&row: &usize| labels.row(row).iter().map(|&applies| f32::from(u8::from(applies)));
            PassTargets::Numbers(rows.iter().flat_map(of_row).collect())
        }
        Targets::Values(values) => {
            let of_row = |&row: &usize| values.row(row).iter().map(|&value| value as f32);
            PassTargets::Numbers(rows.iter().flat_map(of_row).collect())
        }
        Targets::Tags(tags) => {
            // In the order in which a batch has the words: those without a token have no output.
            let words = |&row: &usize| {
                let sequences = texts.sequences_of(row);
                sequences
                    .flat_map(move |sequence| texts.first_tokens(sequence))
                    .map(move |first| tags.row(row)[first.word])
            };
            PassTargets::Classes(rows.iter().flat_map(words).collect())
        }
    }
}

impl Learning<'_> {
    /// Optimizer steps of one epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.options.steps_per_epoch(self.train.targets.len())
    }

    /// The epoch and the rows of a step: an epoch's order is a function of the seed and the epoch.
    fn rows(&mut self, step: usize) -> (usize, Vec<usize>) {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let (rows, seed, size) = (self.train.targets.len(), self.options.seed, self.options.rows_per_step());
        self.order.take_if(|(known, _)| *known != epoch);
        let (_, order) = self.order.get_or_insert_with(|| (epoch, epoch_order(rows, seed, epoch as u64)));
        (epoch, order.iter().skip(within * size).take(size).copied().collect())
    }

    /// Scores the model on rows, without dropout.
    fn score(&self, parameters: &Parameters, rows: Rows<'_>) -> TaskScores {
        let outputs = infer(self.model, parameters, rows.texts, self.options.eval_batch_size, Output::Logits);
        self.task.evaluate(&outputs, rows.targets, self.scoring)
    }
}

impl Problem for Learning<'_> {
    fn sparse_tables(&self) -> Vec<ParameterId> {
        self.model.sparse_tables()
    }

    fn rates(&self, id: ParameterId, learning_rate: f64) -> Rates {
        let policy = self.policy.get(id.index());
        Rates { learning_rate: learning_rate * policy.lr_scale, weight_decay: policy.weight_decay }
    }

    fn block(&self, id: ParameterId) -> Option<Block> {
        Some(self.policy.get(id.index()).block)
    }

    /// Every part of a batch divides by the normaliser of the whole, so the parts add up to the full batch's mean over
    /// examples, or words.
    fn accumulate(
        &mut self,
        parameters: &Parameters,
        step: usize,
        pool: &Pool,
        gradients: &mut Gradients,
    ) -> Result<StepOutcome, Error> {
        let (epoch, rows) = self.rows(step);
        let options = &self.options;
        let Rows { texts, targets } = self.train;
        let normaliser = self.task.normaliser(&pass_targets(targets, texts, &rows), &options.loss);
        let streams = mix(options.seed ^ DROPOUT_STREAM) ^ mix(epoch as u64);
        let mut total = 0.0;
        for rows in rows.chunks(options.batch_size) {
            let stream = |row: usize| mix(streams ^ row as u64);
            let mut tape = Tape::new(parameters, pool, Mode::Training);
            let outputs = match self.prefix {
                Some(prefix) => prefix.outputs(self.model, &mut tape, rows, stream),
                None => Batch::gather(texts, rows, stream).outputs(self.model, &mut tape),
            };
            let loss =
                self.task.loss(&mut tape, outputs, &pass_targets(targets, texts, rows), &options.loss, normaliser);
            total += f64::from(loss.values()[0]);
            tape.backward(loss, gradients);
        }
        let tokens = rows.iter().map(|&row| texts.length(row) as u64).sum();
        Ok(StepOutcome { loss: total, tokens })
    }

    fn epoch(&self, progress: &Progress) -> f64 {
        progress.step as f64 / self.steps_per_epoch() as f64
    }

    /// After each epoch.
    fn is_evaluation_due(&self, step: usize, _: f64, _: f64) -> bool {
        step.is_multiple_of(self.steps_per_epoch())
    }

    fn evaluate(
        &mut self,
        parameters: &Parameters,
        progress: &Progress,
        observer: &mut dyn Observer,
    ) -> Result<Option<Evaluation>, Error> {
        let epochs = progress.step / self.steps_per_epoch();
        if let Some(rows) =
            self.sample.as_ref().filter(|sample| epochs.is_multiple_of(sample.every)).map(|sample| sample.rows)
        {
            let started = Instant::now();
            let scores = self.score(parameters, rows);
            observer.event(&RunEvent::evaluated(progress.step, self.epoch(progress), "train", &scores));
            self.sample.iter_mut().for_each(|sample| sample.seconds += started.elapsed().as_secs_f64());
        }
        let Some(validation) = self.validation else { return Ok(None) };
        let scores = self.score(parameters, validation);
        observer.event(&RunEvent::evaluated(progress.step, self.epoch(progress), "validation", &scores));
        let metric = self.options.metric;
        let judgement = Some(Judgement { metric, value: scores.get(metric).unwrap_or(f64::NAN) });
        Ok(Some(Evaluation { loss: scores.loss, judgement }))
    }
}
