//! The nearest centroid: each class is the mean of its rows, and a row belongs to the class whose mean is nearest.
//!
//! It is a linear classifier, |x − m|² = |x|² − 2 x·m + |m|², and leaving a row out moves the mean of its own class alone, so
//! that every row is answered exactly by a fit without it at the price of one fit.

use faer::Mat;

use crate::linear::LinearClassifier;
use crate::matrix::{Matrix, class_means, is_sample};

/// Fits the means of `classes`, numbered below `count`, to `features` `[rows, columns]`. A class without a row is never nearest.
/// None with fewer than two classes, or for values that are not finite.
pub fn fit(features: Matrix<'_>, classes: &[u32], count: usize) -> Option<LinearClassifier> {
    if !is_sample(features, classes) || classes.iter().any(|&class| class as usize >= count) {
        return None;
    }
    let (means, rows) = class_means(features, classes, count);
    let weight = Mat::from_fn(features.ncols(), count, |column, class| 2.0 * means[(class, column)]);
    let bias = (0..count).map(|class| match rows[class] {
        0 => f64::NEG_INFINITY,
        _ => -means.row(class).squared_norm_l2(),
    });
    Some(LinearClassifier { bias: bias.collect(), weight })
}

/// The scores `[rows, classes]` of [`fit`] for each row, fitted without it. The class of a row that is the only one of its class
/// has −∞. None as [`fit`].
pub fn left_out(features: Matrix<'_>, classes: &[u32], count: usize) -> Option<Mat<f64>> {
    let whole = fit(features, classes, count)?;
    let mut scores = whole.scores(features);
    let (means, rows) = class_means(features, classes, count);
    for (row, &class) in classes.iter().enumerate() {
        let (own, n) = (class as usize, rows[class as usize] as f64);
        scores[(row, own)] = if n < 2.0 {
            f64::NEG_INFINITY
        } else {
            let without = |column: usize| (n * means[(own, column)] - features[(row, column)]) / (n - 1.0);
            (0..features.ncols()).map(|c| (2.0 * features[(row, c)] - without(c)) * without(c)).sum()
        };
    }
    Some(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{left_out_one_by_one, near_all, sample};

    #[test]
    fn left_out_scores_are_those_of_fits_without_the_row() {
        for (rows, columns) in [(200, 7), (20, 30)] {
            let (features, classes) = sample(rows, columns, 4);
            let own = left_out(features.as_ref(), &classes, 4).unwrap();
            let one_by_one = left_out_one_by_one(&features, &classes, |x, y| fit(x, y, 4).unwrap());
            near_all(&own, &one_by_one, 1e-10);
        }
    }

    #[test]
    fn a_row_alone_in_its_class_is_not_of_a_known_class() {
        let features = Mat::from_fn(5, 2, |row, column| (row * 2 + column) as f64);
        let scores = left_out(features.as_ref(), &[0, 0, 1, 1, 2], 3).unwrap();
        assert_eq!(scores[(4, 2)], f64::NEG_INFINITY);
        assert!(scores[(0, 0)].is_finite());
        assert!(fit(features.as_ref(), &[1; 5], 2).is_none());
    }
}
