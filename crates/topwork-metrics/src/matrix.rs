//! What the scores have in common: matrices of features, their products and spectra, and the rows of each class.
//!
//! Everything is f64 and computed by one thread, so a score has the same bits on every machine with the same vectors.

use faer::{Mat, MatRef, Side};

/// A matrix `[rows, columns]`, wherever its values lie.
pub type Matrix<'a> = MatRef<'a, f64>;

/// A matrix `[rows, columns]` from row-major values; what a wrong width leaves over is not taken.
pub fn matrix(values: &[f32], columns: usize) -> Mat<f64> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    Mat::from_fn(rows, columns, |row, column| f64::from(values[row * columns + column]))
}

/// The rows of `features` in the order of `rows`.
pub fn select_rows(features: Matrix<'_>, rows: &[usize]) -> Mat<f64> {
    Mat::from_fn(rows.len(), features.ncols(), |row, column| features[(rows[row], column)])
}

/// The mean of each column.
pub(crate) fn column_means(features: Matrix<'_>) -> Vec<f64> {
    let rows = features.nrows().max(1) as f64;
    (0..features.ncols()).map(|column| features.col(column).iter().sum::<f64>() / rows).collect()
}

/// The features with the mean of each column taken off.
pub(crate) fn centred(features: Matrix<'_>) -> Mat<f64> {
    let means = column_means(features);
    Mat::from_fn(features.nrows(), features.ncols(), |row, column| features[(row, column)] - means[column])
}

/// `FᵀF`, `[columns, columns]`.
pub(crate) fn gram(features: Matrix<'_>) -> Mat<f64> {
    features.transpose() * features
}

/// `FFᵀ`, `[rows, rows]`.
pub(crate) fn outer_gram(features: Matrix<'_>) -> Mat<f64> {
    features * features.transpose()
}

/// The eigenvalues of a symmetric matrix in ascending order, and its eigenvectors as columns; none for a matrix with
/// values that are not finite.
pub(crate) fn eigen(symmetric: Matrix<'_>) -> Option<(Vec<f64>, Mat<f64>)> {
    if symmetric.nrows() == 0 || !is_finite(symmetric) {
        return None;
    }
    let eigen = symmetric.self_adjoint_eigen(Side::Lower).ok()?;
    let values = eigen.S().column_vector().iter().copied().collect();
    Some((values, eigen.U().to_owned()))
}

/// ln det(I + `scale` · ZᵀZ), from the smaller of the two products of `features`.
pub(crate) fn ln_det_identity_plus(features: Matrix<'_>, scale: f64) -> Option<f64> {
    let product = if features.nrows() < features.ncols() { outer_gram(features) } else { gram(features) };
    let (values, _) = eigen(product.as_ref())?;
    Some(values.iter().map(|value| (scale * value.max(0.0)).ln_1p()).sum())
}

/// The squared distance of every row of `a` to every row of `b`.
pub(crate) fn squared_distances(a: Matrix<'_>, b: Matrix<'_>) -> Mat<f64> {
    let squares = |m: Matrix<'_>| -> Vec<f64> { (0..m.nrows()).map(|row| m.row(row).squared_norm_l2()).collect() };
    let (of_a, of_b, products) = (squares(a), squares(b), a * b.transpose());
    Mat::from_fn(a.nrows(), b.nrows(), |i, j| (of_a[i] + of_b[j] - 2.0 * products[(i, j)]).max(0.0))
}

/// The coordinates of the centred features along their directions of most variance: as many as hold `energy` of the
/// variance, at most `most`, at least one.
pub(crate) fn principal_components(features: Matrix<'_>, energy: f64, most: usize) -> Option<Mat<f64>> {
    let centred = centred(features);
    let is_wide = centred.nrows() < centred.ncols();
    let product = if is_wide { outer_gram(centred.as_ref()) } else { gram(centred.as_ref()) };
    let (values, vectors) = eigen(product.as_ref())?;
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let mut kept = 0;
    let mut held = 0.0;
    while kept < most.max(1).min(values.len()) && (kept == 0 || held < energy * total) {
        held += values[values.len() - 1 - kept].max(0.0);
        kept += 1;
    }
    let last = values.len() - 1;
    if is_wide {
        let scale = |component: usize| values[last - component].max(0.0).sqrt();
        return Some(Mat::from_fn(centred.nrows(), kept, |row, component| {
            vectors[(row, last - component)] * scale(component)
        }));
    }
    let directions = Mat::from_fn(centred.ncols(), kept, |column, component| vectors[(column, last - component)]);
    Some(&centred * &directions)
}

pub(crate) fn is_finite(features: Matrix<'_>) -> bool {
    (0..features.ncols()).all(|column| features.col(column).iter().all(|value| value.is_finite()))
}

/// The rows of each class that occurs, in the order of the classes.
pub(crate) fn rows_by_class(classes: &[u32]) -> Vec<Vec<usize>> {
    let count = classes.iter().max().map_or(0, |&most| most as usize + 1);
    let mut rows = vec![Vec::new(); count];
    classes.iter().enumerate().for_each(|(row, &class)| rows[class as usize].push(row));
    rows.retain(|rows| !rows.is_empty());
    rows
}

/// The mean of the rows of each of `count` classes, `[classes, columns]`, 0 for a class without a row; and how many rows it has.
pub(crate) fn class_means(features: Matrix<'_>, classes: &[u32], count: usize) -> (Mat<f64>, Vec<usize>) {
    let mut means = Mat::zeros(count, features.ncols());
    let mut rows = vec![0; count];
    for (row, &class) in classes.iter().enumerate() {
        rows[class as usize] += 1;
        (0..features.ncols()).for_each(|column| means[(class as usize, column)] += features[(row, column)]);
    }
    for (class, &rows) in rows.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        (0..features.ncols()).for_each(|column| means[(class, column)] /= rows as f64);
    }
    (means, rows)
}

/// Whether a score can say anything: at least two classes, as many classes as rows, and finite features.
pub(crate) fn is_sample(features: Matrix<'_>, classes: &[u32]) -> bool {
    features.nrows() == classes.len()
        && features.ncols() > 0
        && classes.iter().any(|&class| class != classes[0])
        && is_finite(features)
}

/// A number that depends on the values of a row alone, for draws that do not depend on the order of rows.
pub(crate) fn row_hash(features: Matrix<'_>, row: usize) -> u64 {
    (0..features.ncols()).fold(0x7465_6c6c, |state, column| mix(state ^ features[(row, column)].to_bits()))
}

/// The finaliser of SplitMix64 (Steele et al., 2014).
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
