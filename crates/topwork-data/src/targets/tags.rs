//! A tag for each word, and the schemes in which tags make spans.
//!
//! IOB2: a span is `B-X`, then `I-X`. IOB1: a span is `I-X`, and begins with `B-X` only right after another of its kind;
//! such a file becomes IOB2. IOBES and BILOU: also the last word of a span (`E-`, `L-`) and a span of one word (`S-`, `U-`)
//! have a letter of their own (Ratinov and Roth, "Design challenges and misconceptions in named entity recognition", 2009).
//! BMES and BMEWO: as IOBES, with `M-` for `I-`, and in the latter `W-` for `S-`, as Chinese data sets have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{TagRows, TargetSpace};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::format::Format;
use crate::labels::LabelSet;
use crate::target_error::{TargetError, WordPlace};

/// How tags make spans of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagScheme {
    /// They make none: each tag is of its word alone, as a part of speech is.
    Plain,
    /// `B-X I-X`.
    Iob2,
    /// `B-X I-X E-X` and `S-X`.
    Iobes,
    /// `B-X I-X L-X` and `U-X`.
    Bilou,
    /// `B-X M-X E-X` and `S-X`.
    Bmes,
    /// `B-X M-X E-X` and `W-X`.
    Bmewo,
}

/// The tag of a word of no span.
const OUTSIDE: &str = "O";
const LETTERS: [&str; 8] = ["B", "I", "E", "S", "L", "U", "M", "W"];

impl TagScheme {
    /// The scheme that a file with these tags has; else the tag that fits with no scheme, and what would.
    ///
    /// # Errors
    ///
    /// When some tags begin with `B-` or `I-` and others with no letter of a scheme, or letters of two schemes are mixed.
    pub fn of<'a>(tags: &BTreeSet<&'a str>) -> Result<TagScheme, (&'a str, String)> {
        let bare = tags.contains(OUTSIDE) && tags.iter().all(|tag| *tag == OUTSIDE || LETTERS.contains(tag));
        let letter = |tag: &'a str| match tag.split_once('-') {
            Some((letter, kind)) if LETTERS.contains(&letter) && !kind.is_empty() => Some(letter),
            None if bare && tag != OUTSIDE => Some(tag),
            _ => None,
        };
        let letters: BTreeSet<&str> = tags.iter().filter_map(|tag| letter(tag)).collect();
        if !letters.contains("B") && !letters.contains("I") {
            return Ok(TagScheme::Plain);
        }
        if let Some(odd) = tags.iter().find(|tag| **tag != OUTSIDE && letter(tag).is_none()) {
            return Err((odd, "`O` or a tag that begins with `B-` or `I-`, as others of the file do".into()));
        }
        let of = |some: &[&str]| tags.iter().find(|tag| letter(tag).is_some_and(|letter| some.contains(&letter)));
        if let Some(middle) = of(&["M", "W"]) {
            return match (of(&["I", "L", "U"]), letters.contains("S") && letters.contains("W")) {
                _ if !letters.contains("E") => Err((middle, "a tag of IOB, as others of the file are".into())),
                (Some(odd), _) => Err((odd, "a tag of BMES, as others of the file are".into())),
                (None, true) => Err((of(&["W"]).unwrap_or(middle), "a tag of BMES, as others of the file are".into())),
                (None, false) => Ok(if letters.contains("W") { TagScheme::Bmewo } else { TagScheme::Bmes }),
            };
        }
        match (of(&["E", "S"]), of(&["L", "U"])) {
            (None, None) => Ok(TagScheme::Iob2),
            // Spans of several words end with a letter of their own: where none does, those of one word are what is odd.
            (Some(odd), None) if !letters.contains("E") => Err((odd, "a tag of IOB, as others of the file are".into())),
            (None, Some(odd)) if !letters.contains("L") => Err((odd, "a tag of IOB, as others of the file are".into())),
            (Some(_), None) => Ok(TagScheme::Iobes),
            (None, Some(_)) => Ok(TagScheme::Bilou),
            (Some(_), Some(odd)) => Err((odd, "a tag of IOBES, as others of the file are".into())),
        }
    }

    /// The letters of a span's last word and of a span of one word, if they have letters of their own.
    fn ends(self) -> Option<[&'static str; 2]> {
        match self {
            TagScheme::Plain | TagScheme::Iob2 => None,
            TagScheme::Iobes | TagScheme::Bmes => Some(["E", "S"]),
            TagScheme::Bilou => Some(["L", "U"]),
            TagScheme::Bmewo => Some(["E", "W"]),
        }
    }

    /// The letter of words within a span.
    fn inside(self) -> &'static str {
        match self {
            TagScheme::Plain | TagScheme::Iob2 | TagScheme::Iobes | TagScheme::Bilou => "I",
            TagScheme::Bmes | TagScheme::Bmewo => "M",
        }
    }

    /// Every tag of the kinds that occur in `tags`.
    fn complete(self, tags: &BTreeSet<&str>) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        if self == TagScheme::Plain {
            return all;
        }
        all.insert(OUTSIDE.into());
        for kind in tags.iter().filter(|tag| **tag != OUTSIDE).map(|tag| split(tag).1) {
            let letters = ["B", self.inside()].into_iter().chain(self.ends().into_iter().flatten());
            all.extend(letters.map(|letter| join(letter, kind)));
        }
        all
    }

    /// Every tag of `tags`, the words of one sentence, that does not follow from the tags around it.
    pub(crate) fn problems(self, tags: &[&str]) -> Vec<TagProblem> {
        match self.ends() {
            None if self == TagScheme::Plain => Vec::new(),
            None => orphans(tags).map(|token| orphan(token, tags[token], None)).collect(),
            Some(ends) => closed_problems(tags, self.inside(), ends),
        }
    }
}

impl fmt::Display for TagScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            TagScheme::Plain => "plain tags",
            TagScheme::Iob2 => "IOB2",
            TagScheme::Iobes => "IOBES",
            TagScheme::Bilou => "BILOU",
            TagScheme::Bmes => "BMES",
            TagScheme::Bmewo => "BMEWO",
        })
    }
}

/// A tag that does not follow from those around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagProblem {
    /// The word's place in its sentence, from 0.
    pub token: usize,
    /// What could stand there.
    pub expected: String,
    /// What to do.
    pub hint: String,
}

/// The tags of a training file. With a scheme of spans, all tags of every kind that occurs are among them, so that another
/// file may well have a longer span.
pub(super) fn from_training(dataset: &Dataset) -> Result<TargetSpace, DataError> {
    let (rows, scheme, from_iob1) = checked(dataset, None)?;
    let occurring: BTreeSet<&str> = rows.iter().flatten().map(String::as_str).collect();
    let all = scheme.complete(&occurring);
    if let (1, Some(label)) = (occurring.len(), occurring.first()) {
        let (path, column) = (dataset.path.clone(), dataset.columns.label_names());
        return Err(DataError::OneClass { path, column, label: (*label).to_owned() });
    }
    let labels = LabelSet::ordered(all);
    Ok(TargetSpace::Tags { labels, scheme, from_iob1 })
}

/// The tag of each word of each row.
pub(super) fn encode(labels: &LabelSet, scheme: TagScheme, dataset: &Dataset) -> Result<TagRows, DataError> {
    let numbers: BTreeMap<&str, u32> = labels.names().iter().map(String::as_str).zip(0..).collect();
    let (rows, _, from_iob1) = checked(dataset, Some((labels, scheme)))?;
    let mut tags = TagRows { from_iob1, ..TagRows::new([]) };
    for (example, row) in dataset.examples.iter().zip(&rows) {
        let number = |(token, tag): (usize, &String)| {
            numbers.get(tag.as_str()).copied().ok_or_else(|| unknown(dataset, example, token, tag, labels))
        };
        tags.push(&row.iter().enumerate().map(number).collect::<Result<Vec<u32>, DataError>>()?);
    }
    Ok(tags)
}

/// The tags of every row, in the scheme that is known or that they have; IOB1 has become IOB2.
fn checked(
    dataset: &Dataset,
    known: Option<(&LabelSet, TagScheme)>,
) -> Result<(Vec<Vec<String>>, TagScheme, bool), DataError> {
    let rows: Vec<Vec<&str>> =
        dataset.examples.iter().map(|example| tags_of(dataset, example)).collect::<Result<_, DataError>>()?;
    let scheme = match known {
        Some((labels, scheme)) => {
            check_known(dataset, &rows, labels, scheme)?;
            scheme
        }
        None => TagScheme::of(&rows.iter().flatten().copied().collect())
            .map_err(|(odd, expected)| mixed(dataset, &rows, odd, expected))?,
    };
    let from_iob1 = scheme == TagScheme::Iob2 && is_iob1(&rows);
    if from_iob1 {
        return Ok((rows.iter().map(|row| to_iob2(row)).collect(), scheme, true));
    }
    for (example, row) in dataset.examples.iter().zip(&rows) {
        if let Some(TagProblem { token, expected, hint }) = scheme.problems(row).into_iter().next() {
            let (place, found) = (word_place(dataset, example, token), row[token].to_owned());
            return Err(TargetError::TagSequence { place, expected, found, hint }.into());
        }
    }
    let rows = rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect();
    Ok((rows, scheme, false))
}

/// The tags of a row, as many as it has words.
pub(crate) fn tags_of<'a>(dataset: &Dataset, example: &'a Example) -> Result<Vec<&'a str>, DataError> {
    let (path, line, columns) = (dataset.path.clone(), example.line, &dataset.columns);
    if example.words.is_empty() {
        let column = columns.text.clone();
        return Err(TargetError::NoWords { path, line, column, found: "plain text" }.into());
    }
    let tags = match &example.label {
        None => return Err(dataset.missing_labels(vec![(line, String::new())])),
        Some(Label::Text(_)) => {
            let column = columns.label_names();
            return Err(TargetError::NoWords { path, line, column, found: "one label" }.into());
        }
        Some(Label::List(tags)) => tags,
    };
    let words = example.words.len();
    if tags.len() != words {
        let column = columns.label_names();
        return Err(TargetError::TagCount { path, line, column, words, tags: tags.len() }.into());
    }
    if let Some(token) = tags.iter().position(|tag| tag.trim().is_empty()) {
        let (place, hint) = (word_place(dataset, example, token), "a word of no span has the tag O".into());
        return Err(TargetError::TagSequence { place, expected: "a tag".into(), found: String::new(), hint }.into());
    }
    Ok(tags.iter().map(String::as_str).collect())
}

/// Where a word is: in a file with a word a line, on its own one.
pub(crate) fn word_place(dataset: &Dataset, example: &Example, token: usize) -> WordPlace {
    let line = match example.word_lines.get(token) {
        Some(&line) => line,
        None if dataset.format == Format::Conll => example.line + token,
        None => example.line,
    };
    let word = example.words.get(token).map_or("", |word| &example.text[word.clone()]);
    WordPlace { path: dataset.path.clone(), line, token: token + 1, word: word.to_owned() }
}

/// Looks for tags that are not known before their order is looked at, which they would have disturbed.
fn check_known(dataset: &Dataset, rows: &[Vec<&str>], labels: &LabelSet, scheme: TagScheme) -> Result<(), DataError> {
    let mut known: BTreeSet<&str> = labels.names().iter().map(String::as_str).collect();
    let kinds: Vec<String> = match scheme {
        // In IOB1, a span without its B- is none the less known.
        TagScheme::Iob2 => known.iter().filter(|tag| **tag != OUTSIDE).map(|tag| join("I", split(tag).1)).collect(),
        _ => Vec::new(),
    };
    known.extend(kinds.iter().map(String::as_str));
    for (example, row) in dataset.examples.iter().zip(rows) {
        if let Some(token) = row.iter().position(|tag| !known.contains(tag)) {
            return Err(unknown(dataset, example, token, row[token], labels));
        }
    }
    Ok(())
}

fn unknown(dataset: &Dataset, example: &Example, token: usize, tag: &str, labels: &LabelSet) -> DataError {
    let (place, known) = (word_place(dataset, example, token), labels.names().to_vec());
    TargetError::UnknownTag { place, found: tag.to_owned(), known }.into()
}

/// The first word that has the tag which fits with no scheme.
fn mixed(dataset: &Dataset, rows: &[Vec<&str>], odd: &str, expected: String) -> DataError {
    let mut places = dataset.examples.iter().zip(rows);
    let place = places.find_map(|(example, row)| {
        row.iter().position(|tag| *tag == odd).map(|token| word_place(dataset, example, token))
    });
    let place = place.unwrap_or(WordPlace { path: dataset.path.clone(), line: 0, token: 0, word: String::new() });
    let hint = "the tags of a file are all IOB (B-X, I-X, O), all IOBES, all BILOU, all BMES, or all plain".into();
    TargetError::TagSequence { place, expected, found: odd.to_owned(), hint }.into()
}

/// A tag's letter and kind.
fn split(tag: &str) -> (&str, &str) {
    tag.split_once('-').unwrap_or((tag, ""))
}

fn join(letter: &str, kind: &str) -> String {
    if kind.is_empty() { letter.into() } else { format!("{letter}-{kind}") }
}

/// Whether a span of `kind` may go on after `tag`.
fn goes_on(tag: Option<&&str>, kind: &str) -> bool {
    tag.is_some_and(|tag| *tag != OUTSIDE && split(tag).1 == kind)
}

/// Places of `I-X` with no word of that kind before it.
fn orphans(tags: &[&str]) -> impl Iterator<Item = usize> {
    let before = |token: usize| token.checked_sub(1).and_then(|before| tags.get(before));
    (0..tags.len()).filter(move |&token| {
        let (letter, kind) = split(tags[token]);
        tags[token] != OUTSIDE && letter == "I" && !goes_on(before(token), kind)
    })
}

/// Whether spans begin with `I-` in some places, and with `B-` nowhere but after a word of their kind.
pub(crate) fn is_iob1(rows: &[Vec<&str>]) -> bool {
    let needed = |row: &[&str], token: usize| {
        let (letter, kind) = split(row[token]);
        letter != "B" || token > 0 && goes_on(row.get(token - 1), kind)
    };
    rows.iter().any(|row| orphans(row).next().is_some())
        && rows.iter().all(|row| (0..row.len()).all(|token| needed(row, token)))
}

fn to_iob2(row: &[&str]) -> Vec<String> {
    let mut tags: Vec<String> = row.iter().map(|tag| (*tag).to_owned()).collect();
    for token in orphans(row) {
        tags[token] = join("B", split(row[token]).1);
    }
    tags
}

fn orphan(token: usize, tag: &str, single: Option<&str>) -> TagProblem {
    let kind = split(tag).1;
    let begin = join("B", kind);
    let expected = match single {
        Some(single) => format!("`{begin}` or `{}` where a span begins", join(single, kind)),
        None => format!("`{begin}` where a span begins"),
    };
    TagProblem { token, expected, hint: format!("there is no `{begin}` before it: write `{begin}` there, or `O`") }
}

fn closed_problems(tags: &[&str], inside: &str, [end, single]: [&str; 2]) -> Vec<TagProblem> {
    let mut problems = Vec::new();
    let mut open: Option<&str> = None;
    let unclosed = |token: usize, kind: &str| TagProblem {
        token,
        expected: format!("`{}` or `{}`", join(inside, kind), join(end, kind)),
        hint: format!("a span that begins with `{}` ends with `{}`", join("B", kind), join(end, kind)),
    };
    for (token, tag) in tags.iter().enumerate() {
        let (letter, kind) = if *tag == OUTSIDE { (OUTSIDE, "") } else { split(tag) };
        let is_inside = letter == inside || letter == end;
        match open {
            Some(before) if !is_inside || kind != before => problems.push(unclosed(token, before)),
            None if is_inside => problems.push(orphan(token, tag, Some(single))),
            _ => {}
        }
        open = (letter == "B" || letter == inside).then_some(kind);
    }
    if let Some(kind) = open {
        let last = tags.len() - 1;
        let begins = split(tags[last]).0 == "B";
        let closing = join(if begins { single } else { end }, kind);
        let hint = format!("the sentence ends here: write `{closing}` there");
        problems.push(TagProblem { token: last, expected: format!("`{closing}` at the end of the sentence"), hint });
    }
    problems
}
