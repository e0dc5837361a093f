//! Names and texts as errors quote them.

use crate::nearest::nearest;

/// What to do about a label that none of the training data is.
pub(crate) fn unknown_hint(found: &str, known: &[String]) -> String {
    format!("{}; --label-names-file names labels that no training row has", label_hint(found, known))
}

/// Which of the known labels was meant, or which there are.
pub(crate) fn label_hint(found: &str, known: &[String]) -> String {
    match nearest(found, known.iter().map(String::as_str)) {
        Some(label) => format!("the nearest training label is `{label}`"),
        None => format!("the training labels are {}", listed(known)),
    }
}

/// `a`, `b` and 3 more.
pub(crate) fn listed(names: &[String]) -> String {
    let quoted = |name: &String| format!("`{}`", shortened(name));
    listed_names(names.iter().take(SHOWN).map(quoted).collect(), names.len())
}

/// How many names are worth their space on a line.
const SHOWN: usize = 12;

/// The first of `count` names.
pub(crate) fn listed_names(mut shown: Vec<String>, count: usize) -> String {
    shown.truncate(SHOWN);
    let rest = count.saturating_sub(SHOWN);
    match (shown.len(), rest) {
        (0, _) => "none".into(),
        (_, 0) => shown.join(", "),
        (_, rest) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// `line 3 (`nan`)` and so on.
pub(crate) fn listed_rows(lines: &[(usize, String)]) -> String {
    let shown = |(line, found): &(usize, String)| match found.trim() {
        "" => format!("line {line}"),
        found => format!("line {line} (`{}`)", shortened(found)),
    };
    listed_names(lines.iter().take(SHOWN).map(shown).collect(), lines.len())
}

/// At most forty characters, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
