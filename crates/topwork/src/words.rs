//! What a text is counted in, and how it is cut where it is shown.

/// Whether a letter is of a script whose words are not parted by spaces: Thai, Lao, Chinese, Japanese.
pub(crate) fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter), 0x0E00..=0x0EFF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x2FA1F)
}

/// Runs of letters and digits; each letter by itself where words are not parted by spaces.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).flat_map(|mut run| {
        std::iter::from_fn(move || {
            let first = run.chars().next()?;
            let end = match is_unspaced(first) {
                true => first.len_utf8(),
                false => run.find(is_unspaced).unwrap_or(run.len()),
            };
            let (word, rest) = run.split_at(end);
            run = rest;
            Some(word)
        })
    })
}

/// The first `most` letters of a text, and `…` where there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_or_letters() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of("Two words, or 3!"), ["Two", "words", "or", "3"]);
        assert_eq!(of("房间比较差。"), ["房", "间", "比", "较", "差"]);
        assert_eq!(of("用WiFi上网"), ["用", "WiFi", "上", "网"]);
        assert_eq!(of(" — "), [""; 0]);
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!([shortened("Grüße", 3), shortened("Grüße", 5)], ["Grü…", "Grüße"]);
    }
}
