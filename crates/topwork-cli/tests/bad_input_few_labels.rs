//! Few labels of which nothing, or hardly anything, can be learnt: each is an error with a way out, or is said.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};

/// A folder with other training rows.
fn rows(csv: &str) -> Folder {
    let folder = Folder::new();
    folder.write("train.csv", csv);
    folder
}

fn tune<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["tune", "train.csv", "--model", model, "--output", "out", "--compare-seeds", "0"], more].concat()
}

const ONE_OF_EACH: &str = "text,label\nalpha beta,a\ngamma delta,b\nepsilon,c\n";

#[test]
fn one_row_a_class_has_no_partner_and_a_method_that_needs_none_is_named() {
    let (folder, model) = (rows(ONE_OF_EACH), model());
    let model = model.to_str().unwrap();
    let alone = ["--method", "setfit", "--label-names-as-rows", "false"];
    folder.fails(&tune(model, &alone), &["finetune or linear", "a class with two rows", "found setfit"]);
    assert!(!folder.path("out").exists());
    folder.ok(&tune(model, &["--method", "linear"]));
    let plan = folder.ok(&["plan", "train.csv", "--model", model]);
    assert!(plan.contains("method = \"finetune\" # default: "), "{plan}");
}

#[test]
fn a_class_with_no_row_to_spare_keeps_the_one_it_has() {
    let mut csv: String = (0..12).map(|row| format!("there is it {row},{}\n", ["a", "b"][row % 2])).collect();
    csv.push_str("which was,c\n");
    let folder = rows(&format!("text,label\n{csv}"));
    for method in ["linear", "setfit", "finetune"] {
        let output = folder.tune(method, &["--method", method, "--validation-fraction", "0.5"]);
        assert_eq!(output["validation"]["rows"], 6, "{method}: half of both classes that can spare rows");
    }
    let hint = folder.fails(&tune(model().to_str().unwrap(), &["--folds", "2"]), &["folds", "`c` has 1"]);
    assert!(!hint.is_empty());
}

#[test]
fn rows_that_are_all_the_same_are_refused_by_a_fitted_head_and_said_of_any_run() {
    let csv: String = (0..12).map(|row| format!("the same text,{}\n", ["a", "b"][row % 2])).collect();
    let folder = rows(&format!("text,label\n{csv}"));
    let model = model();
    for method in ["linear", "setfit"] {
        let arguments = tune(model.to_str().unwrap(), &["--method", method, "--validation-fraction", "0"]);
        let hint = folder.fails(&arguments, &["all", "rows the same numbers"]);
        assert!(hint.contains("different texts"), "{hint}");
        assert!(!folder.path("out").exists(), "{method}");
    }
    let output = folder.run(&tune(model.to_str().unwrap(), &["--method", "finetune", "--epochs", "1"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("warning: train.csv: all 12 texts have the same tokens"),
        "{said}"
    );
}

#[test]
fn more_classes_than_rows_are_learnt_as_far_as_there_are_rows() {
    let csv: String = (0..4).map(|row| format!("{},{row}\n", ["there", "people", "which", "was"][row])).collect();
    let folder = rows(&format!("text,label\n{csv}"));
    folder.write("names.txt", (0..10).map(|class| format!("class{class}\n")).collect::<String>());
    for method in ["linear", "finetune"] {
        let more = ["--label-names-file", "names.txt", "--task", "classification", "--method", method, "--epochs", "1"];
        folder.tune(method, &more);
        let answers = folder.ok(&["predict", method, "train.csv"]);
        assert!(answers.contains("class"), "{answers}");
    }
}

#[test]
fn a_method_of_classes_is_refused_for_targets_that_are_none() {
    let folder =
        rows(&format!("text,label\n{}", (0..12).map(|row| format!("people {row},{row}.5\n")).collect::<String>()));
    let model = model();
    let arguments = tune(model.to_str().unwrap(), &["--method", "setfit"]);
    folder.fails(&arguments, &["--method", "expected finetune", "regression has none", "found setfit"]);
    assert!(!folder.path("out").exists());
}
