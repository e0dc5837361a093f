//! Where in a folder its model lies. Programs leave folders around a model, and folders that look like one; each kind is
//! recognised by its files. It is opened at the right place with a note, or refused with the command that makes a model of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{ModelError, quoted};
use crate::families::type_of_architectures;
use crate::files::{read_json_object, read_optional_json_object};
use crate::sentence_encoder::{encoder_folder, missing_pooling};
use crate::weights::{Checkpoint, INDEX, SINGLE, WeightFiles, weights_of};

const CONFIG: &str = "config.json";
const ADAPTER: &str = "adapter_config.json";
/// What a trainer calls the folders of its states, before the number of the step.
const STATE: &str = "checkpoint-";
/// A folder in a folder in a folder: the hub's cache of a sentence encoder.
const DEEPEST: usize = 4;

/// A model's own directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The directory.
    pub directory: PathBuf,
    /// What the user should know of the way there.
    pub notes: Vec<String>,
}

/// The place of the model in a folder; the folder itself, where nothing is recognised.
pub(crate) fn settle(folder: &Path) -> Result<Located, ModelError> {
    let mut located = Located { directory: folder.to_path_buf(), notes: Vec::new() };
    for _ in 0..DEEPEST {
        let Some((directory, why)) = further(&located.directory)? else { break };
        located.notes.push(format!("{}: {why}; {} is opened", located.directory.display(), directory.display()));
        located.directory = directory;
    }
    let config = located.directory.join(CONFIG);
    if config.is_file() {
        if located.directory.join(ADAPTER).is_file() {
            located
                .notes
                .push(format!("{}: an adapter is beside the model, and is not applied", located.directory.display()));
        }
        let raw = read_json_object(&config)?;
        if let Some(model_type) =
            type_of_architectures(&raw).filter(|_| raw.get("model_type").is_none_or(Value::is_null))
        {
            located.notes.push(format!("{}: no model_type; {model_type} by its architectures", config.display()));
        }
    }
    Ok(located)
}

/// The folder of a file that belongs to a model.
pub(crate) fn of_file(file: &Path) -> Result<Located, ModelError> {
    let refuse = |reason: String, instead: Option<String>| ModelError::NoSuchModel {
        spec: file.display().to_string(),
        reason,
        instead,
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.join(CONFIG).is_file() {
        return Err(refuse("expected a model's directory, found a file without config.json beside it".into(), None));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_read = match weights_of(folder) {
        Ok(WeightFiles::One(path)) => path.file_name() == file.file_name(),
        Ok(WeightFiles::Shards(index)) => {
            let prefix = if index.ends_with(INDEX) { "model-" } else { "pytorch_model-" };
            index.file_name() == file.file_name() || name.starts_with(prefix)
        }
        Err(_) => false,
    };
    if !is_read && !name.ends_with(".json") && !name.ends_with(".txt") {
        let reason = match weights_of(folder) {
            Ok(WeightFiles::One(path) | WeightFiles::Shards(path)) => {
                let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                format!("expected a model's directory, found a file; of its folder, {own} is read")
            }
            Err(_) => "expected a model's directory, found a file".into(),
        };
        return Err(refuse(reason, Some(format!("give the folder: {}", quoted(folder)))));
    }
    let mut located = settle(folder)?;
    located
        .notes
        .insert(0, format!("{}: a file of a model; its folder {} is opened", file.display(), folder.display()));
    Ok(located)
}

/// The folder inside that holds the model, and why it is not the folder itself.
fn further(folder: &Path) -> Result<Option<(PathBuf, String)>, ModelError> {
    let has_config = folder.join(CONFIG).is_file();
    let has_weights = !matches!(weights_of(folder), Err(ModelError::MissingFile { .. }));
    if has_config && has_weights {
        return Ok(None);
    }
    if folder.join(ADAPTER).is_file() {
        return Err(adapter(folder)?);
    }
    let snapshots = folder.join("snapshots");
    if !has_config && snapshots.is_dir() {
        return snapshot(folder, &snapshots).map(Some);
    }
    if let Some(found) = state_of_trainer(folder)? {
        return Ok(Some(found));
    }
    if !has_config && let Some(inner) = encoder_folder(folder)? {
        let lacks = missing_pooling(folder)?.map_or(String::new(), |file| format!(" without its {file}"));
        return Ok(Some((inner, format!("a folder of sentence-transformers{lacks}"))));
    }
    match other_format(folder).filter(|_| !has_weights) {
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// The snapshot in a folder of the hub's cache: the one that `refs/main` names, or else the only one.
fn snapshot(folder: &Path, snapshots: &Path) -> Result<(PathBuf, String), ModelError> {
    let why = || "a folder of the hub's cache".to_string();
    if let Ok(commit) = fs::read_to_string(folder.join("refs/main")) {
        let named = snapshots.join(commit.trim());
        if is_plain(commit.trim()) && named.is_dir() {
            return Ok((named, why()));
        }
    }
    let found = folders(snapshots);
    match found.as_slice() {
        [only] => Ok((snapshots.join(only), why())),
        _ => Err(ModelError::NoSuchModel {
            spec: folder.display().to_string(),
            reason: format!(
                "a folder of the hub's cache: expected a snapshot that refs/main names, found {} others",
                found.len()
            ),
            instead: found.last().map(|name| format!("give a snapshot: {}", quoted(&snapshots.join(name)))),
        }),
    }
}

/// The state that a trainer's folder is opened at: the best where it says which, otherwise the last.
fn state_of_trainer(folder: &Path) -> Result<Option<(PathBuf, String)>, ModelError> {
    let step = |name: &String| name.strip_prefix(STATE)?.parse::<u64>().ok();
    let is_model = |name: &String| {
        let state = folder.join(name);
        step(name).is_some() && (state.join(CONFIG).is_file() || state.join(ADAPTER).is_file())
    };
    let mut states: Vec<String> = folders(folder).into_iter().filter(is_model).collect();
    states.sort_by_key(step);
    let Some(last) = states.last() else { return Ok(None) };
    let best = |log: PathBuf| -> Result<Option<String>, ModelError> {
        let said = read_optional_json_object(&log)?;
        let path = said.as_ref().and_then(|said| said.get("best_model_checkpoint")?.as_str());
        Ok(path.and_then(|path| Some(path.rsplit(['/', '\\']).next()?.to_string())))
    };
    let said = match best(folder.join("trainer_state.json"))? {
        Some(best) => Some(best),
        None => best(folder.join(last).join("trainer_state.json"))?,
    };
    let (name, which) = match said.filter(|name| states.contains(name)) {
        Some(best) => (best, "the best by trainer_state.json"),
        None => (last.clone(), "the last"),
    };
    let count = match states.len() {
        1 => "a trainer's folder with one checkpoint".to_string(),
        count => format!("a trainer's folder with {count} checkpoints"),
    };
    let which = if states.len() == 1 { String::new() } else { format!(", {which} is taken") };
    Ok(Some((folder.join(name), format!("{count}{which}"))))
}

/// The folders in a folder, sorted.
fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A name of one part that leads nowhere else.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

/// What an adapter's directory lacks, with the command that merges it with its base.
fn adapter(folder: &Path) -> Result<ModelError, ModelError> {
    let config = read_json_object(&folder.join(ADAPTER))?;
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_string);
    let base = text("base_model_name_or_path");
    let class = match text("task_type").as_deref() {
        Some("SEQ_CLS") => "AutoPeftModelForSequenceClassification",
        Some("TOKEN_CLS") => "AutoPeftModelForTokenClassification",
        Some("FEATURE_EXTRACTION") => "AutoPeftModelForFeatureExtraction",
        Some("QUESTION_ANS") => "AutoPeftModelForQuestionAnswering",
        Some("CAUSAL_LM") => "AutoPeftModelForCausalLM",
        Some("SEQ_2_SEQ_LM") => "AutoPeftModelForSeq2SeqLM",
        _ => "AutoPeftModel",
    };
    // The head is in the adapter, and the base must be made with as many outputs.
    let outputs = Checkpoint::open_file(&folder.join("adapter_model.safetensors")).ok().and_then(|tensors| {
        let is_output = |name: &&str| {
            ["classifier.weight", "score.weight", "out_proj.weight"].iter().any(|ending| name.ends_with(ending))
                && !name.contains("attention")
        };
        let name = tensors.names().find(is_output)?;
        tensors.shape(name)?.first().copied()
    });
    let outputs =
        outputs.map_or(String::new(), |outputs| format!(", num_labels={outputs}, ignore_mismatched_sizes=True"));
    let merged = PathBuf::from(format!("{}-merged", folder.display().to_string().trim_end_matches('/')));
    let command = format!(
        "pip install peft && python3 -c 'import sys; from peft import {class} as M; from transformers import AutoTokenizer as T; \
         M.from_pretrained(sys.argv[1]{outputs}).merge_and_unload().save_pretrained(sys.argv[3]); \
         T.from_pretrained(sys.argv[2]).save_pretrained(sys.argv[3])' {} {} {}",
        quoted(folder),
        quoted(Path::new(base.as_deref().unwrap_or("ORG/NAME"))),
        quoted(&merged),
    );
    Ok(ModelError::Adapter { directory: folder.to_path_buf(), kind: text("peft_type"), base, command })
}

/// The weights of a folder that are of another program, with what to do.
fn other_format(folder: &Path) -> Option<ModelError> {
    let inside = |sub: &str| {
        let entries = fs::read_dir(folder.join(sub)).into_iter().flatten().filter_map(Result::ok);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.map(|name| if sub.is_empty() { name } else { format!("{sub}/{name}") }).collect::<Vec<_>>()
    };
    let mut files: Vec<String> = ["", "onnx", "openvino"].into_iter().flat_map(inside).collect();
    files.sort();
    let with = |ending: &str| files.iter().find(|name| name.ends_with(ending)).cloned();
    let through = |packages: &str, module: &str, load: &str, file: &str| {
        format!(
            "pip install {packages} && python3 -c 'import sys, transformers as t; from transformers.{module} import {load} as load; \
             d = sys.argv[1]; c = t.AutoConfig.from_pretrained(d); m = getattr(t, (c.architectures or [\"AutoModel\"])[0]); \
             m = (m._from_config if hasattr(m, \"_from_config\") else m.from_config)(c); load(m, d + \"/{file}\"); \
             m.save_pretrained(d)' {}",
            quoted(folder)
        )
    };
    let from_tensorflow = || {
        let packages = "'transformers<5' torch tensorflow tf-keras";
        through(packages, "modeling_tf_pytorch_utils", "load_tf2_checkpoint_in_pytorch_model", "tf_model.h5")
    };
    let from_flax = || {
        let packages = "'transformers<5' torch flax";
        through(packages, "modeling_flax_pytorch_utils", "load_flax_checkpoint_in_pytorch_model", "flax_model.msgpack")
    };
    let from_hub = || {
        let config = read_optional_json_object(&folder.join(CONFIG)).ok().flatten();
        let own = config.as_ref().and_then(|config| config.get("_name_or_path")?.as_str().map(str::to_string));
        let id = own.filter(|id| id.contains('/') && !id.starts_with(['.', '/'])).unwrap_or("ORG/NAME".into());
        format!("hf download {} {SINGLE} --local-dir {}", quoted(Path::new(&id)), quoted(folder))
    };
    const NOT_TRAINED: &str = "which is not trained further";
    let (file, format, hint) = None
        .or_else(|| Some((with("tf_model.h5")?, "weights of TensorFlow".into(), from_tensorflow())))
        .or_else(|| Some((with("flax_model.msgpack")?, "weights of Flax".into(), from_flax())))
        .or_else(|| Some((with(".onnx")?, format!("a program of ONNX, {NOT_TRAINED}"), from_hub())))
        .or_else(|| Some((with(".gguf")?, "rounded weights of GGUF".into(), from_hub())))
        .or_else(|| Some((with("rust_model.ot")?, "weights of a Rust program".into(), from_hub())))
        .or_else(|| Some((with("openvino_model.bin")?, format!("a program of OpenVINO, {NOT_TRAINED}"), from_hub())))?;
    Some(ModelError::OtherFormat { directory: folder.to_path_buf(), file, format, hint })
}
