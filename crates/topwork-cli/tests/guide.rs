//! The guide's examples, run as they stand on the pages.
//!
//! An HTML comment before a fenced block says what the block is: `example: file NAME` is written into the page's folder,
//! `example: command` is run there and succeeds, `example: command fails` is run and ends with exit code 1, and every line of
//! `example: output contains` is part of a line that was printed so far; `…` stands for anything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::{Path, PathBuf};

use common::Folder;

/// The pages that have examples, each with a test below.
const PAGES: [&str; 6] =
    ["data.md", "fine-tuning.md", "models.md", "multi-label.md", "regression.md", "token-classification.md"];

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// What a marked block is, and its content.
fn examples(page: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("<!-- example: ").and_then(|line| line.strip_suffix(" -->")) else {
            continue;
        };
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "`{line}` is not before a fenced block, but before `{fence}`");
        let block = lines.by_ref().take_while(|line| *line != "```");
        found.push((kind, block.flat_map(|line| [line, "\n"]).collect()));
    }
    found
}

/// Whether `line` has these parts, in their order.
fn has_parts(mut line: &str, expected: &str) -> bool {
    expected.split('…').all(|part| match line.split_once(part) {
        Some((_, rest)) => {
            line = rest;
            true
        }
        None => false,
    })
}

/// Runs the examples of a page, from the first to the last.
#[track_caller]
fn run(name: &str) {
    let page = std::fs::read_to_string(guide().join(name)).unwrap();
    let (folder, mut printed, mut checked) = (Folder::new(), String::new(), 0);
    for (kind, block) in examples(&page) {
        match kind.split_once(' ').unwrap_or((kind, "")) {
            ("file", file) => folder.write(file, &block),
            ("command", how) => {
                for line in block.lines() {
                    let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "#").collect();
                    assert_eq!(words[0], "topwork", "{name}: {line}");
                    let output = folder.run(&words[1..]);
                    let errors = String::from_utf8(output.stderr).unwrap();
                    let code = if how == "fails" { 1 } else { 0 };
                    assert_eq!(output.status.code(), Some(code), "{name}: {line}: {errors}");
                    printed += &String::from_utf8(output.stdout).unwrap();
                    printed += &errors;
                }
            }
            ("output", "contains") => {
                for line in block.lines() {
                    let is_there = printed.lines().any(|printed| has_parts(printed, line));
                    assert!(is_there, "{name}: the commands did not print `{line}`, but:\n{printed}");
                    checked += 1;
                }
            }
            _ => panic!("{name}: no such kind of example: {kind}"),
        }
    }
    assert!(checked > 0, "{name}: no example says what is printed");
}

#[test]
fn data() {
    run("data.md");
}

#[test]
fn classes() {
    run("fine-tuning.md");
}

#[test]
fn families_and_refusals() {
    run("models.md");
}

#[test]
fn any_number_of_labels() {
    run("multi-label.md");
}

#[test]
fn numbers() {
    run("regression.md");
}

#[test]
fn tags_of_words() {
    run("token-classification.md");
}

/// A page whose examples nothing runs would go out of date unseen.
#[test]
fn every_page_with_examples_is_run() {
    let entries = std::fs::read_dir(guide()).unwrap().map(|entry| entry.unwrap());
    let has_examples = |path: &Path| !examples(&std::fs::read_to_string(path).unwrap()).is_empty();
    let with_examples = entries.filter(|entry| has_examples(&entry.path()));
    let mut names: Vec<String> = with_examples.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, PAGES);
}
