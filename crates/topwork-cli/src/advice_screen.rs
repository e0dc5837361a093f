//! What was found before a run, on a screen.

use std::fmt::Write;
use std::path::Path;

use topwork::advise::Advice;
use topwork::advise::audit::Audit;
use topwork::advise::race::Race;
use topwork::advise::similarity::Similarity;
use topwork::advise::transferability::Of;
use topwork::fit::range_test::RangeTest;
use topwork::plan::Origin;
use topwork_report::{length_of, texts_of, turns_direction};

use crate::commands::advise::beside;

/// Pairs and rows of a kind that fit on a screen.
const SHOWN: usize = 5;
/// Letters of a text that fit in a line.
const LETTERS: usize = 72;
/// Rows and columns of a curve.
const PLOT: (usize, usize) = (10, 60);

/// Everything on one screen.
pub(crate) fn advice_screen(advice: &Advice, written: Option<&Path>) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} rows, {} looked at", advice.rows, advice.rows_looked_at);
    for finding in &advice.audit.findings {
        let _ = writeln!(text, "  ! {finding}");
    }
    text.push('\n');
    text.push_str(&candidates(advice));
    let _ = writeln!(text, "\n{}", similarity(&advice.similarity));
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
    for failure in &advice.failures {
        let _ = writeln!(text, "left out: {}: {}", failure.model, failure.error);
    }
    let _ = write!(text, "\nin {:.1} s", advice.seconds);
    match (written, &advice.recipe) {
        (Some(path), Some(_)) => {
            let _ = writeln!(text, "; see {}", beside(path, "html").display());
            let _ = writeln!(text, "run it: topwork tune --recipe '{}'", path.display());
        }
        (Some(path), None) => {
            let _ = writeln!(text, "; everything: {}", beside(path, "html").display());
        }
        (None, _) => text.push_str("; keep it: --output recipe.toml\n"),
    }
    harmless(&text)
}

fn candidates(advice: &Advice) -> String {
    let baselines = &advice.transferability.baselines;
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

/// What is wrong with the files.
pub(crate) fn audit_screen(audit: &Audit) -> String {
    let mut text = format!("{:<12}{:>8}{:>8}{:>10}{:>14}  script\n", "", "rows", "empty", "repeated", "nearly alike");
    for split in &audit.splits {
        let script =
            split.scripts.first().map_or("none".to_string(), |(name, part)| format!("{name} {:.0} %", 100.0 * part));
        let _ = writeln!(
            text,
            "{:<12}{:>8}{:>8}{:>10}{:>14}  {script}",
            split.name,
            split.rows,
            split.empty_lines.len(),
            split.repeated_rows,
            split.near_pairs
        );
    }
    for shared in &audit.shared {
        let _ = writeln!(
            text,
            "{} and {}: {} texts in both ({} letter for letter), {} rows of {}; {} more nearly",
            shared.earlier,
            shared.later,
            shared.texts,
            shared.identical_texts,
            shared.rows,
            shared.later,
            shared.near_rows
        );
    }
    let _ = writeln!(
        text,
        "{} classes, the largest has {:.1} times the rows of the smallest",
        audit.classes.len(),
        audit.imbalance
    );
    if let Some(tokens) = &audit.tokens {
        let _ = writeln!(
            text,
            "{}: {:.2} tokens a word, {:.2} % unknown, {:.1} % of the rows cut after {} tokens{}",
            tokens.model,
            tokens.pieces_per_word,
            100.0 * tokens.unknown,
            100.0 * tokens.truncated,
            tokens.max_seq_length,
            tokens.unseen_words.map_or(String::new(), |part| format!(
                ", {:.1} % of the words held out are in no training row",
                100.0 * part
            ))
        );
    }
    for pair in audit.pairs.iter().take(SHOWN) {
        let labels = if pair.same_label { "" } else { ", other label" };
        let _ = writeln!(
            text,
            "\n{} line {} and {} line {} ({:.0} % alike{labels})\n  {}\n  {}",
            pair.first.split,
            pair.first.line,
            pair.second.split,
            pair.second.line,
            100.0 * pair.resemblance,
            shortened(&pair.first_text, LETTERS),
            shortened(&pair.second_text, LETTERS)
        );
    }
    if let Some(conflict) = audit.conflicts.first() {
        let labels: Vec<String> = conflict.labels.iter().map(|(label, rows)| format!("{label} {rows} times")).collect();
        let _ =
            writeln!(text, "\n{} texts with several labels, such as ({})", audit.conflicts.len(), labels.join(", "));
        let _ = writeln!(text, "  {}", shortened(&conflict.text, LETTERS));
    }
    if let Some(found) = audit.label_issues.as_ref().filter(|found| !found.issues.is_empty()) {
        let _ = writeln!(text, "\n{} of {} labels are doubted, most of all", found.issues.len(), found.rows);
        for issue in found.issues.iter().take(SHOWN) {
            let _ = writeln!(
                text,
                "  line {}: {} ({:.0} %), rather {} ({:.0} %): {}",
                issue.line,
                issue.given,
                100.0 * issue.given_probability,
                issue.suggested,
                100.0 * issue.suggested_probability,
                shortened(&issue.text, 48)
            );
        }
    }
    if !audit.findings.is_empty() {
        text.push('\n');
        for finding in &audit.findings {
            let _ = writeln!(text, "! {finding}");
        }
    }
    harmless(&text)
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

/// A text that leaves the terminal as it is, whatever stands in files: without control characters but the ends of lines, and
/// without marks that turn the direction of writing.
fn harmless(text: &str) -> String {
    let is_harmful = |c: char| (c.is_control() && c != '\n') || turns_direction(c);
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// At most so many letters, on one line.
fn shortened(text: &str, letters: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= letters {
        return line;
    }
    let start: String = line.chars().take(letters - 1).collect();
    start + "…"
}
