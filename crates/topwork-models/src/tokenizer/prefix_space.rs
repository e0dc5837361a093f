//! A space before the first word. Byte-level BPE has other tokens for a word with a space before it than for one without;
//! who gives words one by one, as tagging does, wants each to be the one with a space.

use serde_json::Value;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

use super::one_line;
use crate::error::ModelError;

/// The tokenizer that puts a space before a text that has none: `add_prefix_space` of `transformers`. None where it does so
/// already, or where such a space has no meaning, as for WordPiece.
///
/// # Errors
/// When the changed tokenizer cannot be built.
pub fn with_prefix_space(tokenizer: &Tokenizer) -> Result<Option<Tokenizer>, ModelError> {
    with(tokenizer, true)
}

/// The tokenizer that puts a space before a text, or that puts none there. None where it does so already, or where such a
/// space has no meaning.
pub(super) fn with(tokenizer: &Tokenizer, prefix: bool) -> Result<Option<Tokenizer>, ModelError> {
    if of(tokenizer) != Some(!prefix) {
        return Ok(None);
    }
    let failed = |message: String| ModelError::InvalidTokenizer {
        path: super::FULL.into(),
        message: format!("with add_prefix_space {prefix}: {}", one_line(&message)),
    };
    let text = tokenizer.to_string(false).map_err(|error| failed(error.to_string()))?;
    let mut whole: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    for part in ["pre_tokenizer", "post_processor"] {
        set(&mut whole[part], prefix);
    }
    let mut changed = Tokenizer::from_bytes(whole.to_string()).map_err(|error| failed(error.to_string()))?;
    // How it cuts and fills up is as before, to the last number.
    changed.with_padding(tokenizer.get_padding().cloned());
    changed.with_truncation(tokenizer.get_truncation().cloned()).map_err(|error| failed(error.to_string()))?;
    Ok(Some(changed))
}

/// Whether a tokenizer puts a space before a text; none where that has no meaning.
pub(super) fn of(tokenizer: &Tokenizer) -> Option<bool> {
    fn find(part: &PreTokenizerWrapper) -> Option<bool> {
        match part {
            PreTokenizerWrapper::ByteLevel(part) => Some(part.add_prefix_space),
            PreTokenizerWrapper::Sequence(parts) => parts.as_ref().iter().find_map(find),
            _ => None,
        }
    }
    find(tokenizer.get_pre_tokenizer()?)
}

/// Sets the key in every part that has it.
fn set(part: &mut Value, prefix: bool) {
    match part {
        Value::Object(keys) => {
            for (key, value) in keys {
                if key == "add_prefix_space" { *value = Value::Bool(prefix) } else { set(value, prefix) }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| set(part, prefix)),
        _ => {}
    }
}
