//! A run that never was, for tests.

use serde_json::{Value, json};
use topwork::events::trace::{BlockTrace, EvaluationTrace, StepTrace, Trace};
use topwork::events::{BlockMotion, MetricScores, SplitScores};
use topwork::judge::hard_rows::{HardRow, HardRows};
use topwork::judge::transfer::{Contender, Transfer};
use topwork::tasks::{Part, Supervised};
use topwork::tune::finished_run::{PlanLine, RunDirectory, Started};
use topwork_metrics::{Metric, Scores, TaskScores};

const PLAN: &str = "[model]\nmodel_name_or_path = \"models/tiny\" # flag: --model\n\n[data]\ntrain_file = \"train.csv\" # flag: TRAIN\n\
                    # retain_file is not set # default: none\n\n[training]\nlearning_rate = 1e-4 # default: few steps\n\
                    label_smoothing_factor = 0.1 # default: few rows\n\n[facts]\ntest_sha256 = \"00\"\n";

/// A run of so many classes, which are named after `label`, and steps.
pub(crate) fn run(classes: usize, steps: usize, label: &str) -> RunDirectory {
    let labels: Vec<String> = (0..classes).map(|class| format!("{label} {class}")).collect();
    let results = serde_json::from_value(results(&labels, steps)).expect("the sample has the fields of results");
    let mut plan = PlanLine::all(PLAN);
    plan.iter_mut().filter(|line| line.key == "train_file").for_each(|line| line.reason = label.to_string());
    RunDirectory {
        path: "runs/sample".into(),
        results,
        plan_text: PLAN.to_string(),
        plan,
        trace: trace(steps),
        started: Some(Started {
            rows: 90_000,
            validation_rows: 10_000,
            epochs: 4,
            parameters: 2_000_000,
            trainable_parameters: 1_000_000,
        }),
        stopped: None,
        warnings: vec![label.to_string()],
        notes: vec![label.to_string()],
        classes: Some(classes),
        labels,
        hard_rows: Some(serde_json::from_value(hard_rows(label)).expect("the sample has the fields of rows")),
        advice: Some(advice(label)),
    }
}

/// A run of a task with these metrics, in the order in which it shows them: each value of a split is another.
pub(crate) fn of_task(task: &'static dyn Supervised) -> RunDirectory {
    let mut run = run(3, 40, "label");
    let results = &mut run.results;
    results.task = task.name().to_string();
    let own = task.not_applicable().iter().map(|(part, why)| (part.name().to_string(), (*why).to_string()));
    results.not_applicable = own.collect();
    let scores = |first: f64| {
        let mut values: Vec<(Metric, f64)> =
            task.metrics().iter().zip(0..).map(|(metric, nth)| (*metric, first + 0.031 * f64::from(nth))).collect();
        values.retain(|(metric, _)| *metric != Metric::Loss);
        TaskScores { loss: first - 0.017, values }
    };
    let split = |first| SplitScores::new(1000, scores(first));
    (results.train, results.validation, results.test) = (split(0.7), Some(split(0.6)), Some(split(0.5)));
    results.permuted_control = Some(split(0.2));
    let own = |name: &'static str, scores| Contender { name: name.into(), scores };
    let contenders = vec![own("random weights", vec![split(0.3)]), own("fine-tuned", vec![split(0.5), split(0.4)])];
    results.transfer = Some(Transfer { split: "test".into(), contenders });
    if task.why_not(Part::Calibration).is_some() {
        results.calibration = None;
    }
    if task.why_not(Part::Confusion).is_some() {
        results.confusion = None;
    }
    for (evaluation, nth) in run.trace.evaluations.iter_mut().zip(0..) {
        evaluation.scores = MetricScores(scores(0.1 + 0.01 * f64::from(nth)));
    }
    run
}

/// Rows that are listed by their loss: text, target and prediction of each.
pub(crate) fn by_loss(rows: &[[&str; 3]]) -> HardRows {
    let row = |(line, [text, label, predicted]): (usize, &[&str; 3])| HardRow {
        line,
        text: text.to_string(),
        label: label.to_string(),
        predicted: predicted.to_string(),
        confidence: None,
        label_probability: None,
        loss: Some(2.125),
    };
    HardRows {
        split: "test".to_string(),
        right: "0".repeat(1000),
        confident_errors: (1..).zip(rows).map(row).collect(),
        uncertain: Vec::new(),
    }
}

fn results(labels: &[String], steps: usize) -> Value {
    let classes = labels.len();
    let scores = |rows: usize| json!({"rows": rows, "loss": 0.5, "accuracy": 0.85, "macro_f1": 0.8, "mcc": 0.8});
    let counts: Vec<Vec<u64>> = (0..classes)
        .map(|gold| (0..classes).map(|given| if gold == given { 50 } else { (gold * given) as u64 % 4 }).collect())
        .collect();
    let drift: Vec<Value> = ["embeddings", "layer 0", "layer 1", "final"]
        .iter()
        .map(|block| json!({"block": block, "trained": *block != "embeddings", "drift": 0.01}))
        .collect();
    let bins: Vec<Value> = (1..15)
        .map(|bin| json!({"rows": 700, "confidence": f64::from(bin) / 15.0, "accuracy": f64::from(bin) / 16.0}))
        .collect();
    json!({
        "train": scores(1000), "validation": scores(10_000), "test": scores(10_000),
        "seconds": {"train": 60.0, "total": 75.5}, "peak_rss_mb": 700.0, "steps": steps, "tokens": 1_000_000,
        "tokens_per_second": 800.0, "seed": 42,
        "verdict": {
            "overfitting": {"finding": "overfits", "sentence": labels[0], "p_chance": 0.0002},
            "forgetting": {
                "finding": "kept", "sentence": labels[0], "source": labels[0], "texts": 32, "cka": [1.0, null, 0.9],
                "masked_lm_loss": {"before": 2.0, "after": 2.1}, "drift": drift, "missing": [labels[0]],
            },
            "learning_rate": {
                "finding": "right", "sentence": "",
                "signs": {"learning_rate": 1e-4, "train_loss": 0.1, "train_accuracy": 1.0, "label_entropy": 1.6},
            },
        },
        "calibration": {
            "split": "test", "rows": 10_000, "before": {"ece": 0.09, "loss": 0.5, "brier": 0.3}, "bins": bins,
            "temperature": {
                "value": 1.3, "fitted_on": "validation", "after": {"ece": 0.05, "loss": 0.48, "brier": 0.29},
            },
        },
        "confusion": {"split": "test", "labels": labels, "counts": counts},
        "transfer": {"split": "test", "contenders": [
            {"name": "majority class", "scores": [scores(10_000)], "accuracy": 0.2, "macro_f1": 0.1},
            {"name": "fine-tuned", "scores": [scores(10_000), scores(10_000)], "accuracy": 0.85, "accuracy_std": 0.01,
             "macro_f1": 0.8, "macro_f1_std": 0.01},
        ]},
        "proofs": {
            "frozen_unchanged": {"tensors": 3, "sha256": "00"}, "trained_received_gradient": {"tensors": 50},
            "reloaded_same_logits": {"rows": 256, "split": "validation", "largest_difference": 0.0},
        },
        "permuted_control": scores(10_000),
        "topwork_version": "0.1.0",
    })
}

fn hard_rows(label: &str) -> Value {
    let text: String = label.repeat(500).chars().take(500).collect();
    let row = json!({"line": 7, "text": text, "label": label, "predicted": format!("{label} 1"), "confidence": 0.9, "label_probability": 0.05});
    json!({"split": "test", "right": "1110".repeat(2500), "confident_errors": vec![row.clone(); 25], "uncertain": vec![row; 25]})
}

fn advice(label: &str) -> Value {
    let issue = json!({
        "line": 3, "given": label, "suggested": label, "given_probability": 0.1, "suggested_probability": 0.9, "text": label,
    });
    json!({
        "audit": {
            "findings": [label],
            "splits": [{"name": "train", "rows": 100_000, "empty_lines": [1], "repeated_rows": 3, "near_pairs": 4}],
            "label_issues": {"rows": 1000, "issues": vec![issue; 300]},
        },
        "expectation": {"accuracy": 0.8, "interval": [0.75, 0.85]},
    })
}

fn trace(steps: usize) -> Trace {
    let epoch = |step: usize| 4.0 * step as f64 / steps as f64;
    let step = |step: usize| StepTrace {
        step,
        epoch: epoch(step),
        loss: if step == 3 { f64::NAN } else { 1.0 / step as f64 },
        learning_rate: 1e-4 * (1.0 - step as f64 / steps as f64),
        grad_norm: 1.0 + (step % 7) as f64,
    };
    let blocks = |step: usize| BlockTrace {
        step,
        epoch: epoch(step),
        blocks: ["embeddings", "layer 0", "layer 1", "final", "head"]
            .iter()
            .map(|block| BlockMotion {
                block: (*block).to_string(),
                grad_norm: 1.0,
                update_ratio: Some(1e-4 / step as f64),
            })
            .collect(),
    };
    let evaluation = |step: usize, split: &str| EvaluationTrace {
        step,
        epoch: epoch(step),
        split: split.to_string(),
        scores: MetricScores(Scores { loss: 0.5, accuracy: 0.8, macro_f1: 0.75, mcc: 0.7 }.into()),
    };
    let quarters = (1..=4).map(|quarter| quarter * steps / 4);
    let ends = ["train", "validation", "test"].map(|split| evaluation(steps, split));
    Trace {
        steps: (1..=steps).map(step).collect(),
        blocks: (1..=steps).step_by((steps / 32).max(1)).map(blocks).collect(),
        evaluations: quarters.map(|step| evaluation(step, "validation")).chain(ends).collect(),
    }
}
