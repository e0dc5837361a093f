//! Which parts of a page apply to the task of a run.

use topwork::tasks::Part;
use topwork::tune::results::Results;

use crate::page::{escaped, list};

/// Whether a part applies to the task.
pub(crate) fn applies(results: &Results, part: Part) -> bool {
    results.not_applicable.iter().all(|(own, _)| own != part.name())
}

/// The parts that do not apply, each with the reason; nothing where all do.
pub(crate) fn left_out(results: &Results) -> String {
    let items = results.not_applicable.iter().map(|(part, why)| format!("<b>{}</b>: {}", escaped(part), escaped(why)));
    let items = list(items);
    match items.is_empty() {
        true => items,
        false => format!(
            "<p>These parts of a report do not apply to {}:</p>\n{items}",
            escaped(&results.task.replace('_', " "))
        ),
    }
}
