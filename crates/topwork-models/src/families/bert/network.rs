//! BERT as a backbone with heads: its names and how they are put together.

use serde_json::{Value, json};
use topwork_engine::{Activation, Parameters};

use super::BertConfig;
use crate::backbone::Backbone;
use crate::error::ModelError;
use crate::families::{DropoutRate, DropoutRates, EncoderConfig, Sizes};
use crate::heads::{HeadKind, HeadLayout, Part};
use crate::layers::{Dropouts, LayerNames, Positions, PostNormShape, TableNames};
use crate::parameters::{Block, ParameterSpec};

const TABLES: TableNames = TableNames {
    word: "bert.embeddings.word_embeddings",
    position: "bert.embeddings.position_embeddings",
    token_type: Some("bert.embeddings.token_type_embeddings"),
    norm: "bert.embeddings.LayerNorm",
};

const LAYER: LayerNames = LayerNames { prefix: "bert.encoder.layer", ..LayerNames::USUAL };

const POOLER: Part = Part::Dense { name: "bert.pooler.dense", block: Block::Final, activation: Activation::Tanh };

impl BertConfig {
    fn shape(&self) -> PostNormShape {
        PostNormShape {
            tables: TABLES,
            layer: LAYER,
            vocab_size: self.vocab_size,
            position_rows: self.max_position_embeddings,
            type_rows: self.type_vocab_size,
            positions: Positions::FromZero,
            pad_token_id: self.pad_token_id as u32,
            hidden_size: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            activation: self.hidden_act,
            epsilon: self.layer_norm_eps,
            drops_attention_output: true,
        }
    }
}

impl EncoderConfig for BertConfig {
    fn sizes(&self) -> Sizes {
        Sizes {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            max_tokens: self.max_position_embeddings,
            type_vocab_size: Some(self.type_vocab_size),
            pad_token_id: self.pad_token_id,
        }
    }

    fn initializer_range(&self) -> f64 {
        self.initializer_range
    }

    fn dropouts(&self, _: HeadKind) -> DropoutRates {
        let hidden = DropoutRate { value: self.hidden_dropout_prob, key: "hidden_dropout_prob" };
        let attention = DropoutRate { value: self.attention_probs_dropout_prob, key: "attention_probs_dropout_prob" };
        let head = self.classifier_dropout.map(|value| DropoutRate { value, key: "classifier_dropout" });
        DropoutRates { hidden, attention, head: head.unwrap_or(hidden) }
    }

    fn id2label(&self) -> Option<&[String]> {
        self.id2label.as_deref()
    }

    fn problem_type(&self) -> Option<&str> {
        self.problem_type.as_deref()
    }

    fn architecture(&self, head: HeadKind) -> String {
        let name = match head {
            HeadKind::Sequence { .. } => "BertForSequenceClassification",
            HeadKind::Token { .. } => "BertForTokenClassification",
            HeadKind::Pretraining { pairs: true, .. } => "BertForPreTraining",
            HeadKind::Pretraining { pairs: false, .. } => "BertForMaskedLM",
        };
        name.to_string()
    }

    fn backbone_specs(&self) -> Vec<ParameterSpec> {
        self.shape().list().into_specs()
    }

    fn backbone(&self, parameters: &Parameters, dropouts: Dropouts) -> Result<Box<dyn Backbone>, ModelError> {
        Ok(Box::new(self.shape().bind(parameters, dropouts)?))
    }

    fn mean_layer(&self) -> Vec<(ParameterSpec, Vec<f32>)> {
        self.shape().mean_layer()
    }

    fn head(&self, head: HeadKind) -> Option<HeadLayout> {
        let classifier = |outputs| Part::Output { name: "classifier", outputs };
        Some(match head {
            HeadKind::Sequence { outputs } => HeadLayout::of([POOLER, Part::Dropout, classifier(outputs)]),
            HeadKind::Token { labels } => HeadLayout::of([Part::Dropout, classifier(labels)]),
            // How two passages belong together is read off the pooler.
            HeadKind::Pretraining { pairs: true, pooler: false } => return None,
            HeadKind::Pretraining { pairs, pooler } => HeadLayout {
                pooler: if pooler { vec![POOLER] } else { Vec::new() },
                main: vec![
                    Part::Dense {
                        name: "cls.predictions.transform.dense",
                        block: Block::Head,
                        activation: self.hidden_act,
                    },
                    Part::Norm { name: "cls.predictions.transform.LayerNorm", epsilon: self.layer_norm_eps },
                    Part::TiedOutput { bias: "cls.predictions.bias", outputs: self.vocab_size },
                ],
                pairs: match pairs {
                    true => vec![Part::Output { name: "cls.seq_relationship", outputs: 2 }],
                    false => Vec::new(),
                },
            },
        })
    }
}

/// `config.json` of a new BERT. Its dropout is for fine-tuning.
pub(super) fn new_config(sizes: &Sizes) -> Value {
    json!({
        "architectures": [],
        "model_type": "bert",
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "num_hidden_layers": sizes.num_hidden_layers,
        "num_attention_heads": sizes.num_attention_heads,
        "intermediate_size": sizes.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": sizes.max_tokens,
        "type_vocab_size": sizes.type_vocab_size.unwrap_or(2),
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": sizes.pad_token_id,
    })
}
