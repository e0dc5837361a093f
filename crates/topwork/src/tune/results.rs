//! What a run measured: `all_results.json`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::events::{SplitScores, number_or_nan};
use crate::judge::floor::{Floor, FloorChoice};
use crate::judge::repeats::Repeated;
use crate::judge::transfer::Transfer;
use crate::judge::{Calibration, Scored, Verdict};
use crate::run::proofs::Proofs;
use crate::session::leaks::LeakedRows;
use crate::tune::self_training::PseudoLabels;

/// Why training ended: the loss was no number any more, and the best epoch before was kept.
pub const DIVERGED: &str = "diverged";

/// The content of `all_results.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// What was learnt.
    #[serde(default = "classification")]
    pub task: String,
    /// Scores on rows of the training split, without dropout; on at most [`crate::tune::TRAIN_ROWS_SCORED`] of them.
    pub train: SplitScores,
    /// Scores on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<SplitScores>,
    /// Scores on the test file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test: Option<SplitScores>,
    /// The probability from which on each label applies, by its id, fitted on validation rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thresholds: Option<Vec<f64>>,
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub best: Option<BestResult>,
    /// Why training ended before its last step, when it did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped: Option<String>,
    /// Rows of the validation and test files that judge nothing, since they are learnt from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub leaks: Vec<LeakedRows>,
    /// What came of texts without labels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pseudo_labels: Option<PseudoLabels>,
    /// What was kept, where the plan lets rows choose between the trained model and a linear head on the untouched one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor_choice: Option<FloorChoice>,
    /// The result beside the best of what answers the held-out rows without any training of layers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor: Option<Floor>,
    /// Whether it memorised, whether it forgot, whether the learning rate was right.
    pub verdict: Verdict,
    /// Whether probabilities mean what they say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calibration: Option<Calibration>,
    /// How often each class was given for each: `[gold, predicted]`, on test rows, or on validation rows where there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confusion: Option<Confusion>,
    /// The same training with several seeds, the run's own first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seeds: Option<Repeated>,
    /// Every training row answered by a model that has not seen it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folds: Option<Folds>,
    /// What a training on labels in random order scores on the held-out rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub permuted_control: Option<SplitScores>,
    /// The result beside what would be had without transfer, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer: Option<Transfer>,
    /// What the plan asks for and was not done, because it was interrupted or failed. The model is not touched by it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unfinished: Vec<String>,
    /// The parts of advice and judgement that do not apply to the task, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_applicable: Vec<(String, String)>,
    /// What was proved.
    pub proofs: Proofs,
    /// The version of topwork.
    pub topwork_version: Cow<'static, str>,
}

/// What runs of before learnt.
fn classification() -> String {
    crate::tasks::classification::TASK.name.to_string()
}

/// Classes up to which their confusions are kept: a table of 300 has 90,000 numbers.
pub const MOST_CLASSES: usize = 300;

/// Which class was given for which.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confusion {
    /// `test` or `validation`.
    pub split: String,
    /// The classes by id.
    pub labels: Vec<String>,
    /// Rows of each class, by the class that was given.
    pub counts: Vec<Vec<u64>>,
}

/// What came of leaving parts of the training rows out in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Folds {
    /// The scores of all rows together.
    pub together: SplitScores,
    /// The scores fold by fold.
    #[serde(flatten)]
    pub repeated: Repeated,
}

impl Confusion {
    /// Of the answers to a split; none with so many classes that nobody would read it.
    pub(crate) fn of(scored: &Scored<'_>, labels: &[String]) -> Option<Self> {
        let classes = labels.len();
        if classes > MOST_CLASSES {
            return None;
        }
        let predicted = topwork_metrics::argmax(scored.logits, classes);
        let counts = topwork_metrics::confusion(scored.split.classes(), &predicted, classes);
        let counts = counts.chunks(classes.max(1)).map(<[u64]>::to_vec).collect();
        Some(Self { split: scored.name.to_string(), labels: labels.to_vec(), counts })
    }
}

/// The evaluation whose weights were kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BestResult {
    /// The step after which it was made.
    pub step: usize,
    /// The metric.
    pub metric: Cow<'static, str>,
    /// Its value; NaN, in files null, where the rows have none, as numbers that are all alike have no correlation.
    #[serde(deserialize_with = "number_or_nan")]
    pub value: f64,
}

/// Wall time by part of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seconds {
    /// Reading data and model.
    pub load: f64,
    /// Tokenizing.
    pub tokenize: f64,
    /// The linear probe, and forward, backward and optimizer of every step, with those before an interruption.
    pub train: f64,
    /// Looks at gradients and updates block by block, and reports of every step: to the screen, the log and TensorBoard; of a
    /// resumed run, in the last process.
    #[serde(default)]
    pub log: f64,
    /// Scoring, after each epoch and at the end.
    pub evaluate: f64,
    /// Writing the result and proving it.
    pub save: f64,
    /// The verdict: training rows scored along the way, the texts that are not to be forgotten, and what is told from curves.
    pub verdict: f64,
    /// The same training with other seeds, on parts of the rows, on labels in random order; labelling the texts of `unlabelled_file`.
    pub repeat: f64,
    /// Training what the result is compared with.
    pub compare: f64,
    /// From the start of the process to the end of the run; of a resumed run, the last process.
    pub total: f64,
}
