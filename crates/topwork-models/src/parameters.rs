//! What a parameter is: its name, its shape, and where in a network it belongs.

use std::fmt;

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
