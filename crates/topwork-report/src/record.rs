//! The record of a run: its data, proofs, plan and environment, and how to repeat it.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use topwork::run::output_directory::PLAN;
use topwork::run::proofs::Proofs;
use topwork::tune::finished_run::{PlanLine, RunDirectory};
use topwork::tune::results::Seconds;

use crate::headline::time;
use crate::page::{Column, Table, count, escaped, excerpt, folded, list, name, percent};

/// Doubted labels that are shown.
const SHOWN: usize = 20;
/// Letters of a text, and of a value of the plan.
const LETTERS: usize = 200;

/// What was found in the files before the run.
pub(crate) fn data(advice: &Value) -> String {
    let audit = &advice["audit"];
    if !audit.is_object() {
        return "<p>What was measured before the run says nothing of the files.</p>\n".to_string();
    }
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let findings = list(array(&audit["findings"]).iter().map(|finding| escaped(&text(finding))));
    let mut html =
        if findings.is_empty() { "<p>Nothing was found amiss in the files.</p>\n".to_string() } else { findings };
    let columns = ["rows", "without text", "repeated", "nearly alike"].map(Column::number);
    let mut splits = Table::new("The files", [vec![Column::text("split")], columns.to_vec()].concat());
    for split in array(&audit["splits"]) {
        let number = |value: &Value| count(value.as_u64().unwrap_or(0) as usize);
        splits.row([
            escaped(&text(&split["name"])),
            number(&split["rows"]),
            count(split["empty_lines"].as_array().map_or(0, Vec::len)),
            number(&split["repeated_rows"]),
            number(&split["near_pairs"]),
        ]);
    }
    html.push_str(&splits.html());
    html.push_str(&doubted(&array(&audit["label_issues"]["issues"])));
    html
}

fn doubted(issues: &[Value]) -> String {
    if issues.is_empty() {
        return String::new();
    }
    let item = |issue: &Value| {
        let text = |key: &str| issue[key].as_str().unwrap_or_default();
        let part = |key: &str| percent(issue[key].as_f64().unwrap_or(f64::NAN));
        format!(
            "<li><q dir=auto>{}</q><p>line {}: label <b>{}</b> ({}), rather <b>{}</b> ({})</p></li>\n",
            excerpt(text("text"), LETTERS),
            issue["line"].as_u64().unwrap_or(0),
            name(text("given")),
            part("given_probability"),
            name(text("suggested")),
            part("suggested_probability")
        )
    };
    let items: String = issues.iter().take(SHOWN).map(item).collect();
    folded(
        &format!("{} doubted labels of training rows, the most doubtful first", count(issues.len())),
        &format!("<ol class=rows>\n{items}</ol>\n"),
    )
}

/// What was proved.
pub(crate) fn proofs(proofs: &Proofs) -> String {
    let details = list(proofs.details().into_iter().map(|(_, detail)| escaped(&detail)));
    let hash = &proofs.frozen_unchanged.sha256;
    format!("{details}<p class=quiet>SHA-256 over the frozen tensors: <code>{}</code></p>\n", escaped(hash))
}

/// The plan: what was said first, what was taken by itself folded.
pub(crate) fn plan(run: &RunDirectory) -> String {
    let (facts, options): (Vec<&PlanLine>, Vec<&PlanLine>) = run.plan.iter().partition(|line| line.table == "facts");
    let (said, taken): (Vec<&PlanLine>, Vec<&PlanLine>) =
        options.into_iter().partition(|line| matches!(line.origin.as_str(), "flag" | "recipe" | "advice"));
    let mut html = String::new();
    if !said.is_empty() {
        html.push_str(&lines("What was said or measured", &said));
    }
    if !taken.is_empty() {
        let title = format!("{} values that follow from data, model and defaults", taken.len());
        html.push_str(&folded(&title, &lines("What follows", &taken)));
    }
    if !facts.is_empty() {
        let mut table = Table::new("Hashes that pin the run", vec![Column::text("fact"), Column::text("value")]);
        facts.iter().for_each(|line| table.row([key(line), value(line)]));
        html.push_str(&folded("Facts that pin the run", &table.html()));
    }
    html
}

fn lines(caption: &str, lines: &[&PlanLine]) -> String {
    let columns = ["option", "value", "origin", "reason"].map(Column::text).to_vec();
    let mut table = Table::new(caption, columns);
    for line in lines {
        table.row([key(line), value(line), escaped(&line.origin), excerpt(&line.reason, LETTERS)]);
    }
    table.html()
}

fn key(line: &PlanLine) -> String {
    format!("<code>{}</code>", escaped(&line.key))
}

fn value(line: &PlanLine) -> String {
    line.value.as_ref().map_or("<span class=quiet>not set</span>".to_string(), |value| {
        format!("<code>{}</code>", excerpt(value, LETTERS))
    })
}

/// The environment, and the command that does it again.
pub(crate) fn repeat(run: &RunDirectory) -> String {
    let results = &run.results;
    let mut html = format!(
        "<pre><code>{}</code></pre>\n\
         <p>The same version, files and seed give the same weights, on any number of threads.</p>\n",
        escaped(&command(&run.path.join(PLAN)))
    );
    html.push_str(&time_by_part(&results.seconds).html());
    let mut facts = vec![
        ("topwork", results.topwork_version.to_string()),
        ("Seed", results.seed.to_string()),
        ("Threads", run.value("threads").unwrap_or_else(|| "not said".to_string())),
        ("Tokens", count(results.tokens as usize)),
        ("Tokens a second", format!("{:.0}", results.tokens_per_second)),
    ];
    facts.extend(results.peak_rss_mb.map(|megabytes| ("Memory at most", format!("{megabytes:.0} MB"))));
    html.push_str("<dl class=facts>\n");
    for (term, what) in facts {
        let _ = writeln!(html, "<div><dt>{term}</dt><dd>{}</dd></div>", escaped(&what));
    }
    html.push_str("</dl>\n");
    if !run.notes.is_empty() {
        let notes = run.notes.iter().take(5 * SHOWN).map(|note| excerpt(note, LETTERS));
        html.push_str(&folded("Notes of the run", &list(notes)));
    }
    html
}

/// Wall time by part of the run. Every field has its row, or this does not compile.
fn time_by_part(seconds: &Seconds) -> Table {
    let Seconds { load, tokenize, train, log, evaluate, save, verdict, repeat, compare, total } = *seconds;
    let parts = [
        ("reading data and model", load),
        ("tokenizing", tokenize),
        ("training", train),
        ("looking at blocks, and logs", log),
        ("scoring", evaluate),
        ("verdict", verdict),
        ("training again: seeds, folds, labels in random order", repeat),
        ("comparing", compare),
        ("saving and proving", save),
    ];
    let taken: f64 = parts.iter().map(|(_, taken)| taken).sum();
    // Of a resumed run, the total is that of the last process, and training counts from the beginning.
    let (all, whole) = match taken > total {
        true => ("in all, with what came before an interruption", taken),
        false => ("in all", total),
    };
    let mut table =
        Table::new("Where the time went", vec![Column::text("part"), Column::number("time"), Column::number("share")]);
    for (part, taken) in parts.into_iter().filter(|(_, taken)| *taken > 0.0) {
        let said = if taken < 0.05 { "less than 0.1 s".to_string() } else { time(taken) };
        table.row([part.to_string(), said, percent(taken / whole)]);
    }
    table.row([all.to_string(), time(whole), percent(1.0)]);
    table
}

/// The command that repeats a plan.
pub(crate) fn command(plan: &Path) -> String {
    format!("topwork tune --recipe {} --output NEW", quoted(&plan.to_string_lossy()))
}

/// A path that a shell takes as it is.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(is_plain) { path.to_string() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The fields of [`Seconds`] without the total.
    fn parts() -> Vec<String> {
        let all = serde_json::to_value(Seconds::default()).expect("seconds are JSON");
        all.as_object().into_iter().flatten().map(|(part, _)| part.clone()).filter(|part| part != "total").collect()
    }

    fn seconds(part: impl Fn(usize) -> f64, total: f64) -> Seconds {
        let mut all: Value = parts().iter().enumerate().map(|(nth, name)| (name.clone(), json!(part(nth)))).collect();
        all["total"] = json!(total);
        serde_json::from_value(all).expect("these are the fields of seconds")
    }

    fn shares(table: &Table) -> Vec<f64> {
        table.rows.iter().map(|row| row[2].trim_end_matches(" %").parse().expect("a share is a number")).collect()
    }

    #[test]
    fn every_part_of_the_time_has_its_row_and_together_they_are_at_most_all_of_it() {
        let names = parts();
        for (total, is_resumed) in [(1000.0, false), (20.0, true)] {
            let table = time_by_part(&seconds(|nth| 10.0 + nth as f64, total));
            assert_eq!(table.rows.len(), names.len() + 1, "{:?}", table.rows);
            for (nth, name) in names.iter().enumerate() {
                let said = time(10.0 + nth as f64);
                assert_eq!(table.rows.iter().filter(|row| row[1] == said).count(), 1, "{name}: {said}");
            }
            let (all, parts) = shares(&table).split_last().map(|(all, parts)| (*all, parts.to_vec())).expect("rows");
            // Each share is rounded to a tenth of a per cent.
            let rounding = 0.05 * names.len() as f64;
            assert!(all == 100.0 && parts.iter().sum::<f64>() <= all + rounding, "{parts:?}");
            assert_eq!(table.rows.last().is_some_and(|row| row[0].contains("interruption")), is_resumed);
        }
    }

    #[test]
    fn a_part_that_took_next_to_no_time_is_shown_and_one_that_took_none_is_not() {
        let table = time_by_part(&seconds(|nth| if nth == 0 { 0.001 } else { 0.0 }, 1.0));
        let said: Vec<&str> = table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(said, ["less than 0.1 s", "1.0 s"]);
    }
}
