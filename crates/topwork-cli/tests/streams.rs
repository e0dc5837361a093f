//! Laws of `predict` and `evaluate` on streams: every format is known by its content, rows are answered in order as they come, and other
//! columns come through.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use common::Folder;

fn piped(folder: &Folder, arguments: &[&str], input: &str) -> Output {
    let mut command = folder.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn answered(folder: &Folder, arguments: &[&str], input: &str) -> Vec<String> {
    let output = piped(folder, arguments, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A folder with a model in `out`.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.tune("out", &["--epochs", "1"]);
    folder
}

#[test]
fn standard_input_is_read_as_a_file_of_the_same_content_is() {
    let folder = folder();
    let csv = "text,label\nwhich people,a\n\"there, is\",b\n";
    let jsonl = "{\"text\": \"which people\"}\n{\"text\": \"there, is\"}\n";
    let lines = "which people\nthere, is\n";
    folder.write("same.csv", csv);
    let expected: Vec<String> = folder.ok(&["predict", "out", "same.csv"]).lines().map(str::to_owned).collect();
    assert_eq!(expected.len(), 3);
    for input in [csv, jsonl, lines, "text\twhat\nwhich people\t1\nthere, is\t2\n"] {
        let found = answered(&folder, &["predict", "out"], input);
        let without: Vec<String> = found
            .iter()
            .map(|line| {
                line.trim_start_matches("what,").trim_start_matches(['1', '2']).trim_start_matches(',').to_string()
            })
            .collect();
        assert_eq!(without, expected, "{input}");
        assert_eq!(answered(&folder, &["predict", "out", "-"], input), found);
    }
    let array = "[{\"text\": \"which people\"},\n {\"text\": \"there, is\"}]";
    assert_eq!(answered(&folder, &["predict", "out"], array), expected);
    let scores =
        answered(&folder, &["evaluate", "out", "-"], &std::fs::read_to_string(folder.path("test.csv")).unwrap());
    assert_eq!(scores.join("\n"), folder.ok(&["evaluate", "out", "test.csv"]).trim_end());
}

#[test]
fn other_columns_come_through_in_the_order_of_the_rows() {
    let folder = folder();
    folder.write("ids.csv", "id,text,score\n7,which people,0.5\n3,there is,0.25\n");
    let found = folder.ok(&["predict", "out", "ids.csv"]);
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[0], "id,input_score,text,label,score");
    assert!(lines[1].starts_with("7,0.5,which people,") && lines[2].starts_with("3,0.25,there is,"), "{found}");
    folder.write("ids.jsonl", "{\"id\": 7, \"text\": \"which people\", \"more\": [1, 2]}\n{\"text\": null}\n");
    let found = folder.ok(&["predict", "out", "ids.jsonl", "--json"]);
    let rows: Vec<serde_json::Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["id"], &rows[0]["more"][1], &rows[1]["text"]), (&7.into(), &2.into(), &"".into()));
    assert!(rows[1]["id"].is_null() && rows[1]["label"].is_string());
}

#[test]
fn an_empty_text_has_its_place_in_every_format() {
    let folder = folder();
    let texts = |output: String| -> Vec<String> {
        output.lines().skip(1).map(|line| line.split(',').next().unwrap().to_string()).collect()
    };
    for (name, content) in [
        ("one.csv", "text\nwhich\n\nthere\n"),
        ("one.txt", "which\n\nthere\n"),
        ("two.csv", "text,id\nwhich,1\n,2\nthere,3\n"),
        ("null.jsonl", "{\"text\": \"which\"}\n{\"text\": null}\n{\"text\": \"there\"}\n"),
        ("empty.json", "[{\"text\": \"which\"}, {\"text\": \"\"}, {\"text\": \"there\"}]"),
    ] {
        folder.write(name, content);
        let output = folder.ok(&["predict", "out", name]);
        let output = match name {
            "two.csv" => output.lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect(),
            _ => output,
        };
        assert_eq!(texts(output), ["which", "", "there"], "{name}");
    }
}

#[test]
fn a_row_is_answered_before_the_next_one_comes() {
    let folder = folder();
    let mut command = folder.command(&["predict", "out"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for (number, text) in ["which people", "there is"].into_iter().enumerate() {
        writeln!(input, "{text}").unwrap();
        if number == 0 {
            assert_eq!(output.next().unwrap().unwrap(), "text,label,score");
        }
        // Nothing more comes until this is answered.
        assert!(output.next().unwrap().unwrap().starts_with(text));
    }
    drop(input);
    assert!(output.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn what_a_stream_has_wrong_is_an_error_with_its_line() {
    let folder = folder();
    for (name, content, parts) in [
        ("quote.csv", "id,text\n1,\"hello there\n2,how\n3,\"x\"\n4,y\n", ["line 2", "closed by a quote"]),
        ("inner.csv", "id,text\n1,\"hello\" there\n", ["line 2", "closed by a quote"]),
        ("twice.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\", \"text\": \"c\"}\n", ["line 2", "found it twice"]),
        ("other.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n", ["line 2", "expected a field `text`"]),
    ] {
        folder.write(name, content);
        let output = folder.run(&["predict", "out", name]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{name}: {error}");
    }
    let texts = |input: &str, more: &[&str]| answered(&folder, &[&["predict", "out"], more].concat(), input).len() - 1;
    assert_eq!(texts("[\n  {\"text\": \"which\"},\n  {\"text\": \"there\"}\n]\n", &[]), 2);
    assert_eq!(texts("review\nwhich\nthere\n", &["--text-column", "review"]), 2);
    assert_eq!(texts("id,text\n1,\"two\nlines\"\n2,x\n", &[]), 3, "a row over two lines, and another");
    folder.write("western.csv", b"id,text\n1,caf\xe9 bill\n");
    let note = String::from_utf8(folder.run(&["predict", "out", "western.csv"]).stderr).unwrap();
    assert!(note.contains("read as Windows-1252: line 2"), "{note}");
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = folder();
    folder.write("good.csv", "text,id\nwhich,1\n");
    assert_eq!(folder.ok(&["predict", "out", "good.csv", "--output", "answers.csv"]), "");
    let whole = String::from_utf8(folder.bytes("answers.csv")).unwrap();
    assert!(whole.starts_with("id,text,label,score\n1,which,"), "{whole}");
    let rows: String = (0..600).map(|row| format!("which,{row}\n")).collect();
    folder.write("bad.csv", format!("text,id\n{rows}which\n"));
    let failed = folder.run(&["predict", "out", "bad.csv", "--output", "answers.csv"]);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(failed.status.code() == Some(1) && error.contains("bad.csv: line 602: expected 2 fields"), "{error}");
    assert_eq!(String::from_utf8(folder.bytes("answers.csv")).unwrap(), whole, "the earlier file is still there");
}

#[test]
fn outputs_take_the_names_that_a_file_gives() {
    let folder = folder();
    folder.write("names.txt", "one\ntwo\nthree\n");
    let named = folder.ok(&["predict", "out", "test.csv", "--label-names-file", "names.txt"]);
    assert!(
        named.lines().skip(1).all(|line| ["one", "two", "three"].contains(&line.split(',').nth(1).unwrap())),
        "{named}"
    );
    folder.write("few.txt", "one\n");
    folder.fails(&["predict", "out", "test.csv", "--label-names-file", "few.txt"], &["expected 3 names", "found 1"]);
}

#[test]
fn evaluate_says_what_the_model_learnt_from() {
    let folder = folder();
    let seen = folder.run(&["evaluate", "out", "train.csv", "--json"]);
    let warning = String::from_utf8(seen.stderr).unwrap();
    assert!(warning.contains("the model learnt from") && warning.contains("of 96 rows"), "{warning}");
    let rows: Vec<String> =
        std::fs::read_to_string(folder.path("train.csv")).unwrap().lines().take(31).map(str::to_owned).collect();
    let test = std::fs::read_to_string(folder.path("test.csv")).unwrap();
    let more: Vec<&str> = test.lines().skip(1).collect();
    folder.write("mixed.csv", format!("{}\n{}\n", rows.join("\n"), more.join("\n")));
    let mixed: serde_json::Value =
        serde_json::from_str(&folder.ok(&["evaluate", "out", "mixed.csv", "--json"])).unwrap();
    let clean: serde_json::Value =
        serde_json::from_str(&folder.ok(&["evaluate", "out", "test.csv", "--json"])).unwrap();
    assert!(clean.get("learnt_rows").is_none());
    let learnt = mixed["learnt_rows"].as_u64().unwrap();
    assert!(learnt > 0 && mixed["not_learnt_from"]["rows"].as_u64().unwrap() == 54 - learnt, "{mixed}");
}
