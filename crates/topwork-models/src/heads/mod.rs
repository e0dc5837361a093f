//! Heads as data: what stands on a backbone is a list of parts, which one function runs.
//!
//! A family says, for each kind of head, which parts it has and what they are called in `transformers`. From the list
//! follow the parameters, their binding and the operations.

mod branch;

use std::collections::BTreeMap;
use std::fmt;

use topwork_engine::Activation;

use crate::layers::{Linear, SpecList, norm};
use crate::parameters::{Block, ParameterKind, ParameterSpec};

pub use branch::OutputLayer;
pub(crate) use branch::{Branch, HeadDropout};

/// What kind of head stands on the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadKind {
    /// One row of outputs for each sequence: classes, labels that do not exclude each other, or values.
    Sequence {
        /// The outputs of a sequence.
        outputs: usize,
    },
    /// One row of outputs for each token.
    Token {
        /// The labels that a token may have.
        labels: usize,
    },
    /// The heads that pre-training needs: masked words, and what else an objective asks for.
    Pretraining {
        /// Whether there is a head for pairs of passages.
        pairs: bool,
        /// Whether the pooler belongs to the model: a head for pairs needs it, and a checkpoint's own is kept.
        pooler: bool,
    },
}

impl HeadKind {
    /// Masked words alone.
    pub const MASKED_WORDS: Self = Self::Pretraining { pairs: false, pooler: false };

    /// The outputs of a sequence or a token, which have labels; none of words.
    pub fn outputs(self) -> Option<usize> {
        match self {
            Self::Sequence { outputs } => Some(outputs),
            Self::Token { labels } => Some(labels),
            Self::Pretraining { .. } => None,
        }
    }
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sequence { .. } => "a head for sequences",
            Self::Token { .. } => "a head for tokens",
            Self::Pretraining { pairs: true, .. } => "a head for pairs of passages",
            Self::Pretraining { pairs: false, pooler: true } => "a head for masked words with a pooler",
            Self::Pretraining { .. } => "a head for masked words",
        })
    }
}

/// What may happen to a checkpoint's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadRule {
    /// Everything comes from the checkpoint, the pooler too: for a model that has the head already.
    Required,
    /// The checkpoint's head, unless there is none or it has another size.
    LoadIfShapeFits,
    /// A new head, for this reason.
    New(&'static str),
}

/// How the vectors of a sequence's tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The first token's, as in BERT; of the last layer only these are computed.
    #[default]
    FirstToken,
    /// The mean of all tokens, standardised.
    MeanTokens,
}

impl Pooling {
    /// Every way, in the order in which they are listed to users.
    pub const ALL: [Self; 2] = [Self::FirstToken, Self::MeanTokens];

    /// The name, as it is said to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstToken => "first_token",
            Self::MeanTokens => "mean",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooling| pooling.name() == name)
    }
}

/// A part of a head. Widths are the backbone's, except for the outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// A linear map and an activation.
    Dense {
        /// The name of its parameters, before `.weight` and `.bias`.
        name: &'static str,
        /// [`Block::Final`] for what was pretrained, such as BERT's pooler.
        block: Block,
        /// The activation.
        activation: Activation,
    },
    /// A layer norm.
    Norm {
        /// The name of its parameters, before `.weight` and `.bias`.
        name: &'static str,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Dropout at the head's rate.
    Dropout,
    /// The last linear map.
    Output {
        /// The name of its parameters, before `.weight` and `.bias`.
        name: &'static str,
        /// Its rows.
        outputs: usize,
    },
    /// The last linear map, whose weight is the table of words.
    TiedOutput {
        /// The name of its bias.
        bias: &'static str,
        /// The number of words.
        outputs: usize,
    },
}

/// A head: lists of parts, each from the backbone's output to an output layer. The parameters are in the order of the
/// fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadLayout {
    /// From the first token of each sequence to what the head for pairs reads; for pre-training.
    pub pooler: Vec<Part>,
    /// From a sequence or a token to its outputs. The last part is the output layer.
    pub main: Vec<Part>,
    /// From the pooler's output to how the two passages of a pair belong together; for pre-training.
    pub pairs: Vec<Part>,
}

impl HeadLayout {
    /// A head of one list.
    pub fn of(main: impl Into<Vec<Part>>) -> Self {
        Self { main: main.into(), ..Self::default() }
    }

    /// Its parameters on a backbone of that width.
    pub fn specs(&self, hidden_size: usize) -> Vec<ParameterSpec> {
        HeadBranch::ALL.iter().flat_map(|branch| specs_of(self.parts(*branch), hidden_size)).collect()
    }

    /// The list that the parameter of this name belongs to; none for a parameter of the backbone.
    pub fn branch_of(&self, name: &str) -> Option<HeadBranch> {
        let has = |branch: &HeadBranch| specs_of(self.parts(*branch), 1).iter().any(|spec| spec.name == name);
        HeadBranch::ALL.into_iter().find(has)
    }

    /// The parameters that depend on what of the tokens is read: dense parts between that and the outputs of a sequence.
    pub(crate) fn made_for_pooling(&self) -> Vec<String> {
        let is_of_sequence = self.main.iter().any(|part| matches!(part, Part::Output { .. }));
        let main = if is_of_sequence { self.main.as_slice() } else { &[] };
        let names = main.iter().chain(&self.pooler).filter_map(|part| match part {
            Part::Dense { name, .. } => Some([format!("{name}.weight"), format!("{name}.bias")]),
            Part::Norm { .. } | Part::Dropout | Part::Output { .. } | Part::TiedOutput { .. } => None,
        });
        names.flatten().collect()
    }

    /// Values with which the dense parts of the main list hardly change what they read, where that has a variance of 1: new
    /// ones would mix what the mean of the tokens tells into noise. Under its tangent one stays in the straight part of the
    /// curve; above its corner one is lifted by two deviations.
    pub(crate) fn near_identity(&self, hidden_size: usize) -> BTreeMap<String, Vec<f32>> {
        let mut values = BTreeMap::new();
        for part in &self.main {
            let Part::Dense { name, activation, .. } = *part else { continue };
            let (entry, shift) = match activation {
                Activation::Tanh => (0.5, 0.0),
                Activation::Relu | Activation::Gelu | Activation::GeluTanh => (1.0, 2.0),
            };
            let weight =
                (0..hidden_size * hidden_size).map(|place| if place % (hidden_size + 1) == 0 { entry } else { 0.0 });
            values.insert(format!("{name}.weight"), weight.collect());
            values.insert(format!("{name}.bias"), vec![shift; hidden_size]);
        }
        values
    }

    fn parts(&self, branch: HeadBranch) -> &[Part] {
        match branch {
            HeadBranch::Pooler => &self.pooler,
            HeadBranch::Main => &self.main,
            HeadBranch::Pairs => &self.pairs,
        }
    }
}

/// One of the lists of a [`HeadLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadBranch {
    /// [`HeadLayout::pooler`]
    Pooler,
    /// [`HeadLayout::main`]
    Main,
    /// [`HeadLayout::pairs`]
    Pairs,
}

impl HeadBranch {
    const ALL: [Self; 3] = [Self::Pooler, Self::Main, Self::Pairs];
}

/// The parameters of a list of parts.
fn specs_of(parts: &[Part], hidden_size: usize) -> Vec<ParameterSpec> {
    let mut list = SpecList::default();
    for part in parts {
        match *part {
            Part::Dense { name, block, .. } => Linear::list(&mut list, name, [hidden_size; 2], block),
            Part::Norm { name, .. } => norm::list(&mut list, name, hidden_size, Block::Head),
            Part::Dropout => {}
            Part::Output { name, outputs } => Linear::list(&mut list, name, [outputs, hidden_size], Block::Head),
            Part::TiedOutput { bias, outputs } => {
                list.push(bias.to_string(), vec![outputs], Block::Head, ParameterKind::Bias);
            }
        }
    }
    list.into_specs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_a_head_is_of_one_branch() {
        let dense = |name, block| Part::Dense { name, block, activation: Activation::Tanh };
        let layout = HeadLayout {
            pooler: vec![dense("pooler", Block::Final)],
            main: vec![dense("dense", Block::Head), Part::Dropout, Part::TiedOutput { bias: "bias", outputs: 9 }],
            pairs: vec![Part::Output { name: "pairs", outputs: 2 }],
        };
        let names: Vec<String> = layout.specs(4).into_iter().map(|spec| spec.name).collect();
        assert_eq!(
            names,
            ["pooler.weight", "pooler.bias", "dense.weight", "dense.bias", "bias", "pairs.weight", "pairs.bias"]
        );
        let branches: Vec<_> = names.iter().map(|name| layout.branch_of(name)).collect();
        let [pooler, main, pairs] = HeadBranch::ALL.map(Some);
        assert_eq!(branches, [pooler, pooler, main, main, main, pairs, pairs]);
        assert_eq!(layout.branch_of("embeddings"), None);
    }

    #[test]
    fn poolings_are_found_by_their_names() {
        for pooling in Pooling::ALL {
            assert_eq!(Pooling::named(pooling.name()), Some(pooling));
        }
        assert_eq!(Pooling::named("last"), None);
    }
}
