//! What the files of `sentence-transformers` beside a model say about its pooling: a sentence encoder was trained on that vector,
//! and on no other.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{MEAN_LAYER, ModelConfig};
use crate::error::ModelError;
use crate::files::{read_json_array, read_optional_json_object, write_json};
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
    /// What the file says: its name, several with commas between where the vectors of several are joined, or a key.
    pub mode: String,
    /// The file that says it, from the model's directory on.
    pub file: String,
}

/// What the model's directory says about the pooling as `sentence-transformers` saves it; none where it says nothing.
///
/// # Errors
/// When a file is not JSON, or has no pooling where it should.
fn stated_pooling(directory: &Path) -> Result<Option<StatedPooling>, ModelError> {
    let outer = pipeline_of(directory)?;
    let (file, is_named) = pooling_file(outer.as_deref().unwrap_or(directory))?;
    let file = if outer.is_some() { format!("../{file}") } else { file };
    let path = directory.join(&file);
    let Some(config) = read_optional_json_object(&path)? else {
        return match is_named && outer.is_none() {
            false => Ok(None),
            true => Err(invalid(&directory.join(MODULES), "path", "the folder of the pooling", &format!("no {file}"))),
        };
    };
    let Some(modes) = modes(&config).filter(|modes| !modes.is_empty()) else {
        let found = config.get("pooling_mode").map_or("nothing".into(), Value::to_string);
        return Err(invalid(&path, "pooling_mode", "a name such as \"mean\" or \"cls\", or a list of such", &found));
    };
    let pooling = match modes.as_slice() {
        // Standardised, a multiple of the mean is the mean.
        [mode] if mode == "mean" || mode == "mean_sqrt_len_tokens" => Some(Pooling::MeanTokens),
        [mode] if mode == "cls" => Some(Pooling::FirstToken),
        _ => None,
    };
    Ok(Some(StatedPooling { pooling, mode: modes.join(", "), file }))
}

/// What a model's own files say that its head reads of the tokens: `config.json`, or the files of `sentence-transformers`. None where
/// they say nothing.
///
/// # Errors
/// When a file is not JSON, or names no pooling where it should.
pub fn pooling_of(directory: &Path, config: &ModelConfig) -> Result<Option<StatedPooling>, ModelError> {
    match config.pooling() {
        Pooling::FirstToken => stated_pooling(directory),
        pooling => Ok(Some(StatedPooling { pooling: Some(pooling), mode: MEAN_LAYER.into(), file: CONFIG.into() })),
    }
}

/// Writes what a model reads of the tokens, as `sentence-transformers` does, for a directory whose `config.json` does not say it.
///
/// # Errors
/// When a file cannot be written.
pub fn save_pooling(directory: &Path, stated: &StatedPooling, hidden_size: usize) -> Result<(), ModelError> {
    let folder = directory.join(USUAL_FOLDER);
    fs::create_dir_all(&folder).map_err(|source| ModelError::Write { path: folder.clone(), source })?;
    let mode = match stated.pooling {
        Some(Pooling::MeanTokens) => json!("mean"),
        Some(Pooling::FirstToken) => json!("cls"),
        None => json!(stated.mode.split(", ").collect::<Vec<_>>()),
    };
    write_json(&folder.join(CONFIG), &json!({ "embedding_dimension": hidden_size, "pooling_mode": mode }))
}

fn invalid(path: &Path, key: &str, expected: &str, found: &str) -> ModelError {
    ModelError::InvalidValue {
        path: path.to_path_buf(),
        key: key.into(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// Where a directory says what its pooling is, from the directory on, and whether the list of its modules names the place.
pub(crate) fn pooling_file(directory: &Path) -> Result<(String, bool), ModelError> {
    let path = directory.join(MODULES);
    let modules = if path.exists() { read_json_array(&path)? } else { Vec::new() };
    let is_pooling = |module: &&Value| {
        let kind = module.get("type").and_then(Value::as_str).unwrap_or_default();
        kind.rsplit('.').next() == Some("Pooling")
    };
    let Some(module) = modules.iter().find(is_pooling) else { return Ok((format!("{USUAL_FOLDER}/{CONFIG}"), false)) };
    let found = module.get("path");
    match found.and_then(Value::as_str).filter(|folder| is_within(folder)) {
        Some(folder) => Ok((format!("{folder}/{CONFIG}"), true)),
        None => {
            let found = found.map_or("nothing".into(), Value::to_string);
            Err(invalid(&path, "path", "the pooling's folder within the model's", &found))
        }
    }
}

/// The folder of the encoder in a directory that holds a pipeline and no model at its top.
pub(crate) fn encoder_folder(directory: &Path) -> Result<Option<PathBuf>, ModelError> {
    let path = directory.join(MODULES);
    if !path.is_file() {
        return Ok(None);
    }
    let modules = read_json_array(&path)?;
    let first = modules.first().and_then(|module| module.get("path")?.as_str());
    Ok(first
        .filter(|folder| is_within(folder))
        .map(|folder| directory.join(folder))
        .filter(|folder| folder.join(CONFIG).is_file()))
}

/// The file of a pooling that a pipeline names and has not.
pub(crate) fn missing_pooling(pipeline: &Path) -> Result<Option<String>, ModelError> {
    let (file, is_named) = pooling_file(pipeline)?;
    Ok((is_named && !pipeline.join(&file).is_file()).then_some(file))
}

/// The directory of the pipeline whose encoder is in `directory`.
fn pipeline_of(directory: &Path) -> Result<Option<PathBuf>, ModelError> {
    let Some(outer) = directory.parent().filter(|_| !directory.join(MODULES).exists()) else { return Ok(None) };
    let own = encoder_folder(outer)?;
    Ok((own.as_deref() == Some(directory)).then(|| outer.to_path_buf()))
}

/// A folder within a directory, and no way out of it.
fn is_within(folder: &str) -> bool {
    !folder.is_empty() && Path::new(folder).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The names of the poolings, in today's form or as one switch each.
fn modes(config: &Value) -> Option<Vec<String>> {
    const SWITCHES: [(&str, &str); 6] = [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ];
    match config.get("pooling_mode") {
        Some(Value::String(mode)) => Some(vec![mode.clone()]),
        Some(Value::Array(modes)) => modes.iter().map(|mode| Some(mode.as_str()?.to_string())).collect(),
        Some(_) => None,
        None => {
            let is_on = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
            Some(SWITCHES.iter().filter(|(key, _)| is_on(key)).map(|(_, mode)| (*mode).to_string()).collect())
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
            (json!({ "pooling_mode": "mean_sqrt_len_tokens" }), Some(Pooling::MeanTokens), "mean_sqrt_len_tokens"),
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
        for (folder, file) in [("../2_Pool", "2_Pool/config.json"), ("3_Pool", "2_Pool/config.json")] {
            let error = stated(&[("modules.json", modules(folder)), (file, mean.clone())]).unwrap_err().to_string();
            assert!(error.contains("modules.json") && error.contains("path"), "{error}");
        }
        assert_eq!(stated(&[]).unwrap(), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (pooling, mode) in
            [(Some(Pooling::MeanTokens), "mean"), (Some(Pooling::FirstToken), "cls"), (None, "max, mean")]
        {
            let own = StatedPooling { pooling, mode: mode.into(), file: "1_Pooling/config.json".into() };
            let folder = tempfile::tempdir().unwrap();
            save_pooling(folder.path(), &own, 8).unwrap();
            assert_eq!(stated_pooling(folder.path()).unwrap(), Some(own));
        }
    }

    #[test]
    fn a_pooling_that_says_nothing_is_an_error() {
        let error =
            stated(&[("1_Pooling/config.json", json!({ "word_embedding_dimension": 4 }))]).unwrap_err().to_string();
        assert!(error.contains("1_Pooling/config.json") && error.contains("pooling_mode"), "{error}");
        assert!(stated(&[("1_Pooling/config.json", json!({ "pooling_mode": 3 }))]).is_err());
        assert!(stated(&[("modules.json", json!({}))]).unwrap_err().to_string().contains("expected a list"));
    }
}
