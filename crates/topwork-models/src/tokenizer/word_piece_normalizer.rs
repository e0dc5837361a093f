//! What is done with a text before WordPiece parts it. Where `transformers` makes the tokenizer by its class, three keys of
//! `tokenizer_config.json` say it (5.24.0): `do_lower_case`, `strip_accents` and `tokenize_chinese_chars`.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::class;
use super::settings::Settings;
use crate::error::ModelError;
use crate::families::tokenizer_classes::Build;

/// The keys that have to be written so that `transformers` builds the tokenizer's own normalizer.
pub(super) fn missing_keys(directory: &Path, tokenizer: &Tokenizer) -> Result<Vec<(&'static str, Value)>, ModelError> {
    let settings = Settings::read(directory)?;
    let is_made = class::of(&settings).is_some_and(|class| matches!(class.build, Build::WordPiece));
    let own = match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(own)) if is_made => *own,
        _ => return Ok(Vec::new()),
    };
    let lowercase = settings.flag("do_lower_case")?.unwrap_or(true);
    let chinese = settings.flag("tokenize_chinese_chars")?.unwrap_or(true);
    let all = [
        ("do_lower_case", json!(own.lowercase), own.lowercase != lowercase),
        ("strip_accents", json!(own.strip_accents), own.strip_accents != settings.flag("strip_accents")?),
        ("tokenize_chinese_chars", json!(own.handle_chinese_chars), own.handle_chinese_chars != chinese),
    ];
    Ok(all.into_iter().filter(|(.., differs)| *differs).map(|(key, value, _)| (key, value)).collect())
}
