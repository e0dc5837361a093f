//! Numbers: one or several for each text.
//!
//! While training, targets have mean 0 and deviation 1; the model puts its outputs in the unit of the data
//! ([`topwork_models::OutputScale`]), and the saved head has that unit in its weights. The loss is in units of the training
//! targets' variance: 1 is what the mean would have.

use topwork_data::{Example, Matrix, TargetKind, Targets};
use topwork_engine::{SquaredError, Tape, Value};
use topwork_metrics::{Metric, TaskScores, matrix, regression, ridge::Ridge};
use topwork_models::{HeadKind, OutputScale, ProblemType};

use super::prediction::Prediction;
use super::{LinearModel, LossOptions, Part, PassTargets, Scoring, Supervised, TaskDescription};

/// The line in the list of tasks.
pub const TASK: TaskDescription = TaskDescription {
    name: "regression",
    aliases: &[],
    summary: "one number or several for each text",
    data: "a column of numbers, several of them, or a JSON list of numbers",
    supervised: Some(&Regression),
};

/// Learning numbers.
pub struct Regression;

/// Deviation and mean of each output, for training.
pub(crate) fn scale_of(values: &Matrix<f64>) -> OutputScale {
    let mut scale = OutputScale { scale: Vec::new(), shift: Vec::new() };
    let rows = values.rows().max(1) as f64;
    for output in 0..values.width() {
        let mean = values.column(output).sum::<f64>() / rows;
        let variance = values.column(output).map(|value| (value - mean).powi(2)).sum::<f64>() / rows;
        // A part of the rows may have one number alone, of which there is nothing to learn; rounding is no difference.
        let size = values.column(output).map(f64::abs).fold(0.0, f64::max);
        let is_one =
            variance.sqrt() <= 100.0 * f64::from(f32::EPSILON) * size || variance.sqrt() < f64::from(f32::MIN_POSITIVE);
        let deviation = if is_one { 1.0 } else { variance.sqrt() };
        scale.scale.push(deviation as f32);
        scale.shift.push(mean as f32);
    }
    scale
}

fn gold(targets: &Targets) -> &[f64] {
    match targets {
        Targets::Values(values) => values.values(),
        _ => &[],
    }
}

/// The squared error of each row, in units of the scale, over its outputs.
fn squared_errors(outputs: &[f32], gold: &[f64], scoring: &Scoring) -> Vec<f64> {
    let width = scoring.outputs().max(1);
    let unit = |output: usize| scoring.scale.as_ref().map_or(1.0, |own| f64::from(own.scale[output]));
    let row = |(outputs, gold): (&[f32], &[f64])| {
        let errors = outputs.iter().zip(gold).enumerate().map(|(o, (&y, &t))| ((f64::from(y) - t) / unit(o)).powi(2));
        errors.sum::<f64>() / width as f64
    };
    outputs.chunks_exact(width).zip(gold.chunks_exact(width)).map(row).collect()
}

impl Supervised for Regression {
    fn name(&self) -> &'static str {
        TASK.name
    }

    fn kind(&self) -> TargetKind {
        TargetKind::Value
    }

    fn head(&self, outputs: usize) -> HeadKind {
        HeadKind::Sequence { outputs }
    }

    fn problem_type(&self) -> Option<ProblemType> {
        Some(ProblemType::Regression)
    }

    fn pipeline_tag(&self) -> &'static str {
        "text-classification"
    }

    fn metrics(&self) -> &'static [Metric] {
        &Metric::REGRESSION
    }

    fn headline(&self) -> Metric {
        Metric::Pearson
    }

    fn starts_from_probe(&self) -> bool {
        true
    }

    fn not_applicable(&self) -> &'static [(Part, &'static str)] {
        &[
            (Part::Calibration, "numbers have no probabilities"),
            (Part::Confusion, "numbers are no classes"),
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
        let huber_delta = options.huber_delta;
        let Some(OutputScale { scale, shift }) = &options.scale else {
            return tape.squared_error(outputs, &SquaredError { targets: targets.numbers(), huber_delta, normaliser });
        };
        let inverse: Vec<f32> = scale.iter().map(|scale| 1.0 / scale).collect();
        let back: Vec<f32> = shift.iter().zip(scale).map(|(shift, scale)| -shift / scale).collect();
        let standard =
            |(place, target): (usize, &f32)| (target - shift[place % shift.len()]) / scale[place % scale.len()];
        let targets: Vec<f32> = targets.numbers().iter().enumerate().map(standard).collect();
        let outputs = tape.affine(&outputs, &inverse, &back);
        tape.squared_error(outputs, &SquaredError { targets: &targets, huber_delta, normaliser })
    }

    fn evaluate(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> TaskScores {
        let gold = gold(targets);
        let losses = squared_errors(outputs, gold, scoring);
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        TaskScores { loss, ..regression::evaluate(outputs, gold, scoring.outputs()) }
    }

    fn row_losses(&self, outputs: &[f32], targets: &Targets, scoring: &Scoring) -> Vec<f64> {
        squared_errors(outputs, gold(targets), scoring)
    }

    /// The mean of each output.
    fn guess(&self, train: &Targets, targets: &Targets, _: &Scoring) -> Vec<f32> {
        let Targets::Values(values) = train else { return Vec::new() };
        scale_of(values).shift.repeat(targets.len())
    }

    /// Ridge regression, in the unit in which the head is trained.
    fn linear_model(
        &self,
        features: &[f32],
        targets: &Targets,
        options: &LossOptions,
        _: usize,
    ) -> Option<LinearModel> {
        let Targets::Values(values) = targets else { return None };
        let OutputScale { scale, shift } = options.scale.clone().unwrap_or_else(|| scale_of(values));
        let standard = |(place, value): (usize, &f64)| {
            let output = place % values.width();
            ((value - f64::from(shift[output])) / f64::from(scale[output])) as f32
        };
        let standard: Vec<f32> = values.values().iter().enumerate().map(standard).collect();
        let features = matrix(features, features.len() / values.rows().max(1));
        let targets = matrix(&standard, values.width());
        let ridge = Ridge::fit(features.as_ref(), targets.as_ref(), &Ridge::penalties(features.as_ref()))?;
        let weight = (0..values.width()).flat_map(|output| (0..features.ncols()).map(move |column| (column, output)));
        Some(LinearModel {
            weight: weight.map(|(column, output)| ridge.weight[(column, output)] as f32).collect(),
            bias: ridge.bias.iter().map(|&bias| bias as f32).collect(),
        })
    }

    fn predict(&self, outputs: &[f32], rows: &[Example], scoring: &Scoring) -> Vec<Prediction> {
        let of_row = |row: &[f32]| Prediction::Values { values: row.iter().map(|&value| f64::from(value)).collect() };
        outputs.chunks_exact(scoring.outputs().max(1)).take(rows.len()).map(of_row).collect()
    }
}
