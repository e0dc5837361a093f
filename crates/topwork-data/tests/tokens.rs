//! Laws of tokenizing and gathering.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tokenizers::Tokenizer;
use topwork_data::{DataError, Example, PackedBatch, TokenizedTexts};

/// A tokenizer of single words, with stored truncation and padding that must not be used.
fn tokenizer() -> Tokenizer {
    let special = |token: &str, id: u32| {
        serde_json::json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                            "normalized": false, "special": true })
    };
    let json = serde_json::json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[PAD]" },
        "added_tokens": [special("[PAD]", 0), special("[UNK]", 1), special("[CLS]", 2), special("[SEP]", 3)],
        "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "[UNK]",
                   "vocab": { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6 } },
    });
    json.to_string().parse().unwrap()
}

fn examples(texts: &[(&str, Option<&str>)]) -> Vec<Example> {
    let example = |(line, (text, pair)): (usize, &(&str, Option<&str>))| Example {
        text_pair: pair.map(str::to_string),
        line: line + 2,
        ..Example::from_text(*text)
    };
    texts.iter().enumerate().map(example).collect()
}

#[test]
fn rows_are_as_long_as_they_are() {
    let texts = TokenizedTexts::tokenize(
        &tokenizer(),
        &examples(&[("a b c a", None), ("", None), ("x 🍎", None)]),
        64,
        "x.csv".as_ref(),
    )
    .unwrap();
    assert_eq!(texts.row(0).0, [2, 4, 5, 6, 4, 3]);
    assert_eq!(texts.row(1).0, [2, 3]);
    assert_eq!(texts.row(2).0, [2, 1, 1, 3]);
    assert_eq!((texts.truncated, texts.unknown, texts.total_tokens()), (0, 2, 12));
    assert_eq!((texts.length_quantile(0.5), texts.length_quantile(1.0)), (4, 6));
}

#[test]
fn the_longer_text_of_a_pair_is_cut_first() {
    let rows = examples(&[("a a a a a", Some("b b")), ("a a a a", Some("b b b b"))]);
    let texts = TokenizedTexts::tokenize(&tokenizer(), &rows, 8, "x.csv".as_ref()).unwrap();
    assert_eq!(texts.row(0), (&[2, 4, 4, 4, 3, 5, 5, 3][..], &[0, 0, 0, 0, 0, 1, 1, 1][..]));
    assert_eq!(texts.row(1).0.len(), 8);
    assert_eq!(texts.truncated, 2);
}

#[test]
fn a_length_without_room_for_a_token_is_refused() {
    let error =
        TokenizedTexts::tokenize(&tokenizer(), &examples(&[("a", Some("b"))]), 4, "x.csv".as_ref()).unwrap_err();
    assert!(matches!(error, DataError::MaximumLengthTooSmall { max_length: 4, least: 5 }), "{error}");
    assert!(error.hint().unwrap().starts_with("--max-length"));
}

#[test]
fn a_batch_is_its_rows_one_after_the_other() {
    let texts = TokenizedTexts::tokenize(
        &tokenizer(),
        &examples(&[("a", None), ("b c", None), ("", None)]),
        64,
        "x.csv".as_ref(),
    )
    .unwrap();
    let batch = PackedBatch::gather(&texts, &[1, 2, 0]);
    assert_eq!(batch.ids, [2, 5, 6, 3, 2, 3, 2, 4, 3]);
    assert_eq!(batch.positions, [0, 1, 2, 3, 0, 1, 0, 1, 2]);
    assert_eq!(batch.offsets, [0, 4, 6, 9]);
    assert_eq!(texts.select(&[1, 2, 0]).row(2), texts.row(0));
}
