//! Laws of reading: what stands in a file comes out, and what cannot be read is said with file, line and column.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;

use tempfile::TempDir;
use topwork_data::{
    ColumnNames, DataError, Dataset, Format, LabelSet, Labels, MissingLabels, TargetKind, label_variants,
};

fn write(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Dataset, DataError> {
    let (_folder, path) = write(name, bytes.as_ref());
    Dataset::read(&path, &ColumnNames::default(), Labels::Required)
}

fn texts(dataset: &Dataset) -> Vec<(&str, &str)> {
    dataset.examples.iter().map(|e| (e.text.as_str(), e.label_text().unwrap_or(""))).collect()
}

#[track_caller]
fn fails(name: &str, bytes: impl AsRef<[u8]>, parts: &[&str]) -> DataError {
    let error = read(name, bytes).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(name), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(error.hint().is_some(), "no hint: {text}");
    error
}

const ROWS: [(&str, &str); 4] = [("plain", "a"), ("a, \"quoted\" text", "b"), ("two\nlines 🍎", "a"), ("", "b")];

#[test]
fn one_content_in_every_format_gives_the_same_rows() {
    let csv = "text,label\nplain,a\n\"a, \"\"quoted\"\" text\",b\n\"two\nlines 🍎\",a\n,b\n";
    let jsonl: String =
        ROWS.iter().map(|(text, label)| serde_json::json!({"text": text, "label": label}).to_string() + "\n").collect();
    let array = format!("[{}]", jsonl.trim().replace('\n', ",\n"));
    let files = [
        ("a.csv", csv.to_string(), Format::Csv),
        ("crlf.csv", csv.replace('\n', "\r\n"), Format::Csv),
        ("bom.csv", format!("\u{feff}{csv}"), Format::Csv),
        (
            "a.tsv",
            "text\tlabel\nplain\ta\n\"a, \"\"quoted\"\" text\"\tb\n\"two\nlines 🍎\"\ta\n\tb\n".into(),
            Format::Tsv,
        ),
        ("semicolons.csv", csv.replacen(',', ";", 1).replace(",a", ";a").replace(",b", ";b"), Format::CsvSemicolon),
        ("a.jsonl", jsonl.clone(), Format::JsonLines),
        ("json-in-disguise.csv", jsonl.clone(), Format::JsonLines),
        ("crlf.jsonl", jsonl.replace('\n', "\r\n"), Format::JsonLines),
        ("a.json", array, Format::JsonArray),
        ("no-ending", csv.to_string(), Format::Csv),
    ];
    for (name, content, format) in files {
        let dataset = read(name, content).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(dataset.format, format, "{name}");
        assert_eq!(texts(&dataset), ROWS, "{name}");
    }
}

#[test]
fn a_label_of_space_alone_is_none() {
    for (name, rows) in [
        ("a.csv", "text,label\nx,a\ny, \nz,b\n"),
        ("a.tsv", "text\tlabel\nx\ta\ny\t\u{a0} \n"),
        ("a.jsonl", "{\"text\": \"x\", \"label\": \"a\"}\n\n{\"text\": \"y\", \"label\": \" \\t\"}\n"),
        ("absent.jsonl", "{\"text\": \"x\", \"label\": \"a\"}\n\n{\"text\": \"y\"}\n"),
    ] {
        let mut dataset = read(name, rows).unwrap();
        assert_eq!(dataset.examples[1].label, None, "{name}");
        let error = dataset.settle_missing(MissingLabels::Error, TargetKind::Class).unwrap_err();
        assert!(error.to_string().contains("`label`") && error.to_string().contains("line 3"), "{error}");
        assert_eq!(error.hint().as_deref(), Some("--missing-labels drop"));
    }
    let mut dataset = read("a.csv", "text,label\nx,a\ny,b\n").unwrap();
    dataset.examples[1].label = Some("  ".into());
    let error = LabelSet::from_training(&dataset).unwrap_err();
    assert!(matches!(&error, DataError::MissingLabels { lines, .. } if lines[0].0 == 3), "{error}");
    assert!(Dataset::from_rows("rows", dataset.columns.clone(), dataset.examples).is_err());
}

#[test]
fn words_for_a_missing_label_are_left_out_kept_or_an_error() {
    let rows = "text,label\nx,a\ny,nan\nz,b\nw,<NA>\nv,\n";
    let mut dataset = read("a.csv", rows).unwrap();
    dataset.find_missing();
    let error = dataset.clone().settle_missing(MissingLabels::Error, TargetKind::Class).unwrap_err().to_string();
    for part in ["found none in 3 of 5", "line 3 (`nan`)", "line 5 (`<NA>`)", "line 6"] {
        assert!(error.contains(part), "{error}");
    }
    let note = dataset.settle_missing(MissingLabels::Drop, TargetKind::Class).unwrap().unwrap();
    assert!(note.contains("3 of 5 rows have no label"), "{note}");
    assert_eq!(texts(&dataset), [("x", "a"), ("z", "b")]);
    let kept = read("a.csv", "text,label\nx,a\ny,nan\n").unwrap();
    assert_eq!(LabelSet::from_training(&kept).unwrap().names(), ["a", "nan"], "as labels stand, until somebody looks");
    let mut sparse = read("a.csv", rows).unwrap();
    sparse.find_missing();
    let note = sparse.settle_missing(MissingLabels::Drop, TargetKind::Labels).unwrap().unwrap();
    assert!(note.contains("2 of 5"), "an empty field is a row to which no label applies: {note}");
    let mut none = read("a.csv", "text,label\nx,nan\ny,nan\n").unwrap();
    none.find_missing();
    assert!(none.settle_missing(MissingLabels::Drop, TargetKind::Class).is_err(), "no row would be left");
}

#[test]
fn a_record_knows_the_line_on_which_it_begins() {
    let dataset = read("a.csv", "text,label\n\"one\ntwo\",a\n\nthree,b\n").unwrap();
    assert_eq!(dataset.examples.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 5]);
}

#[test]
fn one_row_is_enough_to_read_and_a_missing_last_line_break_does_no_harm() {
    assert_eq!(texts(&read("a.csv", "text,label\nhello,x").unwrap()), [("hello", "x")]);
    assert_eq!(texts(&read("a.jsonl", "{\"text\": \"hello\", \"label\": 3}").unwrap()), [("hello", "3")]);
}

#[test]
fn pairs_are_found_by_their_usual_names() {
    for header in ["text_a,text_b,label", "sentence1,sentence2,label", "premise,hypothesis,label"] {
        let dataset = read("a.csv", format!("id,{header}\n1,left,right,x\n2,l,r,y\n")).unwrap();
        let first = &dataset.examples[0];
        assert_eq!((first.text.as_str(), first.text_pair.as_deref()), ("left", Some("right")), "{header}");
        assert_eq!(dataset.ignored_columns, ["id"]);
    }
}

#[test]
fn named_columns_win() {
    let (_folder, path) = write("a.csv", b"text,body,label,stars\nx,wanted,no,5\n");
    let names = ColumnNames { text: Some("body".into()), labels: vec!["stars".into()], ..ColumnNames::default() };
    let dataset = Dataset::read(&path, &names, Labels::Required).unwrap();
    assert_eq!(texts(&dataset), [("wanted", "5")]);
}

#[test]
fn plain_lines_are_texts_where_labels_are_not_needed() {
    let (_folder, path) = write("lines.txt", b"first, with a comma\r\n\r\nthird");
    let dataset = Dataset::read(&path, &ColumnNames::default(), Labels::Optional).unwrap();
    assert_eq!(
        dataset.examples.iter().map(|e| e.text.as_str()).collect::<Vec<_>>(),
        ["first, with a comma", "", "third"]
    );
}

#[test]
fn labels_are_numbered_by_value_or_by_name() {
    let numbers = read("a.csv", "text,label\nx,10\ny,2\nz,-1\n").unwrap();
    assert_eq!(LabelSet::from_training(&numbers).unwrap().names(), ["-1", "2", "10"]);
    let names = read("a.csv", "text,label\nx,b\ny,B\nz,a10\n").unwrap();
    let labels = LabelSet::from_training(&names).unwrap();
    assert_eq!(labels.names(), ["B", "a10", "b"]);
    assert_eq!(labels.encode(&names).unwrap(), [2, 0, 1]);
    assert_eq!(label_variants(labels.names()), [("B".to_string(), "b".to_string())]);
}

#[test]
fn a_missing_column_is_named_with_those_there_are() {
    let error = fails("a.csv", "comment,label\nx,y\n", &["line 1", "`text`", "`comment`"]);
    assert!(error.hint().unwrap().starts_with("--text-column comment"));
    let error = fails("a.csv", "text,Sentiment\nx,y\n", &["line 1", "`label`", "`Sentiment`"]);
    assert!(error.hint().unwrap().starts_with("--label-column Sentiment"));
    fails("a.jsonl", "{\"label\": \"x\", \"text\": \"a\"}\n{\"label\": \"x\"}\n", &["line 2", "`text`"]);
}

#[test]
fn irregular_rows_are_errors_with_their_line() {
    fails("a.csv", "text,label\nx,y\nx,y,z\n", &["line 3", "2 fields", "found 3"]);
    fails("a.csv", "text,label\nx,y\n\"he said\" no,z\n", &["line 3", "closed by a quote"]);
    fails("a.jsonl", "{\"text\": \"x\", \"label\": \"y\", \"label\": \"z\"}\n", &["line 1", "`label` once"]);
    fails("a.jsonl", "{'text': 'x', 'label': 'y'}\n", &["line 1", "as Python prints it"]);
    fails("a.csv", "text,label\nx,y\n\"never closed,z\n", &["line 3", "closed by a quote"]);
    fails("a.jsonl", "{\"text\": \"x\", \"label\": \"y\"}\n{\"text\": \n", &["line 2", "broken JSON"]);
    fails("a.jsonl", "{\"text\": \"x\", \"label\": \"y\"}\n[1]\n", &["line 2", "an array"]);
    fails("a.jsonl", "{\"text\": 3, \"label\": \"y\"}\n", &["line 1", "`text`", "a number"]);
}

#[test]
fn nothing_to_read_is_said_plainly() {
    fails("a.csv", "", &["an empty file"]);
    fails("a.csv", "\n \n", &["an empty file"]);
    fails("a.csv", "text,label\n", &["only a header"]);
}

#[test]
fn bytes_that_are_no_text_are_pointed_at() {
    let error = fails("a.csv", b"text,label\n\xc3\xa9,a\ncaf\xe9,b\n", &["line 3", "0xe9", "offset 19"]);
    assert!(error.hint().unwrap().starts_with("iconv -f WINDOWS-1251 -t UTF-8"));
    fails("a.csv", b"text,label\n\xe9\0,a\n", &["line 2", "zero byte"]);
}

#[test]
fn a_file_that_is_not_there_or_no_file_is_said() {
    let (folder, path) = write("train.csv", b"text,label\nx,y\n");
    let error = Dataset::read(&folder.path().join("trian.csv"), &ColumnNames::default(), Labels::Required).unwrap_err();
    assert!(error.to_string().contains("no such file"));
    assert!(error.hint().unwrap().contains(path.to_str().unwrap()));
    let error = Dataset::read(folder.path(), &ColumnNames::default(), Labels::Required).unwrap_err();
    assert!(error.to_string().contains("found a directory"));
}

#[test]
fn one_class_and_unseen_labels_are_refused() {
    let one = read("a.csv", "text,label\nx,y\nz,y\n").unwrap();
    let error = LabelSet::from_training(&one).unwrap_err();
    assert!(error.to_string().contains("found only `y`"));
    let labels = LabelSet::from_names(vec!["sport".into(), "politics".into()]).unwrap();
    let test = read("test.csv", "text,label\nx,sport\nz,Politics\n").unwrap();
    let error = labels.encode(&test).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("test.csv: line 3: column `label`") && text.contains("`Politics`"), "{text}");
    assert!(error.hint().unwrap().contains("`politics`"));
}
