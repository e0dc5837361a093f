//! BERT's normalizer. `transformers` builds it by the keys of `tokenizer_config.json`, whatever `tokenizer.json` says, where the
//! tokenizer's class is one of BERT's kind, named or that of the model's family (5.24.0).

use serde_json::{Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::settings::Settings;
use crate::families::tokenizer_classes::{WORD_PIECE_CLASSES, WORD_PIECE_MODEL_TYPES};

/// The normalizer that the settings make of the tokenizer's own: a key that they do not name leaves it as it is, so that a
/// vocabulary with capitals keeps them. None where the settings have no say, and where nothing changes.
pub(super) fn as_set(tokenizer: &Tokenizer, settings: &Settings) -> Option<BertNormalizer> {
    let own = own(tokenizer, settings)?;
    let mut set = own;
    set.lowercase = settings.flag("do_lower_case").unwrap_or(own.lowercase);
    set.strip_accents = settings.flag("strip_accents").or(own.strip_accents);
    set.handle_chinese_chars = settings.flag("tokenize_chinese_chars").unwrap_or(own.handle_chinese_chars);
    (switches(set) != switches(own)).then_some(set)
}

/// The keys without which `transformers` would build another normalizer than the tokenizer's: what the settings do not name is
/// for it as in BERT's first vocabulary.
pub(super) fn missing_keys(tokenizer: &Tokenizer, settings: &Settings) -> Vec<(&'static str, Value)> {
    let Some(own) = own(tokenizer, settings) else { return Vec::new() };
    let keys = [
        ("do_lower_case", json!(own.lowercase), own.lowercase != settings.flag("do_lower_case").unwrap_or(true)),
        ("strip_accents", json!(own.strip_accents), own.strip_accents != settings.flag("strip_accents")),
        (
            "tokenize_chinese_chars",
            json!(own.handle_chinese_chars),
            own.handle_chinese_chars != settings.flag("tokenize_chinese_chars").unwrap_or(true),
        ),
    ];
    keys.into_iter().filter(|(.., differs)| *differs).map(|(key, value, _)| (key, value)).collect()
}

/// The tokenizer's normalizer, where it is BERT's and `transformers` builds it by the settings.
fn own(tokenizer: &Tokenizer, settings: &Settings) -> Option<BertNormalizer> {
    let is_built = match (settings.names_class(), settings.class(), settings.model_type()) {
        (true, class, _) => class.is_some_and(|class| WORD_PIECE_CLASSES.contains(&class)),
        (false, _, model) => model.is_some_and(|model| WORD_PIECE_MODEL_TYPES.contains(&model)),
    };
    match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(own)) if is_built => Some(*own),
        _ => None,
    }
}

fn switches(normalizer: BertNormalizer) -> (bool, Option<bool>, bool) {
    (normalizer.lowercase, normalizer.strip_accents, normalizer.handle_chinese_chars)
}
