//! BERT (Devlin et al., 2019): `model_type: bert`, with the heads of `BertForSequenceClassification`,
//! `BertForTokenClassification`, `BertForPreTraining` and `BertForMaskedLM` in `transformers`.

mod config;
mod keys;
mod network;

use config::BertConfig;

use super::FamilyDescription;

pub(crate) const BERT: FamilyDescription = FamilyDescription {
    name: "bert",
    model_types: &["bert"],
    class_prefix: "Bert",
    translate: keys::translate,
    new_config: network::new_config,
    parse: |fields| Ok(Box::new(BertConfig::parse(fields)?)),
};
