//! RoBERTa's tokenizer over `vocab.json` and `merges.txt`: byte-level BPE, built as `transformers` builds it (5.24.0). The
//! mask takes the space before it unless the settings deny it: so say the files of RoBERTa itself and older versions,
//! where the class of 5.24.0 by itself does not.
//!
//! And `vocab.json` alone, if each of its tokens is one character: then there is nothing to merge, and a text is a token
//! for each character, or the unknown token.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::scheme::template;
use super::settings::{AddedToken, Settings};
use super::{MERGES, TOKENS, convert_command, invalid};
use crate::error::ModelError;
use crate::files::{read_json_object, read_text};

/// Classes that build their tokenizer as RoBERTa's does.
const CLASSES: [&str; 4] = ["RobertaTokenizer", "LongformerTokenizer", "BartTokenizer", "LEDTokenizer"];
/// Families whose tokenizer is one of these.
const MODEL_TYPES: [&str; 8] =
    ["roberta", "roberta-prelayernorm", "longformer", "bart", "led", "data2vec-text", "ibert", "lilt"];

/// The tokenizer in the format of `tokenizer.json`.
pub(super) fn from_merges(directory: &Path) -> Result<Value, ModelError> {
    let path = directory.join(TOKENS);
    let settings = Settings::read(directory)?;
    refuse_others(directory, &path, &settings)?;
    let vocabulary = vocabulary(&path)?;
    let merges = merges(&directory.join(MERGES))?;
    let special = settings.special_tokens();
    let id = |token: &AddedToken| special_id(&path, &vocabulary, token);
    let (cls_id, sep_id) = (id(&special.cls)?, id(&special.sep)?);
    let added = added_tokens(&path, &settings, &special.all(), &vocabulary)?;
    let prefix = settings.flag("add_prefix_space").unwrap_or(false);
    let trim = settings.flag("trim_offsets").unwrap_or(true);
    let part = |prefix: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": part(prefix),
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [special.sep.content, sep_id],
            "cls": [special.cls.content, cls_id],
            "trim_offsets": trim,
            "add_prefix_space": prefix,
        },
        "decoder": part(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    }))
}

/// The tokenizer of a vocabulary of characters in the format of `tokenizer.json`.
pub(super) fn from_characters(directory: &Path) -> Result<Value, ModelError> {
    let path = directory.join(TOKENS);
    let settings = Settings::read(directory)?;
    let vocabulary = vocabulary(&path)?;
    let special = settings.special_tokens();
    let is_special = |token: &str| special.all().iter().any(|special| special.content == token);
    if let Some(longer) = vocabulary.keys().find(|token| token.chars().count() != 1 && !is_special(token)) {
        return Err(ModelError::UnsupportedTokenizer {
            message: format!("expected {MERGES} beside it or tokens of one character, found the token {longer:?}"),
            hint: format!("put {MERGES} of the model it belongs to beside {}", path.display()),
            path,
        });
    }
    let id = |token: &AddedToken| special_id(&path, &vocabulary, token);
    let (cls_id, sep_id) = (id(&special.cls)?, id(&special.sep)?);
    id(&special.unk)?;
    let added = added_tokens(&path, &settings, &special.all(), &vocabulary)?;
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "[\\s\\S]" }, "behavior": "Isolated", "invert": false },
        "post_processor": template((&special.cls.content, cls_id), (&special.sep.content, sep_id)),
        "decoder": { "type": "Fuse" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": special.unk.content },
    }))
}

/// Whether `transformers` puts a space before a text: what the settings say, and not what `tokenizer.json` does, where the
/// class builds its tokenizer anew. None where it takes the file as it is.
pub(super) fn prefix_space(settings: &Settings) -> Option<bool> {
    let is_built = match (settings.names_class(), settings.class(), settings.model_type()) {
        (true, class, _) => class.is_some_and(|class| CLASSES.contains(&class)),
        (false, _, model) => model.is_some_and(|model| MODEL_TYPES.contains(&model)),
    };
    is_built.then(|| settings.flag("add_prefix_space").unwrap_or(false))
}

fn refuse_others(directory: &Path, path: &Path, settings: &Settings) -> Result<(), ModelError> {
    let Some(found) = settings.other_kind(&CLASSES, &MODEL_TYPES) else { return Ok(()) };
    Err(ModelError::UnsupportedTokenizer {
        path: path.to_path_buf(),
        message: format!("expected tokenizer.json or the files of a RoBERTa tokenizer, found those of {found}"),
        hint: convert_command(directory),
    })
}

fn vocabulary(path: &Path) -> Result<Map<String, Value>, ModelError> {
    let Value::Object(vocabulary) = read_json_object(path)? else { return Ok(Map::new()) };
    let is_id = |id: &Value| id.as_u64().is_some_and(|id| u32::try_from(id).is_ok());
    match vocabulary.iter().find(|(_, id)| !is_id(id)) {
        Some((token, id)) => Err(invalid(path, &format!("token {token:?}: expected an id, found {id}"))),
        None => Ok(vocabulary),
    }
}

/// A merge a line, the parts with a space between them; a line that begins with `#version` says nothing.
fn merges(path: &Path) -> Result<Vec<Value>, ModelError> {
    let text = read_text(path)?;
    let merge = |(place, line): (usize, &str)| match line.split_once(' ') {
        Some((first, second)) if !first.is_empty() && !second.is_empty() && !second.contains(' ') => {
            Ok(json!([first, second]))
        }
        _ => Err(invalid(path, &format!("line {}: expected two parts, found {line:?}", place + 1))),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines.map(merge).collect()
}

fn special_id(path: &Path, vocabulary: &Map<String, Value>, token: &AddedToken) -> Result<u64, ModelError> {
    let id = vocabulary.get(&token.content).and_then(Value::as_u64);
    id.ok_or_else(|| invalid(path, &format!("expected the token {}, found none", token.content)))
}

fn added_tokens(
    path: &Path,
    settings: &Settings,
    tokens: &[&AddedToken],
    vocabulary: &Map<String, Value>,
) -> Result<Vec<Value>, ModelError> {
    let id = |content: &str| vocabulary.get(content).and_then(Value::as_u64);
    settings.added_tokens(tokens, id).map_err(|message| invalid(path, &message))
}
