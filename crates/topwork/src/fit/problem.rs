//! What a problem is to the loop: [`super::fit`] trains every one of them.

use topwork_engine::{Gradients, ParameterId, Parameters, Pool, Rates};
use topwork_metrics::Metric;
use topwork_models::Block;

use super::Progress;
use crate::error::Error;
use crate::events::Observer;

/// What is learnt, from which rows, and how it is judged.
pub trait Problem {
    /// The embedding tables of which a step touches few rows.
    fn sparse_tables(&self) -> Vec<ParameterId>;

    /// The learning rate and weight decay of a parameter, at the run's learning rate of a step.
    fn rates(&self, id: ParameterId, learning_rate: f64) -> Rates;

    /// Where a parameter belongs; none where blocks are not to be told apart.
    fn block(&self, id: ParameterId) -> Option<Block>;

    /// Adds the gradients of the mean loss of a step, counted from 0, to `gradients`. What it does depends on the step's
    /// number, not on the steps before it.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn accumulate(
        &mut self,
        parameters: &Parameters,
        step: usize,
        pool: &Pool,
        gradients: &mut Gradients,
    ) -> Result<StepOutcome, Error>;

    /// How often the training data has been gone through, as a fraction.
    fn epoch(&self, progress: &Progress) -> f64;

    /// Whether to evaluate after so many steps, the last of which used up the budget's part from `before` to `after`.
    fn is_evaluation_due(&self, step: usize, before: f64, after: f64) -> bool;

    /// Scores the model on rows that it does not learn from, without dropout, and reports the scores; none when there
    /// are no such rows.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn evaluate(
        &mut self,
        parameters: &Parameters,
        progress: &Progress,
        observer: &mut dyn Observer,
    ) -> Result<Option<Evaluation>, Error>;
}

/// What came of the passes of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutcome {
    /// The mean loss, in nats.
    pub loss: f64,
    /// The real tokens that went through.
    pub tokens: u64,
}

/// What rows that are not learnt from say about the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss, in nats.
    pub loss: f64,
    /// What weights are compared by, when they are.
    pub judgement: Option<Judgement>,
}

/// The value by which weights are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// What it is a value of.
    pub metric: Metric,
    /// The value.
    pub value: f64,
}
