//! Rows that were learnt from, found among rows that are to judge what was learnt: the same text, or nearly the same.
//!
//! A text is the same if its words are, whatever their case and what stands between them. It is nearly the same if one word is another or,
//! in a long text, one in twenty. In a short text that is not enough: "What is the capital of Peru?" and "… of Chile?" are two honest
//! rows. So the text must have a number of words at which the training rows themselves are hardly ever that near each other, and must not
//! be one of several that differ in the same place.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::example::Example;
use crate::nearest::edit_distance;
use crate::normal::normalised;
use crate::random::mix;

/// From so many words on, a text is compared by what it begins and ends with.
const LONG: usize = 20;
/// Words at the beginning and at the end that lead to a comparison.
const ANCHOR: usize = 8;
/// Words of a long text of which one may be another.
const WORDS_A_CHANGE: usize = 20;
/// A short text with so many words is nearly the same as one that differs in a word; with fewer, if training rows hardly ever are.
const ENOUGH_WORDS: usize = 10;
/// With fewer words, nothing is nearly the same.
const FEWEST_WORDS: usize = 4;
/// The part of the training rows that may be that near another.
const HARDLY_EVER: f64 = 0.001;
/// Texts with the same anchor that are compared.
const COMPARED: usize = 32;

/// How near a row is to one that was learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// It has the same words.
    Same,
    /// It has nearly the same words.
    Near,
}

/// The texts of rows that were learnt from.
#[derive(Debug)]
pub struct LearntRows {
    texts: Vec<Words>,
    /// The text of each row.
    places: Vec<usize>,
    same: HashMap<u64, usize>,
    /// Short texts by what is left of them without a word.
    skeletons: HashMap<u64, Alike>,
    /// Long texts by their first or last words.
    anchors: HashMap<u64, Vec<usize>>,
    /// The fewest words of a short text that is nearly the same.
    fewest: usize,
}

/// A text in words: their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words(Vec<u64>);

/// Texts that differ in one place, and in that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alike {
    One(usize),
    Two(usize, usize),
    /// Texts of one form.
    More,
}

impl Alike {
    fn and(self, place: usize) -> Alike {
        match self {
            Alike::One(first) => Alike::Two(first, place),
            Alike::Two(..) | Alike::More => Alike::More,
        }
    }
}

impl LearntRows {
    /// The rows that are learnt from.
    pub fn new<'e>(rows: impl IntoIterator<Item = &'e Example>) -> LearntRows {
        let rows: Vec<&Example> = rows.into_iter().collect();
        let count = rows.len();
        let words: Vec<Words> = rows.into_par_iter().map(Words::of).collect();
        let mut known = LearntRows {
            texts: Vec::new(),
            places: Vec::with_capacity(count),
            same: HashMap::with_capacity(count),
            skeletons: HashMap::new(),
            anchors: HashMap::new(),
            fewest: ENOUGH_WORDS,
        };
        for words in words {
            let place = *known.same.entry(words.key()).or_insert(known.texts.len());
            known.places.push(place);
            if place < known.texts.len() {
                continue;
            }
            if words.is_long() {
                for anchor in words.anchors() {
                    known.anchors.entry(anchor).or_default().push(place);
                }
            } else {
                for skeleton in words.skeletons() {
                    known
                        .skeletons
                        .entry(skeleton)
                        .and_modify(|alike| *alike = alike.and(place))
                        .or_insert(Alike::One(place));
                }
            }
            known.texts.push(words);
        }
        known.fewest = known.fewest_words(count);
        known
    }

    /// Whether `row` was learnt from.
    pub fn find(&self, row: &Example) -> Option<Learnt> {
        let words = Words::of(row);
        if words.0.is_empty() {
            return None;
        }
        if self.same.contains_key(&words.key()) {
            return Some(Learnt::Same);
        }
        let is_near = match words.is_long() {
            true => self.near_long_ones(&words).next().is_some(),
            false => words.0.len() >= self.fewest && self.is_near_one(&words),
        };
        is_near.then_some(Learnt::Near)
    }

    fn is_near_one(&self, words: &Words) -> bool {
        let found: Vec<&Alike> = words.skeletons().filter_map(|skeleton| self.skeletons.get(&skeleton)).collect();
        !found.is_empty() && found.iter().all(|alike| matches!(alike, Alike::One(_)))
    }

    fn near_long_ones(&self, words: &Words) -> impl Iterator<Item = usize> {
        let places = words.anchors().into_iter().filter_map(|anchor| self.anchors.get(&anchor));
        places.flat_map(|places| places.iter().take(COMPARED).copied()).filter(|&place| {
            let other = &self.texts[place].0;
            let most = (words.0.len().max(other.len()) / WORDS_A_CHANGE).max(1);
            words.0.len().abs_diff(other.len()) <= most && edit_distance(&words.0, other) <= most
        })
    }

    /// For each row the number of the texts that it belongs to: rows that are the same or nearly the same have one number.
    pub(crate) fn groups(&self) -> Vec<usize> {
        let mut group: Vec<usize> = (0..self.texts.len()).collect();
        let mut join = |a: usize, b: usize| {
            let (a, b) = (root(&group, a), root(&group, b));
            group[a.max(b)] = a.min(b);
        };
        for alike in self.skeletons.values() {
            if let Alike::Two(a, b) = *alike
                && self.texts[a].0.len() >= self.fewest
            {
                join(a, b);
            }
        }
        for (place, words) in self.texts.iter().enumerate().filter(|(_, words)| words.is_long()) {
            self.near_long_ones(words).for_each(|other| join(place, other));
        }
        self.places.iter().map(|&place| root(&group, place)).collect()
    }

    /// The fewest words at which hardly any of the `count` training rows are near each other. Few rows say little of it.
    fn fewest_words(&self, count: usize) -> usize {
        let mut near = [0_usize; ENOUGH_WORDS];
        for words in &self.texts {
            let is_counted = (FEWEST_WORDS..ENOUGH_WORDS).contains(&words.0.len());
            let is_alone = |skeleton| matches!(self.skeletons.get(&skeleton), None | Some(Alike::One(_)));
            if is_counted && !words.skeletons().all(is_alone) {
                near[words.0.len()] += 1;
            }
        }
        let is_rare = |least: &usize| (near[*least..].iter().sum::<usize>() + 1) as f64 <= HARDLY_EVER * count as f64;
        (FEWEST_WORDS..ENOUGH_WORDS).find(is_rare).unwrap_or(ENOUGH_WORDS)
    }
}

/// The first of those that `place` was joined with.
fn root(group: &[usize], mut place: usize) -> usize {
    while group[place] != place {
        place = group[place];
    }
    place
}

/// The hash by which a text is known as learnt: that of its words, whatever their case and what stands between them. It is the same on
/// every machine.
pub fn text_hash(row: &Example) -> u64 {
    Words::of(row).key()
}

impl Words {
    fn of(row: &Example) -> Words {
        let mut words = Vec::new();
        split(&row.text, &mut words);
        if let Some(pair) = &row.text_pair {
            // The texts of a pair do not run into each other.
            words.push(mix(1));
            split(pair, &mut words);
        }
        // What has no words, as a row of exclamation marks, is known to the letter.
        if words.is_empty() && !row.text.trim().is_empty() {
            words.push(hash(&normalised(&row.text)));
        }
        Words(words)
    }

    fn is_long(&self) -> bool {
        self.0.len() >= LONG
    }

    fn key(&self) -> u64 {
        self.0.iter().fold(mix(self.0.len() as u64), |state, word| mix(state ^ word))
    }

    /// What is left of the text without a word, for each.
    fn skeletons(&self) -> impl Iterator<Item = u64> {
        const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut power = 1_u64;
        let powers = self.0.iter().map(move |_| {
            power = power.wrapping_mul(BASE);
            power
        });
        let terms: Vec<u64> = self.0.iter().zip(powers).map(|(word, power)| word.wrapping_mul(power)).collect();
        let all = terms.iter().fold(0_u64, |sum, term| sum.wrapping_add(*term));
        let length = mix(self.0.len() as u64);
        terms.into_iter().enumerate().map(move |(place, term)| mix(all.wrapping_sub(term) ^ length ^ mix(place as u64)))
    }

    fn anchors(&self) -> [u64; 2] {
        let hash = |words: &[u64], end: u64| words.iter().fold(mix(end), |state, word| mix(state ^ word));
        [hash(&self.0[..ANCHOR], 1), hash(&self.0[self.0.len() - ANCHOR..], 2)]
    }
}

/// The words of a text in lower case: runs of letters and digits, with the sign and the point of a number; letters of scripts without spaces,
/// and symbols that are no mere punctuation, as in `C++` or a smiley, each count as one.
fn split(text: &str, words: &mut Vec<u64>) {
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(hash(word));
            word.clear();
        }
    };
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_before_digit = letters.peek().is_some_and(|next| next.is_ascii_digit());
        let is_of_number = match letter {
            '.' | ',' => before.is_ascii_digit() && is_before_digit,
            '-' | '+' => !before.is_alphanumeric() && is_before_digit,
            _ => false,
        };
        if is_a_word(letter) || is_symbol(letter, before) && !is_of_number {
            end(&mut word);
            word.push(letter);
            end(&mut word);
        } else if letter.is_alphanumeric() || is_of_number {
            word.extend(letter.to_lowercase());
        } else {
            end(&mut word);
        }
        before = letter;
    }
    end(&mut word);
}

/// Whether a letter is neither part of a word nor mere punctuation: mathematics, currencies, emoji, and the mouth of a smiley.
fn is_symbol(letter: char, before: char) -> bool {
    const PUNCTUATION: &str = ".,;:!?'\"`´‘’‚“”„«»‹›()[]{}-‐‑–—_…·•/|\\*&@~\u{fe0f}\u{200d}\u{200b}";
    let is_mouth = matches!(letter, '(' | ')') && matches!(before, ':' | ';' | '=');
    let is_plain =
        letter.is_alphanumeric() || letter.is_whitespace() || letter.is_control() || PUNCTUATION.contains(letter);
    is_mouth || !is_plain
}

/// FNV-1a, whose value is the same everywhere, and mixed.
fn hash(word: &str) -> u64 {
    mix(word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// Whether a letter is of a script that is written without spaces between words.
fn is_a_word(letter: char) -> bool {
    matches!(u32::from(letter), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn rows(texts: &[&str]) -> Vec<Example> {
        texts.iter().map(|text| Example::from_text(*text)).collect()
    }

    fn random_text(seed: u64, words: usize) -> Vec<String> {
        let mut stream = Stream::named("words", seed);
        (0..words).map(|_| format!("w{}", stream.below(3000))).collect()
    }

    #[test]
    fn planted_rows_are_found_and_others_are_not() {
        for length in [12, 30, 80] {
            let texts: Vec<Vec<String>> = (0..400).map(|seed| random_text(seed, length)).collect();
            let train: Vec<Example> = texts.iter().map(|words| Example::from_text(words.join(" "))).collect();
            let known = LearntRows::new(&train);
            let mut found = [0; 3];
            for (number, words) in texts.iter().enumerate() {
                let mut other = words.clone();
                other[number % length] = "another".into();
                let planted = [words.join(" "), words.join(", ").to_uppercase(), other.join(" ")];
                for (count, text) in found.iter_mut().zip(planted) {
                    *count += usize::from(known.find(&Example::from_text(text)).is_some());
                }
            }
            assert_eq!(found, [400; 3], "{length} words");
            let honest = (1000..1400)
                .filter(|&seed| known.find(&Example::from_text(random_text(seed, length).join(" "))).is_some());
            assert_eq!(honest.count(), 0);
        }
    }

    #[test]
    fn questions_of_one_form_are_honest_rows() {
        let countries = ["Peru", "Chile", "France", "Japan", "Kenya", "Norway"];
        let train: Vec<Example> =
            countries.iter().map(|name| Example::from_text(format!("What is the capital of {name}?"))).collect();
        let known = LearntRows::new(&train);
        assert_eq!(known.find(&Example::from_text("what is the capital of  PERU")), Some(Learnt::Same));
        assert_eq!(known.find(&Example::from_text("What is the capital of Italy?")), None);
        assert_eq!(known.find(&Example::from_text("")), None);
    }

    #[test]
    fn a_word_is_enough_in_a_short_text_where_rows_are_never_that_near() {
        let train: Vec<Example> = (0..2000).map(|seed| Example::from_text(random_text(seed, 6).join(" "))).collect();
        let mut words = random_text(7, 6);
        words[3] = "another".into();
        assert_eq!(LearntRows::new(&train).find(&Example::from_text(words.join(" "))), Some(Learnt::Near));
        assert_eq!(
            LearntRows::new(&train[..100]).find(&Example::from_text(words.join(" "))),
            None,
            "few rows say little"
        );
    }

    #[test]
    fn pairs_and_scripts_without_spaces_have_words() {
        let pair = |text: &str, other: &str| Example { text_pair: Some(other.into()), ..Example::from_text(text) };
        let known = LearntRows::new(&[pair("a b", "c d")]);
        assert_eq!(known.find(&pair("A b", "c, d")), Some(Learnt::Same));
        assert_eq!(known.find(&pair("a", "b c d")), None);
        let chinese = "今天的天气非常好我们一起去公园散步吧";
        let known = LearntRows::new(&rows(&[chinese]));
        assert_eq!(known.find(&Example::from_text(chinese.replace('好', "坏"))), Some(Learnt::Near));
    }

    #[test]
    fn symbols_are_words_and_what_has_none_is_known_to_the_letter() {
        let known = LearntRows::new(&rows(&["I use C++ daily", "love it :)", "it was 3.5 degrees", "-5", "😀", "!!!"]));
        for same in ["i use C++, daily!", "Love it :)", "it was 3.5 degrees.", "-5", "😀", "!!!"] {
            assert_eq!(known.find(&Example::from_text(same)), Some(Learnt::Same), "{same}");
        }
        for other in ["I use C# daily", "love it :(", "it was 3 5 degrees", "5", "😡", "??", " "] {
            assert_eq!(known.find(&Example::from_text(other)), None, "{other}");
        }
    }

    #[test]
    fn hashes_are_the_same_everywhere() {
        assert_eq!(text_hash(&Example::from_text("Hello, World")), text_hash(&Example::from_text("hello world")));
        assert_ne!(text_hash(&Example::from_text("hello")), text_hash(&Example::from_text("world")));
    }
}
