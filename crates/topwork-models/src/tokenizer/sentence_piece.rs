//! A reader of SentencePiece models, which are protocol buffers (`sentencepiece_model.proto`).
//!
//! It takes what a tokenizer needs and skips the rest. Whatever the bytes, it gives a model or says what is wrong: lengths
//! are held to what is there, and the table of characters is walked once, since the normalizer that uses it trusts it.

/// The largest file that is read; the largest that is known has 6 MB.
pub(super) const LARGEST: usize = 64 << 20;
/// The longest piece in bytes.
const LONGEST_PIECE: usize = 4096;
/// The most pieces.
const MOST_PIECES: usize = 4 << 20;

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    /// Unused, or a byte.
    Other,
}

/// A token of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// The logarithm of its probability.
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// How the model makes tokens of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    Bpe,
    Word,
    Char,
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unigram => "Unigram",
            Self::Bpe => "BPE",
            Self::Word => "word",
            Self::Char => "character",
        }
    }
}

/// What is read of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SentencePiece {
    pub(super) pieces: Vec<Piece>,
    pub(super) algorithm: Algorithm,
    /// What normalization makes of characters, in SentencePiece's own form; empty for none.
    pub(super) charsmap: Vec<u8>,
}

impl SentencePiece {
    /// Reads a model; what is wrong with it otherwise.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err(format!("expected at most {LARGEST} bytes, found {}", bytes.len()));
        }
        let mut model = Self { pieces: Vec::new(), algorithm: Algorithm::Unigram, charsmap: Vec::new() };
        each_field(bytes, |number, value| {
            match (number, value) {
                (1, Value::Bytes(piece)) => {
                    if model.pieces.len() == MOST_PIECES {
                        return Err(format!("expected at most {MOST_PIECES} pieces, found more"));
                    }
                    model.pieces.push(read_piece(piece, model.pieces.len())?);
                }
                (2, Value::Bytes(trainer)) => each_field(trainer, |number, value| {
                    if let (3, Value::Number(algorithm)) = (number, value) {
                        model.algorithm = match algorithm {
                            1 => Algorithm::Unigram,
                            2 => Algorithm::Bpe,
                            3 => Algorithm::Word,
                            4 => Algorithm::Char,
                            other => return Err(format!("expected an algorithm from 1 to 4, found {other}")),
                        };
                    }
                    Ok(())
                })?,
                (3, Value::Bytes(normalizer)) => each_field(normalizer, |number, value| {
                    if let (2, Value::Bytes(charsmap)) = (number, value) {
                        model.charsmap = charsmap.to_vec();
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        if model.pieces.is_empty() {
            return Err("expected pieces, found none".into());
        }
        if !model.charsmap.is_empty() {
            check_charsmap(&model.charsmap).map_err(|message| format!("table of characters: {message}"))?;
        }
        Ok(model)
    }
}

fn read_piece(bytes: &[u8], place: usize) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    each_field(bytes, |number, value| {
        match (number, value) {
            (1, Value::Bytes(text)) if text.len() <= LONGEST_PIECE => {
                piece.text = String::from_utf8(text.to_vec())
                    .map_err(|_| format!("piece {place}: expected UTF-8, found other bytes"))?;
            }
            (1, Value::Bytes(text)) => {
                return Err(format!("piece {place}: expected at most {LONGEST_PIECE} bytes, found {}", text.len()));
            }
            (2, Value::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    _ => Kind::Other,
                };
            }
            _ => {}
        }
        Ok(())
    })?;
    if piece.text.is_empty() || !piece.score.is_finite() {
        return Err(format!("piece {place}: expected a text and a finite score, found {piece:?}"));
    }
    Ok(piece)
}

/// The value of a field, as far as the wire format tells.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four([u8; 4]),
    Eight,
}

/// Calls `take` with the number and the value of each field of a message.
fn each_field<'a>(
    mut bytes: &'a [u8],
    mut take: impl FnMut(u64, Value<'a>) -> Result<(), String>,
) -> Result<(), String> {
    let cut = || "expected more bytes, found the end".to_string();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => {
                bytes = bytes.get(8..).ok_or_else(cut)?;
                Value::Eight
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| cut())?;
                let (value, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
                bytes = rest;
                Value::Bytes(value)
            }
            5 => {
                let (value, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
                bytes = rest;
                Value::Four(*value)
            }
            other => return Err(format!("expected a protocol buffer, found a field of wire type {other}")),
        };
        take(key >> 3, value)?;
    }
    Ok(())
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("expected more bytes, found the end")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("expected a number of at most ten bytes, found more".into())
}

/// Walks the double array (Aoe, 1989; the form is that of Darts-clone) from its root to every leaf: each place must be in
/// the array, and each leaf's value must be where a replacement begins.
fn check_charsmap(bytes: &[u8]) -> Result<(), String> {
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or("expected its size, found the end")?;
    let size = u32::from_le_bytes(*size) as usize / 4;
    let (units, texts) =
        size.checked_mul(4).and_then(|size| rest.split_at_checked(size)).ok_or("expected more bytes, found the end")?;
    let texts = std::str::from_utf8(texts).map_err(|_| "expected UTF-8 replacements, found other bytes")?;
    let units: Vec<u32> = units.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    let outside = || "expected a place in the array, found one after its end".to_string();
    let offset = |unit: u32| ((unit >> 10) as usize) << ((unit & (1 << 9)) >> 6);
    let root = units.first().ok_or_else(outside)?;
    let mut open = vec![offset(*root)];
    let mut seen = vec![false; units.len()];
    while let Some(place) = open.pop() {
        // A place that several nodes lead to, as none does in a sound array, needs one look.
        if std::mem::replace(seen.get_mut(place).ok_or_else(outside)?, true) {
            continue;
        }
        for byte in 1..=255 {
            let child = place ^ byte;
            let unit = *units.get(child).ok_or_else(outside)?;
            if (unit & (1 << 31 | 0xff)) as usize != byte {
                continue;
            }
            let next = child ^ offset(unit);
            if unit >> 8 & 1 == 1 {
                let value = (units.get(next).ok_or_else(outside)? & !(1 << 31)) as usize;
                if !texts.is_char_boundary(value) {
                    return Err(format!("expected where a replacement begins, found {value} of {}", texts.len()));
                }
            }
            open.push(next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Vec<u8> {
        let path = "../../fixtures/tokenizers/xlm-roberta/sentencepiece.bpe.model";
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn a_model_has_its_pieces_in_order() {
        let model = SentencePiece::parse(&model()).unwrap();
        let first: Vec<(&str, Kind)> = model.pieces.iter().take(5).map(|p| (p.text.as_str(), p.kind)).collect();
        let expected = [
            ("<unk>", Kind::Unknown),
            ("<s>", Kind::Control),
            ("</s>", Kind::Control),
            ("[CONTROL]", Kind::Control),
            ("[USER]", Kind::UserDefined),
        ];
        assert_eq!(first, expected);
        assert_eq!(model.algorithm, Algorithm::Unigram);
        assert!(model.charsmap.len() > 1000 && model.pieces[9].score < 0.0);
    }

    #[test]
    fn damaged_models_are_refused_or_read_and_never_break() {
        use tokenizers::Normalizer;
        let whole = model();
        let texts = ["ﬁne\u{a0}Ａ", "e\u{301}e\u{301}", "\u{1}\u{7f}\u{feff}½…", "aéカ\u{3099}\u{202e}"];
        let mut state = 1_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize) % below
        };
        let mut read = 0;
        for round in 0..4000 {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => bytes.truncate(draw(whole.len())),
                // One byte in the whole, or some in the last part, where the table of characters lies.
                1 => bytes[draw(whole.len())] = draw(256) as u8,
                _ => (0..4).for_each(|_| bytes[whole.len() - 1 - draw(2500)] = draw(256) as u8),
            }
            let Ok(model) = SentencePiece::parse(&bytes) else { continue };
            read += 1;
            if model.charsmap.is_empty() {
                continue;
            }
            let normalizer = tokenizers::normalizers::Precompiled::from(&model.charsmap).unwrap();
            for text in texts {
                normalizer.normalize(&mut text.into()).unwrap();
            }
        }
        assert!(read > 500, "{read}");
        assert!(SentencePiece::parse(&[]).is_err() && SentencePiece::parse(b"{\"json\": 1}").is_err());
        assert!(SentencePiece::parse(&[0xff; 40]).is_err());
    }
}
