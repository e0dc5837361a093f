//! What a model learns. A task is a file here and a line in [`TASKS`]. Each kind of target
//! ([`TargetKind`]) has one task on labelled rows, so a new one of these brings a kind of target.
//!
//! Tasks that learn from labelled rows implement [`Supervised`]: which targets they read, which head they put on a model, the
//! loss, the scores, and how outputs become predictions. [`supervised_problem`] trains every one of them. The tasks of pre-training
//! learn from plain text ([`objectives`], [`pretraining_problem`]).

pub mod classification;
pub mod contrast;
pub mod multi_label;
pub mod objectives;
pub mod prediction;
pub mod pretraining_problem;
pub mod regression;
pub mod supervised_problem;
pub mod token_classification;

use topwork_data::{TargetKind, TargetSpace, Targets};
use topwork_engine::{Tape, Value};
use topwork_metrics::multi_label::fit_thresholds;
use topwork_metrics::{Metric, TaskScores};
use topwork_models::{HeadKind, OutputScale, ProblemType};

use crate::tasks::prediction::Prediction;

/// Every task, in the order in which they are listed to users.
pub const TASKS: &[TaskDescription] = &[
    classification::TASK,
    multi_label::TASK,
    regression::TASK,
    token_classification::TASK,
    objectives::mlm::TASK,
    objectives::nsp::TASK,
    objectives::sop::TASK,
    objectives::contrastive::TASK,
];

/// What the rest of the program knows of a task.
#[derive(Clone, Copy)]
pub struct TaskDescription {
    /// Its name.
    pub name: &'static str,
    /// Other names by which it is known, Hugging Face's among them.
    pub aliases: &'static [&'static str],
    /// What is learnt, in a line.
    pub summary: &'static str,
    /// What the data looks like, in a line.
    pub data: &'static str,
    /// How it learns from labelled rows; none of a task that learns from plain text.
    pub supervised: Option<&'static dyn Supervised>,
}

impl std::fmt::Debug for TaskDescription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl TaskDescription {
    /// The task with that name or that other name; `-` and `_` are the same.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.replace('-', "_");
        TASKS.iter().find(|task| task.name == name || task.aliases.contains(&name.as_str()))
    }

    /// The names of the tasks that learn from labelled rows.
    pub fn supervised_names() -> Vec<&'static str> {
        TASKS.iter().filter(|task| task.supervised.is_some()).map(|task| task.name).collect()
    }
}

/// The task that learns targets of that kind.
pub fn of_kind(kind: TargetKind) -> &'static dyn Supervised {
    match kind {
        TargetKind::Class => &classification::Classification,
        TargetKind::Labels => &multi_label::MultiLabel,
        TargetKind::Value => &regression::Regression,
        TargetKind::TokenTags => &token_classification::TokenClassification,
    }
}

/// A task that learns from labelled rows.
pub trait Supervised: Sync {
    /// Its name in [`TASKS`].
    fn name(&self) -> &'static str;

    /// The targets of its rows.
    fn kind(&self) -> TargetKind;

    /// The head with so many outputs.
    fn head(&self, outputs: usize) -> HeadKind;

    /// `problem_type` in `config.json`; none of heads that have none.
    fn problem_type(&self) -> Option<ProblemType>;

    /// The name of the pipeline in `transformers`.
    fn pipeline_tag(&self) -> &'static str;

    /// The loss and the metrics, in the order in which they are shown.
    fn metrics(&self) -> &'static [Metric];

    /// The metric that a score is told by, and by which epochs are compared unless the data asks for another.
    fn headline(&self) -> Metric;

    /// The same for these targets: tags that mark no spans have another.
    fn headline_of(&self, _: &TargetSpace) -> Metric {
        self.headline()
    }

    /// Whether the head starts from a linear model on the untouched features.
    fn starts_from_probe(&self) -> bool;

    /// The parts of advice and judgement that do not apply, each with the reason.
    fn not_applicable(&self) -> &'static [(Part, &'static str)];

    /// What the sum of the losses of a step is divided by.
    fn normaliser(&self, targets: &PassTargets, options: &LossOptions) -> f64;

    /// The loss of the outputs of a pass, divided by `normaliser`: `[1, 1]`.
    fn loss(
        &self,
        tape: &mut Tape<'_>,
        outputs: Value,
        targets: &PassTargets,
        options: &LossOptions,
        normaliser: f64,
    ) -> Value;

    /// The scores of outputs, one line for each row, or for each word of the rows.
    fn evaluate(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> TaskScores;

    /// The loss of each row.
    fn row_losses(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> Vec<f64>;

    /// The outputs of a model that knows nothing but how frequent targets are in `train`, for the rows of `targets`.
    fn guess(&self, train: &Targets, targets: &Targets, scoring: &Scoring) -> Vec<f32>;

    /// A linear model from features `[rows, columns]` to so many outputs; none where the task starts from none.
    fn linear_model(
        &self,
        features: &[f32],
        targets: &Targets,
        options: &LossOptions,
        outputs: usize,
    ) -> Option<LinearModel>;

    /// A linear model from features `[rows, columns]` that stays as it is fitted, where [`Supervised::linear_model`] is one to start
    /// from; none where the task has none.
    fn fitted_head(
        &self,
        features: &[f32],
        targets: &Targets,
        options: &LossOptions,
        outputs: usize,
    ) -> Option<LinearModel> {
        self.linear_model(features, targets, options, outputs)
    }

    /// What outputs say of each row.
    fn predict(&self, outputs: &[f32], rows: &[topwork_data::Example], scoring: &Scoring) -> Vec<Prediction>;
}

/// A part of advice or judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Probabilities and the temperature that makes them mean what they say.
    Calibration,
    /// Which class was given for which.
    Confusion,
    /// The rows that are worth reading.
    HardRows,
    /// A bag of words to compare with.
    BagOfWords,
    /// A linear head on the untouched features to compare with.
    FrozenHead,
    /// Ranking models, depth and expectation by scores of features.
    Transferability,
    /// Labels that a probe doubts.
    LabelErrors,
    /// A curve of the score against the number of labels.
    Curve,
}

impl Part {
    /// The name, as it is said to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calibration => "calibration",
            Self::Confusion => "confusion",
            Self::HardRows => "rows worth reading",
            Self::BagOfWords => "bag of words",
            Self::FrozenHead => "frozen + linear head",
            Self::Transferability => "transferability",
            Self::LabelErrors => "doubtful labels",
            Self::Curve => "curve",
        }
    }
}

impl dyn Supervised {
    /// Why a part does not apply; none where it does.
    pub fn why_not(&self, part: Part) -> Option<&'static str> {
        self.not_applicable().iter().find(|(own, _)| *own == part).map(|(_, why)| *why)
    }
}

/// The targets of the rows of a pass, as the loss takes them.
#[derive(Clone, Debug, PartialEq)]
pub enum PassTargets {
    /// The class of each row, or the tag of each word.
    Classes(Vec<u32>),
    /// Numbers `[rows, outputs]`; 1 and 0 for labels.
    Numbers(Vec<f32>),
}

impl PassTargets {
    /// The classes; none where the targets are numbers.
    pub(crate) fn classes(&self) -> &[u32] {
        match self {
            Self::Classes(classes) => classes,
            Self::Numbers(_) => &[],
        }
    }

    /// The numbers; none where the targets are classes.
    pub(crate) fn numbers(&self) -> &[f32] {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Classes(_) => &[],
        }
    }
}

/// What a loss takes besides outputs and targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossOptions {
    /// Spread over all classes.
    pub label_smoothing: f32,
    /// A weight for each class, label or tag.
    pub class_weights: Option<Vec<f32>>,
    /// The error beyond which the loss grows linearly; none for squared errors.
    pub huber_delta: Option<f32>,
    /// The unit of numbers: deviation and mean of the training rows.
    pub scale: Option<OutputScale>,
}

/// What scores and predictions need besides outputs and targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Scoring {
    /// The classes, labels, outputs or tags.
    pub space: TargetSpace,
    /// The unit of numbers: deviation and mean of the training rows; none for the plain unit.
    pub scale: Option<OutputScale>,
    /// The probability from which on each label applies; one half where there are none.
    pub thresholds: Option<Vec<f64>>,
    /// What the outputs of classes are divided by before they become probabilities.
    pub temperature: f64,
}

impl Scoring {
    /// That of a space, without anything fitted.
    pub fn of(space: TargetSpace) -> Self {
        Self { space, scale: None, thresholds: None, temperature: 1.0 }
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.space.names().len()
    }

    /// With the thresholds that suit outputs for rows, where the targets are labels.
    pub(crate) fn with_thresholds(mut self, outputs: &[f32], targets: &Targets) -> Self {
        if let Targets::Labels(labels) = targets {
            self.thresholds = Some(fit_thresholds(outputs, labels.values(), labels.width()));
        }
        self
    }
}

/// A linear map from features to outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// `[outputs, features]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

impl LinearModel {
    /// The outputs for features `[rows, columns]`.
    pub fn outputs(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.weight.len() / self.bias.len().max(1);
        let output = |row: &[f32], output: usize| {
            let weights = &self.weight[output * columns..(output + 1) * columns];
            self.bias[output] + row.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f32>()
        };
        let all = 0..self.bias.len();
        features
            .chunks_exact(columns.max(1))
            .flat_map(|row| all.clone().map(|o| output(row, o)).collect::<Vec<_>>())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_found_by_each_of_its_names_and_no_name_is_of_two() {
        let mut names = std::collections::BTreeSet::new();
        for task in TASKS {
            for name in std::iter::once(&task.name).chain(task.aliases) {
                assert_eq!(TaskDescription::find(name).map(|found| found.name), Some(task.name), "{name}");
                assert!(names.insert(*name), "{name} is of two tasks");
            }
            assert!(!task.summary.is_empty() && !task.data.is_empty());
        }
        assert!(TaskDescription::find("token-classification").is_some());
    }

    #[test]
    fn tags_that_mark_no_entities_are_told_by_accuracy() {
        let headline = |names: [&str; 2]| {
            let names = names.map(str::to_string).to_vec();
            let space = TargetSpace::from_names(TargetKind::TokenTags, names).expect("different names");
            of_kind(TargetKind::TokenTags).headline_of(&space)
        };
        assert_eq!(headline(["O", "B-PER"]), Metric::EntityF1);
        assert_eq!(headline(["NOUN", "VERB"]), Metric::Accuracy);
    }

    #[test]
    fn what_a_task_says_of_itself_fits_together() {
        for task in TASKS.iter().filter_map(|task| task.supervised) {
            assert!(task.metrics().contains(&task.headline()) && task.metrics().contains(&Metric::Loss));
            assert_eq!(of_kind(task.kind()).name(), task.name());
            assert_eq!(task.head(3).outputs(), Some(3));
            assert!(TaskDescription::find(task.name()).is_some_and(|found| found.supervised.is_some()));
        }
    }
}
