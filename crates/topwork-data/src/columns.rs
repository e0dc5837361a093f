//! Which column holds the text, its second half and the label.

use std::path::Path;

use crate::error::DataError;
use crate::role::Role;

/// The columns that the user named; what is not named is found by its usual name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// The text, the first text of a pair, or the list of words. In a CoNLL file the number of the column of words, from 1.
    pub text: Option<String>,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The label: one column or several. A single name that no column has, but that holds commas, is a list of names.
    pub labels: Vec<String>,
    /// Whether the first row of a table is a row, so that its columns have numbers for names, from 1.
    pub no_header: bool,
}

impl ColumnNames {
    /// Whether a text of these names stands in a table with this header.
    pub(crate) fn are_in(&self, path: &Path, header: &[String]) -> bool {
        header.len() > 1 && Places::find(path, header, &[], self, Labels::Ignored).is_ok()
    }
}

/// The columns that were found, as the file spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The text, the first text of a pair, or the list of words.
    pub text: String,
    /// The second text of a pair, if the rows are pairs.
    pub text_pair: Option<String>,
    /// The columns of the label: none, one or several.
    pub labels: Vec<String>,
}

impl Columns {
    /// The column of the label; of several the first.
    pub fn label(&self) -> Option<&String> {
        self.labels.first()
    }

    /// Whether all names are numbers, as those of a file without a header.
    pub fn are_numbered(&self) -> bool {
        let mut names = [&self.text].into_iter().chain(&self.text_pair).chain(&self.labels);
        names.all(|name| name.parse::<usize>().is_ok())
    }

    /// The names with which a file is read by these columns; one without a header, where they are numbers.
    pub fn as_named(&self) -> ColumnNames {
        ColumnNames {
            text: Some(self.text.clone()),
            text_pair: self.text_pair.clone(),
            labels: self.labels.clone(),
            no_header: self.are_numbered(),
        }
    }

    /// The columns of the label as a message names them.
    pub fn label_names(&self) -> String {
        if self.labels.is_empty() { "label".into() } else { self.labels.join(",") }
    }
}

/// Whether a file needs labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// The file has a column of them, or several.
    Required,
    /// They are read where they are.
    Optional,
    /// None are looked for.
    Ignored,
}

/// Names of a single text, most usual first.
pub(crate) const TEXT_NAMES: [&str; 2] = ["text", "sentence"];

/// Names of the two texts of a pair, most usual first. `text` alone also is a [`TEXT_NAMES`].
pub(crate) const PAIR_NAMES: [(&str, &str); 4] =
    [("text", "text_pair"), ("text_a", "text_b"), ("sentence1", "sentence2"), ("premise", "hypothesis")];

/// Whether a column of this name usually holds a text, or the first of a pair.
pub(crate) fn is_name_of_text(name: &str) -> bool {
    let folded = name.trim().to_lowercase();
    TEXT_NAMES.into_iter().chain(PAIR_NAMES.map(|(first, _)| first)).any(|known| known == folded)
}

const LABEL_NAMES: [&str; 2] = ["label", "labels"];

/// Names of a list of words, most usual first.
const WORD_NAMES: [&str; 2] = ["tokens", "words"];

/// Names of a list with a tag for each word, most usual first; of several, entities come before parts of speech.
pub(crate) const TAG_NAMES: [&str; 10] =
    ["ner_tags", "tags", "labels", "label", "pos_tags", "chunk_tags", "ner", "upos", "pos", "xpos"];

/// Places of the columns in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) text: usize,
    pub(crate) text_pair: Option<usize>,
    pub(crate) labels: Vec<usize>,
    /// Whether the text is a list of words.
    pub(crate) words: bool,
}

impl Places {
    /// Finds the columns in `header`; `is_list` says which of them hold lists.
    pub(crate) fn find(
        path: &Path,
        header: &[String],
        is_list: &[bool],
        names: &ColumnNames,
        labels: Labels,
    ) -> Result<Places, DataError> {
        let header = Header { path, names: header, is_list };
        let (text, text_pair) = match header.words(names, labels)? {
            Some(words) => (words, None),
            None => header.texts(names)?,
        };
        let words = text_pair.is_none() && header.is_list.get(text) == Some(&true);
        let labels = header.labels(names, labels, words)?;
        let places = Places { text, text_pair, labels, words };
        match places.used_twice() {
            Some(place) => Err(DataError::ColumnUsedTwice { path: path.into(), column: header.names[place].clone() }),
            None => Ok(places),
        }
    }

    /// The places of the text, of the second text, and of the labels.
    pub(crate) fn used(&self) -> impl Iterator<Item = usize> {
        [self.text].into_iter().chain(self.text_pair).chain(self.labels.iter().copied())
    }

    fn used_twice(&self) -> Option<usize> {
        let used: Vec<usize> = self.used().collect();
        used.iter().enumerate().find(|(at, place)| used[..*at].contains(place)).map(|(_, &place)| place)
    }

    /// Finds the column of single texts in `header`: the one called `name`, or one with a usual name.
    pub(crate) fn find_text(path: &Path, header: &[String], name: Option<&str>) -> Result<usize, DataError> {
        let header = Header { path, names: header, is_list: &[] };
        match name {
            Some(name) => header.expect(name, Role::Text),
            None => header.usual_text(None),
        }
    }

    /// The names at these places.
    pub(crate) fn columns(&self, header: &[String]) -> Columns {
        Columns {
            text: header[self.text].clone(),
            text_pair: self.text_pair.map(|place| header[place].clone()),
            labels: self.labels.iter().map(|&place| header[place].clone()).collect(),
        }
    }

    /// The names at all other places.
    pub(crate) fn ignored(&self, header: &[String]) -> Vec<String> {
        let used: Vec<usize> = self.used().collect();
        let ignored = header.iter().enumerate().filter(|(place, _)| !used.contains(place));
        ignored.map(|(_, name)| name.clone()).collect()
    }
}

struct Header<'a> {
    path: &'a Path,
    names: &'a [String],
    is_list: &'a [bool],
}

impl Header<'_> {
    /// The list of words, where the user did not name the text: if there is no text beside it, or if there is one, but the
    /// labels that are wanted are a list by a name that only tags of words have.
    fn words(&self, names: &ColumnNames, labels: Labels) -> Result<Option<usize>, DataError> {
        if names.text.is_some() || names.text_pair.is_some() {
            return Ok(None);
        }
        let Some(words) = self.find_list(&WORD_NAMES)? else { return Ok(None) };
        let firsts = PAIR_NAMES.iter().map(|&(first, _)| first);
        let has_text = TEXT_NAMES.into_iter().chain(firsts).any(|name| matches!(self.find(name), Ok(Some(_))));
        if !has_text {
            return Ok(Some(words));
        }
        let only_tags: Vec<&str> = TAG_NAMES.into_iter().filter(|name| !LABEL_NAMES.contains(name)).collect();
        let has_tags = match &names.labels[..] {
            [] => {
                let has_label = LABEL_NAMES.iter().any(|name| matches!(self.find(name), Ok(Some(_))));
                labels == Labels::Required && !has_label && self.find_list(&only_tags)?.is_some()
            }
            [name] => only_tags.contains(&name.as_str()) && self.find_list(&[name])?.is_some(),
            _ => false,
        };
        Ok(has_tags.then_some(words))
    }

    /// The first of the columns of these names that holds lists.
    fn find_list(&self, names: &[&str]) -> Result<Option<usize>, DataError> {
        for name in names {
            if let Some(place) = self.find(name)?
                && self.is_list.get(place) == Some(&true)
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn texts(&self, names: &ColumnNames) -> Result<(usize, Option<usize>), DataError> {
        let pair = match &names.text_pair {
            Some(name) => Some(self.expect(name, Role::TextPair)?),
            None => None,
        };
        match &names.text {
            Some(name) => Ok((self.expect(name, Role::Text)?, pair)),
            None if pair.is_some() => Ok((self.usual_text(pair)?, pair)),
            None => self.usual_texts(),
        }
    }

    /// The first text where the user named only the second one, or none is wanted.
    fn usual_text(&self, pair: Option<usize>) -> Result<usize, DataError> {
        let firsts = PAIR_NAMES.iter().map(|&(first, _)| first);
        for name in TEXT_NAMES.into_iter().chain(firsts) {
            if let Some(place) = self.find(name)?
                && Some(place) != pair
            {
                return Ok(place);
            }
        }
        Err(self.missing("text", Role::Text))
    }

    fn usual_texts(&self) -> Result<(usize, Option<usize>), DataError> {
        let mut half = None;
        for (first, second) in PAIR_NAMES {
            match (self.find(first)?, self.find(second)?) {
                (Some(text), Some(pair)) => return Ok((text, Some(pair))),
                (Some(text), None) if TEXT_NAMES.contains(&first) => return Ok((text, None)),
                (Some(_), None) => half = half.or(Some((second, Role::TextPair))),
                (None, Some(_)) => half = half.or(Some((first, Role::Text))),
                (None, None) => {}
            }
        }
        for name in TEXT_NAMES {
            if let Some(place) = self.find(name)? {
                return Ok((place, None));
            }
        }
        let (name, role) = half.unwrap_or((TEXT_NAMES[0], Role::Text));
        Err(self.missing(name, role))
    }

    fn labels(&self, names: &ColumnNames, labels: Labels, words: bool) -> Result<Vec<usize>, DataError> {
        if labels == Labels::Ignored {
            return Ok(Vec::new());
        }
        let usual: &[&str] = if words { &TAG_NAMES } else { &LABEL_NAMES };
        let mut missing = usual[0];
        match &names.labels[..] {
            [] if words => {
                if let Some(place) = self.find_list(usual)? {
                    return Ok(vec![place]);
                }
            }
            [] => {
                for name in usual {
                    if let Some(place) = self.find(name)? {
                        return Ok(vec![place]);
                    }
                }
            }
            [name] => {
                if let Some(place) = self.find(name)? {
                    return Ok(vec![place]);
                }
                let several: Vec<&str> = name.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
                if several.len() > 1 {
                    return several.into_iter().map(|name| self.expect(name, Role::Label)).collect();
                }
                missing = name;
            }
            several => return several.iter().map(|name| self.expect(name, Role::Label)).collect(),
        }
        match labels {
            Labels::Required => Err(self.missing(missing, Role::Label)),
            Labels::Optional | Labels::Ignored => Ok(Vec::new()),
        }
    }

    fn expect(&self, name: &str, role: Role) -> Result<usize, DataError> {
        self.find(name)?.ok_or_else(|| self.missing(name, role))
    }

    /// The column called exactly `name`, else the only one that differs in case or surrounding space alone.
    fn find(&self, name: &str) -> Result<Option<usize>, DataError> {
        let places = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            self.names.iter().enumerate().filter(|(_, column)| same(column)).map(|(place, _)| place).collect()
        };
        let mut found = places(&|column| column == name);
        if found.is_empty() {
            let folded = name.trim().to_lowercase();
            found = places(&|column| column.trim().to_lowercase() == folded);
        }
        match found[..] {
            [] => Ok(None),
            [place] => Ok(Some(place)),
            [first, ..] => {
                Err(DataError::DuplicateColumn { path: self.path.into(), column: self.names[first].clone() })
            }
        }
    }

    fn missing(&self, name: &str, role: Role) -> DataError {
        DataError::MissingColumn { path: self.path.into(), role, column: name.to_owned(), found: self.names.to_vec() }
    }
}
