//! Intervals by resampling (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979), and the seeded draws that
//! they and permutation tests need.

use crate::matrix::mix;

/// The part of the resamples that an interval holds.
const HELD: f64 = 0.95;

/// Seeded draws, the same everywhere.
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The draws of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// A number below `count`, or 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(mix(self.state)) * count as u128) >> 64) as usize
    }

    /// The numbers below `count` in random order.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            order.swap(place, self.below(place + 1));
        }
        order
    }

    /// `count` numbers below `count`, with repetition.
    pub fn resample(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.below(count)).collect()
    }
}

/// Where the middle 95 % of the statistic's values over `resamples` resamples of `rows` rows lie; none when no value is
/// finite.
pub fn interval(
    rows: usize,
    resamples: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Option<(f64, f64)> {
    let mut draws = Draws::new(seed);
    let values = (0..resamples).map(|_| statistic(&draws.resample(rows))).collect();
    middle(values)
}

/// The bounds of the middle 95 % of the finite values.
pub fn middle(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |part: f64| values[(part * last as f64).round() as usize];
    Some((at(0.5 * (1.0 - HELD)), at(0.5 * (1.0 + HELD))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says() {
        let mut held = 0;
        for trial in 0..200 {
            let mut draws = Draws::new(trial);
            let values: Vec<f64> = (0..60).map(|_| draws.below(1000) as f64 / 1000.0).collect();
            let mean = |rows: &[usize]| rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64;
            let (low, high) = interval(values.len(), 200, trial, mean).unwrap();
            held += usize::from(low < 0.4995 && 0.4995 < high);
        }
        assert!((178..=199).contains(&held), "{held} of 200");
    }

    #[test]
    fn permutations_have_every_number_once() {
        let mut order = Draws::new(3).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
