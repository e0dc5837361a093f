//! Which parts of a page apply to the task of a run.

use topwork::tasks::Part;
use topwork::tune::results::Results;

use crate::page::{escaped, list};
use crate::phrases::task_of;

/// Whether a part applies to the task.
pub(crate) fn applies(results: &Results, part: Part) -> bool {
    results.not_applicable.iter().all(|(own, _)| own != part.name())
}

/// The parts that do not apply, each with the reason; nothing where all do.
pub(crate) fn left_out(results: &Results) -> String {
    let parts = results.not_applicable.iter().map(|(part, why)| (part.as_ref(), why.as_ref()));
    reasons("These parts of a report do not apply to", &results.task, parts)
}

/// What does not apply to a task, each with the reason, after the beginning of a sentence that the task ends.
pub(crate) fn reasons<'a>(sentence: &str, task: &str, parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let items = list(parts.into_iter().map(|(part, why)| format!("<b>{}</b>: {}", escaped(part), escaped(why))));
    match items.is_empty() {
        true => items,
        false => format!("<p>{sentence} {}:</p>\n{items}", escaped(&task_of(task))),
    }
}
