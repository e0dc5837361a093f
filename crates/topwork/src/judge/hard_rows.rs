//! The held-out rows that are worth reading: where the model was sure and wrong, and where it could not decide.

use serde::{Deserialize, Serialize};
use topwork_data::{Example, TargetKind, Targets};
use topwork_metrics::{argmax, softmax};

use crate::judge::Scored;
use crate::session::inputs::Inputs;
use crate::tasks::Scoring;
use crate::tasks::prediction::Prediction;
use crate::words::shortened;

/// The file of them in a run's directory.
pub const HARD_ROWS: &str = "hard_rows.json";
/// Rows of each kind.
const LISTED: usize = 25;
/// Letters of a text that are kept.
const LETTERS: usize = 500;

/// The held-out rows that are worth reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HardRows {
    /// `test` or `validation`.
    pub split: String,
    /// Wrong answers, the surest first.
    pub confident_errors: Vec<HardRow>,
    /// One letter for each row of the split, in the order of its file: 1 where the answer is right, 0 where it is not. Two
    /// models are compared row by row with it.
    #[serde(default)]
    pub right: String,
    /// Answers with the least between the first and the second class, right or wrong.
    pub uncertain: Vec<HardRow>,
}

/// A held-out row and the answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HardRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The text, or both of a pair, cut after some letters.
    pub text: String,
    /// Its label.
    pub label: String,
    /// The label that the model gives it.
    pub predicted: String,
    /// The probability of that; none where there are no probabilities of one class a row.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confidence: Option<f64>,
    /// The probability of its own label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label_probability: Option<f64>,
    /// The loss of the row, where rows are listed by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss: Option<f64>,
}

impl HardRows {
    /// Finds them by the outputs for a split: of classes by their probabilities, of other targets by the loss.
    pub(crate) fn find(inputs: &Inputs, scored: &Scored<'_>, scoring: &Scoring) -> Self {
        match inputs.task.kind() {
            TargetKind::Class => Self::of_classes(scored, inputs.labels()),
            TargetKind::Labels | TargetKind::Value | TargetKind::TokenTags => Self::by_loss(inputs, scored, scoring),
        }
    }

    /// The rows of the greatest loss. There is no confidence, and a row is right when its prediction is its target; no number
    /// is right or wrong.
    fn by_loss(inputs: &Inputs, scored: &Scored<'_>, scoring: &Scoring) -> Self {
        let Scored { name, split, logits } = *scored;
        let losses = inputs.task.row_losses(logits, &split.targets, scoring);
        let predicted: Vec<String> =
            inputs.task.predict(logits, &split.examples, scoring).iter().map(Prediction::to_string).collect();
        let targets = target_texts(&split.targets, inputs.labels());
        let is_right = |row: usize| inputs.task.kind() != TargetKind::Value && targets[row] == predicted[row];
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
        let row = |&row: &usize| HardRow {
            line: split.examples[row].line,
            text: shortened(&whole(&split.examples[row]), LETTERS),
            label: shortened(&targets[row], LETTERS),
            predicted: shortened(&predicted[row], LETTERS),
            confidence: None,
            label_probability: None,
            loss: Some(losses[row]),
        };
        Self {
            split: name.to_string(),
            right: match inputs.task.kind() {
                TargetKind::Value => String::new(),
                _ => (0..targets.len()).map(|row| if is_right(row) { '1' } else { '0' }).collect(),
            },
            confident_errors: order.iter().filter(|&&row| !is_right(row)).take(LISTED).map(row).collect(),
            uncertain: Vec::new(),
        }
    }

    fn of_classes(scored: &Scored<'_>, labels: &[String]) -> Self {
        let Scored { name, split, logits } = *scored;
        let classes = labels.len();
        let predicted = argmax(logits, classes);
        // Row by row: all probabilities together would be as large as the logits.
        let of = |row: usize| softmax(&logits[row * classes..(row + 1) * classes], classes);
        let (mut confidences, mut leads) = (Vec::new(), Vec::new());
        for (row, &class) in predicted.iter().enumerate() {
            let probabilities = of(row);
            let others = probabilities.iter().enumerate().filter(|(other, _)| *other != class as usize);
            let second = others.map(|(_, p)| *p).fold(0.0, f32::max);
            confidences.push(probabilities[class as usize]);
            leads.push(probabilities[class as usize] - second);
        }
        let (confidence, lead) = (|row: usize| confidences[row], |row: usize| leads[row]);
        let mut wrong: Vec<usize> =
            (0..predicted.len()).filter(|&row| predicted[row] != split.classes()[row]).collect();
        wrong.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)));
        let mut undecided: Vec<usize> = (0..predicted.len()).collect();
        undecided.sort_by(|&a, &b| lead(a).total_cmp(&lead(b)));
        let letter = |row: usize| if predicted[row] == split.classes()[row] { '1' } else { '0' };
        let right = (0..predicted.len()).map(letter).collect();
        let row = |&row: &usize| {
            let example = &split.examples[row];
            HardRow {
                line: example.line,
                text: shortened(&whole(example), LETTERS),
                label: labels[split.classes()[row] as usize].clone(),
                predicted: labels[predicted[row] as usize].clone(),
                confidence: Some(f64::from(confidence(row))),
                label_probability: Some(f64::from(of(row)[split.classes()[row] as usize])),
                loss: None,
            }
        };
        Self {
            split: name.to_string(),
            right,
            confident_errors: wrong.iter().take(LISTED).map(row).collect(),
            uncertain: undecided.iter().take(LISTED).map(row).collect(),
        }
    }
}

/// The text, or both of a pair.
fn whole(example: &Example) -> String {
    match &example.text_pair {
        Some(pair) => format!("{} ⟂ {pair}", example.text),
        None => example.text.clone(),
    }
}

/// The targets of rows as predictions are written.
fn target_texts(targets: &Targets, names: &[String]) -> Vec<String> {
    match targets {
        Targets::Class(classes) => classes.iter().map(|&class| names[class as usize].clone()).collect(),
        Targets::Labels(labels) => {
            let row = |row: usize| {
                let applying =
                    (0..labels.width()).filter(|&label| labels.row(row)[label]).map(|label| names[label].clone());
                Prediction::Labels { labels: applying.collect(), probabilities: Vec::new() }.to_string()
            };
            (0..labels.rows()).map(row).collect()
        }
        Targets::Values(values) => {
            (0..values.rows()).map(|row| Prediction::Values { values: values.row(row).to_vec() }.to_string()).collect()
        }
        Targets::Tags(tags) => {
            let row = |row: usize| {
                tags.row(row).iter().map(|&tag| names[tag as usize].as_str()).collect::<Vec<_>>().join(" ")
            };
            (0..tags.rows()).map(row).collect()
        }
    }
}
