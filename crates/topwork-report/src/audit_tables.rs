//! What was found in the files before a run, as a part of a page.

use std::fmt::Write;

use topwork::advise::audit::{Audit, ClassRows, NumbersAudit, TagsAudit};

use crate::page::{Column, Table, count, escaped, excerpt, list, name};
use crate::phrases::{most_frequent, plain_number};

/// Rows of a table of texts.
const SHOWN: usize = 20;
/// Classes, labels or tags of a table.
const NAMES_SHOWN: usize = 50;
/// Letters of a text.
const LETTERS: usize = 200;

/// Everything that was found.
pub(crate) fn data(page: &mut String, audit: &Audit) {
    page.push_str("<h2>Data</h2>\n");
    match list(audit.findings.iter().map(|finding| escaped(finding))) {
        nothing if nothing.is_empty() => page.push_str("<p>Nothing was found amiss in the files.</p>\n"),
        findings => page.push_str(&findings),
    }
    page.push_str(&files(audit));
    page.push_str(&malformed(audit));
    page.push_str(&targets(audit));
    doubted(page, audit);
    pairs(page, audit);
}

fn files(audit: &Audit) -> String {
    let columns = ["rows", "without text", "without label", "repeated", "nearly alike"].map(Column::number);
    let mut table = Table::new("The files", [vec![Column::text("file")], columns.to_vec()].concat());
    for split in &audit.splits {
        let numbers =
            [split.rows, split.empty_lines.len(), split.unlabelled_lines.len(), split.repeated_rows, split.near_pairs];
        table.row(std::iter::once(split.name.to_string()).chain(numbers.map(count)));
    }
    table.html()
}

/// Rows whose label is not what the task takes.
fn malformed(audit: &Audit) -> String {
    let columns =
        vec![Column::text("line"), Column::text("file"), Column::text("what was expected, and what was found")];
    let caption = "Rows whose label is not what the task takes";
    table_of(caption, columns, &audit.malformed, SHOWN, |row| {
        vec![row.line.to_string(), row.split.to_string(), excerpt(&row.problem, LETTERS)]
    })
}

/// What is to be learnt: classes, labels, numbers or tags.
fn targets(audit: &Audit) -> String {
    let splits: Vec<&str> = audit.splits.iter().map(|split| split.name).collect();
    let mut html = String::new();
    if !audit.classes.is_empty() {
        html.push_str(&names("class", "Rows of each class", &audit.classes, &splits));
    }
    if let Some(labels) = &audit.labels {
        let without = splits.iter().zip(&labels.without_label).map(|(split, rows)| format!("{} {split}", count(*rows)));
        let _ = writeln!(html, "<p>Rows without any label: {}.</p>", without.collect::<Vec<_>>().join(", "));
        html.push_str(&names("label", "Rows of each label", &labels.rows, &splits));
    }
    if let Some(found) = &audit.numbers {
        html.push_str(&numbers(found, &splits));
    }
    if let Some(found) = &audit.tags {
        html.push_str(&tags(found, &splits));
    }
    html
}

fn names(what: &str, caption: &str, all: &[ClassRows], splits: &[&str]) -> String {
    let columns = splits.iter().map(|split| Column::number(*split));
    let (frequent, others) = most_frequent(all, NAMES_SHOWN);
    let caption = match others {
        0 => caption.to_string(),
        _ => format!("{caption}: the {} most frequent of {}", frequent.len(), count(all.len())),
    };
    let mut table = Table::new(caption, std::iter::once(Column::text(what)).chain(columns).collect());
    for own in frequent {
        table.row(std::iter::once(name(&own.label)).chain(own.rows.iter().map(|rows| count(*rows))));
    }
    table.html()
}

fn numbers(found: &NumbersAudit, splits: &[&str]) -> String {
    let columns = ["rows", "least", "median", "greatest"].map(Column::number);
    let columns = [vec![Column::text("number"), Column::text("file")], columns.to_vec()].concat();
    let mut table = Table::new("The numbers to learn", columns);
    for output in &found.outputs {
        for (range, split) in output.ranges.iter().zip(splits) {
            let values = match range {
                Some(own) => [count(own.rows), plain_number(own.min), plain_number(own.median), plain_number(own.max)],
                None => ["0", "–", "–", "–"].map(str::to_string),
            };
            table.row([name(&output.name), split.to_string()].into_iter().chain(values));
        }
    }
    let mut html = table.html();
    let columns = [vec![Column::text("line")], ["file", "number"].map(Column::text).to_vec()].concat();
    let columns = [columns, ["value", "deviations from the median"].map(Column::number).to_vec()].concat();
    html.push_str(&table_of("Numbers far from the others", columns, &found.outliers, SHOWN, |own| {
        let place = [own.place.line.to_string(), own.place.split.to_string(), name(&own.output)];
        place.into_iter().chain([plain_number(own.value), format!("{:.0}", own.deviations)]).collect()
    }));
    let columns = vec![
        Column::text("lines"),
        Column::text("number"),
        Column::number("least"),
        Column::number("greatest"),
        Column::text("text"),
    ];
    html.push_str(&table_of("Texts that repeat with differing numbers", columns, &found.differing, SHOWN, |own| {
        let lines: Vec<String> = own.lines.iter().map(usize::to_string).collect();
        let values = [own.least, own.most].map(plain_number);
        let beginning = [excerpt(&lines.join(", "), LETTERS), name(&own.output)];
        beginning.into_iter().chain(values).chain([excerpt(&own.text, LETTERS)]).collect()
    }));
    html
}

fn tags(found: &TagsAudit, splits: &[&str]) -> String {
    let mut html = match &found.scheme {
        Some(scheme) => format!("<p>Scheme of the tags: {}.</p>\n", escaped(scheme)),
        None => "<p>The tags fit with no scheme.</p>\n".to_string(),
    };
    html.push_str(&names("tag", "Words of each tag", &found.words, splits));
    let columns = ["line", "file", "word", "tag", "expected"].map(Column::text).to_vec();
    html.push_str(&table_of("Tags that are malformed", columns, &found.malformed, SHOWN, |own| {
        let place = [own.line.to_string(), own.split.to_string()];
        let word = format!("{} ({})", name(&own.word), own.token);
        place.into_iter().chain([word, name(&own.tag), excerpt(&own.expected, LETTERS)]).collect()
    }));
    let columns = ["words", "tags of the word in the middle, with lines"].map(Column::text).to_vec();
    let caption = "Words that are tagged differently between the same words";
    html.push_str(&table_of(caption, columns, &found.conflicting_contexts, SHOWN, |own| {
        let tag = |(tag, rows): (&String, &Vec<topwork::advise::audit::Place>)| {
            let lines: Vec<String> = rows.iter().map(|row| row.line.to_string()).collect();
            format!("{} ({})", name(tag), excerpt(&lines.join(", "), LETTERS))
        };
        vec![excerpt(&own.text, LETTERS), own.tags.iter().map(tag).collect::<Vec<_>>().join("; ")]
    }));
    html
}

/// A table of the first of these; nothing without any.
fn table_of<T>(
    caption: &str,
    columns: Vec<Column>,
    all: &[T],
    at_most: usize,
    row: impl Fn(&T) -> Vec<String>,
) -> String {
    if all.is_empty() {
        return String::new();
    }
    let caption = match all.len() > at_most {
        true => format!("{caption}: the first {at_most} of {}", count(all.len())),
        false => caption.to_string(),
    };
    let mut table = Table::new(caption, columns);
    all.iter().take(at_most).for_each(|own| table.row(row(own)));
    table.html()
}

fn doubted(page: &mut String, audit: &Audit) {
    if let Some(found) = audit.label_issues.as_ref().filter(|found| !found.issues.is_empty()) {
        page.push_str("<h3>Doubted labels</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"doubted labels\"><table><thead><tr><th>line</th><th class=\"text\">label</th><th class=\"text\">rather</th><th class=\"text\">text</th></tr></thead><tbody>\n");
        for issue in found.issues.iter().take(SHOWN) {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"text\">{} ({:.0} %)</td><td class=\"text\">{} ({:.0} %)</td><td class=\"text\">{}</td></tr>",
                issue.line,
                escaped(&issue.given),
                100.0 * issue.given_probability,
                escaped(&issue.suggested),
                100.0 * issue.suggested_probability,
                excerpt(&issue.text, LETTERS)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
}

fn pairs(page: &mut String, audit: &Audit) {
    if !audit.pairs.is_empty() {
        page.push_str("<h3>Texts that stand twice, or nearly</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"texts alike\"><table><thead><tr><th>rows</th><th>alike</th><th class=\"text\">texts</th></tr></thead><tbody>\n");
        for pair in audit.pairs.iter().take(SHOWN) {
            let _ = writeln!(
                page,
                "<tr><td>{} {}, {} {}</td><td>{:.0} %</td><td class=\"text\">{}<br>{}</td></tr>",
                pair.first.split,
                pair.first.line,
                pair.second.split,
                pair.second.line,
                100.0 * pair.resemblance,
                excerpt(&pair.first_text, LETTERS),
                excerpt(&pair.second_text, LETTERS)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
}
