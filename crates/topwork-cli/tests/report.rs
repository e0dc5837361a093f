//! The report of a run: written at its end, made again, and set beside others.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Folder, model, table};
use serde_json::Value;
use topwork_metrics::paired::{McNemar, mcnemar, paired_t};

/// A label that would run if it were not escaped.
const HOSTILE: &str = "<script>alert(1)</script>";

impl Folder {
    fn page(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }
}

/// Nothing is fetched and nothing of the data runs.
#[track_caller]
fn is_self_contained(page: &str) {
    for part in ["http://", "https://", "<script", "<img", "<link", "@import", "url(", "\u{202e}", "\u{0}"] {
        assert!(!page.contains(part), "{part:?} is in the page");
    }
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_run_leaves_its_report_and_says_where() {
    let folder = Folder::new();
    let model = model();
    let arguments = ["tune", "train.csv", "--test", "test.csv", "--model", model.to_str().unwrap(), "--output", "out"];
    let shown = folder.ok(&[&arguments[..], &["--epochs", "2", "--compare-seeds", "0"]].concat());
    assert!(shown.ends_with("report: out/report.html\n"), "{shown}");
    let page = folder.page("out/report.html");
    is_self_contained(&page);
    let accuracy = folder.json("out/all_results.json")["test"]["accuracy"].as_f64().unwrap();
    for part in [&format!("<strong>{:.1} %</strong>", 100.0 * accuracy), "tiny-bert", "train.csv", "24 test rows"] {
        assert!(page.contains(part), "{part}");
    }
    let results = folder.json("out/all_results.json");
    shows_its_scores(&page, &results);
    let gap = results["verdict"]["overfitting"]["accuracy_gap"]["value"].as_f64().unwrap();
    let of = |split: &str| results[split]["accuracy"].as_f64().unwrap();
    assert!((gap - (of("train") - of("test"))).abs() < 1e-9, "{gap}");
    let p = results["verdict"]["overfitting"]["p_chance"].as_f64().unwrap();
    let p = if p < 0.001 { "less than 0.1 %".to_string() } else { format!("{:.1} %", 100.0 * p) };
    assert!(page.contains(&format!("would look as good on held-out rows with a chance of {p}.")), "{p}");
    for id in ["result", "verdict", "training", "blocks", "classes", "rows", "proofs", "plan", "repeat"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(page.len() < 300_000, "{} bytes", page.len());

    std::fs::remove_file(folder.path("out/report.html")).unwrap();
    assert_eq!(folder.ok(&["report", "out"]), "report: out/report.html\n");
    assert_eq!(folder.page("out/report.html"), page, "the report is a function of the directory");
    folder.ok(&["report", "out"]);
}

/// Every score of every split stands in the page as it does in the results.
#[track_caller]
fn shows_its_scores(page: &str, results: &Value) {
    let splits: Vec<&str> = ["train", "validation", "test"].into_iter().filter(|s| results[s].is_object()).collect();
    let score = |split: &str, key: &str| results[split][key].as_f64().unwrap();
    let expected = |split: &str| {
        let shares = ["accuracy", "macro_f1"].map(|key| format!("{:.1} %", 100.0 * score(split, key)));
        let others = ["mcc", "loss"].map(|key| format!("{:.3}", score(split, key)));
        let rows = vec![results[split]["rows"].to_string()];
        [vec![split.to_string()], shares.to_vec(), others.to_vec(), rows].concat()
    };
    let mut shown = table(page, "Scores without dropout");
    // The interval is no number of the results.
    shown.iter_mut().for_each(|row| drop(row.remove(2)));
    assert_eq!(shown, splits.into_iter().map(expected).collect::<Vec<_>>());
}

#[test]
fn what_is_in_the_data_comes_out_escaped() {
    let folder = Folder::new();
    let hostile = folder.page("train.csv").replace("place", HOSTILE).replace("people", "<img src=x>\u{202e}\"'&");
    folder.write("<b>train.csv", hostile);
    let model = model();
    let arguments = ["tune", "<b>train.csv", "--model", model.to_str().unwrap(), "--output", "out", "--max-steps", "3"];
    folder.ok(&[&arguments[..], &["--compare-seeds", "0", "--validation-fraction", "0.3"]].concat());
    let page = folder.page("out/report.html");
    is_self_contained(&page);
    for part in ["&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;img src=x&gt;", "<bdi>&lt;b&gt;train.csv</bdi>"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn runs_are_set_side_by_side() {
    let folder = Folder::new();
    folder.tune("a", &["--epochs", "1", "--test", "test.csv"]);
    folder.tune("b", &["--epochs", "20", "--test", "test.csv", "--learning-rate", "3e-3"]);
    assert_eq!(folder.ok(&["report", "a", "b", "--output", "both.html"]), "report: both.html\n");
    let page = folder.page("both.html");
    is_self_contained(&page);
    for part in ["<b>A</b> <bdi>a</bdi>", "<b>B</b> <bdi>b</bdi>", "<code>learning_rate</code>"] {
        assert!(page.contains(part), "{part}");
    }
    let [first, second] = ["a", "b"].map(|run| -> Vec<bool> {
        let rows = folder.json(&format!("{run}/hard_rows.json"));
        rows["right"].as_str().unwrap().bytes().map(|letter| letter == b'1').collect()
    });
    let found = mcnemar(&first, &second);
    assert!(found.only_second > found.only_first, "the runs do not differ: {found:?}");
    let of = |run: &str| folder.json(&format!("{run}/all_results.json"))["test"]["accuracy"].as_f64().unwrap();
    let told = &table(&page, "Accuracy less that of")[0];
    assert_eq!(told[..2], ["B b".to_string(), format!("{:+.1}", 100.0 * (of("b") - of("a")))]);
    let McNemar { only_first, only_second, .. } = found;
    let counts = format!("(only it right {only_second}, only the first {only_first}, {})", p_value(found.p));
    assert!(told[3].ends_with(&counts), "{counts}: {told:?}");
    // Nothing that somebody made is written over.
    let hint = folder.fails(&["report", "a", "b", "--output", "both.html"], &["both.html", "not taken"]);
    assert_eq!(hint, "topwork report 'a' 'b' --output 'both-2.html'");
    folder.fails(&["report", "a", "--output", "train.csv"], &["train.csv", "not taken"]);
    folder.fails(&["report", "a", "b", "--output", "a/report.html"], &["a/report.html", "not taken"]);
    folder.ok(&["report", "a", "b"]);
    assert!(folder.path("report.html").is_file(), "of several runs, the report is here");
}

#[test]
fn runs_with_several_seeds_are_compared_seed_by_seed() {
    let folder = Folder::new();
    let tune = |run: &str, more: &[&str]| -> (Value, Vec<f64>) {
        let fast = ["--test", "test.csv", "--lr", "5e-3", "--head-learning-rate-scale", "10", "--batch-size", "8"];
        let results = folder.tune(run, &[&fast, more].concat());
        let scores = results["seeds"]["scores"].as_array().unwrap();
        let accuracies = scores.iter().map(|scores| scores["accuracy"].as_f64().unwrap()).collect();
        (results, accuracies)
    };
    let (_, first) = tune("a", &["--seeds", "3", "--seed", "5", "--epochs", "7"]);
    // Seeds 6 and 7 are in both.
    let (_, second) = tune("b", &["--seeds", "2", "--seed", "6", "--epochs", "5"]);
    folder.ok(&["report", "a", "b", "--output", "both.html"]);
    let told = &table(&folder.page("both.html"), "Mean accuracy over seeds, less that of")[0];
    let found = paired_t(&second, &first[1..]).unwrap();
    assert!(found.p > 0.0 && found.p < 1.0, "nothing to measure: {first:?} {second:?}");
    let sign = |part: f64| format!("{:+.1}", 100.0 * part).replace("+0.0", "0.0").replace('-', "−");
    assert_eq!(told[..3], ["B b".to_string(), "2".to_string(), sign(found.difference)]);
    assert_eq!(told[3], format!("{} to {}", sign(found.interval.0), sign(found.interval.1)));
    assert!(told[4].ends_with(&format!("({})", p_value(found.p))), "{told:?}");
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_string() } else { format!("p = {p:.3}") }
}

#[test]
fn with_more_classes_than_are_kept_the_page_says_so() {
    let folder = Folder::new();
    let model = model();
    for (classes, is_kept) in [(300, true), (301, false)] {
        let rows: String = (0..2 * classes).map(|row| format!("was said {row},label {}\n", row % classes)).collect();
        folder.write("many.csv", format!("text,label\n{rows}"));
        let output = format!("out-{classes}");
        let arguments = ["tune", "many.csv", "--test", "many.csv", "--model", model.to_str().unwrap()];
        folder.ok(&[&arguments[..], &["--output", &output, "--max-steps", "1", "--compare-seeds", "0"]].concat());
        let page = folder.page(&format!("{output}/report.html"));
        assert_eq!(folder.json(&format!("{output}/all_results.json"))["confusion"].is_object(), is_kept);
        assert_eq!(page.contains("Classes by their F1") || page.contains("with the lowest F1"), is_kept);
        let said =
            "<p>The model tells 301 classes apart, and which one was given for which is kept for at most 300.</p>";
        assert_eq!(page.contains(said), !is_kept);
    }
}

/// Every file below a folder with its bytes, and every folder.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => {
                all.extend(contents(&path));
                all.insert(path, None);
            }
            false => drop(all.insert(path.clone(), Some(std::fs::read(&path).unwrap()))),
        }
    }
    all
}

#[test]
fn a_report_that_cannot_be_written_is_said_and_the_run_stays_as_it_was() {
    let folder = Folder::new();
    folder.tune("out", &["--max-steps", "2"]);
    std::fs::remove_file(folder.path("out/report.html")).unwrap();
    folder.write("out/report.html/in the way.txt", "");
    let before = contents(&folder.path("out"));
    assert!(before.len() > 8, "{:?}", before.keys());
    folder.fails(&["report", "out"], &["out/report.html", "cannot be written"]);
    folder.fails(&["report", "out", "--output", "nowhere/page.html"], &["nowhere/page.html", "found none at nowhere"]);
    folder.fails(&["report", "out", "--output", "train.csv/page.html"], &["train.csv/page.html", "at train.csv"]);
    folder.fails(&["report", "out", "out", "--output", "out"], &["out", "not taken"]);
    assert!(contents(&folder.path("out")) == before, "the run was touched");
    assert!(!folder.path("nowhere").exists());
}

#[test]
fn a_run_whose_report_cannot_be_written_keeps_its_model_and_says_so() {
    let folder = Folder::new();
    let model = model();
    let arguments = ["tune", "train.csv", "--test", "test.csv", "--model", model.to_str().unwrap(), "--output", "out"];
    let steps = ["--max-steps", "6000", "--batch-size", "8", "--validation-fraction", "0.2", "--compare-seeds", "0"];
    let mut command = folder.command(&[&arguments[..], &steps].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !std::fs::read_to_string(folder.path("out/events.jsonl")).is_ok_and(|log| log.contains("evaluated")) {
        assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The run is on its way, and its report is written last.
    folder.write("out/report.html/in the way.txt", "");
    let output = child.wait_with_output().unwrap();
    let (shown, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("report")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(
        warnings[0].starts_with("warning: the report was not written: out/report.html: cannot be written"),
        "{said}"
    );
    assert!(shown.contains("saved: out") && !shown.contains("report:"), "{shown}");

    let results = folder.json("out/all_results.json");
    let scores: Value = serde_json::from_str(&folder.ok(&["evaluate", "out", "test.csv", "--json"])).unwrap();
    assert_eq!(scores["loss"], results["test"]["loss"], "the model is not the one that was scored");
    std::fs::remove_dir_all(folder.path("out/report.html")).unwrap();
    folder.ok(&["report", "out"]);
    shows_its_scores(&folder.page("out/report.html"), &results);
}

#[test]
fn what_is_no_finished_run_is_said() {
    let folder = Folder::new();
    folder.fails(&["report", "nowhere"], &["nowhere", "finished run", "nothing there"]);
    folder.fails(&["report", "train.csv"], &["train.csv", "finished run", "a file"]);
    folder.write("empty/readme.txt", "");
    folder.fails(&["report", "empty"], &["empty", "without all_results.json"]);
    folder.tune("out", &["--max-steps", "2"]);
    folder.write("out/hard_rows.json", "{\"split\": ");
    folder.fails(&["report", "out"], &["out/hard_rows.json", "found an error"]);
    std::fs::remove_file(folder.path("out/events.jsonl")).unwrap();
    std::fs::remove_file(folder.path("out/hard_rows.json")).unwrap();
    folder.fails(&["report", "out"], &["out/events.jsonl"]);
    std::fs::remove_file(folder.path("out/all_results.json")).unwrap();
    folder.write("out/events.jsonl", "");
    let hint = folder.fails(&["report", "out"], &["out", "not over or was killed"]);
    assert_eq!(hint, "topwork tune --resume 'out'");
}
