//! Laws of trained tokenizers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use topwork_models::{
    ModelError, SpecialIds, TokenizerKind, TokenizerOptions, continuations, load_tokenizer, train_tokenizer,
    write_trained_tokenizer,
};

const SUBJECTS: [&str; 8] =
    ["The traveller", "A magistrate", "Our neighbours", "Zoë", "Someone", "The gardener", "Dr. Quinn", "My sisters"];
const VERBS: [&str; 7] =
    ["questioned", "remembers", "is visiting", "overlooked", "quietly followed", "jinxed", "loved"];
const OBJECTS: [&str; 9] = [
    "the travellers' lodgings",
    "an unquestionable café",
    "remembrance",
    "a following wind",
    "visitors, gardens",
    "the neighbourhood",
    "quizzes!",
    "its magistrates?",
    "love; and winding gardens",
];

/// A little language: every sentence of these parts, twice.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for subject in SUBJECTS {
        for verb in VERBS {
            for object in OBJECTS {
                texts.push(format!("{subject} {verb} {object}."));
                texts.push(format!("{object}: {subject}\n{verb} so."));
            }
        }
    }
    texts
}

fn options(kind: TokenizerKind, vocab_size: usize) -> TokenizerOptions {
    TokenizerOptions { kind, vocab_size, lowercase: kind == TokenizerKind::WordPiece, min_frequency: 2 }
}

/// A size that the little language supports.
fn usual(kind: TokenizerKind) -> TokenizerOptions {
    options(kind, if kind == TokenizerKind::Bpe { 400 } else { 130 })
}

fn train(texts: &[String], options: &TokenizerOptions) -> Result<Tokenizer, ModelError> {
    train_tokenizer(texts.iter().cloned().map(Ok), options)
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert")
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    tokenizer.encode(text, false).unwrap().get_tokens().to_vec()
}

#[test]
fn the_same_texts_give_the_same_bytes_on_any_number_of_threads_and_in_any_order() {
    let texts = texts();
    let backwards: Vec<String> = texts.iter().rev().cloned().collect();
    for kind in TokenizerKind::ALL {
        let options = usual(kind);
        let train_on = |threads: usize, texts: &[String]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(texts, &options)).unwrap().to_string(true).unwrap()
        };
        let first = train_on(1, &texts);
        for again in [train_on(1, &texts), train_on(2, &texts), train_on(5, &backwards)] {
            assert!(first == again, "{}", kind.name());
        }
    }
}

#[test]
fn the_vocabulary_has_the_size_that_was_asked_for_and_begins_with_the_special_tokens() {
    for kind in TokenizerKind::ALL {
        for more in [0, 1, 17] {
            let mut options = usual(kind);
            options.vocab_size += more;
            let tokenizer = train(&texts(), &options).unwrap();
            let mut ids: Vec<u32> = tokenizer.get_vocab(true).into_values().collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..options.vocab_size as u32).collect::<Vec<_>>(), "{}", kind.name());
            for (id, token) in (0..).zip(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) {
                assert_eq!(tokenizer.token_to_id(token), Some(id));
            }
        }
    }
}

#[test]
fn lowered_words_come_back_from_word_piece() {
    let tokenizer = train(&texts(), &usual(TokenizerKind::WordPiece)).unwrap();
    for text in ["the travellers questioned a gardener.", "zoe jinxed the quizzes!", "unlovedness, widowed? so."] {
        let ids = tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    }
    // Accents go with the case, and what is not in the alphabet is unknown.
    assert_eq!(tokens(&tokenizer, "ZOË"), tokens(&tokenizer, "zoe"));
    assert_eq!(tokens(&tokenizer, "лес"), ["[UNK]"]);
}

#[test]
fn any_text_comes_back_from_bytes() {
    let tokenizer = train(&texts(), &usual(TokenizerKind::Bpe)).unwrap();
    for text in ["  The  travellers'\n\n lodgings 🧳👩‍👩‍👧 ", "лес \u{0}\t\u{a0}x", "Zoë — CAFÉ", "🙂", " "]
    {
        let ids = tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    }
}

#[test]
fn words_come_back_from_unigram() {
    let tokenizer = train(&texts(), &usual(TokenizerKind::Unigram)).unwrap();
    for text in ["The travellers questioned a gardener.", "Zoë jinxed it"] {
        let ids = tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    }
    assert_eq!(tokens(&tokenizer, " the\n\tgardener "), tokens(&tokenizer, "the gardener"));
    assert_eq!(tokens(&tokenizer, "лес"), ["▁", "лес"]);
    assert_eq!(tokenizer.encode("лес", false).unwrap().get_ids()[1], 1);
}

#[test]
fn frequent_words_are_whole_and_rare_ones_are_cut() {
    for (kind, whole) in
        [(TokenizerKind::WordPiece, "the"), (TokenizerKind::Bpe, "Ġthe"), (TokenizerKind::Unigram, "▁the")]
    {
        let tokenizer = train(&texts(), &usual(kind)).unwrap();
        assert_eq!(tokens(&tokenizer, "so the").last().unwrap(), whole, "{}", kind.name());
        assert!(tokens(&tokenizer, "so unremembered").len() > 3, "{}", kind.name());
    }
}

#[test]
fn a_pair_has_two_segments() {
    for kind in TokenizerKind::ALL {
        let tokenizer = train(&texts(), &usual(kind)).unwrap();
        let one = tokenizer.encode("the", true).unwrap();
        assert_eq!((one.get_ids()[0], *one.get_ids().last().unwrap()), (2, 3));
        assert!(one.get_type_ids().iter().all(|id| *id == 0));
        let pair = tokenizer.encode(("the", "garden"), true).unwrap();
        let ends: Vec<usize> = (0..pair.len()).filter(|place| pair.get_ids()[*place] == 3).collect();
        assert_eq!((pair.get_ids()[0], ends.len(), ends[1]), (2, 2, pair.len() - 1));
        for (place, id) in pair.get_type_ids().iter().enumerate() {
            assert_eq!(*id, u32::from(place > ends[0]), "{}", kind.name());
        }
    }
}

#[test]
fn special_tokens_in_a_text_are_tokens_and_are_not_learned_from() {
    let plain = texts();
    let spoilt: Vec<String> = plain.iter().map(|text| format!("{text}[MASK] [UNK] [PAD][CLS]")).collect();
    for kind in TokenizerKind::ALL {
        let options = usual(kind);
        let tokenizer = train(&spoilt, &options).unwrap();
        assert!(tokenizer.get_vocab(true).into_iter().all(|(token, id)| id < 5 || !token.contains("MASK")));
        assert_eq!(tokens(&tokenizer, "a[MASK]").last().unwrap(), "[MASK]");
        if kind != TokenizerKind::Bpe {
            let plain = train(&plain, &options).unwrap();
            assert_eq!(plain.to_string(false).unwrap(), tokenizer.to_string(false).unwrap(), "{}", kind.name());
        }
    }
}

#[test]
fn continuations_are_the_pieces_after_the_first_of_each_word() {
    for kind in TokenizerKind::ALL {
        let tokenizer = train(&texts(), &usual(kind)).unwrap();
        let continuations = continuations(&tokenizer);
        assert_eq!(continuations.len(), tokenizer.get_vocab_size(true));
        assert_eq!(continuations[..5], [false; 5]);
        let text = "so unremembered the neighbourhoods windinglove gardener";
        let encoding = tokenizer.encode(text, true).unwrap();
        let inner = 1..encoding.len() - 1;
        let mut words = 0;
        let mut last_end = 0;
        for place in inner.clone() {
            // The first token of a text has no space before it in byte-level BPE: a word begins there anyway.
            let begins = place == inner.start || !continuations[encoding.get_ids()[place] as usize];
            let (start, end) = encoding.get_offsets()[place];
            let after_space = start > last_end || text[start..end].starts_with(' ');
            assert_eq!(begins, place == inner.start || after_space, "{} {:?}", kind.name(), encoding.get_tokens());
            words += usize::from(begins);
            last_end = end;
        }
        assert_eq!((words, encoding.len() > 10), (6, true), "{}", kind.name());
    }
    let tiny = load_tokenizer(&fixture()).unwrap();
    let continuations = continuations(&tiny);
    for (token, id) in tiny.get_vocab(true) {
        assert_eq!(continuations[id as usize], token.starts_with("##"), "{token}");
    }
}

#[test]
fn too_large_a_vocabulary_names_the_size_that_works() {
    for kind in TokenizerKind::ALL {
        let error = train(&texts(), &options(kind, 1_000_000)).unwrap_err();
        let ModelError::VocabularyTooLarge { asked: 1_000_000, supported } = error else { panic!("{error:?}") };
        assert!(error.to_string().contains("vocabulary larger than the corpus supports"), "{error}");
        assert!(error.hint().unwrap().contains(&format!("--vocab-size {supported}")));
        assert_eq!(train(&texts(), &options(kind, supported)).unwrap().get_vocab_size(true), supported);
        let error = train(&texts(), &options(kind, supported + 1)).unwrap_err();
        assert!(matches!(error, ModelError::VocabularyTooLarge { .. }), "{error:?}");
    }
}

#[test]
fn too_small_a_vocabulary_names_the_size_that_works() {
    for kind in TokenizerKind::ALL {
        let error = train(&texts(), &options(kind, 3)).unwrap_err();
        let ModelError::VocabularyTooSmall { asked: 3, needed, special: 5, characters } = error else {
            panic!("{error:?}")
        };
        assert_eq!(needed, 5 + characters);
        assert!(error.hint().unwrap().contains(&format!("--vocab-size {needed}")));
        assert_eq!(train(&texts(), &options(kind, needed)).unwrap().get_vocab_size(true), needed);
    }
}

#[test]
fn no_words_and_unreadable_texts_are_errors() {
    for kind in TokenizerKind::ALL {
        for texts in [vec![], vec![String::new()], vec!["[MASK]".to_string()]] {
            let error = train(&texts, &usual(kind)).unwrap_err();
            assert!(matches!(error, ModelError::NoTrainingText), "{error:?}");
        }
        let texts = [Ok("a text".to_string()), Err(ModelError::MissingParameter { name: "of the reader".into() })];
        let error = train_tokenizer(texts.into_iter(), &usual(kind)).unwrap_err();
        assert!(matches!(error, ModelError::MissingParameter { .. }), "{error:?}");
    }
}

#[test]
fn rare_characters_have_no_token() {
    let mut texts = texts();
    texts.push("лес ".into());
    // 1,500 characters, the later the rarer.
    let many = |char: u32| String::from(char::from_u32(0xac00 + char).unwrap());
    texts.extend((0..1500).map(|char| format!("x{} ", many(char)).repeat(3 + usize::from(char < 700))));
    for kind in [TokenizerKind::WordPiece, TokenizerKind::Unigram] {
        let tokenizer = train(&texts, &TokenizerOptions { lowercase: false, ..options(kind, 2060) }).unwrap();
        assert!(tokenizer.token_to_id("л").is_none() && tokenizer.token_to_id("s").is_some());
        let known = (0..1500).filter(|char| tokenizer.token_to_id(&many(*char)).is_some()).count();
        assert!((700..1000).contains(&known), "{known}");
    }
}

#[test]
fn a_written_tokenizer_loads_as_the_same() {
    let text = "Zoë questioned the unremembered café, 🙂 [MASK] so.";
    for kind in TokenizerKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let options = usual(kind);
        let tokenizer = train(&texts(), &options).unwrap();
        write_trained_tokenizer(folder.path(), &tokenizer, &options, 64).unwrap();
        let expected = tokenizer.encode((text, text), true).unwrap();
        let loaded = load_tokenizer(folder.path()).unwrap();
        assert_eq!(loaded.encode((text, text), true).unwrap(), expected, "{}", kind.name());
        assert_eq!(loaded.to_string(true).unwrap(), tokenizer.to_string(true).unwrap());
        assert_eq!(topwork_models::max_length(folder.path(), 512).unwrap(), 64);
        assert_eq!(folder.path().join("vocab.txt").exists(), kind == TokenizerKind::WordPiece);
        if kind == TokenizerKind::WordPiece {
            std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
            let loaded = load_tokenizer(folder.path()).unwrap();
            assert_eq!(loaded.encode((text, text), true).unwrap(), expected);
        }
    }
}

/// The tokenizer is trained without knowing the model that gets it; one with a single segment cannot look up the second.
#[test]
fn a_written_tokenizer_gives_a_pair_segments_where_its_model_has_them() {
    let names = |family: &str| {
        let folder = tempfile::tempdir().unwrap();
        let config = fixture().join("../families").join(family).join("config.json");
        std::fs::copy(config, folder.path().join("config.json")).unwrap();
        let options = usual(TokenizerKind::Unigram);
        let tokenizer = train(&texts(), &options).unwrap();
        write_trained_tokenizer(folder.path(), &tokenizer, &options, 64).unwrap();
        let settings = std::fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap();
        assert!(settings.contains("\"pad_token\": \"[PAD]\"") && !settings.contains("bos_token"), "{settings}");
        settings.contains("token_type_ids")
    };
    assert!(names("bert-sequence"));
    assert!(!names("roberta-sequence"));
    assert!(!names("distilbert-sequence"));
}

#[test]
fn special_tokens_are_found_by_their_names() {
    let usual_ids = SpecialIds { cls: 2, sep: 3, pad: Some(0), unk: Some(1), mask: 4 };
    let trained = train(&texts(), &usual(TokenizerKind::WordPiece)).unwrap();
    assert_eq!(SpecialIds::find(&trained, None).unwrap(), usual_ids);
    let tiny = load_tokenizer(&fixture()).unwrap();
    assert_eq!(SpecialIds::find(&tiny, Some(&fixture())).unwrap(), usual_ids);
    assert_eq!(SpecialIds::find(&tiny, None).unwrap(), usual_ids);

    // Names that the files give, as a string and as an object; RoBERTa's without a file.
    let folder = tempfile::tempdir().unwrap();
    let renamed = |from: &[(&str, &str)]| {
        let mut json = trained.to_string(false).unwrap();
        for (old, new) in from {
            json = json.replace(&format!("\"{old}\""), &format!("\"{new}\""));
        }
        Tokenizer::from_bytes(json).unwrap()
    };
    let own = renamed(&[("[CLS]", "<begin>"), ("[MASK]", "<hidden>"), ("[PAD]", "<fill>")]);
    let settings = r#"{"cls_token": "<begin>", "mask_token": {"content": "<hidden>", "lstrip": true}}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    std::fs::write(folder.path().join("special_tokens_map.json"), r#"{"pad_token": "<fill>"}"#).unwrap();
    assert_eq!(SpecialIds::find(&own, Some(folder.path())).unwrap(), usual_ids);
    let roberta = [("[CLS]", "<s>"), ("[SEP]", "</s>"), ("[MASK]", "<mask>"), ("[PAD]", "<pad>"), ("[UNK]", "<unk>")];
    assert_eq!(SpecialIds::find(&renamed(&roberta), None).unwrap(), usual_ids);
}

#[test]
fn a_tokenizer_without_a_mask_is_an_error_that_says_where_and_what() {
    let trained = train(&texts(), &usual(TokenizerKind::WordPiece)).unwrap();
    let json = trained.to_string(false).unwrap().replace("\"[MASK]\"", "\"##other\"");
    let tokenizer = Tokenizer::from_bytes(json).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"mask_token": "<gap>"}"#).unwrap();
    let error = SpecialIds::find(&tokenizer, Some(folder.path())).unwrap_err();
    assert!(matches!(error, ModelError::MissingSpecialToken { role: "mask", .. }), "{error:?}");
    let message = error.to_string();
    for part in [&*folder.path().display().to_string(), "mask_token", "<gap>, [MASK], <mask>"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error.hint().is_some());
}
