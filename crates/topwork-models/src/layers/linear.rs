//! A linear map with a bias.

use topwork_engine::{Activation, ParameterId, Tape, Value};

use super::{Names, SpecList};
use crate::error::ModelError;
use crate::parameters::{Block, ParameterKind};

/// `x Wᵀ + b`, `W` `[outputs, inputs]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: ParameterId,
    pub(crate) bias: ParameterId,
}

impl Linear {
    /// Its parameters; `shape` is `[outputs, inputs]`.
    pub(crate) fn list(list: &mut SpecList, name: &str, shape: [usize; 2], block: Block) {
        list.push(format!("{name}.weight"), shape.to_vec(), block, ParameterKind::Weight);
        list.push(format!("{name}.bias"), vec![shape[0]], block, ParameterKind::Bias);
    }

    pub(crate) fn bind(names: Names<'_>, name: &str) -> Result<Self, ModelError> {
        Ok(Self { weight: names.id(&format!("{name}.weight"))?, bias: names.id(&format!("{name}.bias"))? })
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(crate) fn apply(self, tape: &mut Tape<'_>, x: &Value) -> Value {
        tape.linear(x, self.weight, Some(self.bias))
    }

    /// The same with an activation on it, which adds the bias in its own pass.
    pub(crate) fn apply_with(self, tape: &mut Tape<'_>, x: &Value, activation: Activation) -> Value {
        let product = tape.linear(x, self.weight, None);
        tape.activation(product, self.bias, activation)
    }
}
