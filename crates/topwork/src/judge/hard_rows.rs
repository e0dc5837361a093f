//! The held-out rows that are worth reading: where the model was sure and wrong, and where it could not decide.

use serde::{Deserialize, Serialize};
use topwork_metrics::{argmax, softmax};

use crate::judge::Scored;

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
    /// The probability of that.
    pub confidence: f64,
    /// The probability of its own label.
    pub label_probability: f64,
}

impl HardRows {
    /// Finds them by the answers to a split.
    pub(crate) fn find(scored: &Scored<'_>, labels: &[String]) -> Self {
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
        let mut wrong: Vec<usize> = (0..predicted.len()).filter(|&row| predicted[row] != split.labels[row]).collect();
        wrong.sort_by(|&a, &b| confidence(b).total_cmp(&confidence(a)));
        let mut undecided: Vec<usize> = (0..predicted.len()).collect();
        undecided.sort_by(|&a, &b| lead(a).total_cmp(&lead(b)));
        let letter = |row: usize| if predicted[row] == split.labels[row] { '1' } else { '0' };
        let right = (0..predicted.len()).map(letter).collect();
        let row = |&row: &usize| {
            let example = &split.examples[row];
            let text = match &example.text_pair {
                Some(pair) => format!("{} ⟂ {pair}", example.text),
                None => example.text.clone(),
            };
            HardRow {
                line: example.line,
                text: cut(&text),
                label: labels[split.labels[row] as usize].clone(),
                predicted: labels[predicted[row] as usize].clone(),
                confidence: f64::from(confidence(row)),
                label_probability: f64::from(of(row)[split.labels[row] as usize]),
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

fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
