//! What was found before a run, on a screen.

use std::fmt::Write;
use std::path::Path;

use topwork::advise::race::Race;
use topwork::advise::similarity::Similarity;
use topwork::advise::transferability::{Baselines, Of};
use topwork::advise::{Advice, AdvisedMethod};
use topwork::events::shown;
use topwork::fit::range_test::RangeTest;
use topwork::plan::Origin;
use topwork_metrics::Metric;
use topwork_report::{length_of, part_of, texts_of};

use crate::screen_text::{harmless, left_out, shortened, task_line};

/// Rows and columns of a curve.
const PLOT: (usize, usize) = (10, 60);

/// The files that advice was written to.
pub(crate) struct Written<'a> {
    pub(crate) recipe: &'a Path,
    pub(crate) page: &'a Path,
}

/// Everything on one screen.
pub(crate) fn advice_screen(advice: &Advice, written: Option<&Written<'_>>) -> String {
    let mut text = task_line(advice.task, &advice.audit.recognised_by);
    let _ = writeln!(text, "{} rows, {} looked at", advice.rows, advice.rows_looked_at);
    for finding in &advice.audit.findings {
        let _ = writeln!(text, "  ! {finding}");
    }
    text.push('\n');
    text.push_str(&candidates(advice));
    let _ = writeln!(text, "\n{}", similarity(&advice.similarity));
    if let Some(AdvisedMethod { name, why }) = &advice.method {
        let _ = writeln!(text, "method: {name}, with its own length and rate: {why}");
    }
    if let Some(found) = &advice.learning_rate {
        if let Some(own) = &found.race {
            let _ = writeln!(text, "\n{}", race(own));
        }
        let _ = writeln!(
            text,
            "setting: {} (freeze {}, {}, rate {:.1e}): {}",
            found.setting.from,
            found.setting.freeze_layers,
            length_of(found.setting.num_train_epochs),
            found.setting.learning_rate,
            found.why
        );
        let is_advised = |key| {
            let values = advice.recipe.iter().flat_map(|recipe| &recipe.values);
            values.into_iter().any(|value| value.key == key && value.origin == Origin::Advice)
        };
        if let Some(length) = advice.length.as_ref().filter(|_| is_advised("num_train_epochs")) {
            let _ = writeln!(text, "length: {}", length.why);
        }
    }
    if let Some(expectation) = &advice.expectation {
        let expected = match expectation.interval {
            Some((low, high)) => format!(
                "accuracy {:.1} % (four times in five {:.1} to {:.1} %) in",
                100.0 * expectation.accuracy,
                100.0 * low,
                100.0 * high
            ),
            None => "done in".to_string(),
        };
        let seconds = expectation.seconds;
        let _ =
            writeln!(text, "expected: {expected} about {seconds:.0} s without comparisons\n{}", expectation.sentence);
    }
    if let (None, Some(seconds)) = (&advice.expectation, advice.tune_seconds) {
        let _ = writeln!(text, "expected: tune takes about {seconds:.0} s without comparisons; no score is foretold");
    }
    text.push_str(&left_out(advice.not_applicable.iter().map(|(part, _)| part_of(part)), written.is_some(), "advise"));
    for failure in &advice.failures {
        let _ = writeln!(text, "left out: {}: {}", failure.model, failure.error);
    }
    let _ = write!(text, "\nin {:.1} s", advice.seconds);
    match written {
        Some(Written { recipe, page }) if advice.recipe.is_some() => {
            let _ = writeln!(text, "; see {}", page.display());
            let _ = writeln!(text, "run it: topwork tune --recipe '{}'", recipe.display());
        }
        Some(Written { page, .. }) => {
            let _ = writeln!(text, "; everything: {}", page.display());
        }
        None => text.push_str("; keep it: --output recipe.toml\n"),
    }
    harmless(&text)
}

fn candidates(advice: &Advice) -> String {
    match &advice.transferability.baselines {
        Some(baselines) => by_scores(advice, baselines),
        None => by_metric(advice),
    }
}

/// Models of a task without classes: what a linear head reaches on each, where the task has one.
fn by_metric(advice: &Advice) -> String {
    let found = &advice.transferability;
    let metric = found.ranked_by.and_then(|name| Metric::find(name, &Metric::ALL).ok());
    let head = metric.map_or(String::new(), |metric| format!("{:>18}", format!("{}*", metric.label())));
    let mut text = format!("{:<34}{head}{:>8}{:>12}\n", "model", "layers", "parameters");
    for candidate in &found.candidates {
        let value = metric.map_or(String::new(), |metric| {
            let value = candidate.score(metric.name(), Of::Best);
            format!("{:>18}", value.map_or("–".to_string(), |value| shown(metric, value)))
        });
        let _ = writeln!(
            text,
            "{:<34}{value}{:>8}{:>12}",
            shortened(&candidate.model, 33),
            candidate.num_hidden_layers,
            format!("{:.1} M", candidate.parameters as f64 / 1e6),
        );
    }
    match metric {
        Some(_) => text.push_str("* of a linear head on the untouched model, on rows that it was not fitted to\n"),
        None if found.candidates.len() > 1 => text.push_str("not ranked: the first that can be used is taken\n"),
        None => {}
    }
    text
}

fn by_scores(advice: &Advice, baselines: &Baselines) -> String {
    let mut text = format!(
        "{:<34}{:>8}{:>9}{:>7}{:>9}{:>9}{:>9}{:>8}{:>12}\n",
        "model; * best layer, else means",
        "probe",
        "probe*",
        "PARC*",
        "nearest",
        "LogME",
        "H-score",
        "layers",
        "parameters"
    );
    for candidate in &advice.transferability.candidates {
        let number = |name: &str, of: Of, digits: usize| {
            candidate.score(name, of).map_or("–".to_string(), |value| format!("{value:.digits$}"))
        };
        let [probe, best, nearest] =
            [("linear_probe", Of::Mean), ("linear_probe", Of::Best), ("knn", Of::Mean)].map(|(name, of)| {
                candidate.score(name, of).map_or("–".to_string(), |value| format!("{:.1} %", 100.0 * value))
            });
        let _ = writeln!(
            text,
            "{:<34}{probe:>8}{best:>9}{:>7}{nearest:>9}{:>9}{:>9}{:>8}{:>12}",
            shortened(&candidate.model, 33),
            number("parc", Of::Best, 1),
            number("logme", Of::Mean, 3),
            number("h_score", Of::Mean, 2),
            candidate.num_hidden_layers,
            format!("{:.1} M", candidate.parameters as f64 / 1e6),
        );
    }
    for (name, value) in [
        ("random weights of that shape", baselines.random_weights),
        ("bag of words", baselines.bag_of_words),
        ("majority class", baselines.majority),
    ] {
        let value = format!("{:.1} %", 100.0 * value);
        let _ = writeln!(text, "{name:<34}{value:>8}");
    }
    if let Some(models) = advice.transferability.not_told_apart() {
        let _ = writeln!(text, "* {models}");
    }
    text
}

/// Where the texts lie between those that the model knows and those of a language that it does not.
fn similarity(panel: &Similarity) -> String {
    let mut text = format!("compared with {}{}\n", panel.source, texts_of(panel));
    let _ = writeln!(text, "{:<22}{:>9}{:>20}{:>9}{:>9}  near ····· far", "", "value", "interval", "floor", "ceiling");
    let number = |value: Option<f64>| value.map_or("–".to_string(), |value| format!("{value:.3}"));
    for measure in &panel.measures {
        let interval = measure.interval.map_or("–".to_string(), |(low, high)| format!("{low:.3} to {high:.3}"));
        let bar = measure.place.map_or(String::new(), |place| {
            let at = (place * 14.0).round() as usize;
            (0..15).map(|cell| if cell == at { '●' } else { '·' }).collect()
        });
        let _ = writeln!(
            text,
            "{:<22}{:>9}{interval:>20}{:>9}{:>9}  {bar}  {}",
            measure.name.replace('_', " "),
            number(Some(measure.value)),
            number(measure.floor),
            number(measure.ceiling),
            measure.note
        );
    }
    for missing in &panel.missing {
        let _ = writeln!(text, "not measured: {missing}");
    }
    text
}

fn race(race: &Race) -> String {
    let mut text =
        format!("{:<57}{:>7}{:>12}{:>10}{:>24}\n", "setting", "freeze", "length", "rate", "accuracy held out");
    for (place, entrant) in race.entrants.iter().enumerate() {
        let rounds: Vec<String> =
            entrant.rounds.iter().map(|round| format!("{:.1} %", 100.0 * round.accuracy)).collect();
        let mark = if place == race.winner { "→ " } else { "  " };
        let _ = writeln!(
            text,
            "{:<57}{:>7}{:>12}{:>10}{:>24}",
            format!("{mark}{}", entrant.from),
            entrant.freeze_layers,
            length_of(entrant.num_train_epochs),
            format!("{:.1e}", entrant.learning_rate),
            rounds.join(" → ")
        );
    }
    text
}

/// A range test: the curve and what it suggests.
pub(crate) fn range_screen(found: &RangeTest, usual: f64) -> String {
    let mut text = plot(found);
    let _ = writeln!(text, "\n{:<28}{:>12}", "suggestion", "learning rate");
    let suggestions = [
        ("valley", found.valley),
        ("steepest", found.steepest),
        ("a tenth of the minimum", found.minimum_tenth),
        ("what tune takes by default", Some(usual)),
    ];
    for (name, rate) in suggestions {
        let rate = rate.map_or("none".to_string(), |rate| format!("{rate:.1e}"));
        let _ = writeln!(text, "{name:<28}{rate:>12}");
    }
    let _ = writeln!(
        text,
        "\n{} steps in {:.1} s; weights and optimizer are as before: {}",
        found.curve.len(),
        found.seconds,
        &found.state_sha256[..16.min(found.state_sha256.len())]
    );
    text
}

/// The smoothed loss over the learning rate, drawn with letters.
fn plot(found: &RangeTest) -> String {
    let (rows, columns) = PLOT;
    let losses: Vec<f64> = found.curve.iter().map(|step| step.smoothed).collect();
    let (Some(first), Some(last)) = (found.curve.first(), found.curve.last()) else {
        return "the loss was no number at the first step\n".to_string();
    };
    let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
    // What explodes would flatten all else.
    let high = losses.iter().copied().fold(0.0, f64::max).min(2.0 * losses[0].max(low));
    let mut cells = vec![vec![' '; columns]; rows];
    let span = (last.learning_rate / first.learning_rate).ln().max(1e-9);
    for step in &found.curve {
        let x = ((step.learning_rate / first.learning_rate).ln() / span * (columns - 1) as f64).round() as usize;
        let y = (high - step.smoothed.min(high)) / (high - low).max(1e-9) * (rows - 1) as f64;
        cells[y.round() as usize][x.min(columns - 1)] = '·';
    }
    let mut text = String::from("loss\n");
    for (row, cells) in cells.iter().enumerate() {
        let value = high - (high - low) * row as f64 / (rows - 1) as f64;
        let line: String = cells.iter().collect();
        let _ = writeln!(text, "{value:>7.3} │{}", line.trim_end());
    }
    let (start, end) = (format!("{:.0e}", first.learning_rate), format!("{:.0e}", last.learning_rate));
    let _ = writeln!(text, "        └{}", "─".repeat(columns));
    let _ = writeln!(text, "         {start}{}{end}", " ".repeat(columns - start.len() - end.len()));
    text
}
