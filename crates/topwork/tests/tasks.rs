//! Laws of a run that hold for every task that learns from labelled rows: what is saved is what was trained, threads and
//! interruptions change no bit, and results read back are those that were written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod task_runs;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::Value;
use task_runs::{Folder, Snapshots, file_name, interrupted_after, jsonl, supervised};
use topwork::events::{NoObserver, RunEvent, SplitScores};
use topwork::predict::Predictor;
use topwork::run::{Outcome, RunContext};
use topwork::session::inputs::Inputs;
use topwork::tasks::{Part, Supervised};
use topwork::tune::finished_run::RunDirectory;
use topwork::tune::results::Results;
use topwork::tune::tune;
use topwork_data::TargetKind;
use topwork_models::HubSettings;

#[test]
fn the_saved_model_gives_test_rows_the_outputs_and_scores_of_the_run() {
    for task in supervised() {
        let folder = Folder::of(task);
        let (inputs, results) = folder.tune("out", &[]);
        let predictor = Predictor::load(&folder.path("out")).unwrap();
        assert_eq!(predictor.task().name(), task.name());
        // A single number has no name in `transformers`.
        if task.kind() != TargetKind::Value {
            assert_eq!(predictor.labels(), inputs.labels());
        }
        let test = inputs.test.as_ref().unwrap();
        let texts = predictor.tokenize(&test.examples, &folder.path("out")).unwrap();
        let outputs = predictor.logits(&texts, inputs.plan.per_device_eval_batch_size.value);
        let scores = SplitScores::new(test.len(), task.evaluate(&outputs, &test.targets, &predictor.scoring));
        assert_eq!(Some(&scores), results.test.as_ref(), "{}", task.name());
        assert!(scores.loss().is_finite());
        assert_eq!(results.proofs.reloaded_same_logits.largest_difference, 0.0);
        assert_eq!(predictor.scoring.thresholds, results.thresholds, "{}", task.name());
        assert_eq!(predictor.predictions(&outputs, &test.examples).len(), test.len());
    }
}

#[test]
fn neither_threads_nor_another_time_change_a_bit_of_the_weights_and_another_seed_does() {
    for task in supervised() {
        let folder = Folder::of(task);
        let weights = |name: &str, threads: &str, seed: &str| {
            folder.tune(name, &[("threads", threads), ("seed", seed)]);
            folder.weights(name)
        };
        let once = weights("once", "2", "42");
        assert!(once == weights("again", "2", "42"), "{}: the same run gave other bits", task.name());
        assert!(once == weights("one thread", "1", "42"), "{}: one thread gave other bits", task.name());
        assert!(once != weights("other seed", "2", "43"), "{}: the seed names no draw", task.name());
    }
}

#[test]
fn rows_in_memory_give_the_bits_of_the_same_rows_in_files() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        let (_, of_files) = folder.tune("files", &[]);
        let of_memory = folder.tune_rows("memory", folder.rows("train.jsonl", "test.jsonl")).unwrap();
        assert!(folder.weights("files") == folder.weights("memory"), "{}", task.name());
        assert_eq!(of_memory.test, of_files.test, "{}", task.name());
        let plan = std::fs::read_to_string(folder.path("memory").join("plan.toml")).unwrap();
        assert!(plan.contains("train_file = \"train.jsonl\"") && plan.contains("rows in memory"), "{plan}");
    }
}

#[test]
fn rows_in_memory_have_the_same_columns_and_no_file_beside_them() {
    let task = supervised().next().unwrap();
    let folder = Folder::tiny(task);
    folder.write("pairs.jsonl", "{\"text_a\": \"a\", \"text_b\": \"b\", \"label\": \"there\"}\n");
    let error = folder.tune_rows("out", folder.rows("train.jsonl", "pairs.jsonl")).unwrap_err().to_string();
    assert!(
        error.contains("pairs.jsonl: expected the columns of train.jsonl, text, label, found text_a, text_b, label"),
        "{error}"
    );
    let hub = HubSettings::from_env();
    let named = folder.recipe("out", &[]);
    let rows = folder.rows("train.jsonl", "test.jsonl");
    let error = Inputs::of_rows(&named, rows, &hub, &mut NoObserver).err().unwrap().to_string();
    assert!(error.contains("expected a recipe without files of rows"), "{error}");
    assert!(!folder.path("out").exists());
}

/// The results in the file of a run are those that it gave, and are so again when they are read and written.
#[track_caller]
fn read_back(folder: &Folder, name: &str, results: &Results) -> Value {
    let text = std::fs::read_to_string(folder.path(name).join("all_results.json")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written, serde_json::to_value(results).unwrap());
    let read = RunDirectory::read(&folder.path(name)).unwrap().results;
    assert_eq!(written, serde_json::to_value(&read).unwrap(), "{}", results.task);
    written
}

#[test]
fn results_read_back_are_those_that_were_written_where_rows_have_no_score_as_well() {
    for task in supervised() {
        let folder = Folder::of(task);
        let (_, results) = folder.tune("out", &[("load_best_model_at_end", "true")]);
        read_back(&folder, "out", &results);
        // Two rows that are alike have no correlation, and no entity where nothing is one.
        // Rows that are alike have no correlation, and no entity where nothing is one; the best epoch has no score then.
        let folder = Folder::tiny(task);
        folder.write("test.jsonl", &alike(task, 302));
        let beside = [("seeds", "2"), ("folds", "2"), ("permuted_control", "true"), ("compare_seeds", "1")];
        let (_, results) = folder.tune("alike", &beside);
        read_back(&folder, "alike", &results);
        assert_eq!(results.test.unwrap().rows, 2);
        folder.write("validation.jsonl", &alike(task, 305));
        let rows = folder.path("validation.jsonl");
        let metric = task.headline().name();
        let chosen = [("metric_for_best_model", metric), ("load_best_model_at_end", "true"), ("num_train_epochs", "3")];
        let validation = [("validation_file", rows.to_str().unwrap()), ("early_stopping_patience", "1")];
        let (_, results) = folder.tune("best", &[&chosen[..], &validation].concat());
        assert!(results.best.is_some(), "{}: an epoch is the best of those that are as good", task.name());
        read_back(&folder, "best", &results);
    }
}

/// Two rows with one target, of words that belong to nothing where words have tags.
fn alike(task: &dyn Supervised, row: usize) -> String {
    let first = jsonl(task.kind(), row..row + 1);
    first.repeat(2)
}

#[test]
fn what_is_asked_beside_the_run_has_scores_and_what_does_not_apply_is_left_out() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        let beside = [("seeds", "2"), ("folds", "2"), ("permuted_control", "true"), ("compare_seeds", "1")];
        let (_, results) = folder.tune("out", &beside);
        assert_eq!(results.unfinished, Vec::<String>::new(), "{}", task.name());
        let has_headline = |scores: &SplitScores| {
            assert_eq!(scores.headline().0, task.headline(), "{}", task.name());
            assert!(scores.loss().is_finite() && task.metrics().iter().all(|&metric| scores.get(metric).is_some()));
        };
        let (seeds, folds) = (results.seeds.as_ref().unwrap(), results.folds.as_ref().unwrap());
        assert_eq!((seeds.scores.len(), folds.repeated.scores.len()), (2, 2));
        seeds.scores.iter().chain(&folds.repeated.scores).chain([&folds.together]).for_each(has_headline);
        assert!(seeds.mean(task.headline()).mean.is_finite());
        if results.thresholds.is_none() {
            // Others have no thresholds, and the run is compared with them without its own.
            assert_eq!(Some(&seeds.scores[0]), results.test.as_ref());
        }
        has_headline(results.permuted_control.as_ref().unwrap());
        let contenders = &results.transfer.as_ref().unwrap().contenders;
        contenders.iter().flat_map(|contender| &contender.scores).for_each(has_headline);

        let names: Vec<&str> = contenders.iter().map(|contender| &*contender.name).collect();
        for part in PARTS {
            let is_there = match part {
                Part::Calibration => results.calibration.is_some(),
                Part::Confusion => results.confusion.is_some(),
                Part::HardRows => folder.path("out").join("hard_rows.json").exists(),
                Part::BagOfWords | Part::FrozenHead => names.contains(&part.name()),
                // Advice, which a run does not give.
                Part::Transferability | Part::LabelErrors | Part::Curve => continue,
            };
            assert_eq!(is_there, task.why_not(part).is_none(), "{}: {}", task.name(), part.name());
        }
        let said: Vec<(&str, &str)> = results.not_applicable.iter().map(|(part, why)| (&**part, &**why)).collect();
        let own: Vec<(&str, &str)> = task.not_applicable().iter().map(|(part, why)| (part.name(), *why)).collect();
        assert_eq!(said, own);
    }
}

const PARTS: [Part; 8] = [
    Part::Calibration,
    Part::Confusion,
    Part::HardRows,
    Part::BagOfWords,
    Part::FrozenHead,
    Part::Transferability,
    Part::LabelErrors,
    Part::Curve,
];

/// A run that was stopped in some way, gone on with, is the run that nothing disturbed.
#[track_caller]
fn is_the_same(folder: &Folder, name: &str, whole: &Results) {
    let results = folder.resume(name);
    assert!(folder.weights(name) == folder.weights("whole"), "{}: {name}: other bits", whole.task);
    assert_eq!(results.test, whole.test, "{}: {name}", whole.task);
    assert_eq!(results.validation, whole.validation, "{}: {name}", whole.task);
    assert_eq!((results.steps, results.tokens), (whole.steps, whole.tokens), "{}: {name}", whole.task);
    assert_eq!(results.thresholds, whole.thresholds);
    let [config, other] = [name, "whole"].map(|name| std::fs::read(folder.path(name).join("config.json")).unwrap());
    assert!(config == other, "{}: {name}: another config.json", whole.task);
}

/// Points at which a run may be killed, by name: what has been done by then is on disk, and nothing else.
fn point(event: &RunEvent) -> Option<String> {
    match event {
        RunEvent::Step { step, .. } if *step == 1 || *step == 4 => Some(format!("killed at step {step}")),
        RunEvent::Phase { name } if name == "save" || name == "verdict" => Some(format!("killed before {name}")),
        RunEvent::ProofPassed { name, .. } if name == "frozen_unchanged" => Some("killed after saving".to_string()),
        RunEvent::Finished { .. } => Some("killed at the end".to_string()),
        _ => None,
    }
}

#[test]
fn a_run_killed_at_any_point_goes_on_to_the_bits_of_the_run_that_nothing_disturbed() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        let mut killed = Snapshots::of(&folder, "whole", point);
        let (_, whole) = folder.tune_seen("whole", &[], &mut killed);
        let (over, before): (Vec<&String>, Vec<&String>) =
            killed.taken.iter().partition(|name| name.ends_with("at the end"));
        assert_eq!((over.len(), before.len()), (1, 5), "{:?}", killed.taken);
        before.into_iter().for_each(|name| is_the_same(&folder, name, &whole));
        let error = folder.try_resume(over[0], &mut NoObserver).unwrap_err();
        assert!(error.to_string().contains("expected the state of an interrupted run"), "{error}");
        assert!(folder.weights(over[0]) == folder.weights("whole"));
    }
}

#[test]
fn a_run_killed_after_it_went_on_from_a_saved_state_goes_on_from_it_once_more() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        let (_, whole) = folder.tune("whole", &[]);
        let interrupted = interrupted_after(&folder, "stopped", 3, &[]);
        assert!(matches!(interrupted, Outcome::Interrupted { step: 3, .. }), "{}", task.name());
        let mut killed = Snapshots::of(&folder, "stopped", point);
        folder.try_resume("stopped", &mut killed).unwrap();
        assert!(folder.weights("stopped") == folder.weights("whole"), "{}: other bits", task.name());
        killed.taken.retain(|name| !name.ends_with("at the end"));
        assert_eq!(killed.taken[0], "killed at step 4", "it goes on where it was");
        killed.taken.iter().for_each(|name| is_the_same(&folder, name, &whole));
    }
}

#[test]
fn every_family_learns_classes_and_tags_and_saves_what_it_learnt() {
    for family in topwork_models::FAMILIES {
        for task in supervised().filter(|task| matches!(task.kind(), TargetKind::Class | TargetKind::TokenTags)) {
            let folder = Folder::tiny(task);
            let model = folder.new_model(family);
            let (inputs, results) = folder.tune("out", &[("model_name_or_path", &model)]);
            assert_eq!(inputs.config.description().name, family.name);
            let test = results.test.unwrap();
            assert!(test.loss().is_finite() && test.get(task.headline()).is_some(), "{}", family.name);
            assert_eq!(results.proofs.reloaded_same_logits.largest_difference, 0.0);
            folder.tune("one thread", &[("model_name_or_path", &model), ("threads", "1")]);
            let same = folder.weights("out") == folder.weights("one thread");
            assert!(same, "{}, {}: one thread gave other bits", family.name, task.name());
            assert_eq!(Predictor::load(&folder.path("out")).unwrap().task().name(), task.name());
            assert_eq!(file_name(&folder.path("out")), "out");
        }
    }
}

/// The saved tokenizer is made another than that which made the rows' tokens.
#[test]
fn a_saved_tokenizer_that_makes_other_tokens_fails_the_run() {
    let task = supervised().find(|task| task.kind() == TargetKind::Class).unwrap();
    let folder = Folder::tiny(task);
    let mut inputs = Inputs::read(&folder.recipe("out", &[]), &HubSettings::from_env(), &mut NoObserver).unwrap();
    let other = tokenizers::normalizers::Replace::new("people", "which").unwrap();
    inputs.tokenizer.with_normalizer(Some(other)).unwrap();
    let interrupt = AtomicBool::new(false);
    let context = RunContext { started: Instant::now(), interrupt: &interrupt, resume: false };
    let error = tune(&inputs, &context, &mut NoObserver).err().unwrap().to_string();
    let parts = ["the saved tokenizer makes other tokens", "row ", "expected ids [", "found ["];
    assert!(parts.iter().all(|part| error.contains(part)) && error.lines().count() == 1, "{error}");
}
