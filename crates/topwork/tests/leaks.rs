//! Laws of leaks: rows that were learnt from judge nothing, wherever they stand, and what is left out is counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "what these tests do not use, those of the tasks do")]
mod task_runs;

use task_runs::{Folder, jsonl, supervised};
use topwork::tune::results::Results;
use topwork_data::TargetKind;

fn folder() -> Folder {
    Folder::tiny(supervised().find(|task| task.kind() == TargetKind::Class).unwrap())
}

const QUICK: [(&str, &str); 2] = [("num_train_epochs", "1"), ("compare_seeds", "0")];

#[test]
fn test_rows_that_are_training_rows_are_left_out_and_counted() {
    let folder = folder();
    let (honest, learnt) = (jsonl(TargetKind::Class, 100..112), jsonl(TargetKind::Class, 0..8));
    let (_, alone) = folder.tune("alone", &QUICK);
    assert!(alone.leaks.is_empty());
    // The same words in capitals and with other spaces.
    let shout = |line: &str| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["text"] = row["text"].as_str().unwrap().to_uppercase().replace(' ', "  ").into();
        format!("{row}\n")
    };
    let shouted: String = learnt.lines().map(shout).collect();
    folder.write("test.jsonl", &format!("{honest}{shouted}"));
    let (_, mixed) = folder.tune("mixed", &QUICK);
    let [leaked] = &mixed.leaks[..] else { panic!("{:?}", mixed.leaks) };
    assert_eq!((leaked.split.as_str(), leaked.rows, leaked.same, leaked.near), ("test", 20, 8, 0));
    assert_eq!(leaked.lines, (13..=20).collect::<Vec<_>>());
    assert_eq!(mixed.test, alone.test, "the scores are those of the other rows");
    let said = |results: &Results| serde_json::to_value(&results.verdict).unwrap();
    assert_eq!(said(&mixed), said(&alone));
    let card = std::fs::read_to_string(folder.path("mixed/README.md")).unwrap();
    assert!(card.contains("8 of 20 rows stand in the training file too"), "{card}");
}

#[test]
fn a_test_file_of_training_rows_alone_lets_nothing_be_claimed() {
    let folder = folder();
    folder.write("test.jsonl", &jsonl(TargetKind::Class, 0..24));
    let (_, results) = folder.tune("out", &[&QUICK[..], &[("validation_fraction", "0")]].concat());
    assert!(results.test.is_none() && results.leaks[0].sentence.contains("nothing is claimed"), "{:?}", results.leaks);
    assert_eq!(results.verdict.overfitting.finding.name(), "unknown");
    assert!(results.calibration.is_none_or(|calibration| calibration.temperature.is_none()));
}

#[test]
fn validation_rows_are_neither_training_nor_test_rows() {
    let folder = folder();
    let rows = [jsonl(TargetKind::Class, 200..206), jsonl(TargetKind::Class, 0..3), jsonl(TargetKind::Class, 100..104)];
    folder.write("validation.jsonl", &rows.concat());
    let path = folder.path("validation.jsonl");
    let file = ("validation_file", path.to_str().unwrap());
    let (_, results) = folder.tune("out", &[&QUICK[..], &[file]].concat());
    let found: Vec<(usize, bool)> =
        results.leaks.iter().map(|leaked| (leaked.same, leaked.sentence.contains("test file"))).collect();
    assert_eq!(found, [(3, false), (4, true)]);
    assert_eq!((results.validation.unwrap().rows, results.test.unwrap().rows), (6, 12));
}
