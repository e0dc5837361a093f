//! The scores of a run, with what chance makes of them, and beside what would be had without transfer.

use topwork::events::SplitScores;
use topwork::judge::repeats::{LEFT_OUT, Mean, Repeated};
use topwork::judge::transfer::Contender;
use topwork::tune::results::Results;
use topwork::tune::run_directory::RunDirectory;
use topwork_metrics::wilson;

use crate::page::{Column, Table, count, escaped, percent};

/// The scores by split.
pub(super) fn result(run: &RunDirectory) -> String {
    let results = &run.results;
    let columns = ["accuracy", "95 % interval", "macro-F1", "MCC", "loss, nats", "rows"].map(Column::number);
    let mut table = Table::new("Scores without dropout", [vec![Column::text("split")], columns.to_vec()].concat());
    for (name, scores) in splits(results) {
        let interval = if name == "train" { "–".to_string() } else { interval_of(&scores) };
        let SplitScores { rows, loss, accuracy, macro_f1, mcc } = scores;
        table.row([
            name.to_string(),
            bar(accuracy, None, false),
            interval,
            format!("{macro_f1:.3}"),
            format!("{mcc:.3}"),
            format!("{loss:.3}"),
            count(rows),
        ]);
    }
    let mut html = table.html();
    if let Some(best) = &results.best {
        html.push_str(&format!(
            "<p>Kept: the weights of step {}, with the best validation {} ({:.3}). Validation rows that weights are chosen by \
             flatter them.</p>\n",
            count(best.step),
            escaped(&best.metric.replace('_', " ")),
            best.value
        ));
    }
    if let Some(stopped) = &results.stopped {
        html.push_str(&format!("<p>Training ended before its last step: {}.</p>\n", escaped(stopped)));
    }
    if let Some((accuracy, low, high)) = run.advice.as_ref().and_then(expected) {
        html.push_str(&format!(
            "<p>Before the run, {} was expected ({} to {}).</p>\n",
            percent(accuracy),
            percent(low),
            percent(high)
        ));
    }
    html + "<p class=quiet>The interval holds the accuracy on all rows of this kind in 95 of 100 samples of so many rows.</p>\n"
}

/// The accuracy that was expected, and its bounds.
fn expected(advice: &serde_json::Value) -> Option<(f64, f64, f64)> {
    let found = &advice["expectation"];
    let bound = |nth: usize| found["interval"][nth].as_f64();
    Some((found["accuracy"].as_f64()?, bound(0)?, bound(1)?))
}

/// What transfer bought, where it was asked.
pub(super) fn comparison(run: &RunDirectory) -> String {
    let Some(transfer) = &run.results.transfer else { return String::new() };
    let columns = ["accuracy", "uncertainty", "macro-F1", "seeds"].map(Column::number);
    let caption = format!("On the {} rows, from the least that is known to the most", escaped(&transfer.split));
    let mut table = Table::new(caption, [vec![Column::text("what answers")], columns.to_vec()].concat());
    let last = transfer.contenders.len().saturating_sub(1);
    for (place, contender) in transfer.contenders.iter().enumerate() {
        let mark = |text: String| if place == last { format!("<span class=own>{text}</span>") } else { text };
        let macro_f1 = match contender.macro_f1_std {
            Some(deviation) => format!("{:.3} ± {deviation:.3}", contender.macro_f1),
            None => format!("{:.3}", contender.macro_f1),
        };
        table.row([
            mark(escaped(&contender.name)),
            bar(contender.accuracy, spread(contender), false),
            uncertainty(contender),
            macro_f1,
            contender.scores.len().to_string(),
        ]);
    }
    table.html()
        + "<p class=quiet>± is the standard deviation over seeds, which says how much training's chance matters; an interval is \
           that of the rows, for what was run once.</p>\n"
}

/// The same training again: with other seeds, on parts of the rows, on labels in random order.
pub(super) fn repeated(run: &RunDirectory) -> String {
    let results = &run.results;
    let columns = ["trainings", "accuracy", "95 % interval", "macro-F1", "lowest and highest"].map(Column::number);
    let mut table =
        Table::new("What other trainings score", [vec![Column::text("repeated")], columns.to_vec()].concat());
    if let Some(seeds) = &results.seeds {
        table.row(over_trainings("other seeds", seeds));
    }
    if let Some(folds) = &results.folds {
        table.row(over_trainings("folds", &folds.repeated));
    }
    if let Some(control) = &results.permuted_control {
        table.row([
            "labels in random order".to_string(),
            "1".to_string(),
            bar(control.accuracy, None, false),
            interval_of(control),
            format!("{:.3}", control.macro_f1),
            "–".to_string(),
        ]);
    }
    if table.rows.is_empty() {
        return String::new();
    }
    let control = match results.permuted_control {
        Some(_) => " What is reached with labels in random order is worth nothing.",
        None => "",
    };
    table.html()
        + &format!(
            "<p class=quiet>The interval holds the mean of all such trainings in 95 of 100 cases; that of folds is wider, because \
             they share most of their rows.{control}</p>\n"
        )
}

fn over_trainings(name: &str, repeated: &Repeated) -> [String; 6] {
    let Mean { mean, std, interval } = repeated.accuracy;
    let accuracies = || repeated.scores.iter().map(|scores| scores.accuracy);
    let (low, high) = (accuracies().fold(f64::INFINITY, f64::min), accuracies().fold(0.0, f64::max));
    let spread = std.map_or(String::new(), |std| format!(" ± {:.1}", 100.0 * std));
    [
        format!("{name}, {} rows", escaped(&repeated.split)),
        match repeated.diverged {
            0 => repeated.scores.len().to_string(),
            diverged => format!("{}, {diverged} diverged", repeated.scores.len()),
        },
        format!("{:.1}{spread} %{}", 100.0 * mean, bar_alone(mean, interval, false)),
        interval.map_or("–".to_string(), |(low, high)| format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)),
        format!("{:.3}", repeated.macro_f1.mean),
        format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high),
    ]
}

/// The spread over seeds; without several, the interval by rows.
fn uncertainty(contender: &Contender) -> String {
    match (contender.accuracy_std, contender.scores.first()) {
        (Some(deviation), _) => format!("± {} over seeds", percent(deviation)),
        (None, Some(scores)) => interval_of(scores),
        (None, None) => "–".to_string(),
    }
}

fn spread(contender: &Contender) -> Option<(f64, f64)> {
    match (contender.accuracy_std, contender.scores.first()) {
        (Some(deviation), _) => Some((contender.accuracy - deviation, contender.accuracy + deviation)),
        (None, scores) => scores.map(|scores| wilson(scores.accuracy, scores.rows)),
    }
}

/// The splits that were scored, the most telling last.
fn splits(results: &Results) -> Vec<(&'static str, SplitScores)> {
    let left_out = results.folds.as_ref().map(|folds| folds.together);
    let splits = [
        ("train", Some(results.train)),
        (LEFT_OUT, left_out),
        ("validation", results.validation),
        ("test", results.test),
    ];
    splits.into_iter().filter_map(|(name, scores)| Some((name, scores?))).collect()
}

/// The split that says most, and its scores.
pub(super) fn main_split(results: &Results) -> (&'static str, SplitScores) {
    splits(results).pop().unwrap_or(("train", results.train))
}

/// The bounds of a split's accuracy.
pub(super) fn interval_of(scores: &SplitScores) -> String {
    let (low, high) = wilson(scores.accuracy, scores.rows);
    format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high)
}

/// The same in words.
pub(super) fn interval_in_words(scores: &SplitScores) -> String {
    format!("95 % interval {}", interval_of(scores))
}

/// The bounds of the difference of two accuracies on as many rows each, as if they were different rows (Newcombe, 1998): wider
/// than what the same rows would give, which are not at hand.
pub(super) fn difference(first: &SplitScores, second: &SplitScores) -> (f64, f64) {
    let ((low_1, high_1), (low_2, high_2)) = (wilson(first.accuracy, first.rows), wilson(second.accuracy, second.rows));
    let gap = second.accuracy - first.accuracy;
    let below = ((second.accuracy - low_2).powi(2) + (high_1 - first.accuracy).powi(2)).sqrt();
    let above = ((high_2 - second.accuracy).powi(2) + (first.accuracy - low_1).powi(2)).sqrt();
    (gap - below, gap + above)
}

/// A part of 1 as a number and a bar, with its bounds as a line.
pub(super) fn bar(part: f64, bounds: Option<(f64, f64)>, is_second: bool) -> String {
    percent(part) + &bar_alone(part, bounds, is_second)
}

/// The bar alone, for what is not written in per cent.
pub(super) fn bar_alone(part: f64, bounds: Option<(f64, f64)>, is_second: bool) -> String {
    let at = |part: f64| 100.0 * part.clamp(0.0, 1.0);
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
    fn a_difference_holds_its_value() {
        let scores = |accuracy: f64| SplitScores { rows: 80, loss: 1.0, accuracy, macro_f1: 0.5, mcc: 0.5 };
        // 56 of 70 and 48 of 80: Newcombe (1998), table II, method 10: 0.0524 to 0.3339.
        let (low, high) = difference(&scores(48.0 / 80.0), &SplitScores { rows: 70, ..scores(56.0 / 70.0) });
        assert!((low - 0.0524).abs() < 5e-4 && (high - 0.3339).abs() < 5e-4, "{low} {high}");
    }
}
