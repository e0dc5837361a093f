//! Logistic regression of any number of labels a row: one independent decision each, with a penalty on the squared weights,
//! all fitted at once to their optimum by the L-BFGS of [`crate::logistic`].

use faer::{Mat, MatRef};

use crate::logistic::{Effort, minimise};
use crate::matrix::Matrix;

/// A linear classifier of labels that do not exclude each other.
#[derive(Clone, Debug)]
pub struct OneVsRest {
    /// `[labels, features]`
    pub weight: Mat<f64>,
    /// `[labels]`
    pub bias: Vec<f64>,
    /// The sum over the labels of mean cross-entropy plus penalty, in nats.
    pub objective: f64,
}

impl OneVsRest {
    /// Minimises, for each label, mean cross-entropy + `penalty`/2 · ‖w‖² on `features` `[rows, features]` with `gold`
    /// `[rows, labels]`, row-major; the bias is not penalised. `start` is where to begin, such as the fit with another
    /// penalty. None when the tables do not fit each other or have no rows, features or labels.
    ///
    /// A label that all rows have, or none, has its best bias at infinity: the effort ends the way there.
    pub fn fit(
        features: Matrix<'_>,
        gold: &[bool],
        labels: usize,
        penalty: f64,
        effort: Effort,
        start: Option<&Self>,
    ) -> Option<Self> {
        let (rows, columns) = (features.nrows(), features.ncols());
        if rows == 0 || columns == 0 || labels == 0 || rows.checked_mul(labels) != Some(gold.len()) {
            return None;
        }
        let mut values = vec![0.0; (columns + 1) * labels];
        if let Some(start) = start.filter(|start| start.weight.nrows() == labels && start.weight.ncols() == columns) {
            for label in 0..labels {
                for column in 0..columns {
                    values[label * columns + column] = start.weight[(label, column)];
                }
            }
            values[columns * labels..].copy_from_slice(&start.bias);
        }
        let problem = Problem { features, gold, labels, penalty };
        let objective = minimise(&mut values, effort, |values| problem.value_and_slope(values));
        let (weight, bias) = values.split_at(columns * labels);
        let weight = MatRef::from_row_major_slice(weight, labels, columns).to_owned();
        Some(Self { weight, bias: bias.to_vec(), objective })
    }

    /// The logit of each label for each row, `[rows, labels]`.
    pub fn logits(&self, features: Matrix<'_>) -> Mat<f64> {
        let mut logits = features * self.weight.transpose();
        for (label, bias) in self.bias.iter().enumerate() {
            logits.col_as_slice_mut(label).iter_mut().for_each(|logit| *logit += bias);
        }
        logits
    }
}

struct Problem<'a> {
    features: Matrix<'a>,
    gold: &'a [bool],
    labels: usize,
    penalty: f64,
}

impl Problem<'_> {
    /// Values are the weights, label by label, and then the biases.
    fn value_and_slope(&self, values: &[f64]) -> (f64, Vec<f64>) {
        let (columns, rows) = (self.features.ncols(), self.features.nrows() as f64);
        let (weight, bias) = values.split_at(columns * self.labels);
        let mut slopes = self.features * MatRef::from_column_major_slice(weight, columns, self.labels);
        let mut loss = 0.0;
        for (label, bias) in bias.iter().enumerate() {
            for (row, value) in slopes.col_as_slice_mut(label).iter_mut().enumerate() {
                let logit = *value + bias;
                let is_true = self.gold[row * self.labels + label];
                // e^−|logit| serves the loss and the probability, and never overflows.
                let small = (-logit.abs()).exp();
                let away = if is_true { -logit } else { logit };
                loss += away.max(0.0) + small.ln_1p();
                let probability = if logit >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
                *value = probability - f64::from(u8::from(is_true));
            }
        }
        let of_weight = self.features.transpose() * &slopes;
        let squares: f64 = weight.iter().map(|w| w * w).sum();
        let mut slope = Vec::with_capacity(values.len());
        for label in 0..self.labels {
            let own = &weight[label * columns..(label + 1) * columns];
            slope.extend(of_weight.col(label).iter().zip(own).map(|(s, w)| s / rows + self.penalty * w));
        }
        slope.extend((0..self.labels).map(|label| slopes.col(label).iter().sum::<f64>() / rows));
        (loss / rows + 0.5 * self.penalty * squares, slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logistic::Logistic;
    use crate::oracle::{fixture, near, numbers};

    fn table() -> (Mat<f64>, Vec<bool>) {
        let features = Mat::from_fn(40, 3, |row, column| ((row * 7 + column * 3) % 11) as f64 / 5.0 - 1.0);
        (features, (0..80).map(|place| (place * place) % 7 < 3).collect())
    }

    #[test]
    fn values_are_those_that_scikit_learn_computed() {
        let fixture = fixture("metrics.json");
        let case = &fixture["one_vs_rest"];
        let sizes = ["rows", "features", "labels"].map(|name| case[name].as_u64().unwrap() as usize);
        let x = numbers(&case["x"]);
        let features = Mat::from_fn(sizes[0], sizes[1], |row, column| x[row * sizes[1] + column]);
        let gold: Vec<bool> = numbers(&case["gold"]).into_iter().map(|value| value == 1.0).collect();
        let penalty = case["penalty"].as_f64().unwrap();
        let found = OneVsRest::fit(features.as_ref(), &gold, sizes[2], penalty, Effort::EXACT, None).unwrap();
        for (place, value) in numbers(&case["weight"]).into_iter().enumerate() {
            let own = found.weight[(place / sizes[1], place % sizes[1])];
            assert!((own - value).abs() < 1e-6, "{own}, not {value}");
        }
        for (own, expected) in found.bias.iter().zip(case["bias"].as_array().unwrap()) {
            near(*own, expected, 1e-6);
        }
        let logits = found.logits(features.as_ref());
        assert!(
            (logits[(0, 1)] - found.bias[1] - (0..sizes[1]).map(|f| x[f] * found.weight[(1, f)]).sum::<f64>()).abs()
                < 1e-12
        );
    }

    #[test]
    fn each_label_is_a_logistic_regression_of_two_classes() {
        let (features, gold) = table();
        let found = OneVsRest::fit(features.as_ref(), &gold, 2, 0.01, Effort::EXACT, None).unwrap();
        for label in 0..2 {
            let targets: Vec<u32> = (0..40).map(|row| u32::from(gold[row * 2 + label])).collect();
            // Two classes share a weight between them, so the penalty on each counts half.
            let two = Logistic::fit(features.as_ref(), &targets, 2, 0.02, Effort::EXACT, None);
            for column in 0..3 {
                let expected = two.weight[(column, 1)] - two.weight[(column, 0)];
                assert!((found.weight[(label, column)] - expected).abs() < 1e-6);
            }
        }
        let elsewhere =
            OneVsRest { weight: Mat::from_fn(2, 3, |i, j| (i + j) as f64), bias: vec![1.0, -1.0], objective: 0.0 };
        let second = OneVsRest::fit(features.as_ref(), &gold, 2, 0.01, Effort::EXACT, Some(&elsewhere)).unwrap();
        assert!((found.objective - second.objective).abs() < 1e-10);
    }

    #[test]
    fn what_is_no_table_is_none_and_a_label_of_all_rows_is_given() {
        let (features, gold) = table();
        let fit = |gold: &[bool], labels| OneVsRest::fit(features.as_ref(), gold, labels, 0.1, Effort::usual(4), None);
        assert!(fit(&gold, 3).is_none() && fit(&gold, 0).is_none() && fit(&[], 1).is_none());
        let all = fit(&[true; 40], 1).unwrap();
        assert!(all.bias[0] > 1.0 && all.objective.is_finite());
    }
}
