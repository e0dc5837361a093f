//! Phrases that a page and a screen have in common.

use topwork::advise::audit::{Audit, ClassRows};
use topwork::advise::similarity::Similarity;

/// Texts of each half of a source below which the panel is rough.
const FEW_TEXTS: usize = 50;

/// How many of the source's texts the panel rests on, and whether they are few.
pub fn texts_of(panel: &Similarity) -> String {
    match panel.source_texts {
        0 => String::new(),
        few if few < FEW_TEXTS => format!("; only {few} texts a half, so the values are rough"),
        many => format!("; {many} texts a half"),
    }
}

/// How long a setting is trained.
pub fn length_of(epochs: Option<usize>) -> String {
    epochs.map_or("max_steps".to_string(), |epochs| format!("{epochs} epochs"))
}

/// Whether a mark turns the direction of writing, so that what follows reads as something else.
pub fn turns_direction(mark: char) -> bool {
    matches!(mark, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A task's name as people read it.
pub fn task_of(name: &str) -> String {
    name.replace('_', " ")
}

/// What a part of the advice is for, where its own name does not say it.
pub fn part_of(name: &str) -> &str {
    match name {
        "transferability" => "scores of features",
        "depth by probes" => "how deep to tune",
        "race" => "short trial trainings",
        "expectation" => "expected score",
        // A reason may stand in the name itself.
        other => other.split(':').next().unwrap_or(other),
    }
}

/// What a row of the files is to be answered with, where it is one and where there are several.
pub fn target_of(audit: &Audit) -> (&'static str, &'static str) {
    match (&audit.labels, &audit.numbers, &audit.tags) {
        (Some(_), ..) => ("labels", "sets of labels"),
        (_, Some(_), _) => ("number", "numbers"),
        (.., Some(_)) => ("tags", "lists of tags"),
        _ => ("label", "labels"),
    }
}

/// The names that the most training rows have, and how many others there are.
pub fn most_frequent(names: &[ClassRows], at_most: usize) -> (Vec<&ClassRows>, usize) {
    let mut sorted: Vec<&ClassRows> = names.iter().collect();
    sorted.sort_by_key(|class| std::cmp::Reverse(class.rows.first().copied().unwrap_or(0)));
    sorted.truncate(at_most);
    (sorted, names.len().saturating_sub(at_most))
}

/// A number of the data with four digits behind the point at most.
pub fn plain_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if !size.is_finite() => "no value".to_string(),
        size if !(1e-3..1e9).contains(&size) => format!("{value:.3e}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    }
}
