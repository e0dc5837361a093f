//! Scores of predicted numbers: correlations and errors.
//!
//! The definitions are scipy's and scikit-learn's. Tables are row-major `[rows, outputs]`; with several outputs a score is
//! the plain mean of theirs (`multioutput="uniform_average"`). Values are taken as f32 or f64 and counted in f64. What a
//! wrong length leaves over is not counted; an undefined score is NaN, and nothing panics on a value.

use crate::metric::{Metric, TaskScores};

/// A score of the values of one output, predicted and true.
type Score = fn(&[f64], &[f64]) -> f64;

/// The scores of `predicted` against `gold`, both `[rows, outputs]`; the loss is the mean squared error over all values.
/// For values in the unit of the targets, undo their scaling first: only the correlations and R² do not depend on it.
pub fn evaluate<P, G>(predicted: &[P], gold: &[G], outputs: usize) -> TaskScores
where
    P: Copy + Into<f64>,
    G: Copy + Into<f64>,
{
    let squares = mean(predicted.iter().zip(gold).map(|(&p, &g)| (p.into() - g.into()).powi(2)));
    let columns: Vec<(Vec<f64>, Vec<f64>)> =
        (0..outputs).map(|output| (column(predicted, outputs, output), column(gold, outputs, output))).collect();
    let over_outputs = |score: Score| mean(columns.iter().map(|(p, g)| score(p, g)));
    let scores: [(Metric, Score); 5] = [
        (Metric::Pearson, pearson),
        (Metric::Spearman, spearman),
        (Metric::Rmse, rmse),
        (Metric::Mae, mae),
        (Metric::R2, r2),
    ];
    TaskScores { loss: squares, values: scores.map(|(metric, score)| (metric, over_outputs(score))).to_vec() }
}

/// Pearson's correlation, as scipy's `pearsonr`. NaN for fewer than two rows, when one side is constant, or for a value
/// that is no number.
pub fn pearson(predicted: &[f64], gold: &[f64]) -> f64 {
    let rows = predicted.len().min(gold.len());
    let (predicted, gold) = (&predicted[..rows], &gold[..rows]);
    if rows < 2 || is_constant(predicted) || is_constant(gold) {
        return f64::NAN;
    }
    let (a, b) = (deviations(predicted), deviations(gold));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    (dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())).clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing the mean of theirs, as scipy's `spearmanr`. NaN
/// where [`pearson`] is.
pub fn spearman(predicted: &[f64], gold: &[f64]) -> f64 {
    let rows = predicted.len().min(gold.len());
    let (predicted, gold) = (&predicted[..rows], &gold[..rows]);
    if predicted.iter().chain(gold).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    pearson(&ranks(predicted), &ranks(gold))
}

/// Root of the mean squared error, as scikit-learn's `root_mean_squared_error`; NaN without rows.
pub fn rmse(predicted: &[f64], gold: &[f64]) -> f64 {
    mean(predicted.iter().zip(gold).map(|(p, g)| (p - g).powi(2))).sqrt()
}

/// Mean absolute error, as scikit-learn's `mean_absolute_error`; NaN without rows.
pub fn mae(predicted: &[f64], gold: &[f64]) -> f64 {
    mean(predicted.iter().zip(gold).map(|(p, g)| (p - g).abs()))
}

/// The part of the variance that is explained, as scikit-learn's `r2_score`: of constant targets it is 1 when every
/// prediction is right and 0 otherwise. NaN for fewer than two rows.
pub fn r2(predicted: &[f64], gold: &[f64]) -> f64 {
    let rows = predicted.len().min(gold.len());
    let (predicted, gold) = (&predicted[..rows], &gold[..rows]);
    if rows < 2 {
        return f64::NAN;
    }
    let left: f64 = predicted.iter().zip(gold).map(|(p, g)| (p - g).powi(2)).sum();
    let total: f64 = if is_constant(gold) { 0.0 } else { deviations(gold).iter().map(|d| d * d).sum() };
    match (left, total) {
        (0.0, _) => 1.0,
        (left, 0.0) if !left.is_nan() => 0.0,
        _ => 1.0 - left / total,
    }
}

/// The rank of each value among all, from 1 on; equal values have the mean of their ranks, as scipy's `rankdata`. NaN
/// comes last.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Zero and minus zero are equal, which the total order denies.
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + 0.5 * (equal.len() + 1) as f64;
        equal.iter().for_each(|&row| ranks[row] = rank);
        start += equal.len();
    }
    ranks
}

fn column<T: Copy + Into<f64>>(values: &[T], outputs: usize, output: usize) -> Vec<f64> {
    values.chunks_exact(outputs.max(1)).map(|row| row[output].into()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

fn deviations(values: &[f64]) -> Vec<f64> {
    let mean = mean(values.iter().copied());
    values.iter().map(|value| value - mean).collect()
}

/// Whether all values are the same; their mean need not be that value, to the last digit.
fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|&value| value == values[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{fixture, near, numbers};

    #[test]
    fn values_are_those_that_scipy_and_scikit_learn_computed() {
        for case in fixture("metrics.json")["regression"].as_array().unwrap() {
            let (predicted, gold) = (numbers(&case["predicted"]), numbers(&case["gold"]));
            let outputs = case["outputs"].as_u64().unwrap() as usize;
            let found = evaluate(&predicted, &gold, outputs);
            assert_eq!(found.values.len(), 5);
            for (metric, value) in found.iter() {
                near(value, &case[metric.name()], 1e-12);
            }
        }
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0, 7.0]), [4.5, 3.0, 4.5, 1.5, 1.5, 6.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn correlations_do_not_depend_on_scale_and_spearman_only_on_order() {
        let gold: Vec<f64> = (0..40).map(|row| f64::from((row * 17) % 23)).collect();
        let other: Vec<f64> = gold.iter().enumerate().map(|(row, g)| g + (row % 5) as f64).collect();
        let moved: Vec<f64> = other.iter().map(|value| 4.0 * value - 3.0).collect();
        let bent: Vec<f64> = other.iter().map(|value| (0.3 * value).exp()).collect();
        assert!((pearson(&moved, &gold) - pearson(&other, &gold)).abs() < 1e-12);
        assert!((spearman(&bent, &gold) - spearman(&other, &gold)).abs() < 1e-12);
        assert!((pearson(&gold, &gold) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn what_is_undefined_is_no_number() {
        let none = evaluate::<f32, f32>(&[], &[], 1);
        assert!(none.iter().all(|(_, value)| value.is_nan()));
        assert!(evaluate::<f32, f32>(&[1.0], &[1.0], 0).values.iter().all(|(_, value)| value.is_nan()));
        assert!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]).is_nan());
        assert!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]).is_nan());
        assert!(r2(&[1.0], &[1.0]).is_nan() && r2(&[f64::NAN, 1.0], &[2.0, 2.0]).is_nan());
        assert_eq!((r2(&[2.0, 2.0], &[2.0, 2.0]), r2(&[1.0, 2.0], &[2.0, 2.0])), (1.0, 0.0));
    }
}
