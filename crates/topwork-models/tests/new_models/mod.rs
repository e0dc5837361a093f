//! Small models of a family with random weights, in directories.

use tempfile::TempDir;
use topwork_models::{
    FamilyDescription, HeadKind, ModelConfig, Pooling, Sizes, TensorView, Weights, save_config, write_safetensors,
};

/// A model of forty words and so many layers.
pub(crate) fn new_config(family: &FamilyDescription, layers: usize) -> ModelConfig {
    let sizes = Sizes {
        vocab_size: 40,
        hidden_size: 16,
        num_hidden_layers: layers,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_tokens: 20,
        type_vocab_size: (family.name != "distilbert").then_some(2),
        pad_token_id: 1,
    };
    ModelConfig::parse("config.json".as_ref(), (family.new_config)(&sizes)).unwrap()
}

/// A directory with a model of a head for these labels; with the layer that computes the mean, where the pooling is that.
pub(crate) fn saved(
    config: &ModelConfig,
    weights: &Weights,
    head: HeadKind,
    labels: &[String],
    pooling: Pooling,
) -> TempDir {
    let mut written = config.for_head(head, labels, None).unwrap();
    let more = match pooling {
        Pooling::MeanTokens => config.add_mean_layer(&mut written),
        Pooling::FirstToken => Vec::new(),
    };
    let own = weights.specs.iter().zip(&weights.tensors).chain(more.iter().map(|(spec, values)| (spec, values)));
    let views: Vec<TensorView<'_>> =
        own.map(|(spec, data)| TensorView { name: &spec.name, shape: &spec.shape, data }).collect();
    let folder = TempDir::new().unwrap();
    write_safetensors(&folder.path().join("model.safetensors"), &views).unwrap();
    save_config(folder.path(), &written).unwrap();
    folder
}
