//! BERT's tokenizer over `vocab.txt`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::scheme::{Scheme, tokenizer_json, word_piece_model};
use super::settings::Settings;
use super::{VOCABULARY, invalid};
use crate::error::ModelError;
use crate::files::read_text;

/// The tokenizer in the format of `tokenizer.json`.
pub(super) fn from_vocabulary(directory: &Path) -> Result<Value, ModelError> {
    let path = directory.join(VOCABULARY);
    let text = read_text(&path)?;
    let mut vocabulary = Map::new();
    for (id, token) in text.lines().enumerate() {
        vocabulary.insert(token.trim_end().to_string(), json!(id));
    }
    let settings = Settings::read(directory)?;
    let id = |token: &str| {
        let missing = || invalid(&path, &format!("expected the token {token}, found no line with it"));
        vocabulary.get(token).cloned().ok_or_else(missing)
    };
    let [cls, sep, unk] = ["cls_token", "sep_token", "unk_token"].map(|key| token(&settings, key));
    let (cls_id, sep_id) = (id(&cls)?, id(&sep)?);
    id(&unk)?;
    let mut special: Vec<(Value, String)> =
        [token(&settings, "pad_token"), token(&settings, "mask_token"), unk.clone(), cls.clone(), sep.clone()]
            .into_iter()
            .filter_map(|token| Some((vocabulary.get(&token)?.clone(), token)))
            .collect();
    special.sort_by_key(|(id, _)| id.as_u64());
    let chinese = settings.flag("tokenize_chinese_chars").unwrap_or(true);
    let scheme = Scheme::word_piece(chinese, settings.flag("strip_accents"), lowercase(&settings));
    let model = word_piece_model(&unk, vocabulary);
    Ok(tokenizer_json(scheme, model, &special, (&cls, &cls_id), (&sep, &sep_id)))
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
