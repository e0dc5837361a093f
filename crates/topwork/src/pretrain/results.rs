//! What pre-training measured: `all_results.json`.

use serde::Serialize;

use super::profile::HeldOutProfile;
use crate::run::proofs::Proofs;

/// The content of `all_results.json`.
#[derive(Clone, Debug, Serialize)]
pub struct PretrainResults {
    /// Scores on held-out passages by objective, without dropout.
    pub held_out: Vec<HeldOutProfile>,
    /// What counting alone makes of the same hidden words: `unigram` knows how frequent tokens are, `bigram` the token
    /// before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<HeldOutProfile>,
    /// Wall time by part of the run.
    pub seconds: PretrainSeconds,
    /// The most memory that the process held, in MB (10⁶ bytes); none where the system does not say.
    pub peak_rss_mb: Option<f64>,
    /// Optimizer steps taken.
    pub steps: usize,
    /// Real tokens that were trained on; there is no padding.
    pub tokens: u64,
    /// How often the corpus was gone through.
    pub epochs: f64,
    /// Real tokens per second of training.
    pub tokens_per_second: f64,
    /// Values of the model.
    pub parameters: usize,
    /// The seed.
    pub seed: u64,
    /// What was proved.
    pub proofs: Proofs,
    /// The version of topwork.
    pub topwork_version: &'static str,
}

/// Wall time by part of the run; of a resumed run, `total` is the last process'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PretrainSeconds {
    /// Reading corpus and model.
    pub load: f64,
    /// Training the tokenizer, and tokenizing.
    pub tokenize: f64,
    /// Forward, backward and optimizer of every step, with those before an interruption.
    pub train: f64,
    /// Scoring and saving checkpoints.
    pub evaluate: f64,
    /// Writing the result and proving it.
    pub save: f64,
    /// From the start of the process to the end of the run.
    pub total: f64,
}
