//! Tokenizers that are built of other files than `tokenizer.json` give the ids that `transformers` gives. The fixtures are
//! written by `xtask/python/tokenizer_fixtures.py`; `expected.json` names the versions.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use topwork_models::{
    ModelError, SpecialIds, check_tokenizer, continuations, load_tokenizer, read_tokenizer, save_tokenizer,
    tokenizer_file_names, tokenizer_files, with_prefix_space,
};

const BUILT: [&str; 4] = ["roberta", "roberta-prefix-space", "xlm-roberta", "camembert"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers").join(name)
}

fn expected(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(fixture(name).join("expected.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn encoded(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

fn has_expected_ids(name: &str, tokenizer: &Tokenizer) {
    let expected = expected(name);
    let texts = expected["texts"].as_array().unwrap();
    assert!(texts.len() >= 50);
    for case in texts {
        let text = case["text"].as_str().unwrap();
        assert_eq!(encoded(tokenizer, text), ids(&case["ids"]), "{name}: {text:?}");
    }
    for case in expected["pairs"].as_array().unwrap() {
        let [first, second] = [0, 1].map(|place| case["texts"][place].as_str().unwrap());
        let pair = tokenizer.encode((first, second), true).unwrap();
        assert_eq!(pair.get_ids(), ids(&case["ids"]), "{name}: {first:?}, {second:?}");
        assert!(pair.get_type_ids().iter().all(|segment| *segment == 0));
    }
    for case in expected["decoded"].as_array().unwrap() {
        assert_eq!(tokenizer.decode(&ids(&case["ids"]), true).unwrap(), case["text"].as_str().unwrap(), "{name}");
    }
}

/// A fresh folder with some files of a fixture.
fn folder(name: &str, files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        fs::copy(fixture(name).join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn write(folder: &TempDir, name: &str, content: &Value) {
    fs::write(folder.path().join(name), content.to_string()).unwrap();
}

#[test]
fn ids_are_those_of_transformers() {
    for name in BUILT {
        let tokenizer = load_tokenizer(&fixture(name)).unwrap();
        has_expected_ids(name, &tokenizer);
        let size = tokenizer.get_vocab_size(true);
        check_tokenizer(&fixture(name), &tokenizer, size).unwrap();
        check_tokenizer(&fixture(name), &tokenizer, size - 1).unwrap_err();
        let special = SpecialIds::find(&tokenizer, Some(&fixture(name))).unwrap();
        assert_eq!(special.mask, tokenizer.token_to_id("<mask>").unwrap());
        assert!(continuations(&tokenizer).contains(&true));
    }
}

#[test]
fn a_saved_tokenizer_gives_the_same_ids_and_keeps_its_files() {
    for name in BUILT {
        let target = TempDir::new().unwrap();
        save_tokenizer(&fixture(name), target.path(), &load_tokenizer(&fixture(name)).unwrap(), 64).unwrap();
        assert!(target.path().join("tokenizer.json").exists());
        has_expected_ids(name, &load_tokenizer(target.path()).unwrap());
        for file in tokenizer_files(&fixture(name)) {
            let name = file.file_name().unwrap();
            let same = || fs::read(&file).unwrap() == fs::read(target.path().join(name)).unwrap();
            assert!(name == "tokenizer_config.json" || same(), "{name:?}");
        }
        let settings: Value =
            serde_json::from_slice(&fs::read(target.path().join("tokenizer_config.json")).unwrap()).unwrap();
        assert_eq!(settings["model_max_length"], 64);
        assert_eq!(settings.get("add_prefix_space").is_some(), name == "roberta-prefix-space");
    }
}

#[test]
fn a_space_before_each_text_is_kept_when_saved() {
    let plain = load_tokenizer(&fixture("roberta")).unwrap();
    let changed = with_prefix_space(&plain).unwrap().unwrap();
    has_expected_ids("roberta-prefix-space", &changed);
    assert!(with_prefix_space(&changed).unwrap().is_none());
    for name in ["xlm-roberta", "camembert"] {
        assert!(with_prefix_space(&load_tokenizer(&fixture(name)).unwrap()).unwrap().is_none());
    }
    // From the files of BPE and then from `tokenizer.json`.
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    save_tokenizer(&fixture("roberta"), first.path(), &changed, 64).unwrap();
    save_tokenizer(&fixture("roberta"), second.path(), &plain, 64).unwrap();
    has_expected_ids("roberta", &load_tokenizer(second.path()).unwrap());
    save_tokenizer(second.path(), second.path(), &changed, 64).unwrap();
    for folder in [first, second] {
        has_expected_ids("roberta-prefix-space", &load_tokenizer(folder.path()).unwrap());
        let settings = fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap();
        assert!(settings.contains("\"add_prefix_space\": true"), "{settings}");
    }
}

#[test]
fn the_files_that_are_read_are_named() {
    let names = |name: &str| -> Vec<String> {
        let files = tokenizer_files(&fixture(name));
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect()
    };
    assert_eq!(names("roberta"), ["vocab.json", "merges.txt", "tokenizer_config.json"]);
    assert_eq!(names("camembert"), ["sentencepiece.bpe.model", "tokenizer_config.json"]);
    assert!(tokenizer_files(TempDir::new().unwrap().path()).is_empty());
    assert_eq!(tokenizer_file_names()[0], ["tokenizer.json"]);
    assert!(tokenizer_file_names().contains(&vec!["vocab.json", "merges.txt"]));
}

#[test]
fn a_sentence_piece_model_under_its_other_name_is_the_same() {
    let other = folder("xlm-roberta", &["config.json", "tokenizer_config.json"]);
    fs::copy(fixture("xlm-roberta").join("sentencepiece.bpe.model"), other.path().join("spiece.model")).unwrap();
    has_expected_ids("xlm-roberta", &load_tokenizer(other.path()).unwrap());
}

#[test]
fn special_tokens_have_the_names_and_the_strip_that_settings_give_them() {
    let plain = folder("xlm-roberta", &["config.json", "sentencepiece.bpe.model"]);
    let tokenizer = load_tokenizer(plain.path()).unwrap();
    let (a, b) = (tokenizer.token_to_id("▁a").unwrap(), tokenizer.token_to_id("<mask>").unwrap());
    assert_eq!(encoded(&tokenizer, "a <mask>"), [0, a, b, 2]);
    let mask = json!({ "content": "<MASK>", "lstrip": false });
    write(&plain, "special_tokens_map.json", &json!({ "mask_token": mask, "cls_token": "<s>" }));
    let named = load_tokenizer(plain.path()).unwrap();
    assert_eq!((named.token_to_id("<MASK>"), named.token_to_id("<mask>")), (Some(b), None));
    assert_eq!(encoded(&named, "a <MASK>"), [0, a, b, 2]);
    // The space before a mask is a token of its own where the mask does not take it.
    let bytes = folder("roberta", &["config.json", "vocab.json", "merges.txt"]);
    let left = encoded(&load_tokenizer(bytes.path()).unwrap(), "a <mask>");
    let mask = json!({ "__type": "AddedToken", "content": "<mask>", "lstrip": true });
    write(&bytes, "tokenizer_config.json", &json!({ "mask_token": mask }));
    let taken = encoded(&load_tokenizer(bytes.path()).unwrap(), "a <mask>");
    assert_eq!((taken.len(), left.len()), (4, 5));
}

#[test]
fn added_tokens_have_the_ids_that_the_files_give_them() {
    let names = ["config.json", "vocab.json", "merges.txt"];
    let size = load_tokenizer(&fixture("roberta")).unwrap().get_vocab_size(true);
    let with = folder("roberta", &names);
    write(&with, "added_tokens.json", &json!({ "graft": size }));
    let tokenizer = load_tokenizer(with.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "graft"), [0, size as u32, 2]);
    assert!(tokenizer_files(with.path()).iter().any(|path| path.ends_with("added_tokens.json")));
    // The older file is not read beside the newer key.
    let decoder = json!({ size.to_string(): { "content": "[NEW]", "special": true } });
    write(&with, "tokenizer_config.json", &json!({ "added_tokens_decoder": decoder }));
    let tokenizer = load_tokenizer(with.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "[NEW]"), [0, size as u32, 2]);
    assert_eq!(tokenizer.token_to_id("graft"), None);
    // As transformers does it, and said.
    write(&with, "tokenizer_config.json", &json!({}));
    write(&with, "added_tokens.json", &json!({ "graft": size + 7 }));
    let (tokenizer, notes) = read_tokenizer(with.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "graft"), [0, size as u32, 2]);
    let named = [format!("{}", size + 7), "\"graft\"".into(), format!("has {size},")];
    assert!(notes.len() == 1 && named.iter().all(|part| notes[0].contains(part)), "{notes:?}");
}

#[test]
fn tokens_that_are_added_to_word_pieces_have_the_ids_that_the_files_give_them() {
    let tiny = fixture("../tiny-bert");
    let with = TempDir::new().unwrap();
    fs::copy(tiny.join("vocab.txt"), with.path().join("vocab.txt")).unwrap();
    write(&with, "added_tokens.json", &json!({ "graft": 140 }));
    let tokenizer = load_tokenizer(with.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "graft[MASK]"), [2, 140, 4, 3]);
    assert!(tokenizer_files(with.path()).iter().any(|path| path.ends_with("added_tokens.json")));
    let decoder =
        json!({ "140": { "content": "[NEW]", "special": true }, "4": { "content": "[MASK]", "lstrip": true } });
    write(&with, "added_tokens.json", &json!({}));
    write(&with, "tokenizer_config.json", &json!({ "added_tokens_decoder": decoder }));
    let tokenizer = load_tokenizer(with.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "[NEW][MASK]"), [2, 140, 4, 3]);
    assert_eq!(tokenizer.encode("a [MASK]", false).unwrap().get_offsets()[1], (1, 8));
    write(&with, "added_tokens.json", &json!({ "graft": 150 }));
    assert!(read_tokenizer(with.path()).unwrap().1.is_empty(), "the older file is not read beside the newer key");
    write(&with, "tokenizer_config.json", &json!({}));
    let notes = read_tokenizer(with.path()).unwrap().1;
    assert!(notes.len() == 1 && notes[0].contains("150") && notes[0].contains("140"), "{notes:?}");
}

/// The ids are those of `transformers` 5.24.0, which gives each such token the next one.
#[test]
fn tokens_that_only_the_settings_name_are_added() {
    let tiny = fixture("../tiny-bert");
    let with = TempDir::new().unwrap();
    fs::copy(tiny.join("tokenizer.json"), with.path().join("tokenizer.json")).unwrap();
    fs::copy(tiny.join("config.json"), with.path().join("config.json")).unwrap();
    let said = |settings: Value, map: Value, added: Value| {
        for (name, value) in
            [("tokenizer_config.json", settings), ("special_tokens_map.json", map), ("added_tokens.json", added)]
        {
            write(&with, name, &value);
        }
        let tokenizer = load_tokenizer(with.path()).unwrap();
        let known = tokenizer.get_vocab_size(true);
        (["<e1>", "<e2>", "many"].map(|text| encoded(&tokenizer, text)[1]), known)
    };
    let none = || json!({});
    let special = |content: &str| json!({ "content": content, "special": true });
    assert_eq!(said(none(), none(), none()).1, 140);
    let both = ([140, 141, 110], 142);
    for key in ["additional_special_tokens", "extra_special_tokens"] {
        assert_eq!(said(json!({ key: ["<e1>", "<e2>"] }), none(), none()), both);
        assert_eq!(said(json!({ key: ["[MASK]", "many", "<e1>", "<e2>"] }), none(), none()), both);
    }
    assert_eq!(said(none(), json!({ "additional_special_tokens": ["<e1>", special("<e2>")] }), none()), both);
    assert_eq!(said(none(), none(), json!({ "<e2>": 141, "<e1>": 140 })), both);
    assert_eq!(said(none(), none(), json!({ "<e2>": 151, "<e1>": 160 })).0, [141, 140, 110]);
    let decoder = json!({ "added_tokens_decoder": { "300": special("<e2>"), "200": special("<e1>") } });
    assert_eq!(said(decoder, none(), none()), both);
    // The older files are not read beside it, and named tokens come before the others.
    let decoder = json!({ "added_tokens_decoder": { "140": special("<e2>") } });
    assert_eq!(said(decoder, none(), json!({ "<e1>": 141 })).1, 141);
    let named = json!({ "bos_token": "<bos>", "additional_special_tokens": ["<e1>"] });
    assert_eq!(said(named, none(), none()), ([141, 1, 110], 142));
    assert_eq!(said(json!({ "bos_token": "<bos>" }), none(), none()).1, 140);

    said(json!({ "additional_special_tokens": ["<e1>"] }), none(), none());
    let tokenizer = load_tokenizer(with.path()).unwrap();
    let error = check_tokenizer(with.path(), &tokenizer, 140).unwrap_err().to_string();
    assert!(error.contains("<e1>") && error.contains("140"), "{error}");
    // Others read the saved `tokenizer.json` without the settings.
    let target = TempDir::new().unwrap();
    save_tokenizer(with.path(), target.path(), &tokenizer, 9).unwrap();
    let alone = Tokenizer::from_file(target.path().join("tokenizer.json")).unwrap();
    assert_eq!(encoded(&alone, "many <e1>"), encoded(&tokenizer, "many <e1>"));
    assert!(tokenizer_files(with.path()).iter().any(|path| path.ends_with("added_tokens.json")));
}

/// Where `transformers` 5.24.0 builds the tokenizer anew, the settings say whether a space comes before a text.
#[test]
fn a_space_before_each_text_is_that_of_the_settings_where_the_class_says_so() {
    let plain = load_tokenizer(&fixture("roberta")).unwrap();
    let spaced = with_prefix_space(&plain).unwrap().unwrap();
    for (stored, own) in [(&plain, false), (&spaced, true)] {
        let folder = folder("roberta", &["config.json"]);
        fs::write(folder.path().join("tokenizer.json"), stored.to_string(false).unwrap()).unwrap();
        let has = |settings: Value, expected: bool| {
            write(&folder, "tokenizer_config.json", &settings);
            let tokenizer = load_tokenizer(folder.path()).unwrap();
            has_expected_ids(if expected { "roberta-prefix-space" } else { "roberta" }, &tokenizer);
            let target = TempDir::new().unwrap();
            save_tokenizer(folder.path(), target.path(), &tokenizer, 64).unwrap();
            let saved = Tokenizer::from_file(target.path().join("tokenizer.json")).unwrap();
            has_expected_ids(if expected { "roberta-prefix-space" } else { "roberta" }, &saved);
        };
        for class in ["RobertaTokenizer", "RobertaTokenizerFast", "BartTokenizerFast"] {
            has(json!({ "tokenizer_class": class, "add_prefix_space": true }), true);
            has(json!({ "tokenizer_class": class, "add_prefix_space": false }), false);
            has(json!({ "tokenizer_class": class }), false);
        }
        has(json!({ "add_prefix_space": true }), true);
        has(json!({}), false);
        for says in [true, false] {
            has(json!({ "tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": says }), own);
        }
    }
}

#[test]
fn a_vocabulary_of_characters_has_a_token_for_each() {
    let letters = TempDir::new().unwrap();
    let vocabulary = json!({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "A": 4, "C": 5, "É": 6, "<mask>": 7 });
    write(&letters, "vocab.json", &vocabulary);
    write(&letters, "config.json", &json!({ "model_type": "roberta" }));
    let tokenizer = load_tokenizer(letters.path()).unwrap();
    assert_eq!(encoded(&tokenizer, "CAÉ<mask>x A\n"), [0, 5, 4, 6, 7, 3, 3, 4, 3, 2]);
    assert_eq!(tokenizer.encode(("A", "C"), true).unwrap().get_ids(), [0, 4, 2, 2, 5, 2]);
    assert_eq!(encoded(&tokenizer, ""), [0, 2]);
    let target = TempDir::new().unwrap();
    save_tokenizer(letters.path(), target.path(), &tokenizer, 9).unwrap();
    assert_eq!(encoded(&load_tokenizer(target.path()).unwrap(), "AC"), [0, 4, 5, 2]);
    let mut longer = vocabulary;
    longer["AC"] = json!(8);
    write(&letters, "vocab.json", &longer);
    let error = load_tokenizer(letters.path()).unwrap_err();
    assert!(error.to_string().contains("merges.txt") && error.hint().unwrap().contains("merges.txt"), "{error}");
}

#[test]
fn what_is_not_read_is_refused_by_name_with_a_command() {
    let refused = |folder: &Path, found: &str| {
        let error = load_tokenizer(folder).unwrap_err();
        assert!(matches!(error, ModelError::UnsupportedTokenizer { .. }), "{error:?}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(error.hint().unwrap().contains("AutoTokenizer.from_pretrained"), "{error}");
    };
    refused(&fixture("sentencepiece-bpe"), "BPE");
    let albert = folder("xlm-roberta", &["sentencepiece.bpe.model"]);
    refused(albert.path(), "no tokenizer_class");
    write(&albert, "config.json", &json!({ "model_type": "albert" }));
    refused(albert.path(), "albert");
    let clip = folder("roberta", &["vocab.json", "merges.txt"]);
    load_tokenizer(clip.path()).unwrap();
    write(&clip, "tokenizer_config.json", &json!({ "tokenizer_class": "CLIPTokenizerFast" }));
    refused(clip.path(), "CLIPTokenizer");
    // Other tokenizers have a `vocab.txt` too. Of those that are programs, no command makes another file.
    let words = TempDir::new().unwrap();
    let program = |class: &str| {
        let error = load_tokenizer(words.path()).unwrap_err();
        assert!(error.to_string().contains(class), "{error}");
        assert_eq!(error.hint().unwrap(), "choose a model with another tokenizer");
    };
    fs::copy(fixture("../tiny-bert").join("vocab.txt"), words.path().join("vocab.txt")).unwrap();
    for class in ["BertTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast"] {
        write(&words, "tokenizer_config.json", &json!({ "tokenizer_class": class }));
        load_tokenizer(words.path()).unwrap();
    }
    write(&words, "tokenizer_config.json", &json!({ "tokenizer_class": "BertJapaneseTokenizer" }));
    program("BertJapaneseTokenizer");
    write(&words, "tokenizer_config.json", &json!({}));
    write(&words, "config.json", &json!({ "model_type": "bert" }));
    load_tokenizer(words.path()).unwrap();
    write(&words, "config.json", &json!({ "model_type": "roberta" }));
    refused(words.path(), "roberta");
    write(&words, "config.json", &json!({ "model_type": "roberta", "tokenizer_class": "PhobertTokenizer" }));
    program("PhobertTokenizer");
    let other = TempDir::new().unwrap();
    fs::write(other.path().join("spm.model"), "").unwrap();
    refused(other.path(), "another family");
}

#[test]
fn damaged_files_are_refused_with_what_was_found() {
    let refused = |folder: &TempDir, found: &str| {
        let error = load_tokenizer(folder.path()).unwrap_err().to_string();
        assert!(error.contains(found) && error.lines().count() == 1, "{error}");
    };
    let pieces = folder("xlm-roberta", &["config.json", "sentencepiece.bpe.model"]);
    let path = pieces.path().join("sentencepiece.bpe.model");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    refused(&pieces, "the end");
    let pairs = folder("roberta", &["vocab.json", "merges.txt"]);
    fs::write(pairs.path().join("merges.txt"), "#version: 0.2\na b c\n").unwrap();
    refused(&pairs, "line 2");
    fs::write(pairs.path().join("merges.txt"), "qqq zzz\n").unwrap();
    refused(&pairs, "qqq");
    fs::write(pairs.path().join("merges.txt"), "#version: 0.2\n").unwrap();
    write(&pairs, "vocab.json", &json!({ "<s>": 0, "</s>": -1 }));
    refused(&pairs, "\"</s>\"");
    write(&pairs, "vocab.json", &json!({ "<s>": 0 }));
    refused(&pairs, "</s>");
}

/// `tiny-bert` with another normalizer in its `tokenizer.json`, and other settings beside it.
fn bert(normalizer: &Value, settings: &Value) -> TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert");
    let folder = TempDir::new().unwrap();
    fs::copy(source.join("config.json"), folder.path().join("config.json")).unwrap();
    let mut whole: Value = serde_json::from_str(&fs::read_to_string(source.join("tokenizer.json")).unwrap()).unwrap();
    for (key, value) in normalizer.as_object().unwrap() {
        whole["normalizer"][key] = value.clone();
    }
    write(&folder, "tokenizer.json", &whole);
    write(&folder, "tokenizer_config.json", settings);
    folder
}

fn normalizer_of(tokenizer: &Tokenizer) -> Value {
    serde_json::from_str::<Value>(&tokenizer.to_string(false).unwrap()).unwrap()["normalizer"].clone()
}

/// What transformers 5.24.0 makes of the same files.
#[test]
fn a_normalizer_of_bert_is_as_the_settings_say() {
    let cased = json!({ "lowercase": false });
    for class in [json!("BertTokenizer"), json!("BertTokenizerFast"), json!("DistilBertTokenizer"), Value::Null] {
        let set = |key: &str, value: Value| json!({ "tokenizer_class": class, key: value });
        let of = |normalizer: &Value, settings: Value| {
            let folder = bert(normalizer, &settings);
            normalizer_of(&load_tokenizer(folder.path()).unwrap())
        };
        assert_eq!(of(&cased, set("do_lower_case", json!(true)))["lowercase"], true, "{class}");
        assert_eq!(of(&json!({}), set("do_lower_case", json!(false)))["lowercase"], false, "{class}");
        assert_eq!(of(&json!({}), set("strip_accents", json!(true)))["strip_accents"], true, "{class}");
        assert_eq!(
            of(&json!({}), set("tokenize_chinese_chars", json!(false)))["handle_chinese_chars"],
            false,
            "{class}"
        );
    }
    // A key that is missing, or null, is no reason to keep what is stored. Keys of other files have no say.
    let kept = json!({ "lowercase": false, "strip_accents": false, "handle_chinese_chars": false });
    for settings in [json!({ "tokenizer_class": "BertTokenizer" }), json!({ "strip_accents": null })] {
        let folder = bert(&kept, &settings);
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        config["do_lower_case"] = json!(false);
        write(&folder, "config.json", &config);
        let normalizer = normalizer_of(&load_tokenizer(folder.path()).unwrap());
        assert_eq!(normalizer["strip_accents"], Value::Null);
        assert_eq!((&normalizer["lowercase"], &normalizer["handle_chinese_chars"]), (&json!(true), &json!(true)));
    }
    // A class that says nothing takes what is stored.
    let general = json!({ "tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": true });
    assert_eq!(normalizer_of(&load_tokenizer(bert(&cased, &general).path()).unwrap())["lowercase"], false);
}

/// What is saved says all of it: a tokenizer whose class says nothing here, and which another class would lower.
#[test]
fn a_saved_normalizer_is_built_again_by_its_keys() {
    let stored = json!({ "lowercase": false, "strip_accents": true, "handle_chinese_chars": false });
    let keys = json!({ "tokenizer_class": "BertTokenizer", "do_lower_case": false, "strip_accents": true,
                       "tokenize_chinese_chars": false });
    let tokenizer = load_tokenizer(bert(&stored, &keys).path()).unwrap();
    assert_eq!(normalizer_of(&tokenizer)["lowercase"], false);
    // The source has lost its keys.
    let (source, target) = (bert(&stored, &json!({ "tokenizer_class": "BertTokenizer" })), TempDir::new().unwrap());
    save_tokenizer(source.path(), target.path(), &tokenizer, 64).unwrap();
    fs::copy(source.path().join("config.json"), target.path().join("config.json")).unwrap();
    let settings: Value =
        serde_json::from_str(&fs::read_to_string(target.path().join("tokenizer_config.json")).unwrap()).unwrap();
    for (key, value) in [("do_lower_case", false), ("strip_accents", true), ("tokenize_chinese_chars", false)] {
        assert_eq!(settings[key], value, "{key}");
    }
    assert_eq!(normalizer_of(&load_tokenizer(target.path()).unwrap()), normalizer_of(&tokenizer));
    // Nothing is added where transformers does the same without it.
    let (plain, target) = (bert(&json!({}), &json!({ "tokenizer_class": "BertTokenizer" })), TempDir::new().unwrap());
    save_tokenizer(plain.path(), target.path(), &load_tokenizer(plain.path()).unwrap(), 64).unwrap();
    assert!(!fs::read_to_string(target.path().join("tokenizer_config.json")).unwrap().contains("do_lower_case"));
}
