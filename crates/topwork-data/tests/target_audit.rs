//! Laws of looking at targets before anything is learnt from them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{read, read_columns};
use topwork_data::audit::{
    DEVIATIONS, conflicting_contexts, conflicting_sentences, constant_outputs, differing_values, label_use,
    malformed_tags, outliers,
};
use topwork_data::{Matrix, TargetKind, TargetSpace, Targets};

#[test]
fn every_malformed_tag_is_found_with_its_line() {
    let found = malformed_tags(&read("a.conll", "a B-X\nb O\nc I-X\n\nd I-Y\ne O\nf B-X\n"));
    let places: Vec<(usize, usize, usize, &str)> =
        found.iter().map(|tag| (tag.row, tag.place.line, tag.place.token, tag.tag.as_str())).collect();
    assert_eq!(places, [(0, 3, 3, "I-X"), (1, 5, 1, "I-Y")]);
    assert!(found[0].expected.contains("`B-X`"));
    assert!(malformed_tags(&read("a.conll", "a I-X\nb O\n\nc I-X\nd B-X\n")).is_empty(), "IOB1 is well formed");
    let mixed = malformed_tags(&read("a.conll", "a B-X\nb PER\n\nc PER\nd O\n"));
    assert_eq!(mixed.iter().map(|tag| tag.place.line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn the_same_words_with_other_tags_are_found() {
    let again = "He O\nsaw O\nParis B-LOC\nthere O\nonce O\n\nhe O\nsaw O\nParis B-PER\nthere O\nonce O\n";
    let sentences = conflicting_sentences(&read("a.conll", again));
    assert_eq!(sentences.len(), 1);
    assert_eq!(sentences[0].text, "he saw paris there once");
    assert_eq!(sentences[0].tags.values().cloned().collect::<Vec<_>>(), [vec![0], vec![1]]);
    assert!(conflicting_contexts(&read("a.conll", again)).is_empty(), "a sentence that repeats is said once");
    let context = "I O\nsaw O\nParis B-LOC\nthere O\nonce O\n\nWe O\nI O\nsaw O\nParis B-PER\nthere O\nonce O\n";
    let contexts = conflicting_contexts(&read("a.conll", context));
    assert_eq!(contexts.iter().map(|conflict| conflict.text.as_str()).collect::<Vec<_>>(), ["I saw Paris there once"]);
}

#[test]
fn numbers_that_stand_out_are_found_and_others_are_not() {
    let mut numbers: Vec<f64> = (0..99).map(|n| f64::from(n % 10)).collect();
    numbers.push(400.0);
    let found = outliers(&Matrix::new(1, numbers), DEVIATIONS);
    assert_eq!(found.iter().map(|outlier| (outlier.row, outlier.value)).collect::<Vec<_>>(), [(99, 400.0)]);
    let mut same = vec![1.0; 99];
    same.push(50.0);
    assert_eq!(outliers(&Matrix::new(1, same.clone()), DEVIATIONS).len(), 1, "also where most numbers are the same");
    assert!(outliers(&Matrix::new(1, vec![3.0; 9]), DEVIATIONS).is_empty());
    let two: Vec<f64> = (0..20).flat_map(|n| [f64::from(n), 7.0]).collect();
    assert_eq!(constant_outputs(&Matrix::new(2, two)), [1]);
}

#[test]
fn texts_that_repeat_with_other_numbers_are_found() {
    let dataset = read("a.csv", "text,label\nsame,1.5\nother,2\nSame,4\n same ,1.5\nother,2\n");
    let Targets::Values(values) =
        TargetSpace::from_training(TargetKind::Value, &dataset).unwrap().encode(&dataset).unwrap()
    else {
        panic!("values")
    };
    let found = differing_values(&dataset, &values);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].rows.as_slice(), found[0].least, found[0].most), (&[0, 2, 3][..], 1.5, 4.0));
}

#[test]
fn labels_that_say_nothing_are_found() {
    let csv = "text,a,b,c,d\nx,1,1,0,1\ny,0,0,0,1\nz,1,1,0,1\n";
    let dataset = read_columns("a.csv", csv, &["a,b,c,d"]).unwrap();
    let names = ["a", "b", "c", "d"].map(String::from).to_vec();
    let space = TargetSpace::from_names(TargetKind::Labels, names).unwrap();
    let Targets::Labels(labels) = space.encode(&dataset).unwrap() else { panic!("labels") };
    let found = label_use(&dataset, &labels);
    assert_eq!(
        (found.rows, found.never, found.always, found.together),
        (vec![2, 2, 0, 3], vec![2], vec![3], vec![vec![0, 1]])
    );
    let list = read("a.jsonl", "{\"text\": \"x\", \"label\": [\"a\", \"\"]}\n{\"text\": \"y\", \"label\": []}\n");
    let found = label_use(&list, &Matrix::new(1, vec![true, false]));
    assert_eq!((found.blank, found.without_label), (vec![0], vec![1]));
}
