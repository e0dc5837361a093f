//! Texts without what tells no two of them apart.

/// The text in lower case, with one space between words: what texts have in common that count as the same.
pub fn normalised(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
