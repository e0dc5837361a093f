//! Audit, advice, range test and curve take every task: what applies is there, what does not is said, and nothing panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;
use topwork::advise::audit::audit_files;
use topwork::advise::{Advice, AdviseOptions, advise, find_learning_rate, look_at_every_row};
use topwork::events::NoObserver;
use topwork::fit::range_test::RangeOptions;
use topwork::judge::curve::{Curve, CurveOptions, curve};
use topwork::plan::Origin;
use topwork::plan::recipe::{Options, Recipe};
use topwork::tasks::{Part, Supervised, TASKS};
use topwork_models::HubSettings;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-bert");

fn supervised() -> impl Iterator<Item = &'static dyn Supervised> {
    TASKS.iter().filter_map(|task| task.supervised)
}

const WHO: [&str; 5] = ["the people", "her time", "some who", "they all", "his water"];
const WHAT: [&str; 6] = ["like them", "find each other", "do it now", "see the time", "make up", "go down"];

/// So many rows of a task, in a file that is recognised as of it.
fn rows(task: &str, count: usize, first: usize) -> (String, &'static str) {
    let mut text = String::new();
    let name = match task {
        "token_classification" => "conll",
        _ => {
            text.push_str("text,label\n");
            "csv"
        }
    };
    for row in first..first + count {
        let (who, what) = (row % WHO.len(), row / WHO.len() % WHAT.len());
        let said = format!("{} {} {}", WHO[who], WHAT[what], row / 30);
        let _ = match task {
            "classification" => writeln!(text, "{said},{}", ["this", "that", "other"][who % 3]),
            "multi_label" => writeln!(text, "{said},{}", ["a", "b", "a;b", "", "b;c"][who]),
            "regression" => writeln!(text, "{said},{}", who as f64 + 0.25 * what as f64),
            "token_classification" => {
                let words = said.split(' ').enumerate();
                let tags = words.map(|(at, word)| (word, if at < 2 { ["B-WHO", "I-WHO"][at] } else { "O" }));
                writeln!(text, "{}", tags.map(|(word, tag)| format!("{word} {tag}\n")).collect::<String>())
            }
            other => panic!("{other} has no rows here"),
        };
    }
    (text, name)
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn recipe(options: &[(&str, &str)]) -> Recipe {
    let mut recipe = Recipe::default();
    for (key, value) in options {
        recipe.say(key, value, "a test").unwrap();
    }
    recipe
}

/// The files of a task, and a recipe of them for the tiny model.
fn of_task(task: &str) -> (Folder, Recipe, PathBuf) {
    let folder = Folder::new();
    let (train, ending) = rows(task, 60, 0);
    let train = folder.write(&format!("train.{ending}"), &train);
    let test = folder.write(&format!("test.{ending}"), &rows(task, 25, 60).0);
    let recipe = recipe(&[
        ("train_file", path(&train)),
        ("test_file", path(&test)),
        ("model_name_or_path", MODEL),
        ("num_train_epochs", "1"),
        ("threads", "2"),
    ]);
    (folder, recipe, train)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn hub() -> HubSettings {
    HubSettings::from_env()
}

#[test]
fn an_audit_of_every_task_has_the_section_of_the_task_and_no_other() {
    for task in supervised() {
        let (_folder, recipe, _) = of_task(task.name());
        let mut audit = audit_files(&recipe).unwrap();
        assert_eq!(audit.task, task.name());
        assert_eq!(audit.hindrance(), None, "{}: {:?}", task.name(), audit.findings);
        assert_eq!((audit.splits[0].rows, audit.splits[1].rows, audit.malformed.len()), (60, 25, 0));
        let sections =
            [!audit.classes.is_empty(), audit.labels.is_some(), audit.numbers.is_some(), audit.tags.is_some()];
        let own =
            ["classification", "multi_label", "regression", "token_classification"].map(|name| name == task.name());
        assert_eq!(sections, own, "{}", task.name());
        look_at_every_row(&recipe, &mut audit, &hub(), &mut NoObserver).unwrap();
        assert!(audit.tokens.as_ref().is_some_and(|tokens| tokens.pieces_per_word > 0.5), "{}", task.name());
        let why_not = task.why_not(Part::LabelErrors);
        assert_eq!(audit.label_issues.is_none(), why_not.is_some(), "{}", task.name());
        let said: Vec<&str> = audit.not_applicable.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(said, why_not.into_iter().collect::<Vec<_>>());
        let json = serde_json::to_value(&audit).unwrap();
        for (key, is_there) in ["imbalance", "labels", "numbers", "tags"].into_iter().zip(own) {
            assert_eq!(json.get(key).is_some(), is_there, "{}: {key}", task.name());
        }
    }
}

#[test]
fn advice_for_every_task_is_a_recipe_and_says_what_does_not_apply() {
    for task in supervised() {
        let (_folder, recipe, train) = of_task(task.name());
        // The same model by two names.
        let models = vec![MODEL.to_string(), format!("{MODEL}/.")];
        let options = AdviseOptions {
            models,
            source_text: Vec::new(),
            source_labels: Some(train),
            only_transferability: false,
            effort: 1.0,
        };
        let found = advise(&recipe, &options, &hub(), &mut NoObserver, &AtomicBool::new(false)).unwrap();
        let Advice { transferability, not_applicable, learning_rate, recipe: advised, .. } = &found;
        let name = task.name();
        let has_scores = task.why_not(Part::Transferability).is_none();
        assert_eq!((found.task, found.rows, found.failures.len()), (name, 60, 0));
        assert_eq!(
            (transferability.candidates.len(), found.model.as_str()),
            (2, MODEL),
            "{name}: the first among equals"
        );
        assert_eq!(transferability.baselines.is_some(), has_scores, "{name}");
        assert_eq!(found.expectation.is_some(), has_scores, "{name}");
        assert_eq!(not_applicable.is_empty(), has_scores, "{name}: {not_applicable:?}");
        let ranked_by = (!has_scores && task.why_not(Part::FrozenHead).is_none()).then(|| task.headline().name());
        assert_eq!(transferability.ranked_by, ranked_by, "{name}");
        if let Some(metric) = ranked_by {
            let scores = transferability.candidates.iter().map(|candidate| candidate.scores[metric].as_f64());
            assert!(scores.clone().all(|score| score.is_some_and(|score| (-1.0..=1.0).contains(&score))), "{name}");
        }
        assert!(found.similarity.measures.iter().any(|measure| measure.name == "vocabulary_overlap"), "{name}");
        let has_otdd = found.similarity.measures.iter().any(|measure| measure.name == "otdd");
        let misses_otdd = found.similarity.missing.iter().any(|missing| missing.contains("OTDD"));
        assert_eq!((has_otdd, misses_otdd), (has_scores, !has_scores), "{name}");
        let found_rate = learning_rate.as_ref().unwrap();
        assert!(found_rate.range_test.curve.len() > 5, "{name}");
        assert!(has_scores || found_rate.race.is_none(), "{name}");
        assert!(found.depth.is_some() && found.length.is_some() && found.audit.tokens.is_some(), "{name}");
        assert!(found.tune_seconds.is_some_and(|seconds| seconds > 0.0), "{name}");
        let advised = advised.as_ref().unwrap();
        let value = |key| advised.values.iter().find(|value| value.key == key);
        assert_eq!(value("learning_rate").map(|value| value.origin), Some(Origin::Advice), "{name}");
        assert!(value("model_name_or_path").is_some_and(|value| !value.reason.contains("NaN") || has_scores), "{name}");
        advised.apply(&recipe).unwrap();
        serde_json::to_value(&found).unwrap();
    }
}

#[test]
fn only_scoring_models_trains_nothing() {
    for task in supervised() {
        let (_folder, recipe, _) = of_task(task.name());
        let options = AdviseOptions {
            models: vec![MODEL.to_string()],
            source_text: Vec::new(),
            source_labels: None,
            only_transferability: true,
            effort: 1.0,
        };
        let found = advise(&recipe, &options, &hub(), &mut NoObserver, &AtomicBool::new(false)).unwrap();
        assert!(found.learning_rate.is_none() && found.recipe.is_none() && found.tune_seconds.is_none());
    }
}

#[test]
fn a_range_test_of_every_task_takes_steps() {
    for task in supervised() {
        let (_folder, recipe, _) = of_task(task.name());
        let options = RangeOptions { start: 1e-5, end: 1e-1, steps: 20 };
        let (found, usual) = find_learning_rate(&recipe, &options, &hub(), &mut NoObserver).unwrap();
        assert!(found.curve.len() > 5 && usual > 0.0, "{}", task.name());
        assert!(found.curve.iter().all(|step| step.loss.is_finite()), "{}", task.name());
    }
}

#[test]
fn a_curve_of_every_task_is_of_its_headline_metric() {
    for task in supervised() {
        let (_folder, recipe, _) = of_task(task.name());
        let options = CurveOptions { sizes: vec![20, 40], seeds: 2 };
        let found = curve(&recipe, &options, &hub(), &mut NoObserver, &AtomicBool::new(false)).unwrap().unwrap();
        let name = task.name();
        assert_eq!((found.task.as_str(), found.metric, found.rows_scored), (name, task.headline(), 25));
        let all = ["bag of words", "frozen + linear head", "random weights", "fine-tuned"];
        let missing: Vec<&str> = found.not_applicable.iter().map(|(contender, _)| contender.as_str()).collect();
        let own: Vec<&str> = found.contenders.iter().map(|contender| contender.name.as_str()).collect();
        assert_eq!(own, all.into_iter().filter(|name| !missing.contains(name)).collect::<Vec<_>>(), "{name}");
        for contender in &found.contenders {
            assert_eq!(contender.points.iter().map(|point| point.rows).collect::<Vec<_>>(), [20, 40]);
            assert!(contender.points.iter().all(|point| point.scores.len() == 2), "{name}: {}", contender.name);
            assert!(contender.law.is_none() || task.headline().is_share(), "{name}: a correlation has no law");
        }
        assert!(found.sentence.contains(task.headline().label()), "{name}: {}", found.sentence);
        let json = serde_json::to_value(&found).unwrap();
        let point = &json["contenders"][0]["points"][0];
        let (scores, mean) = if name == "classification" { ("accuracies", "accuracy") } else { ("scores", "score") };
        assert!(point[scores].is_array() && point[mean]["mean"].is_number(), "{name}: {point}");
        let read: Curve = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json, "{name}");
    }
}

/// An audit of these files, with what else is said.
fn audited(files: &[(&str, &str)], said: &[(&str, &str)]) -> topwork::advise::audit::Audit {
    let folder = Folder::new();
    let files: Vec<PathBuf> = files.iter().map(|(name, text)| folder.write(name, text)).collect();
    let keys = ["train_file", "test_file"];
    let own: Vec<(&str, &str)> = keys.into_iter().zip(&files).map(|(key, file)| (key, path(file))).collect();
    let mut audit = audit_files(&recipe(&[&own, said].concat())).unwrap();
    assert!(audit.hindrance().is_some(), "no run would take these: {:?}", audit.findings);
    // No model is loaded for files that no run takes.
    let said = recipe(&[&own, said].concat());
    look_at_every_row(&said, &mut audit, &hub(), &mut NoObserver).unwrap();
    assert!(audit.findings.iter().any(|finding| finding.starts_with("no model looked at the rows")));
    audit
}

#[track_caller]
fn finds(audit: &topwork::advise::audit::Audit, words: &[&str]) {
    let has_all = |finding: &&String| words.iter().all(|word| finding.contains(word));
    assert!(audit.findings.iter().find(has_all).is_some(), "{words:?} in {:#?}", audit.findings);
}

#[test]
fn malformed_classes_are_findings() {
    let lists = "{\"text\": \"a b\", \"label\": \"x\"}\n{\"text\": \"c\", \"label\": [\"x\", \"y\"]}\n{\"text\": \"d\", \"label\": \"y\"}\n";
    let audit = audited(&[("train.jsonl", lists)], &[("task", "classification")]);
    assert_eq!((audit.malformed.len(), audit.malformed[0].line), (1, 2));
    finds(&audit, &["labels of 1 row ", "line 2", "expected one label"]);
}

#[test]
fn malformed_labels_are_findings() {
    let train = "{\"text\": \"a b\", \"label\": [\"x\", \"y\"]}\n{\"text\": \"A  b\", \"label\": [\"y\", \"x\"]}\n\
                 {\"text\": \"c\", \"label\": [\"x\", \"x\", \"y\"]}\n{\"text\": \"d\", \"label\": [\" \"]}\n\
                 {\"text\": \"e\", \"label\": []}\n{\"text\": \"E\", \"label\": [\"z\"]}\n";
    let test = "{\"text\": \"f\", \"label\": [\"w\"]}\n{\"text\": \"g\", \"label\": []}\n";
    let audit = audited(&[("train.jsonl", train), ("test.jsonl", test)], &[("task", "multi_label")]);
    assert_eq!(audit.malformed.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4]);
    finds(&audit, &["labels of 2 rows", "line 3", "`x` twice"]);
    finds(&audit, &["1 test row has the label `w`"]);
    finds(&audit, &["`x`, `y` stand on the same training rows"]);
    // The order of labels is none; a row with a label and one without any disagree.
    assert_eq!((audit.conflicts.len(), audit.conflicts[0].text.as_str()), (1, "e"));
    let labels = audit.labels.unwrap();
    assert_eq!((labels.without_label, labels.in_columns), (vec![2, 1], false));
    assert_eq!(labels.rows.iter().map(|own| own.rows.clone()).collect::<Vec<_>>(), [[3, 0], [3, 0], [1, 0]]);
}

#[test]
fn labels_that_a_run_could_not_tell_apart_are_a_hindrance() {
    let train = "{\"text\": \"a\", \"label\": [\"x\", \"y\"]}\n{\"text\": \"b\", \"label\": [\"y\", \"x\"]}\n";
    let audit = audited(&[("train.jsonl", train)], &[("task", "multi_label")]);
    assert_eq!(audit.hindrance(), Some("every row has the same labels"));
}

#[test]
fn an_audit_knows_declared_names_as_a_run_does() {
    let folder = Folder::new();
    let tags = "the B-X\npeople O\n\nit O\nwas B-X\n";
    let cases = [
        (
            "train.csv",
            &*format!("text,label\n{}", (0..24).map(|row| format!("text {row},{}\n", row % 2)).collect::<String>()),
            "test.csv",
            "text,label\nd,z\ne,2\n",
            "x\ny\nz\n",
            "z",
        ),
        ("train.conll", tags, "test.conll", "they B-Z\nwere O\n", "O\nB-X\nB-Z\n", "B-Z"),
    ];
    for (train, rows, test, test_rows, names, declared) in cases {
        let [train, test] = [folder.write(train, rows), folder.write(test, test_rows)];
        let names = folder.write("names.txt", names);
        let keys = [("train_file", path(&train)), ("test_file", path(&test)), ("label_names_file", path(&names))];
        let audit = audit_files(&recipe(&keys)).unwrap();
        assert_eq!(audit.hindrance(), None, "{:?}", audit.findings);
        assert!(audit.unknown_labels.is_empty(), "{:?}", audit.unknown_labels);
        // A class without a row is not the smallest of unequal ones.
        assert!(!audit.findings.iter().any(|finding| finding.contains("unequal")), "{:?}", audit.findings);
        let own = audit.tags.map_or(audit.classes, |tags| tags.words);
        let counted = own.iter().find(|own| own.label == declared).map(|own| own.rows.clone());
        assert_eq!(counted, Some(vec![0, if declared == "z" { 2 } else { 1 }]));
    }
    // A label that is not declared is a finding.
    let [rows, names] = [folder.write("rows.csv", "text,label\na,x\nb,y\nc,w\n"), folder.write("two.txt", "x\ny\n")];
    let test = folder.write("other.csv", "text,label\nd,v\n");
    let keys = [("train_file", path(&rows)), ("test_file", path(&test)), ("label_names_file", path(&names))];
    let audit = audit_files(&recipe(&keys)).unwrap();
    assert!(audit.hindrance().is_some(), "{:?}", audit.findings);
    finds(&audit, &["1 test row has the label `v`", "is not declared"]);
    finds(&audit, &["1 train row has the label `w`", "line 4"]);
    // What no row has is no class that a run could learn.
    let [lone, names] = [folder.write("lone.csv", "text,label\na,x\nb,x\n"), folder.write("names.txt", "x\ny\n")];
    let audit = audit_files(&recipe(&[("train_file", path(&lone)), ("label_names_file", path(&names))])).unwrap();
    assert_eq!(audit.hindrance(), Some("it takes two classes at least"));
}

#[test]
fn malformed_columns_of_labels_are_findings() {
    let train = "text,toxic,rude,spam,odd\na,1,0,0,1\nb,0,0,0,1\nc,maybe,1,0,1\n";
    let audit = audited(&[("train.csv", train)], &[("task", "multi_label"), ("label_column", "toxic,rude,spam,odd")]);
    finds(&audit, &["line 4", "`toxic`", "expected 0 or 1", "\"maybe\""].map(|word| word.trim_matches('"')));
    finds(&audit, &["no training row has `spam`"]);
    finds(&audit, &["every training row has `odd`"]);
}

#[test]
fn malformed_numbers_are_findings() {
    let mut train = "text,label\n".to_string();
    (0..20).for_each(|row| writeln!(train, "row {row},{}.5", row % 4).unwrap());
    train.push_str("far,900\nsame text,1.0\nSame  text,1\nother text,1\nOther text,3.5\nbad,many\nlacks,\n");
    let audit = audited(&[("train.csv", &train)], &[("task", "regression")]);
    assert_eq!(audit.malformed.iter().map(|row| row.line).collect::<Vec<_>>(), [27]);
    finds(&audit, &["line 27", "expected a number", "many"]);
    finds(&audit, &["1 train row has no label", "line 28"]);
    finds(&audit, &["1 number lies far", "line 22", "900"]);
    finds(&audit, &["1 training text repeats with differing numbers", "1 to 3.5", "line 25"]);
    assert_eq!(audit.conflicts.len(), 1, "1 and 1.0 are one number");
    let numbers = audit.numbers.unwrap();
    let range = numbers.outputs[0].ranges[0].unwrap();
    assert_eq!((range.rows, range.min, range.median, range.max), (25, 0.5, 1.5, 900.0));
    let constant = audited(&[("train.csv", "text,label\na,1.5\nb,1.5\n")], &[("task", "regression")]);
    finds(&constant, &["`label` is 1.5 in every training row"]);
}

#[test]
fn malformed_tags_are_findings() {
    let train = "the B-X\npeople I-X\nsaid O\n\nit O\nwas O\nsaid I-Y\n\nsome B-X\nother B-X\n";
    let test = "they B-Z\nwere O\n";
    let audit = audited(&[("train.conll", train), ("test.conll", test)], &[]);
    assert_eq!(audit.task, "token_classification");
    finds(&audit, &["1 tag is malformed", "line 7", "word 3 (`said`)", "`I-Y`", "`B-Y`"]);
    finds(&audit, &["1 test row has the tag `B-Z`"]);
    let tags = audit.tags.unwrap();
    assert_eq!(tags.scheme.as_deref(), Some("IOB2"));
    let words = |tag: &str| tags.words.iter().find(|own| own.label == tag).map(|own| own.rows.clone());
    assert_eq!((words("B-X"), words("O")), (Some(vec![3, 0]), Some(vec![3, 1])));

    let uneven = "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"N\", \"V\"]}\n{\"tokens\": [\"c\", \"d\"], \"tags\": [\"N\"]}\n\
                  {\"tokens\": [\"A\", \"b\"], \"tags\": [\"N\", \"N\"]}\n";
    let audit = audited(&[("train.jsonl", uneven)], &[("task", "token_classification")]);
    assert_eq!(audit.malformed.iter().map(|row| row.line).collect::<Vec<_>>(), [2]);
    finds(&audit, &["expected a tag for each of 2 words, found 1 tags"]);
    finds(&audit, &["1 text is tagged differently in other rows"]);

    let plain = audited(&[("train.csv", "text,label\na b,x\nc d,y\n")], &[("task", "token_classification")]);
    finds(&plain, &["expected a list of words with a tag for each", "plain text"]);
}

#[test]
fn sentences_that_are_read_in_windows_are_one_row_each() {
    let folder = Folder::new();
    // More words than the tiny model takes tokens.
    let sentence = |row: usize| -> String {
        let word = |at: usize| ["the B-X\n", "people I-X\n", "said O\n", "no O\n"][(at + row % 3 * 4) % 4];
        (0..40 + row).map(word).collect::<String>() + "\n"
    };
    let train = folder.write("train.conll", &(0..12).map(sentence).collect::<String>());
    let recipe = recipe(&[("train_file", path(&train)), ("model_name_or_path", MODEL), ("threads", "1")]);
    let mut audit = audit_files(&recipe).unwrap();
    look_at_every_row(&recipe, &mut audit, &hub(), &mut NoObserver).unwrap();
    let tokens = audit.tokens.unwrap();
    assert_eq!((tokens.windowed, tokens.truncated), (1.0, 0.0));
    assert!(audit.findings.iter().any(|finding| finding.contains("read in windows")), "{:?}", audit.findings);
    let options = AdviseOptions {
        models: vec![MODEL.to_string()],
        source_text: Vec::new(),
        source_labels: None,
        only_transferability: false,
        effort: 1.0,
    };
    let found = advise(&recipe, &options, &hub(), &mut NoObserver, &AtomicBool::new(false)).unwrap();
    assert_eq!(found.rows_looked_at, 12);
    assert!(
        found.similarity.measures.iter().any(|measure| measure.name == "coverage"),
        "{:?}",
        found.similarity.missing
    );
}
