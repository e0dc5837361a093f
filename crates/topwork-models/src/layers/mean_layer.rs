//! The mean of a text's tokens as one more layer of a post-norm encoder, so that a program that reads first tokens alone, as
//! `transformers` does, runs a model that was trained on the mean.
//!
//! With queries and keys of 0 every token attends to all tokens alike, so that the attention's output is their mean. It is
//! multiplied with [`STRENGTH`], beside which the residual is too small to matter: the layer norm takes the factor away again. The
//! feed-forward part adds nothing. Each token's output is then the mean, standardised.

use super::{LayerNames, PostNormShape, SpecList};
use crate::parameters::{ParameterKind, ParameterSpec};

/// What the mean is multiplied with, a power of two, which `bfloat16` holds too. The residual leaves an error of one part in so many,
/// times its length beside the mean's.
const STRENGTH: f32 = 131_072.0;

impl PostNormShape {
    /// The parameters of one more layer above the others and their values, with which its output for each token is the mean of
    /// the tokens, standardised.
    pub(crate) fn mean_layer(&self) -> Vec<(ParameterSpec, Vec<f32>)> {
        let mut list = SpecList::default();
        self.list_layer(&mut list, self.layers);
        let values = |spec: ParameterSpec| {
            let values = self.value_in_mean_layer(&spec);
            (spec, values)
        };
        list.into_specs().into_iter().map(values).collect()
    }

    fn value_in_mean_layer(&self, spec: &ParameterSpec) -> Vec<f32> {
        let LayerNames { prefix, value, attention_output, output_norm, .. } = self.layer;
        let is_weight_of = |part: &str| spec.name == format!("{prefix}.{}.{part}.weight", self.layers);
        let diagonal = |entry: f32| {
            let width = self.hidden_size;
            (0..width * width).map(|place| if place % (width + 1) == 0 { entry } else { 0.0 }).collect()
        };
        match spec.kind {
            ParameterKind::Weight if is_weight_of(value) => diagonal(1.0),
            ParameterKind::Weight if is_weight_of(attention_output) => diagonal(STRENGTH),
            // The second norm is of rows of variance 1, to which it adds its epsilon.
            ParameterKind::LayerNorm if is_weight_of(output_norm) => {
                vec![(1.0 + self.epsilon).sqrt() as f32; spec.len()]
            }
            ParameterKind::LayerNorm if spec.name.ends_with(".weight") => vec![1.0; spec.len()],
            ParameterKind::Weight | ParameterKind::Bias | ParameterKind::LayerNorm | ParameterKind::Embedding => {
                vec![0.0; spec.len()]
            }
        }
    }
}
