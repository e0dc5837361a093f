//! Byte-level BPE over a vocabulary and its merges, whatever else a `tokenizer.json` says: so `transformers` makes it (5.24.0).
//!
//! And `vocab.json` alone, if each of its tokens is one character: then there is nothing to merge, and a text is a token
//! for each character, or the unknown token.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::added::{AddedToken, Usual};
use super::made::{Ends, Made};
use super::scheme::{bytes, whole};
use super::settings::Settings;
use super::{MERGES, invalid};
use crate::error::ModelError;
use crate::files::{read_json_object, read_text};

/// The special tokens of these tokenizers, and of those of pieces.
pub(super) const ROLES: [(&str, &str); 7] = [
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("sep_token", "</s>"),
    ("cls_token", "<s>"),
    ("unk_token", "<unk>"),
    ("pad_token", "<pad>"),
    ("mask_token", "<mask>"),
];

/// The tokenizer over a vocabulary and its merges.
pub(super) fn made(
    settings: &Settings,
    vocabulary: Map<String, Value>,
    merges: Vec<Value>,
) -> Result<Made, ModelError> {
    let usual = usual();
    let prefix = settings.flag("add_prefix_space")?.unwrap_or(false);
    let trim = settings.flag("trim_offsets")?.unwrap_or(true);
    let ends =
        Ends::Bytes { cls: usual.named(settings, "cls_token"), sep: usual.named(settings, "sep_token"), prefix, trim };
    let model = json!({
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
    });
    Ok(Made { whole: whole(Value::Null, bytes(prefix), bytes(true), model), usual, ends })
}

/// The tokenizer of a vocabulary of characters.
pub(super) fn made_of_characters(path: &Path, settings: &Settings) -> Result<Made, ModelError> {
    let vocabulary = vocabulary(path)?;
    let usual = usual();
    let named = |role: &str| usual.named(settings, role);
    let is_special = |token: &str| ROLES.iter().any(|(role, _)| named(role).as_deref() == Some(token));
    if let Some(longer) = vocabulary.keys().find(|token| token.chars().count() != 1 && !is_special(token)) {
        return Err(ModelError::UnsupportedTokenizer {
            message: format!("expected {MERGES} beside it or tokens of one character, found the token {longer:?}"),
            hint: format!("put {MERGES} of the model it belongs to beside {}", path.display()),
            path: path.to_path_buf(),
        });
    }
    let unk = named("unk_token").filter(|unk| vocabulary.contains_key(unk));
    let unk = unk.ok_or_else(|| invalid(path, "unk_token: expected a token of the vocabulary, found none"))?;
    let part = json!({ "type": "Split", "pattern": { "Regex": "[\\s\\S]" }, "behavior": "Isolated", "invert": false });
    let model = json!({ "type": "WordLevel", "vocab": vocabulary, "unk_token": unk });
    let ends = Ends::Plain { cls: named("cls_token"), sep: named("sep_token") };
    Ok(Made { whole: whole(Value::Null, part, json!({ "type": "Fuse" }), model), usual, ends })
}

fn usual() -> Usual {
    Usual { roles: ROLES.map(|(role, content)| (role, AddedToken::text(content))).into(), ..Usual::default() }
}

/// `vocab.json`.
pub(super) fn vocabulary(path: &Path) -> Result<Map<String, Value>, ModelError> {
    numbered(path, &read_json_object(path)?)
}

/// A vocabulary of tokens with ids, or in the order of their ids.
pub(super) fn numbered(path: &Path, vocabulary: &Value) -> Result<Map<String, Value>, ModelError> {
    let is_id = |id: &Value| id.as_u64().is_some_and(|id| u32::try_from(id).is_ok());
    match vocabulary {
        Value::Object(tokens) => match tokens.iter().find(|(_, id)| !is_id(id)) {
            Some((token, id)) => Err(invalid(path, &format!("token {token:?}: expected an id, found {id}"))),
            None => Ok(tokens.clone()),
        },
        Value::Array(tokens) => {
            let text = |token: &Value| token.as_str().or_else(|| token.get(0)?.as_str()).map(str::to_string);
            let named = tokens.iter().map(text).enumerate();
            let entry = |(id, token): (usize, Option<String>)| {
                token
                    .map(|token| (token, json!(id)))
                    .ok_or_else(|| invalid(path, &format!("vocab: {id}: expected a token")))
            };
            named.map(entry).collect()
        }
        _ => Err(invalid(path, "model: expected a vocab, found none")),
    }
}

/// `merges.txt`: a merge a line, the parts with a space between them; a line that begins with `#version` says nothing.
pub(super) fn merges(directory: &Path) -> Result<Vec<Value>, ModelError> {
    let path = directory.join(MERGES);
    let text = read_text(&path)?;
    let merge = |(place, line): (usize, &str)| match line.split_once(' ') {
        Some((first, second)) if !first.is_empty() && !second.is_empty() && !second.contains(' ') => {
            Ok(json!([first, second]))
        }
        _ => Err(invalid(&path, &format!("line {}: expected two parts, found {line:?}", place + 1))),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines.map(merge).collect()
}
