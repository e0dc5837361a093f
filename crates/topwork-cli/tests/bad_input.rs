//! Bad input gets one clear error and a hint, and nothing is written or lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};

/// `tune train.csv` with the tiny model and these arguments fails with these parts in the error, and writes nothing.
#[track_caller]
fn tune_fails(folder: &Folder, more: &[&str], parts: &[&str]) -> String {
    let model = model();
    let mut arguments = vec!["tune", "train.csv", "--output", "out"];
    if !more.contains(&"--model") {
        arguments.extend(["--model", model.to_str().unwrap()]);
    }
    arguments.extend(more);
    let hint = folder.fails(&arguments, parts);
    assert!(!folder.path("out").exists(), "something was written");
    hint
}

fn edit_config(folder: &Folder, key: &str, value: serde_json::Value) {
    let mut config = folder.json("model/config.json");
    config[key] = value;
    folder.write("model/config.json", config.to_string());
}

#[test]
fn data_that_cannot_be_used() {
    let folder = Folder::new();
    let train = |content: &[u8], parts: &[&str]| {
        folder.write("train.csv", content);
        tune_fails(&folder, &[], parts)
    };
    let hint = train(b"comment,label\nx,a\ny,b\n", &["train.csv", "line 1", "`text`", "`comment`"]);
    assert!(hint.starts_with("--text-column comment"), "{hint}");
    train(b"", &["train.csv", "empty"]);
    train(b"text,label\n", &["train.csv", "only a header"]);
    train(b"text,label\nx,a\ny,a\n", &["train.csv", "`label`", "only `a`"]);
    train(b"text,label\n\xc3\xa9,a\ncaf\xe9,b\n", &["train.csv", "line 3", "UTF-8"]);
    train(b"text,label\nx,a\ny\n", &["train.csv", "line 3"]);
    let missing = folder.fails(&["tune", "trian.csv", "--output", "out"], &["trian.csv", "no such file"]);
    assert!(missing.contains("train.csv"), "{missing}");
}

#[test]
fn a_test_label_never_seen_in_training_is_found_before_anything_is_trained() {
    let folder = Folder::new();
    folder.write("test.csv", "text,label\nthere is,place\npeople,persona\n");
    let hint = tune_fails(&folder, &["--test", "test.csv"], &["test.csv", "line 3", "`label`", "`persona`"]);
    assert!(hint.contains("\"person\""), "{hint}");
    folder.write("test.csv", "text,class\nthere is,place\n");
    tune_fails(&folder, &["--test", "test.csv"], &["test.csv", "line 1", "`label`", "`class`"]);
}

#[test]
fn models_that_cannot_be_used() {
    let folder = Folder::new();
    folder.copy_of_model("model");
    let fails = |parts: &[&str]| tune_fails(&folder, &["--model", "model"], parts);
    let weights = folder.bytes("model/model.safetensors");

    folder.write("model/model.safetensors", &weights[..weights.len() / 2]);
    fails(&["model.safetensors", "expected", "bytes"]);
    folder.write("model/model.safetensors", &weights);

    edit_config(&folder, "intermediate_size", 64.into());
    fails(&["intermediate.dense.weight", "[64, 16]", "[32, 16]"]);
    edit_config(&folder, "intermediate_size", 32.into());

    edit_config(&folder, "model_type", "gpt2".into());
    let hint = fails(&["config.json", "model_type", "bert", "gpt2"]);
    assert!(hint.contains("bert"), "{hint}");
    edit_config(&folder, "model_type", "bert".into());

    let mut tokenizer = folder.json("model/tokenizer.json");
    tokenizer["model"]["vocab"]["enormous"] = 140.into();
    folder.write("model/tokenizer.json", tokenizer.to_string());
    fails(&["tokenizer.json", "`enormous`"].map(|part| part.trim_matches('`')));
    std::fs::copy(model().join("tokenizer.json"), folder.path("model/tokenizer.json")).unwrap();

    std::fs::remove_file(folder.path("model/model.safetensors")).unwrap();
    folder.write("model/pytorch_model.bin", b"\x80\x02");
    let hint = fails(&["pytorch_model.bin", "a pickle that is not of torch.save"]);
    assert!(hint.contains("save_file"), "{hint}");

    tune_fails(&folder, &["--model", "org/none"], &["org/none", "HF_HUB_OFFLINE"]);
    tune_fails(&folder, &["--model", "./none"], &["./none"]);
}

#[test]
fn settings_that_cannot_be_used() {
    let folder = Folder::new();
    tune_fails(&folder, &["--max-seq-length", "33"], &["--max-seq-length", "32", "33"]);
    tune_fails(&folder, &["--freeze-layers", "4"], &["--freeze-layers", "3", "4"]);
    tune_fails(&folder, &["--lr", "fast"], &["--lr", "a number", "fast"]);
    tune_fails(&folder, &["--batch-size", "0"], &["--batch-size", "0"]);
    tune_fails(&folder, &["--class-weights", "place=2"], &["--class-weights", "person"]);
    folder.write("recipe.toml", "[training]\nlerning_rate = 1e-4\n");
    let hint = tune_fails(&folder, &["--recipe", "recipe.toml"], &["recipe.toml", "line 2", "lerning_rate"]);
    assert!(hint.contains("learning_rate"), "{hint}");
}

#[test]
fn an_output_directory_that_is_not_empty_is_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("mine")).unwrap();
    folder.write("mine/notes.txt", "precious");
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "mine"];
    let hint = folder.fails(&arguments, &["mine", "empty directory", "notes.txt"]);
    assert!(hint.contains("mine-2"), "{hint}");
    assert_eq!(folder.bytes("mine/notes.txt"), b"precious");
    assert_eq!(std::fs::read_dir(folder.path("mine")).unwrap().count(), 1);
}

#[test]
fn a_changed_file_is_noticed_when_a_plan_is_repeated() {
    let folder = Folder::new();
    folder.tune("out", &["--max-steps", "1"]);
    let train = String::from_utf8(folder.bytes("train.csv")).unwrap();
    folder.write("train.csv", train.replacen("there", "where", 1));
    folder.fails(&["tune", "--recipe", "out/plan.toml", "--output", "again"], &["out/plan.toml", "train_sha256"]);
    assert!(!folder.path("again").exists());
}

/// So high a rate with so little momentum left of the second moment overflows within some steps; three an epoch, so that one is
/// over by then.
const DIVERGE: &str = "--lr 0.9 --max-grad-norm 0 --warmup-ratio 0 --epochs 400 --layer-decay 1 --adam-beta2 0 --adam-beta1 0.999 \
                       --weight-decay 10 --batch-size 32";

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_the_best_model_stays() {
    let folder = Folder::new();
    let model = model();
    let mut arguments = vec!["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "out"];
    arguments.extend(DIVERGE.split_whitespace().chain(["--validation-fraction", "0.2"]));
    let output = folder.run(&arguments);
    assert_eq!(output.status.code(), Some(3), "not what was asked for, and not nothing");
    let stopped = folder.events("out", "stopped");
    assert!(stopped[0]["reason"].as_str().unwrap().contains("not a finite number: back to step"), "{stopped:?}");
    let results = folder.json("out/all_results.json");
    assert_eq!(results["stopped"], "diverged");
    assert_eq!(results["verdict"]["learning_rate"]["finding"], "too_high");
    let best = folder.events("out", "new_best");
    assert_eq!(results["best"]["step"], best.last().unwrap()["step"], "the best epoch is kept");
    folder.ok(&["evaluate", "out", "test.csv"]);
}

#[test]
fn without_validation_rows_a_run_that_diverges_keeps_the_epoch_of_the_lowest_training_loss() {
    let folder = Folder::new();
    let model = model();
    let mut arguments = vec!["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "out"];
    // The folds diverge as well.
    arguments.extend(DIVERGE.split_whitespace().chain(["--folds", "2"]));
    let output = folder.run(&arguments);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let stopped = folder.events("out", "stopped");
    let reason = stopped[0]["reason"].as_str().unwrap();
    let step: usize = reason.split("back to step ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(reason.contains("lowest training loss"), "{reason}");
    let losses = folder.losses("out");
    let mean = |epoch: usize| losses[3 * epoch - 3..3 * epoch].iter().sum::<f64>() / 3.0;
    // An epoch counts when the step after it has a loss.
    let proven = (losses.len() - 1) / 3;
    let lowest = (1..=proven).min_by(|&a, &b| mean(a).total_cmp(&mean(b))).unwrap();
    assert_eq!(step, 3 * lowest, "{losses:?}");
    let results = folder.json("out/all_results.json");
    assert_eq!(results["folds"]["diverged"], 2);
    assert_eq!(results["folds"]["scores"].as_array().unwrap().len(), 2);
    folder.ok(&["evaluate", "out", "test.csv"]);
    folder.ok(&["report", "out"]);
    let page = String::from_utf8(folder.bytes("out/report.html")).unwrap();
    assert!(page.contains("2, 2 diverged"), "the report says which trainings are worth less");
}

#[test]
fn a_model_that_is_no_classifier_does_not_predict() {
    let folder = Folder::new();
    let encoder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/families/bert-masked-words");
    folder.fails(&["predict", encoder, "test.csv"], &["bert-masked-words", "id2label"]);
    // Labels without names are as many as the classifier has rows.
    folder.copy_of_model("model");
    let mut config = folder.json("model/config.json");
    config.as_object_mut().unwrap().remove("id2label");
    config["num_labels"] = serde_json::json!(7);
    folder.write("model/config.json", config.to_string());
    folder.fails(&["predict", "model", "test.csv"], &["model/config.json", "num_labels", "7"]);
    folder.fails(&["evaluate", "nowhere/at/all", "test.csv"], &["nowhere/at/all"]);
}

#[test]
fn a_pair_of_texts_needs_a_model_with_two_token_types() {
    let folder = Folder::new();
    folder.copy_of_model("model");
    let mut tokenizer = folder.json("model/tokenizer.json");
    let processor = tokenizer["post_processor"].to_string().replace("\"type_id\":1", "\"type_id\":5");
    tokenizer["post_processor"] = serde_json::from_str(&processor).unwrap();
    folder.write("model/tokenizer.json", tokenizer.to_string());
    // The class of BERT makes the template itself.
    let inputs = serde_json::json!(["input_ids", "token_type_ids", "attention_mask"]);
    let config = serde_json::json!({ "tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": inputs });
    folder.write("model/tokenizer_config.json", config.to_string());
    folder.write("train.csv", "text_a,text_b,label\nhello,there,yes\nyou,people,no\nwhich,time,yes\n");
    tune_fails(&folder, &["--model", "model"], &["train.csv", "type_vocab_size", "5"]);
}

#[test]
fn a_head_whose_config_says_something_else_does_not_predict() {
    let folder = Folder::new();
    folder.copy_of_model("model");
    for (key, value, parts) in [
        ("problem_type", "ranking".into(), ["config.json", "problem_type"]),
        ("id2label", serde_json::json!({"0": "score"}), ["model.safetensors", "expected shape [1,"]),
    ] {
        edit_config(&folder, key, value);
        folder.fails(&["predict", "model", "test.csv"], &parts);
        std::fs::copy(model().join("config.json"), folder.path("model/config.json")).unwrap();
    }
}

#[test]
fn an_interrupted_run_goes_on_only_as_it_was_planned() {
    let folder = Folder::new();
    for more in [&["--epochs", "1"][..], &["--lr", "1e-3"]] {
        let arguments = [&["tune", "--resume", "out"], more].concat();
        let hint = folder.fails(&arguments, &["--resume", more[0]]);
        assert_eq!(hint, "topwork tune --resume 'out'");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.csv");
    let output = folder.command(&["tune", "--output", "out", "--model", "m"]).arg(name).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("TRAIN: expected a path in UTF-8"), "{stderr}");
}

#[test]
fn too_few_rows_to_hold_any_out_are_an_error_only_where_they_are_needed() {
    let folder = Folder::new();
    folder.write("train.csv", "text,label\nthere,place\npeople,person\n");
    tune_fails(&folder, &["--early-stopping-patience", "2"], &["train.csv", "validation_fraction", "2 rows"]);
    folder.tune("out", &["--epochs", "1"]);
    let warnings = folder.events("out", "warning");
    assert!(warnings.iter().any(|event| event["message"].as_str().unwrap().contains("leaves none to validate on")));
}
