//! BERT (Devlin et al., 2019): `model_type: bert`, with the heads of `BertForSequenceClassification`,
//! `BertForTokenClassification`, `BertForPreTraining` and `BertForMaskedLM` in `transformers`.

mod classifier;
mod config;
mod encoder;
mod keys;
mod network;
mod parameters;
mod pretraining;

pub use classifier::{BertClassifier, ClassifierDropout};
pub use config::BertConfig;
pub use encoder::{Asked, EncoderDropout, Tokens};
pub use keys::translate;
pub use parameters::parameters;
pub use pretraining::{BertPretraining, PretrainingLogits};

use super::FamilyDescription;

pub(crate) const BERT: FamilyDescription = FamilyDescription {
    name: "bert",
    model_types: &["bert"],
    translate,
    new_config: network::new_config,
    parse: |fields| Ok(Box::new(BertConfig::parse(fields)?)),
};
