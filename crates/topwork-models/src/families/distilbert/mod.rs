//! DistilBERT (Sanh et al., 2019): half of BERT's layers, no token types, no pooler. With the heads of
//! `DistilBertForSequenceClassification`, `DistilBertForTokenClassification` and `DistilBertForMaskedLM` in
//! `transformers`.

mod config;
mod keys;
mod network;

use config::DistilBertConfig;

use super::FamilyDescription;

pub(crate) const DISTILBERT: FamilyDescription = FamilyDescription {
    name: "distilbert",
    model_types: &["distilbert"],
    class_prefix: "DistilBert",
    translate: keys::translate,
    new_config: network::new_config,
    parse: |fields| Ok(Box::new(DistilBertConfig::parse(fields)?)),
};
