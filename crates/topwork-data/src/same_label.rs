//! When two labels are the same, and when one is missing: one rule for reading, auditing, hints and evaluation.
//!
//! Labels are the same that differ in nothing but how they are written: `1`, `1.0` and `"1"`; `True`, `TRUE` and `true`; Unicode's composed
//! and decomposed letters; letters that cannot be seen; space at the ends, or of another kind or length within. What begins with a
//! needless zero, as `007`, is a name and no number.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::wording::shortened;

/// What is the same for labels that are the same.
pub(crate) fn label_key(label: &str) -> String {
    let visible: String = label.nfc().filter(|&letter| !is_invisible(letter)).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let plain = words.join(" ");
    if let Some(number) = whole_or_decimal(&plain) {
        return number;
    }
    match plain.to_ascii_lowercase().as_str() {
        boolean @ ("true" | "false") => boolean.to_owned(),
        _ => plain,
    }
}

/// A number in its shortest form; none where `text` is none, or is one in a way in which only names are written.
fn whole_or_decimal(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_needless_zero = whole.len() > 1 && whole.starts_with('0');
    if whole.len() + fraction.len() == 0
        || digits.len() > MOST_DIGITS
        || !all_digits(whole)
        || !all_digits(fraction)
        || has_needless_zero
    {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Minus zero is zero.
    Some(if number == 0.0 { "0".into() } else { number.to_string() })
}

/// Numbers with more digits are not told apart by arithmetic.
const MOST_DIGITS: usize = 15;

/// Whether a letter has no look of its own (Unicode's `Default_Ignorable_Code_Point`), or is a control character other than space.
fn is_invisible(letter: char) -> bool {
    let ranges = [
        0x00ad..=0x00ad,
        0x034f..=0x034f,
        0x061c..=0x061c,
        0x115f..=0x1160,
        0x17b4..=0x17b5,
        0x180b..=0x180f,
        0x200b..=0x200f,
        0x202a..=0x202e,
        0x2060..=0x206f,
        0x3164..=0x3164,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xffa0..=0xffa0,
        0xfff0..=0xfff8,
        0x1bca0..=0x1bca3,
        0x1d173..=0x1d17a,
        0xe0000..=0xe0fff,
    ];
    ranges.iter().any(|range| range.contains(&u32::from(letter))) || letter.is_control() && !letter.is_whitespace()
}

/// Whether nothing of a label can be seen.
pub(crate) fn is_blank(label: &str) -> bool {
    label.trim().is_empty() || !label.is_ascii() && label_key(label).is_empty()
}

/// Whether a label is one of the words that programs write where there is none. They are told by their exact spelling, as `none` and `null`
/// in other letters may well be names.
pub(crate) fn is_missing(label: &str) -> bool {
    const WORDS: [&str; 18] = [
        "nan", "NaN", "NAN", "-nan", "-NaN", "None", "NULL", "null", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A",
        "#NA", "NaT", "1.#QNAN", "-1.#IND",
    ];
    WORDS.contains(&label.trim())
}

/// Which class a label is, for classes with these names.
#[derive(Debug)]
pub(crate) struct Classes<'n> {
    exact: HashMap<&'n str, u32>,
    /// The class of labels with a key; none where several names have it.
    by_key: HashMap<String, Option<u32>>,
}

impl<'n> Classes<'n> {
    pub(crate) fn new(names: &'n [String]) -> Self {
        let exact = names.iter().map(String::as_str).zip(0..).collect();
        let mut by_key: HashMap<String, Option<u32>> = HashMap::new();
        for (name, class) in names.iter().zip(0..) {
            by_key.entry(label_key(name)).and_modify(|known| *known = None).or_insert(Some(class));
        }
        if by_key.keys().all(|key| as_flag(key).is_some()) {
            for (number, boolean) in [("0", "false"), ("1", "true")] {
                for (from, to) in [(number, boolean), (boolean, number)] {
                    if let Some(&class) = by_key.get(from) {
                        by_key.entry(to.to_owned()).or_insert(class);
                    }
                }
            }
        }
        Classes { exact, by_key }
    }

    /// The class; a name to the letter comes before one that is the same.
    pub(crate) fn of(&self, label: &str) -> Option<u32> {
        self.exact.get(label).copied().or_else(|| self.by_key.get(&label_key(label)).copied().flatten())
    }
}

/// The number that a key of a yes or no stands for.
fn as_flag(key: &str) -> Option<&'static str> {
    match key {
        "0" | "false" => Some("0"),
        "1" | "true" => Some("1"),
        _ => None,
    }
}

/// The names of the classes of these labels: of those that are the same the shortest number, or the spelling that is tidy and most frequent.
/// Where there are only 0 and 1 and booleans, and both, they are the same as well.
pub(crate) fn class_names<'l>(labels: impl Iterator<Item = &'l str>) -> BTreeSet<String> {
    let mut spellings: BTreeMap<&str, usize> = BTreeMap::new();
    for label in labels {
        *spellings.entry(label).or_default() += 1;
    }
    let mut groups: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
    for (label, count) in spellings {
        groups.entry(label_key(label)).or_default().push((label, count));
    }
    let are_flags = groups.keys().all(|key| as_flag(key).is_some());
    if are_flags && groups.keys().any(|key| key.len() == 1) {
        return groups.keys().filter_map(|key| as_flag(key)).map(str::to_owned).collect();
    }
    groups.into_iter().map(|(key, group)| name_of(&key, &group)).collect()
}

fn name_of(key: &str, spellings: &[(&str, usize)]) -> String {
    if whole_or_decimal(key).is_some() {
        return key.to_owned();
    }
    let is_tidy = |label: &str| label == key || matches!(key, "true" | "false") && label.eq_ignore_ascii_case(key);
    let best = spellings.iter().max_by_key(|(label, count)| (is_tidy(label), *count, std::cmp::Reverse(*label)));
    best.map_or_else(|| key.to_owned(), |(label, _)| label.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Labels that count as a class although they are written otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respelled {
    /// The name of the class.
    pub name: String,
    /// What the file has.
    pub found: String,
    /// How often.
    pub count: usize,
}

impl std::fmt::Display for Respelled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What cannot be seen is written out.
        let visible = |letter: char| match is_combining_mark(letter) || is_invisible(letter) {
            true => letter.escape_unicode().to_string(),
            false => letter.escape_debug().to_string(),
        };
        let shown = |label: &str| shortened(&label.chars().map(visible).collect::<String>().replace("\\'", "'"));
        write!(formatter, "`{}` ({}) as `{}`", shown(&self.found), self.count, shown(&self.name))
    }
}

/// The labels that are written otherwise than the class that they are counted as.
pub(crate) fn respelled<'l>(names: &[String], labels: impl Iterator<Item = &'l str>) -> Vec<Respelled> {
    let classes = Classes::new(names);
    let mut counts: BTreeMap<(u32, &str), usize> = BTreeMap::new();
    for label in labels {
        if let Some(class) = classes.of(label).filter(|&class| names[class as usize] != label) {
            *counts.entry((class, label)).or_default() += 1;
        }
    }
    let found = counts.into_iter();
    found
        .map(|((class, label), count)| Respelled {
            name: names[class as usize].clone(),
            found: label.to_owned(),
            count,
        })
        .collect()
}

/// That some labels of a file are written otherwise than the class that they are counted as.
pub fn respelled_note(respelled: &[Respelled], path: &Path) -> Option<String> {
    if respelled.is_empty() {
        return None;
    }
    let shown: Vec<String> = respelled.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match respelled.len().saturating_sub(SHOWN) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!("{}: labels are counted as the same: {}{more}", path.display(), shown.join(", ")))
}

const SHOWN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_otherwise_is_the_same_and_nothing_else_is() {
        for (a, b) in [
            ("1", "1.0"),
            ("-0.0", "0"),
            ("2.00", "2"),
            ("+3", "3"),
            ("0.50", ".5"),
            ("True", "TRUE"),
            ("FALSE", "false"),
            ("café", "cafe\u{301}"),
            ("a\u{200b}b", "ab"),
            ("\u{feff}x", "x"),
            (" x\u{a0}", "x"),
            ("a  b", "a\u{3000}b"),
            ("x\u{fe0f}", "x"),
        ] {
            assert_eq!(label_key(a), label_key(b), "{a:?} and {b:?}");
        }
        for (a, b) in [
            ("True", "1"),
            ("1.5", "1"),
            ("no", "No"),
            ("1", "11"),
            ("007", "7"),
            ("1e3", "1000"),
            ("ab", "a b"),
            ("①", "1"),
            ("inf", "1"),
            ("12345678901234567", "12345678901234568"),
            ("", "0"),
            (".", "0"),
        ] {
            assert_ne!(label_key(a), label_key(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn classes_have_the_tidiest_name_and_know_every_spelling() {
        let names = |labels: &[&str]| class_names(labels.iter().copied()).into_iter().collect::<Vec<_>>();
        assert_eq!(names(&["1.0", "2", "1.0"]), ["1", "2"]);
        assert_eq!(names(&["True", "true", "True", "False"]), ["False", "True"]);
        assert_eq!(names(&["1", "true", "0.0", "FALSE"]), ["0", "1"]);
        assert_eq!(names(&["1", "2", "true"]), ["1", "2", "true"], "not a yes or no alone");
        assert_eq!(names(&["bill ", "bill ", "bill", "x\u{200b}", "x"]), ["bill", "x"]);
        let known: Vec<String> = ["False", "True"].map(str::to_owned).to_vec();
        let classes = Classes::new(&known);
        assert_eq!(
            ["true", "1", "0.0", " False", "yes"].map(|label| classes.of(label)),
            [Some(1), Some(1), Some(0), Some(0), None]
        );
        let both: Vec<String> = ["1", "1.0"].map(str::to_owned).to_vec();
        assert_eq!(["1", "1.0", "1.00"].map(|label| Classes::new(&both).of(label)), [Some(0), Some(1), None]);
    }

    #[test]
    fn words_for_nothing_are_told_from_names() {
        assert!(["", " \u{a0}", "\u{200b}"].iter().all(|label| is_blank(label)) && !is_blank("é"));
        assert!(["nan", "None", "<NA>", " N/A ", "null"].iter().all(|label| is_missing(label)));
        assert!(!["none", "Null", "na", "nano", "0", ""].iter().any(|label| is_missing(label)));
    }
}
