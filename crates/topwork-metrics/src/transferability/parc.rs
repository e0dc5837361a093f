//! Whether rows that are far apart have different classes (Bolya et al., "Scalable Diverse Model Selection for Accessible
//! Transfer Learning", NeurIPS 2021).

use faer::Mat;

use crate::matrix::{Matrix, is_sample, outer_gram, row_hash, select_rows};

/// All pairs are compared, so not of more rows than this.
const ROWS: usize = 500;

/// 100 × Spearman's correlation between the distances (1 − correlation) of standardised features and those of classes,
/// over all pairs of at most 500 rows: those with the least `keys`, which are the same whatever features they have.
pub fn parc(features: Matrix<'_>, classes: &[u32], keys: &[u64]) -> Option<f64> {
    if !is_sample(features, classes) || keys.len() != classes.len() {
        return None;
    }
    let mut drawn: Vec<usize> = (0..features.nrows()).collect();
    if drawn.len() > ROWS {
        drawn.sort_by_cached_key(|&row| (keys[row], classes[row], row_hash(features, row)));
        drawn.truncate(ROWS);
    }
    let rows = unit_rows(super::standardise(select_rows(features, &drawn).as_ref()));
    let products = outer_gram(rows.as_ref());
    let labels: Vec<u32> = drawn.iter().map(|&row| classes[row]).collect();
    let pairs = || (0..labels.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let of_features: Vec<f64> = pairs().map(|(i, j)| 1.0 - products[(i, j)]).collect();
    // One-hot rows of different classes all lie equally far apart.
    let of_classes: Vec<f64> = pairs().map(|(i, j)| f64::from(labels[i] != labels[j])).collect();
    Some(100.0 * correlation(&ranks(&of_features), &ranks(&of_classes)))
}

/// Each row with its mean taken off, of length 1.
fn unit_rows(mut features: Mat<f64>) -> Mat<f64> {
    let columns = features.ncols();
    for row in 0..features.nrows() {
        let mean = (0..columns).map(|c| features[(row, c)]).sum::<f64>() / columns as f64;
        let norm = (0..columns).map(|c| (features[(row, c)] - mean).powi(2)).sum::<f64>().sqrt();
        (0..columns).for_each(|c| {
            features[(row, c)] = if norm > 0.0 { (features[(row, c)] - mean) / norm } else { 0.0 };
        });
    }
    features
}

/// The rank of each value; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = 0.5 * (start + end - 1) as f64;
        order[start..end].iter().for_each(|&place| ranks[place] = rank);
        start = end;
    }
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len().max(1) as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    let norm = (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt();
    if norm > 0.0 { product(a, mean_a, b, mean_b) / norm } else { 0.0 }
}
