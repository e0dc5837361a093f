//! How a training moves the blocks of a model, looked at now and then: how strong each block's gradient is, and how far a
//! step moves its weights.

use std::collections::BTreeMap;

use topwork_engine::{Gradients, ParameterId, Parameters};
use topwork_models::Block;

use super::problem::Problem;
use crate::events::BlockMotion;

/// A run is looked at about so many times: enough for a curve, and too few to cost time.
const LOOKS: usize = 32;

/// Watches the blocks of a model.
pub(crate) struct BlockWatch {
    blocks: Vec<Watched>,
}

struct Watched {
    block: Block,
    members: Vec<ParameterId>,
    /// The tensor whose motion stands for the block's.
    largest: Option<ParameterId>,
    before: Vec<f32>,
}

impl BlockWatch {
    /// The blocks that the task trains; none where it does not say which parameter belongs where.
    pub(crate) fn new(task: &dyn Problem, parameters: &Parameters) -> Self {
        let tables = task.sparse_tables();
        let mut members: BTreeMap<Block, Vec<ParameterId>> = BTreeMap::new();
        for (id, _) in parameters.iter().filter(|(_, parameter)| parameter.trainable) {
            if let Some(block) = task.block(id) {
                members.entry(block).or_default().push(id);
            }
        }
        let watched = |(block, members): (Block, Vec<ParameterId>)| {
            let dense = members.iter().copied().filter(|id| !tables.contains(id));
            let largest = dense.max_by_key(|&id| parameters.get(id).values.len());
            Watched { block, members, largest, before: Vec::new() }
        };
        Self { blocks: members.into_iter().map(watched).collect() }
    }

    /// Whether to look at the step after so many steps of about `total`.
    pub(crate) fn is_due(&self, step: usize, total: usize) -> bool {
        let look = |step: usize| step as u128 * LOOKS as u128 / total.max(1) as u128;
        !self.blocks.is_empty() && (step == 0 || look(step) > look(step - 1))
    }

    /// Keeps what the step is about to change.
    pub(crate) fn remember(&mut self, parameters: &Parameters) {
        for watched in &mut self.blocks {
            watched.before.clear();
            if let Some(id) = watched.largest {
                watched.before.extend_from_slice(&parameters.get(id).values);
            }
        }
    }

    /// What the step did, from the input to the output.
    pub(crate) fn motions(&self, parameters: &Parameters, gradients: &Gradients) -> Vec<BlockMotion> {
        let motion = |watched: &Watched| BlockMotion {
            block: watched.block.to_string(),
            grad_norm: watched.members.iter().map(|&id| gradients.sum_of_squares(id)).sum::<f64>().sqrt(),
            update_ratio: watched
                .largest
                .map(|id| topwork_metrics::relative_drift(&watched.before, &parameters.get(id).values)),
        };
        self.blocks.iter().map(motion).collect()
    }
}
