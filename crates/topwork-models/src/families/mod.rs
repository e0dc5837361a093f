//! The families of models. A family is a folder here and a line in [`FAMILIES`].

use std::fmt;

use topwork_engine::Parameters;

use crate::backbone::Backbone;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::{HeadKind, HeadLayout};
use crate::layers::Dropouts;
use crate::parameters::ParameterSpec;

mod bert;
mod distilbert;
mod roberta;
pub(crate) mod tokenizer_classes;

#[cfg(test)]
mod conformance;

/// Every family, in the order in which they are listed to users.
pub const FAMILIES: &[FamilyDescription] =
    &[bert::BERT, roberta::ROBERTA, roberta::XLM_ROBERTA, roberta::CAMEMBERT, distilbert::DISTILBERT];

/// The family of models that are made anew, for pre-training.
pub const OF_NEW_MODELS: &FamilyDescription = &bert::BERT;

/// What the rest of the program knows about a family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyDescription {
    /// The family's name.
    pub name: &'static str,
    /// The values of `model_type` in `config.json` that mean this family.
    pub model_types: &'static [&'static str],
    /// What the names of its classes in `transformers` begin with.
    pub class_prefix: &'static str,
    /// What a key of a checkpoint means to a model with that head.
    pub translate: fn(&str, HeadKind) -> KeyRule,
    /// `config.json` of a new model of these sizes.
    pub new_config: fn(&Sizes) -> serde_json::Value,
    pub(crate) parse: fn(&Fields<'_>) -> Result<Box<dyn EncoderConfig>, ModelError>,
}

/// The `model_type` that the classes of a configuration tell, for one that does not say it.
pub(crate) fn type_of_architectures(raw: &serde_json::Value) -> Option<&'static str> {
    let class = raw.get("architectures")?.as_array()?.first()?.as_str()?;
    let is_own = |family: &&FamilyDescription| {
        class.strip_prefix(family.class_prefix).is_some_and(|rest| rest.starts_with("For") || rest == "Model")
    };
    FAMILIES.iter().find(is_own)?.model_types.first().copied()
}

/// The `model_type` whose rules know most of these keys of a checkpoint.
pub(crate) fn type_of_keys<'a>(keys: impl Iterator<Item = &'a str>) -> &'static str {
    let keys: Vec<&str> = keys.collect();
    let known = |family: &&FamilyDescription| {
        let means = |key: &&&str| !matches!((family.translate)(key, HeadKind::MASKED_WORDS), KeyRule::Unknown);
        keys.iter().filter(means).count()
    };
    // The first of those that know as many.
    let best = FAMILIES.iter().rev().max_by_key(known).unwrap_or(OF_NEW_MODELS);
    best.model_types.first().copied().unwrap_or(best.name)
}

/// What a family understood of `config.json`.
pub trait EncoderConfig: fmt::Debug + Send + Sync {
    /// The sizes that the rest of the program asks for.
    fn sizes(&self) -> Sizes;

    /// The standard deviation of new weights.
    fn initializer_range(&self) -> f64;

    /// The rates of dropout with that head, each with the key of `config.json` that says it.
    fn dropouts(&self, head: HeadKind) -> DropoutRates;

    /// The names of the classes by id, when there are any.
    fn id2label(&self) -> Option<&[String]>;

    /// What the head was trained for: `problem_type`.
    fn problem_type(&self) -> Option<&str>;

    /// The name of the model with that head in `transformers`.
    fn architecture(&self, head: HeadKind) -> String;

    /// The parameters below any head, from the input to the output.
    fn backbone_specs(&self) -> Vec<ParameterSpec>;

    /// The network below any head, bound to `parameters`.
    ///
    /// # Errors
    /// When a parameter is missing.
    fn backbone(&self, parameters: &Parameters, dropouts: Dropouts) -> Result<Box<dyn Backbone>, ModelError>;

    /// The parts of that head; none when the family has no such head.
    fn head(&self, head: HeadKind) -> Option<HeadLayout>;

    /// The key of `config.json` with the number of layers.
    fn layers_key(&self) -> &'static str {
        "num_hidden_layers"
    }

    /// One more layer above the others, whose output for each token is the mean of all tokens, standardised: its parameters and
    /// their values.
    fn mean_layer(&self) -> Vec<(ParameterSpec, Vec<f32>)>;
}

/// The sizes of a text encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the table of words.
    pub vocab_size: usize,
    /// Width of the network.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of a layer's middle.
    pub intermediate_size: usize,
    /// The longest sequence, in tokens.
    pub max_tokens: usize,
    /// Segments: 2 for pairs of texts; none in a family that does not tell them apart and does not read type ids.
    pub type_vocab_size: Option<usize>,
    /// The id of the padding token.
    pub pad_token_id: usize,
}

/// A rate of dropout and where it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropoutRate {
    /// The probability.
    pub value: f32,
    /// The key of `config.json` that says it, or would if it were there.
    pub key: &'static str,
}

/// The rates of dropout in `config.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropoutRates {
    /// Of embeddings and sublayers.
    pub hidden: DropoutRate,
    /// Of attention probabilities.
    pub attention: DropoutRate,
    /// Of the head.
    pub head: DropoutRate,
}

impl From<DropoutRates> for Dropouts {
    fn from(rates: DropoutRates) -> Self {
        Self { hidden: rates.hidden.value, attention: rates.attention.value, head: rates.head.value }
    }
}

/// What a key of a checkpoint means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// It holds the parameter of this name.
    Parameter(String),
    /// It repeats the parameter of this name, and is read only where that has no key of its own.
    Repeats(String),
    /// It is left out, for this reason.
    Ignored(&'static str),
    /// No rule names it.
    Unknown,
}

/// A checkpoint's name in today's words: TensorFlow's names of a layer norm's parameters are old.
fn modern(key: &str) -> String {
    if let Some(prefix) = key.strip_suffix("LayerNorm.gamma") {
        format!("{prefix}LayerNorm.weight")
    } else if let Some(prefix) = key.strip_suffix("LayerNorm.beta") {
        format!("{prefix}LayerNorm.bias")
    } else {
        key.to_string()
    }
}

/// Why keys are left out.
mod reasons {
    pub(super) const BUFFER: &str = "a buffer, not a parameter";
    pub(super) const PRETRAINING_HEAD: &str = "a pre-training head, not used by this head";
    pub(super) const PAIR_HEAD: &str = "the head for pairs of passages, not used without an objective for pairs";
    pub(super) const CLASSIFIER: &str = "a classifier, not used in pre-training";
    pub(super) const OTHER_CLASSIFIER: &str = "a classifier of another kind, not used here";
    pub(super) const ANSWER_HEAD: &str = "a question-answering head, not used here";
    pub(super) const POOLER: &str = "a pooler, not used by this head";
}
