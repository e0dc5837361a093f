//! A linear probe: the classifier fitted on features of the pretrained encoder before anything is tuned.
//!
//! Starting fine-tuning from it distorts the pretrained features less than starting from a random head does (Kumar et
//! al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", 2022).

use topwork_engine::{
    AdamW, AdamWOptions, CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Rates, Tape, Tensor,
};

/// Full-batch steps; the loss is convex, and by then it moves by less than a thousandth.
const STEPS: usize = 300;
/// The first learning rate; it falls linearly to zero.
const LEARNING_RATE: f64 = 0.02;
/// The weight decay, against separating few rows perfectly with huge weights.
const WEIGHT_DECAY: f64 = 0.05;

/// What the fitted weights are multiplied with. A head that is sure of every training row passes hardly any gradient on
/// to the body, which then learns nothing; scaled down, the probe gives the direction and fine-tuning the size.
pub(crate) const SCALE: f32 = 0.1;

/// The probe's weight `[classes, features]` and bias `[classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProbe {
    /// Row-major `[classes, features]`.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

/// Fits multinomial logistic regression on `features` `[rows, columns]`, and scales it down for fine-tuning to start
/// from: it predicts the same classes, and is sure of none.
pub fn fit(features: &[f32], targets: &[u32], classes: usize, class_weights: Option<&[f32]>) -> LinearProbe {
    let LinearProbe { weight, bias } = regression(features, targets, classes, class_weights);
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| SCALE * value).collect();
    LinearProbe { weight: scaled(weight), bias: scaled(bias) }
}

/// The logits `[rows of others, classes]` of logistic regression on `features` for `others`, which is fitted on
/// standardised columns: features of a frozen encoder differ much in size.
pub fn logits(features: &[f32], targets: &[u32], classes: usize, others: &[f32]) -> Vec<f32> {
    let columns = features.len() / targets.len().max(1);
    let scale = Standardisation::of(features, columns);
    let LinearProbe { weight, bias } = regression(&scale.apply(features), targets, classes, None);
    let class = |row: &[f32], class: usize| {
        let weights = &weight[class * columns..(class + 1) * columns];
        bias[class] + row.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f32>()
    };
    let others = scale.apply(others);
    others.chunks_exact(columns).flat_map(|row| (0..classes).map(|c| class(row, c)).collect::<Vec<_>>()).collect()
}

/// Columns of mean 0 and deviation 1.
struct Standardisation {
    mean: Vec<f32>,
    inverse: Vec<f32>,
}

impl Standardisation {
    fn of(features: &[f32], columns: usize) -> Self {
        let rows = (features.len() / columns.max(1)).max(1) as f64;
        let mut sums = vec![(0.0f64, 0.0f64); columns];
        for row in features.chunks_exact(columns) {
            for ((sum, squares), &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
                *squares += f64::from(value).powi(2);
            }
        }
        let deviation = |(sum, squares): &(f64, f64)| (squares / rows - (sum / rows).powi(2)).max(0.0).sqrt();
        Self {
            mean: sums.iter().map(|(sum, _)| (sum / rows) as f32).collect(),
            // A column that never changes tells nothing.
            inverse: sums.iter().map(deviation).map(|d| if d > 1e-6 { (1.0 / d) as f32 } else { 0.0 }).collect(),
        }
    }

    fn apply(&self, features: &[f32]) -> Vec<f32> {
        let columns = self.mean.len();
        let row = |row: &[f32]| -> Vec<f32> {
            row.iter()
                .zip(&self.mean)
                .zip(&self.inverse)
                .map(|((value, mean), inverse)| (value - mean) * inverse)
                .collect()
        };
        features.chunks_exact(columns).flat_map(row).collect()
    }
}

/// Multinomial logistic regression on `features` `[rows, columns]`, as it is fitted.
pub(crate) fn regression(
    features: &[f32],
    targets: &[u32],
    classes: usize,
    class_weights: Option<&[f32]>,
) -> LinearProbe {
    let rows = targets.len();
    let columns = features.len() / rows.max(1);
    let mut parameters = Parameters::new();
    let weight = parameters.add("weight", &[classes, columns], &vec![0.0; classes * columns]);
    let bias = parameters.add("bias", &[classes], &vec![0.0; classes]);
    let mut gradients = Gradients::new(&parameters, &[]);
    let mut adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
    let pool = Pool::new();
    let normaliser = CrossEntropy::normaliser(targets, class_weights);
    let features = Tensor::from_values(features, rows, columns);
    let features = Tape::new(&parameters, &pool, Mode::Inference).constant(features);
    for step in 0..STEPS {
        gradients.clear();
        let mut tape = Tape::new(&parameters, &pool, Mode::Training);
        let logits = tape.linear(&features, weight, Some(bias));
        let options = CrossEntropy { targets, class_weights, label_smoothing: 0.0, normaliser };
        let loss = tape.cross_entropy(logits, &options);
        tape.backward(loss, &mut gradients);
        let learning_rate = LEARNING_RATE * (1.0 - step as f64 / STEPS as f64);
        adamw.step(&mut parameters, &gradients, 1.0, |id: ParameterId| Rates {
            learning_rate,
            weight_decay: if id == weight { WEIGHT_DECAY } else { 0.0 },
        });
    }
    let values = |id| parameters.get(id).values.to_vec();
    LinearProbe { weight: values(weight), bias: values(bias) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three classes on two features, and the probe's logits `[rows, 3]` for them.
    fn fit_separable() -> (Vec<u32>, Vec<f32>) {
        let features: Vec<f32> = (0..60).flat_map(|i| [(i % 3) as f32 - 1.0, ((i % 3) as f32 - 1.0).abs()]).collect();
        let targets: Vec<u32> = (0..60).map(|i| i % 3).collect();
        let probe = fit(&features, &targets, 3, None);
        let logit =
            |row: &[f32], c: usize| probe.bias[c] + row[0] * probe.weight[2 * c] + row[1] * probe.weight[2 * c + 1];
        let logits = features.chunks(2).flat_map(|row| (0..3).map(|c| logit(row, c)).collect::<Vec<f32>>()).collect();
        (targets, logits)
    }

    #[test]
    fn separates_what_is_separable() {
        let (targets, logits) = fit_separable();
        for (row, &target) in logits.chunks(3).zip(&targets) {
            assert!((0..3).all(|c| c == target as usize || row[c] < row[target as usize]));
        }
    }

    #[test]
    fn logits_for_other_rows_follow_the_features_whatever_their_size() {
        // The telling column is a thousand times smaller than the noise.
        let row = |i: usize| [(i % 2) as f32 * 1e-3, (i * 7919 % 13) as f32];
        let features: Vec<f32> = (0..80).flat_map(row).collect();
        let targets: Vec<u32> = (0..80).map(|i| i % 2).collect();
        let others: Vec<f32> = (80..100).flat_map(row).collect();
        let logits = logits(&features, &targets, 2, &others);
        for (i, logits) in logits.chunks_exact(2).enumerate() {
            assert_eq!(logits[1] > logits[0], i % 2 == 1, "{logits:?}");
        }
    }

    #[test]
    fn leaves_the_body_something_to_learn() {
        let (targets, logits) = fit_separable();
        let loss = topwork_metrics::cross_entropy(&logits, 3, &targets);
        assert!(loss > 0.5 * 3f64.ln(), "the probe is sure of its rows already: loss {loss}");
    }
}
