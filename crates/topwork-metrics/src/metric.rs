//! The names of the scores of all tasks, and the values that an evaluation gives them.
//!
//! A task states the metrics it has, in the order in which they are shown. A name that a user gives is looked up among
//! those, since `f1` means another score of a classifier than of a tagger. The scores themselves are computed in the
//! modules of the tasks.

use std::fmt;
use std::str::FromStr;

use crate::classification::Scores;

/// A score by which runs and checkpoints are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The loss that is trained: mean cross-entropy in nats, or mean squared error.
    Loss,
    /// The part of the rows, or of the tagged words, that are right.
    Accuracy,
    /// Unweighted mean of the F1 of classes or labels.
    MacroF1,
    /// Matthews correlation coefficient, −1 to 1.
    Mcc,
    /// F1 of all decisions of all labels together.
    MicroF1,
    /// Mean over the labels of their average precision.
    MeanAveragePrecision,
    /// The part of the rows with every label right.
    SubsetAccuracy,
    /// Pearson's correlation of predicted and true values, −1 to 1.
    Pearson,
    /// Spearman's correlation of ranks, −1 to 1.
    Spearman,
    /// Root of the mean squared error, in the unit of the targets.
    Rmse,
    /// Mean absolute error, in the unit of the targets.
    Mae,
    /// The part of the targets' variance that is explained; at most 1, below 0 when the mean would do better.
    R2,
    /// The part of the entities found that are right.
    EntityPrecision,
    /// The part of the true entities that are found.
    EntityRecall,
    /// Harmonic mean of [`Metric::EntityPrecision`] and [`Metric::EntityRecall`].
    EntityF1,
}

/// A metric's name that a task does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMetric {
    /// The name as it was given.
    pub name: String,
    /// The metrics among which it was looked for.
    pub among: Vec<Metric>,
}

impl Metric {
    /// Every metric of every task.
    pub const ALL: [Metric; 15] = [
        Metric::Loss,
        Metric::Accuracy,
        Metric::MacroF1,
        Metric::Mcc,
        Metric::MicroF1,
        Metric::MeanAveragePrecision,
        Metric::SubsetAccuracy,
        Metric::Pearson,
        Metric::Spearman,
        Metric::Rmse,
        Metric::Mae,
        Metric::R2,
        Metric::EntityPrecision,
        Metric::EntityRecall,
        Metric::EntityF1,
    ];

    /// What [`crate::evaluate`] gives for one class a row, in the order in which it is shown.
    pub const CLASSIFICATION: [Metric; 4] = [Metric::Loss, Metric::Accuracy, Metric::MacroF1, Metric::Mcc];

    /// What [`crate::multi_label::evaluate`] gives.
    pub const MULTI_LABEL: [Metric; 5] =
        [Metric::Loss, Metric::MicroF1, Metric::MacroF1, Metric::MeanAveragePrecision, Metric::SubsetAccuracy];

    /// What [`crate::regression::evaluate`] gives.
    pub const REGRESSION: [Metric; 6] =
        [Metric::Loss, Metric::Pearson, Metric::Spearman, Metric::Rmse, Metric::Mae, Metric::R2];

    /// What [`crate::tagging::evaluate`] gives.
    pub const TAGGING: [Metric; 5] =
        [Metric::Loss, Metric::EntityF1, Metric::EntityPrecision, Metric::EntityRecall, Metric::Accuracy];

    /// The name in results and on the command line. Within one task no two are the same.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::MacroF1 => "macro_f1",
            Metric::Mcc => "mcc",
            Metric::MicroF1 => "micro_f1",
            Metric::MeanAveragePrecision => "map",
            Metric::SubsetAccuracy => "subset_accuracy",
            Metric::Pearson => "pearson",
            Metric::Spearman => "spearman",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
            Metric::R2 => "r2",
            Metric::EntityPrecision => "precision",
            Metric::EntityRecall => "recall",
            Metric::EntityF1 => "f1",
        }
    }

    /// What people read above a column or beside a value.
    pub fn label(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::MacroF1 => "macro-F1",
            Metric::Mcc => "MCC",
            Metric::MicroF1 => "micro-F1",
            Metric::MeanAveragePrecision => "mean average precision",
            Metric::SubsetAccuracy => "all labels right",
            Metric::Pearson => "Pearson",
            Metric::Spearman => "Spearman",
            Metric::Rmse => "RMSE",
            Metric::Mae => "MAE",
            Metric::R2 => "R²",
            Metric::EntityPrecision => "entity precision",
            Metric::EntityRecall => "entity recall",
            Metric::EntityF1 => "entity F1",
        }
    }

    /// Other names, as scripts of Hugging Face and scikit-learn have them.
    fn aliases(self) -> &'static [&'static str] {
        match self {
            Metric::Accuracy => &["acc", "overall_accuracy"],
            Metric::MacroF1 => &["f1_macro", "f1"],
            Metric::Mcc => &["matthews_correlation"],
            Metric::MicroF1 => &["f1_micro", "f1"],
            Metric::MeanAveragePrecision => &["mean_average_precision", "average_precision"],
            Metric::Pearson => &["pearsonr"],
            Metric::Spearman => &["spearmanr"],
            Metric::Rmse => &["root_mean_squared_error"],
            Metric::Mae => &["mean_absolute_error"],
            Metric::R2 => &["r2_score"],
            Metric::EntityPrecision => &["entity_precision", "overall_precision"],
            Metric::EntityRecall => &["entity_recall", "overall_recall"],
            Metric::EntityF1 => &["entity_f1", "overall_f1"],
            Metric::Loss | Metric::SubsetAccuracy => &[],
        }
    }

    /// The metric that `name` means among those that a task has: by its own name, else the first that has it among its
    /// other names. With or without `eval_` before it.
    ///
    /// # Errors
    /// When none of them has the name.
    pub fn find(name: &str, among: &[Metric]) -> Result<Metric, UnknownMetric> {
        let bare = name.strip_prefix("eval_").unwrap_or(name);
        let own = among.iter().find(|metric| metric.name() == bare);
        let other = || among.iter().find(|metric| metric.aliases().contains(&bare));
        own.or_else(other).copied().ok_or_else(|| UnknownMetric { name: name.to_owned(), among: among.to_vec() })
    }

    /// Whether more is better; of losses and errors less is.
    pub fn higher_is_better(self) -> bool {
        match self {
            Metric::Loss | Metric::Rmse | Metric::Mae => false,
            Metric::Accuracy
            | Metric::MacroF1
            | Metric::Mcc
            | Metric::MicroF1
            | Metric::MeanAveragePrecision
            | Metric::SubsetAccuracy
            | Metric::Pearson
            | Metric::Spearman
            | Metric::R2
            | Metric::EntityPrecision
            | Metric::EntityRecall
            | Metric::EntityF1 => true,
        }
    }

    /// Whether a value is a share, 0 to 1, that may be printed as per cent. The others are plain numbers.
    pub fn is_share(self) -> bool {
        match self {
            Metric::Accuracy
            | Metric::MacroF1
            | Metric::MicroF1
            | Metric::MeanAveragePrecision
            | Metric::SubsetAccuracy
            | Metric::EntityPrecision
            | Metric::EntityRecall
            | Metric::EntityF1 => true,
            Metric::Loss
            | Metric::Mcc
            | Metric::Pearson
            | Metric::Spearman
            | Metric::Rmse
            | Metric::Mae
            | Metric::R2 => false,
        }
    }

    /// The least and the largest value that there can be.
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Metric::Mcc | Metric::Pearson | Metric::Spearman => (-1.0, 1.0),
            Metric::R2 => (f64::NEG_INFINITY, 1.0),
            Metric::Loss | Metric::Rmse | Metric::Mae => (0.0, f64::INFINITY),
            Metric::Accuracy
            | Metric::MacroF1
            | Metric::MicroF1
            | Metric::MeanAveragePrecision
            | Metric::SubsetAccuracy
            | Metric::EntityPrecision
            | Metric::EntityRecall
            | Metric::EntityF1 => (0.0, 1.0),
        }
    }

    /// This metric's value among the scores of a classifier; NaN for a metric that a classifier does not have.
    pub fn value(self, scores: &Scores) -> f64 {
        match self {
            Metric::Loss => scores.loss,
            Metric::Accuracy => scores.accuracy,
            Metric::MacroF1 => scores.macro_f1,
            Metric::Mcc => scores.mcc,
            Metric::MicroF1
            | Metric::MeanAveragePrecision
            | Metric::SubsetAccuracy
            | Metric::Pearson
            | Metric::Spearman
            | Metric::Rmse
            | Metric::Mae
            | Metric::R2
            | Metric::EntityPrecision
            | Metric::EntityRecall
            | Metric::EntityF1 => f64::NAN,
        }
    }

    /// Whether `a` is strictly better than `b`. A number is better than NaN, NaN is better than nothing.
    pub fn better(self, a: f64, b: f64) -> bool {
        match (a.is_nan(), b.is_nan()) {
            (true, _) => false,
            (false, true) => true,
            (false, false) if self.higher_is_better() => a > b,
            (false, false) => a < b,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// A metric of a classifier. For another task use [`Metric::find`].
    fn from_str(name: &str) -> Result<Metric, UnknownMetric> {
        Metric::find(name, &Metric::CLASSIFICATION)
    }
}

impl fmt::Display for UnknownMetric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.among.iter().map(|metric| metric.name()).collect();
        write!(formatter, "metric: expected one of {}, found `{}`", names.join(", "), self.name)
    }
}

impl std::error::Error for UnknownMetric {}

/// The scores of one evaluation, of any task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskScores {
    /// The loss that is trained, as a mean; NaN when it is undefined.
    pub loss: f64,
    /// The other metrics of the task with their values, in the order in which they are shown.
    pub values: Vec<(Metric, f64)>,
}

impl TaskScores {
    /// The value of a metric; none when the task does not have it.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.iter().find(|(own, _)| *own == metric).map(|(_, value)| value)
    }

    /// The loss and then the other metrics.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        std::iter::once((Metric::Loss, self.loss)).chain(self.values.iter().copied())
    }
}

impl From<Scores> for TaskScores {
    fn from(scores: Scores) -> Self {
        let values = [Metric::Accuracy, Metric::MacroF1, Metric::Mcc].map(|metric| (metric, metric.value(&scores)));
        Self { loss: scores.loss, values: values.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [&[Metric]; 4] =
        [&Metric::CLASSIFICATION, &Metric::MULTI_LABEL, &Metric::REGRESSION, &Metric::TAGGING];

    #[test]
    fn every_name_is_found_among_the_metrics_of_its_task_and_no_two_are_the_same() {
        for task in TASKS {
            for &metric in task {
                assert_eq!(Metric::find(metric.name(), task), Ok(metric));
                assert_eq!(Metric::find(&format!("eval_{metric}"), task), Ok(metric));
                for name in metric.aliases() {
                    let found = Metric::find(name, task).unwrap();
                    assert!(found == metric || found.aliases().contains(name) || found.name() == *name, "{name}");
                }
            }
            let mut names: Vec<&str> = task.iter().map(|metric| metric.name()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), task.len());
        }
        assert!(Metric::ALL.iter().all(|metric| TASKS.iter().any(|task| task.contains(metric))));
        assert!(TASKS.iter().all(|task| task.iter().all(|metric| Metric::ALL.contains(metric))));
    }

    #[test]
    fn f1_is_that_of_the_task() {
        let f1 = |task: &[Metric]| Metric::find("f1", task);
        assert_eq!(f1(&Metric::CLASSIFICATION), Ok(Metric::MacroF1));
        assert_eq!(f1(&Metric::MULTI_LABEL), Ok(Metric::MicroF1));
        assert_eq!(f1(&Metric::TAGGING), Ok(Metric::EntityF1));
        assert_eq!("f1".parse(), Ok(Metric::MacroF1));
        let wrong = f1(&Metric::REGRESSION).unwrap_err();
        assert_eq!(wrong.to_string(), "metric: expected one of loss, pearson, spearman, rmse, mae, r2, found `f1`");
    }

    #[test]
    fn a_number_is_better_than_none_and_errors_are_better_when_less() {
        for metric in Metric::ALL {
            let (less, more) = (0.25, 0.5);
            let (good, bad) = if metric.higher_is_better() { (more, less) } else { (less, more) };
            assert!(metric.better(good, bad) && !metric.better(bad, good) && !metric.better(good, good));
            assert!(metric.better(bad, f64::NAN) && !metric.better(f64::NAN, bad));
            assert!(!metric.better(f64::NAN, f64::NAN));
        }
        assert!(Metric::Rmse.better(1.0, 2.0) && Metric::Mae.better(1.0, 2.0) && Metric::Loss.better(1.0, 2.0));
    }

    #[test]
    fn scores_of_a_classifier_are_scores_of_a_task() {
        let scores = Scores { loss: 0.5, accuracy: 0.75, macro_f1: 0.7, mcc: 0.4 };
        let values = TaskScores::from(scores);
        for metric in Metric::CLASSIFICATION {
            assert_eq!(values.get(metric), Some(metric.value(&scores)));
        }
        assert_eq!(values.iter().map(|(metric, _)| metric).collect::<Vec<_>>(), Metric::CLASSIFICATION);
        assert_eq!(values.get(Metric::Pearson), None);
        assert!(Metric::Pearson.value(&scores).is_nan());
    }
}
