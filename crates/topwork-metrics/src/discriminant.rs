//! Linear discriminant analysis (Fisher, 1936) with the covariance shrunk towards a multiple of the identity (Friedman,
//! "Regularized Discriminant Analysis", 1989): classes are normal distributions of one covariance.
//!
//! With shrinkage s it is (1 − s)·C + s·tr(C)/p·I, where C is the mean of the classes' covariances, each by its rows, as
//! scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)` has it. One eigendecomposition of C serves all shrinkages
//! and all rows: leaving a row out takes one direction off C (Sherman and Morrison, 1950), moves the mean of its class, and changes
//! how frequent the classes are.

use faer::Mat;

use crate::linear::LinearClassifier;
use crate::matrix::{Matrix, class_means, eigen, gram, is_sample, outer_gram};

/// The classes of a sample, along the directions in which its covariance is diagonal.
#[derive(Clone, Debug)]
pub struct Discriminant {
    /// The rows `[rows, directions]`.
    rows: Mat<f64>,
    /// `[columns, directions]`
    directions: Mat<f64>,
    /// The sum of squares within the classes, along each direction.
    within: Vec<f64>,
    /// `[classes, directions]`
    means: Mat<f64>,
    /// Rows of each class.
    counts: Vec<usize>,
    classes: Vec<u32>,
    columns: usize,
}

impl Discriminant {
    /// Of `features` `[rows, columns]`; classes are numbered below `count`. None with fewer than two classes, for values that are not
    /// finite, and where the rows of each class are all equal: their covariance is 0.
    pub fn of(features: Matrix<'_>, classes: &[u32], count: usize) -> Option<Self> {
        if !is_sample(features, classes) || classes.iter().any(|&class| class as usize >= count) {
            return None;
        }
        // Fewer rows than columns lie in a space of as many directions as there are rows: it is enough to reckon there.
        let (basis, reduced) = match features.nrows() < features.ncols() {
            false => (None, features.to_owned()),
            true => {
                let (squares, vectors) = eigen(outer_gram(features).as_ref())?;
                let scale = |square: f64| if square > 1e-12 * squares[squares.len() - 1] { square.sqrt() } else { 0.0 };
                let reduced =
                    Mat::from_fn(features.nrows(), squares.len(), |row, d| vectors[(row, d)] * scale(squares[d]));
                let basis = features.transpose() * &vectors;
                let unit = Mat::from_fn(features.ncols(), squares.len(), |column, d| match scale(squares[d]) {
                    0.0 => 0.0,
                    length => basis[(column, d)] / length,
                });
                (Some(unit), reduced)
            }
        };
        let (means, counts) = class_means(reduced.as_ref(), classes, count);
        let deviations = Mat::from_fn(reduced.nrows(), reduced.ncols(), |row, c| {
            reduced[(row, c)] - means[(classes[row] as usize, c)]
        });
        let (within, vectors) = eigen(gram(deviations.as_ref()).as_ref())?;
        if within.iter().sum::<f64>() <= 0.0 {
            return None;
        }
        let directions = match basis {
            Some(basis) => basis * &vectors,
            None => vectors.clone(),
        };
        Some(Self {
            rows: reduced * &vectors,
            means: means * &vectors,
            within: within.into_iter().map(|square| square.max(0.0)).collect(),
            directions,
            counts,
            classes: classes.to_vec(),
            columns: features.ncols(),
        })
    }

    /// The classifier with that shrinkage. A class without a row is never the answer. None unless the shrinkage is above 0 and at most 1.
    pub fn fit(&self, shrinkage: f64) -> Option<LinearClassifier> {
        if !is_part(shrinkage) {
            return None;
        }
        let total = self.classes.len() as f64;
        let variances = self.variances(shrinkage, total, self.within.iter().sum());
        let count = self.counts.len();
        let scaled = Mat::from_fn(self.within.len(), count, |d, class| self.means[(class, d)] / variances[d]);
        let bias = (0..count).map(|class| {
            let length: f64 = (0..self.within.len()).map(|d| self.means[(class, d)] * scaled[(d, class)]).sum();
            (self.counts[class] as f64 / total).ln() - 0.5 * length
        });
        Some(LinearClassifier { bias: bias.collect(), weight: &self.directions * &scaled })
    }

    /// The scores `[rows, classes]` of the classifier for each row, fitted without it. The class of a row that is the only one of
    /// its class has −∞. None as [`Discriminant::fit`], and where a row is the only one that differs within its class: without it
    /// the covariance is 0.
    pub fn left_out(&self, shrinkage: f64) -> Option<Mat<f64>> {
        if !is_part(shrinkage) {
            return None;
        }
        let (rows, directions) = (self.rows.nrows(), self.within.len());
        let total = rows as f64 - 1.0;
        let within: f64 = self.within.iter().sum();
        let mut scores = Mat::zeros(rows, self.counts.len());
        for row in 0..rows {
            let own = self.classes[row] as usize;
            let n = self.counts[own] as f64;
            let away: Vec<f64> = (0..directions).map(|d| self.rows[(row, d)] - self.means[(own, d)]).collect();
            // Alone in its class, a row has no part in the covariance.
            let part = if n > 1.0 { n / (n - 1.0) } else { 0.0 };
            let length: f64 = away.iter().map(|a| a * a).sum();
            // What rounding leaves of 0 is no covariance.
            if within - part * length <= 1e-12 * within {
                return None;
            }
            let variances = self.variances(shrinkage, total, within - part * length);
            let taken = (1.0 - shrinkage) / total * part;
            let solved: Vec<f64> = away.iter().zip(&variances).map(|(a, v)| a / v).collect();
            let rest = 1.0 - taken * away.iter().zip(&solved).map(|(a, s)| a * s).sum::<f64>();
            let along = |a: &dyn Fn(usize) -> f64| (0..directions).map(|d| a(d) * solved[d]).sum::<f64>();
            // aᵀ S⁻¹ b, where S is the covariance without this row.
            let product = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| {
                let plain: f64 = (0..directions).map(|d| a(d) * b(d) / variances[d]).sum();
                plain + taken / rest * along(a) * along(b)
            };
            for class in 0..self.counts.len() {
                let left = self.counts[class] as f64 - f64::from(u8::from(class == own));
                if left < 1.0 {
                    scores[(row, class)] = f64::NEG_INFINITY;
                    continue;
                }
                // The mean of the row's own class moves away from it.
                let moved = if class == own { 1.0 / (n - 1.0) } else { 0.0 };
                let mean = |d: usize| self.means[(class, d)] - moved * away[d];
                let asked = |d: usize| self.rows[(row, d)] - 0.5 * mean(d);
                scores[(row, class)] = (left / total).ln() + product(&asked, &mean);
            }
        }
        Some(scores)
    }

    /// The shrunk variance along each direction, of so many rows with that sum of squares within their classes.
    fn variances(&self, shrinkage: f64, rows: f64, within: f64) -> Vec<f64> {
        let floor = shrinkage * within / (rows * self.columns as f64);
        self.within.iter().map(|square| (1.0 - shrinkage) * square / rows + floor).collect()
    }
}

fn is_part(shrinkage: f64) -> bool {
    shrinkage > 0.0 && shrinkage <= 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::{left_out_one_by_one, near_all, sample};
    use crate::oracle::{fixture, numbers};

    #[test]
    fn weights_are_those_of_scikit_learn() {
        for case in fixture("metrics.json")["lda"].as_array().unwrap() {
            let [rows, columns] = ["rows", "features"].map(|name| case[name].as_u64().unwrap() as usize);
            let x = numbers(&case["x"]);
            let features = Mat::from_fn(rows, columns, |row, column| x[row * columns + column]);
            let classes: Vec<u32> = numbers(&case["classes"]).into_iter().map(|class| class as u32).collect();
            let found = Discriminant::of(features.as_ref(), &classes, 3).unwrap();
            let own = found.fit(case["shrinkage"].as_f64().unwrap()).unwrap();
            let (weight, bias) = (numbers(&case["weight"]), numbers(&case["bias"]));
            for class in 0..3 {
                assert!((own.bias[class] - bias[class]).abs() < 1e-6, "{:?}, not {bias:?}", own.bias);
                for column in 0..columns {
                    let expected = weight[class * columns + column];
                    let found = own.weight[(column, class)];
                    assert!((found - expected).abs() < 1e-6, "class {class}, column {column}: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn left_out_scores_are_those_of_fits_without_the_row() {
        for (rows, columns) in [(200, 7), (24, 40)] {
            let (features, classes) = sample(rows, columns, 4);
            let found = Discriminant::of(features.as_ref(), &classes, 4).unwrap();
            for shrinkage in [0.05, 0.5, 1.0] {
                let own = found.left_out(shrinkage).unwrap();
                let one_by_one = left_out_one_by_one(&features, &classes, |x, y| {
                    Discriminant::of(x, y, 4).unwrap().fit(shrinkage).unwrap()
                });
                near_all(&own, &one_by_one, 1e-8);
            }
        }
    }

    #[test]
    fn a_row_alone_in_its_class_is_not_of_a_known_class() {
        let (features, mut classes) = sample(30, 5, 3);
        classes.iter_mut().for_each(|class| *class = (*class).min(1));
        classes[7] = 2;
        let scores = Discriminant::of(features.as_ref(), &classes, 3).unwrap().left_out(0.2).unwrap();
        assert_eq!(scores[(7, 2)], f64::NEG_INFINITY);
        assert!(scores[(7, 0)].is_finite() && scores[(0, 2)].is_finite());
        let one_by_one =
            left_out_one_by_one(&features, &classes, |x, y| Discriminant::of(x, y, 3).unwrap().fit(0.2).unwrap());
        near_all(&scores, &one_by_one, 1e-8);
    }

    #[test]
    fn what_has_no_covariance_or_no_shrinkage_is_none() {
        let rows = Mat::from_fn(6, 3, |row, column| f64::from(u8::from(row % 3 == column)));
        let classes = [0, 1, 2, 0, 1, 2];
        assert!(Discriminant::of(rows.as_ref(), &classes, 3).is_none(), "equal rows within each class");
        assert!(Discriminant::of(rows.as_ref(), &[0, 0, 1, 1, 2, 2], 2).is_none(), "a class beyond the count");
        let found = Discriminant::of(rows.as_ref(), &[0, 0, 1, 1, 2, 2], 3).unwrap();
        for shrinkage in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(found.fit(shrinkage).is_none() && found.left_out(shrinkage).is_none());
        }
    }
}
