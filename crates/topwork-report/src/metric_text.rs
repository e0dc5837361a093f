//! Metrics as a page shows them: a share in per cent, any other as a number, and what is no number as such.

use topwork::events::{MetricScores, SplitScores, shown};
use topwork_metrics::{Metric, wilson};

use crate::page::percent;

/// What stands where a metric has no value, such as a correlation with values that are all the same.
const NO_VALUE: &str = "no value";

/// A metric's value as text.
pub(crate) fn text(metric: Metric, value: f64) -> String {
    if value.is_finite() { shown(metric, value) } else { NO_VALUE.to_string() }
}

/// A metric's value in a table: a share has a bar, with its bounds as a line.
pub(crate) fn cell(metric: Metric, value: f64, bounds: Option<(f64, f64)>) -> String {
    match metric.is_share() && value.is_finite() {
        true => bar(value, bounds, false),
        false => text(metric, value),
    }
}

/// A loss, or another number that may be none.
pub(crate) fn number(value: f64) -> String {
    text(Metric::Loss, value)
}

/// The name of the loss, with its unit. Whoever is scored by errors learns by squared errors, all others by cross-entropy.
pub(crate) fn loss_name(scores: &MetricScores) -> &'static str {
    if scores.get(Metric::Rmse).is_some() { "loss" } else { "loss, nats" }
}

/// The metrics of all these scores but the loss, the one that a score is told by first.
pub(crate) fn metrics_of<'a>(scores: impl IntoIterator<Item = &'a MetricScores>) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (metric, _) in scores.into_iter().flat_map(MetricScores::iter) {
        if metric != Metric::Loss && !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    metrics
}

/// Whether accuracy is the part of the rows that are right. A tagger's is of words, which do not stand alone in their rows.
pub(crate) fn counts_rows(scores: &SplitScores) -> bool {
    scores.get(Metric::EntityF1).is_none()
}

/// The bounds of the metric that a score is told by. They are known where it is the part of the rows that are right.
pub(crate) fn interval(scores: &SplitScores) -> Option<(f64, f64)> {
    match scores.headline() {
        (Metric::Accuracy, accuracy) if accuracy.is_finite() && counts_rows(scores) => {
            Some(wilson(accuracy, scores.rows))
        }
        _ => None,
    }
}

/// Bounds of a metric's value.
pub(crate) fn bounds_text(metric: Metric, (low, high): (f64, f64)) -> String {
    match metric.is_share() {
        _ if !low.is_finite() || !high.is_finite() => NO_VALUE.to_string(),
        true => format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high),
        false => format!("{low:.3} to {high:.3}"),
    }
}

/// The name of what a difference of two values is counted in.
pub(crate) fn difference_name(metric: Metric) -> &'static str {
    if metric.is_share() { "points" } else { "difference" }
}

/// A difference of two values with its sign: of shares in points.
pub(crate) fn difference_text(metric: Metric, difference: f64) -> String {
    if !difference.is_finite() {
        return NO_VALUE.to_string();
    }
    let text = match metric.is_share() {
        true => format!("{:+.1}", 100.0 * difference),
        false => format!("{difference:+.3}"),
    };
    match text[1..].trim_matches(['0', '.']).is_empty() {
        true => text[1..].to_string(),
        false => text.replace('-', "−"),
    }
}

/// The bounds of such a difference.
pub(crate) fn difference_bounds(metric: Metric, (low, high): (f64, f64)) -> String {
    format!("{} to {}", difference_text(metric, low), difference_text(metric, high))
}

/// The first letter large.
pub(crate) fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A part of 1 as a number and a bar, with its bounds as a line.
pub(crate) fn bar(part: f64, bounds: Option<(f64, f64)>, is_second: bool) -> String {
    percent(part) + &bar_alone(part, bounds, is_second)
}

/// The bar alone, for what is not written in per cent.
pub(crate) fn bar_alone(part: f64, bounds: Option<(f64, f64)>, is_second: bool) -> String {
    if !part.is_finite() {
        return String::new();
    }
    let at = |part: f64| 100.0 * part.clamp(0.0, 1.0);
    let bounds = bounds.filter(|(low, high)| low.is_finite() && high.is_finite());
    let line = bounds.map_or(String::new(), |(low, high)| format!("<path d=\"M{:.1} 5H{:.1}\"/>", at(low), at(high)));
    format!(
        "<span class=\"bar{}\" aria-hidden=\"true\"><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect width=\"{:.1}\" height=\"10\"/>{line}</svg></span>",
        if is_second { " two" } else { "" },
        at(part)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_said_to_be_none() {
        for metric in Metric::ALL {
            for value in [f64::NAN, f64::INFINITY] {
                let all = [text(metric, value), cell(metric, value, None), difference_text(metric, value)];
                assert_eq!(all, [NO_VALUE; 3].map(str::to_string), "{metric}");
            }
        }
    }

    #[test]
    fn differences_have_a_sign_and_nothing_has_none() {
        let [share, number] = [Metric::Accuracy, Metric::Pearson];
        assert_eq!([0.05, -0.05, 1e-5, -1e-5].map(|d| difference_text(share, d)), ["+5.0", "−5.0", "0.0", "0.0"]);
        assert_eq!([0.05, -0.05, 1e-5].map(|d| difference_text(number, d)), ["+0.050", "−0.050", "0.000"]);
    }
}
