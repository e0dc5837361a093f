//! What was found in labelled files, on a screen.

use std::fmt::Write;

use topwork::advise::audit::{
    Audit, ClassRows, DifferingNumbers, MalformedTag, MalformedTarget, NumbersAudit, Place, StandingOut, TagConflict,
    TagsAudit, TokenAudit,
};
use topwork_report::{most_frequent, part_of, plain_number, target_of};

use crate::screen_text::{harmless, shortened, task_line};

/// Pairs and rows of a kind that fit on a screen.
const SHOWN: usize = 5;
/// Labels or tags that fit on a screen.
const NAMES_SHOWN: usize = 10;
/// Letters of a text that fit in a line.
const LETTERS: usize = 72;

/// What is wrong with the files.
pub(crate) fn audit_screen(audit: &Audit) -> String {
    let mut text = task_line(audit.task, &audit.recognised_by);
    text.push_str(&files(audit));
    text.push_str(&targets(audit));
    text.push_str(&tokens(audit));
    text.push_str(&rows(audit));
    text.push_str(&doubted(audit));
    // Without a page, the reason stands here.
    for (part, why) in &audit.not_applicable {
        let _ = writeln!(text, "\nleft out   {}: {why}", part_of(part));
    }
    if !audit.findings.is_empty() {
        text.push('\n');
        for finding in &audit.findings {
            let _ = writeln!(text, "! {finding}");
        }
    }
    harmless(&text)
}

fn files(audit: &Audit) -> String {
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
    text
}

/// What is to be learnt: classes, labels, numbers or tags.
fn targets(audit: &Audit) -> String {
    let splits: Vec<&str> = audit.splits.iter().map(|split| split.name).collect();
    let mut text = String::new();
    if let Some(imbalance) = audit.imbalance {
        let (classes, declared) =
            (audit.classes.len(), audit.classes.iter().filter(|class| class.rows[0] == 0).count());
        let among = if declared == 0 { String::new() } else { format!("; {declared} of them have no training row") };
        let _ =
            writeln!(text, "{classes} classes, the largest has {imbalance:.1} times the rows of the smallest{among}");
    }
    if let Some(labels) = &audit.labels {
        let without: Vec<String> =
            splits.iter().zip(&labels.without_label).map(|(split, rows)| format!("{rows} {split} rows")).collect();
        let _ = writeln!(text, "\n{} labels; {} have none", labels.rows.len(), without.join(", "));
        text.push_str(&names("label, by rows", &labels.rows, &splits));
    }
    if let Some(found) = &audit.numbers {
        text.push_str(&numbers(found, &splits));
    }
    if let Some(found) = &audit.tags {
        let scheme = found.scheme.as_ref().map_or("that fit with no scheme".to_string(), |own| format!("({own})"));
        let _ = writeln!(text, "\n{} tags {scheme}", found.words.len());
        text.push_str(&names("tag, by words", &found.words, &splits));
        text.push_str(&tag_problems(found));
    }
    if !audit.malformed.is_empty() {
        let _ = writeln!(text, "\n{} rows whose label is not what the task takes", audit.malformed.len());
        let line = |row: &MalformedTarget| format!("{} line {}: {}", row.split, row.line, row.problem);
        text.push_str(&first(&audit.malformed, line));
    }
    text
}

/// The most frequent names, with their rows in each of the files.
fn names(what: &str, all: &[ClassRows], splits: &[&str]) -> String {
    let (frequent, others) = most_frequent(all, NAMES_SHOWN);
    let heads: String = splits.iter().map(|split| format!("{split:>12}")).collect();
    let mut text = format!("{what:<32}{heads}\n");
    for own in frequent {
        let rows: String = own.rows.iter().map(|rows| format!("{rows:>12}")).collect();
        let _ = writeln!(text, "{:<32}{rows}", shortened(&own.label, 31));
    }
    if others > 0 {
        let _ = writeln!(text, "and {others} less frequent");
    }
    text
}

fn numbers(found: &NumbersAudit, splits: &[&str]) -> String {
    let mut text =
        format!("\n{:<20}{:<12}{:>8}{:>12}{:>12}{:>12}\n", "number", "file", "rows", "least", "median", "greatest");
    for output in &found.outputs {
        for (range, split) in output.ranges.iter().zip(splits) {
            let (rows, [least, median, greatest]) = match range {
                Some(own) => (own.rows, [own.min, own.median, own.max].map(plain_number)),
                None => (0, ["–"; 3].map(str::to_string)),
            };
            let name = shortened(&output.name, 19);
            let _ = writeln!(text, "{name:<20}{split:<12}{rows:>8}{least:>12}{median:>12}{greatest:>12}");
        }
    }
    if !found.outliers.is_empty() {
        let _ = writeln!(text, "\n{} numbers far from the others", found.outliers.len());
        text.push_str(&first(&found.outliers, |own: &StandingOut| {
            let (value, place) = (plain_number(own.value), &own.place);
            let StandingOut { output, deviations, .. } = own;
            format!("{} line {}: {output} {value}, {deviations:.0} deviations from the median", place.split, place.line)
        }));
    }
    if !found.differing.is_empty() {
        let _ = writeln!(text, "\n{} texts that repeat with differing numbers", found.differing.len());
        text.push_str(&first(&found.differing, |own: &DifferingNumbers| {
            let [least, most] = [own.least, own.most].map(plain_number);
            let lines: Vec<String> = own.lines.iter().map(usize::to_string).collect();
            let lines = shortened(&lines.join(", "), 24);
            format!("lines {lines}: {} from {least} to {most}: {}", own.output, shortened(&own.text, 48))
        }));
    }
    text
}

fn tag_problems(found: &TagsAudit) -> String {
    let mut text = String::new();
    if !found.malformed.is_empty() {
        let _ = writeln!(text, "\n{} tags are malformed", found.malformed.len());
        text.push_str(&first(&found.malformed, |own: &MalformedTag| {
            let MalformedTag { split, line, token, word, tag, expected } = own;
            format!("{split} line {line}: word {token} (`{word}`) has `{tag}`, expected {expected}")
        }));
    }
    if !found.conflicting_contexts.is_empty() {
        let count = found.conflicting_contexts.len();
        let _ = writeln!(text, "\n{count} words are tagged differently between the same words");
        text.push_str(&first(&found.conflicting_contexts, |own: &TagConflict| {
            let lines = |rows: &[Place]| rows.iter().map(|row| row.line.to_string()).collect::<Vec<_>>().join(", ");
            let tags: Vec<String> =
                own.tags.iter().map(|(tag, rows)| format!("{tag} (line {})", shortened(&lines(rows), 24))).collect();
            format!("{}: {}", shortened(&own.text, 48), tags.join("; "))
        }));
    }
    text
}

/// The first of these, one a line, and how many more there are.
fn first<T>(all: &[T], line: impl Fn(&T) -> String) -> String {
    let mut text: String = all.iter().take(SHOWN).map(|own| format!("  {}\n", line(own))).collect();
    if let Some(more) = all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more, which --json lists");
    }
    text
}

fn tokens(audit: &Audit) -> String {
    let mut text = String::new();
    if let Some(tokens) = &audit.tokens {
        let _ = writeln!(
            text,
            "\n{}: {:.2} tokens a word, {:.2} % unknown, {}{}",
            tokens.model,
            tokens.pieces_per_word,
            100.0 * tokens.unknown,
            long_rows(tokens),
            tokens.unseen_words.map_or(String::new(), |part| format!(
                ", {:.1} % of the words held out are in no training row",
                100.0 * part
            ))
        );
    }
    text
}

/// What becomes of rows that are too long.
fn long_rows(tokens: &TokenAudit) -> String {
    let (length, part) = (tokens.max_seq_length, 100.0 * tokens.windowed);
    match tokens.windowed > 0.0 {
        true => format!("{part:.1} % of the rows are longer than {length} tokens and read in windows"),
        false => format!("{:.1} % of the rows cut after {length} tokens", 100.0 * tokens.truncated),
    }
}

/// Rows that repeat.
fn rows(audit: &Audit) -> String {
    let (target, targets) = target_of(audit);
    let mut text = String::new();
    for pair in audit.pairs.iter().take(SHOWN) {
        let labels = if pair.same_label { String::new() } else { format!(", other {target}") };
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
        let said = |(label, rows): (&String, &usize)| format!("{} {rows} times", shortened(label, 48));
        let said: Vec<String> = conflict.labels.iter().map(said).collect();
        let _ = writeln!(
            text,
            "\n{} texts with several {targets}, such as ({})",
            audit.conflicts.len(),
            shortened(&said.join(", "), 2 * LETTERS)
        );
        let _ = writeln!(text, "  {}", shortened(&conflict.text, LETTERS));
    }
    text
}

fn doubted(audit: &Audit) -> String {
    let mut text = String::new();
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
    text
}
