//! `config.json`: which family a model belongs to, and its sizes.
//!
//! The file is kept verbatim beside what was understood of it, so that a saved model keeps the keys that only others
//! understand.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::families::{FAMILIES, FamilyDescription, Head, ParameterSpec};
use crate::files::{brief, read_json_object, write_json};
use crate::load::HeadRule;

use crate::families::bert::BertConfig;

/// The configuration of a model directory.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The whole of `config.json`.
    pub raw: Value,
    /// What the family understood of it.
    pub family: FamilyConfig,
}

/// The configuration by family: `model_type` decides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FamilyConfig {
    /// `model_type: bert`.
    Bert(BertConfig),
}

impl ModelConfig {
    /// Reads `config.json` of a model directory.
    ///
    /// # Errors
    /// When the file cannot be read, its `model_type` is not among [`FAMILIES`], or a key is missing or unusable.
    pub fn load(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join("config.json");
        if !path.exists() {
            return Err(ModelError::MissingFile { directory: directory.to_path_buf(), expected: "config.json" });
        }
        Self::parse(&path, read_json_object(&path)?)
    }

    /// Understands the content of a `config.json`; `path` is for errors.
    ///
    /// # Errors
    /// As [`ModelConfig::load`].
    pub fn parse(path: &Path, raw: Value) -> Result<Self, ModelError> {
        let fields = Fields { path, object: &raw };
        let found = fields.required_text("model_type")?;
        let family = FAMILIES.iter().find(|family| family.model_types.contains(&found));
        let family = family.ok_or_else(|| ModelError::UnknownModelType {
            path: path.to_path_buf(),
            found: found.to_string(),
            supported: FAMILIES.iter().flat_map(|f| f.model_types).copied().collect::<Vec<_>>().join(", "),
        })?;
        let family = (family.parse)(&fields)?;
        Ok(Self { raw, family })
    }

    /// The family that `model_type` chose.
    pub fn description(&self) -> &'static FamilyDescription {
        match self.family {
            FamilyConfig::Bert(_) => &crate::families::bert::BERT,
        }
    }

    /// Every parameter of the model with that head.
    pub fn parameters(&self, head: Head) -> Vec<ParameterSpec> {
        match &self.family {
            FamilyConfig::Bert(config) => crate::families::bert::parameters(config, head),
        }
    }

    /// The names of the classes by id, when the configuration names them.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.family {
            FamilyConfig::Bert(config) => config.id2label.as_deref(),
        }
    }

    /// Whether fine-tuning on `labels` may go on with the checkpoint's classifier: only when it was trained on the same
    /// labels in the same order.
    pub fn head_rule(&self, labels: &[String]) -> HeadRule {
        match self.labels() {
            Some(own) if own == labels => HeadRule::LoadIfShapeFits,
            Some(_) => HeadRule::New("the checkpoint's labels are not those of the data"),
            None => HeadRule::New("the checkpoint names no labels"),
        }
    }

    /// `config.json` of this model as a classifier of `labels` (their order is their ids) in f32: every other key stays
    /// as it was.
    pub fn for_classification(&self, labels: &[String]) -> Value {
        let id2label: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        let label2id: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect();
        self.with_head("BertForSequenceClassification", |object| {
            object.insert("id2label".into(), Value::Object(id2label));
            object.insert("label2id".into(), Value::Object(label2id));
            object.insert("problem_type".into(), json!("single_label_classification"));
        })
    }

    /// `config.json` of this model with the heads of pre-training, in f32, whose decoder is the table of
    /// words; the labels of a classifier are taken out.
    pub fn for_pretraining(&self, pairs: bool) -> Value {
        let architecture = if pairs { "BertForPreTraining" } else { "BertForMaskedLM" };
        self.with_head(architecture, |object| {
            for key in ["id2label", "label2id", "problem_type"] {
                object.shift_remove(key);
            }
            if let Some(value) = object.get_mut("tie_word_embeddings") {
                *value = json!(true);
            }
        })
    }

    fn with_head(&self, architecture: &str, describe: impl FnOnce(&mut Map<String, Value>)) -> Value {
        let mut raw = self.raw.clone();
        let Some(object) = raw.as_object_mut() else { return raw };
        object.insert("architectures".into(), json!([architecture]));
        describe(object);
        // These repeat the number of labels, and would contradict it.
        object.shift_remove("num_labels");
        object.shift_remove("_num_labels");
        // The weights are written in f32, and `transformers` believes these keys rather than the weights.
        for key in ["dtype", "torch_dtype"] {
            if let Some(value) = object.get_mut(key) {
                *value = json!("float32");
            }
        }
        raw
    }
}

/// Writes `config.json` into a directory.
///
/// # Errors
/// When the file cannot be written.
pub fn save_config(directory: &Path, config: &Value) -> Result<(), ModelError> {
    write_json(&directory.join("config.json"), config)
}

/// The keys of a JSON object, read with errors that name file, key, what was expected and what was found. A key whose
/// value is `null` counts as absent, as in `transformers`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    path: &'a Path,
    object: &'a Value,
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn invalid(&self, key: &str, expected: impl Into<String>, found: impl Into<String>) -> ModelError {
        ModelError::InvalidValue {
            path: self.path.to_path_buf(),
            key: key.to_string(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn required(&self, key: &str, expected: &str) -> Result<&'a Value, ModelError> {
        self.get(key).ok_or_else(|| ModelError::MissingKey {
            path: self.path.to_path_buf(),
            key: key.to_string(),
            expected: expected.to_string(),
        })
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<&'a str, ModelError> {
        let value = self.required(key, "a string")?;
        value.as_str().ok_or_else(|| self.invalid(key, "a string", brief(value)))
    }

    pub(crate) fn text_or(&self, key: &str, default: &'a str) -> Result<&'a str, ModelError> {
        if self.get(key).is_none() { Ok(default) } else { self.required_text(key) }
    }

    /// A size that the weights depend on: never assumed, never zero.
    pub(crate) fn size(&self, key: &str) -> Result<usize, ModelError> {
        const EXPECTED: &str = "a positive integer";
        let value = self.required(key, EXPECTED)?;
        match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(size) if size > 0 => Ok(size as usize),
            _ => Err(self.invalid(key, EXPECTED, brief(value))),
        }
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        if self.get(key).is_none() { Ok(default) } else { self.size(key) }
    }

    /// An id, zero included.
    pub(crate) fn id_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let id = value.as_u64().and_then(|n| u32::try_from(n).ok());
        id.map(|id| id as usize).ok_or_else(|| self.invalid(key, "an id", brief(value)))
    }

    /// A number for which `holds`.
    pub(crate) fn number_or(
        &self,
        key: &str,
        default: f64,
        expected: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, ModelError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().filter(|n| holds(*n)).ok_or_else(|| self.invalid(key, expected, brief(value)))
    }

    /// A probability of dropout: 0 is none, 1 would leave nothing.
    pub(crate) fn dropout_or(&self, key: &str, default: f32) -> Result<f32, ModelError> {
        let expected = "a number from 0 to below 1";
        self.number_or(key, default.into(), expected, |p| (0.0..1.0).contains(&p)).map(|p| p as f32)
    }
}
