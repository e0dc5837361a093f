//! Names and texts as errors quote them.

use crate::nearest::nearest;

/// What to do about a label that none of the training data is.
pub(crate) fn unknown_hint(found: &str, known: &[String]) -> String {
    format!("{}; --label-names-file names labels that no training row has", label_hint(found, known))
}

/// Which of the known labels was meant, or which there are.
pub(crate) fn label_hint(found: &str, known: &[String]) -> String {
    if let Some(label) = known.iter().find(|label| is_same_value(found, label)) {
        return format!("the training data writes it `{label}`: write the same value alike in every file");
    }
    match nearest(found, known.iter().map(String::as_str)) {
        Some(label) => format!("the nearest training label is `{label}`"),
        None => format!("the training labels are {}", listed(known)),
    }
}

/// Whether two labels are one value in two spellings: a boolean of JSON and of Python, a whole number with a point and without.
fn is_same_value(a: &str, b: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.fract() == 0.0);
    let boolean = |text: &str| Some(text.trim().to_lowercase()).filter(|text| text == "true" || text == "false");
    let numbers = number(a).is_some_and(|a| number(b) == Some(a));
    numbers || boolean(a).is_some_and(|a| boolean(b) == Some(a))
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

/// At most forty characters, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_two_spellings_is_told_from_another_one() {
        for (a, b) in [("True", "true"), ("FALSE", "false"), ("1", "1.0"), ("-0.0", "0"), ("2.00", "2")] {
            assert!(is_same_value(a, b) && is_same_value(b, a), "{a} and {b}");
        }
        for (a, b) in [("True", "1"), ("1.5", "1"), ("inf", "1"), ("nan", "nan"), ("no", "No"), ("1", "11")] {
            assert!(!is_same_value(a, b), "{a} and {b}");
        }
    }
}
