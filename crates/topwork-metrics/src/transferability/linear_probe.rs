//! A linear classifier on the features, asked about rows that it was not fitted to: the judge of the other scores.

use std::collections::HashMap;

use faer::Mat;

use crate::logistic::{Effort, Logistic};
use crate::matrix::{Matrix, column_means, is_sample, row_hash, rows_by_class, select_rows};

/// Parts that are left out in turn.
pub const FOLDS: usize = 5;
/// Penalties that are tried, strongest first, so that each fit begins at the one before.
const PENALTIES: [f64; 4] = [0.3, 0.1, 0.03, 0.01];

/// What the rows left out were given.
#[derive(Clone, Debug)]
pub struct CrossValidation {
    /// The probability of each class for each row, from the fit that did not see it: `[rows, classes]`.
    pub probabilities: Mat<f64>,
    /// The penalty with the least loss on rows left out.
    pub penalty: f64,
    /// Mean cross-entropy on rows left out, in nats.
    pub loss: f64,
    /// Whether the fit that was asked about a row had seen another of its class; where it had not, its answer says nothing of the
    /// row's label.
    pub knew_class: Vec<bool>,
}

impl CrossValidation {
    /// The most probable class of each row.
    pub fn predictions(&self) -> Vec<u32> {
        let best = |row: usize| {
            let own = |class: usize| self.probabilities[(row, class)];
            // The first among equals.
            (1..self.probabilities.ncols()).fold(0, |best, class| if own(class) > own(best) { class } else { best })
        };
        (0..self.probabilities.nrows()).map(|row| best(row) as u32).collect()
    }

    /// The part of the rows that were right.
    pub fn accuracy(&self, classes: &[u32]) -> f64 {
        crate::accuracy(classes, &self.predictions())
    }
}

/// Softmax regression on standardised features in [`FOLDS`] folds, at the penalty that does best on the rows left out.
/// `keys` part the rows, as in [`folds`]. None with fewer than two classes.
pub fn cross_validate(features: Matrix<'_>, classes: &[u32], keys: &[u64]) -> Option<CrossValidation> {
    if !is_sample(features, classes) || keys.len() != classes.len() {
        return None;
    }
    let count = classes.iter().max().map_or(0, |&most| most as usize + 1);
    let rows = features.nrows();
    let fold_of = folds(features, classes, keys, FOLDS);
    let mut knew_class = vec![false; rows];
    let mut by_penalty = vec![Mat::<f64>::zeros(rows, count); PENALTIES.len()];
    for fold in 0..FOLDS {
        let (held_out, fitted): (Vec<usize>, Vec<usize>) = (0..rows).partition(|&row| fold_of[row] == fold);
        if held_out.is_empty() {
            continue;
        }
        if fitted.is_empty() {
            // All rows are equal: nothing is known but how frequent each class is.
            let mut frequencies = vec![0.0; count];
            classes.iter().for_each(|&class| frequencies[class as usize] += 1.0 / rows as f64);
            by_penalty.fill(Mat::from_fn(rows, count, |_, class| frequencies[class]));
            continue;
        }
        let scale = Standard::of(select_rows(features, &fitted).as_ref());
        let train = scale.apply(select_rows(features, &fitted).as_ref());
        let test = scale.apply(select_rows(features, &held_out).as_ref());
        let targets: Vec<u32> = fitted.iter().map(|&row| classes[row]).collect();
        let mut is_known = vec![false; count];
        targets.iter().for_each(|&class| is_known[class as usize] = true);
        held_out.iter().for_each(|&row| knew_class[row] = is_known[classes[row] as usize]);
        let effort = Effort::usual(features.ncols() * count);
        let mut last: Option<Logistic> = None;
        for (penalty, probabilities) in PENALTIES.into_iter().zip(&mut by_penalty) {
            let model = Logistic::fit(train.as_ref(), &targets, count, penalty, effort, last.as_ref());
            let own = model.probabilities(test.as_ref());
            for (place, &row) in held_out.iter().enumerate() {
                (0..count).for_each(|class| probabilities[(row, class)] = own[(place, class)]);
            }
            last = Some(model);
        }
    }
    let loss = |probabilities: &Mat<f64>| {
        let own = |(row, &class): (usize, &u32)| -probabilities[(row, class as usize)].max(1e-12).ln();
        classes.iter().enumerate().map(own).sum::<f64>() / rows as f64
    };
    let tried = PENALTIES.into_iter().zip(by_penalty).map(|(penalty, probabilities)| {
        let loss = loss(&probabilities);
        (probabilities, penalty, loss)
    });
    let (probabilities, penalty, loss) = tried.min_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(CrossValidation { probabilities, penalty, loss, knew_class })
}

/// The fold of each row: each class is spread over all folds in the order of the rows' keys, so that other features of the same rows
/// have the same folds and the order of rows has no say. Equal rows share a fold, or one would tell the answer of the other.
pub fn folds(features: Matrix<'_>, classes: &[u32], keys: &[u64], count: usize) -> Vec<usize> {
    let mut fold_of = vec![0; classes.len()];
    let mut known: HashMap<u64, usize> = HashMap::new();
    let mut next = 0;
    for mut members in rows_by_class(classes) {
        members.sort_by_cached_key(|&row| (keys[row], row_hash(features, row)));
        for row in members {
            fold_of[row] = *known.entry(row_hash(features, row)).or_insert_with(|| {
                next += 1;
                (next - 1) % count
            });
        }
    }
    fold_of
}

/// The features with mean 0 and variance 1 in each column; a column that never changes becomes 0.
pub fn standardise(features: Matrix<'_>) -> Mat<f64> {
    Standard::of(features).apply(features)
}

struct Standard {
    means: Vec<f64>,
    inverse: Vec<f64>,
}

impl Standard {
    fn of(features: Matrix<'_>) -> Self {
        let means = column_means(features);
        let inverse = |column: usize| {
            let squares: f64 = features.col(column).iter().map(|value| (value - means[column]).powi(2)).sum();
            let deviation = (squares / features.nrows().max(1) as f64).sqrt();
            if deviation > 1e-9 * (1.0 + means[column].abs()) { 1.0 / deviation } else { 0.0 }
        };
        let inverse = (0..features.ncols()).map(inverse).collect();
        Self { means, inverse }
    }

    fn apply(&self, features: Matrix<'_>) -> Mat<f64> {
        Mat::from_fn(features.nrows(), features.ncols(), |row, column| {
            (features[(row, column)] - self.means[column]) * self.inverse[column]
        })
    }
}
