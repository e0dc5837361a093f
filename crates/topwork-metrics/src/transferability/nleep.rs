//! LEEP with clusters of the features in place of a source's classes (Li et al., "Ranking Neural Checkpoints", CVPR 2021).

use faer::Mat;

use super::leep::leep;
use crate::matrix::{Matrix, is_sample, principal_components, row_hash, squared_distances};

/// The part of the variance that the components hold.
const ENERGY: f64 = 0.8;
/// Components at most.
const COMPONENTS: usize = 64;
/// Clusters for each class, as in the authors' code; but at most a fifth of the rows.
const CLUSTERS_A_CLASS: usize = 5;
/// Steps of expectation and maximisation.
const STEPS: usize = 20;

/// The LEEP of the memberships in a mixture of Gaussians with independent columns. The mixture starts from rows that lie
/// far apart, so nothing is drawn.
pub fn nleep(features: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    if !is_sample(features, classes) {
        return None;
    }
    let reduced = principal_components(features, ENERGY, COMPONENTS)?;
    let mut different = classes.to_vec();
    different.sort_unstable();
    different.dedup();
    let most = (features.nrows() / 5).max(2);
    let clusters = (CLUSTERS_A_CLASS * different.len()).clamp(2, most);
    leep(memberships(reduced.as_ref(), clusters).as_ref(), classes)
}

/// The probability that each row belongs to each cluster, `[rows, clusters]`.
fn memberships(features: Matrix<'_>, clusters: usize) -> Mat<f64> {
    let (rows, columns) = (features.nrows(), features.ncols());
    let centres = far_apart(features, clusters);
    let distances = squared_distances(features, centres.as_ref());
    let clusters = centres.nrows();
    // Each row begins in the nearest cluster.
    let mut belongs = Mat::zeros(rows, clusters);
    for row in 0..rows {
        let nearest = (0..clusters).min_by(|&a, &b| distances[(row, a)].total_cmp(&distances[(row, b)]));
        belongs[(row, nearest.unwrap_or(0))] = 1.0;
    }
    let total_variance: f64 = (0..rows).map(|row| features.row(row).squared_norm_l2()).sum();
    let usual = total_variance / (rows * columns).max(1) as f64;
    // Clusters of few rows have hardly any variance of their own, and are given a tenth of the usual one.
    let least = (0.1 * usual).max(1e-12);
    for _ in 0..STEPS {
        let squares = Mat::from_fn(rows, columns, |row, column| features[(row, column)].powi(2));
        let weights: Vec<f64> = (0..clusters).map(|k| belongs.col(k).iter().sum::<f64>().max(1e-9)).collect();
        let sums = belongs.transpose() * features;
        let square_sums = belongs.transpose() * &squares;
        let mean = |k: usize, column: usize| sums[(k, column)] / weights[k];
        let variance = |k: usize, c: usize| (square_sums[(k, c)] / weights[k] - mean(k, c).powi(2)).max(0.0) + least;
        // ln N(x) = −½ Σ (x − m)² / v + constant, as products of matrices.
        let inverse = Mat::from_fn(clusters, columns, |k, column| 1.0 / variance(k, column));
        let scaled = Mat::from_fn(clusters, columns, |k, column| mean(k, column) / variance(k, column));
        let constants: Vec<f64> = (0..clusters)
            .map(|k| {
                let own = (0..columns).map(|c| mean(k, c).powi(2) / variance(k, c) + variance(k, c).ln());
                weights[k].ln() - 0.5 * own.sum::<f64>()
            })
            .collect();
        let quadratic = &squares * inverse.transpose();
        let linear = features * scaled.transpose();
        for row in 0..rows {
            let log = |k: usize| constants[k] + linear[(row, k)] - 0.5 * quadratic[(row, k)];
            let top = (0..clusters).map(log).fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = (0..clusters).map(|k| (log(k) - top).exp()).sum();
            (0..clusters).for_each(|k| belongs[(row, k)] = (log(k) - top).exp() / total);
        }
    }
    belongs
}

/// The row nearest to the mean, and again and again the row farthest from those taken; fewer when no more differ.
fn far_apart(features: Matrix<'_>, count: usize) -> Mat<f64> {
    let rows = features.nrows();
    // The features are centred, so the mean is 0.
    let from_mean: Vec<f64> = (0..rows).map(|row| features.row(row).squared_norm_l2()).collect();
    let key = |row: usize| row_hash(features, row);
    let nearest = (0..rows).min_by(|&a, &b| from_mean[a].total_cmp(&from_mean[b]).then_with(|| key(a).cmp(&key(b))));
    let mut taken = vec![nearest.unwrap_or(0)];
    let mut distance = vec![f64::INFINITY; rows];
    while taken.len() < count {
        let last = taken[taken.len() - 1];
        for (row, distance) in distance.iter_mut().enumerate() {
            let own: f64 = (0..features.ncols()).map(|c| (features[(row, c)] - features[(last, c)]).powi(2)).sum();
            *distance = distance.min(own);
        }
        let farthest = (0..rows).max_by(|&a, &b| distance[a].total_cmp(&distance[b]).then_with(|| key(a).cmp(&key(b))));
        match farthest.filter(|&row| distance[row] > 0.0) {
            Some(row) => taken.push(row),
            None => break,
        }
    }
    crate::matrix::select_rows(features, &taken)
}
