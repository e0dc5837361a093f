//! Whether rows keep their neighbours from one view to another.

use std::cmp::Reverse;

use faer::Mat;

use crate::matrix::{Matrix, is_finite, outer_gram};

/// Cosines that differ by less than one part of this are equal: products of equal rows are not always the same to the last bit.
const RESOLUTION: f64 = 1e12;

/// The mean over the rows of the part of their `k` nearest other rows that both views share, 0 to 1: 1 when tuning changed no
/// neighbourhood, about `k / (rows − 1)` when it left nothing of them. `before` and `after` have the same rows, not
/// necessarily as many columns. The nearest have the largest cosine, the first rows among equals; the cosine with a row of
/// zeros is 0. Needs memory for rows² values.
///
/// None for different numbers of rows, for fewer than `k + 2` of them (each would have all others as neighbours), for no `k`,
/// or for a value that is not finite.
pub fn neighbour_agreement(before: Matrix<'_>, after: Matrix<'_>, k: usize) -> Option<f64> {
    let rows = before.nrows();
    if k == 0 || rows != after.nrows() || rows.saturating_sub(k) < 2 || !is_finite(before) || !is_finite(after) {
        return None;
    }
    let (before, after) = (cosines(before), cosines(after));
    let shared = |row: usize| {
        let (before, after) = (nearest(&before, row, k), nearest(&after, row, k));
        before.iter().filter(|&other| after.binary_search(other).is_ok()).count()
    };
    let all: usize = (0..rows).map(shared).sum();
    Some(all as f64 / (rows * k) as f64)
}

/// The cosine of each pair of rows.
fn cosines(features: Matrix<'_>) -> Mat<f64> {
    // The largest value first, so that no square overflows.
    let lengths: Vec<(f64, f64)> = (0..features.nrows())
        .map(|row| {
            let most = features.row(row).norm_max().max(f64::MIN_POSITIVE);
            let square: f64 = features.row(row).iter().map(|value| (value / most).powi(2)).sum();
            (most, square.sqrt().max(f64::MIN_POSITIVE))
        })
        .collect();
    let directions = Mat::from_fn(features.nrows(), features.ncols(), |row, column| {
        let (most, length) = lengths[row];
        features[(row, column)] / most / length
    });
    outer_gram(directions.as_ref())
}

/// The `k` other rows nearest to a row, in ascending order; there are more than `k` others.
fn nearest(cosines: &Mat<f64>, row: usize, k: usize) -> Vec<usize> {
    let mut others: Vec<usize> = (0..cosines.nrows()).filter(|&other| other != row).collect();
    let rank = |other: &usize| (Reverse((RESOLUTION * cosines[(row, *other)]).round() as i64), *other);
    others.select_nth_unstable_by_key(k, rank);
    others.truncate(k);
    others.sort_unstable();
    others
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bootstrap::Draws;

    fn noise(rows: usize, columns: usize, seed: u64) -> Mat<f64> {
        let mut draws = Draws::new(seed);
        Mat::from_fn(rows, columns, |_, _| draws.below(2001) as f64 / 1000.0 - 1.0)
    }

    /// Turned in the plane of each two columns that follow each other.
    fn turned(features: &Mat<f64>) -> Mat<f64> {
        let mut turned = features.clone();
        for column in 1..features.ncols() {
            let (sine, cosine) = (0.7 + column as f64).sin_cos();
            for row in 0..features.nrows() {
                let (x, y) = (turned[(row, column - 1)], turned[(row, column)]);
                turned[(row, column - 1)] = cosine * x - sine * y;
                turned[(row, column)] = sine * x + cosine * y;
            }
        }
        turned
    }

    #[test]
    fn values_are_those_of_scikit_learn() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/calibration.json");
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let view = |name: &str| {
            let values = &fixture["neighbours"][name];
            let columns = values[0].as_array().unwrap().len();
            Mat::from_fn(values.as_array().unwrap().len(), columns, |row, column| values[row][column].as_f64().unwrap())
        };
        let (before, after) = (view("before"), view("after"));
        for case in fixture["neighbours"]["agreement"].as_array().unwrap() {
            let k = case["k"].as_u64().unwrap() as usize;
            let found = neighbour_agreement(before.as_ref(), after.as_ref(), k).unwrap();
            let expected = case["agreement"].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{k}: {found}, not {expected}");
        }
    }

    #[test]
    fn rotation_and_scale_change_no_neighbourhood() {
        let features = noise(60, 5, 1);
        let other = turned(&features);
        assert!((&other - &features).norm_l2() > 1.0);
        let scaled = Mat::from_fn(60, 5, |row, column| (row + 1) as f64 * other[(row, column)]);
        assert_eq!(neighbour_agreement(features.as_ref(), other.as_ref(), 5), Some(1.0));
        // Cosines know no length, not even one whose square is no number.
        assert_eq!(neighbour_agreement(features.as_ref(), scaled.as_ref(), 5), Some(1.0));
        let huge = Mat::from_fn(60, 5, |row, column| 1e300 * features[(row, column)]);
        assert_eq!(neighbour_agreement(features.as_ref(), huge.as_ref(), 5), Some(1.0));
    }

    #[test]
    fn rows_that_are_equal_are_taken_in_their_order() {
        // Each row four times: its three copies come first, then two of the four of another row.
        let few = noise(10, 5, 3);
        let features = Mat::from_fn(40, 5, |row, column| few[(row % 10, column)]);
        assert_eq!(neighbour_agreement(features.as_ref(), turned(&features).as_ref(), 5), Some(1.0));
        // Copies of other lengths, whose cosines are rounded otherwise.
        let scaled = Mat::from_fn(40, 5, |row, column| (row as f64 + 0.7) * features[(row, column)]);
        assert_eq!(neighbour_agreement(features.as_ref(), scaled.as_ref(), 5), Some(1.0));
        assert_eq!(nearest(&cosines(features.as_ref()), 0, 2), [10, 20]);
        assert_eq!(nearest(&cosines(Mat::zeros(6, 3).as_ref()), 1, 3), [0, 2, 3]);
    }

    #[test]
    fn views_that_have_nothing_in_common_agree_by_chance() {
        let agreement = neighbour_agreement(noise(200, 8, 1).as_ref(), noise(200, 6, 2).as_ref(), 10).unwrap();
        assert!((agreement - 10.0 / 199.0).abs() < 0.02, "{agreement}");
        let features = noise(200, 8, 1);
        let near = &features + noise(200, 8, 4) * faer::Scale(0.1);
        let agreement = neighbour_agreement(features.as_ref(), near.as_ref(), 10).unwrap();
        assert!((0.5..0.99).contains(&agreement), "{agreement}");
    }

    #[test]
    fn what_cannot_be_compared_is_none() {
        let (a, b) = (noise(6, 3, 1), noise(7, 3, 2));
        assert_eq!(neighbour_agreement(a.as_ref(), b.as_ref(), 2), None);
        assert_eq!(neighbour_agreement(a.as_ref(), a.as_ref(), 0), None);
        assert_eq!(neighbour_agreement(a.as_ref(), a.as_ref(), 5), None);
        assert_eq!(neighbour_agreement(a.as_ref(), a.as_ref(), usize::MAX), None);
        assert_eq!(neighbour_agreement(a.as_ref(), a.as_ref(), 4), Some(1.0));
        let unknown = Mat::from_fn(6, 3, |row, _| if row == 2 { f64::NAN } else { row as f64 });
        assert_eq!(neighbour_agreement(a.as_ref(), unknown.as_ref(), 2), None);
    }
}
