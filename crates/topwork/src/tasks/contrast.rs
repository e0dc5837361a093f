//! Learning which rows belong together: rows of a class are put near each other in what the output layer reads, apart from the rows of
//! other classes (Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2022). The output layer is fitted afterwards.
//!
//! Each row of a step is compared with every other, so that 16 rows make 120 pairs for 16 forward passes, where pairs that are read
//! apart take two each.

use topwork_data::{Stream, TokenizedTexts};
use topwork_engine::{Gradients, Mode, ParameterId, Parameters, Pool, Rates, Tape, mix};
use topwork_models::{Block, Model};

use crate::error::Error;
use crate::events::Observer;
use crate::fit::Progress;
use crate::fit::problem::{Evaluation, Problem, StepOutcome};
use crate::network::batch::Batch;
use crate::plan::parameter_policy::Policy;

/// Rows of a class that a step takes before it goes to another class.
const PARTNERS: usize = 2;
/// Tells the dropout's random streams from the other draws of the same seed.
const DROPOUT_STREAM: u64 = 0x636f_6e74_7261_7374;

/// Learning from the classes of rows which belong together.
pub struct Contrast<'a> {
    model: &'a Model,
    policy: &'a Policy,
    texts: &'a TokenizedTexts,
    /// The rows of each class that has any.
    by_class: Vec<Vec<usize>>,
    classes: &'a [u32],
    seed: u64,
    rows_per_step: usize,
}

impl<'a> Contrast<'a> {
    /// From texts and the class of each, so many rows a step.
    pub fn new(
        model: &'a Model,
        policy: &'a Policy,
        texts: &'a TokenizedTexts,
        classes: &'a [u32],
        seed: u64,
        rows_per_step: usize,
    ) -> Self {
        let count = classes.iter().max().map_or(0, |&most| most as usize + 1);
        let mut by_class = vec![Vec::new(); count];
        classes.iter().enumerate().for_each(|(row, &class)| by_class[class as usize].push(row));
        by_class.retain(|rows| !rows.is_empty());
        Self { model, policy, texts, by_class, classes, seed, rows_per_step: rows_per_step.max(2) }
    }

    /// Steps in which as many rows are drawn as there are.
    pub fn steps_per_epoch(&self) -> usize {
        self.classes.len().div_ceil(self.rows_per_step)
    }

    /// The rows of a step, each once: some of a class, then of the next, the classes in random order, until the step is full or all
    /// rows are drawn.
    fn rows(&self, step: usize) -> Vec<usize> {
        let mut stream = Stream::named("contrast", self.seed).nth(step as u64);
        let mut order: Vec<usize> = (0..self.by_class.len()).collect();
        stream.shuffle(&mut order);
        let mut drawn: Vec<Vec<usize>> = vec![Vec::new(); self.by_class.len()];
        let (mut total, most) = (0, self.rows_per_step.min(self.classes.len()));
        for &class in order.iter().cycle() {
            if total >= most {
                break;
            }
            let (all, own) = (&self.by_class[class], &mut drawn[class]);
            for _ in 0..PARTNERS.min(all.len() - own.len()).min(most - total) {
                let row = loop {
                    let row = all[stream.below(all.len() as u64) as usize];
                    if !own.contains(&row) {
                        break row;
                    }
                };
                own.push(row);
                total += 1;
            }
        }
        order.into_iter().flat_map(|class| std::mem::take(&mut drawn[class])).collect()
    }
}

impl Problem for Contrast<'_> {
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

    fn accumulate(
        &mut self,
        parameters: &Parameters,
        step: usize,
        pool: &Pool,
        gradients: &mut Gradients,
    ) -> Result<StepOutcome, Error> {
        let rows = self.rows(step);
        let streams = mix(self.seed ^ DROPOUT_STREAM) ^ mix(step as u64);
        let batch = Batch::gather(self.texts, &rows, |row| mix(streams ^ row as u64));
        let groups: Vec<u32> = rows.iter().map(|&row| self.classes[row]).collect();
        let mut tape = Tape::new(parameters, pool, Mode::Training);
        let features = self.model.features(&mut tape, &batch.tokens());
        let similarities = tape.cosines(&features, &features, 1.0);
        drop(features);
        let loss = tape.pair_error(similarities, &groups);
        let value = f64::from(loss.values()[0]);
        tape.backward(loss, gradients);
        let tokens = rows.iter().map(|&row| self.texts.length(row) as u64).sum();
        Ok(StepOutcome { loss: value, tokens })
    }

    fn epoch(&self, progress: &Progress) -> f64 {
        progress.step as f64 / self.steps_per_epoch().max(1) as f64
    }

    /// Never: there is no output layer yet that could be scored.
    fn is_evaluation_due(&self, _: usize, _: f64, _: f64) -> bool {
        false
    }

    fn evaluate(&mut self, _: &Parameters, _: &Progress, _: &mut dyn Observer) -> Result<Option<Evaluation>, Error> {
        Ok(None)
    }
}
