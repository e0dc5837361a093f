//! The families of models. A family is a folder here and a line in [`FAMILIES`].

use std::fmt;

use crate::config::{FamilyConfig, Fields};
use crate::error::ModelError;

pub mod bert;

/// Every family, in the order in which they are listed to users.
pub const FAMILIES: &[FamilyDescription] = &[bert::BERT];

/// What the rest of the program knows about a family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyDescription {
    /// The family's name.
    pub name: &'static str,
    /// The values of `model_type` in `config.json` that mean this family.
    pub model_types: &'static [&'static str],
    /// What a key of a checkpoint means to a model with that head.
    pub translate: fn(&str, Head) -> KeyRule,
    pub(crate) parse: fn(&Fields<'_>) -> Result<FamilyConfig, ModelError>,
}

/// What stands on the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A classifier.
    Classification {
        /// The number of classes.
        classes: usize,
    },
    /// The heads that pre-training needs.
    Pretraining {
        /// Whether there is a head for pairs of passages, besides the one for words.
        pairs: bool,
        /// Whether the pooler belongs to the model: a head for pairs needs it, and a checkpoint's own is kept.
        pooler: bool,
    },
}

/// A part of a network, from the input to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    /// What turns tokens or pixels into vectors.
    Embeddings,
    /// A layer, counted from the input.
    Layer(usize),
    /// What was pretrained and follows the last layer, such as BERT's pooler.
    Final,
    /// What the task at hand brought along: the classifier, or the heads of pre-training.
    Head,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embeddings => f.pad("embeddings"),
            Self::Layer(index) => f.pad(&format!("layer {index}")),
            Self::Final => f.pad("final"),
            Self::Head => f.pad("head"),
        }
    }
}

/// What a parameter is, for weight decay and for its first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// The matrix of a linear map, `[outputs, inputs]`.
    Weight,
    /// A bias.
    Bias,
    /// The weight or the bias of a layer norm.
    LayerNorm,
    /// A table of vectors, `[entries, hidden]`.
    Embedding,
}

/// A parameter that a model has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Hugging Face's name, verbatim.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Where it belongs.
    pub block: Block,
    /// What it is.
    pub kind: ParameterKind,
    /// Whether a checkpoint may lack it, so that it starts afresh.
    pub new_if_missing: bool,
}

impl ParameterSpec {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a key of a checkpoint means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// It holds the parameter of this name.
    Parameter(String),
    /// It repeats the parameter of this name, and is read only where that has no key of its own.
    Repeats(String),
    /// It is left out, for this reason.
    Ignored(&'static str),
    /// No rule names it.
    Unknown,
}
