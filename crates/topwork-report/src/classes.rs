//! Which class was given for which, and the scores of each class.

use std::fmt::Write;

use topwork::tasks::Part;
use topwork::tune::finished_run::RunDirectory;
use topwork::tune::results::{Confusion, MOST_CLASSES as MOST_KEPT};

use crate::applicable::applies;
use crate::metric_text::bar;
use crate::page::{Column, Table, count, escaped, folded, name, percent, wide};
use crate::scores::main_split;

/// With more classes a matrix cannot be read.
const MOST_IN_MATRIX: usize = 30;
/// Confusions in a list.
const LISTED: usize = 20;
/// Classes in a table.
const MOST_CLASSES: usize = 200;
/// More classes than this are folded.
const UNFOLDED_CLASSES: usize = 30;

/// The scores of a class.
pub(crate) struct ClassScores<'a> {
    pub(crate) label: &'a str,
    pub(crate) rows: u64,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
    pub(crate) f1: f64,
}

/// The scores of every class, in the matrix's order.
pub(crate) fn class_scores(confusion: &Confusion) -> Vec<ClassScores<'_>> {
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let at =
        |gold: usize, given: usize| confusion.counts.get(gold).and_then(|row| row.get(given)).copied().unwrap_or(0);
    let classes = confusion.labels.len();
    let mut given = vec![0; classes];
    for row in &confusion.counts {
        given.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
    }
    let mut scores = Vec::with_capacity(classes);
    for (class, label) in confusion.labels.iter().enumerate() {
        let right = at(class, class);
        let rows = confusion.counts.get(class).map_or(0, |row| row.iter().sum());
        scores.push(ClassScores {
            label,
            rows,
            precision: share(right, given[class]),
            recall: share(right, rows),
            f1: share(2 * right, rows + given[class]).unwrap_or(0.0),
        });
    }
    scores
}

/// Which class was given for which, and the scores of each; where that is not known, why. Nothing where rows have no classes.
pub(crate) fn classes(run: &RunDirectory) -> String {
    let Some(confusion) = &run.results.confusion else {
        return why_no_confusion(run).map_or(String::new(), |why| format!("<p>{why}</p>\n"));
    };
    let matrix = if confusion.labels.len() <= MOST_IN_MATRIX { matrix(confusion) } else { String::new() };
    matrix + &confusions(confusion) + &by_class(confusion)
}

/// Why it is not known which class was given for which; none where it is, and where rows have no classes.
pub(crate) fn why_no_confusion(run: &RunDirectory) -> Option<String> {
    if run.results.confusion.is_some() || !applies(&run.results, Part::Confusion) {
        return None;
    }
    Some(match (main_split(&run.results).0, run.classes) {
        ("train", _) => "No rows were held out, so there are no answers to set beside their labels.".to_string(),
        (_, Some(classes)) if classes > MOST_KEPT => format!(
            "The model tells {} classes apart, and which one was given for which is kept for at most {MOST_KEPT}.",
            count(classes)
        ),
        (_, Some(_) | None) => {
            "<code>all_results.json</code> does not say which class was given for which.".to_string()
        }
    })
}

fn matrix(confusion: &Confusion) -> String {
    let classes = confusion.labels.len();
    let longest = confusion.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    // Names that are wider than a cell stand upright.
    let turned = if longest > 4 { " class=turned" } else { "" };
    let mut html = format!(
        "<table class=confusion><caption><span>Rows of the {} split: label downwards, answer to the right; a row's shade is the share of \
         its label</span></caption>\n<thead><tr><td></td>",
        escaped(&confusion.split)
    );
    for label in &confusion.labels {
        let _ = write!(html, "<th scope=col{turned}>{}</th>", name(label));
    }
    html.push_str("</tr></thead>\n<tbody>");
    for (gold, label) in confusion.labels.iter().enumerate() {
        let _ = write!(html, "<tr><th scope=row>{}</th>", name(label));
        let row = confusion.counts.get(gold).map_or(&[][..], Vec::as_slice);
        let total: u64 = row.iter().sum();
        for given in 0..classes {
            let rows = row.get(given).copied().unwrap_or(0);
            let _ = write!(html, "<td class={}>{rows}</td>", shade(gold == given, rows, total));
        }
        html.push_str("</tr>\n");
    }
    wide("Which answer was given for which label", &(html + "</tbody></table>"))
}

/// How a cell is shaded.
fn shade(is_right: bool, rows: u64, total: u64) -> String {
    if rows == 0 {
        return "none".to_string();
    }
    let share = rows as f64 / total.max(1) as f64;
    let level = match (is_right, share) {
        (true, share) => 1 + [0.4, 0.7, 0.85].iter().filter(|bound| share >= **bound).count(),
        (false, share) => 1 + [0.05, 0.15, 0.35].iter().filter(|bound| share >= **bound).count(),
    };
    format!("{}-{level}", if is_right { "right" } else { "wrong" })
}

/// The most frequent confusions.
fn confusions(confusion: &Confusion) -> String {
    let mut found: Vec<(u64, usize, usize, u64)> = Vec::new();
    for (gold, row) in confusion.counts.iter().enumerate() {
        let total = row.iter().sum();
        let wrong = row.iter().enumerate().filter(|(given, rows)| *given != gold && **rows > 0);
        found.extend(wrong.map(|(given, rows)| (*rows, gold, given, total)));
    }
    if found.is_empty() {
        return "<p>No row was answered wrongly.</p>\n".to_string();
    }
    found.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let label = |class: usize| confusion.labels.get(class).map_or(String::new(), |label| name(label));
    let mut table = Table::new(
        format!("The most frequent confusions on {} rows", escaped(&confusion.split)),
        vec![Column::text("label"), Column::text("answer"), Column::number("rows"), Column::number("of the label")],
    );
    for (rows, gold, given, total) in found.into_iter().take(LISTED) {
        table.row([label(gold), label(given), rows.to_string(), percent(rows as f64 / total.max(1) as f64)]);
    }
    match confusion.labels.len() > MOST_IN_MATRIX {
        true => table.html(),
        false => folded("The most frequent confusions as a list", &table.html()),
    }
}

fn by_class(confusion: &Confusion) -> String {
    let mut classes = class_scores(confusion);
    classes.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    let all = classes.len();
    let caption = match all > MOST_CLASSES {
        true => {
            format!("The {MOST_CLASSES} classes of {all} with the lowest F1, on {} rows", escaped(&confusion.split))
        }
        false => format!("Classes by their F1, the lowest first, on {} rows", escaped(&confusion.split)),
    };
    let columns = ["F1", "precision", "recall", "rows"].map(Column::number);
    let mut table = Table::new(caption, [vec![Column::text("class")], columns.to_vec()].concat());
    let part = |part: Option<f64>| part.map_or("–".to_string(), percent);
    for class in classes.into_iter().take(MOST_CLASSES) {
        table.row([
            name(class.label),
            bar(class.f1, None, false),
            part(class.precision),
            part(class.recall),
            count(class.rows as usize),
        ]);
    }
    match all > UNFOLDED_CLASSES {
        true => folded("Precision, recall and F1 of each class", &table.html()),
        false => format!("<h3>Precision, recall and F1</h3>\n{}", table.html()),
    }
}
