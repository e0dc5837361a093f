//! Phrases that a page and a screen have in common.

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
