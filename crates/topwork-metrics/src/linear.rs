//! Linear classifiers whatever they were fitted by, and what a row is answered with by a fit that did not see it.

use faer::Mat;

use crate::matrix::Matrix;

/// A score for each class that is linear in the features; the highest is the answer.
#[derive(Clone, Debug)]
pub struct LinearClassifier {
    /// `[columns, classes]`
    pub weight: Mat<f64>,
    /// `[classes]`; −∞ for a class of which nothing is known.
    pub bias: Vec<f64>,
}

impl LinearClassifier {
    /// The scores of `features` `[rows, columns]`: `[rows, classes]`.
    pub fn scores(&self, features: Matrix<'_>) -> Mat<f64> {
        let mut scores = features * &self.weight;
        for (class, bias) in self.bias.iter().enumerate() {
            scores.col_as_slice_mut(class).iter_mut().for_each(|score| *score += bias);
        }
        scores
    }
}

/// The class with the highest score of each row of `scores` `[rows, classes]`; the first among equals.
pub fn highest(scores: Matrix<'_>) -> Vec<u32> {
    let best = |row: usize| {
        let better = |best: usize, class: usize| if scores[(row, class)] > scores[(row, best)] { class } else { best };
        (1..scores.ncols()).fold(0, better)
    };
    (0..scores.nrows()).map(|row| best(row) as u32).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::matrix::select_rows;

    /// Rows of so many classes, each of which is somewhere else in half of the columns.
    pub(crate) fn sample(rows: usize, columns: usize, classes: usize) -> (Mat<f64>, Vec<u32>) {
        let class = |row: usize| row * 7 % classes;
        let features = Mat::from_fn(rows, columns, |row, column| {
            let noise = (0.73 * ((row + 1) * (column + 2)) as f64).sin() + (0.31 * (row * row + column) as f64).cos();
            noise + if column % (2 * classes) == class(row) { 1.5 } else { 0.1 * column as f64 }
        });
        (features, (0..rows).map(|row| class(row) as u32).collect())
    }

    /// The scores of each row by a fit without it.
    pub(crate) fn left_out_one_by_one(
        features: &Mat<f64>,
        classes: &[u32],
        fit: impl Fn(Matrix<'_>, &[u32]) -> LinearClassifier,
    ) -> Mat<f64> {
        let scores = |row: usize| {
            let others: Vec<usize> = (0..classes.len()).filter(|other| *other != row).collect();
            let of_others: Vec<u32> = others.iter().map(|&other| classes[other]).collect();
            let fitted = fit(select_rows(features.as_ref(), &others).as_ref(), &of_others);
            fitted.scores(select_rows(features.as_ref(), &[row]).as_ref())
        };
        let rows: Vec<Mat<f64>> = (0..classes.len()).map(scores).collect();
        Mat::from_fn(rows.len(), rows[0].ncols(), |row, class| rows[row][(0, class)])
    }

    #[track_caller]
    pub(crate) fn near_all(found: &Mat<f64>, expected: &Mat<f64>, tolerance: f64) {
        for row in 0..expected.nrows() {
            for class in 0..expected.ncols() {
                let (found, expected) = (found[(row, class)], expected[(row, class)]);
                let is_near = found == expected || (found - expected).abs() <= tolerance * (1.0 + expected.abs());
                assert!(is_near, "row {row}, class {class}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn the_first_of_equal_scores_is_the_highest() {
        let scores = Mat::from_fn(2, 3, |row, class| if row == 0 { 1.0 } else { class as f64 });
        assert_eq!(highest(scores.as_ref()), [0, 2]);
    }
}
