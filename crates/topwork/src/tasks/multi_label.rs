//! Any number of labels a row: one binary decision for each label.

use topwork_data::{Example, Matrix, TargetKind, Targets};
use topwork_engine::{BinaryCrossEntropy, Tape, Value};
use topwork_metrics::logistic::Effort;
use topwork_metrics::one_vs_rest::OneVsRest;
use topwork_metrics::{Mat, Metric, TaskScores, matrix, multi_label};
use topwork_models::{HeadKind, ProblemType};

use super::prediction::Prediction;
use super::{LinearModel, LossOptions, Part, PassTargets, Scoring, Supervised, TaskDescription};

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "multi_label",
    aliases: &["multi_label_classification"],
    summary: "any number of labels for each text",
    data: "a JSON list of labels, labels joined by `;`, or one column of 0 and 1 for each label",
    supervised: Some(&MultiLabel),
};

/// Learning which labels apply.
pub struct MultiLabel;

/// The penalty on the squared weights of the linear model, for columns of variance 1. Read off MiniLM's features of 300 sentences
/// of ATIS: the pooled, the first and the mean token all score best from 0.001 to 0.01.
const PENALTY: f64 = 0.003;
/// Outputs of a label that always or never applies are cut at these odds.
const SUREST: f32 = 20.0;

fn gold(targets: &Targets) -> &[bool] {
    match targets {
        Targets::Labels(labels) => labels.values(),
        _ => &[],
    }
}

impl Supervised for MultiLabel {
    fn name(&self) -> &'static str {
        TASK.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::Labels
    }

    fn head(&self, outputs: usize) -> HeadKind {
        HeadKind::Sequence { outputs }
    }

    fn problem_type(&self) -> Option<ProblemType> {
        Some(ProblemType::MultiLabelClassification)
    }

    fn pipeline_tag(&self) -> &'static str {
        "text-classification"
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::MULTI_LABEL
    }

    fn headline(&self) -> Metric {
        Metric::MicroF1
    }

    fn starts_from_probe(&self) -> bool {
        true
    }

    fn not_applicable(&self) -> &'static [(Part, &'static str)] {
        &[
            (Part::Calibration, "labels do not exclude each other: thresholds are fitted in its place"),
            (Part::Confusion, "labels do not exclude each other"),
            (Part::BagOfWords, "it is fitted for one class a row"),
            (Part::Transferability, "the scores of features are of one class a row"),
            (Part::LabelErrors, "the probe that doubts labels is of one class a row"),
        ]
    }

    fn normaliser(&self, targets: &PassTargets, _: &LossOptions) -> f64 {
        targets.numbers().len() as f64
    }

    fn loss(
        &self,
        tape: &mut Tape<'_>,
        outputs: Value,
        targets: &PassTargets,
        options: &LossOptions,
        normaliser: f64,
    ) -> Value {
        let options = BinaryCrossEntropy {
            targets: targets.numbers(),
            label_weights: options.class_weights.as_deref(),
            label_smoothing: options.label_smoothing,
            normaliser,
        };
        tape.binary_cross_entropy(outputs, &options)
    }

    fn evaluate(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> TaskScores {
        multi_label::evaluate(outputs, gold(targets), scoring.outputs(), scoring.thresholds.as_deref())
    }

    fn row_losses(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> Vec<f64> {
        let labels = scoring.outputs().max(1);
        let rows = outputs.chunks_exact(labels).zip(gold(targets).chunks_exact(labels));
        rows.map(|(outputs, gold)| multi_label::binary_cross_entropy(outputs, gold)).collect()
    }

    /// The log-odds of each label.
    fn guess(&self, train: &Targets, targets: &Targets, _: &Scoring) -> Vec<f32> {
        let Targets::Labels(labels) = train else { return Vec::new() };
        let odds = |label: usize| {
            let with = labels.column(label).filter(|applies| *applies).count() as f32;
            (with / (labels.rows() as f32 - with)).ln().clamp(-SUREST, SUREST)
        };
        let row: Vec<f32> = (0..labels.width()).map(odds).collect();
        row.repeat(targets.len())
    }

    fn linear_model(&self, features: &[f32], targets: &Targets, _: &LossOptions, _: usize) -> Option<LinearModel> {
        let Targets::Labels(labels) = targets else { return None };
        one_vs_rest(features, labels)
    }

    fn predict(&self, outputs: &[f32], rows: &[Example], scoring: &Scoring) -> Vec<Prediction> {
        let (names, labels) = (scoring.space.names(), scoring.outputs().max(1));
        let applies = multi_label::predictions(outputs, labels, scoring.thresholds.as_deref());
        let row = |(outputs, applies): (&[f32], &[bool])| {
            let probabilities: Vec<f64> = outputs.iter().map(|&logit| multi_label::sigmoid(logit)).collect();
            let mut chosen: Vec<usize> = (0..labels).filter(|&label| applies[label]).collect();
            chosen.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            Prediction::Labels { labels: chosen.into_iter().map(|label| names[label].clone()).collect(), probabilities }
        };
        outputs.chunks_exact(labels).zip(applies.chunks_exact(labels)).take(rows.len()).map(row).collect()
    }
}

/// The variance of a column, the mean over all of them: the unit of a penalty that does not depend on the size of features.
fn mean_variance(features: &Mat<f64>) -> f64 {
    let (rows, columns) = (features.nrows().max(1) as f64, features.ncols().max(1) as f64);
    let variance = |column: usize| {
        let values = features.col_as_slice(column);
        let mean = values.iter().sum::<f64>() / rows;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows
    };
    ((0..features.ncols()).map(variance).sum::<f64>() / columns).max(f64::MIN_POSITIVE)
}

/// Logistic regression for each label; a label that all rows have, or none, has nothing to learn.
fn one_vs_rest(features: &[f32], labels: &Matrix<bool>) -> Option<LinearModel> {
    let features = matrix(features, features.len() / labels.rows().max(1));
    let effort = Effort::usual(features.ncols() * labels.width());
    let penalty = PENALTY * mean_variance(&features);
    let fitted = OneVsRest::fit(features.as_ref(), labels.values(), labels.width(), penalty, effort, None)?;
    let weight = (0..labels.width()).flat_map(|label| (0..features.ncols()).map(move |column| (label, column)));
    Some(LinearModel {
        weight: weight.map(|place| fitted.weight[place] as f32).collect(),
        bias: fitted.bias.iter().map(|&bias| (bias as f32).clamp(-SUREST, SUREST)).collect(),
    })
}
