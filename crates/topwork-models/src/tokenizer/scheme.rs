//! The parts of `tokenizer.json`.

use serde_json::{Map, Value, json};

use super::train::TokenizerKind;

/// The type of the processor whose template, segments 0 and 1 included, is fixed.
pub(super) const FIXED_SEGMENTS: &str = "BertProcessing";

/// What happens around the model: how a text becomes words, and tokens a text again.
pub(super) struct Scheme {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    decoder: Value,
}

impl Scheme {
    pub(super) fn new(kind: TokenizerKind, lowercase: bool) -> Self {
        match kind {
            TokenizerKind::WordPiece => Self::word_piece(true, None, lowercase),
            TokenizerKind::Bpe => Self::byte_level(lowercase),
            TokenizerKind::Unigram => Self::metaspace(lowercase),
        }
    }

    /// BERT's. Without a word on accents they go when the case does.
    pub(super) fn word_piece(chinese: bool, strip_accents: Option<bool>, lowercase: bool) -> Self {
        Self {
            normalizer: json!({
                "type": "BertNormalizer",
                "clean_text": true,
                "handle_chinese_chars": chinese,
                "strip_accents": strip_accents,
                "lowercase": lowercase,
            }),
            pre_tokenizer: json!({ "type": "BertPreTokenizer" }),
            decoder: json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        }
    }

    /// GPT-2's: every byte is a character, so that every text has tokens and gets its bytes back.
    fn byte_level(lowercase: bool) -> Self {
        let part = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        let normalizer = if lowercase { json!({ "type": "Lowercase" }) } else { Value::Null };
        Self { normalizer, pre_tokenizer: part.clone(), decoder: part }
    }

    /// SentencePiece's: NFKC, runs of white space as one space, `▁` before each word.
    fn metaspace(lowercase: bool) -> Self {
        let mut steps = vec![json!({ "type": "NFKC" })];
        if lowercase {
            steps.push(json!({ "type": "Lowercase" }));
        }
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " }));
        steps.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        let part = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
        Self {
            normalizer: json!({ "type": "Sequence", "normalizers": steps }),
            pre_tokenizer: part.clone(),
            decoder: part,
        }
    }
}

/// WordPiece as BERT has it.
pub(super) fn word_piece_model(unk: &str, vocabulary: Map<String, Value>) -> Value {
    json!({
        "type": "WordPiece",
        "unk_token": unk,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocabulary,
    })
}

/// RoBERTa's template: `cls A sep`, and for a pair `cls A sep sep B sep`, all of segment 0.
pub(super) fn template(cls: (&str, u64), sep: (&str, u64)) -> Value {
    let token = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let sequence = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    let first = [token(cls.0), sequence("A"), token(sep.0)];
    let pair: Vec<Value> = first.iter().cloned().chain([token(sep.0), sequence("B"), token(sep.0)]).collect();
    json!({
        "type": "TemplateProcessing",
        "single": first,
        "pair": pair,
        "special_tokens": {
            cls.0: { "id": cls.0, "ids": [cls.1], "tokens": [cls.0] },
            sep.0: { "id": sep.0, "ids": [sep.1], "tokens": [sep.0] },
        },
    })
}

/// The whole file: `cls A sep`, and for a pair `cls A sep B sep` with segments 0 and 1.
pub(super) fn tokenizer_json(
    scheme: Scheme,
    model: Value,
    added: Vec<Value>,
    cls: (&str, &Value),
    sep: (&str, &Value),
) -> Value {
    let special_token = |token: &str, segment: u8| json!({ "SpecialToken": { "id": token, "type_id": segment } });
    let sequence = |name: &str, segment: u8| json!({ "Sequence": { "id": name, "type_id": segment } });
    let first = [special_token(cls.0, 0), sequence("A", 0), special_token(sep.0, 0)];
    let pair: Vec<Value> = first.iter().cloned().chain([sequence("B", 1), special_token(sep.0, 1)]).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": scheme.normalizer,
        "pre_tokenizer": scheme.pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": first,
            "pair": pair,
            "special_tokens": {
                cls.0: { "id": cls.0, "ids": [cls.1], "tokens": [cls.0] },
                sep.0: { "id": sep.0, "ids": [sep.1], "tokens": [sep.0] },
            },
        },
        "decoder": scheme.decoder,
        "model": model,
    })
}
