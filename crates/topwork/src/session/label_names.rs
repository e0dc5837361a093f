//! The names of classes as texts: where they are words that the model knows, a name says what its class is about.

use tokenizers::Tokenizer;

/// Letters below which a word of capitals is rather an abbreviation.
const SHORT: usize = 4;

/// The name of a class as a text: its words, in small letters.
pub(crate) fn as_text(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut previous: Option<char> = None;
    for letter in name.chars() {
        let begins = previous
            .is_none_or(|previous| !previous.is_alphanumeric() || previous.is_lowercase() && letter.is_uppercase());
        if letter.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        previous = Some(letter);
    }
    words.join(" ")
}

/// Whether the names of classes are words: of each, at least one word is a single token of the tokenizer, and is no number and no
/// abbreviation.
pub(crate) fn are_words(names: &[String], tokenizer: &Tokenizer) -> bool {
    let is_known = |word: &str| {
        // In the middle of a text, as byte-level tokenizers tell a word by the space before it.
        let tokens = |text: &str| tokenizer.encode(text, false).map_or(0, |encoding| encoding.len());
        tokens(&format!("a {word}")) == tokens("a") + 1
    };
    let has_word = |name: &String| {
        let is_of_capitals = name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase);
        as_text(name).split(' ').any(|word| {
            let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
            // Scripts without capitals have words of two letters.
            let least = if is_of_capitals { SHORT } else { usize::from(word.is_ascii()) + 1 };
            let is_word = letters == word.chars().count() && letters > least;
            is_word && is_known(word)
        })
    };
    !names.is_empty() && names.iter().all(has_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parted_into_words() {
        for (name, text) in [
            ("card_arrival", "card arrival"),
            ("CompareOrContrast", "compare or contrast"),
            ("Sci/Tech", "sci tech"),
            ("DESC", "desc"),
            ("very  negative", "very negative"),
            ("__", ""),
            ("größe 2", "größe 2"),
        ] {
            assert_eq!(as_text(name), text, "{name}");
        }
    }

    #[test]
    fn words_are_told_from_numbers_and_abbreviations() {
        let folder = tempfile::tempdir().expect("a folder");
        topwork_models::unpack_seedling(folder.path()).expect("the carried model");
        let tokenizer = topwork_models::load_tokenizer(folder.path()).expect("its tokenizer");
        let are =
            |names: &[&str]| are_words(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>(), &tokenizer);
        assert!(are(&["positive", "negative"]));
        assert!(are(&["World", "Business"]));
        assert!(are(&["WORLD", "BUSINESS"]));
        assert!(!are(&["0", "1"]));
        assert!(!are(&["DESC", "NUM"]));
        assert!(!are(&["positive", "LABEL_1"]) && !are(&["positive", "xq"]));
        assert!(!are(&[]));
    }
}
