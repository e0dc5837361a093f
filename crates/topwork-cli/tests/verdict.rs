//! What a run says of itself, and the same training again: seeds, folds, labels in random order, numbers of labels.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model, table};
use serde_json::Value;

fn finding<'a>(results: &'a Value, part: &str) -> &'a str {
    results["verdict"][part]["finding"].as_str().unwrap()
}

#[test]
fn every_run_says_whether_it_memorised_forgot_and_was_fast_enough() {
    let folder = Folder::new();
    let model = model();
    let arguments = ["tune", "train.csv", "--test", "test.csv", "--model", model.to_str().unwrap(), "--output", "out"];
    let shown = folder.ok(&[&arguments[..], &["--learning-rate", "3e-3", "--compare-seeds", "0"]].concat());
    let results = folder.json("out/all_results.json");
    // Long sentences are broken into lines.
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["overfitting", "forgetting", "learning_rate"] {
        let sentence = results["verdict"][part]["sentence"].as_str().unwrap();
        assert!(!sentence.is_empty() && shown.contains(sentence), "{part}: {shown}");
    }
    let floor = results["floor"]["sentence"].as_str().unwrap();
    assert!(shown.contains(floor), "{floor}: {shown}");
    let said: Vec<_> = folder.events("out", "verdict");
    let names: Vec<&str> = said.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["floor", "overfitting", "forgetting", "learning_rate"], "the floor comes first");
    let overfitting = &results["verdict"]["overfitting"];
    let gap = &overfitting["accuracy_gap"];
    let of = |split: &str| results[split]["accuracy"].as_f64().unwrap();
    let (value, low, high) = (&gap["value"], &gap["interval"][0], &gap["interval"][1]);
    let [value, low, high] = [value, low, high].map(|part| part.as_f64().unwrap());
    assert!((value - (of("train") - of("test"))).abs() < 1e-9, "{gap}");
    let said = format!("a gap of {:.1} points ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high);
    assert!(overfitting["sentence"].as_str().unwrap().contains(&said), "{said}: {overfitting}");
    let forgetting = &results["verdict"]["forgetting"];
    assert_eq!(forgetting["cka"].as_array().unwrap().len(), 4, "the embeddings and three layers");
    let drift = forgetting["drift"].as_array().unwrap();
    assert!(drift.iter().all(|block| block["drift"].as_f64().unwrap() > 0.0), "everything was trained: {drift:?}");
    assert!(!folder.events("out", "blocks").is_empty());
    let confusion = results["confusion"]["counts"].as_array().unwrap();
    let rows: u64 = confusion.iter().flat_map(|row| row.as_array().unwrap()).map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(rows, 24);
    let right = folder.json("out/hard_rows.json")["right"].as_str().unwrap().matches('1').count();
    assert_eq!(right as f64 / 24.0, results["test"]["accuracy"].as_f64().unwrap());
}

#[test]
fn frozen_blocks_do_not_drift_and_are_the_same_views() {
    let folder = Folder::new();
    let results = folder.tune("out", &["--freeze-layers", "2", "--test", "test.csv"]);
    let forgetting = &results["verdict"]["forgetting"];
    for block in forgetting["drift"].as_array().unwrap() {
        let is_still = block["drift"].as_f64().unwrap() == 0.0;
        assert_eq!(is_still, !block["trained"].as_bool().unwrap(), "{block}");
    }
    let cka: Vec<f64> = forgetting["cka"].as_array().unwrap().iter().map(|cka| cka.as_f64().unwrap()).collect();
    assert!(cka[..3].iter().all(|cka| (cka - 1.0).abs() < 1e-9) && cka[3] < 1.0, "{cka:?}");
}

#[test]
fn labels_in_random_order_are_told_from_honest_ones() {
    let folder = Folder::new();
    let text = String::from_utf8(folder.bytes("train.csv")).unwrap();
    let (texts, labels): (Vec<&str>, Vec<&str>) =
        text.lines().skip(1).map(|line| line.rsplit_once(',').unwrap()).unzip();
    // Far from their texts, and as many of each.
    let moved: String = texts
        .iter()
        .enumerate()
        .map(|(row, text)| format!("{text},{}\n", labels[(row * 37 + row / 7) % labels.len()]))
        .collect();
    folder.write("permuted.csv", format!("text,label\n{moved}"));
    let more = ["--test", "test.csv", "--learning-rate", "3e-3", "--epochs", "20", "--validation-fraction", "0"];
    let honest = folder.tune("honest", &more);
    assert!(["generalises", "overfits"].contains(&finding(&honest, "overfitting")), "{}", honest["verdict"]);
    let model = model();
    let arguments = ["tune", "permuted.csv", "--model", model.to_str().unwrap(), "--output", "out", "--json"];
    let permuted: Value =
        serde_json::from_str(&folder.ok(&[&arguments[..], &more, &["--compare-seeds", "0"]].concat())).unwrap();
    // With 24 rows some relation by luck is nothing rare: then it is unknown, and never learnt.
    let found = finding(&permuted, "overfitting");
    assert!(["memorised", "nothing_learnt", "unknown"].contains(&found), "{}", permuted["verdict"]);
    // The control does the same within a run.
    let controlled = folder.tune("controlled", &[&more[..], &["--permuted-control"]].concat());
    let accuracy = |scores: &Value| scores["accuracy"].as_f64().unwrap();
    assert!(accuracy(&controlled["permuted_control"]) < accuracy(&controlled["test"]), "{controlled}");
}

#[test]
fn an_earlier_task_is_scored_before_and_after_with_its_own_head() {
    let folder = Folder::new();
    let more = ["--learning-rate", "3e-3", "--epochs", "20", "--validation-fraction", "0", "--compare-seeds", "0"];
    let well = "--lr 5e-3 --head-learning-rate-scale 10 --epochs 12 --batch-size 8 --test test.csv";
    let well: Vec<&str> = well.split(' ').collect();
    let first = folder.tune("first", &[&well[..], &more[4..6]].concat());
    folder.write("second.csv", "text,label\n".to_string() + &"is it said,x\nwas it made,y\n".repeat(20));
    let second = |retain: &str, output: &str| -> Value {
        let arguments = ["tune", "second.csv", "--model", "first", "--retain", retain, "--output", output, "--json"];
        serde_json::from_str(&folder.ok(&[&arguments[..], &more].concat())).unwrap()
    };
    let results = second("test.csv", "with-labels");
    let old = &results["verdict"]["forgetting"]["old_task_accuracy"];
    assert_eq!(old["before"], first["test"]["accuracy"], "every row is looked at");
    // The first model's head on what the second training made of its encoder.
    let own = folder.bytes("first/model.safetensors");
    let mixed = with_encoder_of(&own, &folder.bytes("with-labels/model.safetensors"));
    folder.write("first/model.safetensors", mixed);
    let scores: Value = serde_json::from_str(&folder.ok(&["evaluate", "first", "test.csv", "--json"])).unwrap();
    folder.write("first/model.safetensors", own);
    assert_eq!(old["after"], scores["accuracy"], "{old}");
    assert_ne!(old["after"], old["before"], "the second training changed nothing");
    let page = String::from_utf8(folder.bytes("with-labels/report.html")).unwrap();
    let measured = table(&page, "On 24 ");
    let percent = |part: &Value| format!("{:.1} %", 100.0 * part.as_f64().unwrap());
    let row = ["accuracy on the earlier task".to_string(), percent(&old["before"]), percent(&old["after"])];
    assert!(measured.iter().any(|cells| *cells == row), "{measured:?}");
    let still = [
        &["tune", "second.csv", "--model", "first", "--retain", "test.csv", "--output", "still", "--json"][..],
        &["--learning-rate", "1e-9", "--epochs", "1", "--compare-seeds", "0"],
    ];
    let still: Value = serde_json::from_str(&folder.ok(&still.concat())).unwrap();
    let old = &still["verdict"]["forgetting"]["old_task_accuracy"];
    assert_eq!(old["after"], old["before"], "who does not move forgets nothing");
    assert_eq!((finding(&still, "forgetting"), finding(&still, "learning_rate")), ("kept", "too_low"));
    // Texts alone, or labels of another task: what is missing is said, the rest is measured.
    folder.write("texts.txt", "there is it\nwhich was made up\npeople said no more\n".repeat(12));
    folder.write("other.csv", "text,label\nthere is it,p\nwhich was,q\n".to_string() + &"people said,p\n".repeat(30));
    for (file, said) in [("texts.txt", "earlier task"), ("other.csv", "does not know")] {
        let forgetting = &second(file, file.split('.').next().unwrap())["verdict"]["forgetting"];
        assert!(forgetting["old_task_accuracy"].is_null() && !forgetting["cka"].as_array().unwrap().is_empty());
        let missing = forgetting["missing"].to_string();
        assert!(missing.contains(said), "{file}: {missing}");
    }
}

/// The weights in a file, but for its head, replaced with those of another file that have the same names and sizes.
fn with_encoder_of(own: &[u8], other: &[u8]) -> Vec<u8> {
    let header = |file: &[u8]| -> (Value, usize) {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice(&file[8..8 + length]).unwrap(), 8 + length)
    };
    let ((names, start), (other_names, other_start)) = (header(own), header(other));
    let place = |tensor: &Value, start: usize| {
        let at = |nth: usize| start + tensor["data_offsets"][nth].as_u64().unwrap() as usize;
        at(0)..at(1)
    };
    let mut mixed = own.to_vec();
    let mut replaced = 0;
    for (name, tensor) in names.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("bert.")) {
        mixed[place(tensor, start)].copy_from_slice(&other[place(&other_names[name], other_start)]);
        replaced += 1;
    }
    assert!(replaced > 50 && mixed != own, "{replaced} tensors");
    mixed
}

#[test]
fn a_file_without_texts_is_nothing_to_retain() {
    let folder = Folder::new();
    folder.write("blank.csv", "text,label\n   ,a\n,b\n");
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "out", "--retain"];
    folder.fails(&[&arguments[..], &["blank.csv"]].concat(), &["retain_file", "blank.csv", "found none"]);
    folder.fails(&[&arguments[..], &["nowhere.txt"]].concat(), &["nowhere.txt", "no such file"]);
    assert!(!folder.path("out").exists());
}

#[test]
fn seeds_give_a_mean_with_an_interval_and_one_seed_none() {
    let folder = Folder::new();
    let results = folder.tune("out", &["--test", "test.csv", "--seeds", "3", "--epochs", "3"]);
    let seeds = &results["seeds"];
    assert_eq!(seeds["scores"].as_array().unwrap().len(), 3);
    assert_eq!(seeds["scores"][0], results["test"], "the run is the first");
    let accuracies: Vec<f64> =
        seeds["scores"].as_array().unwrap().iter().map(|scores| scores["accuracy"].as_f64().unwrap()).collect();
    let mean = accuracies.iter().sum::<f64>() / 3.0;
    let std = (accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    // Student's t with two degrees of freedom.
    let half = 4.302_652_729_749 * std / 3.0_f64.sqrt();
    // No score is below 0 or above 1.
    let (low, high) = ((mean - half).max(0.0), (mean + half).min(1.0));
    let said = &seeds["accuracy"];
    for (said, expected) in [(&said["mean"], mean), (&said["interval"][0], low), (&said["interval"][1], high)] {
        assert!((said.as_f64().unwrap() - expected).abs() < 1e-9, "{said} is not {expected}");
    }
    let page = String::from_utf8(folder.bytes("out/report.html")).unwrap();
    let row = &table(&page, "What other trainings score")[0];
    assert_eq!(row[1], "3");
    assert_eq!(row[3], format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high));
    let one = folder.tune("one", &["--test", "test.csv", "--seeds", "1", "--epochs", "1"]);
    assert!(one["seeds"].is_null());
    let warnings = folder.events("one", "warning");
    assert!(warnings.iter().any(|event| event["message"].as_str().unwrap().contains("no interval")), "{warnings:?}");
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "none", "--seeds", "3"];
    folder.fails(&[&arguments[..], &["--validation-fraction", "0"]].concat(), &["--seeds", "held-out rows"]);
}

#[test]
fn folds_answer_every_row_once_and_the_model_is_trained_on_all() {
    let folder = Folder::new();
    let results = folder.tune("out", &["--folds", "3", "--epochs", "5", "--learning-rate", "3e-3"]);
    let folds = &results["folds"];
    assert_eq!(folds["scores"].as_array().unwrap().len(), 3);
    assert_eq!(folds["together"]["rows"], 96);
    assert!(results["validation"].is_null());
    let started = &folder.events("out", "started")[0];
    assert_eq!(started["rows"], 96, "every row is learnt from");
    assert_eq!(results["verdict"]["overfitting"]["split"], "left-out");
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "none", "--folds"];
    folder.fails(&[&arguments[..], &["40"]].concat(), &["--folds", "2 to 32", "smallest class", "40"]);
    folder.fails(
        &[&arguments[..], &["3", "--validation-fraction", "0.2"]].concat(),
        &["--folds", "--validation-fraction"],
    );
}

#[test]
fn a_curve_has_a_point_for_every_number_of_labels() {
    let folder = Folder::new();
    let model = model();
    let arguments = ["curve", "train.csv", "--test", "test.csv", "--model", model.to_str().unwrap(), "--epochs", "2"];
    let json = folder.ok(&[&arguments[..], &["--sizes", "12,48", "--seeds", "2", "--json"]].concat());
    let curve: Value = serde_json::from_str(&json).unwrap();
    let contenders = curve["contenders"].as_array().unwrap();
    assert_eq!(contenders.len(), 4);
    for contender in contenders {
        let points = contender["points"].as_array().unwrap();
        let rows: Vec<u64> = points.iter().map(|point| point["rows"].as_u64().unwrap()).collect();
        assert_eq!(rows, [12, 48]);
        assert!(points.iter().all(|point| point["accuracies"].as_array().unwrap().len() == 2));
    }
    // With all rows, words alone are the same at every draw.
    let all = folder.ok(&[&arguments[..], &["--sizes", "96", "--seeds", "2", "--json"]].concat());
    let all: Value = serde_json::from_str(&all).unwrap();
    for contender in all["contenders"].as_array().unwrap() {
        let draws_numbers = ["fine-tuned", "random weights"].contains(&contender["name"].as_str().unwrap());
        let point = &contender["points"][0];
        assert_eq!(point["accuracies"].as_array().unwrap().len(), if draws_numbers { 2 } else { 1 }, "{contender}");
        assert_eq!(point["accuracy"]["interval"].is_null(), !draws_numbers, "{contender}");
    }
    let shown = folder.ok(&[&arguments[..], &["--sizes", "12,24", "--seeds", "1", "--output", "curve.html"]].concat());
    assert!(shown.contains("no interval") && shown.contains("labels"), "{shown}");
    let page = String::from_utf8(folder.bytes("curve.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("fine-tuned"));
    let too_many = [&arguments[..], &["--sizes", "500"]].concat();
    folder.fails(&too_many, &["--sizes", "500", "the rows there are"]);
    folder.fails(&[&arguments[..], &["--output", "curve.html"]].concat(), &["curve.html", "not taken"]);
}

#[test]
fn probabilities_are_those_of_the_temperature_and_logits_are_not() {
    let folder = Folder::new();
    folder.tune("out", &["--learning-rate", "3e-3"]);
    folder.write("new.csv", "text\nthere is it\n");
    let score = |temperature: Value| -> (Vec<f64>, f64) {
        let mut config = folder.json("out/config.json");
        config["calibration_temperature"] = temperature;
        folder.write("out/config.json", config.to_string());
        let row: Value = serde_json::from_str(&folder.ok(&["predict", "out", "new.csv", "--json"])).unwrap();
        let logits = row["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap()).collect();
        (logits, row["score"].as_f64().unwrap())
    };
    let ((logits, plain), (same, cooled)) = (score(1.0.into()), score(2.5.into()));
    assert_eq!(logits, same);
    let sum = |divisor: f64| logits.iter().map(|logit| (logit / divisor).exp()).sum::<f64>();
    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
    assert!(
        (plain - largest.exp() / sum(1.0)).abs() < 1e-6 && (cooled - (largest / 2.5).exp() / sum(2.5)).abs() < 1e-6
    );
    let mut config = folder.json("out/config.json");
    config["calibration_temperature"] = Value::from(-1.0);
    folder.write("out/config.json", config.to_string());
    folder.fails(&["predict", "out", "new.csv"], &["config.json", "calibration_temperature", "above 0", "-1"]);
}
