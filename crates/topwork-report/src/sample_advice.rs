//! Advice and label curves that never were, for tests.

use serde_json::{Map, Value, json};
use topwork::advise::audit::{
    Audit, ClassRows, DifferingNumbers, LabelsAudit, MalformedTag, MalformedTarget, NumberRange, NumbersAudit,
    OutputAudit, Place, SplitAudit, StandingOut, TagConflict, TagsAudit,
};
use topwork::advise::depth::DepthProposal;
use topwork::advise::length::LengthProposal;
use topwork::advise::race::Entrant;
use topwork::advise::rate_proposal::LearningRate;
use topwork::advise::similarity::Similarity;
use topwork::advise::transferability::{Baselines, Candidate, LayerScores};
use topwork::advise::{Advice, Transferability};
use topwork::fit::range_test::{RangeStep, RangeTest};
use topwork::judge::curve::Curve;
use topwork::tasks::{Part, Supervised};

/// Advice for a task; every text of the data is `text`.
pub(crate) fn advice(task: &'static dyn Supervised, text: &str) -> Advice {
    let by_scores = task.why_not(Part::Transferability).is_none();
    let ranked_by = (!by_scores && task.why_not(Part::FrozenHead).is_none()).then(|| task.headline().name());
    let left_out = [Part::Transferability, Part::LabelErrors, Part::BagOfWords].into_iter();
    let left_out = left_out.filter_map(|part| Some((part.name().to_string(), task.why_not(part)?.to_string())));
    Advice {
        method: None,
        topwork_version: "0.1.0",
        task: task.name(),
        rows: 60,
        rows_looked_at: 48,
        model: text.to_string(),
        audit: audit(task, text),
        similarity: similarity(text),
        transferability: Transferability {
            candidates: vec![candidate(text, ranked_by)],
            ranked_by,
            not_told_apart: Vec::new(),
            baselines: by_scores.then_some(Baselines { majority: 0.25, bag_of_words: 0.5, random_weights: 0.375 }),
        },
        depth: Some(DepthProposal { freeze_layers: 0, why: text.to_string(), considered: Vec::new() }),
        length: Some(LengthProposal { num_train_epochs: Some(20), why: text.to_string() }),
        learning_rate: Some(learning_rate(text)),
        expectation: None,
        tune_seconds: Some(34.0),
        recipe: None,
        not_applicable: left_out.collect(),
        failures: Vec::new(),
        seconds_by_part: Vec::new(),
        seconds: 1.0,
    }
}

fn candidate(text: &str, ranked_by: Option<&str>) -> Candidate {
    let scores = |value: f64| ranked_by.map_or(Map::new(), |name| Map::from_iter([(name.to_string(), json!(value))]));
    Candidate {
        model: text.to_string(),
        num_hidden_layers: 6,
        hidden_size: 4,
        parameters: 1_000_000,
        scores: scores(0.4375),
        by_layer: vec![LayerScores { layer: "pooled".to_string(), scores: scores(0.5625) }],
        mean_rank: 1.0,
    }
}

fn similarity(text: &str) -> Similarity {
    Similarity {
        source: text.to_string(),
        texts: 48,
        source_texts: 0,
        measures: Vec::new(),
        least_covered: Vec::new(),
        missing: vec![text.to_string()],
    }
}

fn learning_rate(text: &str) -> LearningRate {
    let step = |nth: i32| RangeStep {
        learning_rate: 1e-6 * 2f64.powi(nth),
        loss: 1.0 / f64::from(nth + 1),
        smoothed: 1.0 / f64::from(nth + 1),
    };
    LearningRate {
        range_test: RangeTest {
            curve: (0..12).map(step).collect(),
            valley: Some(1e-5),
            steepest: None,
            minimum_tenth: None,
            state_sha256: "00".to_string(),
            tokens: 1,
            seconds: 1.0,
        },
        tested_freeze_layers: 0,
        race: None,
        setting: Entrant {
            freeze_layers: 0,
            learning_rate: 1e-4,
            num_train_epochs: Some(20),
            from: text.to_string(),
            rounds: Vec::new(),
        },
        why: text.to_string(),
    }
}

fn audit(task: &'static dyn Supervised, text: &str) -> Audit {
    let names = vec![
        ClassRows { label: format!("{text} rare"), rows: vec![1, 0] },
        ClassRows { label: text.to_string(), rows: vec![7, 2] },
    ];
    let own = |kind: &str| (task.name() == kind).then(|| names.clone());
    let split = |name| SplitAudit {
        name,
        path: "train.csv".into(),
        rows: 60,
        empty_lines: Vec::new(),
        unlabelled_lines: Vec::new(),
        repeated_rows: 0,
        near_pairs: 0,
        scripts: Vec::new(),
    };
    Audit {
        task: task.name(),
        recognised_by: text.to_string(),
        splits: vec![split("train"), split("test")],
        classes: own("classification").unwrap_or_default(),
        imbalance: own("classification").map(|_| 7.0),
        labels: own("multi_label").map(|rows| LabelsAudit {
            rows,
            without_label: vec![13, 3],
            never: Vec::new(),
            always: Vec::new(),
            together: Vec::new(),
            in_columns: false,
        }),
        numbers: own("regression").map(|_| numbers(text)),
        tags: own("token_classification").map(|words| tags(words, text)),
        malformed: vec![MalformedTarget {
            split: "test",
            line: 17,
            problem: format!("expected a number, found {text}"),
        }],
        label_variants: Vec::new(),
        unknown_labels: Vec::new(),
        conflicts: Vec::new(),
        shared: Vec::new(),
        pairs: Vec::new(),
        tokens: None,
        label_issues: None,
        not_applicable: Vec::new(),
        findings: vec![text.to_string()],
    }
}

fn numbers(text: &str) -> NumbersAudit {
    let range = NumberRange { rows: 60, min: 1.0, median: 3.25, max: 4.875 };
    let output = text.to_string();
    NumbersAudit {
        outputs: vec![OutputAudit { name: output.clone(), ranges: vec![Some(range), None], is_constant: false }],
        outliers: vec![StandingOut {
            place: Place { split: "train", line: 23 },
            output: output.clone(),
            value: 99.5,
            deviations: 31.0,
        }],
        differing: vec![DifferingNumbers { text: output.clone(), lines: vec![4, 9], output, least: 1.5, most: 4.5 }],
    }
}

fn tags(words: Vec<ClassRows>, text: &str) -> TagsAudit {
    let place = |line| Place { split: "train", line };
    TagsAudit {
        scheme: Some("IOB2".to_string()),
        words,
        malformed: vec![MalformedTag {
            split: "train",
            line: 29,
            token: 3,
            word: text.to_string(),
            tag: text.to_string(),
            expected: "O or B-PER".to_string(),
        }],
        conflicting_contexts: vec![TagConflict {
            text: text.to_string(),
            tags: [("O".to_string(), vec![place(5)]), (text.to_string(), vec![place(8)])].into(),
        }],
    }
}

/// A curve of a task, as it stands in a file.
pub(crate) fn curve(task: &'static dyn Supervised, text: &str) -> Curve {
    let metric = task.headline().name();
    let point = |rows: usize, mean: f64| {
        let (scores, score) = match metric {
            "accuracy" => ("accuracies", "accuracy"),
            _ => ("scores", "score"),
        };
        let mut point = json!({"rows": rows, "metric": metric});
        point[scores] = json!([mean - 0.0625, mean + 0.0625]);
        point[score] = json!({"mean": mean, "interval": [mean - 0.125, mean + 0.125]});
        point
    };
    let curve: Value = json!({
        "topwork_version": "0.1.0", "task": task.name(), "metric": metric, "model": text, "split": "test",
        "rows_scored": 9, "majority": 0.25, "seconds": 1.0, "sentence": text,
        "not_applicable": [["bag of words", text]],
        "contenders": [{"name": text, "points": [point(8, 0.5), point(16, 0.75)]}],
    });
    serde_json::from_value(curve).expect("these are the fields of a curve")
}
