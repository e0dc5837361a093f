//! What chance makes of the difference of two runs.

use topwork::events::SplitScores;
use topwork::judge::repeats::LEFT_OUT;
use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::{Metric, wilson};

/// So seldom does chance make a difference that is called one.
const SIGNIFICANT: f64 = 0.05;
pub(crate) const BETTER: &str = "better by more than chance";
pub(crate) const WORSE: &str = "worse by more than chance";
pub(crate) const EVEN: &str = "chance may be all of it";

/// What a difference of a metric means of which chance makes as large a one so often.
pub(crate) fn meaning(metric: Metric, p: f64, difference: f64) -> &'static str {
    match (p < SIGNIFICANT, (difference > 0.0) == metric.higher_is_better()) {
        (true, true) => BETTER,
        (true, false) => WORSE,
        (false, _) => EVEN,
    }
}

/// How often chance makes as large a difference, as HTML.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p &lt; 0.001".to_string() } else { format!("p = {p:.3}") }
}

/// The bounds of the difference of two accuracies on as many rows each, as if they were different rows (Newcombe, 1998): wider
/// than what the same rows would give, which are not at hand.
pub(crate) fn difference(first: &SplitScores, second: &SplitScores) -> (f64, f64) {
    let (own, other) = (first.accuracy(), second.accuracy());
    let ((low_1, high_1), (low_2, high_2)) = (wilson(own, first.rows), wilson(other, second.rows));
    let gap = other - own;
    let below = ((other - low_2).powi(2) + (high_1 - own).powi(2)).sqrt();
    let above = ((high_2 - other).powi(2) + (own - low_1).powi(2)).sqrt();
    (gap - below, gap + above)
}

/// What says which rows a run was scored on, of a split with so many.
pub(crate) fn rows_of(run: &RunDirectory, split: &str, rows: usize) -> Vec<Option<String>> {
    let keys: &[&str] = match (split, run.value("validation_sha256")) {
        ("test", _) => &["test_sha256"],
        ("validation", Some(_)) => &["validation_sha256"],
        _ => &["train_sha256", "validation_fraction", "seed"],
    };
    // Folds that are not all there answer for some of the rows, by their numbers.
    let folds = run.results.folds.as_ref().filter(|_| split == LEFT_OUT).map(|folds| &folds.repeated.numbers);
    let of = run.value("folds").filter(|of| folds.is_some_and(|numbers| Ok(numbers.len()) != of.parse()));
    let which = of.map(|of| format!("folds {folds:?} of {of}"));
    keys.iter().map(|key| run.value(key)).chain([Some(rows.to_string()), which]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_holds_its_value() {
        let scores = |accuracy: f64, rows| {
            let scores = topwork_metrics::Scores { loss: 1.0, accuracy, macro_f1: 0.5, mcc: 0.5 };
            SplitScores::new(rows, scores.into())
        };
        // 56 of 70 and 48 of 80: Newcombe (1998), table II, method 10: 0.0524 to 0.3339.
        let (low, high) = difference(&scores(48.0 / 80.0, 80), &scores(56.0 / 70.0, 70));
        assert!((low - 0.0524).abs() < 5e-4 && (high - 0.3339).abs() < 5e-4, "{low} {high}");
    }

    #[test]
    fn less_is_better_of_errors() {
        assert_eq!([Metric::Accuracy, Metric::Rmse].map(|metric| meaning(metric, 0.01, 0.1)), [BETTER, WORSE]);
        assert_eq!([Metric::Accuracy, Metric::Rmse].map(|metric| meaning(metric, 0.01, -0.1)), [WORSE, BETTER]);
        assert_eq!(meaning(Metric::Accuracy, 0.5, 0.1), EVEN);
    }
}
