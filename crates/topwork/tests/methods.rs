//! Laws of the methods by which a model is made good at a task: what each touches, that its result is repeated and saved to the bit, and
//! that it learns from labels only what they say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "what these tests do not use, those of the tasks do")]
mod task_runs;

use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use task_runs::{Folder, Snapshots, interrupted_after, supervised};
use topwork::events::{NoObserver, RunEvent, SplitScores};
use topwork::judge::floor::FloorFinding;
use topwork::predict::Predictor;
use topwork::run::{Outcome, RunContext};
use topwork::session::inputs::Inputs;
use topwork::tasks::Supervised;
use topwork::tune::results::Results;
use topwork::tune::tune;
use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::HubSettings;

fn classes() -> &'static dyn Supervised {
    supervised().find(|task| task.kind() == TargetKind::Class).unwrap()
}

const ALL: [&str; 3] = ["finetune", "linear", "setfit"];

fn accuracy(scores: &SplitScores) -> f64 {
    scores.scores.get(Metric::Accuracy).unwrap()
}

/// The scores of the saved model on the test rows.
fn scores_of_saved(predictor: &Predictor, folder: &Folder, inputs: &Inputs) -> SplitScores {
    let test = inputs.test.as_ref().unwrap();
    let texts = predictor.tokenize(&test.examples, &folder.path("out")).unwrap();
    let outputs = predictor.logits(&texts, inputs.plan.per_device_eval_batch_size.value);
    SplitScores::new(test.len(), classes().evaluate(&outputs, &test.targets, &predictor.scoring))
}

#[test]
fn whatever_the_method_the_saved_model_gives_the_outputs_of_the_run_and_threads_change_no_bit() {
    for method in ALL {
        let folder = Folder::of(classes());
        let (inputs, results) = folder.tune("out", &[("method", method)]);
        assert_eq!(inputs.plan.method.value.name(), method);
        let predictor = Predictor::load(&folder.path("out")).unwrap();
        let scores = scores_of_saved(&predictor, &folder, &inputs);
        assert_eq!(Some(&scores), results.test.as_ref(), "{method}");
        let texts = predictor.tokenize(&inputs.train.examples, &folder.path("out")).unwrap();
        let outputs = predictor.logits(&texts, inputs.plan.per_device_eval_batch_size.value);
        let train = classes().evaluate(&outputs, &inputs.train.targets, &predictor.scoring);
        let (own, saved) = (results.train.loss(), train.loss);
        assert!((own - saved).abs() < 1e-5 * saved.max(1e-3), "{method}: training rows, {own} and {saved}");
        folder.tune("one thread", &[("method", method), ("threads", "1")]);
        assert!(folder.weights("out") == folder.weights("one thread"), "{method}: one thread gave other bits");
    }
}

#[test]
fn linear_touches_the_output_layer_alone_for_every_task_that_has_it() {
    for task in supervised().filter(|task| task.starts_from_probe()) {
        let folder = Folder::tiny(task);
        let (inputs, results) = folder.tune("out", &[("method", "linear")]);
        let trained: Vec<&str> =
            inputs.policy.parameters.iter().filter(|own| own.trainable).map(|own| &*own.name).collect();
        assert_eq!(trained, ["classifier.weight", "classifier.bias"], "{}", task.name());
        assert_eq!(results.proofs.frozen_unchanged.tensors, inputs.policy.parameters.len() - 2);
        assert_eq!((results.steps, results.tokens), (0, 0));
        assert!(results.test.unwrap().loss().is_finite(), "{}", task.name());
        // No draw is left: another seed fits the same head, but for the rows that are held out.
        let all = [("method", "linear"), ("validation_fraction", "0")];
        folder.tune("all", &all);
        folder.tune("other seed", &[&all[..], &[("seed", "7")]].concat());
        assert!(folder.weights("all") == folder.weights("other seed"), "{}", task.name());
    }
}

#[test]
fn a_contrastive_training_that_is_stopped_or_killed_goes_on_to_the_same_bits() {
    let setfit = [("method", "setfit")];
    let folder = Folder::tiny(classes());
    let point = |event: &RunEvent| match event {
        RunEvent::Step { step: 4, .. } => Some("killed at a step".to_string()),
        RunEvent::Phase { name } if name == "save" => Some("killed before saving".to_string()),
        _ => None,
    };
    let mut killed = Snapshots::of(&folder, "whole", point);
    let (_, whole) = folder.tune_seen("whole", &setfit, &mut killed);
    let is_whole = |name: &str, results: &Results| {
        assert!(folder.weights(name) == folder.weights("whole"), "{name}: other bits");
        assert_eq!((&results.test, results.steps, results.tokens), (&whole.test, whole.steps, whole.tokens), "{name}");
    };
    assert_eq!(killed.taken.len(), 2);
    killed.taken.iter().for_each(|name| is_whole(name, &folder.resume(name)));

    let stopped = interrupted_after(&folder, "stopped", 3, &setfit);
    assert!(matches!(stopped, Outcome::Interrupted { step: 3, .. }));
    is_whole("stopped", &folder.resume("stopped"));
}

#[test]
fn rows_that_are_compared_come_to_lie_by_class() {
    // No name says anything, and the word that decides stands among others.
    let folder = Folder::of(classes());
    let unnamed = [("label_names_as_rows", "false"), ("num_train_epochs", "15")];
    let score = |method: &str| {
        let (_, results) = folder.tune(method, &[&unnamed[..], &[("method", method)]].concat());
        results.test.unwrap().loss()
    };
    let (linear, setfit) = (score("linear"), score("setfit"));
    assert!(setfit < 0.8 * linear, "loss on rows that were not learnt from: {setfit} after comparing, {linear} before");
}

#[test]
fn names_of_classes_teach_what_rows_do_not_and_never_reach_rows_with_labels_in_random_order() {
    let folder = Folder::of(classes());
    let names = ["there", "people", "which"];
    let lines = |rows: std::ops::Range<usize>, text: &dyn Fn(usize) -> String| {
        rows.fold(String::new(), |mut lines, row| {
            let (text, label) = (text(row), names[row % 3]);
            writeln!(lines, "{{\"text\": \"{text}\", \"label\": \"{label}\"}}").unwrap();
            lines
        })
    };
    // No row that is learnt from has a word of its class; every row that is answered is that word.
    folder.write("train.jsonl", &lines(0..6, &|row| format!("was {row}")));
    folder.write("test.jsonl", &lines(0..30, &|row| names[row % 3].to_string()));
    for method in ["linear", "setfit"] {
        let score = |name: &str, with_names: &str| {
            let options = [
                ("method", method),
                ("label_names_as_rows", with_names),
                ("permuted_control", "true"),
                ("validation_fraction", "0"),
            ];
            let (_, results) = folder.tune(&format!("{method} {name}"), &options);
            (accuracy(&results.test.unwrap()), accuracy(&results.permuted_control.unwrap()))
        };
        let ((with, control), (without, _)) = (score("with", "true"), score("without", "false"));
        assert!(with > 0.99 && without < 0.7, "{method}: {with} with names, {without} without");
        assert!(control < 0.7, "{method}: the names reached the labels in random order: {control}");
    }
}

#[test]
fn a_run_that_words_or_the_untouched_model_match_is_said_to_be_no_better() {
    // The label stands in the text: a bag of words cannot be passed.
    let folder = Folder::tiny(classes());
    let rows = |range: std::ops::Range<usize>| {
        range.fold(String::new(), |mut lines, row| {
            let label = ["there", "people", "which"][row % 3];
            writeln!(lines, "{{\"text\": \"{label} {row}\", \"label\": \"{label}\"}}").unwrap();
            lines
        })
    };
    folder.write("train.jsonl", &rows(0..60));
    folder.write("test.jsonl", &rows(100..160));
    for method in ALL {
        let (_, results) = folder.tune(method, &[("method", method), ("validation_fraction", "0")]);
        let floor = results.floor.unwrap();
        assert_eq!(floor.value, 1.0, "{method}: {}", floor.best);
        assert_eq!(floor.finding, FloorFinding::NotBetter, "{method}: {}", floor.sentence);
        let contenders: Vec<_> = results.transfer.unwrap().contenders.iter().map(|own| own.name.to_string()).collect();
        let own = [("finetune", "fine-tuned"), ("linear", "frozen + linear head"), ("setfit", "setfit")];
        let name = own.iter().find(|(known, _)| *known == method).unwrap().1;
        assert_eq!(contenders.last().map(String::as_str), Some(name));
        assert!(contenders.iter().any(|contender| contender == "bag of words"));
    }
}

#[test]
fn where_only_folds_judge_each_fold_is_answered_by_a_floor_that_has_not_seen_it() {
    let folds = [("folds", "4"), ("label_names_as_rows", "false"), ("method", "setfit")];
    let run = |folder: &Folder| {
        let mut recipe = folder.recipe("out", &folds);
        recipe.test_file = None;
        let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap();
        let interrupt = AtomicBool::new(false);
        let context = RunContext { started: Instant::now(), interrupt: &interrupt, resume: false };
        let Outcome::Finished { results, .. } = tune(&inputs, &context, &mut NoObserver).unwrap() else { panic!() };
        *results
    };
    // Words tell the class of every row, also of those that are left out.
    let folder = Folder::tiny(classes());
    let results = run(&folder);
    let (floor, together) = (results.floor.unwrap(), &results.folds.as_ref().unwrap().together);
    assert!(floor.best == "bag of words" && floor.value > 0.9, "{}", floor.sentence);
    assert_eq!(floor.own, accuracy(together));
    assert!(floor.sentence.contains("48 left-out rows"), "{}", floor.sentence);
    // A word that no other row has tells nothing: whoever had seen the rows that it answers would be right.
    let rows = (0..48).fold(String::new(), |mut lines, row| {
        writeln!(lines, "{{\"text\": \"word{row}word\", \"label\": \"{}\"}}", ["there", "people"][row * 7 % 5 % 2])
            .unwrap();
        lines
    });
    let folder = Folder::tiny(classes());
    folder.write("train.jsonl", &rows);
    let floor = run(&folder).floor.unwrap();
    assert!(floor.value < 0.8, "{}", floor.sentence);
}

#[test]
fn few_rows_choose_a_pooling_and_those_that_are_held_out_have_no_say() {
    let read = |folder: &Folder, options: &[(&str, &str)]| {
        Inputs::read(&folder.recipe("out", options), &HubSettings::from_env(), &mut NoObserver).unwrap()
    };
    for task in supervised().filter(|task| task.kind() != TargetKind::TokenTags) {
        let folder = Folder::tiny(task);
        let inputs = read(&folder, &[]);
        let (pooling, learnt) = (inputs.plan.pooling.clone(), inputs.train.len());
        assert!(learnt < 48 && pooling.reason.contains(&format!("on {learnt} rows")), "{}", pooling.reason);
        let parts = ["first_token", "mean"].map(|name| {
            let (_, rest) = pooling.reason.rsplit_once(&format!("{name} ")).unwrap();
            rest.split(',').next().unwrap().parse::<f64>().unwrap()
        });
        let best = usize::from(parts[1] > parts[0]);
        assert!(parts[0] == parts[1] || pooling.value.name() == ["first_token", "mean"][best], "{}", pooling.reason);
        // Nothing is asked of rows where it is said.
        let said = read(&folder, &[("pooling", "mean")]);
        assert!(!said.plan.pooling.reason.contains("R²"), "{}", said.plan.pooling.reason);
        // Too few to leave one out.
        for file in ["train.jsonl", "test.jsonl"] {
            folder.write(file, &task_runs::jsonl(task.kind(), 0..2));
        }
        let few = read(&folder, &[("validation_fraction", "0")]).plan.pooling;
        assert!(few.value.name() == "first_token" && few.reason.contains("2 rows cannot tell"), "{}", few.reason);
    }
}

/// R² after each number of layers that was looked at, as the plan says it.
fn by_layers(inputs: &Inputs) -> Vec<(usize, f64)> {
    let (_, found) = inputs.plan.num_hidden_layers.reason.rsplit_once(": ").unwrap();
    let pair = |text: &str| {
        let (layers, part) = text.split_once(' ').unwrap();
        (layers.parse().unwrap(), part.parse().unwrap())
    };
    found.split(", ").map(pair).collect()
}

#[test]
fn rows_choose_the_layers_that_a_linear_head_stands_on_and_the_saved_model_has_no_others() {
    let (linear, all) = (("method", "linear"), ("validation_fraction", "0"));
    let mut kept = Vec::new();
    for task in supervised().filter(|task| task.starts_from_probe()) {
        let folder = Folder::of(task);
        let (inputs, _) = folder.tune("out", &[linear, all, ("pooling", "mean")]);
        let (chosen, found) = (&inputs.plan.num_hidden_layers, by_layers(&inputs));
        assert!(found.len() > 1 && chosen.reason.contains("on 48 rows"), "{}", chosen.reason);
        let best = found.iter().map(|(_, part)| *part).fold(f64::NEG_INFINITY, f64::max);
        assert!(found.contains(&(chosen.value, best)), "{}: {}", task.name(), chosen.reason);
        kept.push(chosen.value);
        // Whoever says that number has the same model, and one layer more in the file computes the mean.
        let layers = chosen.value.to_string();
        folder.tune("said", &[linear, all, ("pooling", "mean"), ("num_hidden_layers", &layers)]);
        assert!(folder.weights("out") == folder.weights("said"), "{}", task.name());
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path("out/config.json")).unwrap()).unwrap();
        assert_eq!(config["num_hidden_layers"], chosen.value + 1, "{}", task.name());
        // A vector that the last layer alone makes is read after it, and trained layers are all kept.
        for options in [[linear, ("pooling", "first_token")], [("method", "finetune"), ("pooling", "mean")]] {
            let recipe = folder.recipe("other", &options);
            let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap();
            assert!(inputs.plan.num_hidden_layers.reason.starts_with("all layers of the model: "));
        }
        // Held-out rows have no say.
        let part = folder.recipe("part", &[linear, ("pooling", "mean")]);
        let part = Inputs::read(&part, &HubSettings::from_env(), &mut NoObserver).unwrap();
        let (learnt, reason) = (part.train.len(), &part.plan.num_hidden_layers.reason);
        assert!(learnt < 48 && reason.contains(&format!("on {learnt} rows")), "{reason}");
    }
    assert!(kept.iter().any(|layers| *layers < 4), "no task of these left out a layer: {kept:?}");
}

#[test]
fn labels_in_random_order_are_told_by_no_layer() {
    let folder = Folder::of(classes());
    let mut best = Vec::new();
    for seed in 0..10 {
        let lines = task_runs::jsonl(TargetKind::Class, 0..48);
        let rows: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut labels: Vec<String> = rows.iter().map(|row| row["label"].as_str().unwrap().to_string()).collect();
        topwork_data::Stream::named("order", seed).shuffle(&mut labels);
        let mut shuffled = String::new();
        for (row, label) in rows.iter().zip(labels) {
            writeln!(shuffled, "{}", serde_json::json!({ "text": row["text"], "label": label })).unwrap();
        }
        folder.write("train.jsonl", &shuffled);
        let recipe = folder.recipe("out", &[("method", "linear"), ("validation_fraction", "0"), ("pooling", "mean")]);
        let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut NoObserver).unwrap();
        best.push(by_layers(&inputs).into_iter().map(|(_, part)| part).fold(f64::NEG_INFINITY, f64::max));
    }
    // The best of several is a little above what any one has by chance.
    let mean = best.iter().sum::<f64>() / 10.0;
    assert!(mean < 0.05 && best.iter().all(|part| *part < 0.2), "{best:?}");
}

#[test]
fn every_method_learns_on_the_layers_that_are_kept() {
    for method in ALL {
        let folder = Folder::tiny(classes());
        let kept = [("method", method), ("num_hidden_layers", "1")];
        let (inputs, results) = folder.tune("out", &kept);
        let names: Vec<&str> = inputs.policy.parameters.iter().map(|own| &*own.name).collect();
        assert!(
            names.iter().any(|name| name.contains("layer.0.")) && !names.iter().any(|name| name.contains("layer.1."))
        );
        let predictor = Predictor::load(&folder.path("out")).unwrap();
        let scores = scores_of_saved(&predictor, &folder, &inputs);
        assert_eq!(Some(&scores), results.test.as_ref(), "{method}");
        // From the model of one layer it goes on as from any other.
        let directory = folder.path("out").to_str().unwrap().to_string();
        let (again, _) = folder.tune("again", &[("model_name_or_path", &directory), ("method", method)]);
        assert_eq!(again.plan.num_hidden_layers.value, 1, "{method}");
    }
    let found = refused(&Folder::tiny(classes()), &[("num_hidden_layers", "4")]);
    assert!(found.contains("num_hidden_layers: expected auto, or 1 to 3, the layers of the model, found 4"), "{found}");
}

/// What is said of a recipe that cannot be.
#[track_caller]
fn refused(folder: &Folder, options: &[(&str, &str)]) -> String {
    let error = Inputs::read(&folder.recipe("out", options), &HubSettings::from_env(), &mut NoObserver);
    assert!(!folder.path("out").exists());
    error.err().unwrap().to_string()
}

#[test]
fn a_method_that_cannot_learn_the_rows_is_refused_with_one_that_can() {
    for task in supervised().filter(|task| task.kind() != TargetKind::Class) {
        let found = refused(&Folder::tiny(task), &[("method", "setfit")]);
        let expected =
            format!("method: expected finetune: setfit compares the classes of rows, and {} has none", task.name());
        assert!(found.contains(&expected), "{found}");
    }
    let tagger = supervised().find(|task| task.kind() == TargetKind::TokenTags).unwrap();
    let found = refused(&Folder::tiny(tagger), &[("method", "linear")]);
    assert!(
        found.contains("expected finetune: token_classification has no linear model on untouched features"),
        "{found}"
    );
    let folder = Folder::tiny(classes());
    let found = refused(&folder, &[("method", "linear"), ("init", "random")]);
    assert!(found.contains("expected finetune: linear goes on from pretrained layers, and init is random"), "{found}");
    folder.write("train.jsonl", "{\"text\": \"a\", \"label\": \"x1\"}\n{\"text\": \"b\", \"label\": \"x2\"}\n");
    folder.write("test.jsonl", "{\"text\": \"c\", \"label\": \"x1\"}\n");
    let found = refused(&folder, &[("method", "setfit"), ("validation_fraction", "0")]);
    assert!(found.contains("setfit needs a class with two rows, or names of classes as rows"), "{found}");
}

/// What is said of a run that comes to nothing.
fn lost(folder: &Folder, options: &[(&str, &str)]) -> String {
    let inputs = Inputs::read(&folder.recipe("out", options), &HubSettings::from_env(), &mut NoObserver).unwrap();
    let interrupt = AtomicBool::new(false);
    let context = RunContext { started: Instant::now(), interrupt: &interrupt, resume: false };
    tune(&inputs, &context, &mut NoObserver).err().unwrap().to_string()
}

#[test]
fn rows_that_no_head_can_be_fitted_to_are_said_and_nothing_is_left() {
    let numbers = supervised().find(|task| task.kind() == TargetKind::Value).unwrap();
    let folder = Folder::tiny(numbers);
    folder.write("train.jsonl", &task_runs::jsonl(TargetKind::Value, 0..2));
    let linear = [("method", "linear"), ("validation_fraction", "0")];
    let error = lost(&folder, &linear);
    assert!(error.contains("a linear head needs more rows than the 2 there are"), "{error}");
    assert!(!folder.path("out").exists());
    // A class of two rows has one in each of two folds.
    let folder = Folder::tiny(classes());
    folder.write("train.jsonl", &task_runs::jsonl(TargetKind::Class, 0..6));
    let folds = [("method", "setfit"), ("label_names_as_rows", "false"), ("folds", "2")];
    let (_, results) = folder.tune("folds", &folds);
    let said = results.unfinished.join("; ");
    assert!(said.contains("folds: setfit compares rows of a class: expected a class with two rows"), "{said}");
}
