//! Pieces of what is shown on a screen: lines that several commands have in common, and texts that leave the terminal as it is.

use topwork_report::{task_of, turns_direction};

/// Which task it is, and what it was recognised by, where it was not said.
pub(crate) fn task_line(task: &str, recognised_by: &str) -> String {
    match recognised_by {
        "" => format!("task       {}\n", task_of(task)),
        why => format!("task       {}: {why}\n", task_of(task)),
    }
}

/// The parts that do not apply to the task, on one line; nothing where all do. Without a page, `command` is the one that writes it.
pub(crate) fn left_out<'a>(parts: impl Iterator<Item = &'a str>, has_page: bool, command: &str) -> String {
    let parts: Vec<&str> = parts.collect();
    let where_why = match has_page {
        true => "the page says why".to_string(),
        false => format!("the page of `topwork {command} --output FILE` says why"),
    };
    if parts.is_empty() { String::new() } else { format!("left out   {}; {where_why}\n", parts.join(", ")) }
}

/// A text that leaves the terminal as it is, whatever stands in files: without control characters but the ends of lines, and
/// without marks that turn the direction of writing.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmful = |c: char| (c.is_control() && c != '\n') || turns_direction(c);
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// At most so many letters, on one line.
pub(crate) fn shortened(text: &str, letters: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= letters {
        return line;
    }
    let start: String = line.chars().take(letters - 1).collect();
    start + "…"
}
