//! Every parameter of BERT with a head.

use super::BertConfig;
use crate::families::{Block, Head, ParameterKind, ParameterSpec};

/// The parameters of BERT with that head, from the input to the output. The pooler is [`Block::Final`], because it is
/// pretrained; it and the head may be missing from a checkpoint.
pub fn parameters(config: &BertConfig, head: Head) -> Vec<ParameterSpec> {
    let hidden = config.hidden_size;
    let mut list = List::default();
    let tables = [
        ("word_embeddings", config.vocab_size),
        ("position_embeddings", config.max_position_embeddings),
        ("token_type_embeddings", config.type_vocab_size),
    ];
    for (table, rows) in tables {
        let name = format!("bert.embeddings.{table}.weight");
        list.push(name, vec![rows, hidden], Block::Embeddings, ParameterKind::Embedding);
    }
    list.layer_norm("bert.embeddings.LayerNorm", hidden, Block::Embeddings);
    for index in 0..config.num_hidden_layers {
        list.layer(config, index);
    }
    let pretrained = list.specs.len();
    if !matches!(head, Head::Pretraining { pooler: false, .. }) {
        list.linear("bert.pooler.dense", [hidden, hidden], Block::Final);
    }
    match head {
        Head::Classification { classes } => list.linear("classifier", [classes, hidden], Block::Head),
        Head::Pretraining { pairs, .. } => {
            list.linear("cls.predictions.transform.dense", [hidden, hidden], Block::Head);
            list.layer_norm("cls.predictions.transform.LayerNorm", hidden, Block::Head);
            let bias = "cls.predictions.bias".to_string();
            list.push(bias, vec![config.vocab_size], Block::Head, ParameterKind::Bias);
            if pairs {
                list.linear("cls.seq_relationship", [2, hidden], Block::Head);
            }
        }
    }
    for spec in &mut list.specs[pretrained..] {
        spec.new_if_missing = true;
    }
    list.specs
}

#[derive(Default)]
struct List {
    specs: Vec<ParameterSpec>,
}

impl List {
    fn layer(&mut self, config: &BertConfig, index: usize) {
        let (hidden, middle) = (config.hidden_size, config.intermediate_size);
        let (prefix, block) = (format!("bert.encoder.layer.{index}"), Block::Layer(index));
        for role in ["query", "key", "value"] {
            self.linear(&format!("{prefix}.attention.self.{role}"), [hidden, hidden], block);
        }
        self.linear(&format!("{prefix}.attention.output.dense"), [hidden, hidden], block);
        self.layer_norm(&format!("{prefix}.attention.output.LayerNorm"), hidden, block);
        self.linear(&format!("{prefix}.intermediate.dense"), [middle, hidden], block);
        self.linear(&format!("{prefix}.output.dense"), [hidden, middle], block);
        self.layer_norm(&format!("{prefix}.output.LayerNorm"), hidden, block);
    }

    /// A linear map of shape `[outputs, inputs]`.
    fn linear(&mut self, prefix: &str, shape: [usize; 2], block: Block) {
        self.push(format!("{prefix}.weight"), shape.to_vec(), block, ParameterKind::Weight);
        self.push(format!("{prefix}.bias"), vec![shape[0]], block, ParameterKind::Bias);
    }

    fn layer_norm(&mut self, prefix: &str, width: usize, block: Block) {
        for part in ["weight", "bias"] {
            self.push(format!("{prefix}.{part}"), vec![width], block, ParameterKind::LayerNorm);
        }
    }

    fn push(&mut self, name: String, shape: Vec<usize>, block: Block, kind: ParameterKind) {
        self.specs.push(ParameterSpec { name, shape, block, kind, new_if_missing: false });
    }
}
