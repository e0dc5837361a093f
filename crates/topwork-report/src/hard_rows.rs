//! The held-out rows that are worth reading.

use std::fmt::Write;

use topwork::judge::hard_rows::{HARD_ROWS, HardRow, HardRows};
use topwork::tasks::Part;
use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::Metric;

use crate::applicable::applies;
use crate::metric_text::number;
use crate::page::{escaped, excerpt, folded, name, percent};
use crate::pictures::{Chart, Curve, Tone};
use crate::scores::main_split;

/// Rows that are shown at once.
const SHOWN: usize = 8;
/// Letters of a text.
const LETTERS: usize = 500;
/// Words with a wrong tag that are shown of a row.
const MOST_WORDS: usize = 20;

/// The rows that are worth reading; where there are none, why.
pub(crate) fn rows(run: &RunDirectory) -> String {
    match (&run.hard_rows, main_split(&run.results).0) {
        (Some(rows), _) => by_kind(run, rows),
        (None, _) if !applies(&run.results, Part::HardRows) => String::new(),
        (None, "train") => "<p>No rows were held out, so there are no answers to show.</p>\n".to_string(),
        (None, _) => format!("<p>The directory has no <code>{HARD_ROWS}</code>, in which they would be.</p>\n"),
    }
}

fn by_kind(run: &RunDirectory, rows: &HardRows) -> String {
    let errors = match rows.confident_errors.iter().any(|row| row.confidence.is_some()) {
        true => (
            "Surest errors",
            "Wrong answers, the surest first: often a wrong label, or a kind of text that training lacks.",
        ),
        false => (
            "Greatest loss",
            "Wrong answers, those with the greatest loss first: often a wrong label, or a kind of text that training lacks.",
        ),
    };
    let undecided = ("Undecided", "Answers with the least between the first and the second class.");
    let mut html = String::new();
    for ((title, about), rows) in [(errors, &rows.confident_errors), (undecided, &rows.uncertain)] {
        if rows.is_empty() {
            continue;
        }
        let (shown, rest) = rows.split_at(rows.len().min(SHOWN));
        let _ = write!(html, "<h3>{title}</h3>\n<p class=quiet>{about}</p>\n{}", listed(run, shown));
        if !rest.is_empty() {
            html.push_str(&folded(&format!("{} more", rest.len()), &listed(run, rest)));
        }
    }
    match html.is_empty() {
        true => format!("<p>None of the {} rows is listed.</p>\n", escaped(&rows.split)),
        false => format!("<p>Of the {} rows.</p>\n{}{html}", escaped(&rows.split), predicted_by_target(run, rows)),
    }
}

fn listed(run: &RunDirectory, rows: &[HardRow]) -> String {
    let items: String = rows.iter().map(|row| item(run, row)).collect();
    format!("<ol class=rows>\n{items}</ol>\n")
}

fn item(run: &RunDirectory, row: &HardRow) -> String {
    let text = if row.text.trim().is_empty() { "<em>empty</em>".to_string() } else { excerpt(&row.text, LETTERS) };
    let in_brackets = |part: Option<f64>| part.map_or(String::new(), |part| format!(" ({})", percent(part)));
    let answer = match (row.label == row.predicted, row.confidence) {
        (true, Some(confidence)) => format!("rightly <b>{}</b>, {} sure", name(&row.predicted), percent(confidence)),
        (true, None) => format!("rightly <b>{}</b>", name(&row.predicted)),
        (false, confidence) => wrong_tags(run, row).unwrap_or_else(|| {
            format!(
                "answer <b>{}</b>{}, label <b>{}</b>{}",
                none_if_empty(&row.predicted),
                in_brackets(confidence),
                none_if_empty(&row.label),
                in_brackets(row.label_probability)
            )
        }),
    };
    let loss = row.loss.map_or(String::new(), |loss| format!("loss {}, ", number(loss)));
    format!("<li><q dir=auto>{text}</q><p>line {}: {loss}{answer}</p></li>\n", row.line)
}

/// A label, or that there is none: of several labels, none may apply.
fn none_if_empty(label: &str) -> String {
    if label.is_empty() { "none".to_string() } else { name(label) }
}

/// The words that were tagged wrongly, where every word of the row has a tag that the model knows. A row that was cut has not.
fn wrong_tags(run: &RunDirectory, row: &HardRow) -> Option<String> {
    let [words, tags, given] = [&row.text, &row.label, &row.predicted].map(|text| text.split(' ').collect::<Vec<_>>());
    let are_tags = |tags: &[&str]| tags.iter().all(|tag| run.labels.iter().any(|label| label == tag));
    if words.len() != tags.len() || tags.len() != given.len() || !are_tags(&tags) || !are_tags(&given) {
        return None;
    }
    let wrong: Vec<String> = words
        .iter()
        .zip(tags.iter().zip(&given))
        .filter(|(_, (tag, given))| tag != given)
        .map(|(word, (tag, given))| {
            format!("{}: answer <b>{}</b>, label <b>{}</b>", name(word), name(given), name(tag))
        })
        .collect();
    let rest = match wrong.len().saturating_sub(MOST_WORDS) {
        0 => String::new(),
        more => format!("; and {more} more words"),
    };
    let shown: Vec<String> = wrong.into_iter().take(MOST_WORDS).collect();
    Some(shown.join("; ") + &rest)
}

/// Predicted numbers by their targets, where rows have one number each. An error in the unit of the targets tells that they are
/// numbers.
fn predicted_by_target(run: &RunDirectory, rows: &HardRows) -> String {
    if run.results.train.get(Metric::Rmse).is_none() {
        return String::new();
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let point = |row: &HardRow| Some((number(&row.label)?, number(&row.predicted)?));
    let Some(points) = rows.confident_errors.iter().map(point).collect::<Option<Vec<_>>>() else {
        return String::new();
    };
    let targets = || points.iter().map(|(target, _)| *target);
    let (low, high) = (targets().fold(0.0, f64::min), targets().fold(f64::NEG_INFINITY, f64::max));
    if low >= high {
        return String::new();
    }
    let rows = points.len();
    let curves = vec![
        Curve::new("as it should be", Tone::Faint(2), [(low, low), (high, high)]),
        Curve { is_joined: false, ..Curve::new("rows listed below", Tone::Series(0), points) },
    ];
    let mut chart = Chart::new("Predicted by target", "target", "predicted", curves);
    chart.note = format!(
        "Only the {rows} rows with the greatest loss, which are listed below: on all rows the model is better than this."
    );
    format!("<div class=pictures>\n{}</div>\n", chart.figure())
}
