//! Unigram over the pieces of a SentencePiece model or of a `tokenizer.json`, whatever else that says: so `transformers` makes it for families
//! that were trained with fairseq, whose ids are not those of the model (5.24.0).

use std::path::Path;

use serde_json::{Value, json};

use super::added::{AddedToken, Usual};
use super::byte_level::ROLES;
use super::class::convert_command;
use super::invalid;
use super::made::{Ends, Made};
use super::scheme::whole;
use super::sentence_piece::{Algorithm, Kind, Piece, SentencePiece};
use super::settings::Settings;
use crate::error::ModelError;
use crate::families::tokenizer_classes::{Before, Pieces};
use crate::files::read;

/// The tokenizer over the SentencePiece model at `path`.
pub(super) fn from_sentence_piece(
    path: &Path,
    settings: &Settings,
    pieces: &'static Pieces,
) -> Result<Made, ModelError> {
    let unsupported = |message: String| ModelError::UnsupportedTokenizer {
        path: path.to_path_buf(),
        message,
        hint: convert_command(settings.directory()),
    };
    let model = SentencePiece::parse(&read(path)?).map_err(|message| invalid(path, &message))?;
    if model.algorithm != Algorithm::Unigram {
        let found = model.algorithm.name();
        return Err(unsupported(format!(
            "expected tokenizer.json or a SentencePiece model of type Unigram, found {found}"
        )));
    }
    let kinds: Vec<Kind> = model.pieces.iter().take(3).map(|piece| piece.kind).collect();
    if kinds != [Kind::Unknown, Kind::Control, Kind::Control] {
        let found: Vec<&str> = model.pieces.iter().take(3).map(|piece| piece.text.as_str()).collect();
        return Err(unsupported(format!("expected <unk>, <s> and </s> as its first pieces, found {found:?}")));
    }
    let mut usual = usual(pieces);
    usual.marked = Some(model.pieces.iter().filter_map(marked).collect());
    let missing = |role: &str| invalid(path, &format!("{role}: expected a token, found null"));
    let named = |role: &'static str| usual.named(settings, role).ok_or_else(|| missing(role));
    let first = pieces.before.iter().map(|before| match before {
        Before::Role(role) => Ok(json!([named(role)?, 0.0])),
        Before::Unused(text, score) => Ok(json!([text, score])),
    });
    let mut vocabulary: Vec<Value> = first.collect::<Result<_, ModelError>>()?;
    let own = model.pieces.iter().skip(pieces.dropped).map(|piece| json!([piece.text, f64::from(piece.score)]));
    vocabulary.extend(own);
    vocabulary.push(json!([named("mask_token")?, 0.0]));
    let normalizer = match model.charsmap.as_slice() {
        [] => Value::Null,
        charsmap => json!({ "type": "Precompiled", "precompiled_charsmap": base64(charsmap) }),
    };
    made(path, settings, pieces, usual, vocabulary, normalizer)
}

/// The tokenizer over the pieces of a `tokenizer.json`. Of its normalizers the table of characters counts.
pub(super) fn from_whole(
    path: &Path,
    settings: &Settings,
    pieces: &'static Pieces,
    stored: &Value,
) -> Result<Made, ModelError> {
    let vocabulary = stored["model"]["vocab"].as_array().ok_or_else(|| {
        let class = settings.class_name().unwrap_or("the class of its family");
        invalid(path, &format!("model: expected pieces with scores, as {class} has them, found none"))
    })?;
    let own = &stored["normalizer"];
    let is_table = |part: &&Value| part["type"] == "Precompiled";
    let listed = own["normalizers"].as_array().into_iter().flatten();
    let normalizer = std::iter::once(own).chain(listed).find(is_table).cloned().unwrap_or(Value::Null);
    made(path, settings, pieces, usual(pieces), vocabulary.clone(), normalizer)
}

fn usual(pieces: &'static Pieces) -> Usual {
    Usual {
        roles: ROLES.map(|(role, content)| (role, AddedToken::text(content))).into(),
        further: pieces.further.iter().map(|content| AddedToken::text(content)).collect(),
        mask_takes_space: pieces.mask_takes_space,
        ..Usual::default()
    }
}

fn made(
    path: &Path,
    settings: &Settings,
    pieces: &Pieces,
    usual: Usual,
    vocabulary: Vec<Value>,
    normalizer: Value,
) -> Result<Made, ModelError> {
    let unknown = match pieces.unknown {
        Some(place) => place,
        None => {
            let unk = usual.named(settings, "unk_token");
            vocabulary.iter().position(|piece| piece[0].as_str() == unk.as_deref()).unwrap_or(0)
        }
    };
    if unknown >= vocabulary.len() {
        return Err(invalid(path, &format!("vocab: expected more than {unknown} pieces, found {}", vocabulary.len())));
    }
    let scheme = if settings.flag("add_prefix_space")?.unwrap_or(true) { "always" } else { "never" };
    let part = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    let splitter = json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, part] });
    let model = json!({ "type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": false });
    let ends = Ends::Plain { cls: usual.named(settings, "bos_token"), sep: usual.named(settings, "eos_token") };
    Ok(Made { whole: whole(normalizer, splitter, part, model), usual, ends })
}

/// A piece that is found in a text before the model sees it.
fn marked(piece: &Piece) -> Option<AddedToken> {
    let special = piece.kind == Kind::Control;
    let token = AddedToken { normalized: Some(false), special, ..AddedToken::special(&piece.text) };
    (special || piece.kind == Kind::UserDefined).then_some(token)
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        cases.into_iter().for_each(|(bytes, text)| assert_eq!(base64(bytes.as_bytes()), text));
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
