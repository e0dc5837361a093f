//! BERT's tokenizer over `vocab.txt`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::scheme::{Scheme, tokenizer_json, word_piece_model};
use super::settings::{AddedToken, Settings};
use super::{VOCABULARY, convert_command, invalid};
use crate::error::ModelError;
use crate::families::tokenizer_classes::{WORD_PIECE_CLASSES, WORD_PIECE_MODEL_TYPES};
use crate::files::read_text;

/// The tokenizer in the format of `tokenizer.json`.
pub(super) fn from_vocabulary(directory: &Path) -> Result<Value, ModelError> {
    let path = directory.join(VOCABULARY);
    let settings = Settings::read(directory)?;
    if let Some(found) = settings.other_kind(&WORD_PIECE_CLASSES, &WORD_PIECE_MODEL_TYPES) {
        let message = format!("expected tokenizer.json or the files of a WordPiece tokenizer, found those of {found}");
        return Err(ModelError::UnsupportedTokenizer { path, message, hint: convert_command(directory) });
    }
    let text = read_text(&path)?;
    let mut vocabulary = Map::new();
    for (id, token) in text.lines().enumerate() {
        vocabulary.insert(token.trim_end().to_string(), json!(id));
    }
    let id = |token: &str| {
        let missing = || invalid(&path, &format!("expected the token {token}, found no line with it"));
        vocabulary.get(token).cloned().ok_or_else(missing)
    };
    let [cls, sep, unk] = ["cls_token", "sep_token", "unk_token"].map(|key| token(&settings, key));
    let (cls_id, sep_id) = (id(&cls)?, id(&sep)?);
    id(&unk)?;
    let special =
        [token(&settings, "pad_token"), token(&settings, "mask_token"), unk.clone(), cls.clone(), sep.clone()]
            .map(|token| AddedToken::special(&token));
    let number = |token: &str| vocabulary.get(token).and_then(Value::as_u64);
    let added = settings.added_tokens(&special.each_ref(), number).map_err(|message| invalid(&path, &message))?;
    let chinese = settings.flag("tokenize_chinese_chars").unwrap_or(true);
    let scheme = Scheme::word_piece(chinese, settings.flag("strip_accents"), lowercase(&settings));
    let model = word_piece_model(&unk, vocabulary);
    Ok(tokenizer_json(scheme, model, added, (&cls, &cls_id), (&sep, &sep_id)))
}

fn token(settings: &Settings, key: &str) -> String {
    let usual = || format!("[{}]", key.trim_end_matches("_token").to_uppercase());
    settings.named(key).map_or_else(usual, str::to_string)
}

fn lowercase(settings: &Settings) -> bool {
    settings.flag("do_lower_case").unwrap_or_else(|| {
        tracing::warn!("no do_lower_case beside {VOCABULARY}: texts are lowered, as transformers does by default");
        true
    })
}
