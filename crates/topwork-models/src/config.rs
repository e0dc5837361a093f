//! `config.json`: which family a model belongs to, and its sizes.
//!
//! The file is kept verbatim beside what was understood of it, so that a saved model keeps the keys that only others
//! understand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::ModelError;
use crate::families::{EncoderConfig, FAMILIES, FamilyDescription, KeyRule, type_of_architectures, type_of_keys};
use crate::fields::{Fields, LABELS};
use crate::files::{brief, read_json_object, write_json};
use crate::heads::{HeadKind, HeadLayout, HeadRule, Pooling};
use crate::parameters::ParameterSpec;
use crate::weights::Checkpoint;

/// The key of `config.json` which says that the last layer does nothing but give each token the mean of all tokens.
pub const MEAN_LAYER: &str = "topwork_mean_layer";

/// The configuration of a model directory.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The whole of `config.json`; without the layer of [`MEAN_LAYER`], where it is one.
    pub raw: Value,
    encoder: Arc<dyn EncoderConfig>,
    description: FamilyDescription,
    /// Whether the directory has a layer more than `raw` says, which computes the mean.
    has_mean_layer: bool,
    /// The same with all layers, where the upper ones are left out.
    whole: Option<Arc<ModelConfig>>,
}

/// What a head for sequences was trained for: `problem_type` in `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// One class for each text.
    SingleLabelClassification,
    /// Any number of labels for each text.
    MultiLabelClassification,
    /// Values.
    Regression,
}

impl ProblemType {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::SingleLabelClassification, Self::MultiLabelClassification, Self::Regression];

    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleLabelClassification => "single_label_classification",
            Self::MultiLabelClassification => "multi_label_classification",
            Self::Regression => "regression",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.name() == name)
    }
}

impl ModelConfig {
    /// Reads `config.json` of a model directory. A last layer that does nothing but compute the mean of the tokens is taken off,
    /// and is the model's [`pooling`](Self::pooling) instead; one that has learnt something since is a layer like others.
    ///
    /// # Errors
    /// When the file cannot be read, its `model_type` is not among [`FAMILIES`], or a key is missing or unusable; where there
    /// may be such a layer, also when the weights cannot be read.
    pub fn load(directory: &Path) -> Result<Self, ModelError> {
        let path = directory.join("config.json");
        if !path.exists() {
            return Err(ModelError::MissingFile { directory: directory.to_path_buf(), expected: "config.json" });
        }
        let mut config = Self::parse(&path, read_json_object(&path)?).map_err(|error| match error {
            ModelError::NoModelType { path, supported, .. } => {
                let checkpoint = Checkpoint::open(directory);
                let likely = type_of_keys(checkpoint.iter().flat_map(Checkpoint::names));
                ModelError::NoModelType { path, supported, likely }
            }
            other => other,
        })?;
        let Some(said) = config.raw.as_object_mut().and_then(|object| object.shift_remove(MEAN_LAYER)) else {
            return Ok(config);
        };
        let layers = config.encoder.sizes().num_hidden_layers;
        if said == json!(true) && layers > 1 {
            let mut below = config.raw.clone();
            below[config.encoder.layers_key()] = json!(layers - 1);
            let below = Self::parse(&path, below)?;
            if below.is_mean_layer(&Checkpoint::open(directory)?)? {
                return Ok(Self { has_mean_layer: true, ..below });
            }
        }
        Ok(config)
    }

    /// Whether a checkpoint's layer above those of this configuration computes the mean.
    fn is_mean_layer(&self, checkpoint: &Checkpoint) -> Result<bool, ModelError> {
        let translate = self.description.translate;
        let meant = |key: &str| match translate(key, HeadKind::Sequence { outputs: 1 }) {
            KeyRule::Parameter(name) => Some(name),
            KeyRule::Repeats(_) | KeyRule::Ignored(_) | KeyRule::Unknown => None,
        };
        let keys: BTreeMap<String, &str> = checkpoint.names().filter_map(|key| Some((meant(key)?, key))).collect();
        for (spec, values) in self.encoder.mean_layer() {
            let Some(key) = keys.get(&spec.name).filter(|key| checkpoint.shape(key) == Some(&spec.shape)) else {
                return Ok(false);
            };
            if !checkpoint.holds(key, &values)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The model of the lowest `layers` layers: those above, and a head that was trained on them, are left out when weights are loaded.
    /// `directory` is the model's.
    ///
    /// # Errors
    /// When the model has not as many.
    pub fn with_layers(&self, layers: usize, directory: &Path) -> Result<Self, ModelError> {
        let all = self.encoder.sizes().num_hidden_layers;
        let path = directory.join("config.json");
        if layers == all {
            return Ok(self.clone());
        }
        if layers == 0 || layers > all {
            let expected = format!("1 to {all} layers");
            return Err(Fields::of(&path, &self.raw).invalid(self.encoder.layers_key(), &expected, layers.to_string()));
        }
        let mut raw = self.raw.clone();
        raw[self.encoder.layers_key()] = json!(layers);
        let below = Self::parse_as(&self.description, &path, raw)?;
        Ok(Self { has_mean_layer: self.has_mean_layer, whole: Some(Arc::new(self.whole().clone())), ..below })
    }

    /// This configuration with every layer of the directory's model.
    pub fn whole(&self) -> &Self {
        self.whole.as_deref().unwrap_or(self)
    }

    /// Whether layers of the directory's model are left out.
    pub fn has_fewer_layers(&self) -> bool {
        self.whole.is_some()
    }

    /// What the head of the directory's model reads of the tokens.
    pub fn pooling(&self) -> Pooling {
        if self.has_mean_layer { Pooling::MeanTokens } else { Pooling::FirstToken }
    }

    /// Adds to `config`, which is one of [`ModelConfig::for_head`], the layer that computes the mean, and gives that layer's
    /// parameters with their values: with them, the first token's output is the mean of all.
    pub fn add_mean_layer(&self, config: &mut Value) -> Vec<(ParameterSpec, Vec<f32>)> {
        config[self.encoder.layers_key()] = json!(self.encoder.sizes().num_hidden_layers + 1);
        config[MEAN_LAYER] = json!(true);
        self.encoder.mean_layer()
    }

    /// Understands the content of a `config.json`; `path` is for errors. A missing `model_type` is taken from the names of the
    /// model's classes.
    ///
    /// # Errors
    /// As [`ModelConfig::load`].
    pub fn parse(path: &Path, raw: Value) -> Result<Self, ModelError> {
        let supported = || FAMILIES.iter().flat_map(|f| f.model_types).copied().collect::<Vec<_>>().join(", ");
        let mut raw = raw;
        if Fields::of(path, &raw).get("model_type").is_none() {
            let told = type_of_architectures(&raw).ok_or_else(|| ModelError::NoModelType {
                path: path.to_path_buf(),
                supported: supported(),
                likely: type_of_keys(std::iter::empty()),
            })?;
            raw["model_type"] = json!(told);
        }
        let fields = Fields::of(path, &raw);
        let found = fields.required_text("model_type")?;
        let family = FAMILIES.iter().find(|family| family.model_types.contains(&found));
        let family = family.ok_or_else(|| ModelError::UnknownModelType {
            path: path.to_path_buf(),
            found: found.to_string(),
            supported: supported(),
        })?;
        Self::parse_as(family, path, raw.clone())
    }

    /// Understands the content of a `config.json` as a family does.
    pub(crate) fn parse_as(description: &FamilyDescription, path: &Path, raw: Value) -> Result<Self, ModelError> {
        let fields = Fields::of(path, &raw);
        let encoder: Arc<dyn EncoderConfig> = (description.parse)(&fields)?.into();
        Ok(Self { raw, encoder, description: *description, has_mean_layer: false, whole: None })
    }

    /// The family that `model_type` chose.
    pub fn description(&self) -> &FamilyDescription {
        &self.description
    }

    /// What the family understood.
    pub fn encoder(&self) -> &dyn EncoderConfig {
        &*self.encoder
    }

    /// Every parameter of the model with that head, from the input to the output.
    ///
    /// # Errors
    /// When the family has no such head.
    pub fn specs(&self, head: HeadKind) -> Result<Vec<ParameterSpec>, ModelError> {
        let layout = self.head(head)?;
        let mut specs = self.encoder.backbone_specs();
        specs.extend(layout.specs(self.encoder.sizes().hidden_size));
        Ok(specs)
    }

    /// The parts of that head.
    ///
    /// # Errors
    /// When the family has no such head.
    pub fn head(&self, head: HeadKind) -> Result<HeadLayout, ModelError> {
        let none = || ModelError::NoSuchHead { family: self.description.name, head: head.to_string() };
        self.encoder.head(head).ok_or_else(none)
    }

    /// The names of the classes by id, when the configuration names them.
    pub fn labels(&self) -> Option<&[String]> {
        self.encoder.id2label()
    }

    /// An `id2label` from which no names follow, as an error that says what it should be; `directory` is the model's.
    ///
    /// # Errors
    /// When `config.json` has a map whose keys are not the ids from 0 on, or whose names are no names.
    pub fn check_labels(&self, directory: &Path) -> Result<(), ModelError> {
        let map = self.raw.get("id2label").filter(|map| !map.is_null() && self.labels().is_none());
        map.map_or(Ok(()), |map| {
            let path = directory.join("config.json");
            Err(Fields::of(&path, &self.raw).invalid("id2label", LABELS, brief(map)))
        })
    }

    /// What the head for sequences was trained for. Where `config.json` does not say it, it is what `transformers`
    /// takes it for: values where there is one output, otherwise classes.
    fn problem_type(&self) -> &str {
        let inferred = match self.labels() {
            Some([_]) => ProblemType::Regression,
            _ => ProblemType::SingleLabelClassification,
        };
        self.encoder.problem_type().unwrap_or(inferred.name())
    }

    /// Whether training that head on `labels` may go on with the checkpoint's: only when it is of the same kind and was
    /// trained for the same, on the same labels in the same order.
    pub fn head_rule(&self, head: HeadKind, labels: &[String], problem: Option<ProblemType>) -> HeadRule {
        const OTHER_KIND: &str = "the checkpoint's head is of another kind";
        if matches!(head, HeadKind::Pretraining { .. }) {
            return HeadRule::LoadIfShapeFits;
        }
        if self.has_fewer_layers() {
            return HeadRule::New("the checkpoint's head reads layers that are left out");
        }
        let architectures = self.raw.get("architectures").and_then(Value::as_array).filter(|list| !list.is_empty());
        let own = self.encoder.architecture(head);
        if architectures.is_some_and(|list| list.iter().all(|name| name.as_str() != Some(&own))) {
            return HeadRule::New(OTHER_KIND);
        }
        if problem.is_some_and(|problem| self.problem_type() != problem.name()) {
            return HeadRule::New("the checkpoint's head was trained for another problem");
        }
        // Values have no names, so a head of as many values goes on.
        if problem == Some(ProblemType::Regression) && labels.is_empty() {
            return match self.labels() {
                Some(named) if Some(named.len()) == head.outputs() => HeadRule::LoadIfShapeFits,
                _ => HeadRule::New("the checkpoint predicts another number of values"),
            };
        }
        match self.labels() {
            Some(own) if own == labels => HeadRule::LoadIfShapeFits,
            Some(_) => HeadRule::New("the checkpoint's labels are not those of the data"),
            None => HeadRule::New("the checkpoint names no labels"),
        }
    }

    /// `config.json` of this model with that head in f32: every other key stays as it was. The order of `labels` is
    /// their ids; an output without a label is called `LABEL_` and its number, as in `transformers`. A head for
    /// pre-training has neither labels nor a problem, and its decoder is the table of words.
    ///
    /// # Errors
    /// When the family has no such head.
    pub fn for_head(
        &self,
        head: HeadKind,
        labels: &[String],
        problem: Option<ProblemType>,
    ) -> Result<Value, ModelError> {
        self.head(head)?;
        let label = |id: usize| labels.get(id).cloned().unwrap_or_else(|| format!("LABEL_{id}"));
        let labels: Vec<String> = (0..head.outputs().unwrap_or(0)).map(label).collect();
        let architecture = self.encoder.architecture(head);
        Ok(self.with_head(&architecture, |object| {
            if let HeadKind::Pretraining { .. } = head {
                for key in ["id2label", "label2id", "problem_type"] {
                    object.shift_remove(key);
                }
                if let Some(value) = object.get_mut("tie_word_embeddings") {
                    *value = json!(true);
                }
                return;
            }
            let ids = labels.iter().enumerate();
            let id2label: Map<String, Value> = ids.clone().map(|(id, label)| (id.to_string(), json!(label))).collect();
            let label2id: Map<String, Value> = ids.map(|(id, label)| (label.clone(), json!(id))).collect();
            object.insert("id2label".into(), Value::Object(id2label));
            object.insert("label2id".into(), Value::Object(label2id));
            match problem.filter(|_| matches!(head, HeadKind::Sequence { .. })) {
                Some(problem) => _ = object.insert("problem_type".into(), json!(problem.name())),
                None => _ = object.shift_remove("problem_type"),
            }
        }))
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
