//! `--retain FILE`: what a run should not forget is read, checked and pinned before training.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};
use serde_json::Value;

/// What a run says of forgetting, with these arguments after the fewest that train next to nothing.
fn forgetting(folder: &Folder, arguments: &[&str]) -> Value {
    let all = [&["tune"], arguments, &["--epochs", "1", "--compare-seeds", "0", "--json"]].concat();
    let results: Value = serde_json::from_str(&folder.ok(&all)).unwrap();
    results["verdict"]["forgetting"].clone()
}

/// `first`, a classifier with the head of the folder's task, and `second.csv`, another task.
fn with_earlier_task() -> Folder {
    let folder = Folder::new();
    folder.tune("first", &["--epochs", "1", "--validation-fraction", "0"]);
    folder.write("second.csv", "text,label\n".to_string() + &"is it said,x\nwas it made,y\n".repeat(20));
    folder
}

/// The committed model in `model`, with another value of a key of its configuration.
fn model_with(folder: &Folder, key: &str, value: Value) {
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        folder.write(&format!("model/{file}"), std::fs::read(model().join(file)).unwrap());
    }
    let mut config = folder.json("model/config.json");
    config[key] = value;
    folder.write("model/config.json", config.to_string());
}

#[test]
fn pairs_that_the_model_cannot_read_fail_before_training() {
    let folder = Folder::new();
    model_with(&folder, "type_vocab_size", 1.into());
    folder.write("pairs.csv", "text,text_pair\n".to_string() + &"there is it,people said\n".repeat(40));
    let arguments = ["tune", "train.csv", "--model", "model", "--retain", "pairs.csv", "--output", "out"];
    folder.fails(&arguments, &["pairs.csv", "token types", "type_vocab_size 1", "found 1"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn a_plan_pins_the_file_and_is_refused_when_it_changed() {
    let folder = Folder::new();
    folder.write("old.txt", "there is it\nwhich was made up\npeople said no more\n".repeat(12));
    folder.tune("out", &["--epochs", "1", "--retain", "old.txt"]);
    let plan = String::from_utf8(folder.bytes("out/plan.toml")).unwrap();
    assert!(plan.lines().any(|line| line.starts_with("retain_sha256 = ")), "{plan}");
    folder.ok(&["tune", "--recipe", "out/plan.toml", "--output", "again"]);
    assert_eq!(folder.bytes("again/model.safetensors"), folder.bytes("out/model.safetensors"));
    let text = String::from_utf8(folder.bytes("old.txt")).unwrap();
    folder.write("old.txt", text.clone() + "one more\n");
    let again = ["tune", "--recipe", "out/plan.toml", "--output", "third"];
    let hint = folder.fails(&again, &["out/plan.toml", "retain_sha256", "as when this plan was made"]);
    assert!(hint.contains("--retain"), "{hint}");
    assert!(!folder.path("third").exists());
    folder.write("other.txt", text);
    folder.ok(&[&again[..], &["--retain", "other.txt"]].concat());
}

#[test]
fn named_columns_are_read_in_the_retained_file_as_well() {
    let folder = with_earlier_task();
    let renamed = |name: &str, header: &str, from: &str| {
        let text = String::from_utf8(folder.bytes(from)).unwrap();
        folder.write(name, text.replacen("text,label", header, 1));
    };
    renamed("named.csv", "body,topic", "second.csv");
    renamed("same.csv", "body,topic", "test.csv");
    renamed("neither.csv", "words,topic", "test.csv");
    let named = ["named.csv", "--model", "first", "--text-column", "body", "--label-column", "topic", "--output"];
    let of = |output: &str, retain: &str| forgetting(&folder, &[&named[..], &[output, "--retain", retain]].concat());
    let same = of("same", "same.csv");
    assert!(same["old_task_accuracy"]["before"].is_number(), "{same}");
    assert!(folder.events("same", "warning").iter().all(|event| !event.to_string().contains("same.csv")));
    // The file of an earlier task has its own names: they are read, and that is said.
    let usual = of("usual", "test.csv");
    assert_eq!(usual["old_task_accuracy"], same["old_task_accuracy"]);
    let warnings = folder.events("usual", "warning");
    for (named, read) in [("body", "text"), ("topic", "label")] {
        let says = |event: &Value| {
            let message = event["message"].as_str().unwrap();
            message.contains("test.csv")
                && message.contains(&format!("`{named}`"))
                && message.contains(&format!("`{read}`"))
        };
        assert!(warnings.iter().any(says), "{named}: {warnings:?}");
    }
    let neither = [&["tune"], &named[..], &["neither", "--retain", "neither.csv"]].concat();
    folder.fails(&neither, &["neither.csv", "`body`", "`words`"]);
    assert!(!folder.path("neither").exists());
}

#[test]
fn rows_that_the_head_knows_are_scored_and_the_others_are_told_apart() {
    let folder = with_earlier_task();
    let known = String::from_utf8(folder.bytes("test.csv")).unwrap();
    folder.write("partly.csv", known.clone() + "people said,planet\nthere is it,\nwhich was,\n");
    let few: String = known.lines().take(11).map(|line| format!("{line}\n")).collect();
    folder.write("few.csv", few + "people said,planet\nthere is it,\n");
    let of = |retain: &str, output: &str| {
        forgetting(&folder, &["second.csv", "--model", "first", "--retain", retain, "--output", output])
    };
    let (whole, partly, few) = (of("test.csv", "whole"), of("partly.csv", "partly"), of("few.csv", "few"));
    assert_eq!(whole["missing"].to_string().matches("earlier task").count(), 0, "{whole}");
    assert_eq!(partly["old_task_accuracy"], whole["old_task_accuracy"], "the known rows are the same");
    assert_eq!((&partly["old_task_rows"]["rows"], &partly["texts"]), (&24.into(), &27.into()));
    let said = partly["missing"].to_string();
    for part in ["2 without a label", "1 with labels that the model's head does not know", "`planet`", "of 27"] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    assert!(few["old_task_accuracy"].is_null() && few["cka"][0].is_number(), "{few}");
    let said = few["missing"].to_string();
    for part in ["10 rows with labels", "20 are needed", "1 without a label", "1 with labels"] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
}

#[test]
fn few_texts_leave_forgetting_unknown_and_say_so() {
    let folder = Folder::new();
    folder.write("few.txt", "there is it\nwhich was made up\npeople said\n");
    let model = model();
    let model = model.to_str().unwrap();
    let found = forgetting(&folder, &["train.csv", "--model", model, "--retain", "few.txt", "--output", "out"]);
    assert_eq!(found["finding"], "unknown");
    assert!(found["cka"].as_array().unwrap().is_empty() && found["neighbour_agreement"].is_null(), "{found}");
    assert!(found["missing"].to_string().contains("too few, 10 are needed"), "{found}");
}

#[test]
fn a_damaged_profile_is_a_warning_and_general_english_takes_its_place() {
    let folder = Folder::new();
    model_with(&folder, "type_vocab_size", 2.into());
    let of = |profile: &str, output: &str| {
        folder.write("model/pretraining_profile.json", profile);
        let found = forgetting(&folder, &["train.csv", "--model", "model", "--output", output]);
        let is_warning = |event: &Value| event["message"].as_str().unwrap().contains("pretraining_profile.json");
        (found, folder.events(output, "warning").iter().filter(|event| is_warning(event)).count())
    };
    let sample: Vec<String> = (0..40).map(|text| format!("there is it and {text} people said")).collect();
    let whole = serde_json::json!({ "sample": sample }).to_string();
    let (found, warnings) = of(&whole, "whole");
    assert_eq!((&found["source"], warnings), (&"texts of its own pre-training".into(), 0));
    let (found, warnings) = of(&whole[..whole.len() - 9], "damaged");
    assert_eq!((&found["source"], warnings), (&"texts of general English".into(), 1));
    let few = serde_json::json!({ "sample": sample[..5] }).to_string();
    let (found, warnings) = of(&few, "few");
    assert_eq!((&found["source"], warnings), (&"texts of general English".into(), 0));
    assert!(found["missing"].to_string().contains("has 5, and 32 are needed"), "{found}");
}
