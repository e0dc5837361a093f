//! Laws of texts without labels: what is learnt from them depends on the texts and the labelled rows alone, and never on test rows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "what these tests do not use, those of the tasks do")]
mod task_runs;

use std::fmt::Write;

use serde_json::Value;
use task_runs::{Folder, Snapshots, interrupted_after, interrupted_at, jsonl, supervised, tune_recipe};
use topwork::events::{NoObserver, RunEvent};
use topwork::plan::recipe::{Options, Recipe};
use topwork::run::Outcome;
use topwork::session::inputs::Inputs;
use topwork::tasks::Supervised;
use topwork_data::TargetKind;
use topwork_models::HubSettings;

fn classes() -> &'static dyn Supervised {
    supervised().find(|task| task.kind() == TargetKind::Class).unwrap()
}

/// Texts of other rows, by their numbers.
fn texts(rows: std::ops::Range<usize>) -> Vec<String> {
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_string();
    jsonl(TargetKind::Class, rows).lines().map(text).collect()
}

/// A folder with 48 labelled rows and 60 other texts, and how a run is told of them.
fn folder() -> (Folder, String) {
    let folder = Folder::tiny(classes());
    folder.write("unlabelled.txt", &texts(200..260).join("\n"));
    let path = folder.path("unlabelled.txt").to_str().unwrap().to_string();
    (folder, path)
}

fn options(path: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("method", "setfit"),
        ("num_train_epochs", "8"),
        ("learning_rate", "1e-3"),
        ("validation_fraction", "0"),
        ("unlabelled_file", path),
    ]
}

/// The lines of the file that says what was learnt from.
fn taken(folder: &Folder, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path(name).join("pseudo_labels.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn texts_of_which_a_model_is_sure_are_learnt_from_and_their_own_labels_are_not_looked_at() {
    let (folder, path) = folder();
    let (_, results) = folder.tune("out", &options(&path));
    let found = results.pseudo_labels.unwrap();
    let lines = taken(&folder, "out");
    assert!(found.taken > 0 && found.taken == lines.len() && found.texts == 60, "{}", found.sentence);
    assert_eq!(found.by_label.values().sum::<usize>(), found.taken);
    // The first word decides the class; what is taken is righter than what folds left out.
    let right = lines.iter().filter(|line| line["text"].as_str().unwrap().starts_with(line["label"].as_str().unwrap()));
    assert!(right.count() as f64 / lines.len() as f64 > found.accuracy, "{}", found.sentence);
    assert!(lines.iter().all(|line| line["score"].as_f64().unwrap() >= found.threshold.unwrap()));
    // Labels of that file are not read: with others, and in another format, the weights are the same.
    let mut labelled = String::new();
    for text in texts(200..260) {
        writeln!(labelled, "{{\"text\": \"{text}\", \"label\": \"which\"}}").unwrap();
    }
    folder.write("labelled.jsonl", &labelled);
    let labelled = folder.path("labelled.jsonl").to_str().unwrap().to_string();
    folder.tune("labelled", &[&options(&labelled)[..], &[("threads", "1")]].concat());
    assert!(folder.weights("out") == folder.weights("labelled"), "labels, or threads, changed the weights");
    folder.tune("without", &options(&path)[..4]);
    assert!(folder.weights("out") != folder.weights("without"), "nothing was learnt from the texts");
    // Other test rows, without a change of what is learnt.
    folder.write("test.jsonl", &jsonl(TargetKind::Class, 112..130));
    folder.tune("other test rows", &options(&path));
    assert!(folder.weights("out") == folder.weights("other test rows"), "test rows changed the weights");
}

#[test]
fn steps_that_nobody_said_grow_with_the_texts_and_a_repeated_or_resumed_run_takes_as_many() {
    let (folder, path) = folder();
    let recipe = |name: &str| {
        let options: Vec<_> = options(&path).into_iter().filter(|(key, _)| *key != "num_train_epochs").collect();
        Recipe { num_train_epochs: None, ..folder.recipe(name, &options) }
    };
    let whole = tune_recipe(&recipe("whole"), &mut NoObserver).1;
    let taken = whole.pseudo_labels.as_ref().unwrap().taken;
    assert!(taken > 1);
    assert_eq!(whole.steps, 40 + (48 + taken) / 2);
    let mut flags = Recipe::default();
    flags.say("output_dir", folder.path("again").to_str().unwrap(), "--output").unwrap();
    let repeated = Recipe::read(&folder.path("whole").join("plan.toml")).unwrap().overridden_by(flags);
    assert_eq!(tune_recipe(&repeated, &mut NoObserver).1.steps, whole.steps);
    let is_late = |event: &RunEvent| matches!(event, RunEvent::Step { step: 50, .. });
    assert!(matches!(interrupted_at(&recipe("stopped"), is_late), Outcome::Interrupted { step: 50, .. }));
    folder.resume("stopped");
    for name in ["again", "stopped"] {
        assert!(folder.weights(name) == folder.weights("whole"), "{name}: other bits");
    }
}

#[test]
fn where_no_probability_tells_right_from_wrong_the_run_is_the_one_without_the_texts() {
    let (folder, path) = folder();
    let mut rows = String::new();
    for (row, text) in texts(0..48).iter().enumerate() {
        // The label has nothing to do with the text.
        writeln!(rows, "{{\"text\": \"{text}\", \"label\": \"{}\"}}", ["a", "b"][row * 7 % 5 % 2]).unwrap();
    }
    folder.write("train.jsonl", &rows);
    folder.write("test.jsonl", &rows.replace("there", "people"));
    let (_, results) = folder.tune("out", &options(&path));
    let found = results.pseudo_labels.unwrap();
    assert!(found.taken == 0 && found.threshold.is_none(), "{}", found.sentence);
    assert!(found.sentence.starts_with("none of 60 texts"), "{}", found.sentence);
    folder.tune("without", &options(&path)[..4]);
    assert!(folder.weights("out") == folder.weights("without"));
}

#[test]
fn a_run_that_is_stopped_or_killed_learns_from_the_same_texts() {
    let (folder, path) = folder();
    let point = |event: &RunEvent| match event {
        RunEvent::Phase { name } if name == "label" => Some("killed before labelling".to_string()),
        RunEvent::Step { step: 4, .. } => Some("killed at a step".to_string()),
        _ => None,
    };
    let mut killed = Snapshots::of(&folder, "whole", point);
    let (_, whole) = folder.tune_seen("whole", &options(&path), &mut killed);
    assert_eq!(killed.taken.len(), 2);
    let stopped = interrupted_after(&folder, "stopped", 3, &options(&path));
    assert!(matches!(stopped, Outcome::Interrupted { step: 3, .. }));
    let is_labelling = |event: &RunEvent| matches!(event, RunEvent::Phase { name } if name == "label");
    let early = interrupted_at(&folder.recipe("stopped early", &options(&path)), is_labelling);
    assert!(matches!(early, Outcome::Interrupted { step: 0, .. }));
    for name in killed.taken.iter().map(String::as_str).chain(["stopped", "stopped early"]) {
        let results = folder.resume(name);
        assert!(folder.weights(name) == folder.weights("whole"), "{name}: other bits");
        assert_eq!(results.test, whole.test, "{name}");
        assert_eq!(taken(&folder, name), taken(&folder, "whole"), "{name}");
    }
}

#[test]
fn what_cannot_be_learnt_from_is_refused_before_anything_is_written() {
    let (folder, path) = folder();
    let refused = |folder: &Folder, path: &str, more: &[(&str, &str)]| {
        let is_other = |(key, _): &(&str, &str)| !more.iter().any(|(own, _)| own == key);
        let usual: Vec<_> = options(path).into_iter().filter(is_other).collect();
        let recipe = folder.recipe("out", &[&usual[..], more].concat());
        let error = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).err().unwrap();
        error.to_string()
    };
    let repeats =
        [("seeds", "3"), ("compare_seeds", "2"), ("permuted_control", "true"), ("floor", "take"), ("folds", "3")];
    for (key, value) in repeats {
        let found = refused(&folder, &path, &[(key, value)]);
        assert!(found.contains("other trainings do not learn from texts without labels"), "{key}: {found}");
    }
    // A text of the test file, however it is written.
    let text = texts(100..101).remove(0);
    folder.write("leaked.txt", &format!("{}\n  {}\n", texts(200..203).join("\n"), text.to_uppercase()));
    let leaked = folder.path("leaked.txt").to_str().unwrap().to_string();
    let found = refused(&folder, &leaked, &[]);
    assert!(
        found.contains("leaked.txt: line 4: expected no text of the test file") && found.ends_with("found 1"),
        "{found}"
    );
    // The same in a column of another name, which the training file has too.
    let renamed = jsonl(TargetKind::Class, 0..24).replace("\"text\"", "\"review\"");
    let tables = Folder::tiny(classes());
    tables.write("train.jsonl", &renamed);
    tables.write("test.jsonl", &jsonl(TargetKind::Class, 100..112).replace("\"text\"", "\"review\""));
    tables.write("leaked.txt", &format!("review,label\n{},x\n{text},y\n", texts(200..201)[0]));
    let leaked = tables.path("leaked.txt").to_str().unwrap().to_string();
    let found = refused(&tables, &leaked, &[("text_column", "review")]);
    assert!(found.contains("line 3: expected no text of the test file"), "{found}");
    folder.write("known.txt", &texts(0..24).join("\n"));
    let known = folder.path("known.txt").to_str().unwrap().to_string();
    let found = refused(&folder, &known, &[]);
    assert!(
        found.contains(
            "known.txt: expected texts besides the rows with labels, found none among 24: 24 in the training file"
        ),
        "{found}"
    );
    let rows = jsonl(TargetKind::Class, 0..24).replace("\"label\"", "\"text_pair\": \"there\", \"label\"");
    let pairs = Folder::tiny(classes());
    pairs.write("train.jsonl", &rows);
    pairs.write("test.jsonl", &rows.replace("there", "people"));
    let found = refused(&pairs, &path, &[("method", "finetune"), ("max_seq_length", "32")]);
    assert!(found.contains("expected pairs of texts, as the training file has, found a text a line"), "{found}");
    folder.write("empty.txt", "\n\n");
    let empty = folder.path("empty.txt").to_str().unwrap().to_string();
    assert!(refused(&folder, &empty, &[]).contains("empty.txt"));
    for task in supervised().filter(|task| task.kind() != TargetKind::Class) {
        let folder = Folder::tiny(task);
        let recipe = folder.recipe("out", &[("unlabelled_file", path.as_str())]);
        let found = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).err().unwrap().to_string();
        assert!(found.contains(&format!("{} has no classes to give to texts", task.name())), "{found}");
    }
    folder
        .write("train.jsonl", &format!("{}{{\"text\": \"b\", \"label\": \"x2\"}}\n", jsonl(TargetKind::Class, 0..12)));
    let found = refused(&folder, &path, &[]);
    assert!(
        found.contains("two rows with different texts in every class") && found.contains("found a class with 1"),
        "{found}"
    );
    folder.write("train.jsonl", &jsonl(TargetKind::Class, 0..6));
    let found = refused(&folder, &path, &[("label_names_as_rows", "false")]);
    assert!(found.contains("more rows of a class, as setfit compares two while others are left out"), "{found}");
    assert!(found.contains("found 2 of the largest class"), "{found}");
}

#[test]
fn labels_of_the_file_and_columns_that_nobody_asked_for_are_not_looked_at() {
    let (folder, _) = folder();
    folder.write("train.jsonl", &jsonl(TargetKind::Class, 0..24).replace("\"text\"", "\"review\""));
    folder.write("test.jsonl", &jsonl(TargetKind::Class, 100..112).replace("\"text\"", "\"review\""));
    let mut lines = String::new();
    for text in texts(200..206) {
        writeln!(lines, "{{\"review\": \"{text}\", \"text\": null, \"label\": {{\"which\": 1}}}}").unwrap();
    }
    folder.write("more.jsonl", &lines);
    let more = folder.path("more.jsonl").to_str().unwrap().to_string();
    let recipe = folder.recipe("out", &[&options(&more)[..], &[("text_column", "review")]].concat());
    let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap();
    let read: Vec<String> = inputs.unlabelled.unwrap().examples.into_iter().map(|example| example.text).collect();
    assert_eq!(read, texts(200..206));
}
