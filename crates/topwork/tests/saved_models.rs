//! What holds of a fine-tuned model that is used again: trained further it begins where it ended, and it reads rows as it was
//! trained to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "what runs of tasks share")]

mod task_runs;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use task_runs::{Folder, jsonl, supervised};
use topwork::events::SplitScores;
use topwork::predict::Predictor;
use topwork::tasks::{Supervised, of_kind};
use topwork_data::{ColumnNames, Labels, TargetKind};

/// So small a rate moves no weight.
const STILL: (&str, &str) = ("learning_rate", "1e-30");

/// Numbers far from 0 with a large deviation, in place of those of a regression.
fn enlarge(folder: &Folder, task: &dyn Supervised) {
    if task.kind() != TargetKind::Value {
        return;
    }
    for (name, rows) in [("train.jsonl", 0..48), ("test.jsonl", 100..112)] {
        let text = jsonl(task.kind(), rows);
        let rows = text.lines().map(|line| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            row["label"] = json!(1000.0 + 100.0 * row["label"].as_f64().unwrap());
            format!("{row}\n")
        });
        folder.write(name, &rows.collect::<String>());
    }
}

#[track_caller]
fn is_as_before(before: &SplitScores, after: &SplitScores, name: &str) {
    for (metric, value) in before.scores.iter() {
        let (other, size) = (after.value(metric), value.abs().max(1.0));
        assert!((other - value).abs() <= 1e-3 * size, "{name}: {metric}: {value} before, {other} after");
    }
}

#[test]
fn a_model_that_is_trained_further_begins_where_it_ended() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        enlarge(&folder, task);
        let (_, results) = folder.tune("out", &[("learning_rate", "1e-3")]);
        let source = folder.path("out");
        let (_, further) = folder.tune("further", &[("model_name_or_path", source.to_str().unwrap()), STILL]);
        is_as_before(results.test.as_ref().unwrap(), further.test.as_ref().unwrap(), task.name());
    }
}

#[test]
fn the_pooling_of_a_model_that_is_trained_further_is_its_own_unless_another_is_named() {
    let task = of_kind(TargetKind::Class);
    let folder = Folder::tiny(task);
    let (_, results) = folder.tune("out", &[("pooling", "mean"), ("learning_rate", "1e-3")]);
    let source = folder.path("out");
    let model = ("model_name_or_path", source.to_str().unwrap());
    let (inputs, further) = folder.tune("further", &[model, STILL]);
    assert_eq!(inputs.plan.pooling.value.name(), "mean");
    is_as_before(results.test.as_ref().unwrap(), further.test.as_ref().unwrap(), "mean");
    folder.tune("other", &[model, STILL, ("pooling", "first_token")]);
    let head = |name: &str| {
        let predictor = Predictor::load(&folder.path(name)).unwrap();
        predictor.parameter("classifier.weight").unwrap().to_vec()
    };
    assert_eq!(head("further"), head("out"));
    assert_ne!(head("other"), head("out"), "a head that read another vector is made anew");
}

#[test]
fn a_saved_model_scores_rows_as_the_run_did_by_the_columns_of_its_training() {
    for task in supervised() {
        let folder = Folder::tiny(task);
        enlarge(&folder, task);
        for name in ["train.jsonl", "test.jsonl"] {
            let text = fs::read_to_string(folder.path(name)).unwrap();
            // `label` is a column as well, and not the one that was named.
            let renamed = text.replace("\"label\":", "\"topic\":").replace("\"ner_tags\":", "\"topic\":");
            let with_other: String =
                renamed.lines().map(|line| format!("{},\"label\":\"x\"}}\n", &line[..line.len() - 1])).collect();
            folder.write(name, &with_other);
        }
        let (_, results) = folder.tune("out", &[("label_column", "topic")]);
        let predictor = Predictor::load(&folder.path("out")).unwrap();
        let labels = Labels::Required;
        let mut dataset = predictor.read(&folder.path("test.jsonl"), &ColumnNames::default(), labels).unwrap();
        assert_eq!(dataset.columns.labels, ["topic"], "{}", task.name());
        predictor.prepare(&mut dataset).unwrap();
        let texts = predictor.tokenize(&dataset.examples, &dataset.path).unwrap();
        let scores = predictor.evaluate(&predictor.logits(&texts, 32), &dataset).unwrap();
        assert_eq!(Some(&scores), results.test.as_ref(), "{}", task.name());
    }
}

#[test]
fn lists_of_0_and_1_are_read_again_by_the_column_that_they_stand_in() {
    let folder = Folder::tiny(of_kind(TargetKind::Labels));
    for name in ["train.jsonl", "test.jsonl"] {
        let row = |line: (usize, &str)| {
            let flags = [json!([0, 1]), json!([1, 0]), json!([0, 0])][line.0 % 3].clone();
            let mut row: Value = serde_json::from_str(line.1).unwrap();
            row.as_object_mut().unwrap().remove("label");
            row["flags"] = flags;
            format!("{row}\n")
        };
        let text = fs::read_to_string(folder.path(name)).unwrap();
        folder.write(name, &text.lines().enumerate().map(row).collect::<String>());
    }
    let (_, results) = folder.tune("out", &[("label_column", "flags")]);
    let predictor = Predictor::load(&folder.path("out")).unwrap();
    assert_eq!(predictor.labels(), ["LABEL_0", "LABEL_1"]);
    let dataset = predictor.read(&folder.path("test.jsonl"), &ColumnNames::default(), Labels::Required).unwrap();
    let texts = predictor.tokenize(&dataset.examples, &dataset.path).unwrap();
    let scores = predictor.evaluate(&predictor.logits(&texts, 32), &dataset).unwrap();
    assert_eq!(Some(&scores), results.test.as_ref());
}

fn rows_of(predictor: &Predictor, folder: &Folder, name: &str, text: &str) -> Result<usize, String> {
    folder.write(name, text);
    let mut dataset =
        predictor.read(&folder.path(name), &ColumnNames::default(), Labels::Optional).map_err(|e| e.to_string())?;
    predictor.prepare(&mut dataset).map_err(|error| error.to_string())?;
    Ok(dataset.examples.len())
}

#[test]
fn a_model_of_pairs_refuses_single_texts_and_one_of_single_texts_pairs() {
    let task = of_kind(TargetKind::Class);
    let folder = Folder::tiny(task);
    folder.tune("single", &[]);
    for name in ["train.jsonl", "test.jsonl"] {
        let text = fs::read_to_string(folder.path(name)).unwrap();
        folder.write(name, &text.replace("\"text\":", "\"sentence2\":\"were in the time\",\"sentence1\":"));
    }
    folder.tune("pairs", &[]);
    let [single, pairs] = ["single", "pairs"].map(|name| Predictor::load(&folder.path(name)).unwrap());
    let (one, two) = ("text\nthere were\n", "sentence1,sentence2\nthere were,two\n");
    assert_eq!(rows_of(&single, &folder, "one.csv", one), Ok(1));
    assert_eq!(rows_of(&pairs, &folder, "two.csv", two), Ok(1));
    let error = rows_of(&pairs, &folder, "one.csv", one).unwrap_err();
    assert!(error.contains("one.csv: expected pairs of texts") && error.contains("found single texts"), "{error}");
    let error = rows_of(&single, &folder, "two.csv", two).unwrap_err();
    assert!(
        error.contains("two.csv: expected single texts") && error.contains("`sentence1` and `sentence2`"),
        "{error}"
    );
    // A file that has the training file's column beside others is read by it.
    assert_eq!(rows_of(&single, &folder, "more.csv", "text,text_pair\nthere were,two\n"), Ok(1));
    let tags = Folder::tiny(of_kind(TargetKind::TokenTags));
    tags.tune("tags", &[]);
    let tagger = Predictor::load(&tags.path("tags")).unwrap();
    assert!(rows_of(&tagger, &tags, "two.csv", two).unwrap_err().contains("as a tagger reads"));
}

fn change(config: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(config).unwrap()).unwrap();
    change(&mut value);
    fs::write(config, value.to_string()).unwrap();
}

#[test]
fn what_transformers_made_of_a_model_counts_more_than_what_topwork_once_wrote() {
    let folder = Folder::tiny(of_kind(TargetKind::Class));
    folder.tune("out", &[]);
    let config = folder.path("out").join("config.json");
    change(&config, |config| {
        config["problem_type"] = json!("multi_label_classification");
        config["calibration_temperature"] = json!(3.0);
    });
    let predictor = Predictor::load(&folder.path("out")).unwrap();
    assert_eq!(predictor.task().kind(), TargetKind::Labels);
    assert_eq!(predictor.scoring.temperature, 1.0, "it was fitted for another task");
    assert!(predictor.warnings.iter().any(|warning| warning.contains("topwork_task says classification")));
    for (key, value) in [
        ("topwork_target_unit", json!({"deviation": [0.0], "mean": [1.0]})),
        ("topwork_columns", json!({"text": 3})),
        ("label_thresholds", json!([0.5])),
    ] {
        change(&config, |config| config[key] = value.clone());
        let error = Predictor::load(&folder.path("out")).unwrap_err();
        assert!(error.to_string().contains(&format!("config.json: {key}: expected")), "{error}");
        assert!(error.hint().unwrap().starts_with("leave the key out"));
        change(&config, |config| _ = config.as_object_mut().unwrap().remove(key));
    }
}
