//! Laws of tokenizing and gathering.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tokenizers::Tokenizer;
use topwork_data::{DataError, Example, PackedBatch, Stream, TokenizedTexts, WordToken, for_words};

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

/// A tokenizer that cuts words into letters: those of the alphabet it knows.
fn letters() -> Tokenizer {
    let mut json: serde_json::Value = serde_json::from_str(&tokenizer().to_string(false).unwrap()).unwrap();
    json["pre_tokenizer"] =
        serde_json::json!({ "type": "Split", "pattern": { "Regex": "." }, "behavior": "Isolated", "invert": false });
    json["normalizer"] = serde_json::json!({ "type": "Replace", "pattern": { "String": "-" }, "content": "" });
    json.to_string().parse().unwrap()
}

fn sentence(words: &[&str]) -> Example {
    Example { line: 2, ..Example::from_words(words) }
}

fn tokenize(examples: &[Example], max_length: usize) -> TokenizedTexts {
    TokenizedTexts::tokenize(&letters(), examples, max_length, "x.conll".as_ref()).unwrap()
}

#[test]
fn each_word_is_tokenized_by_itself_and_known_by_its_first_token() {
    let texts = tokenize(&[sentence(&["ab", "c", "abc"]), sentence(&["a"])], 64);
    assert_eq!(texts.row(0).0, [2, 4, 5, 6, 4, 5, 6, 3]);
    let batch = PackedBatch::gather(&texts, &[1, 0]);
    let word = |token: usize, row: usize, word: usize| WordToken { token, row, word };
    assert_eq!(batch.words, [word(1, 1, 0), word(4, 0, 0), word(6, 0, 1), word(7, 0, 2)]);
    assert_eq!((texts.words(0), texts.windowed, texts.truncated), (3, 0, 0));
}

#[test]
fn a_word_without_a_token_is_known_to_have_none() {
    let texts = tokenize(&[sentence(&["a", "-", "", "b"]), sentence(&["--"])], 64);
    assert_eq!((texts.words_without_token(0), texts.words_without_token(1)), (2, 1));
    let batch = PackedBatch::gather(&texts, &[0, 1]);
    assert_eq!(batch.words.iter().map(|word| (word.row, word.word)).collect::<Vec<_>>(), [(0, 0), (0, 3)]);
    assert_eq!(texts.row(1).0, [2, 3]);
}

#[test]
fn a_word_longer_than_a_window_keeps_its_first_tokens() {
    let texts = tokenize(&[sentence(&["a", "bbbbbbbbb", "c"]), sentence(&["a"])], 6);
    assert_eq!((texts.truncated, texts.windowed), (1, 1));
    assert_eq!(texts.sequences_of(0), 0..3);
    assert_eq!(texts.sequence(1).0, [2, 5, 5, 5, 5, 3]);
}

#[test]
fn every_word_of_a_long_row_is_in_one_window_with_its_own_tokens() {
    for seed in 0..60 {
        let mut stream = Stream::named("sentences", seed);
        let mut word = || "abcabc"[..1 + stream.below(6) as usize].to_string();
        let rows: Vec<Vec<String>> = (1..8).map(|row| (0..row * 7).map(|_| word()).collect()).collect();
        let examples: Vec<Example> = rows.iter().map(Example::from_words).collect();
        let most = 8 + seed as usize % 12;
        let texts = tokenize(&examples, most);
        assert_eq!((texts.len(), texts.truncated), (rows.len(), 0));
        assert_eq!(texts.windowed, (0..texts.len()).filter(|&row| texts.sequences_of(row).len() > 1).count());
        for (row, words) in rows.iter().enumerate() {
            let mut found = Vec::new();
            for sequence in texts.sequences_of(row) {
                let ids = texts.sequence(sequence).0;
                assert!(ids.len() <= most && ids[0] == 2 && ids[ids.len() - 1] == 3);
                for first in texts.first_tokens(sequence) {
                    let whole: Vec<u32> =
                        words[first.word].bytes().map(|letter| u32::from(letter - b'a') + 4).collect();
                    assert_eq!(ids[first.token..first.token + whole.len()], whole, "a word is whole where it counts");
                    found.push(first.word);
                }
            }
            assert_eq!(found, (0..words.len()).collect::<Vec<_>>(), "seed {seed}, row {row}");
        }
        let chosen = [3, 0, 6, 3];
        let selected = texts.select(&chosen);
        let (all, part) = (PackedBatch::gather(&texts, &chosen), PackedBatch::gather(&selected, &[0, 1, 2, 3]));
        assert_eq!(
            (&all.ids, &all.type_ids, &all.positions, &all.offsets),
            (&part.ids, &part.type_ids, &part.positions, &part.offsets)
        );
        let words = |batch: &PackedBatch| batch.words.iter().map(|word| (word.token, word.word)).collect::<Vec<_>>();
        assert_eq!(words(&all), words(&part));
        assert_eq!(all.rows, part.rows.iter().map(|&row| chosen[row]).collect::<Vec<_>>());
        for (sequence, ends) in all.offsets.windows(2).enumerate() {
            let positions = &all.positions[ends[0]..ends[1]];
            assert!(
                positions.iter().copied().eq(0..positions.len() as u32),
                "positions restart in sequence {sequence}"
            );
        }
    }
}

#[test]
fn a_window_needs_room_for_a_token() {
    let error = TokenizedTexts::tokenize(&letters(), &[sentence(&["a"])], 2, "x.conll".as_ref()).unwrap_err();
    assert!(matches!(error, DataError::MaximumLengthTooSmall { max_length: 2, least: 3 }), "{error}");
}

#[test]
fn byte_level_tokenizers_put_a_space_before_each_word() {
    let byte_level = serde_json::json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                                         "use_regex": true });
    let sequence = serde_json::json!({ "type": "Sequence", "pretokenizers": [{ "type": "Digits",
                                       "individual_digits": true }, byte_level] });
    for pre_tokenizer in [byte_level.clone(), sequence] {
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": { "type": "WordLevel", "unk_token": "?", "vocab": { "?": 0, "a": 1, "Ġa": 2, "b": 3, "Ġb": 4 } },
        });
        let tokenizer: Tokenizer = json.to_string().parse().unwrap();
        assert_eq!(tokenizer.encode_fast("a b", false).unwrap().get_ids(), [1, 4]);
        let texts = TokenizedTexts::tokenize(&tokenizer, &[sentence(&["a", "b"])], 9, "x".as_ref()).unwrap();
        assert_eq!(texts.row(0).0, [2, 4], "as transformers demands with is_split_into_words");
        assert_eq!(for_words(&tokenizer).encode_fast("a b", false).unwrap().get_ids(), [2, 4]);
        let plain = TokenizedTexts::tokenize(&tokenizer, &[Example::from_text("a b")], 9, "x".as_ref()).unwrap();
        assert_eq!(plain.row(0).0, [1, 4], "plain text stays as it was");
    }
}

#[test]
fn a_very_long_text_is_cut_as_if_all_of_it_had_been_tokenized() {
    let long = "a b c b ".repeat(60_000);
    let wordless = format!("{}{}", "x".repeat(200_000), " a b".repeat(40_000));
    for text in [long.as_str(), &wordless, &format!("{} c", "a".repeat(90_000))] {
        let rows = examples(&[(text, None)]);
        let whole = TokenizedTexts::tokenize(&tokenizer(), &rows, usize::MAX, "x".as_ref()).unwrap();
        for most in [3, 10, 512] {
            let cut = TokenizedTexts::tokenize(&tokenizer(), &rows, most, "x".as_ref()).unwrap();
            let kept = whole.length(0).min(most) - 1;
            assert_eq!(cut.row(0).0[..kept], whole.row(0).0[..kept]);
            assert_eq!(cut.truncated, usize::from(whole.length(0) > most));
        }
    }
}
