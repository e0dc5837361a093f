//! The single answer, for every parameter of a model, to: is it trained, how fast, with what weight decay, and why.
//!
//! One formula holds everywhere: learning rate = `learning_rate` × `lr_scale` × the schedule's factor.

use std::collections::BTreeSet;

use topwork_models::{Block, ParameterKind, ParameterSpec};

use crate::plan::Plan;
use crate::plan::error::PlanError;
use crate::plan::value::Method;

/// What is done with each parameter, in the order of the model's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// One answer for each parameter.
    pub parameters: Vec<ParameterPolicy>,
}

/// What is done with one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterPolicy {
    /// The parameter's name in the checkpoint.
    pub name: String,
    /// Where it belongs.
    pub block: Block,
    /// How many values it has.
    pub values: usize,
    /// Whether training may change it.
    pub trainable: bool,
    /// What the learning rate is multiplied with; 0 when it is frozen.
    pub lr_scale: f64,
    /// Decoupled weight decay; 0 when it is frozen.
    pub weight_decay: f64,
    /// Why.
    pub why: String,
}

/// What is done with a block, for people to read.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPolicy {
    /// The block.
    pub block: Block,
    /// Its tensors.
    pub tensors: usize,
    /// Its values.
    pub values: usize,
    /// Whether training may change it.
    pub trainable: bool,
    /// The highest learning rate: the run's × the block's scale.
    pub learning_rate: f64,
    /// The weight decay of its matrices.
    pub weight_decay: f64,
    /// Why.
    pub why: String,
}

/// The policy of a model's parameters under a plan.
///
/// # Errors
/// When a parameter is named twice, or more layers are to be frozen than there are.
pub fn policy(specs: &[ParameterSpec], plan: &Plan) -> Result<Policy, PlanError> {
    let mut names = BTreeSet::new();
    if let Some(spec) = specs.iter().find(|spec| !names.insert(&spec.name)) {
        return Err(PlanError::Policy { message: format!("parameter {}: expected once, found twice", spec.name) });
    }
    let layers = specs.iter().filter_map(|spec| layer(spec.block)).max().map_or(0, |top| top + 1);
    let frozen = plan.freeze_layers.value;
    if frozen > layers {
        let message = format!("freeze_layers: expected at most the model's {layers} layers, found {frozen}");
        return Err(PlanError::Policy { message });
    }
    let is_output = |spec: &ParameterSpec| spec.block == Block::Head && spec.kind == ParameterKind::Weight;
    let output = specs.iter().rposition(is_output).unwrap_or(specs.len());
    let fitted = if plan.method.value == Method::Linear { &specs[output..] } else { &[] };
    let rule = Rule { plan, layers, fitted };
    Ok(Policy { parameters: specs.iter().map(|spec| rule.apply(spec)).collect() })
}

struct Rule<'a> {
    plan: &'a Plan,
    layers: usize,
    /// The output layer, where nothing else is touched.
    fitted: &'a [ParameterSpec],
}

impl Rule<'_> {
    fn apply(&self, spec: &ParameterSpec) -> ParameterPolicy {
        let is_linear = self.plan.method.value == Method::Linear;
        let trainable = if is_linear { self.fitted.contains(spec) } else { !self.is_frozen(spec.block) };
        let (lr_scale, why) = match (trainable, is_linear) {
            (true, true) => (0.0, "fitted to its optimum: method linear".to_string()),
            (false, true) => (0.0, "as it was: method linear".to_string()),
            (true, false) => self.scale(spec.block),
            (false, false) => (0.0, self.frozen_because()),
        };
        let is_decayed = match spec.kind {
            ParameterKind::Weight | ParameterKind::Embedding => trainable,
            ParameterKind::Bias | ParameterKind::LayerNorm => false,
        };
        let weight_decay = if is_decayed { self.plan.weight_decay.value } else { 0.0 };
        let (name, block, values) = (spec.name.clone(), spec.block, spec.len());
        ParameterPolicy { name, block, values, trainable, lr_scale, weight_decay, why }
    }

    /// Freezing goes from the input up: the embeddings are below the lowest layer.
    fn is_frozen(&self, block: Block) -> bool {
        let frozen = self.plan.freeze_layers.value;
        match block {
            Block::Embeddings => frozen > 0,
            Block::Layer(index) => index < frozen,
            Block::Final | Block::Head => false,
        }
    }

    fn frozen_because(&self) -> String {
        format!("frozen: freeze_layers {}", self.plan.freeze_layers.value)
    }

    /// The scale falls by `layer_decay` for each layer from the top down, and once more for the embeddings (Clark et
    /// al., "ELECTRA", 2020).
    fn scale(&self, block: Block) -> (f64, String) {
        let decay = self.plan.layer_decay.value;
        let below = |depth: usize| match decay {
            1.0 => (1.0, "layer_decay 1: all layers alike".to_string()),
            decay => (decay.powi(depth as i32), format!("layer_decay {decay} to the power {depth}")),
        };
        match block {
            Block::Head => {
                let scale = self.plan.head_learning_rate_scale.value;
                (scale, format!("head_learning_rate_scale {scale}"))
            }
            Block::Final => (1.0, "above all layers".to_string()),
            Block::Layer(index) => below(self.layers - index),
            Block::Embeddings => below(self.layers + 1),
        }
    }
}

fn layer(block: Block) -> Option<usize> {
    match block {
        Block::Layer(index) => Some(index),
        Block::Embeddings | Block::Final | Block::Head => None,
    }
}

impl Policy {
    /// The answer for the parameter at this place in the model's list.
    ///
    /// # Panics
    /// When the model has no such parameter.
    pub fn get(&self, index: usize) -> &ParameterPolicy {
        &self.parameters[index]
    }

    /// How many values training may change.
    pub fn trainable_values(&self) -> usize {
        self.parameters.iter().filter(|parameter| parameter.trainable).map(|parameter| parameter.values).sum()
    }

    /// The policy by block, from the input to the output.
    pub fn by_block(&self, plan: &Plan) -> Vec<BlockPolicy> {
        let blocks: BTreeSet<Block> = self.parameters.iter().map(|parameter| parameter.block).collect();
        blocks.into_iter().filter_map(|block| self.block(block, plan)).collect()
    }

    fn block(&self, block: Block, plan: &Plan) -> Option<BlockPolicy> {
        let members: Vec<&ParameterPolicy> = self.parameters.iter().filter(|p| p.block == block).collect();
        // Within a block only the weight decay differs.
        let first = members.first()?;
        Some(BlockPolicy {
            block,
            tensors: members.len(),
            values: members.iter().map(|parameter| parameter.values).sum(),
            trainable: first.trainable,
            learning_rate: plan.learning_rate.value * first.lr_scale,
            weight_decay: members.iter().map(|parameter| parameter.weight_decay).fold(0.0, f64::max),
            why: first.why.clone(),
        })
    }
}
