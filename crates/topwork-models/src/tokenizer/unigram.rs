//! The tokenizers of XLM-R and CamemBERT over a SentencePiece model, built as `transformers` builds them (5.24.0): both
//! were trained with fairseq, whose ids are not those of the model. The mask takes the space before it unless the settings
//! deny it: so say the files of XLM-R itself and older versions, where the class of 5.24.0 by itself does not.

use std::path::Path;

use serde_json::{Value, json};

use super::scheme::template;
use super::sentence_piece::{Algorithm, Kind, Piece, SentencePiece};
use super::settings::{AddedToken, Settings, SpecialTokens};
use super::{convert_command, invalid};
use crate::error::ModelError;
use crate::files::read;

/// The token of what no piece fits; its place in both families.
const UNKNOWN: usize = 3;

/// The families whose ids are known.
#[derive(Clone, Copy)]
enum Family {
    /// `<s> <pad> </s> <unk>`, the model's pieces but its first three, `<mask>`.
    XlmRoberta,
    /// Four tokens of fairseq and one that nothing becomes, the model's pieces but its first, `<mask>`.
    Camembert,
}

impl Family {
    fn find(settings: &Settings) -> Option<Self> {
        match (settings.class(), settings.model_type()) {
            (Some("XLMRobertaTokenizer"), _) | (None, Some("xlm-roberta" | "xlm-roberta-xl")) => Some(Self::XlmRoberta),
            (Some("CamembertTokenizer"), _) | (None, Some("camembert")) => Some(Self::Camembert),
            _ => None,
        }
    }

    /// How many of the model's first pieces have no place among the ids.
    fn dropped(self) -> usize {
        match self {
            Self::XlmRoberta => 3,
            Self::Camembert => 1,
        }
    }

    fn before(self, special: &SpecialTokens) -> Vec<(&str, f64)> {
        let (pad, unk) = (special.pad.content.as_str(), special.unk.content.as_str());
        match self {
            Self::XlmRoberta => vec![(&special.bos.content, 0.0), (pad, 0.0), (&special.eos.content, 0.0), (unk, 0.0)],
            Self::Camembert => {
                vec![("<s>NOTUSED", 0.0), (pad, 0.0), ("</s>NOTUSED", 0.0), (unk, 0.0), ("<unk>NOTUSED", -100.0)]
            }
        }
    }
}

/// The tokenizer over the model at `path` in the format of `tokenizer.json`.
pub(super) fn from_sentence_piece(directory: &Path, path: &Path) -> Result<Value, ModelError> {
    let settings = Settings::read(directory)?;
    let unsupported = |message: String| ModelError::UnsupportedTokenizer {
        path: path.to_path_buf(),
        message,
        hint: convert_command(directory),
    };
    let Some(family) = Family::find(&settings) else {
        let found = match (settings.class(), settings.model_type()) {
            (Some(class), _) => format!("tokenizer_class {class}"),
            (None, Some(model)) => format!("model_type {model}"),
            (None, None) => "no tokenizer_class and no model_type".into(),
        };
        return Err(unsupported(format!(
            "expected tokenizer.json or the SentencePiece model of XLM-R or CamemBERT, found {found}"
        )));
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
    build(path, &settings, family, &model)
}

fn build(path: &Path, settings: &Settings, family: Family, model: &SentencePiece) -> Result<Value, ModelError> {
    let special = settings.special_tokens();
    let own = model.pieces.iter().skip(family.dropped()).map(|piece| (piece.text.as_str(), f64::from(piece.score)));
    let mut vocabulary = family.before(&special);
    vocabulary.extend(own);
    vocabulary.push((&special.mask.content, 0.0));
    // The first in the list where a text is there twice, as no sound model has it.
    let id = |content: &str| vocabulary.iter().position(|(token, _)| *token == content).map(|id| id as u64);
    let need = |token: &AddedToken| {
        id(&token.content).ok_or_else(|| invalid(path, &format!("expected the token {}, found none", token.content)))
    };
    let (bos_id, eos_id) = (need(&special.bos)?, need(&special.eos)?);
    let marked: Vec<AddedToken> = model.pieces.iter().filter_map(marked).collect();
    let tokens: Vec<&AddedToken> = special.all().into_iter().chain(&marked).collect();
    let added = settings.added_tokens(&tokens, id).map_err(|message| invalid(path, &message))?;
    let scheme = if settings.flag("add_prefix_space").unwrap_or(true) { "always" } else { "never" };
    let part = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    let normalizer = match model.charsmap.as_slice() {
        [] => Value::Null,
        charsmap => json!({ "type": "Precompiled", "precompiled_charsmap": base64(charsmap) }),
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, part] },
        "post_processor": template((&special.bos.content, bos_id), (&special.eos.content, eos_id)),
        "decoder": part,
        "model": { "type": "Unigram", "unk_id": UNKNOWN, "vocab": vocabulary, "byte_fallback": false },
    }))
}

/// A piece that is found in a text before the model sees it.
fn marked(piece: &Piece) -> Option<AddedToken> {
    let is_special = piece.kind == Kind::Control;
    (is_special || piece.kind == Kind::UserDefined)
        .then(|| AddedToken { special: is_special, ..AddedToken::special(&piece.text) })
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
