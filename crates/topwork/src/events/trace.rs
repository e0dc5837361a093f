//! What a run reported on its way, read back from its events: the curves that the verdict and the report are made from.

use std::cell::RefCell;
use std::path::Path;

use crate::error::Error;
use crate::events::BlockMotion;
use crate::events::{MetricScores, Observer, RunEvent};

/// The curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Every optimizer step.
    pub steps: Vec<StepTrace>,
    /// What some of the steps did with each block.
    pub blocks: Vec<BlockTrace>,
    /// Every scoring of a split: along the way, and at the end.
    pub evaluations: Vec<EvaluationTrace>,
}

/// An optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTrace {
    /// Steps taken, this one included.
    pub step: usize,
    /// Epochs done, as a fraction.
    pub epoch: f64,
    /// Mean loss over the step's rows, with dropout, in nats.
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// What a step did with each block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockTrace {
    /// Steps taken.
    pub step: usize,
    /// Epochs done, as a fraction.
    pub epoch: f64,
    /// From the input to the output.
    pub blocks: Vec<BlockMotion>,
}

/// A scoring of a split, without dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationTrace {
    /// Steps taken.
    pub step: usize,
    /// Epochs done, as a fraction.
    pub epoch: f64,
    /// `train`, `validation` or `test`.
    pub split: String,
    /// The loss and the metrics of the task.
    pub scores: MetricScores,
}

impl EvaluationTrace {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.scores.loss()
    }
}

impl Trace {
    /// Reads the `events.jsonl` of a run; what is damaged, as the last line of a run that was killed, is passed over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::read(path, source))?;
        let mut trace = Self::default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event: RunEvent| trace.event(&event));
        Ok(trace)
    }

    /// The scorings of a split.
    pub fn of<'a>(&'a self, split: &'a str) -> impl Iterator<Item = &'a EvaluationTrace> {
        self.evaluations.iter().filter(move |evaluation| evaluation.split == split)
    }

    /// The mean training loss of the steps that lie in this part of the run, from 0 to 1; none when none does.
    pub fn mean_loss(&self, part: std::ops::Range<f64>) -> Option<f64> {
        let at = |part: f64| ((part * self.steps.len() as f64).round() as usize).min(self.steps.len());
        let steps = &self.steps[at(part.start)..at(part.end).max(at(part.start))];
        (!steps.is_empty()).then(|| steps.iter().map(|step| step.loss).sum::<f64>() / steps.len() as f64)
    }
}

impl Observer for &RefCell<Trace> {
    fn event(&mut self, event: &RunEvent) {
        self.borrow_mut().event(event);
    }
}

impl Observer for Trace {
    fn event(&mut self, event: &RunEvent) {
        match event {
            // A head that is fitted in place of a training takes its curves with it.
            RunEvent::Started { total_steps: 0, .. } => *self = Self::default(),
            RunEvent::Step { step, epoch, loss, learning_rate, grad_norm, .. } => self.steps.push(StepTrace {
                step: *step,
                epoch: *epoch,
                loss: *loss,
                learning_rate: *learning_rate,
                grad_norm: *grad_norm,
            }),
            RunEvent::Blocks { step, epoch, blocks } => {
                self.blocks.push(BlockTrace { step: *step, epoch: *epoch, blocks: blocks.clone() });
            }
            RunEvent::Evaluated { step, epoch, split, scores } => {
                self.evaluations.push(EvaluationTrace {
                    step: *step,
                    epoch: *epoch,
                    split: split.clone(),
                    scores: scores.clone(),
                });
            }
            _ => {}
        }
    }
}
