//! What the files of `sentence-transformers` beside a model say about its pooling: a sentence encoder was trained on that vector,
//! and on no other.

use std::path::{Component, Path};

use serde_json::Value;

use crate::error::ModelError;
use crate::files::{read_json_array, read_optional_json_object};
use crate::heads::Pooling;

/// The list of a sentence encoder's modules.
pub(crate) const MODULES: &str = "modules.json";
/// The pooling's folder, unless the list names another.
const USUAL_FOLDER: &str = "1_Pooling";
const CONFIG: &str = "config.json";

/// What a sentence encoder reads of the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedPooling {
    /// The pooling; none where it is another than those here.
    pub pooling: Option<Pooling>,
    /// Its name in the file; several with commas between, where the vectors of several are joined.
    pub mode: String,
    /// The file that says it, from the model's directory on.
    pub file: String,
}

/// What the model's directory says about the pooling as `sentence-transformers` saves it; none where it says nothing.
///
/// # Errors
/// When a file is not JSON, or has no pooling where it should.
pub fn stated_pooling(directory: &Path) -> Result<Option<StatedPooling>, ModelError> {
    let file = pooling_file(directory)?;
    let path = directory.join(&file);
    let Some(config) = read_optional_json_object(&path)? else { return Ok(None) };
    let modes = modes(&config);
    if modes.is_empty() {
        return Err(ModelError::InvalidValue {
            path,
            key: "pooling_mode".into(),
            expected: "a name such as \"mean\" or \"cls\"".into(),
            found: config.get("pooling_mode").map_or("nothing".into(), Value::to_string),
        });
    }
    let pooling = match modes.as_slice() {
        [mode] if mode == "mean" => Some(Pooling::MeanTokens),
        [mode] if mode == "cls" => Some(Pooling::FirstToken),
        _ => None,
    };
    Ok(Some(StatedPooling { pooling, mode: modes.join(", "), file }))
}

/// Where a directory says what its pooling is, from the directory on.
pub(crate) fn pooling_file(directory: &Path) -> Result<String, ModelError> {
    let path = directory.join(MODULES);
    let modules = if path.exists() { read_json_array(&path)? } else { Vec::new() };
    let is_pooling = |module: &&Value| {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.rsplit('.').next() == Some("Pooling")
    };
    let folder = modules.iter().find(is_pooling).and_then(|module| module.get("path")?.as_str());
    // A folder within the directory, and no way out of it.
    let is_within = |folder: &&str| {
        !folder.is_empty() && Path::new(folder).components().all(|part| matches!(part, Component::Normal(_)))
    };
    Ok(format!("{}/{CONFIG}", folder.filter(is_within).unwrap_or(USUAL_FOLDER)))
}

/// The names of the poolings, in today's form or as one switch each.
fn modes(config: &Value) -> Vec<String> {
    const SWITCHES: [(&str, &str); 6] = [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ];
    match config.get("pooling_mode") {
        Some(Value::String(mode)) => vec![mode.clone()],
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).map(str::to_string).collect(),
        _ => {
            let is_on = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
            SWITCHES.iter().filter(|(key, _)| is_on(key)).map(|(_, mode)| (*mode).to_string()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stated(files: &[(&str, Value)]) -> Result<Option<StatedPooling>, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.to_string()).unwrap();
        }
        stated_pooling(folder.path())
    }

    #[test]
    fn old_and_new_files_say_the_same() {
        let old = |mean: bool, cls: bool, max: bool| json!({ "pooling_mode_mean_tokens": mean, "pooling_mode_cls_token": cls, "pooling_mode_max_tokens": max });
        let cases = [
            (old(true, false, false), Some(Pooling::MeanTokens), "mean"),
            (old(false, true, false), Some(Pooling::FirstToken), "cls"),
            (old(false, false, true), None, "max"),
            (old(true, false, true), None, "max, mean"),
            (json!({ "pooling_mode": "mean" }), Some(Pooling::MeanTokens), "mean"),
            (json!({ "pooling_mode": ["cls"] }), Some(Pooling::FirstToken), "cls"),
            (json!({ "pooling_mode": "lasttoken" }), None, "lasttoken"),
        ];
        for (config, pooling, mode) in cases {
            let found = stated(&[("1_Pooling/config.json", config)]).unwrap().unwrap();
            assert_eq!((found.pooling, found.mode.as_str()), (pooling, mode));
        }
    }

    #[test]
    fn the_list_of_modules_names_the_folder_within_the_directory() {
        let mean = json!({ "pooling_mode": "mean" });
        let modules =
            |path: &str| json!([{ "type": "a.Transformer", "path": "" }, { "type": "a.b.Pooling", "path": path }]);
        let found = stated(&[("modules.json", modules("2_Pool")), ("2_Pool/config.json", mean.clone())]).unwrap();
        assert_eq!(found.unwrap().file, "2_Pool/config.json");
        assert_eq!(stated(&[("modules.json", modules("../2_Pool")), ("2_Pool/config.json", mean)]).unwrap(), None);
        assert_eq!(stated(&[]).unwrap(), None);
    }

    #[test]
    fn a_pooling_that_says_nothing_is_an_error() {
        let error =
            stated(&[("1_Pooling/config.json", json!({ "word_embedding_dimension": 4 }))]).unwrap_err().to_string();
        assert!(error.contains("1_Pooling/config.json") && error.contains("pooling_mode"), "{error}");
        assert!(stated(&[("modules.json", json!({}))]).unwrap_err().to_string().contains("expected a list"));
    }
}
