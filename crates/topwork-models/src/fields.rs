//! The keys of `config.json`, one by one.

use std::path::Path;

use serde_json::{Map, Value};
use topwork_engine::Activation;

use crate::error::ModelError;
use crate::files::brief;

/// What `id2label` is to be.
pub(crate) const LABELS: &str = "a list of names, or an object from \"0\", \"1\", ... to names";

/// The keys of a JSON object, read with errors that name file, key, what was expected and what was found. A key whose
/// value is `null` counts as absent, as in `transformers`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    path: &'a Path,
    object: &'a Value,
}

impl<'a> Fields<'a> {
    /// Those of `object`; `path` is for errors.
    pub(crate) fn of(path: &'a Path, object: &'a Value) -> Self {
        Self { path, object }
    }

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

/// What the families of encoders share.
impl Fields<'_> {
    /// Refuses variants that bear a family's name and compute something else.
    pub(crate) fn refuse_variants(&self) -> Result<(), ModelError> {
        let positions = self.text_or("position_embedding_type", "absolute")?;
        if positions != "absolute" {
            return Err(self.invalid("position_embedding_type", "\"absolute\"", format!("{positions:?}")));
        }
        for key in ["is_decoder", "add_cross_attention"] {
            match self.get(key) {
                Some(value) if value.as_bool() != Some(false) => {
                    return Err(self.invalid(key, "false, as in an encoder", brief(value)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The activation in a layer's middle. `transformers` has several names for one function, which differ in how it is
    /// written down only.
    pub(crate) fn activation(&self, key: &str) -> Result<Activation, ModelError> {
        match self.text_or(key, "gelu")? {
            "gelu" | "gelu_python" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_accurate" | "gelu_python_tanh" | "gelu_pytorch_tanh" => {
                Ok(Activation::GeluTanh)
            }
            "relu" => Ok(Activation::Relu),
            other => {
                let expected = "gelu, gelu_new or relu, or another name of one of them";
                Err(self.invalid(key, expected, format!("{other:?}")))
            }
        }
    }

    /// `id2label`: the names of the ids from 0 on, as an object from ids to names or as a list of names. A name may be a number,
    /// or a list of one. An object from names to ids is `label2id` in the wrong place, and is read as such. What names no
    /// labels counts as none: `transformers` reads it, and training replaces it.
    pub(crate) fn labels(&self) -> Result<Option<Vec<String>>, ModelError> {
        let Some(value) = self.get("id2label") else { return Ok(None) };
        match value {
            Value::Array(names) => Ok(names.iter().map(label_name).collect()),
            Value::Object(object) => {
                let by_id =
                    (0..object.len()).map(|id| label_name(object.get(&id.to_string())?)).collect::<Option<Vec<_>>>();
                Ok(by_id.or_else(|| names_by_id(object)))
            }
            _ => Err(self.invalid("id2label", LABELS, brief(value))),
        }
    }

    /// A string that may be absent.
    pub(crate) fn optional_text(&self, key: &str) -> Result<Option<String>, ModelError> {
        self.get(key).map(|_| self.required_text(key)).transpose().map(|text| text.map(str::to_string))
    }

    /// A rate of dropout that may be absent.
    pub(crate) fn optional_dropout(&self, key: &str) -> Result<Option<f32>, ModelError> {
        self.get(key).map(|_| self.dropout_or(key, 0.0)).transpose()
    }

    /// The heads of an attention divide the network's width.
    pub(crate) fn check_heads(&self, heads: (&str, usize), width: (&str, usize)) -> Result<(), ModelError> {
        if width.1.is_multiple_of(heads.1) {
            return Ok(());
        }
        let expected = format!("a divisor of {} {}", width.0, width.1);
        Err(self.invalid(heads.0, expected, heads.1.to_string()))
    }

    /// A flag; absent is false.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, ModelError> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.invalid(key, "true or false", brief(value)))
    }
}

/// The name of a label.
fn label_name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(names) => match names.as_slice() {
            [name] => label_name(name),
            _ => None,
        },
        Value::Null | Value::Object(_) => None,
    }
}

/// The names of an object from names to the ids from 0 on.
fn names_by_id(object: &Map<String, Value>) -> Option<Vec<String>> {
    let mut names = vec![None; object.len()];
    for (name, id) in object {
        let place = names.get_mut(usize::try_from(id.as_u64()?).ok()?)?;
        *place = Some(name.clone());
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_the_names_of_the_ids_from_0_on() {
        let labels = |value: Value| {
            let object = json!({ "id2label": value });
            Fields::of(Path::new("config.json"), &object).labels()
        };
        let named = |names: [&str; 2]| Some(names.map(String::from).to_vec());
        assert_eq!(labels(json!({ "1": "b", "0": "a" })).unwrap(), named(["a", "b"]));
        assert_eq!(labels(json!({ "0": 0, "1": 1.5 })).unwrap(), named(["0", "1.5"]));
        for none in [
            json!({ "1": "a", "2": "b" }),
            json!({ "0": "a", "2": "b" }),
            json!({ "0": ["a", "c"], "1": "b" }),
            Value::Null,
        ] {
            assert_eq!(labels(none.clone()).unwrap(), None, "{none}");
        }
        // As programs write them that know no better.
        for odd in
            [json!(["a", "b"]), json!({ "0": ["a"], "1": ["b"] }), json!({ "b": 1, "a": 0 }), json!([["a"], "b"])]
        {
            assert_eq!(labels(odd.clone()).unwrap(), named(["a", "b"]), "{odd}");
        }
        assert_eq!(labels(json!([0, 1])).unwrap(), named(["0", "1"]));
        assert_eq!(labels(json!({ "0": false, "1": true })).unwrap(), named(["false", "true"]));
        assert_eq!(labels(json!({ "a": 0, "b": 0 })).unwrap(), None);
        assert_eq!(labels(json!({ "a": 0, "b": 9_000_000_000_000_000_000_u64 })).unwrap(), None);
        let error = labels(json!("a, b")).unwrap_err().to_string();
        assert!(error.contains("id2label") && error.contains("a, b"), "{error}");
    }

    #[test]
    fn an_activation_has_the_function_of_each_of_its_names() {
        let named = |name: &str| {
            let object = json!({ "act": name });
            Fields::of(Path::new("config.json"), &object).activation("act").ok()
        };
        for name in ["gelu", "gelu_python"] {
            assert_eq!(named(name), Some(Activation::Gelu), "{name}");
        }
        for name in ["gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh", "gelu_pytorch_tanh"] {
            assert_eq!(named(name), Some(Activation::GeluTanh), "{name}");
        }
        assert_eq!(named("relu"), Some(Activation::Relu));
        for name in ["gelu_10", "quick_gelu", "silu", ""] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
