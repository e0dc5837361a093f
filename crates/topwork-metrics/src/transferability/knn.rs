//! Whether the nearest rows have the same class.

use crate::matrix::{Matrix, is_sample, squared_distances};

/// The accuracy of each row's `neighbours` nearest rows with other `keys` (Euclidean distance): a copy of a row would tell its
/// answer. Where classes are named equally often, the lower number wins, as in scikit-learn; a row without others is wrong.
pub fn knn_accuracy(features: Matrix<'_>, classes: &[u32], keys: &[u64], neighbours: usize) -> Option<f64> {
    if !is_sample(features, classes) || keys.len() != classes.len() {
        return None;
    }
    let rows = features.nrows();
    let distances = squared_distances(features, features);
    let mut right = 0;
    for row in 0..rows {
        let mut others: Vec<(f64, u32)> = (0..rows)
            .filter(|&other| keys[other] != keys[row])
            .map(|other| (distances[(row, other)], classes[other]))
            .collect();
        if others.is_empty() {
            continue;
        }
        let near = neighbours.clamp(1, others.len());
        others.select_nth_unstable_by(near - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut named: Vec<u32> = others[..near].iter().map(|(_, class)| *class).collect();
        named.sort_unstable();
        let mut best = (0, 0);
        for group in named.chunk_by(|a, b| a == b) {
            if group.len() > best.0 {
                best = (group.len(), group[0]);
            }
        }
        right += usize::from(best.1 == classes[row]);
    }
    Some(right as f64 / rows as f64)
}
