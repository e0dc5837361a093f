//! How well a source's own classes tell the target's (Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of
//! Learned Representations", ICML 2020).

use crate::matrix::{Matrix, is_sample, rows_by_class};

/// The mean log-likelihood of the classes when each row's `memberships` `[rows, source classes]` (probabilities) are
/// turned into target classes by how often they go together; at most 0.
pub fn leep(memberships: Matrix<'_>, classes: &[u32]) -> Option<f64> {
    if !is_sample(memberships, classes) {
        return None;
    }
    let rows = memberships.nrows();
    let sources = memberships.ncols();
    let total: Vec<f64> = (0..sources).map(|z| memberships.col(z).iter().sum()).collect();
    let mut likelihood = 0.0;
    for members in rows_by_class(classes) {
        let given: Vec<f64> = (0..sources)
            .map(|z| {
                let joint: f64 = members.iter().map(|&row| memberships[(row, z)]).sum();
                if total[z] > 0.0 { joint / total[z] } else { 0.0 }
            })
            .collect();
        for row in members {
            let own: f64 = (0..sources).map(|z| given[z] * memberships[(row, z)]).sum();
            likelihood += own.max(f64::MIN_POSITIVE).ln();
        }
    }
    Some(likelihood / rows as f64)
}
