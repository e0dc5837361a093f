//! What is known of the data and the model before a run: the only thing, besides the recipe, that a plan depends on.

use std::path::PathBuf;

use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::{DropoutRates, Pooling, StatedPooling};

use crate::plan::value::on_one_line;

/// The version that makes and repeats plans.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Facts about the data, the model and the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Rows of the training file, before any is held out.
    pub rows: usize,
    /// Rows of the validation file, when there is one.
    pub validation_rows: Option<usize>,
    /// The labels of the training file, in the order of their ids.
    pub labels: Vec<String>,
    /// Whether rows are pairs of texts.
    pub has_pairs: bool,
    /// Whether the names of the labels are words that the model knows.
    pub named_labels: bool,
    /// Rows of each label, where each row has one; words of each tag; none of numbers.
    pub class_counts: Vec<usize>,
    /// Different texts of the class with the fewest, or of all rows where they have no classes: no more folds have some of each. None where
    /// they were not counted.
    pub fewest_texts: Option<usize>,
    /// What a linear head tells by each pooling, where the rows are to choose one.
    pub pooling_probe: Option<PoolingProbe>,
    /// What a linear head tells after each layer, where the rows choose how many there are. The facts of the model are those of the chosen
    /// layers.
    pub layer_probe: Option<LayerProbe>,
    /// What is learnt.
    pub task: TaskFacts,
    /// Tokens of the training rows before any is cut.
    pub tokens: TokenLengths,
    /// All of them together.
    pub total_tokens: usize,
    /// The model.
    pub model: ModelFacts,
    /// SHA-256 of the training file.
    pub train_sha256: String,
    /// SHA-256 of the validation file.
    pub validation_sha256: Option<String>,
    /// SHA-256 of the test file.
    pub test_sha256: Option<String>,
    /// SHA-256 of the file of what should not be forgotten.
    pub retain_sha256: Option<String>,
    /// SHA-256 of the file of texts without labels.
    pub unlabelled_sha256: Option<String>,
    /// SHA-256 of the file with the names of labels.
    pub label_names_sha256: Option<String>,
    /// A directory for the result that is not taken.
    pub unused_output_dir: PathBuf,
    /// Cores that may be used.
    pub cores: usize,
}

/// What is known of the task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFacts {
    /// Its name.
    pub name: &'static str,
    /// The targets of its rows.
    pub kind: TargetKind,
    /// Its metrics.
    pub metrics: &'static [Metric],
    /// The metric that a score is told by.
    pub headline: Metric,
    /// Whether its head starts from a linear model.
    pub starts_from_probe: bool,
    /// What it was recognised by, where nobody said it.
    pub recognised_by: String,
}

impl Default for TaskFacts {
    /// One class a row.
    fn default() -> Self {
        Self {
            name: "classification",
            kind: TargetKind::Class,
            metrics: &Metric::CLASSIFICATION,
            headline: Metric::Accuracy,
            starts_from_probe: true,
            recognised_by: String::new(),
        }
    }
}

/// How well a linear head predicts rows that it was not fitted to, by what it reads of their tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolingProbe {
    /// The rows.
    pub rows: usize,
    /// R² of each pooling: 1 is perfect, 0 as good as the mean of the other rows.
    pub explained: Vec<(Pooling, f64)>,
}

/// How well a linear head predicts rows that it was not fitted to, by the layer whose mean of the tokens it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerProbe {
    /// The rows.
    pub rows: usize,
    /// R² after so many layers: 1 is perfect, 0 as good as the mean of the other rows.
    pub explained: Vec<(usize, f64)>,
}

/// How long the training rows are, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLengths {
    /// Half of the rows have at most so many.
    pub p50: usize,
    /// 95 of 100 rows have at most so many.
    pub p95: usize,
    /// The longest row has so many.
    pub longest: usize,
}

impl TokenLengths {
    /// From the length of each row; the percentile is the smallest length that enough rows do not exceed.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut sorted: Vec<usize> = lengths.into_iter().collect();
        sorted.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).copied().unwrap_or(0)
        };
        Self { p50: percentile(50), p95: percentile(95), longest: percentile(100) }
    }
}

/// What is known of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The family's name.
    pub family: String,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width of a layer's middle.
    pub intermediate_size: usize,
    /// The longest sequence that the weights know, in tokens.
    pub max_position_embeddings: usize,
    /// The longest sequence that the tokenizer names, in tokens.
    pub model_max_length: Option<usize>,
    /// The rates of dropout in `config.json`.
    pub dropouts: DropoutRates,
    /// What the model's own files say that its head, or the sentence encoder, reads of the tokens.
    pub pooling: Option<StatedPooling>,
    /// Whether it has a head that was trained on the labels of the data.
    pub has_own_head: bool,
    /// SHA-256 of the weights.
    pub sha256: String,
    /// SHA-256 of `config.json`.
    pub config_sha256: String,
    /// SHA-256 of the tokenizer's files.
    pub tokenizer_sha256: String,
}

impl ModelFacts {
    /// Values of the layers' weight matrices: what a token is multiplied with.
    pub fn layer_values(&self) -> usize {
        self.num_hidden_layers * self.hidden_size * (4 * self.hidden_size + 2 * self.intermediate_size)
    }

    /// The longest sequence, in tokens, that the model was made for.
    pub fn longest(&self) -> usize {
        self.model_max_length.map_or(self.max_position_embeddings, |length| length.min(self.max_position_embeddings))
    }
}

impl Facts {
    /// Rows that are not the training rows: of the validation file, or held out.
    pub fn validation_rows(&self, validation_fraction: f64) -> usize {
        self.validation_rows.unwrap_or_else(|| (self.rows as f64 * validation_fraction).round() as usize)
    }

    /// Rows of the training file that are learnt from: all of them where there is a validation file.
    pub fn rows_to_learn(&self, validation_fraction: f64) -> usize {
        let held_out = if self.validation_rows.is_some() { 0 } else { self.validation_rows(validation_fraction) };
        self.rows.saturating_sub(held_out)
    }

    /// Each fact that a plan pins, as TOML text.
    pub(crate) fn pins(&self) -> Vec<(&'static str, String)> {
        let optional = |name, text: &Option<String>| text.as_ref().map(|text| (name, on_one_line(text)));
        let pins = [
            Some(("topwork_version", on_one_line(VERSION))),
            Some(("train_sha256", on_one_line(&self.train_sha256))),
            optional("validation_sha256", &self.validation_sha256),
            optional("test_sha256", &self.test_sha256),
            optional("retain_sha256", &self.retain_sha256),
            optional("unlabelled_sha256", &self.unlabelled_sha256),
            optional("label_names_sha256", &self.label_names_sha256),
            Some(("model_sha256", on_one_line(&self.model.sha256))),
            Some(("config_sha256", on_one_line(&self.model.config_sha256))),
            Some(("tokenizer_sha256", on_one_line(&self.model.tokenizer_sha256))),
        ];
        pins.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_lengths_that_occur() {
        let lengths = TokenLengths::from_lengths((1..=100).rev());
        assert_eq!(lengths, TokenLengths { p50: 50, p95: 95, longest: 100 });
        assert_eq!(TokenLengths::from_lengths([7]), TokenLengths { p50: 7, p95: 7, longest: 7 });
        assert_eq!(TokenLengths::from_lengths([]), TokenLengths::default());
    }
}
