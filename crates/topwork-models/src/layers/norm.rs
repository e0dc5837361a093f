//! The parameters of a layer norm; the engine applies it, alone or with the residual sum before it.

use topwork_engine::LayerNorm;

use super::{Linear, Names, SpecList};
use crate::error::ModelError;
use crate::parameters::{Block, ParameterKind};

/// Its parameters.
pub(crate) fn list(list: &mut SpecList, name: &str, width: usize, block: Block) {
    for part in ["weight", "bias"] {
        list.push(format!("{name}.{part}"), vec![width], block, ParameterKind::LayerNorm);
    }
}

pub(crate) fn bind(names: Names<'_>, name: &str, epsilon: f64) -> Result<LayerNorm, ModelError> {
    let Linear { weight, bias } = Linear::bind(names, name)?;
    Ok(LayerNorm { weight, bias, epsilon: epsilon as f32 })
}
