//! What is trained and measured beside the model never loses it: interruptions, divergence, a run that goes on.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, model};
use serde_json::Value;

/// Starts a fine-tuning of the tiny model into `output`.
fn start(folder: &Folder, output: &str, more: &[&str]) -> Child {
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", output];
    folder.command(&[&arguments, more].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run's log has a line with `part`.
fn wait_for(folder: &Folder, child: &mut Child, output: &str, part: &str) {
    let (started, path) = (Instant::now(), folder.path(output).join("events.jsonl"));
    while !std::fs::read_to_string(&path).is_ok_and(|log| log.contains(part)) {
        assert!(started.elapsed() < Duration::from_secs(60), "`{part}` never came");
        assert!(child.try_wait().unwrap().is_none(), "the run was over before `{part}`");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn interrupt(child: Child) -> std::process::Output {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

/// What was left out of a run, in one line.
fn unfinished(results: &Value) -> String {
    let all = results["unfinished"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().map(|what| what.as_str().unwrap()).collect::<Vec<_>>().join("; ")
}

#[test]
fn folds_that_are_interrupted_keep_the_model_and_those_that_are_done() {
    let folder = Folder::new();
    let more = ["--folds", "32", "--epochs", "40", "--threads", "1", "--compare-seeds", "0"];
    let mut child = start(&folder, "out", &more);
    wait_for(&folder, &mut child, "out", "fold 2 of 32");
    let output = interrupt(child);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let results = folder.json("out/all_results.json");
    let done = results["folds"]["scores"].as_array().unwrap().len();
    assert!((2..32).contains(&done), "{done}");
    assert_eq!(unfinished(&results), format!("folds: interrupted after {done} of 32; floor: interrupted"));
    // One row of each class in each; only those that have an answer are judged by.
    assert_eq!(results["folds"]["together"]["rows"], 3 * done);
    assert_eq!(folder.json("out/hard_rows.json")["right"].as_str().unwrap().len(), 3 * done);
    assert!(!folder.ok(&["evaluate", "out", "test.csv"]).is_empty());
    let page = String::from_utf8(folder.bytes("out/report.html")).unwrap();
    assert!(page.contains("interrupted after"), "the report says what is missing");
}

#[test]
fn seeds_that_are_interrupted_keep_the_model_and_those_that_are_done() {
    let folder = Folder::new();
    let more = ["--test", "test.csv", "--seeds", "40", "--epochs", "40", "--threads", "1"];
    let mut child = start(&folder, "out", &[&more[..], &["--permuted-control", "--compare-seeds", "2"]].concat());
    wait_for(&folder, &mut child, "out", "seed 43: accuracy");
    let output = interrupt(child);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let results = folder.json("out/all_results.json");
    let done = results["seeds"]["scores"].as_array().unwrap().len();
    assert!((2..40).contains(&done), "{done}");
    let left = unfinished(&results);
    for part in
        [&format!("seeds: interrupted after {done} of 40"), "permuted_control: interrupted", "compare_seeds: interr"]
    {
        assert!(left.contains(part), "`{part}` is not in: {left}");
    }
    let numbers = results["seeds"]["numbers"].as_array().unwrap();
    assert_eq!((numbers.len(), &numbers[0], &numbers[1]), (done, &Value::from(42), &Value::from(43)));
}

#[test]
fn a_run_that_goes_on_says_the_same_of_itself() {
    let folder = Folder::new();
    let more = [
        &["--max-steps", "6000", "--batch-size", "8", "--validation-fraction", "0.4"][..],
        &["--test", "test.csv", "--compare-seeds", "0"],
    ];
    let more = more.concat();
    let mut child = start(&folder, "part", &more);
    wait_for(&folder, &mut child, "part", "evaluated");
    assert_eq!(interrupt(child).status.code(), Some(130));
    folder.ok(&["tune", "--resume", "part"]);
    assert!(start(&folder, "whole", &more).wait().unwrap().success());
    let [part, whole] = ["part", "whole"].map(|output| folder.json(&format!("{output}/all_results.json")));
    assert_eq!(part["verdict"], whole["verdict"]);
    assert_eq!(part["calibration"], whole["calibration"]);
    let page = String::from_utf8(folder.bytes("part/report.html")).unwrap();
    assert!(!page.contains("stopped after step"), "a run that went on was not stopped");
}

#[test]
fn what_asks_for_held_out_rows_says_so_when_a_fraction_leaves_none() {
    let folder = Folder::new();
    folder.write("few.csv", "text,label\nthere is it,place\nthere was,place\npeople said,person\npeople go,person\n");
    let model = model();
    let arguments = ["tune", "few.csv", "--model", model.to_str().unwrap(), "--output", "out", "--epochs", "1"];
    let output = folder.run(&[&arguments[..], &["--validation-fraction", "0.1", "--seeds", "3"]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let results = folder.json("out/all_results.json");
    assert!(unfinished(&results).contains("seeds: there are no held-out rows"), "{}", unfinished(&results));
}

#[test]
fn folds_take_the_place_of_a_fraction_in_a_plan() {
    let folder = Folder::new();
    folder.tune("out", &["--epochs", "1", "--validation-fraction", "0.1"]);
    let arguments = ["tune", "--recipe", "out/plan.toml", "--output", "again", "--folds", "3", "--compare-seeds", "0"];
    let hint = folder.fails(&arguments, &["--folds", "validation_fraction"]);
    assert_eq!(hint, "--folds 3 --validation-fraction 0");
    folder.ok(&[&arguments[..], &["--validation-fraction", "0"]].concat());
    assert_eq!(folder.json("again/all_results.json")["folds"]["together"]["rows"], 96);
}

#[test]
fn a_class_of_one_text_is_in_one_fold() {
    let folder = Folder::new();
    let same = "There is it,place\n".repeat(3) + "there  is it,place\n";
    let others: String = (0..8).map(|row| format!("people said {row},person\n")).collect();
    folder.write("train.csv", format!("text,label\n{same}{others}"));
    let model = model();
    let arguments = ["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "out", "--folds", "2"];
    folder.fails(&arguments, &["folds", "train.csv", "different texts", "`place`", "2"]);
    assert!(!folder.path("out").exists());
}
