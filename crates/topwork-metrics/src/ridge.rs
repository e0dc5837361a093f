//! Ridge regression (Hoerl and Kennard, 1970) with its strength chosen by leaving out one row after the other.
//!
//! One eigendecomposition serves all strengths and all rows: the error of a row that was left out is its error with all
//! rows, divided by 1 minus its own weight in its prediction (Allen's PRESS, 1974; Rifkin and Lippert, "Notes on
//! Regularized Least Squares", 2007). It starts the head of a regression model.

use faer::Mat;

use crate::matrix::{Matrix, centred, column_means, eigen, gram, is_finite, outer_gram};

/// A linear function of features.
#[derive(Clone, Debug)]
pub struct Ridge {
    /// `[features, outputs]`
    pub weight: Mat<f64>,
    /// `[outputs]`
    pub bias: Vec<f64>,
    /// The strength that was chosen: the objective is the sum of squared errors + `penalty` · ‖W‖², as scikit-learn's
    /// `alpha`. The bias is not penalised.
    pub penalty: f64,
    /// The mean squared error over rows and outputs of predictions for rows that were left out.
    pub left_out_error: f64,
}

impl Ridge {
    /// Fits `targets` `[rows, outputs]` by `features` `[rows, features]`, with that of `penalties` whose error on rows
    /// left out is least; of equal ones the largest. None for fewer than three rows, for tables without columns or with
    /// different numbers of rows, for values that are not finite, or when no penalty is a positive number.
    pub fn fit(features: Matrix<'_>, targets: Matrix<'_>, penalties: &[f64]) -> Option<Self> {
        let rows = features.nrows();
        let is_sample = rows == targets.nrows() && features.ncols() > 0 && targets.ncols() > 0;
        if rows < 3 || !is_sample || !is_finite(features) || !is_finite(targets) {
            return None;
        }
        let spectrum = Spectrum::of(features)?;
        let wanted = centred(targets);
        let projected = spectrum.basis.transpose() * &wanted;
        let mut best: Option<(f64, f64)> = None;
        for &penalty in penalties.iter().filter(|penalty| **penalty > 0.0 && penalty.is_finite()) {
            let error = spectrum.left_out_error(wanted.as_ref(), projected.as_ref(), penalty);
            let is_better = best.is_none_or(|(least, chosen)| error < least || (error == least && penalty > chosen));
            if error.is_finite() && is_better {
                best = Some((error, penalty));
            }
        }
        let (left_out_error, penalty) = best?;
        let weight = spectrum.weight(projected.as_ref(), penalty);
        let (of_features, of_targets) = (column_means(features), column_means(targets));
        let bias = (0..targets.ncols()).map(|output| {
            let at_mean: f64 = of_features.iter().enumerate().map(|(f, mean)| mean * weight[(f, output)]).sum();
            of_targets[output] - at_mean
        });
        Some(Self { bias: bias.collect(), weight, penalty, left_out_error })
    }

    /// The predictions `[rows, outputs]` for each row of a fit without it, at each of `penalties`: one decomposition serves all. None for what
    /// [`Ridge::fit`] cannot fit, and when a penalty is no positive number.
    pub fn left_out(features: Matrix<'_>, targets: Matrix<'_>, penalties: &[f64]) -> Option<Vec<Mat<f64>>> {
        let rows = features.nrows();
        let is_sample = rows == targets.nrows() && features.ncols() > 0 && targets.ncols() > 0;
        let is_positive = |penalty: &f64| *penalty > 0.0 && penalty.is_finite();
        if rows < 3 || !is_sample || !is_finite(features) || !is_finite(targets) || !penalties.iter().all(is_positive) {
            return None;
        }
        let spectrum = Spectrum::of(features)?;
        let wanted = centred(targets);
        let projected = spectrum.basis.transpose() * &wanted;
        let of = |&penalty: &f64| {
            let missed = spectrum.left_out(wanted.as_ref(), projected.as_ref(), penalty);
            Mat::from_fn(rows, targets.ncols(), |row, output| targets[(row, output)] - missed[(row, output)])
        };
        Some(penalties.iter().map(of).collect())
    }

    /// Penalties that fit the scale of `features`: from 10⁻⁶ to 10³ times the mean squared length of their directions,
    /// two to a power of ten. Empty when the features do not vary.
    pub fn penalties(features: Matrix<'_>) -> Vec<f64> {
        let centred = centred(features);
        let mean = centred.squared_norm_l2() / centred.ncols().max(1) as f64;
        let varies = mean > 0.0 && mean.is_finite();
        (-12..=6).filter(|_| varies).map(|step| mean * 10f64.powf(0.5 * f64::from(step))).collect()
    }

    /// The predictions for `features` `[rows, features]`, `[rows, outputs]`.
    pub fn predict(&self, features: Matrix<'_>) -> Mat<f64> {
        let mut values = features * &self.weight;
        for (output, bias) in self.bias.iter().enumerate() {
            values.col_as_slice_mut(output).iter_mut().for_each(|value| *value += bias);
        }
        values
    }
}

/// The centred features X along the directions in which they vary.
struct Spectrum {
    /// `[features, directions]` where there are more rows than features, else Xᵀ times `basis`.
    directions: Mat<f64>,
    /// `[rows, directions]`: X times `directions`, or the eigenvectors of XXᵀ.
    basis: Mat<f64>,
    /// The squared length of X along each direction.
    squares: Vec<f64>,
    /// Whether `basis` holds unit vectors, as that of wide tables does.
    is_wide: bool,
}

impl Spectrum {
    fn of(features: Matrix<'_>) -> Option<Self> {
        let features = centred(features);
        let is_wide = features.nrows() < features.ncols();
        let product = if is_wide { outer_gram(features.as_ref()) } else { gram(features.as_ref()) };
        let (squares, vectors) = eigen(product.as_ref())?;
        let squares = squares.into_iter().map(|square| square.max(0.0)).collect();
        Some(if is_wide {
            Self { directions: features.transpose() * &vectors, basis: vectors, squares, is_wide }
        } else {
            Self { basis: &features * &vectors, directions: vectors, squares, is_wide }
        })
    }

    /// What is left of each direction of `basis` in predictions.
    fn shrinkage(&self, penalty: f64) -> Vec<f64> {
        let of = |&square: &f64| if self.is_wide { square / (square + penalty) } else { 1.0 / (square + penalty) };
        self.squares.iter().map(of).collect()
    }

    fn left_out_error(&self, wanted: Matrix<'_>, projected: Matrix<'_>, penalty: f64) -> f64 {
        self.left_out(wanted, projected, penalty).squared_norm_l2() / (wanted.nrows() * wanted.ncols()) as f64
    }

    /// What each target is off the prediction of a fit without its row.
    fn left_out(&self, wanted: Matrix<'_>, projected: Matrix<'_>, penalty: f64) -> Mat<f64> {
        let shrinkage = self.shrinkage(penalty);
        let shrunk =
            Mat::from_fn(projected.nrows(), projected.ncols(), |d, output| shrinkage[d] * projected[(d, output)]);
        let fitted = &self.basis * &shrunk;
        let rows = wanted.nrows();
        // The mean is fitted too: each row has a part of it.
        let mut own = vec![1.0 / rows as f64; rows];
        for (direction, factor) in shrinkage.iter().enumerate() {
            let along = self.basis.col(direction).iter();
            own.iter_mut().zip(along).for_each(|(own, value)| *own += factor * value * value);
        }
        Mat::from_fn(rows, wanted.ncols(), |row, output| {
            (wanted[(row, output)] - fitted[(row, output)]) / (1.0 - own[row])
        })
    }

    fn weight(&self, projected: Matrix<'_>, penalty: f64) -> Mat<f64> {
        let shrunk = Mat::from_fn(projected.nrows(), projected.ncols(), |d, output| {
            projected[(d, output)] / (self.squares[d] + penalty)
        });
        &self.directions * &shrunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::select_rows;
    use crate::oracle::{fixture, near, numbers};

    /// Features and two targets that depend on some of them, with a mean that is not 0.
    fn table(rows: usize, columns: usize) -> (Mat<f64>, Mat<f64>) {
        let features =
            Mat::from_fn(rows, columns, |row, column| (0.7 * ((row + 1) * (column + 2)) as f64).sin() + column as f64);
        let targets = Mat::from_fn(rows, 2, |row, output| {
            5.0 + 2.0 * features[(row, output)] - features[(row, 2)] + 0.3 * ((row * 7 + output) % 5) as f64
        });
        (features, targets)
    }

    #[test]
    fn values_are_those_that_scikit_learn_computed_row_by_row() {
        for case in fixture("metrics.json")["ridge"].as_array().unwrap() {
            let sizes = ["rows", "features", "outputs"].map(|name| case[name].as_u64().unwrap() as usize);
            let (x, y, penalties) = (numbers(&case["x"]), numbers(&case["y"]), numbers(&case["penalties"]));
            let features = Mat::from_fn(sizes[0], sizes[1], |row, column| x[row * sizes[1] + column]);
            let targets = Mat::from_fn(sizes[0], sizes[2], |row, column| y[row * sizes[2] + column]);
            for (penalty, error) in penalties.iter().zip(case["errors"].as_array().unwrap()) {
                let one = Ridge::fit(features.as_ref(), targets.as_ref(), &[*penalty]).unwrap();
                near(one.left_out_error, error, 1e-9);
            }
            let chosen = Ridge::fit(features.as_ref(), targets.as_ref(), &penalties).unwrap();
            near(chosen.penalty, &case["chosen"], 0.0);
            let (weight, bias) = (numbers(&case["weight"]), case["bias"].as_array().unwrap());
            for (place, value) in weight.iter().enumerate() {
                let own = chosen.weight[(place % sizes[1], place / sizes[1])];
                assert!((own - value).abs() < 1e-9, "{own}, not {value}");
            }
            chosen.bias.iter().zip(bias).for_each(|(own, expected)| near(*own, expected, 1e-9));
        }
    }

    #[test]
    fn the_error_is_that_of_leaving_out_one_row_after_the_other() {
        for (rows, columns) in [(20, 6), (8, 12)] {
            let (features, targets) = table(rows, columns);
            let (features, targets) = (features.as_ref(), targets.as_ref());
            let found = Ridge::fit(features, targets, &[0.5]).unwrap();
            let mut sum = 0.0;
            for left_out in 0..rows {
                let others: Vec<usize> = (0..rows).filter(|row| *row != left_out).collect();
                let (x, y) = (select_rows(features, &others), select_rows(targets, &others));
                let fit = Ridge::fit(x.as_ref(), y.as_ref(), &[0.5]).unwrap();
                let predicted = fit.predict(select_rows(features, &[left_out]).as_ref());
                sum += (0..2).map(|o| (predicted[(0, o)] - targets[(left_out, o)]).powi(2)).sum::<f64>();
            }
            assert!((found.left_out_error - sum / (2 * rows) as f64).abs() < 1e-10 * (1.0 + sum));
        }
    }

    #[test]
    fn left_out_predictions_are_those_of_fits_without_the_row() {
        for (rows, columns) in [(200, 9), (12, 20)] {
            let (features, targets) = table(rows, columns);
            let (features, targets) = (features.as_ref(), targets.as_ref());
            for (penalty, found) in
                [0.03, 4.0].into_iter().zip(Ridge::left_out(features, targets, &[0.03, 4.0]).unwrap())
            {
                for row in 0..rows {
                    let others: Vec<usize> = (0..rows).filter(|other| *other != row).collect();
                    let (x, y) = (select_rows(features, &others), select_rows(targets, &others));
                    let fit = Ridge::fit(x.as_ref(), y.as_ref(), &[penalty]).unwrap();
                    let expected = fit.predict(select_rows(features, &[row]).as_ref());
                    for output in 0..2 {
                        let (found, expected) = (found[(row, output)], expected[(0, output)]);
                        assert!((found - expected).abs() < 1e-8, "row {row}: {found}, not {expected}");
                    }
                }
            }
        }
        let (features, targets) = table(6, 3);
        assert!(Ridge::left_out(features.as_ref(), targets.as_ref(), &[1.0, 0.0]).is_none());
    }

    #[test]
    fn a_larger_unit_of_the_features_changes_no_prediction() {
        let (features, targets) = table(30, 5);
        let large = Mat::from_fn(30, 5, |row, column| 1024.0 * features[(row, column)]);
        let fit = |features: Matrix<'_>| {
            Ridge::fit(features, targets.as_ref(), &Ridge::penalties(features)).unwrap().predict(features)
        };
        let (own, other) = (fit(features.as_ref()), fit(large.as_ref()));
        for row in 0..30 {
            assert!((own[(row, 1)] - other[(row, 1)]).abs() < 1e-9);
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_none() {
        let (features, targets) = table(6, 3);
        let none = |x: Matrix<'_>, y: Matrix<'_>, penalties: &[f64]| Ridge::fit(x, y, penalties).is_none();
        let (x, y) = (features.as_ref(), targets.as_ref());
        assert!(none(x, y, &[]) && none(x, y, &[0.0, -1.0, f64::NAN, f64::INFINITY]));
        assert!(none(select_rows(x, &[0, 1]).as_ref(), select_rows(y, &[0, 1]).as_ref(), &[1.0]));
        assert!(none(x, select_rows(y, &[0, 1, 2]).as_ref(), &[1.0]));
        let mut broken = features.clone();
        broken[(0, 0)] = f64::NAN;
        assert!(none(broken.as_ref(), y, &[1.0]));
        assert!(Ridge::penalties(Mat::from_fn(4, 2, |_, _| 1.5).as_ref()).is_empty());
        // Features that do not vary leave the mean.
        let flat = Ridge::fit(Mat::from_fn(6, 2, |_, _| 1.5).as_ref(), y, &[1.0]).unwrap();
        assert!((flat.predict(x.subcols(0, 2))[(0, 0)] - column_means(y)[0]).abs() < 1e-12);
    }
}
