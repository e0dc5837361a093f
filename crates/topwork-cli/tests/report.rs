//! The report of a run: written at its end, made again, and set beside others.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};

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
    for id in ["result", "verdict", "training", "blocks", "classes", "rows", "proofs", "plan", "repeat"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(page.len() < 300_000, "{} bytes", page.len());

    std::fs::remove_file(folder.path("out/report.html")).unwrap();
    assert_eq!(folder.ok(&["report", "out"]), "report: out/report.html\n");
    assert_eq!(folder.page("out/report.html"), page, "the report is a function of the directory");
    folder.ok(&["report", "out"]);
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
    folder.tune("b", &["--epochs", "2", "--test", "test.csv", "--learning-rate", "3e-3"]);
    assert_eq!(folder.ok(&["report", "a", "b", "--output", "both.html"]), "report: both.html\n");
    let page = folder.page("both.html");
    is_self_contained(&page);
    for part in ["<b>A</b> <bdi>a</bdi>", "<b>B</b> <bdi>b</bdi>", "<code>learning_rate</code>", "p "] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing that somebody made is written over.
    let hint = folder.fails(&["report", "a", "b", "--output", "both.html"], &["both.html", "not taken"]);
    assert_eq!(hint, "topwork report 'a' 'b' --output 'both-2.html'");
    folder.fails(&["report", "a", "--output", "train.csv"], &["train.csv", "not taken"]);
    folder.fails(&["report", "a", "b", "--output", "a/report.html"], &["a/report.html", "not taken"]);
    folder.ok(&["report", "a", "b"]);
    assert!(folder.path("report.html").is_file(), "of several runs, the report is here");
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
