//! Whether two results differ by more than chance: two classifiers on the same rows, pairs of runs, a mean over seeds, and
//! two sets of rows.
//!
//! Intervals hold 95 %. Those of means over few runs are Student's; those of means over rows are resampled, since losses and
//! right answers are not normal.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::bootstrap::{Draws, middle};

/// Where the upper 2.5 % of a distribution begin.
const UPPER: f64 = 0.975;
/// The same of the normal distribution.
const NORMAL_UPPER: f64 = 1.959_963_984_540_054;
/// Degrees of freedom from which Student's quantile is computed from the normal one.
const MANY: f64 = 1e4;

/// Where two classifiers disagree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Rows that only the first has right.
    pub only_first: usize,
    /// Rows that only the second has right.
    pub only_second: usize,
    /// How likely so uneven a split, either way, is when both are as good.
    pub p: f64,
}

/// The mean difference of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedT {
    /// Mean of first minus second.
    pub difference: f64,
    /// Where the true difference lies.
    pub interval: (f64, f64),
    /// The difference in units of its standard error.
    pub t: f64,
    /// How likely so large a difference, either way, is when there is none.
    pub p: f64,
}

/// A mean over few values, such as the accuracies of several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanInterval {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the values, with `count − 1` below the sum.
    pub std: f64,
    /// Where the true mean lies.
    pub interval: (f64, f64),
}

/// The difference of the means of two sets of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// The first mean minus the second.
    pub gap: f64,
    /// Where the true gap lies.
    pub interval: (f64, f64),
}

/// The exact test of McNemar ("Note on the sampling error of the difference between correlated proportions", 1947; Dietterich,
/// "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms", 1998): only rows that one
/// classifier has right and the other has not count, and each is a toss of a coin. As scipy's
/// `binomtest(only_first, only_first + only_second)`; p is 1 when there is no such row. The two are equally long; what a wrong
/// length leaves over is not counted.
pub fn mcnemar(first_right: &[bool], second_right: &[bool]) -> McNemar {
    let only =
        |winner: &[bool], loser: &[bool]| winner.iter().zip(loser).filter(|(won, lost)| **won && !**lost).count();
    let (only_first, only_second) = (only(first_right, second_right), only(second_right, first_right));
    McNemar { only_first, only_second, p: sign_test(only_first, only_second) }
}

/// Student's test of pairs, as scipy's `ttest_rel` with its `confidence_interval`. None for fewer than two pairs, for
/// different lengths, or for a value that is not finite.
///
/// When all differences are equal there is no error to measure by: the interval is that one point; p is 0 and t infinite, or,
/// for a difference of zero, p is 1 and t is 0.
pub fn paired_t(first: &[f64], second: &[f64]) -> Option<PairedT> {
    if first.len() != second.len() {
        return None;
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let MeanInterval { mean, std, interval } = mean_interval(&differences)?;
    if std == 0.0 {
        let (t, p) = if mean == 0.0 { (0.0, 1.0) } else { (f64::INFINITY.copysign(mean), 0.0) };
        return Some(PairedT { difference: mean, interval, t, p });
    }
    let t = mean / (std / (differences.len() as f64).sqrt());
    let p = 2.0 * student(differences.len())?.sf(t.abs());
    Some(PairedT { difference: mean, interval, t, p })
}

/// Student's interval of the mean of independent values. None for fewer than two values or one that is not finite; equal
/// values have an interval of one point.
pub fn mean_interval(values: &[f64]) -> Option<MeanInterval> {
    let (&first, others) = values.split_first()?;
    if others.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    // The sum of equal values, divided by their number, need not be the value.
    if others.iter().all(|&value| value == first) {
        return Some(MeanInterval { mean: first, std: 0.0, interval: (first, first) });
    }
    let count = values.len() as f64;
    let mean = mean(values);
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let half = upper_quantile(values.len())? * std / count.sqrt();
    Some(MeanInterval { mean, std, interval: (mean - half, mean + half) })
}

/// The mean of `a` minus the mean of `b`, for rows that are not pairs, with the interval in which the middle 95 % of the
/// resamples lie; each resample draws both sides anew, apart from each other. None when a side has no row, when a value is not
/// finite, or without resamples.
pub fn difference_of_means(a: &[f64], b: &[f64], resamples: usize, seed: u64) -> Option<Gap> {
    if a.is_empty() || b.is_empty() || !a.iter().chain(b).all(|value| value.is_finite()) {
        return None;
    }
    let mut draws = Draws::new(seed);
    let mut resampled = |values: &[f64]| {
        (0..values.len()).map(|_| values[draws.below(values.len())]).sum::<f64>() / values.len() as f64
    };
    let gaps = (0..resamples).map(|_| resampled(a) - resampled(b)).collect();
    Some(Gap { gap: mean(a) - mean(b), interval: middle(gaps)? })
}

/// The score of `a_rows` rows minus the score of `b_rows` other rows, for any score, with the interval in which the middle
/// 95 % of the resamples lie; each resample draws both sides anew, apart from each other. `a` and `b` give the score of the
/// rows with these indices, which may repeat. Resamples with a score that is not finite, such as a correlation of one row
/// drawn again and again, are left out. None when a side has no row, when an own score is not finite, or when no resample
/// is left.
pub fn difference_of_scores(
    a_rows: usize,
    b_rows: usize,
    resamples: usize,
    seed: u64,
    mut a: impl FnMut(&[usize]) -> f64,
    mut b: impl FnMut(&[usize]) -> f64,
) -> Option<Gap> {
    if a_rows == 0 || b_rows == 0 {
        return None;
    }
    let whole = |rows: usize| (0..rows).collect::<Vec<usize>>();
    let gap = a(&whole(a_rows)) - b(&whole(b_rows));
    if !gap.is_finite() {
        return None;
    }
    let mut draws = Draws::new(seed);
    let gaps = (0..resamples).map(|_| a(&draws.resample(a_rows)) - b(&draws.resample(b_rows))).collect();
    Some(Gap { gap, interval: middle(gaps)? })
}

/// How likely tosses of a coin split at least as unevenly as this, either way.
///
/// The binomial weights are multiples of the one in the middle, so there is no factorial to overflow; those too small for a
/// number are 0.
fn sign_test(heads: usize, tails: usize) -> f64 {
    let (tosses, fewer) = (heads + tails, heads.min(tails));
    let even = tosses / 2;
    let (mut weight, mut half, mut tail) = (1.0, 0.0, 0.0);
    for heads in (0..=even).rev() {
        half += weight;
        if heads <= fewer {
            tail += weight;
        }
        weight *= heads as f64 / (tosses - heads + 1) as f64;
    }
    // An even number of tosses has one middle, which both halves hold.
    let all = if tosses.is_multiple_of(2) { 2.0 * half - 1.0 } else { 2.0 * half };
    (2.0 * tail / all).min(1.0)
}

/// Student's distribution of the mean of this many values.
fn student(count: usize) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, count.checked_sub(1)? as f64).ok()
}

/// What Student's distribution of the mean of `count` values exceeds in 2.5 % of cases.
fn upper_quantile(count: usize) -> Option<f64> {
    let freedom = count.checked_sub(1)? as f64;
    if freedom < MANY {
        return student(count).map(|distribution| distribution.inverse_cdf(UPPER));
    }
    // Statrs loses digits here. Two terms of Fisher's expansion (Abramowitz and Stegun, 26.7.5) are right to the twelfth.
    let z = NORMAL_UPPER;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    Some(z + first / freedom + second / (freedom * freedom))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fixture() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/calibration.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn numbers(values: &Value) -> Vec<f64> {
        values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    /// The same but for a part of `tolerance`.
    fn near(value: f64, expected: &Value, tolerance: f64) {
        let expected = expected.as_f64().unwrap();
        assert!((value - expected).abs() <= tolerance * expected.abs(), "{value:e}, not {expected:e}");
    }

    /// About normal, around a mean.
    fn noise(draws: &mut Draws, mean: f64) -> f64 {
        mean - 3.0 + (0..6).map(|_| draws.below(1 << 20) as f64 / (1 << 20) as f64).sum::<f64>()
    }

    #[test]
    fn values_are_those_that_scipy_computed() {
        let fixture = fixture();
        for case in fixture["mcnemar"].as_array().unwrap() {
            let count = |name: &str| case[name].as_u64().unwrap() as usize;
            let (only_first, only_second) = (count("only_first"), count("only_second"));
            // Rows that both or neither have right say nothing.
            let first: Vec<bool> = (0..only_first + only_second + 9).map(|row| row < only_first + 5).collect();
            let second: Vec<bool> = (0..first.len())
                .map(|row| (only_first..only_first + 5).contains(&row) || (row >= only_first + 9))
                .collect();
            let found = mcnemar(&first, &second);
            assert_eq!((found.only_first, found.only_second), (only_first, only_second));
            near(found.p, &case["p"], 1e-11);
        }
        for case in fixture["paired_t"].as_array().unwrap() {
            let found = paired_t(&numbers(&case["first"]), &numbers(&case["second"])).unwrap();
            near(found.difference, &case["difference"], 1e-11);
            near(found.interval.0, &case["low"], 1e-11);
            near(found.interval.1, &case["high"], 1e-11);
            near(found.t, &case["t"], 1e-11);
            near(found.p, &case["p"], 1e-11);
        }
        for case in fixture["mean_interval"].as_array().unwrap() {
            let found = mean_interval(&numbers(&case["values"])).unwrap();
            near(found.mean, &case["mean"], 1e-12);
            near(found.std, &case["std"], 1e-12);
            near(found.interval.0, &case["low"], 1e-12);
            near(found.interval.1, &case["high"], 1e-12);
        }
        for case in fixture["student"].as_array().unwrap() {
            let freedom = case["freedom"].as_u64().unwrap() as usize;
            near(upper_quantile(freedom + 1).unwrap(), &case["upper"], 1e-11);
            near(2.0 * student(freedom + 1).unwrap().sf(2.5), &case["beyond"], 1e-9);
        }
    }

    #[test]
    fn an_exchange_of_the_two_changes_signs_only() {
        let first = [true, true, true, false, true, true];
        let second = [false, true, false, false, true, false];
        let (own, other) = (mcnemar(&first, &second), mcnemar(&second, &first));
        assert_eq!(own, McNemar { only_first: 3, only_second: 0, p: 0.25 });
        assert_eq!(other, McNemar { only_first: 0, only_second: 3, p: 0.25 });
        assert_eq!(mcnemar(&first, &first).p, 1.0);
        assert_eq!(mcnemar(&[], &[]).p, 1.0);
        // Beyond what a number can hold, and without a factorial that overflows.
        assert_eq!(sign_test(0, 5000), 0.0);
        let (a, b) = ([0.3, 0.9, 0.4], [0.1, 0.4, 0.5]);
        let (own, other) = (paired_t(&a, &b).unwrap(), paired_t(&b, &a).unwrap());
        assert_eq!((own.difference, own.t, own.p), (-other.difference, -other.t, other.p));
        assert_eq!(own.interval, (-other.interval.1, -other.interval.0));
    }

    #[test]
    fn a_test_at_five_percent_and_its_interval_agree() {
        let mut draws = Draws::new(5);
        let mut significant = 0;
        for _ in 0..200 {
            let first: Vec<f64> = (0..6).map(|_| noise(&mut draws, 0.5)).collect();
            let found = paired_t(&first, &[0.0; 6]).unwrap();
            let holds_zero = found.interval.0 <= 0.0 && 0.0 <= found.interval.1;
            assert_eq!(found.p < 0.05, !holds_zero, "{found:?}");
            significant += usize::from(found.p < 0.05);
        }
        assert!((20..=180).contains(&significant), "{significant} of 200: one side was hardly seen");
    }

    #[test]
    fn equal_differences_leave_no_doubt() {
        let one_tenth = paired_t(&[0.1, 0.1, 0.1], &[0.0; 3]).unwrap();
        assert_eq!(one_tenth, PairedT { difference: 0.1, interval: (0.1, 0.1), t: f64::INFINITY, p: 0.0 });
        let less = paired_t(&[0.0; 3], &[0.1, 0.1, 0.1]).unwrap();
        assert_eq!((less.t, less.p), (f64::NEG_INFINITY, 0.0));
        let none = paired_t(&[0.1, 0.7], &[0.1, 0.7]).unwrap();
        assert_eq!(none, PairedT { difference: 0.0, interval: (0.0, 0.0), t: 0.0, p: 1.0 });
    }

    #[test]
    fn the_interval_of_few_values_holds_the_mean_about_as_often_as_it_says() {
        let mut draws = Draws::new(2);
        let held = (0..400).filter(|_| {
            let values: Vec<f64> = (0..4).map(|_| noise(&mut draws, 1.0)).collect();
            let (low, high) = mean_interval(&values).unwrap().interval;
            low < 1.0 && 1.0 < high
        });
        let held = held.count();
        assert!((368..=392).contains(&held), "{held} of 400");
    }

    #[test]
    fn the_interval_of_a_gap_holds_the_truth_about_as_often_as_it_says() {
        let mut held = 0;
        for trial in 0..200 {
            let mut draws = Draws::new(trial);
            // The sides differ in size and in spread.
            let a: Vec<f64> = (0..80).map(|_| 2.0 * noise(&mut draws, 0.5)).collect();
            let b: Vec<f64> = (0..50).map(|_| noise(&mut draws, 0.0)).collect();
            let (low, high) = difference_of_means(&a, &b, 200, trial).unwrap().interval;
            held += usize::from(low < 1.0 && 1.0 < high);
        }
        assert!((176..=198).contains(&held), "{held} of 200");
    }

    #[test]
    fn the_gap_is_that_of_the_accuracies_and_as_uncertain_as_they_are() {
        let part = |rows: usize, right: usize| -> Vec<f64> {
            (0..rows).map(|row| if row % 10 < right { 1.0 } else { 0.0 }).collect()
        };
        let (train, validation) = (part(400, 9), part(100, 7));
        let resampled = |seed: u64| difference_of_means(&train, &validation, 1000, seed);
        let found = resampled(1).unwrap();
        assert!((found.gap - 0.2).abs() < 1e-12);
        let error = (0.9_f64 * 0.1 / 400.0 + 0.7 * 0.3 / 100.0).sqrt();
        let width = (found.interval.1 - found.interval.0) / (2.0 * NORMAL_UPPER * error);
        assert!((width - 1.0).abs() < 0.1, "{width} of the width that the binomial distribution has");
        assert!(found.interval.0 < 0.2 && 0.2 < found.interval.1);
        assert_eq!(resampled(1), Some(found));
        assert_ne!(resampled(2), Some(found));
    }

    #[test]
    fn what_says_nothing_is_none() {
        assert_eq!(paired_t(&[1.0], &[2.0]), None);
        assert_eq!(paired_t(&[1.0, 2.0, 3.0], &[2.0, 1.0]), None);
        assert_eq!(paired_t(&[1.0, f64::NAN], &[2.0, 1.0]), None);
        assert_eq!(mean_interval(&[]), None);
        assert_eq!(mean_interval(&[1.0]), None);
        assert_eq!(mean_interval(&[1.0, f64::INFINITY]), None);
        assert_eq!(difference_of_means(&[], &[1.0], 10, 0), None);
        assert_eq!(difference_of_means(&[1.0], &[], 10, 0), None);
        assert_eq!(difference_of_means(&[1.0], &[f64::NAN], 10, 0), None);
        assert_eq!(difference_of_means(&[1.0], &[2.0], 0, 0), None);
    }

    #[test]
    fn the_difference_of_mean_scores_is_the_difference_of_means() {
        let mut draws = Draws::new(4);
        let (a, b): (Vec<f64>, Vec<f64>) = (0..80).map(|_| (noise(&mut draws, 1.0), noise(&mut draws, 0.4))).unzip();
        let of = |values: &[f64], rows: &[usize]| mean(&rows.iter().map(|&row| values[row]).collect::<Vec<f64>>());
        let found = difference_of_scores(80, 80, 500, 7, |rows| of(&a, rows), |rows| of(&b, rows)).unwrap();
        let expected = difference_of_means(&a, &b, 500, 7).unwrap();
        assert!((found.gap - expected.gap).abs() < 1e-12);
        assert!((found.interval.0 - expected.interval.0).abs() < 1e-12, "{found:?} {expected:?}");
        assert!((found.interval.1 - expected.interval.1).abs() < 1e-12);
        assert_eq!(difference_of_scores(0, 3, 9, 1, |_| 1.0, |_| 1.0), None);
        assert_eq!(difference_of_scores(3, 3, 9, 1, |_| f64::NAN, |_| 1.0), None);
        assert_eq!(difference_of_scores(3, 3, 0, 1, |_| 2.0, |_| 1.0), None);
    }
}
