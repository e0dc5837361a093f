//! DistilBERT as a backbone with heads: its names and how they are put together.

use serde_json::{Value, json};
use topwork_engine::{Activation, Parameters};

use super::DistilBertConfig;
use crate::backbone::Backbone;
use crate::error::ModelError;
use crate::families::{DropoutRate, DropoutRates, EncoderConfig, Sizes};
use crate::heads::{HeadKind, HeadLayout, Part};
use crate::layers::{Dropouts, LayerNames, Positions, PostNormShape, TableNames};
use crate::parameters::{Block, ParameterSpec};

/// Added to the variance in every layer norm; `config.json` does not say it.
const EPSILON: f64 = 1e-12;

const TABLES: TableNames = TableNames {
    word: "distilbert.embeddings.word_embeddings",
    position: "distilbert.embeddings.position_embeddings",
    token_type: None,
    norm: "distilbert.embeddings.LayerNorm",
};

const LAYER: LayerNames = LayerNames {
    prefix: "distilbert.transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    wide: "ffn.lin1",
    narrow: "ffn.lin2",
    output_norm: "output_layer_norm",
};

impl DistilBertConfig {
    fn shape(&self) -> PostNormShape {
        PostNormShape {
            tables: TABLES,
            layer: LAYER,
            vocab_size: self.vocab_size,
            position_rows: self.max_position_embeddings,
            type_rows: 0,
            positions: Positions::FromZero,
            pad_token_id: self.pad_token_id as u32,
            hidden_size: self.dim,
            layers: self.n_layers,
            heads: self.n_heads,
            intermediate_size: self.hidden_dim,
            activation: self.activation,
            epsilon: EPSILON,
            drops_attention_output: false,
        }
    }
}

impl EncoderConfig for DistilBertConfig {
    fn sizes(&self) -> Sizes {
        Sizes {
            vocab_size: self.vocab_size,
            hidden_size: self.dim,
            num_hidden_layers: self.n_layers,
            num_attention_heads: self.n_heads,
            intermediate_size: self.hidden_dim,
            max_tokens: self.max_position_embeddings,
            type_vocab_size: None,
            pad_token_id: self.pad_token_id,
        }
    }

    fn initializer_range(&self) -> f64 {
        self.initializer_range
    }

    fn dropouts(&self, head: HeadKind) -> DropoutRates {
        let hidden = DropoutRate { value: self.dropout, key: "dropout" };
        let attention = DropoutRate { value: self.attention_dropout, key: "attention_dropout" };
        let head = match head {
            HeadKind::Sequence { .. } => DropoutRate { value: self.seq_classif_dropout, key: "seq_classif_dropout" },
            HeadKind::Token { .. } | HeadKind::Pretraining { .. } => hidden,
        };
        DropoutRates { hidden, attention, head }
    }

    fn id2label(&self) -> Option<&[String]> {
        self.id2label.as_deref()
    }

    fn problem_type(&self) -> Option<&str> {
        self.problem_type.as_deref()
    }

    fn architecture(&self, head: HeadKind) -> String {
        let name = match head {
            HeadKind::Sequence { .. } => "DistilBertForSequenceClassification",
            HeadKind::Token { .. } => "DistilBertForTokenClassification",
            HeadKind::Pretraining { .. } => "DistilBertForMaskedLM",
        };
        name.to_string()
    }

    fn backbone_specs(&self) -> Vec<ParameterSpec> {
        self.shape().list().into_specs()
    }

    fn backbone(&self, parameters: &Parameters, dropouts: Dropouts) -> Result<Box<dyn Backbone>, ModelError> {
        Ok(Box::new(self.shape().bind(parameters, dropouts)?))
    }

    fn layers_key(&self) -> &'static str {
        "n_layers"
    }

    fn mean_layer(&self) -> Vec<(ParameterSpec, Vec<f32>)> {
        self.shape().mean_layer()
    }

    fn head(&self, head: HeadKind) -> Option<HeadLayout> {
        let dense = |name, activation| Part::Dense { name, block: Block::Head, activation };
        let classifier = |outputs| Part::Output { name: "classifier", outputs };
        Some(match head {
            HeadKind::Sequence { outputs } => {
                HeadLayout::of([dense("pre_classifier", Activation::Relu), Part::Dropout, classifier(outputs)])
            }
            HeadKind::Token { labels } => HeadLayout::of([Part::Dropout, classifier(labels)]),
            HeadKind::Pretraining { pairs: false, pooler: false } => HeadLayout::of([
                dense("vocab_transform", self.activation),
                Part::Norm { name: "vocab_layer_norm", epsilon: EPSILON },
                Part::TiedOutput { bias: "vocab_projector.bias", outputs: self.vocab_size },
            ]),
            HeadKind::Pretraining { .. } => return None,
        })
    }
}

/// `config.json` of a new DistilBERT. Its dropout is for fine-tuning.
pub(super) fn new_config(sizes: &Sizes) -> Value {
    json!({
        "architectures": [],
        "model_type": "distilbert",
        "vocab_size": sizes.vocab_size,
        "dim": sizes.hidden_size,
        "n_layers": sizes.num_hidden_layers,
        "n_heads": sizes.num_attention_heads,
        "hidden_dim": sizes.intermediate_size,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "seq_classif_dropout": 0.2,
        "qa_dropout": 0.1,
        "max_position_embeddings": sizes.max_tokens,
        "sinusoidal_pos_embds": false,
        "initializer_range": 0.02,
        "pad_token_id": sizes.pad_token_id,
    })
}
