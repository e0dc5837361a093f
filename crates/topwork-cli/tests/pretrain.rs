//! Pre-training from raw text to a model that can be fine-tuned, through the command, on a tiny model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Folder, model};
use serde_json::Value;

/// A language of few words in which a word tells much about the next: 120 documents of some sentences each.
fn corpus() -> String {
    const SUBJECTS: [&str; 5] = ["the gardener", "a sailor", "my neighbour", "the old teacher", "one farmer"];
    const VERBS: [&str; 5] =
        ["waters the roses", "mends the sails", "feeds the cat", "reads the letters", "sells the apples"];
    const TIMES: [&str; 4] = ["in the morning", "after the rain", "before supper", "when the bell rings"];
    let sentence = |i: usize| {
        let subject = i * 7 % 5;
        format!("{} {} {}.", SUBJECTS[subject], VERBS[subject], TIMES[(i / 3) % 4])
    };
    let document = |d: usize| (0..4 + d % 5).map(|s| sentence(d * 13 + s * s + d / 7)).collect::<Vec<_>>().join(" ");
    (0..120).map(|d| format!("Day {d} at house {}. {}\n\n", d * 31 % 97, document(d))).collect()
}

const TINY: &[&str] = &[
    "--layers",
    "2",
    "--hidden",
    "32",
    "--heads",
    "2",
    "--vocab-size",
    "150",
    "--max-length",
    "48",
    "--batch-size",
    "8",
    "--lr",
    "5e-3",
    "--validation-fraction",
    "0.1",
];

fn pretrain<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["pretrain", "corpus.txt", "--output", output], TINY, more].concat()
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("corpus.txt", corpus());
    folder
}

/// The last held-out scores of an objective.
fn scores(results: &Value, objective: &str) -> (f64, f64) {
    let all = results["held_out"].as_array().unwrap();
    let own = all.iter().find(|scores| scores["objective"] == objective).unwrap();
    (own["loss"].as_f64().unwrap(), own["accuracy"].as_f64().unwrap())
}

/// The losses of counting alone, by frequency and by the word before.
fn counted(results: &Value) -> [f64; 2] {
    let all = results["baselines"].as_array().unwrap().iter().map(|scores| scores["loss"].as_f64().unwrap());
    all.collect::<Vec<_>>().try_into().unwrap()
}

/// Counting knows the word before; who writes of what stands on both sides, and further away.
#[test]
fn more_is_learnt_than_counting_can_know() {
    let folder = folder();
    let results: Value = serde_json::from_str(&folder.ok(&pretrain("out", &["--steps", "2500", "--json"]))).unwrap();
    let ((loss, accuracy), [unigram, bigram]) = (scores(&results, "mlm"), counted(&results));
    assert!(loss < bigram && bigram < unigram && accuracy > 0.7, "{results:#}");
}

#[test]
fn a_language_is_learnt_and_the_result_can_be_fine_tuned() {
    let folder = folder();
    let more = ["--objective", "mlm=1,nsp=0.5", "--steps", "300", "--json"];
    let results: Value = serde_json::from_str(&folder.ok(&pretrain("out", &more))).unwrap();
    let ((loss, _), [unigram, _]) = (scores(&results, "mlm"), counted(&results));
    assert!(loss < unigram, "{results:#}");
    assert!(results["proofs"]["trained_received_gradient"]["tensors"].as_u64().unwrap() > 30);
    assert_eq!(results["proofs"]["reloaded_same_logits"]["largest_difference"], 0.0);
    let config = folder.json("out/config.json");
    assert_eq!(config["architectures"][0], "BertForPreTraining");
    assert_eq!(config["vocab_size"], 150);
    let profile = folder.json("out/pretraining_profile.json");
    assert_eq!(profile["unigrams"][0][0], "the");
    assert_eq!(profile["sources"][0]["file"], "corpus.txt");
    assert_eq!(profile["sources"][0]["sha256"].as_str().unwrap().len(), 64);
    for file in ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "README.md", "plan.toml"]
    {
        assert!(folder.path("out").join(file).is_file(), "{file}");
    }
    assert!(!folder.path("out/checkpoint").exists());
    // The curve: evaluations at even distances of the budget, and the first of them is far from the last.
    let curve = folder.events("out", "predicted");
    let words: Vec<f64> =
        curve.iter().filter(|e| e["objective"] == "mlm").map(|e| e["loss"].as_f64().unwrap()).collect();
    assert_eq!(words.len(), 20);
    assert!(words[0] > words[19] + 0.3, "{words:?}");

    folder.ok(&["tune", "train.csv", "--model", "out", "--output", "tuned", "--epochs", "1", "--compare-seeds", "0"]);
    let again = ["pretrain", "corpus.txt", "--from", "out", "--output", "more", "--steps", "3"];
    folder.ok(&again);
    assert_eq!(folder.json("more/config.json")["architectures"][0], "BertForMaskedLM");

    // A sentence encoder stays one, also after it was tuned: the layer that computes its mean is no layer to go on with.
    std::fs::create_dir(folder.path("out/1_Pooling")).unwrap();
    folder.write("out/1_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    let tune =
        ["tune", "train.csv", "--model", "out", "--output", "of the mean", "--epochs", "1", "--compare-seeds", "0"];
    folder.ok(&tune);
    assert_eq!(folder.json("of the mean/config.json")["num_hidden_layers"], 3);
    for (from, output) in [("out", "on"), ("of the mean", "on again")] {
        folder.ok(&["pretrain", "corpus.txt", "--from", from, "--output", output, "--steps", "2"]);
        assert_eq!(folder.json(&format!("{output}/1_Pooling/config.json"))["pooling_mode"], "mean");
        assert_eq!(folder.json(&format!("{output}/config.json"))["num_hidden_layers"], 2);
    }
}

#[test]
fn a_model_without_the_heads_goes_on_and_says_that_they_are_new() {
    let folder = folder();
    let model = model();
    let output = folder.run(&[
        "pretrain",
        "corpus.txt",
        "--from",
        model.to_str().unwrap(),
        "--output",
        "out",
        "--max-length",
        "24",
        "--objective",
        "mlm,sop",
        "--steps",
        "4",
        "--batch-size",
        "4",
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("new: cls.predictions.transform.dense.weight") && said.contains("cls.seq_relationship"),
        "{said}"
    );
    assert_eq!(folder.bytes("out/tokenizer.json"), std::fs::read(model.join("tokenizer.json")).unwrap());
    // Short texts to learn from take nothing from the positions that the model knows.
    let positions = folder.json("out/config.json")["max_position_embeddings"].as_u64().unwrap();
    let longest = folder.json("out/tokenizer_config.json")["model_max_length"].as_u64().unwrap();
    assert!(longest > 24 && longest <= positions, "{longest} of {positions}");
}

#[test]
fn the_plan_repeats_the_run_to_the_bit_on_any_number_of_threads() {
    let folder = folder();
    folder.ok(&pretrain("a", &["--steps", "12", "--objective", "mlm,nsp", "--threads", "1"]));
    folder.ok(&["pretrain", "--recipe", "a/plan.toml", "--output", "b", "--threads", "2"]);
    folder.ok(&["pretrain", "--recipe", "a/plan.toml", "--output", "c", "--seed", "7"]);
    let weights = |run: &str| folder.bytes(&format!("{run}/model.safetensors"));
    assert!(weights("a") == weights("b"));
    assert!(weights("a") != weights("c"));
}

/// Accumulated passes are the full batch: losses are means over hidden words, not means of means.
#[test]
fn accumulated_passes_are_the_full_batch() {
    let folder = folder();
    folder.ok(&pretrain("whole", &["--steps", "5"]));
    let parts: Vec<&str> = pretrain("parts", &["--steps", "5", "--gradient-accumulation-steps", "4"])
        .into_iter()
        .map(|argument| if argument == "8" { "2" } else { argument })
        .collect();
    folder.ok(&parts);
    let (whole, parts) = (folder.losses("whole"), folder.losses("parts"));
    assert_eq!(whole.len(), 5);
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-4 * b, "{whole:?} {parts:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_to_the_same_weights() {
    let folder = folder();
    let steps = ["--steps", "400", "--save-every", "0.05s", "--objective", "mlm,nsp", "--hidden-dropout", "0.1"];
    let mut child = folder.command(&pretrain("part", &steps)).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let state = folder.path("part/checkpoint/trainer_state.json");
    while !state.exists() {
        assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "never saved");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.path("part/model.safetensors").exists(), "killed before the end");
    folder.fails(&["pretrain", "--resume", "part", "--lr", "1e-3"], &["--resume", "--lr"]);
    folder.ok(&["pretrain", "--resume", "part"]);
    folder.ok(&pretrain("whole", &steps));
    assert!(folder.bytes("part/model.safetensors") == folder.bytes("whole/model.safetensors"), "not the same bits");
    assert_eq!(folder.events("part", "step").len(), 400, "every step is in the log once");
    assert!(!folder.path("part/checkpoint").exists());
}

#[cfg(unix)]
#[test]
fn a_run_that_was_killed_before_it_had_saved_anything_starts_again() {
    let folder = folder();
    let steps = ["--steps", "150", "--save-every", "1h"];
    let mut child = folder.command(&pretrain("part", &steps)).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !folder.path("part/plan.toml").exists() {
        assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "never began");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = folder.run(&["pretrain", "--resume", "part"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("from the start"), "{said}");
    folder.ok(&pretrain("whole", &steps));
    assert!(folder.bytes("part/model.safetensors") == folder.bytes("whole/model.safetensors"), "not the same bits");
    assert_eq!(folder.events("part", "step").len(), 150, "every step is in the log once");
    folder.fails(&["pretrain", "--resume", "part"], &["part", "interrupted run"]);
}

/// What is left of the time, not all of it anew.
#[cfg(unix)]
#[test]
fn a_budget_of_time_goes_on_where_it_was() {
    let folder = folder();
    let time = ["--time", "4s", "--save-every", "0.05s"];
    let mut child = folder.command(&pretrain("out", &time)).stderr(Stdio::null()).spawn().unwrap();
    let state = folder.path("out/checkpoint/trainer_state.json");
    let spent = || -> f64 {
        let state = std::fs::read_to_string(&state).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        state.map_or(0.0, |state| state["elapsed"].as_f64().unwrap())
    };
    while spent() < 2.0 {
        assert!(child.try_wait().unwrap().is_none(), "never got so far");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (before, resumed) = (spent(), Instant::now());
    let results: Value = serde_json::from_str(&folder.ok(&["pretrain", "--resume", "out", "--json"])).unwrap();
    assert!(results["seconds"]["train"].as_f64().unwrap() <= 4.5, "{results:#}");
    assert!(resumed.elapsed().as_secs_f64() > 4.0 - before - 0.5, "the rest of the time was not used");
    let rates: Vec<f64> =
        folder.events("out", "step").iter().map(|step| step["learning_rate"].as_f64().unwrap()).collect();
    let highest = (0..rates.len()).max_by(|&a, &b| rates[a].total_cmp(&rates[b])).unwrap();
    assert!(rates[highest..].is_sorted_by(|a, b| a >= b), "the schedule began anew");
}

#[test]
fn corpora_and_settings_that_cannot_be_used() {
    let folder = folder();
    let fails = |corpus: &str, more: &[&str], parts: &[&str]| {
        let said = |flag: &&str| more.contains(flag);
        let tiny = TINY.chunks(2).filter(|pair| !said(&pair[0])).collect::<Vec<_>>().concat();
        let tiny = if more.contains(&"--from") { Vec::new() } else { tiny };
        let arguments = [&["pretrain", corpus, "--output", "out"], &tiny[..], more].concat();
        let hint = folder.fails(&arguments, parts);
        assert!(!folder.path("out").exists(), "something was written");
        hint
    };
    folder.write("empty.txt", "\n\n  \n");
    fails("empty.txt", &[], &["empty.txt", "document"]);
    folder.write("binary.txt", b"some text\n\0\x01\x02");
    fails("binary.txt", &[], &["binary.txt", "line 2", "zero byte"]);
    folder.write("damaged.txt", b"\xc3\xa9\ncaf\xe9\n");
    fails("damaged.txt", &[], &["damaged.txt", "line 2", "UTF-8"]);
    fails("missing.txt", &[], &["missing.txt"]);
    folder.write("table.csv", "body,date\nsome text,today\n");
    fails("table.csv", &[], &["table.csv", "`body`"]);

    let whole = corpus();
    folder.write("one.txt", whole.replace("\n\n", "\n"));
    let hint = fails("one.txt", &["--objective", "mlm,nsp"], &["nsp", "2 documents", "found 1"]);
    assert!(hint.contains("--objective mlm"), "{hint}");
    folder.write("few.txt", whole.split_inclusive("\n\n").take(6).collect::<String>());
    let hint = fails("few.txt", &["--vocab-size", "100", "--batch-size", "64"], &["64 passages", "found"]);
    assert!(hint.starts_with("--batch-size "), "{hint}");
    let hint = fails("corpus.txt", &["--vocab-size", "5000"], &["5000"]);
    assert!(hint.contains("--vocab-size"), "{hint}");

    fails("corpus.txt", &["--steps", "3", "--time", "1m"], &["--steps", "--time", "one budget"]);
    fails("corpus.txt", &["--objective", "nsp,sop"], &["--objective", "one head"]);
    fails("corpus.txt", &["--objective", "mlm,contrastive,sop"], &["--objective", "sop", "contrastive"]);
    fails("corpus.txt", &["--objective", "clm"], &["--objective", "mlm, nsp, sop, contrastive", "clm"]);
    fails("corpus.txt", &["--heads", "3"], &["num_attention_heads", "32", "3"]);
    fails("corpus.txt", &["--from", "x/y", "--preset", "nano"], &["--from", "--preset"]);
    folder.write("sizes.toml", "[model]\nvocab_size = 99\n");
    let model = model();
    let sizes = ["--from", model.to_str().unwrap(), "--recipe", "sizes.toml"];
    fails("corpus.txt", &sizes, &["--from", "sizes.toml", "vocab_size", "keeps its sizes"]);
    fails("corpus.txt", &["--shuffle-pair-labels"], &["--shuffle-pair-labels", "mlm", "expected nsp or sop"]);
    let control = ["--shuffle-pair-labels", "--objective", "contrastive"];
    fails("corpus.txt", &control, &["--shuffle-pair-labels", "--objective", "expected nsp or sop"]);
    fails("corpus.txt", &["--objective", "contrastive", "--batch-size", "1"], &["contrastive", "at least 2", "1"]);
    fails("corpus.txt", &["--objective", "nsp", "--batch-size", "1"], &["nsp", "at least 2", "1"]);
}
