//! Laws of holding rows out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use topwork_data::{ColumnNames, Dataset, Example, LabelSet, Labels, distinct_texts, folds, hold_out};

/// Rows of `classes` with so many rows each; every text is its own unless `repeat` says to use each twice.
fn dataset(classes: &[usize], repeat: usize) -> (Dataset, Vec<u32>) {
    let mut csv = String::from("text,label\n");
    for (class, &rows) in classes.iter().enumerate() {
        for row in 0..rows {
            let same = row / repeat;
            let shout = if row % 2 == 0 { "the row" } else { "The  ROW" };
            csv.push_str(&format!("{shout} {same} of {class},class {class}\n"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, csv).unwrap();
    let dataset = Dataset::read(&path, &ColumnNames::default(), Labels::Required).unwrap();
    let labels = LabelSet::from_training(&dataset).unwrap().encode(&dataset).unwrap();
    (dataset, labels)
}

#[test]
fn parts_are_disjoint_complete_and_stratified() {
    let (data, labels) = dataset(&[100, 40, 60], 1);
    let split = hold_out(&data, &labels, 3, 0.1, 7);
    let mut all: Vec<usize> = split.train.iter().chain(&split.held_out).copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
    let held = |class: u32| split.held_out.iter().filter(|&&row| labels[row] == class).count();
    assert_eq!([held(0), held(1), held(2)], [10, 4, 6]);
}

#[test]
fn rows_that_are_the_same_but_for_case_and_space_stay_together() {
    let (data, labels) = dataset(&[100, 100], 2);
    let split = hold_out(&data, &labels, 2, 0.2, 1);
    assert!(!split.held_out.is_empty());
    let normal = |row: usize| data.examples[row].text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let trained: std::collections::BTreeSet<String> = split.train.iter().map(|&row| normal(row)).collect();
    assert!(split.held_out.iter().all(|&row| !trained.contains(&normal(row))));
}

#[test]
fn the_split_is_a_function_of_the_seed() {
    let (data, labels) = dataset(&[50, 50], 1);
    assert_eq!(hold_out(&data, &labels, 2, 0.1, 3), hold_out(&data, &labels, 2, 0.1, 3));
    assert_ne!(hold_out(&data, &labels, 2, 0.1, 3), hold_out(&data, &labels, 2, 0.1, 4));
}

#[test]
fn every_class_keeps_a_row_to_train_on() {
    let (data, labels) = dataset(&[30, 1, 2], 1);
    for seed in 0..20 {
        let split = hold_out(&data, &labels, 3, 0.5, seed);
        for class in 0..3 {
            assert!(split.train.iter().any(|&row| labels[row] == class), "class {class}, seed {seed}");
        }
    }
    assert!(hold_out(&data, &labels, 3, 0.0, 0).held_out.is_empty());
}

#[test]
fn folds_hold_every_row_once_and_every_class_alike() {
    let (data, labels) = dataset(&[50, 23, 5], 1);
    let parts = folds(&data.examples, &labels, 3, 5, 3);
    let mut all: Vec<usize> = parts.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..78).collect::<Vec<_>>());
    for part in &parts {
        let of = |class: u32| part.iter().filter(|&&row| labels[row] == class).count();
        assert_eq!((of(0), of(2)), (10, 1));
        assert!((4..=5).contains(&of(1)));
        assert!((15..=16).contains(&part.len()), "folds are as large as each other: {}", part.len());
    }
    assert_ne!(parts, folds(&data.examples, &labels, 3, 5, 4), "the seed names the draw");
}

#[test]
fn folds_keep_equal_texts_together() {
    let (data, labels) = dataset(&[60, 60], 3);
    let parts = folds(&data.examples, &labels, 2, 4, 0);
    let normal = |row: usize| data.examples[row].text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let home = |text: &str| parts.iter().filter(|part| part.iter().any(|&row| normal(row) == text)).count();
    assert!((0..data.examples.len()).all(|row| home(&normal(row)) == 1));
}

#[test]
fn texts_count_once_for_the_class_of_most_of_their_rows() {
    let row = |text: &str| Example { line: 1, ..Example::from_text(text) };
    let examples = ["one", "One ", "two", "two", "two", "three"].map(row);
    assert_eq!(distinct_texts(&examples, &[0, 0, 0, 1, 1, 1], 3), [1, 2, 0]);
}
