//! Every setting of a tokenizer's files, alone and together: ids, segments, the side on which texts are cut and the longest text are those of
//! `transformers`, and a saved tokenizer is the one that was used. `combinations.json` is written by `xtask/python/tokenizer_settings.py`; it
//! names the versions. `TOPWORK_TOKENIZERS` names a folder with a larger one, where what is saved stays for `transformers` to read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenizers::{Tokenizer, TruncationDirection};
use topwork_models::{ModelError, check_tokenizer, load_tokenizer, max_length, read_tokenizer, save_tokenizer};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers")
}

struct Combinations {
    whole: Value,
    /// Where saved tokenizers stay.
    folder: Option<PathBuf>,
}

impl Combinations {
    fn read() -> Self {
        let folder = std::env::var_os("TOPWORK_TOKENIZERS").map(PathBuf::from);
        let path = folder.clone().unwrap_or_else(|| fixtures().join("settings")).join("combinations.json");
        Self { whole: serde_json::from_slice(&fs::read(path).unwrap()).unwrap(), folder }
    }

    fn all(&self) -> &[Value] {
        self.whole["combinations"].as_array().unwrap()
    }

    fn texts(&self) -> Vec<&str> {
        self.whole["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    }

    fn ids(&self, place: &Value) -> Vec<u32> {
        let list = self.whole["ids"][place.as_u64().unwrap() as usize].as_str().unwrap();
        list.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    /// What differs: each text and pair, and the side.
    fn differences(&self, combination: &Value, tokenizer: &Tokenizer) -> Vec<String> {
        let mut found = Vec::new();
        for (text, place) in self.texts().into_iter().zip(combination["texts"].as_array().unwrap()) {
            let (expected, own) = (self.ids(place), tokenizer.encode(text, true).map(|own| own.get_ids().to_vec()));
            match own {
                Ok(own) if own == expected => {}
                own => found.push(format!("{text:?}: expected {expected:?}, found {own:?}")),
            }
        }
        let pairs = self.whole["pair_texts"].as_array().unwrap();
        for (pair, places) in pairs.iter().zip(combination["pairs"].as_array().unwrap()) {
            let [first, second] = [0, 1].map(|place| pair[place].as_str().unwrap());
            let own = tokenizer.encode((first, second), true).unwrap();
            let (ids, segments) = (self.ids(&places[0]), self.ids(&places[1]));
            if own.get_ids() != ids || own.get_type_ids() != segments {
                let own = (own.get_ids(), own.get_type_ids());
                found.push(format!("{first:?} and {second:?}: expected {:?}, found {own:?}", (ids, segments)));
            }
        }
        let side = tokenizer.get_truncation().map_or(TruncationDirection::Right, |cut| cut.direction);
        if side.as_ref() != combination["side"].as_str().unwrap() {
            found.push(format!("cut on the side {side:?}"));
        }
        found
    }
}

/// The files of a combination: those of its base that it names, and what it says itself.
fn build(combination: &Value, folder: &Path) {
    let base = combination["base"].as_str().unwrap();
    for (name, content) in combination["files"].as_object().unwrap() {
        let own = fixtures().join("settings").join(base).join(name);
        let from = if own.exists() { own } else { fixtures().join(base).join(name) };
        let target = folder.join(name);
        if *content == json!(true) {
            fs::copy(from, target).unwrap();
            continue;
        }
        let mut whole = content.clone();
        if name == "tokenizer.json" {
            whole = serde_json::from_slice(&fs::read(from).unwrap()).unwrap();
            for (key, value) in content.as_object().unwrap() {
                match key.as_str() {
                    "model" => {
                        value.as_object().unwrap().iter().for_each(|(key, value)| whole["model"][key] = value.clone())
                    }
                    "further" => {
                        whole["added_tokens"].as_array_mut().unwrap().extend(value.as_array().unwrap().clone())
                    }
                    _ => whole[key] = value.clone(),
                }
            }
        }
        fs::write(target, whole.to_string()).unwrap();
    }
}

#[test]
fn ids_are_those_of_transformers_for_every_combination_before_and_after_saving() {
    let combinations = Combinations::read();
    let texts = combinations.texts().len();
    assert!(texts >= 60 && combinations.all().len() >= 100);
    let mut wrong = Vec::new();
    let (mut compared, mut refused) = (0, 0);
    for combination in combinations.all() {
        let name = combination["name"].as_str().unwrap();
        let source = TempDir::new().unwrap();
        build(combination, source.path());
        let loaded = load_tokenizer(source.path());
        if let Some(named) = combination["refused"].as_str() {
            refused += 1;
            match loaded {
                Err(error) if error.to_string().contains(named) && error.hint().is_some() => {}
                other => wrong.push(format!("{name}: expected an error that names {named}, found {other:?}")),
            }
            continue;
        }
        let tokenizer = match loaded {
            Ok(tokenizer) => tokenizer,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        compared += texts;
        let found = combinations.differences(combination, &tokenizer);
        wrong.extend(found.first().map(|first| format!("{name}: {} differences, the first: {first}", found.len())));
        let longest = max_length(source.path(), 1_000_000).unwrap();
        if longest as u64 != combination["longest"].as_u64().unwrap() {
            wrong.push(format!("{name}: expected texts of {} tokens, found {longest}", combination["longest"]));
        }
        let kept = combinations.folder.as_ref().map(|folder| folder.join("saved").join(name));
        let temporary = TempDir::new().unwrap();
        let target = kept.as_deref().unwrap_or(temporary.path());
        fs::create_dir_all(target).unwrap();
        fs::copy(source.path().join("config.json"), target.join("config.json")).unwrap();
        save_tokenizer(source.path(), target, &tokenizer, 64).unwrap();
        let found = combinations.differences(combination, &load_tokenizer(target).unwrap());
        wrong.extend(
            found.first().map(|first| format!("{name}: saved: {} differences, the first: {first}", found.len())),
        );
        if max_length(target, 1_000_000).unwrap() != 64 {
            wrong.push(format!("{name}: saved: another length"));
        }
    }
    println!(
        "tokenizers: {} combinations, {texts} texts each, {refused} refused: {compared} texts compared, {} findings",
        combinations.all().len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_has_an_error_of_one_line() {
    for combination in Combinations::read().all().iter().filter(|combination| combination["refused"].is_string()) {
        let source = TempDir::new().unwrap();
        build(combination, source.path());
        let error = load_tokenizer(source.path()).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        let is_named = matches!(
            error,
            ModelError::UnsupportedTokenizer { .. }
                | ModelError::InvalidValue { .. }
                | ModelError::InvalidTokenizer { .. }
        );
        assert!(is_named && error.to_string().contains(&*source.path().to_string_lossy()), "{error}");
    }
}

/// The notes on a combination, without the folder's name.
fn notes(name: &str) -> Vec<String> {
    let combinations = Combinations::read();
    let combination = combinations.all().iter().find(|combination| combination["name"] == name).unwrap();
    let source = TempDir::new().unwrap();
    build(combination, source.path());
    let (_, notes) = read_tokenizer(source.path()).unwrap();
    let folder = source.path().to_string_lossy().into_owned();
    assert!(notes.iter().all(|note| note.contains(&folder) && note.lines().count() == 1), "{notes:?}");
    notes.into_iter().map(|note| note.replace(&folder, "")).collect()
}

#[test]
fn a_note_says_which_of_two_files_counts() {
    let says = |name: &str, parts: &[&str]| {
        let notes = notes(name);
        assert!(notes.len() == 1 && parts.iter().all(|part| notes[0].contains(part)), "{name}: {notes:?}");
    };
    says(
        "whole-stores-true-says-false-bert",
        &["lowercase true", "do_lower_case of tokenizer_config.json is false", "\"do_lower_case\": true"],
    );
    says(
        "whole-stores-false-says-none-none",
        &["lowercase false", "lacks do_lower_case, which means true", "\"do_lower_case\": false"],
    );
    says("whole-dirty", &["clean_text false", "the class has true"]);
    says(
        "whole-normalizer-nfkc",
        &["normalizer of tokenizer.json", "BertTokenizer", "\"tokenizer_class\": \"PreTrainedTokenizerFast\""],
    );
    says("whole-white-space", &["pre_tokenizer of tokenizer.json"]);
    says("whole-model", &["model of tokenizer.json"]);
    says("whole-ends", &["post_processor of tokenizer.json"]);
    says("bytes-other-parts-none", &["normalizer, pre_tokenizer of tokenizer.json", "RobertaTokenizer"]);
    says("xlm-roberta-other-parts-class", &["normalizer, pre_tokenizer of tokenizer.json", "XLMRobertaTokenizer"]);
    says("whole-further-decoder-bert", &["added_tokens_decoder", "\"quince\"", "and 1 more"]);
    says("vocab-never-split", &["never_split is not read"]);
    says("vocab-no-basic", &["do_basic_tokenize is not read"]);
    assert!(notes("whole-accents").len() == 2);
    assert!(
        notes("whole-other-ids-fast")
            .iter()
            .any(|note| note.contains("added_tokens.json") && note.contains("\"<url>\""))
    );
}

#[test]
fn files_that_agree_have_no_notes() {
    for name in [
        "vocab-alone",
        "vocab-decoder-alone",
        "whole-alone",
        "whole-stores-true-says-true-bert",
        "whole-stores-false-says-false-none",
        "whole-stores-false-says-true-fast",
        "whole-normalizer-nfkc-fast",
        "whole-cut",
        "bytes-merges-plain",
        "bytes-whole-plain",
        "bytes-whole-prefix",
        "xlm-roberta-whole-plain",
        "xlm-roberta-model-plain",
        "camembert-whole-plain",
        "camembert-model-plain",
        "vocab-added-and-map",
    ] {
        let expected: &[String] = if name == "bytes-whole-prefix" { &notes(name)[..1] } else { &[] };
        assert_eq!(notes(name), expected, "{name}");
    }
}

/// The model has no embedding for it, and no text has it.
#[test]
fn a_special_token_without_an_embedding_is_left_out_with_a_note() {
    let source = TempDir::new().unwrap();
    let base = fixtures().join("settings/word-piece/vocab.txt");
    fs::copy(&base, source.path().join("vocab.txt")).unwrap();
    fs::write(source.path().join("tokenizer_config.json"), json!({ "bos_token": "<bos>" }).to_string()).unwrap();
    let size = fs::read_to_string(base).unwrap().lines().count();
    for (rows, left_out) in [(size, 1), (size + 1, 0)] {
        let config = json!({ "model_type": "bert", "vocab_size": rows });
        fs::write(source.path().join("config.json"), config.to_string()).unwrap();
        let (tokenizer, notes) = read_tokenizer(source.path()).unwrap();
        assert_eq!((notes.len(), tokenizer.token_to_id("<bos>").is_none()), (left_out, left_out == 1), "{notes:?}");
        assert!(notes.iter().all(|note| note.contains("\"<bos>\"") && note.contains("no embedding")), "{notes:?}");
    }
}

/// Its class would make another normalizer, which no key of the settings asks for.
#[test]
fn a_tokenizer_that_its_class_does_not_make_is_saved_as_it_is() {
    let combinations = Combinations::read();
    let combination =
        combinations.all().iter().find(|combination| combination["name"] == "whole-further-bert").unwrap();
    let (source, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    build(combination, source.path());
    let mut tokenizer = load_tokenizer(source.path()).unwrap();
    tokenizer.with_normalizer(Some(tokenizers::normalizers::NFKC)).unwrap();
    fs::copy(source.path().join("config.json"), target.path().join("config.json")).unwrap();
    save_tokenizer(source.path(), target.path(), &tokenizer, 64).unwrap();
    let again = load_tokenizer(target.path()).unwrap();
    for text in combinations.texts() {
        let ids = |tokenizer: &Tokenizer| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        assert_eq!(ids(&again), ids(&tokenizer), "{text:?}");
    }
    assert_eq!(again.encode(("a", "a"), true).unwrap().get_type_ids(), [0, 0, 0, 1, 1]);
    let settings: Value =
        serde_json::from_slice(&fs::read(target.path().join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(settings["model_max_length"], 64);
}

/// The library of tokenizers gives up on some of these files; the program does not.
#[test]
fn damaged_parts_are_errors() {
    let base: Value =
        serde_json::from_slice(&fs::read(fixtures().join("settings/xlm-roberta/tokenizer.json")).unwrap()).unwrap();
    let damage: [(&str, Value); 7] = [
        ("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "BAAAAP////8=" })),
        ("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "BAAA" })),
        ("normalizer", json!({ "type": "Replace", "pattern": { "Regex": "(" }, "content": "" })),
        (
            "post_processor",
            json!({ "type": "TemplateProcessing", "single": [{ "SpecialToken": { "id": "x", "type_id": 0 } }], "pair": [],
                                   "special_tokens": {} }),
        ),
        ("model", json!({ "type": "Unigram", "unk_id": 999, "vocab": [["a", 0.0]], "byte_fallback": false })),
        ("model", json!({ "type": "Unigram", "unk_id": 0, "vocab": [], "byte_fallback": false })),
        ("model", json!({ "type": "BPE", "vocab": { "a": 0 }, "merges": [["a", "b"]] })),
    ];
    for class in ["XLMRobertaTokenizer", "PreTrainedTokenizerFast"] {
        for (part, value) in &damage {
            let folder = TempDir::new().unwrap();
            let mut whole = base.clone();
            whole[*part] = value.clone();
            fs::write(folder.path().join("tokenizer.json"), whole.to_string()).unwrap();
            let settings = json!({ "tokenizer_class": class });
            fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
            let read =
                load_tokenizer(folder.path()).and_then(|tokenizer| check_tokenizer(folder.path(), &tokenizer, 100_000));
            // The class makes the normalizer anew.
            let is_made_anew = class.starts_with("XLM") && value["type"] == "Replace";
            assert_eq!(read.is_ok(), is_made_anew, "{class}: {value}: {read:?}");
            assert!(read.is_ok() || read.unwrap_err().to_string().lines().count() == 1);
        }
    }
}
