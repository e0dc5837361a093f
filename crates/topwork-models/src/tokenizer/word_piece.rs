//! WordPiece over a vocabulary, with a normalizer by the settings, whatever else a `tokenizer.json` says: so `transformers` makes it (5.24.0).

use std::path::Path;

use serde_json::{Map, Value, json};

use super::added::{AddedToken, Usual};
use super::made::{Ends, Made};
use super::scheme::{Scheme, word_piece_model};
use super::settings::Settings;
use super::{VOCABULARY, invalid};
use crate::error::ModelError;
use crate::files::read_text;

const ROLES: [(&str, &str); 5] = [
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

/// The vocabulary of `vocab.txt`: a token a line.
pub(super) fn vocabulary(directory: &Path) -> Result<Map<String, Value>, ModelError> {
    let text = read_text(&directory.join(VOCABULARY))?;
    Ok(text.lines().enumerate().map(|(id, token)| (token.trim_end().to_string(), json!(id))).collect())
}

/// The tokenizer over the vocabulary of the file at `path`.
pub(super) fn made(path: &Path, settings: &Settings, vocabulary: Map<String, Value>) -> Result<Made, ModelError> {
    let roles = ROLES.map(|(role, content)| (role, AddedToken::text(content)));
    let usual = Usual { roles: roles.into(), ..Usual::default() };
    let unk = usual.named(settings, "unk_token").filter(|unk| vocabulary.contains_key(unk)).ok_or_else(|| {
        let unk = usual.named(settings, "unk_token").unwrap_or_else(|| "unk_token".into());
        invalid(path, &format!("expected the token {unk}, found none"))
    })?;
    let chinese = settings.flag("tokenize_chinese_chars")?.unwrap_or(true);
    let lowercase = settings.flag("do_lower_case")?.unwrap_or(true);
    let scheme = Scheme::word_piece(chinese, settings.flag("strip_accents")?, lowercase);
    let ends = Ends::Segments { cls: usual.named(settings, "cls_token"), sep: usual.named(settings, "sep_token") };
    Ok(Made { whole: scheme.around(word_piece_model(&unk, vocabulary)), usual, ends })
}
