//! What the JSON files of a directory say about its tokenizer: which kind it is and its switches.
//!
//! `transformers` (5.24.0) reads `tokenizer_config.json` and, where that has no `added_tokens_decoder`, what `special_tokens_map.json` says
//! otherwise. `config.json` says the class and the family, and nothing else.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::files::{brief, read_optional_json_object};

pub(super) const SETTINGS: &str = "tokenizer_config.json";
pub(super) const SPECIAL: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";
pub(super) const DECODER: &str = "added_tokens_decoder";
const CONFIG: &str = "config.json";

/// The files, read.
pub(super) struct Settings {
    directory: PathBuf,
    own: Map<String, Value>,
    special: Map<String, Value>,
    added: Map<String, Value>,
    config: Map<String, Value>,
}

impl Settings {
    pub(super) fn read(directory: &Path) -> Result<Self, ModelError> {
        let object = |name: &str| match read_optional_json_object(&directory.join(name)) {
            Ok(Some(Value::Object(object))) => Ok(object),
            Ok(_) => Ok(Map::new()),
            Err(error) => Err(error),
        };
        let (own, special, added, config) = (object(SETTINGS)?, object(SPECIAL)?, object(ADDED)?, object(CONFIG)?);
        Ok(Self { directory: directory.to_path_buf(), own, special, added, config })
    }

    /// `tokenizer_config.json`.
    pub(super) fn own(&self) -> &Map<String, Value> {
        &self.own
    }

    /// `special_tokens_map.json`, where it is read.
    pub(super) fn special(&self) -> Option<&Map<String, Value>> {
        self.has_older_files().then_some(&self.special)
    }

    /// `added_tokens.json`, where it is read.
    pub(super) fn added(&self) -> Option<&Map<String, Value>> {
        self.has_older_files().then_some(&self.added)
    }

    /// Whether the files that there were before `added_tokens_decoder` are read.
    pub(super) fn has_older_files(&self) -> bool {
        !self.own.contains_key(DECODER)
    }

    /// What a key says; it may be null.
    pub(super) fn said(&self, key: &str) -> Option<&Value> {
        self.special().and_then(|special| special.get(key)).or_else(|| self.own.get(key))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.said(key).filter(|value| !value.is_null())
    }

    /// A switch.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(other) => Err(self.invalid(key, "true or false", other)),
        }
    }

    /// A special token is a string, or an object with its content.
    pub(super) fn named(&self, role: &str) -> Option<&str> {
        content(self.get(role)?)
    }

    /// The name of the tokenizer's class without `Fast`.
    pub(super) fn class_name(&self) -> Option<&str> {
        let name = [&self.own, &self.config].into_iter().find_map(|file| file.get("tokenizer_class")?.as_str())?;
        Some(name.strip_suffix("Fast").unwrap_or(name))
    }

    pub(super) fn model_type(&self) -> Option<&str> {
        self.config.get("model_type")?.as_str()
    }

    /// How many embeddings the model has.
    pub(super) fn rows(&self) -> Option<usize> {
        self.config.get("vocab_size")?.as_u64().map(|rows| rows as usize)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(SETTINGS)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn invalid(&self, key: &str, expected: &str, found: &Value) -> ModelError {
        ModelError::InvalidValue {
            path: self.path(),
            key: key.to_string(),
            expected: expected.to_string(),
            found: brief(found),
        }
    }
}

/// The text of a special token.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
