//! What is done with a text before WordPiece parts it. Three keys of `tokenizer_config.json` count for more than `tokenizer.json` where
//! `transformers` builds the normalizer by them (5.24.0): `do_lower_case`, `strip_accents` and `tokenize_chinese_chars`, for a
//! tokenizer whose class is one of BERT's kind, named or that of the model's family. A normalizer of another type than BERT's stays.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::settings::{SETTINGS, Settings};
use crate::error::ModelError;
use crate::families::tokenizer_classes::{NORMALIZED_BY_SETTINGS, WORD_PIECE_MODEL_TYPES};
use crate::files::read_optional_json_object;

/// The normalizer that `transformers` builds by the settings of `directory` in place of the tokenizer's own. A key that is missing means
/// to it: lower case, accents as the case says, Chinese characters apart. Where that is not what is stored, a warning says so: a
/// model that was trained there has seen such texts, but who copied files may have lost the key. None where nothing changes.
pub(super) fn as_set(directory: &Path, tokenizer: &Tokenizer) -> Result<Option<BertNormalizer>, ModelError> {
    let (Some(own), keys) = (own(directory, tokenizer)?, keys(directory)?) else { return Ok(None) };
    let mut set = own;
    set.lowercase = keys.flag("do_lower_case").unwrap_or(true);
    set.strip_accents = keys.strip_accents().unwrap_or(None);
    set.handle_chinese_chars = keys.flag("tokenize_chinese_chars").unwrap_or(true);
    if set.lowercase && !own.lowercase && keys.flag("do_lower_case").is_none() {
        tracing::warn!(
            "{}: no do_lower_case in {SETTINGS}: texts are lowered, as transformers does, though tokenizer.json keeps capitals; \
             \"do_lower_case\": false keeps them",
            directory.display()
        );
    }
    Ok((switches(set) != switches(own)).then_some(set))
}

/// The keys that have to be written so that `transformers` builds the tokenizer's own normalizer.
pub(super) fn missing_keys(directory: &Path, tokenizer: &Tokenizer) -> Result<Vec<(&'static str, Value)>, ModelError> {
    let (Some(own), keys) = (own(directory, tokenizer)?, keys(directory)?) else { return Ok(Vec::new()) };
    let chinese = keys.flag("tokenize_chinese_chars").unwrap_or(true);
    let all = [
        ("do_lower_case", json!(own.lowercase), own.lowercase != keys.flag("do_lower_case").unwrap_or(true)),
        ("strip_accents", json!(own.strip_accents), own.strip_accents != keys.strip_accents().unwrap_or(None)),
        ("tokenize_chinese_chars", json!(own.handle_chinese_chars), own.handle_chinese_chars != chinese),
    ];
    Ok(all.into_iter().filter(|(.., differs)| *differs).map(|(key, value, _)| (key, value)).collect())
}

/// The tokenizer's normalizer, where it is BERT's and `transformers` builds it by the settings.
fn own(directory: &Path, tokenizer: &Tokenizer) -> Result<Option<BertNormalizer>, ModelError> {
    let settings = Settings::read(directory)?;
    let is_built = match (settings.names_class(), settings.class(), settings.model_type()) {
        (true, class, _) => class.is_some_and(|class| NORMALIZED_BY_SETTINGS.contains(&class)),
        (false, _, model) => model.is_some_and(|model| WORD_PIECE_MODEL_TYPES.contains(&model)),
    };
    Ok(match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(own)) if is_built => Some(*own),
        _ => None,
    })
}

/// `tokenizer_config.json` alone: no other file counts for these keys.
struct Keys(Value);

fn keys(directory: &Path) -> Result<Keys, ModelError> {
    Ok(Keys(read_optional_json_object(&directory.join(SETTINGS))?.unwrap_or_default()))
}

impl Keys {
    fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// What the key says, which may be that the case decides (null); none without the key.
    fn strip_accents(&self) -> Option<Option<bool>> {
        match self.0.get("strip_accents")? {
            Value::Null => Some(None),
            value => value.as_bool().map(Some),
        }
    }
}

fn switches(normalizer: BertNormalizer) -> (bool, Option<bool>, bool) {
    (normalizer.lowercase, normalizer.strip_accents, normalizer.handle_chinese_chars)
}
