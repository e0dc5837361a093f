//! Laws of formats: one table reads the same from every file that holds it, and what is no table is said to be what it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use topwork_data::{ColumnNames, Corpus, CorpusOptions, CorpusPart, DataError, Dataset, Format, Labels};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/formats");
const ROWS: [(&str, &str); 4] =
    [("plain", "billing"), ("a, \"quoted\" text", "other"), ("two\nlines 🍎", "billing"), ("café", "other")];
const CSV: &str =
    "text,label\nplain,billing\n\"a, \"\"quoted\"\" text\",other\n\"two\nlines 🍎\",billing\ncafé,other\n";

fn texts(dataset: &Dataset) -> Vec<(&str, &str)> {
    dataset.examples.iter().map(|e| (e.text.as_str(), e.label_text().unwrap_or(""))).collect()
}

fn read_path(path: &Path) -> Result<Dataset, DataError> {
    Dataset::read(path, &ColumnNames::default(), Labels::Required)
}

fn write(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Dataset, DataError> {
    let (_folder, path) = write(name, bytes.as_ref());
    read_path(&path)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn files_of_other_programs_hold_the_same_rows() {
    let names = "plain.parquet zstd.parquet sheet.xlsx lz4.feather zstd.feather stream.arrow columns.json index.json records.json \
                 split.json table.json lines.jsonl wrapped.json lists.json indented.json";
    for name in names.split_whitespace() {
        let dataset = read_path(&Path::new(FIXTURES).join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(texts(&dataset), ROWS, "{name}");
        assert_eq!(dataset.ignored_columns.last().map(String::as_str), Some("id"), "{name}");
        assert_eq!(dataset.sha256.len(), 64, "{name}");
        // The content decides, whatever the file is called.
        let copy = read("x.csv", std::fs::read(Path::new(FIXTURES).join(name)).unwrap()).unwrap();
        assert_eq!(texts(&copy), ROWS, "{name} in disguise");
    }
}

#[test]
fn classes_of_datasets_have_their_names() {
    for name in ["saved", "classes.parquet", "saved/data-00000-of-00001.arrow"] {
        let mut dataset = read_path(&Path::new(FIXTURES).join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(dataset.class_names.as_deref(), Some(&["other".to_string(), "billing".to_string()][..]), "{name}");
        assert_eq!(dataset.examples[0].label_text(), Some("1"));
        dataset.name_labels(&dataset.class_names.clone().unwrap()).unwrap();
        assert_eq!(texts(&dataset), ROWS, "{name}");
    }
    let words = read_path(&Path::new(FIXTURES).join("words.parquet")).unwrap();
    assert_eq!(words.class_names.as_deref(), Some(&["O".to_string(), "B-PER".to_string()][..]));
    assert_eq!(words.examples[0].words().collect::<Vec<_>>(), ["Ann", "ran"]);
}

#[test]
fn compressed_and_encoded_files_hold_the_same_rows() {
    let utf16: Vec<u8> = format!("\u{feff}{CSV}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf32: Vec<u8> = CSV.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    let zstd = zstd::stream::encode_all(CSV.as_bytes(), 1).unwrap();
    let zipped = archive(&[("rows.csv", CSV.as_bytes()), ("__MACOSX/._rows.csv", b"x")]);
    let files: [(&str, Vec<u8>); 9] = [
        ("a.csv.gz", gzip(CSV.as_bytes())),
        ("two-members.csv.gz", [gzip(&CSV.as_bytes()[..20]), gzip(&CSV.as_bytes()[20..])].concat()),
        ("a.csv.bz2", bzip2(CSV.as_bytes())),
        ("a.csv.zst", zstd),
        ("a.zip", zipped.clone()),
        ("a.zip.gz", gzip(&zipped)),
        ("utf16.csv", utf16.clone()),
        ("utf16.csv.gz", gzip(&utf16)),
        ("utf32.csv", utf32),
    ];
    for (name, bytes) in files {
        let dataset = read(name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(texts(&dataset), ROWS, "{name}");
        assert_eq!(dataset.format, Format::Csv, "{name}");
        assert_eq!(dataset.notes.len(), usize::from(name.starts_with("utf")), "{name}: {:?}", dataset.notes);
        assert!(read(name, &bytes[..bytes.len() - 5]).is_err(), "{name}: cut short");
    }
    let windows = read("a.csv", b"text,label\ncaf\xe9 costs 5 \x80,a\nb,b\n").unwrap();
    assert_eq!(windows.examples[0].text, "café costs 5 €");
    assert!(windows.notes[0].contains("Windows-1252") && windows.notes[0].contains("line 2"), "{:?}", windows.notes);
}

#[test]
fn a_corpus_has_the_texts_of_every_format() {
    let expected: Vec<String> = ROWS.iter().map(|(text, _)| (*text).to_string()).collect();
    let files =
        "plain.parquet sheet.xlsx lz4.feather stream.arrow saved columns.json records.json lines.jsonl indented.json";
    for name in files.split_whitespace() {
        let corpus = Corpus::read(&[Path::new(FIXTURES).join(name)], &CorpusOptions::default(), &mut |_| {});
        let corpus = corpus.unwrap_or_else(|error| panic!("{error}"));
        let documents: Vec<String> = corpus.documents(CorpusPart::Train).map(Result::unwrap).collect();
        assert_eq!(documents, expected, "{name}");
    }
    for (name, bytes) in [("a.csv.bz2", bzip2(CSV.as_bytes())), ("a.zip", archive(&[("rows.csv", CSV.as_bytes())]))] {
        let (_folder, path) = write(name, &bytes);
        let corpus = Corpus::read(&[path], &CorpusOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(corpus.counts().documents, 4, "{name}");
    }
    let (_folder, path) = write("a.txt", b"caf\xe9\n\nplain\n");
    let corpus = Corpus::read(&[path], &CorpusOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(corpus.documents(CorpusPart::Train).map(Result::unwrap).collect::<Vec<_>>(), ["café", "plain"]);
    assert!(corpus.notes()[0].contains("Windows-1252"), "{:?}", corpus.notes());
}

#[test]
fn what_spreadsheets_and_scripts_add_is_understood() {
    for (name, content) in [
        ("separator.csv", "sep=;\ntext;label\nx;a\ny;b\n"),
        ("separator-crlf.csv", "sep=;\r\ntext;label\r\nx;a\r\ny;b\r\n"),
        ("title.csv", "Survey of March\n\ntext;label\nx;a\ny;b\n"),
        ("wide-title.csv", "Survey of March,\nnobody knows why,\ntext,label\nx,a\ny,b\n"),
        ("old-mac.csv", "text,label\rx,a\ry,b\r"),
        ("bars.csv", "text|label\nx|a\ny|b\n"),
        ("backslash.csv", "text,label\n\"x\",a\n\"y\",b\n"),
    ] {
        let dataset = read(name, content).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(texts(&dataset), [("x", "a"), ("y", "b")], "{name}");
        assert_eq!(dataset.notes.len(), usize::from(name.contains("title")), "{name}: {:?}", dataset.notes);
    }
    let lines: Vec<usize> =
        read("t.csv", "A title\n\ntext,label\nx,a\n").unwrap().examples.iter().map(|e| e.line).collect();
    assert_eq!(lines, [4]);
    let escaped = read("a.csv", "text,label\n\"she said \\\"no\\\", twice\",a\ny,b\n").unwrap();
    assert_eq!(escaped.examples[0].text, "she said \"no\", twice");
}

#[test]
fn a_file_without_a_header_is_recognised_and_read_when_that_is_said() {
    let rows = "my printer is jammed again,hardware\na wrong bill,billing\nno toner,hardware\npay twice,billing\n";
    let (_folder, path) = write("train.csv", rows.as_bytes());
    let error = read_path(&path).unwrap_err();
    assert!(error.to_string().contains("expected column names in line 1, found a row"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("--no-header --text-column 1 --label-column 2"));
    let names = |no_header| ColumnNames {
        text: Some("1".into()),
        labels: vec!["2".into()],
        no_header,
        ..ColumnNames::default()
    };
    let dataset = Dataset::read(&path, &names(true), Labels::Required).unwrap();
    assert_eq!(dataset.examples.len(), 4);
    assert_eq!((dataset.examples[0].line, dataset.examples[0].label_text()), (1, Some("hardware")));
    let by_first_row = ColumnNames {
        text: Some("my printer is jammed again".into()),
        labels: vec!["hardware".into()],
        ..ColumnNames::default()
    };
    let lost = Dataset::read(&path, &by_first_row, Labels::Required).unwrap();
    assert!(lost.notes[0].contains("looks like a row"), "{:?}", lost.notes);
    let (_folder, path) = write("train.csv", b"text,label\nx,a\ny,b\n");
    let dataset = Dataset::read(&path, &names(true), Labels::Required).unwrap();
    assert!(dataset.examples.len() == 3 && dataset.notes[0].contains("looks like column names"), "{:?}", dataset.notes);
    let lists =
        read("values.json", "[[\"plain words\", \"a\"], [\"x\", \"b\"], [\"y\", \"a\"], [\"z\", \"b\"]]").unwrap_err();
    assert_eq!(lists.hint().as_deref(), Some("--text-column 1 --label-column 2"));
}

#[test]
fn what_python_writes_in_json_is_read() {
    let rows = "{\"text\": \"half \\ud83d\", \"label\": \"a\"}\n{\"text\": null, \"label\": NaN, \"x\": [Infinity]}\n";
    let dataset = read("a.jsonl", rows).unwrap();
    assert_eq!(texts(&dataset), [("half \u{fffd}", "a"), ("", "")]);
    assert!(dataset.notes[0].contains("1 texts hold half"), "{:?}", dataset.notes);
    let nested = "{\"review\": {\"text\": \"x\", \"by\": {\"id\": 3}}, \"label\": \"a\"}\n";
    let error = read("a.jsonl", nested).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("--text-column review.text"));
    let (_folder, path) = write("a.jsonl", nested.as_bytes());
    let names = ColumnNames { text: Some("review.text".into()), ..ColumnNames::default() };
    let dataset = Dataset::read(&path, &names, Labels::Required).unwrap();
    assert_eq!(texts(&dataset), [("x", "a")]);
    assert_eq!(dataset.ignored_columns, ["review.by.id"]);
}

#[test]
fn what_holds_no_rows_is_said_to_be_what_it_is() {
    let zipped = archive(&[("a.csv", b"x"), ("b.csv", b"y")]);
    for (name, bytes, part, hint) in [
        ("a.xz", &b"\xfd7zXZ\0rest"[..], "found xz", "xz -dk"),
        ("a.7z", b"7z\xbc\xaf\x27\x1crest", "found 7-Zip", "7z x"),
        ("a.zip", &zipped, "`a.csv`, `b.csv`", "unzip -j"),
        (
            "a.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        ("a.csv", b"<!DOCTYPE html>\n<html></html>", "a web page", "/resolve/"),
        ("a.parquet", b"PAR1 and nothing else", "whole Parquet file", "write the file again"),
        ("a.arrow", b"ARROW1\0\0nothing", "whole Arrow file", "write the file again"),
        ("a.csv.gz", &gzip(b"text,label\nx,y\n")[..15], "whole gzip file", "gzip -t"),
        ("a.json", b"{\"train\": [{\"text\": \"x\"}], \"test\": [{\"text\": \"y\"}]}", "`train`, `test`", "python3 -c"),
    ] {
        let error = read(name, bytes).unwrap_err();
        assert!(error.to_string().contains(name) && error.to_string().contains(part), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dataset_dict.json"), "{\"splits\": [\"train\", \"test\"]}").unwrap();
    let error = read_path(folder.path()).unwrap_err();
    assert!(error.to_string().contains("`train`, `test`") && error.hint().unwrap().contains("/train"), "{error}");
}

#[test]
fn damaged_files_are_errors_and_never_a_panic() {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for name in ["plain.parquet", "sheet.xlsx", "lz4.feather", "stream.arrow", "table.json", "indented.json"] {
        let whole = std::fs::read(Path::new(FIXTURES).join(name)).unwrap();
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let place = random(bytes.len());
                bytes[place] = random(256) as u8;
            }
            bytes.truncate(bytes.len() - random(20));
            // Whatever comes of it, it comes back.
            let _ = read(name, &bytes);
        }
    }
}

#[test]
fn an_error_is_short_however_wide_the_file_is() {
    let header: Vec<String> = (0..5000).map(|column| format!("column_{column}")).collect();
    let error = read("wide.csv", format!("{}\n{}\n", header.join(","), vec!["x"; 5000].join(","))).unwrap_err();
    assert!(error.to_string().len() + error.hint().unwrap().len() < 600, "{error}");
    let keys: Vec<String> = header.iter().map(|name| format!("\"{name}\": 0")).collect();
    let error = read("wide.jsonl", format!("{{{}}}\n", keys.join(","))).unwrap_err();
    assert!(error.to_string().len() + error.hint().unwrap().len() < 600, "{error}");
}
