//! The main job from file to proven model, through the command, on a tiny model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Folder, model};
use topwork_models::Checkpoint;

/// Learning rates at which random weights, and the head that starts small on them, learn the toy task.
const FAST: &[&str] = &["--lr", "5e-3", "--head-learning-rate-scale", "10", "--epochs", "12", "--batch-size", "8"];

fn with<'a>(first: &[&'a str], second: &[&'a str]) -> Vec<&'a str> {
    [first, second].concat()
}

#[test]
fn a_labelled_file_becomes_a_better_model_and_honest_numbers() {
    let folder = Folder::new();
    // So few rows would all be learnt from beside a test file.
    let results = folder.tune("out", &with(FAST, &["--test", "test.csv", "--validation-fraction", "0.1"]));
    assert!(results["test"]["accuracy"].as_f64().unwrap() > 0.9, "{results:#}");
    for split in ["train", "validation", "test"] {
        for score in ["loss", "accuracy", "macro_f1", "mcc"] {
            assert!(results[split][score].is_f64(), "{split} {score}");
        }
    }
    for part in ["load", "tokenize", "train", "evaluate", "save", "total"] {
        assert!(results["seconds"][part].as_f64().unwrap() >= 0.0, "{part}");
    }
    for key in ["steps", "tokens", "tokens_per_second", "seed"] {
        assert!(results[key].is_number(), "{key}");
    }
    let proofs = &results["proofs"];
    assert_eq!(proofs["reloaded_same_logits"]["largest_difference"], 0.0);
    assert!(proofs["trained_received_gradient"]["tensors"].as_u64().unwrap() > 50);
    assert_eq!(folder.json("out/all_results.json"), results);
    for file in ["config.json", "model.safetensors", "tokenizer.json", "README.md", "events.jsonl", "plan.toml"] {
        assert!(folder.path("out").join(file).is_file(), "{file}");
    }
    let config = folder.json("out/config.json");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    assert_eq!(config["problem_type"], "single_label_classification");
    assert_eq!(config["id2label"]["0"], "choice");
    assert_eq!(config["label2id"]["place"], 2);
    let card = std::fs::read_to_string(folder.path("out/README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: transformers\n"), "{card}");

    let scores: serde_json::Value =
        serde_json::from_str(&folder.ok(&["evaluate", "out", "test.csv", "--json"])).unwrap();
    assert_eq!(scores["accuracy"], results["test"]["accuracy"]);
    assert_eq!(scores["loss"], results["test"]["loss"]);
    let table = folder.ok(&["evaluate", "out", "test.csv"]);
    assert!(table.contains("macro-F1") && table.contains("person"), "{table}");
}

#[test]
fn texts_are_labelled_from_files_and_from_standard_input() {
    let folder = Folder::new();
    folder.tune("out", FAST);
    folder.write("new.jsonl", "{\"text\": \"people said, \\\"go\\\"\"}\n{\"text\": \"\"}\n");
    let lines = folder.ok(&["predict", "out", "new.jsonl", "--json"]);
    let rows: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["label"], "person");
    let total: f64 = rows[0]["scores"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-6);
    let table = folder.ok(&["predict", "out", "new.jsonl"]);
    assert!(table.starts_with("text,label,score\n\"people said, \"\"go\"\"\",person,"), "{table}");

    let mut child = folder.command(&["predict", "out"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("which is it\nthere is 🍎\n".as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(output.lines().count(), 3, "{output}");
    assert!(output.contains("which is it,choice,"), "{output}");
}

#[test]
fn the_plan_repeats_the_run_to_the_bit_on_any_number_of_threads() {
    let folder = Folder::new();
    folder.tune("a", &["--epochs", "2", "--threads", "1", "--validation-fraction", "0.2"]);
    folder.ok(&["tune", "--recipe", "a/plan.toml", "--output", "b"]);
    folder.ok(&["tune", "--recipe", "a/plan.toml", "--output", "c", "--threads", "2"]);
    folder.ok(&["tune", "--recipe", "a/plan.toml", "--output", "d", "--seed", "7"]);
    let weights = |run: &str| folder.bytes(&format!("{run}/model.safetensors"));
    assert!(weights("a") == weights("b"), "the plan repeats the run");
    assert!(weights("a") == weights("c"), "threads change no bit");
    assert!(weights("a") != weights("d"), "another seed is another run");
}

#[test]
fn frozen_layers_keep_every_bit_and_the_others_move() {
    let folder = Folder::new();
    let results = folder.tune("out", &["--freeze-layers", "2", "--epochs", "1"]);
    let (before, after) = (Checkpoint::open(&model()).unwrap(), Checkpoint::open(&folder.path("out")).unwrap());
    let mut frozen = 0;
    for name in before.names() {
        let is_same = before.read_f32(name).unwrap() == after.read_f32(name).unwrap();
        let is_frozen = name.contains("embeddings") || name.contains("layer.0.") || name.contains("layer.1.");
        assert_eq!(is_same, is_frozen, "{name}");
        frozen += usize::from(is_frozen);
    }
    assert_eq!(results["proofs"]["frozen_unchanged"]["tensors"], frozen);
}

#[test]
fn accumulated_passes_are_the_full_batch() {
    let folder = Folder::new();
    // Class weights and a last step that is smaller: where means of means would show.
    let common = ["--epochs", "2", "--class-weights", "place=3,person=1,choice=0.5", "--validation-fraction", "0.1"];
    folder.tune("whole", &with(&common, &["--batch-size", "16"]));
    folder.tune(
        "parts",
        &with(&common, &["--batch-size", "3", "--gradient-accumulation-steps", "6", "--max-steps", "6"]),
    );
    folder.tune("whole18", &with(&common, &["--batch-size", "18", "--max-steps", "6"]));
    let (parts, whole) = (folder.losses("parts"), folder.losses("whole18"));
    // 86 or 87 rows: the fifth step has fewer than 18.
    assert_eq!(parts.len(), 6);
    for (a, b) in parts.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-5 * b, "{parts:?} {whole:?}");
    }
    assert_ne!(folder.losses("whole")[0], whole[0], "batches of another size are other batches");
}

#[test]
fn dropout_is_live_in_training_only() {
    let folder = Folder::new();
    let off = ["--hidden-dropout-prob", "0", "--attention-probs-dropout-prob", "0", "--classifier-dropout", "0"];
    folder.tune("live", &["--max-steps", "1"]);
    folder.tune("off", &with(&["--max-steps", "1"], &off));
    assert_ne!(folder.losses("live"), folder.losses("off"));
    // Without a zero in its configuration, the saved model predicts as one whose configuration has no dropout at all.
    let predicted = folder.ok(&["predict", "live", "test.csv", "--json"]);
    let mut config = folder.json("live/config.json");
    assert!(config["hidden_dropout_prob"].as_f64().unwrap() > 0.0);
    for key in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
        config[key] = 0.0.into();
    }
    folder.write("live/config.json", config.to_string());
    assert_eq!(predicted, folder.ok(&["predict", "live", "test.csv", "--json"]));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_as_if_nothing_had_happened() {
    let folder = Folder::new();
    let model = model();
    let steps = [
        "--max-steps",
        "1500",
        "--batch-size",
        "8",
        "--validation-fraction",
        "0.2",
        "--seed",
        "5",
        "--compare-seeds",
        "0",
    ];
    let arguments = with(&["tune", "train.csv", "--model", model.to_str().unwrap(), "--output"], &["part"]);
    let mut child = folder.command(&with(&arguments, &steps)).stderr(Stdio::piped()).spawn().unwrap();
    // The log exists once training begins.
    let started = Instant::now();
    while !std::fs::read_to_string(folder.path("part/events.jsonl")).is_ok_and(|log| log.contains("evaluated")) {
        assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("go on with: topwork tune --resume 'part'"), "{said}");
    assert!(!folder.path("part/model.safetensors").exists(), "half a run is no result");

    folder.ok(&["tune", "--resume", "part"]);
    folder.ok(&with(&with(&arguments[..5], &["whole"]), &steps));
    assert!(folder.bytes("part/model.safetensors") == folder.bytes("whole/model.safetensors"), "not the same bits");
    assert!(!folder.path("part/checkpoint").exists(), "the state of a finished run is gone");
    let steps = folder.events("part", "step");
    assert_eq!(steps.len(), 1500, "every step is in the log once");
}

#[test]
fn early_stopping_ends_the_run_and_the_best_model_is_kept() {
    let folder = Folder::new();
    let results = folder.tune(
        "out",
        &with(
            &["--validation", "test.csv", "--early-stopping-patience", "2", "--metric", "loss"],
            &["--lr", "5e-3", "--epochs", "60"],
        ),
    );
    assert_eq!(results["stopped"], "early_stopping");
    let values: Vec<f64> =
        folder.events("out", "new_best").iter().map(|event| event["value"].as_f64().unwrap()).collect();
    let best = values.last().copied().unwrap();
    assert_eq!(results["best"]["value"], best);
    assert_eq!(results["validation"]["loss"], best, "the scores are those of the weights that were kept");
}

#[test]
fn the_plan_says_what_would_be_done_and_runs_nothing() {
    let folder = Folder::new();
    let model = model();
    let plan = folder.ok(&["plan", "train.csv", "--model", model.to_str().unwrap(), "--freeze-layers", "1"]);
    for part in
        ["freeze_layers = 1 # flag: --freeze-layers", "# embeddings", "frozen", "# layer 2", "# head", "learning_rate"]
    {
        assert!(plan.contains(part), "`{part}` is not in:\n{plan}");
    }
    assert!(!folder.path("out").exists());
    folder.write("plan.toml", plan);
    folder.ok(&["tune", "--recipe", "plan.toml", "--output", "out", "--max-steps", "2"]);
}

#[test]
fn hugging_faces_spellings_work() {
    let folder = Folder::new();
    let model = model();
    let arguments = [
        "tune",
        "--train_file",
        "train.csv",
        "--model_name_or_path",
        model.to_str().unwrap(),
        "--output_dir",
        "out",
        "--per_device_train_batch_size",
        "8",
        "--num_train_epochs",
        "1",
        "--load_best_model_at_end",
        "True",
        "--lr_scheduler_type",
        "cosine",
        "--label_smoothing_factor",
        "0.1",
    ];
    folder.ok(&arguments);
    let plan = std::fs::read_to_string(folder.path("out/plan.toml")).unwrap();
    assert!(plan.contains("lr_scheduler_type = \"cosine\" # flag: --lr_scheduler_type"), "{plan}");
}

#[test]
fn pairs_and_long_texts_and_awkward_files_train() {
    let folder = Folder::new();
    let mut csv = "\u{feff}text_a,text_b,label\r\n".to_string();
    for i in 0..12 {
        // Texts of other words: rows that are nearly the same stay together, and would leave no fold.
        let long = format!("people{i} ").repeat(400);
        csv.push_str(&format!("\"{long}, \"\"quoted\"\"\",is it {i} 🍎,yes\r\n,\"two\r\nlines {i}\",no\r\n"));
    }
    folder.write("train.csv", csv);
    let results = folder.tune("out", &["--epochs", "1"]);
    // So few rows are all learnt from, and each is predicted by a training on others.
    assert_eq!((&results["train"]["rows"], &results["folds"]["together"]["rows"]), (&24.into(), &24.into()));
    let warnings = folder.events("out", "warning");
    assert!(warnings.iter().any(|event| event["message"] == "train.csv: 12 of 24 texts are cut after 32 tokens"));
    let predicted = folder.run(&["predict", "out", "train.csv"]);
    assert!(String::from_utf8_lossy(&predicted.stderr).contains("train.csv: 12 of 24 texts are cut after 32 tokens"));
    folder.write("one.csv", "text_a,text_b\nhello,there\n");
    assert!(folder.ok(&["predict", "out", "one.csv"]).starts_with("text,text_pair,label,score\nhello,there,"));
}

/// Switches may stand alone, and the flag behind them is a flag.
#[test]
fn a_switch_takes_no_flag_for_its_value() {
    let folder = Folder::new();
    let results = folder.tune("out", &["--load-best-model-at-end", "--epochs", "2", "--validation-fraction", "0.3"]);
    assert_eq!(results["steps"].as_u64().unwrap() % 2, 0);
    let plan = std::fs::read_to_string(folder.path("out/plan.toml")).unwrap();
    assert!(plan.contains("load_best_model_at_end = true # flag"), "{plan}");
}

/// The last batch of the proof is not the last batch of the evaluation, and a wide model's products round by their size.
#[test]
fn the_saved_model_is_proved_whatever_the_batches() {
    let folder = Folder::new();
    let many: String = (0..300).map(|i| format!("there {i},place\npeople {i},person\n")).collect();
    folder.write("many.csv", format!("text,label\n{many}"));
    for size in ["7", "96", "100"] {
        folder
            .tune(&format!("out{size}"), &["--max-steps", "2", "--validation", "many.csv", "--eval-batch-size", size]);
    }
}

#[test]
fn a_run_is_compared_with_what_no_transfer_would_give_and_stays_as_it_is() {
    let folder = Folder::new();
    let run = with(FAST, &["--test", "test.csv"]);
    let alone = folder.tune("alone", &run);
    let beside: Vec<&str> =
        alone["transfer"]["contenders"].as_array().unwrap().iter().map(|own| own["name"].as_str().unwrap()).collect();
    assert_eq!(
        beside,
        ["majority class", "bag of words", "frozen + linear head", "fine-tuned"],
        "what takes no training"
    );
    let results = folder.tune("out", &with(&run, &["--compare-seeds", "2"]));
    assert!(folder.bytes("out/model.safetensors") == folder.bytes("alone/model.safetensors"));
    let contenders = results["transfer"]["contenders"].as_array().unwrap();
    let names: Vec<&str> = contenders.iter().map(|contender| contender["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["majority class", "bag of words", "random weights", "frozen + linear head", "fine-tuned"]);
    let seeds: Vec<usize> = contenders.iter().map(|contender| contender["scores"].as_array().unwrap().len()).collect();
    assert_eq!(seeds, [1, 1, 2, 1, 2]);
    // The first word tells the label; three classes of eight rows each.
    assert_eq!(contenders[0]["accuracy"], 8.0 / 24.0);
    assert_eq!(contenders[1]["accuracy"], 1.0);
    assert_eq!(contenders[4]["scores"][0]["accuracy"], results["test"]["accuracy"]);
    assert!(contenders[4]["accuracy_std"].is_f64() && contenders[0]["accuracy_std"].is_null());

    let model = model();
    let table = folder.ok(&with(
        &["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "table", "--compare-seeds", "1"],
        &["--epochs", "1"],
    ));
    assert!(table.contains("on the validation rows") && table.contains("frozen + linear head"), "{table}");
}

/// Nobody is asked for a name, and nobody's result is overwritten.
#[test]
fn without_an_output_directory_one_that_is_free_is_taken() {
    let folder = Folder::new();
    let model = model();
    let tune = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--max-steps", "2", "--compare-seeds", "0"];
    assert!(folder.ok(&tune).contains("saved: runs/train\n"));
    assert!(folder.ok(&tune).contains("saved: runs/train-2\n"));
    assert!(folder.bytes("runs/train/model.safetensors") == folder.bytes("runs/train-2/model.safetensors"));
    let hint = folder.fails(&["tune", "--recipe", "runs/train/plan.toml"], &["runs/train", "empty directory"]);
    assert_eq!(hint, "--output 'runs/train-3'");
}

#[test]
fn a_control_run_is_not_called_fine_tuned() {
    let folder = Folder::new();
    let results = folder.tune("out", &with(FAST, &["--init", "random", "--compare-seeds", "2"]));
    let contenders = results["transfer"]["contenders"].as_array().unwrap();
    let names: Vec<&str> = contenders.iter().map(|contender| contender["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["majority class", "bag of words", "frozen + linear head", "random weights"]);
    assert_eq!(contenders[3]["scores"].as_array().unwrap().len(), 2);
    assert_eq!(contenders[3]["scores"][0]["accuracy"], results["validation"]["accuracy"]);
}

/// With nothing downloaded and nowhere to download from.
#[test]
fn without_a_model_the_carried_one_is_tuned() {
    let folder = Folder::new();
    folder.ok(&["tune", "train.csv", "--output", "out", "--max-steps", "2", "--compare-seeds", "0"]);
    let plan = std::fs::read_to_string(folder.path("out/plan.toml")).unwrap();
    assert!(plan.contains("model_name_or_path = \"seedling\" # default: the model that topwork carries"), "{plan}");
    folder.ok(&["predict", "out", "test.csv"]);
    folder.ok(&["tune", "--recipe", "out/plan.toml", "--output", "again"]);
    assert!(folder.bytes("out/model.safetensors") == folder.bytes("again/model.safetensors"));
}
