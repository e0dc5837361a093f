//! BERT (Devlin et al., 2019): `model_type: bert`, as `BertForSequenceClassification` in `transformers`.

mod config;
mod forward;
mod keys;
mod parameters;

pub use config::BertConfig;
pub use forward::{Bert, DropoutRates, Tokens};
pub use keys::translate;
pub use parameters::parameters;

use super::FamilyDescription;
use crate::config::FamilyConfig;

pub(crate) const BERT: FamilyDescription = FamilyDescription {
    name: "bert",
    model_types: &["bert"],
    classifier_architecture: "BertForSequenceClassification",
    translate,
    parse: |fields| BertConfig::parse(fields).map(FamilyConfig::Bert),
};
