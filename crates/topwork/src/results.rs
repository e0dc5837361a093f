//! What a run measured: `all_results.json`.

use serde::Serialize;
use topwork_metrics::Scores;

use crate::proofs::Proofs;
use crate::transfer::Transfer;

/// The content of `all_results.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Scores on rows of the training split, without dropout; on at most [`crate::tune::TRAIN_ROWS_SCORED`] of them.
    pub train: SplitScores,
    /// Scores on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<SplitScores>,
    /// Scores on the test file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<SplitScores>,
    /// Wall time by part of the run.
    pub seconds: Seconds,
    /// The most memory that the process held, in MB (10⁶ bytes); none where the system does not say.
    pub peak_rss_mb: Option<f64>,
    /// Optimizer steps taken.
    pub steps: usize,
    /// Real tokens that were trained on; there is no padding.
    pub tokens: u64,
    /// Real tokens per second of training.
    pub tokens_per_second: f64,
    /// The seed.
    pub seed: u64,
    /// The evaluation whose weights were kept, when they are not the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestResult>,
    /// Why training ended before its last step, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The result beside what would be had without transfer, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// What was proved.
    pub proofs: Proofs,
    /// The version of topwork.
    pub topwork_version: &'static str,
}

/// The evaluation whose weights were kept.
#[derive(Clone, Debug, Serialize)]
pub struct BestResult {
    /// The step after which it was made.
    pub step: usize,
    /// The metric.
    pub metric: &'static str,
    /// Its value.
    pub value: f64,
}

/// The scores of a split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SplitScores {
    /// How many rows were scored.
    pub rows: usize,
    /// Mean cross-entropy in nats.
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

/// Wall time by part of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Reading data and model.
    pub load: f64,
    /// Tokenizing.
    pub tokenize: f64,
    /// The linear probe, and forward, backward and optimizer of every step, with those before an interruption.
    pub train: f64,
    /// Scoring, after each epoch and at the end.
    pub evaluate: f64,
    /// Writing the result and proving it.
    pub save: f64,
    /// Training what the result is compared with.
    pub compare: f64,
    /// From the start of the process to the end of the run; of a resumed run, the last process.
    pub total: f64,
}

/// The most memory that this process has held, in MB; none where the system does not say.
pub fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
