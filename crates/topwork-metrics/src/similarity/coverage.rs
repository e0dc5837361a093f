//! Which rows of the target lie among the source's.

use crate::matrix::{Matrix, squared_distances};

use super::is_pair;

/// The neighbour whose distance counts.
const NEIGHBOUR: usize = 5;
/// The part of the source's own rows that lie within its neighbourhood.
const WITHIN: f64 = 0.95;

/// How much of the target the source covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The part of the target's rows within the source's neighbourhood.
    pub covered: f64,
    /// For each row of the target, the distance to its fifth nearest row of the source as a multiple of the
    /// neighbourhood's radius; above 1 is outside.
    pub distances: Vec<f64>,
}

/// The neighbourhood's radius is the distance to the fifth nearest other row that 95 % of the source's rows have. None for
/// sets that cannot be compared.
pub fn coverage(source: Matrix<'_>, target: Matrix<'_>) -> Option<Coverage> {
    if !is_pair(source, target) {
        return None;
    }
    let rows = source.nrows();
    let own = squared_distances(source, source);
    let nearest = |mut distances: Vec<f64>| {
        let place = (NEIGHBOUR - 1).min(distances.len() - 1);
        distances.select_nth_unstable_by(place, f64::total_cmp);
        distances[place].sqrt()
    };
    let mut radii: Vec<f64> = (0..rows)
        .map(|row| nearest((0..rows).filter(|&other| other != row).map(|other| own[(row, other)]).collect()))
        .collect();
    radii.sort_by(f64::total_cmp);
    let radius = radii[((WITHIN * rows as f64).ceil() as usize).clamp(1, rows) - 1].max(f64::MIN_POSITIVE);
    let others = squared_distances(target, source);
    let distances: Vec<f64> = (0..target.nrows())
        .map(|row| nearest((0..rows).map(|other| others[(row, other)]).collect()) / radius)
        .collect();
    let covered = distances.iter().filter(|&&distance| distance <= 1.0).count() as f64 / distances.len() as f64;
    Some(Coverage { covered, distances })
}
