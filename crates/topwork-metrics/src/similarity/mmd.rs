//! Maximum mean discrepancy (Gretton et al., "A Kernel Two-Sample Test", JMLR 2012).

use faer::Mat;

use super::{is_pair, stacked};
use crate::bootstrap::{Draws, middle};
use crate::matrix::{Matrix, squared_distances};

/// The distance and what chance says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mmd {
    /// The unbiased estimate of the squared distance; below 0 by chance when the sets are alike.
    pub mmd2: f64,
    /// The part of the random divisions of all rows that lie at least as far apart.
    pub p_value: f64,
    /// Where it lies in 95 % of the resamples.
    pub interval: (f64, f64),
}

/// Two sets of rows in a Gaussian kernel exp(−γ d²), γ = 1 / the median squared distance of all pairs.
pub struct KernelSample {
    kernel: Mat<f64>,
    first: usize,
    /// γ.
    pub gamma: f64,
}

impl KernelSample {
    /// The kernel of all pairs: memory and time grow with the square of the rows. None for sets that cannot be compared
    /// or whose rows are all the same.
    pub fn new(a: Matrix<'_>, b: Matrix<'_>) -> Option<Self> {
        if !is_pair(a, b) {
            return None;
        }
        let both = stacked(a, b);
        let squares = squared_distances(both.as_ref(), both.as_ref());
        let count = both.nrows();
        let mut pairs: Vec<f64> =
            (0..count).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| squares[(i, j)]).collect();
        let middle = pairs.len() / 2;
        let (below, upper, _) = pairs.select_nth_unstable_by(middle, f64::total_cmp);
        let upper = *upper;
        let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = if pairs.len().is_multiple_of(2) { 0.5 * (lower + upper) } else { upper };
        if median <= 0.0 {
            return None;
        }
        let gamma = 1.0 / median;
        Some(Self {
            kernel: Mat::from_fn(count, count, |i, j| (-gamma * squares[(i, j)]).exp()),
            first: a.nrows(),
            gamma,
        })
    }

    /// The distance, its test by `permutations` random divisions, and its interval from as many resamples.
    pub fn compare(&self, permutations: usize, seed: u64) -> Mmd {
        let rows: Vec<usize> = (0..self.kernel.nrows()).collect();
        let (a, b) = rows.split_at(self.first);
        let mmd2 = self.mmd2(a, b);
        let mut draws = Draws::new(seed);
        let farther = (0..permutations)
            .filter(|_| {
                let order = draws.permutation(rows.len());
                let (a, b) = order.split_at(self.first);
                self.mmd2(a, b) >= mmd2
            })
            .count();
        let resampled = (0..permutations).map(|_| {
            let own: Vec<usize> = draws.resample(a.len());
            let other: Vec<usize> = draws.resample(b.len()).into_iter().map(|row| self.first + row).collect();
            self.mmd2(&own, &other)
        });
        let interval = middle(resampled.collect()).unwrap_or((mmd2, mmd2));
        // The division that was found is one of the possible ones.
        Mmd { mmd2, p_value: (farther + 1) as f64 / (permutations + 1) as f64, interval }
    }

    /// The unbiased estimate for two lists of rows; a row that a resample has twice is not paired with itself.
    fn mmd2(&self, a: &[usize], b: &[usize]) -> f64 {
        let own = |rows: &[usize]| {
            let (mut total, mut pairs) = (0.0, 0usize);
            for (place, &i) in rows.iter().enumerate() {
                let column = self.kernel.col(i);
                for &j in rows[..place].iter().filter(|&&j| j != i) {
                    total += column[j];
                    pairs += 1;
                }
            }
            total / pairs.max(1) as f64
        };
        let between: f64 = a
            .iter()
            .map(|&i| {
                let column = self.kernel.col(i);
                b.iter().map(|&j| column[j]).sum::<f64>()
            })
            .sum();
        own(a) + own(b) - 2.0 * between / (a.len() * b.len()) as f64
    }
}
