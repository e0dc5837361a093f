//! The scores of a split, as they are reported and kept.

use serde::{Deserialize, Serialize};
use topwork_metrics::Scores;

use super::number_or_nan;

/// The scores of a split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitScores {
    /// How many rows were scored.
    pub rows: usize,
    /// Mean cross-entropy in nats; NaN, in files null, where a training diverged and nothing of it could be kept.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// The part of the rows that were right.
    pub accuracy: f64,
    /// Unweighted mean of the classes' F1.
    pub macro_f1: f64,
    /// Matthews correlation coefficient.
    pub mcc: f64,
}

impl SplitScores {
    /// The scores of so many rows.
    pub fn new(rows: usize, scores: &Scores) -> Self {
        let Scores { loss, accuracy, macro_f1, mcc } = *scores;
        Self { rows, loss, accuracy, macro_f1, mcc }
    }
}
