//! From which probability on each label applies.

use topwork::tune::finished_run::RunDirectory;

use crate::metric_text::{bar_alone, number};
use crate::page::{Column, Table, escaped, folded, name};

/// More labels than this are folded.
const UNFOLDED: usize = 30;
/// Labels in a table.
const MOST_LABELS: usize = 200;

/// The threshold of each label; nothing where labels have none.
pub(crate) fn thresholds(run: &RunDirectory) -> String {
    let Some(thresholds) = &run.results.thresholds else { return String::new() };
    let caption = match thresholds.len() > MOST_LABELS {
        true => format!("The first {MOST_LABELS} of {} labels", thresholds.len()),
        false => "Labels and their thresholds".to_string(),
    };
    let mut table = Table::new(caption, vec![Column::text("label"), Column::number("threshold")]);
    for (id, threshold) in thresholds.iter().enumerate().take(MOST_LABELS) {
        let label = run.labels.get(id).map_or_else(|| escaped(&format!("label {id}")), |label| name(label));
        table.row([label, number(*threshold) + &bar_alone(*threshold, None, true)]);
    }
    let table = match thresholds.len() > UNFOLDED {
        true => folded("The threshold of each label", &table.html()),
        false => table.html(),
    };
    format!(
        "<p>A label applies where its probability is at least its threshold. The thresholds were fitted on validation rows.</p>\n{table}"
    )
}
