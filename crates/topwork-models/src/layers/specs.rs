//! Parameters by name: listing those of a network, and finding them again.

use topwork_engine::{ParameterId, Parameters};

use crate::error::ModelError;
use crate::parameters::{Block, ParameterKind, ParameterSpec};

/// The parameters of a network, from the input to the output, as its layers add them.
#[derive(Debug, Default)]
pub(crate) struct SpecList(Vec<ParameterSpec>);

impl SpecList {
    pub(crate) fn push(&mut self, name: String, shape: Vec<usize>, block: Block, kind: ParameterKind) {
        // What was pretrained above the layers, and the head, may start afresh.
        let new_if_missing = matches!(block, Block::Final | Block::Head);
        self.0.push(ParameterSpec { name, shape, block, kind, new_if_missing });
    }

    pub(crate) fn into_specs(self) -> Vec<ParameterSpec> {
        self.0
    }
}

/// Finds parameters by their Hugging Face names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a>(pub(crate) &'a Parameters);

impl Names<'_> {
    pub(crate) fn id(self, name: &str) -> Result<ParameterId, ModelError> {
        self.0.find(name).ok_or_else(|| ModelError::MissingParameter { name: name.to_string() })
    }
}
