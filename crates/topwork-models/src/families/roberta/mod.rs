//! RoBERTa (Liu et al., 2019), and what bears other names and computes the same: XLM-RoBERTa (Conneau et al., 2020) and
//! CamemBERT (Martin et al., 2020). With the heads of `RobertaForSequenceClassification`,
//! `RobertaForTokenClassification` and `RobertaForMaskedLM` in `transformers`.
//!
//! It differs from BERT in how positions are counted, in the head for sequences, which has a hidden layer of its own
//! instead of the pooler, and in the names of the head for words.

mod config;
mod keys;
mod network;

use config::RobertaConfig;
use keys::translate;

use super::FamilyDescription;

pub(crate) const ROBERTA: FamilyDescription = FamilyDescription {
    name: "roberta",
    model_types: &["roberta"],
    class_prefix: "Roberta",
    translate,
    new_config: |sizes| network::new_config("roberta", sizes),
    parse: |fields| Ok(Box::new(RobertaConfig::parse(fields, "Roberta")?)),
};

pub(crate) const XLM_ROBERTA: FamilyDescription = FamilyDescription {
    name: "xlm-roberta",
    model_types: &["xlm-roberta"],
    class_prefix: "XLMRoberta",
    new_config: |sizes| network::new_config("xlm-roberta", sizes),
    parse: |fields| Ok(Box::new(RobertaConfig::parse(fields, "XLMRoberta")?)),
    ..ROBERTA
};

pub(crate) const CAMEMBERT: FamilyDescription = FamilyDescription {
    name: "camembert",
    model_types: &["camembert"],
    class_prefix: "Camembert",
    new_config: |sizes| network::new_config("camembert", sizes),
    parse: |fields| Ok(Box::new(RobertaConfig::parse(fields, "Camembert")?)),
    ..ROBERTA
};
