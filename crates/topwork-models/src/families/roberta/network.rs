//! RoBERTa as a backbone with heads: its names and how they are put together.

use serde_json::{Value, json};
use topwork_engine::{Activation, Parameters};

use super::RobertaConfig;
use crate::backbone::Backbone;
use crate::error::ModelError;
use crate::families::{DropoutRate, DropoutRates, EncoderConfig, Sizes};
use crate::heads::{HeadKind, HeadLayout, Part};
use crate::layers::{Dropouts, LayerNames, Positions, PostNormShape, TableNames};
use crate::parameters::{Block, ParameterSpec};

const TABLES: TableNames = TableNames {
    word: "roberta.embeddings.word_embeddings",
    position: "roberta.embeddings.position_embeddings",
    token_type: Some("roberta.embeddings.token_type_embeddings"),
    norm: "roberta.embeddings.LayerNorm",
};

const LAYER: LayerNames = LayerNames { prefix: "roberta.encoder.layer", ..LayerNames::USUAL };

impl RobertaConfig {
    fn shape(&self) -> PostNormShape {
        PostNormShape {
            tables: TABLES,
            layer: LAYER,
            vocab_size: self.vocab_size,
            position_rows: self.max_position_embeddings,
            type_rows: self.type_vocab_size,
            positions: self.positions(),
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

    fn positions(&self) -> Positions {
        Positions::AfterPadding(self.pad_token_id as u32)
    }
}

impl EncoderConfig for RobertaConfig {
    fn sizes(&self) -> Sizes {
        Sizes {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            max_tokens: self.max_position_embeddings - self.positions().unused(),
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
        let class = self.class;
        match head {
            HeadKind::Sequence { .. } => format!("{class}ForSequenceClassification"),
            HeadKind::Token { .. } => format!("{class}ForTokenClassification"),
            HeadKind::Pretraining { .. } => format!("{class}ForMaskedLM"),
        }
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
        let dense = |name, block, activation| Part::Dense { name, block, activation };
        Some(match head {
            HeadKind::Sequence { outputs } => HeadLayout::of([
                Part::Dropout,
                dense("classifier.dense", Block::Head, Activation::Tanh),
                Part::Dropout,
                Part::Output { name: "classifier.out_proj", outputs },
            ]),
            HeadKind::Token { labels } => {
                HeadLayout::of([Part::Dropout, Part::Output { name: "classifier", outputs: labels }])
            }
            HeadKind::Pretraining { pairs: true, .. } => return None,
            HeadKind::Pretraining { pairs: false, pooler } => HeadLayout {
                pooler: match pooler {
                    true => vec![dense("roberta.pooler.dense", Block::Final, Activation::Tanh)],
                    false => Vec::new(),
                },
                main: vec![
                    // GELU whatever `hidden_act` says, as in `transformers`.
                    dense("lm_head.dense", Block::Head, Activation::Gelu),
                    Part::Norm { name: "lm_head.layer_norm", epsilon: self.layer_norm_eps },
                    Part::TiedOutput { bias: "lm_head.bias", outputs: self.vocab_size },
                ],
                pairs: Vec::new(),
            },
        })
    }
}

/// `config.json` of a new model. Its dropout is for fine-tuning.
pub(super) fn new_config(model_type: &str, sizes: &Sizes) -> Value {
    json!({
        "architectures": [],
        "model_type": model_type,
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "num_hidden_layers": sizes.num_hidden_layers,
        "num_attention_heads": sizes.num_attention_heads,
        "intermediate_size": sizes.intermediate_size,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": sizes.max_tokens + sizes.pad_token_id + 1,
        "type_vocab_size": sizes.type_vocab_size.unwrap_or(1),
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-5,
        "pad_token_id": sizes.pad_token_id,
    })
}
