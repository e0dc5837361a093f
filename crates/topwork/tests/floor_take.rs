//! Laws of `floor take`: rows of the training file choose between the trained model and a linear head on the untouched one, and the
//! result is the run that would have been made of the chosen one, to the bit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "what these tests do not use, those of the tasks do")]
mod task_runs;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use task_runs::{Folder, Snapshots, supervised};
use topwork::events::{NoObserver, Observer, RunEvent};
use topwork::judge::repeats::LEFT_OUT;
use topwork::run::{Outcome, RunContext};
use topwork::session::inputs::Inputs;
use topwork::tasks::Supervised;
use topwork::tune::finished_run::RunDirectory;
use topwork::tune::tune;
use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::HubSettings;

/// A training that learns nothing: one step at next to no rate, from a random head.
const NOTHING: [(&str, &str); 5] =
    [("floor", "take"), ("method", "finetune"), ("head_init", "random"), ("learning_rate", "1e-9"), ("max_steps", "1")];

fn classes() -> &'static dyn Supervised {
    supervised().find(|task| task.kind() == TargetKind::Class).unwrap()
}

#[test]
fn a_linear_head_takes_the_place_of_a_training_that_learnt_nothing() {
    for task in supervised().filter(|task| task.starts_from_probe()) {
        let folder = Folder::tiny(task);
        let (inputs, results) = folder.tune("taken", &NOTHING);
        let choice = results.floor_choice.unwrap();
        assert!(choice.taken, "{}: {}", task.name(), choice.sentence);
        assert_eq!((&*choice.split, choice.rows), ("validation", inputs.validation.unwrap().len()));
        let own = results.seconds;
        // What was read before the run is not of its time here.
        let parts = own.train + own.log + own.evaluate + own.save + own.verdict;
        assert!(parts + own.repeat + own.compare <= own.total, "{}: {own:?}", task.name());
        let card = std::fs::read_to_string(folder.path("taken").join("README.md")).unwrap();
        assert!(card.contains(&choice.sentence), "{card}");
        let (_, linear) = folder.tune("linear", &[("method", "linear"), ("num_hidden_layers", "3")]);
        assert!(folder.weights("taken") == folder.weights("linear"), "{}: another head", task.name());
        assert_eq!((&results.test, results.steps, results.tokens), (&linear.test, 0, 0));
        assert_eq!(results.proofs.frozen_unchanged.tensors, linear.proofs.frozen_unchanged.tensors);
        // The curves of what was not kept are not those of the result.
        assert!(RunDirectory::read(&folder.path("taken")).unwrap().trace.steps.is_empty());
        // The plan repeats the choice.
        let plan = std::fs::read_to_string(folder.path("taken").join("plan.toml")).unwrap();
        assert!(plan.contains("floor = \"take\"") && plan.contains("method = \"finetune\""), "{plan}");
    }
}

#[test]
fn a_training_that_learnt_more_is_kept_as_it_is_without_the_choice() {
    let folder = Folder::of(classes());
    // The word that decides stands among others, and loss tells the surer one.
    let options = [
        ("method", "setfit"),
        ("label_names_as_rows", "false"),
        ("num_train_epochs", "6"),
        ("metric_for_best_model", "loss"),
    ];
    let (_, without) = folder.tune("without", &options);
    for (name, fraction) in [("by validation", "0.2"), ("by folds", "0")] {
        let more = [("floor", "take"), ("validation_fraction", fraction)];
        let (inputs, results) = folder.tune(name, &[&options[..], &more].concat());
        let choice = results.floor_choice.unwrap();
        assert!(!choice.taken && choice.trained < choice.linear, "{name}: {}", choice.sentence);
        if inputs.validation.is_some() {
            assert!(folder.weights(name) == folder.weights("without"), "{name}");
            assert_eq!(results.test, without.test);
        } else {
            assert_eq!((&*choice.split, choice.rows, inputs.plan.folds.value), (LEFT_OUT, 48, Some(5)));
            // The folds that chose are those that the run is told by.
            assert_eq!(results.folds.unwrap().together.loss(), choice.trained);
        }
    }
}

#[test]
fn a_head_that_cannot_be_fitted_leaves_the_trained_model_and_its_curves() {
    // Every text of a file is the same: both models give every row the same class, and the tie would go to the head.
    let folder = Folder::tiny(classes());
    for (file, text) in [("train.jsonl", "there"), ("validation.jsonl", "people")] {
        let row = |row: usize| format!("{{\"text\": \"{text}\", \"label\": \"{}\"}}\n", ["a", "b"][row % 2]);
        folder.write(file, &(0..30).map(row).collect::<String>());
    }
    let validation = folder.path("validation.jsonl");
    let file = [("validation_file", validation.to_str().unwrap()), ("pooling", "first_token")];
    folder.write("test.jsonl", "{\"text\": \"person\", \"label\": \"a\"}\n");
    let (_, results) = folder.tune("out", &[&NOTHING[..], &file].concat());
    let choice = results.floor_choice.unwrap();
    assert!(!choice.taken && choice.sentence.contains("no linear head can be put in its place"), "{}", choice.sentence);
    let run = RunDirectory::read(&folder.path("out")).unwrap();
    assert_eq!((results.steps, run.trace.steps.len(), run.stopped), (1, 1, None));
    assert!(run.started.unwrap().trainable_parameters > 1000, "the training's beginning is the record's");
}

#[test]
fn a_head_is_chosen_with_the_class_weights_that_it_is_fitted_with() {
    let folder = Folder::tiny(classes());
    // Twice as many rows of one class, and names of classes as rows besides.
    let rows = task_runs::jsonl(TargetKind::Class, 0..48);
    let more: String =
        task_runs::jsonl(TargetKind::Class, 48..96).lines().step_by(3).map(|row| format!("{row}\n")).collect();
    folder.write("train.jsonl", &(rows + &more));
    let weighted = [("class_weights", "balanced"), ("label_names_as_rows", "true")];
    let (_, results) = folder.tune("taken", &[&NOTHING[..], &weighted].concat());
    let choice = results.floor_choice.unwrap();
    assert!(choice.taken, "{}", choice.sentence);
    let (_, linear) =
        folder.tune("linear", &[&[("method", "linear"), ("num_hidden_layers", "3")], &weighted[..]].concat());
    assert!(folder.weights("taken") == folder.weights("linear"));
    assert_eq!(Some(choice.linear), linear.validation.unwrap().scores.get(Metric::Accuracy));
}

#[test]
fn the_carried_model_is_there_for_the_head_as_well() {
    let folder = Folder::of(classes());
    let (_, results) = folder.tune("taken", &NOTHING);
    assert!(results.floor_choice.unwrap().taken);
    folder.tune("linear", &[("method", "linear"), ("num_hidden_layers", "4")]);
    assert!(folder.weights("taken") == folder.weights("linear"));
}

#[test]
fn test_rows_do_not_choose() {
    for fraction in ["0.2", "0"] {
        let folder = Folder::tiny(classes());
        let options = [&NOTHING[..], &[("validation_fraction", fraction)]].concat();
        let (_, own) = folder.tune("own", &options);
        // Every test row has the label of another.
        let rows = task_runs::jsonl(TargetKind::Class, 100..112);
        let rows = rows.replace("\"label\":\"there\"", "\"label\":\"moved\"");
        let rows = rows
            .replace("\"label\":\"people\"", "\"label\":\"there\"")
            .replace("\"label\":\"which\"", "\"label\":\"people\"");
        let rows = rows.replace("\"label\":\"moved\"", "\"label\":\"which\"");
        folder.write("test.jsonl", &rows);
        let (_, others) = folder.tune("others", &options);
        assert_ne!(own.test, others.test, "the rows were changed");
        let (own, others) = (own.floor_choice.unwrap(), others.floor_choice.unwrap());
        assert_eq!((own.taken, own.trained, own.linear), (others.taken, others.trained, others.linear));
        assert!(folder.weights("own") == folder.weights("others"));
    }
}

#[test]
fn a_choice_that_is_killed_is_made_again_to_the_same_bits() {
    let folder = Folder::tiny(classes());
    let point = |event: &RunEvent| match event {
        RunEvent::Phase { name } if name == "choose" => Some("killed before choosing".to_string()),
        RunEvent::Phase { name } if name == "evaluate" => Some("killed after choosing".to_string()),
        RunEvent::Phase { name } if name == "verdict" => Some("killed after saving".to_string()),
        _ => None,
    };
    let options = [&NOTHING[..], &[("validation_fraction", "0")]].concat();
    let mut killed = Snapshots::of(&folder, "whole", point);
    let (_, whole) = folder.tune_seen("whole", &options, &mut killed);
    assert!(whole.floor_choice.unwrap().taken);
    assert_eq!(killed.taken.len(), 3);
    for name in &killed.taken {
        let results = folder.resume(name);
        assert!(results.floor_choice.unwrap().taken, "{name}");
        assert!(folder.weights(name) == folder.weights("whole"), "{name}: other bits");
        assert_eq!(results.test, whole.test, "{name}");
    }
}

#[test]
fn a_choice_that_is_interrupted_keeps_the_trained_model_and_says_so() {
    /// Interrupts when the choice begins.
    struct InterruptChoice<'a>(&'a AtomicBool);
    impl Observer for InterruptChoice<'_> {
        fn event(&mut self, event: &RunEvent) {
            if matches!(event, RunEvent::Phase { name } if name == "choose") {
                self.0.store(true, Ordering::Relaxed);
            }
        }
    }
    let folder = Folder::tiny(classes());
    let options = [&NOTHING[..], &[("validation_fraction", "0")]].concat();
    let inputs = Inputs::read(&folder.recipe("out", &options), &HubSettings::from_env(), &mut NoObserver).unwrap();
    let interrupt = AtomicBool::new(false);
    let context = RunContext { started: Instant::now(), interrupt: &interrupt, resume: false };
    let Outcome::Finished { results, .. } = tune(&inputs, &context, &mut InterruptChoice(&interrupt)).unwrap() else {
        panic!("the training was over")
    };
    assert!(results.floor_choice.is_none() && results.steps == 1);
    // Each once: the folds are not run again.
    let said =
        ["folds: interrupted after 0 of 5", "floor take: the folds gave no outputs to choose by", "floor: interrupted"];
    assert_eq!(results.unfinished, said);
    let report = [("floor", "report"), ("validation_fraction", "0")];
    folder.tune("trained", &[&NOTHING[1..], &report].concat());
    assert!(folder.weights("out") == folder.weights("trained"));
}

#[test]
fn what_cannot_be_chosen_is_refused_before_anything_is_written() {
    let refused = |folder: &Folder, options: &[(&str, &str)]| {
        let recipe = folder.recipe("out", &[&[("floor", "take")], options].concat());
        let error = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).err().unwrap();
        assert!(!folder.path("out").exists());
        error.to_string()
    };
    let folder = Folder::tiny(classes());
    let found = refused(&folder, &[("method", "linear")]);
    assert!(found.contains("floor: expected report: method linear is that head, found \"take\""), "{found}");
    let found = refused(&folder, &[("init", "random")]);
    assert!(found.contains("floor: expected report"), "{found}");
    let tagger = supervised().find(|task| task.kind() == TargetKind::TokenTags).unwrap();
    let found = refused(&Folder::tiny(tagger), &[]);
    assert!(found.contains("floor: expected report: token_classification has no linear head"), "{found}");
    // One row of a class: no fold can leave it out and learn it.
    folder.write(
        "train.jsonl",
        &format!("{}{{\"text\": \"b\", \"label\": \"x2\"}}\n", task_runs::jsonl(TargetKind::Class, 0..6)),
    );
    let found = refused(&folder, &[("validation_fraction", "0")]);
    assert!(found.contains("no rows can be spared to choose by, as class `x2` has one row"), "{found}");
}
