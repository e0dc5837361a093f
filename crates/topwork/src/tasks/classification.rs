//! One of several classes for each text, or pair of texts.

use topwork_data::{Example, TargetKind, Targets};
use topwork_engine::{CrossEntropy, Tape, Value};
use topwork_metrics::logistic::{Effort, Logistic};
use topwork_metrics::{Metric, TaskScores, argmax, cross_entropy, matrix, softmax};
use topwork_models::{HeadKind, ProblemType};

use super::prediction::Prediction;
use super::{LinearModel, LossOptions, Part, PassTargets, Scoring, Supervised, TaskDescription};
use crate::network::probe::{self, LinearProbe};

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "classification",
    aliases: &["single_label_classification", "text_classification", "sequence_classification"],
    summary: "one of several classes for each text",
    data: "a column with the class",
    supervised: Some(&Classification),
};

/// The inverse of the penalty on a head that stays as it is fitted, scikit-learn's `C` on features of length 1: weak, and strong enough
/// that few rows are not answered with certainty.
const INVERSE_PENALTY: f64 = 10.0;

/// The most steps of such a fit, and the slope at which it is over: predictions hardly change from there on.
const STEPS: usize = 300;
const SLOPE: f64 = 1e-5;

/// Learning classes.
pub struct Classification;

fn gold(targets: &Targets) -> &[u32] {
    match targets {
        Targets::Class(classes) => classes,
        _ => &[],
    }
}

impl Supervised for Classification {
    fn name(&self) -> &'static str {
        TASK.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::Class
    }

    fn head(&self, outputs: usize) -> HeadKind {
        HeadKind::Sequence { outputs }
    }

    fn problem_type(&self) -> Option<ProblemType> {
        Some(ProblemType::SingleLabelClassification)
    }

    fn pipeline_tag(&self) -> &'static str {
        "text-classification"
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::CLASSIFICATION
    }

    fn headline(&self) -> Metric {
        Metric::Accuracy
    }

    fn starts_from_probe(&self) -> bool {
        true
    }

    fn not_applicable(&self) -> &'static [(Part, &'static str)] {
        &[]
    }

    fn normaliser(&self, targets: &PassTargets, options: &LossOptions) -> f64 {
        CrossEntropy::normaliser(targets.classes(), options.class_weights.as_deref())
    }

    fn loss(
        &self,
        tape: &mut Tape<'_>,
        outputs: Value,
        targets: &PassTargets,
        options: &LossOptions,
        normaliser: f64,
    ) -> Value {
        let options = CrossEntropy {
            targets: targets.classes(),
            class_weights: options.class_weights.as_deref(),
            label_smoothing: options.label_smoothing,
            normaliser,
        };
        tape.cross_entropy(outputs, &options)
    }

    fn evaluate(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> TaskScores {
        topwork_metrics::evaluate(outputs, scoring.outputs(), gold(targets)).into()
    }

    fn row_losses(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> Vec<f64> {
        let classes = scoring.outputs();
        let row = |(outputs, gold): (&[f32], &u32)| cross_entropy(outputs, classes, &[*gold]);
        outputs.chunks_exact(classes.max(1)).zip(gold(targets)).map(row).collect()
    }

    /// The log-frequencies of the classes.
    fn guess(&self, train: &Targets, targets: &Targets, scoring: &Scoring) -> Vec<f32> {
        let mut counts = vec![0.0f32; scoring.outputs()];
        gold(train).iter().for_each(|&class| counts[class as usize] += 1.0);
        let row: Vec<f32> = counts.iter().map(|count| count.max(0.5).ln()).collect();
        row.repeat(targets.len())
    }

    fn linear_model(
        &self,
        features: &[f32],
        targets: &Targets,
        options: &LossOptions,
        outputs: usize,
    ) -> Option<LinearModel> {
        let classes = gold(targets);
        let LinearProbe { weight, bias } =
            probe::regression(features, classes, outputs, options.class_weights.as_deref());
        Some(LinearModel { weight, bias })
    }

    /// Multinomial logistic regression, as that of scikit-learn with a `C` of 10 on features of mean squared length 1.
    fn fitted_head(
        &self,
        features: &[f32],
        targets: &Targets,
        options: &LossOptions,
        outputs: usize,
    ) -> Option<LinearModel> {
        let classes = gold(targets);
        if options.class_weights.is_some() {
            return self.linear_model(features, targets, options, outputs);
        }
        let rows = classes.len().max(1);
        let columns = features.len() / rows;
        let length = features.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / rows as f64;
        let penalty = length.max(f64::MIN_POSITIVE) / (INVERSE_PENALTY * rows as f64);
        let features = matrix(features, columns);
        let effort = Effort { steps: STEPS, slope: SLOPE };
        let fitted = Logistic::fit(features.as_ref(), classes, outputs, penalty, effort, None);
        let weight = (0..outputs)
            .flat_map(|class| fitted.weight.col(class).iter().map(|value| *value as f32).collect::<Vec<_>>());
        Some(LinearModel { weight: weight.collect(), bias: fitted.bias.iter().map(|value| *value as f32).collect() })
    }

    fn predict(&self, outputs: &[f32], rows: &[Example], scoring: &Scoring) -> Vec<Prediction> {
        let (names, classes) = (scoring.space.names(), scoring.outputs().max(1));
        let of_row = |row: &[f32]| {
            let cooled: Vec<f32> = row.iter().map(|logit| (f64::from(*logit) / scoring.temperature) as f32).collect();
            let probabilities: Vec<f64> = softmax(&cooled, classes).into_iter().map(f64::from).collect();
            let class = argmax(row, classes)[0] as usize;
            Prediction::Class { label: names[class].clone(), score: probabilities[class], probabilities }
        };
        outputs.chunks_exact(classes).take(rows.len()).map(of_row).collect()
    }
}
