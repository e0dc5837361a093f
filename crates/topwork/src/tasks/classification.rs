//! Classes of texts.

use std::time::Instant;

use topwork_data::epoch_order;
use topwork_engine::{CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Rates, Tape, mix};
use topwork_metrics::{Metric, Scores};
use topwork_models::{Block, Model};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::fit::Progress;
use crate::fit::problem::{Evaluation, Judgement, Problem, StepOutcome};
use crate::network::batch::{Batch, Output, Rows, infer};
use crate::network::prefix::Prefix;
use crate::plan::policy::Policy;

/// Tells the dropout's random streams from the other draws of the same seed.
const DROPOUT_STREAM: u64 = 0x6472_6F70_6F75_7400;

/// Learning the classes of texts.
pub struct Classification<'a> {
    /// The model.
    pub model: &'a Model,
    /// For each parameter: trained or not, and how fast.
    pub policy: &'a Policy,
    /// The number of classes.
    pub classes: usize,
    /// The rows to learn from.
    pub train: Rows<'a>,
    /// The rows to look at after each epoch.
    pub validation: Option<Rows<'a>>,
    /// Rows that are learnt from, to look at as well, without dropout: what validation rows are compared with.
    pub gauge: Option<TrainingSample<'a>>,
    /// What the frozen layers say of the rows to learn from, when it was computed before: they are run without dropout then.
    pub prefix: Option<&'a Prefix>,
    /// Everything else.
    pub options: ClassificationOptions,
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

/// What does not change while the classes are learnt.
#[derive(Clone, Debug)]
pub struct ClassificationOptions {
    /// Rows of one forward and backward pass.
    pub batch_size: usize,
    /// Passes whose gradients make one step.
    pub gradient_accumulation_steps: usize,
    /// Rows of one forward pass when scoring.
    pub eval_batch_size: usize,
    /// Spread over all classes.
    pub label_smoothing: f32,
    /// A weight for each class.
    pub class_weights: Option<Vec<f32>>,
    /// Names all random draws.
    pub seed: u64,
    /// What "better" means.
    pub metric: Metric,
}

impl ClassificationOptions {
    /// Rows of one optimizer step.
    pub fn rows_per_step(&self) -> usize {
        self.batch_size * self.gradient_accumulation_steps
    }

    /// Optimizer steps of one epoch on so many rows; the last step may be smaller.
    pub fn steps_per_epoch(&self, rows: usize) -> usize {
        rows.div_ceil(self.rows_per_step())
    }
}

impl Classification<'_> {
    /// Optimizer steps of one epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.options.steps_per_epoch(self.train.labels.len())
    }

    /// The epoch and the rows of a step: an epoch's order is a function of the seed and the epoch.
    fn rows(&mut self, step: usize) -> (usize, Vec<usize>) {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let (rows, seed, size) = (self.train.labels.len(), self.options.seed, self.options.rows_per_step());
        self.order.take_if(|(known, _)| *known != epoch);
        let (_, order) = self.order.get_or_insert_with(|| (epoch, epoch_order(rows, seed, epoch as u64)));
        (epoch, order.iter().skip(within * size).take(size).copied().collect())
    }

    /// Scores the model on the validation rows, without dropout.
    fn score(&self, parameters: &Parameters, rows: Rows<'_>) -> Scores {
        let logits = infer(self.model, parameters, rows.texts, self.options.eval_batch_size, Output::Logits);
        topwork_metrics::evaluate(&logits, self.classes, rows.labels)
    }
}

impl Problem for Classification<'_> {
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
    /// examples.
    fn accumulate(
        &mut self,
        parameters: &Parameters,
        step: usize,
        pool: &Pool,
        gradients: &mut Gradients,
    ) -> Result<StepOutcome, Error> {
        let (epoch, rows) = self.rows(step);
        let options = &self.options;
        let class_weights = options.class_weights.as_deref();
        let targets: Vec<u32> = rows.iter().map(|&row| self.train.labels[row]).collect();
        let normaliser = CrossEntropy::normaliser(&targets, class_weights);
        let streams = mix(options.seed ^ DROPOUT_STREAM) ^ mix(epoch as u64);
        let mut total = 0.0;
        for (rows, targets) in rows.chunks(options.batch_size).zip(targets.chunks(options.batch_size)) {
            let stream = |row: usize| mix(streams ^ row as u64);
            let mut tape = Tape::new(parameters, pool, Mode::Training);
            let logits = match self.prefix {
                Some(prefix) => prefix.logits(self.model, &mut tape, rows, stream),
                None => self.model.logits(&mut tape, &Batch::gather(self.train.texts, rows, stream).tokens()),
            };
            let label_smoothing = options.label_smoothing;
            let loss = CrossEntropy { targets, class_weights, label_smoothing, normaliser };
            let loss = tape.cross_entropy(logits, &loss);
            total += f64::from(loss.values()[0]);
            tape.backward(loss, gradients);
        }
        let tokens = rows.iter().map(|&row| self.train.texts.length(row) as u64).sum();
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
            self.gauge.as_ref().filter(|gauge| epochs.is_multiple_of(gauge.every)).map(|gauge| gauge.rows)
        {
            let started = Instant::now();
            let scores = self.score(parameters, rows);
            observer.event(&RunEvent::evaluated(progress.step, self.epoch(progress), "train", &scores));
            self.gauge.iter_mut().for_each(|gauge| gauge.seconds += started.elapsed().as_secs_f64());
        }
        let Some(validation) = self.validation else { return Ok(None) };
        let scores = self.score(parameters, validation);
        observer.event(&RunEvent::evaluated(progress.step, self.epoch(progress), "validation", &scores));
        let metric = self.options.metric;
        let judgement = Some(Judgement { metric, value: metric.value(&scores) });
        Ok(Some(Evaluation { loss: scores.loss, judgement }))
    }
}
