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

    /// `tokenizer.json` around a model, without added tokens and without what a text is put between.
    pub(super) fn around(self, model: Value) -> Value {
        whole(self.normalizer, self.pre_tokenizer, self.decoder, model)
    }

    /// GPT-2's: every byte is a character, so that every text has tokens and gets its bytes back.
    fn byte_level(lowercase: bool) -> Self {
        let part = bytes(false);
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

/// `tokenizer.json` of these parts, without added tokens and without what a text is put between.
pub(super) fn whole(normalizer: Value, pre_tokenizer: Value, decoder: Value, model: Value) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": null,
        "decoder": decoder,
        "model": model,
    })
}

/// Byte-level BPE's way to part words, and to put them together again.
pub(super) fn bytes(prefix: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true })
}

/// `cls A sep`, and for a pair `cls A sep sep B sep`, all of segment 0, for words with spaces before them.
pub(super) fn byte_ends(cls: (&str, u32), sep: (&str, u32), prefix: bool, trim: bool) -> Value {
    json!({ "type": "RobertaProcessing", "sep": [sep.0, sep.1], "cls": [cls.0, cls.1], "trim_offsets": trim, "add_prefix_space": prefix })
}

/// `cls A sep`, and for a pair `cls A sep sep B sep`, all of segment 0.
pub(super) fn template(cls: (&str, u32), sep: (&str, u32)) -> Value {
    let single = vec![special_token(cls.0, 0), sequence("A", 0), special_token(sep.0, 0)];
    let pair =
        single.iter().cloned().chain([special_token(sep.0, 0), sequence("B", 0), special_token(sep.0, 0)]).collect();
    of_template(single, pair, cls, sep)
}

/// `cls A sep`, and for a pair `cls A sep B sep` with segments 0 and 1.
pub(super) fn template_with_segments(cls: (&str, u32), sep: (&str, u32)) -> Value {
    let single = vec![special_token(cls.0, 0), sequence("A", 0), special_token(sep.0, 0)];
    let pair = single.iter().cloned().chain([sequence("B", 1), special_token(sep.0, 1)]).collect();
    of_template(single, pair, cls, sep)
}

fn special_token(token: &str, segment: u8) -> Value {
    json!({ "SpecialToken": { "id": token, "type_id": segment } })
}

fn sequence(name: &str, segment: u8) -> Value {
    json!({ "Sequence": { "id": name, "type_id": segment } })
}

fn of_template(single: Vec<Value>, pair: Vec<Value>, cls: (&str, u32), sep: (&str, u32)) -> Value {
    json!({
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": {
            cls.0: { "id": cls.0, "ids": [cls.1], "tokens": [cls.0] },
            sep.0: { "id": sep.0, "ids": [sep.1], "tokens": [sep.0] },
        },
    })
}

/// The whole file of a new tokenizer.
pub(super) fn tokenizer_json(
    scheme: Scheme,
    model: Value,
    added: Vec<Value>,
    cls: (&str, u32),
    sep: (&str, u32),
) -> Value {
    let mut whole = scheme.around(model);
    whole["added_tokens"] = Value::Array(added);
    whole["post_processor"] = template_with_segments(cls, sep);
    whole
}
