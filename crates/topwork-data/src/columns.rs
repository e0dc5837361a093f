//! Which column holds the text, its second half and the label.

use std::path::Path;

use crate::dataset::Labels;
use crate::error::DataError;

/// The columns that the user named; what is not named is found by its usual name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    /// The text, or the first text of a pair.
    pub text: Option<String>,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The label.
    pub label: Option<String>,
}

/// The columns that were found, as the file spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The text, or the first text of a pair.
    pub text: String,
    /// The second text of a pair, if the rows are pairs.
    pub text_pair: Option<String>,
    /// The label, if the file has one.
    pub label: Option<String>,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The text, or the first text of a pair.
    Text,
    /// The second text of a pair.
    TextPair,
    /// The label.
    Label,
}

impl Role {
    /// The command-line option that names this column.
    pub fn option(self) -> &'static str {
        match self {
            Role::Text => "--text-column",
            Role::TextPair => "--text-pair-column",
            Role::Label => "--label-column",
        }
    }
}

/// Names of a single text, most usual first.
pub(crate) const TEXT_NAMES: [&str; 2] = ["text", "sentence"];

/// Names of the two texts of a pair, most usual first. `text` alone also is a [`TEXT_NAMES`].
pub(crate) const PAIR_NAMES: [(&str, &str); 4] =
    [("text", "text_pair"), ("text_a", "text_b"), ("sentence1", "sentence2"), ("premise", "hypothesis")];

const LABEL_NAMES: [&str; 2] = ["label", "labels"];

/// Places of the columns in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) text: usize,
    pub(crate) text_pair: Option<usize>,
    pub(crate) label: Option<usize>,
}

impl Places {
    /// Finds the columns in `header`.
    pub(crate) fn find(
        path: &Path,
        header: &[String],
        names: &ColumnNames,
        labels: Labels,
    ) -> Result<Places, DataError> {
        let header = Header { path, names: header };
        let (text, text_pair) = header.texts(names)?;
        let label = header.label(names, labels)?;
        let places = Places { text, text_pair, label };
        if text_pair == Some(text) || label == Some(text) || (label.is_some() && label == text_pair) {
            let column = if text_pair == Some(text) { text } else { label.unwrap_or(text) };
            return Err(DataError::ColumnUsedTwice { path: path.into(), column: header.names[column].clone() });
        }
        Ok(places)
    }

    /// Finds the column of single texts in `header`: the one called `name`, or one with a usual name.
    pub(crate) fn find_text(path: &Path, header: &[String], name: Option<&str>) -> Result<usize, DataError> {
        let header = Header { path, names: header };
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
            label: self.label.map(|place| header[place].clone()),
        }
    }

    /// The names at all other places.
    pub(crate) fn ignored(&self, header: &[String]) -> Vec<String> {
        let used = [Some(self.text), self.text_pair, self.label];
        let ignored = header.iter().enumerate().filter(|(place, _)| !used.contains(&Some(*place)));
        ignored.map(|(_, name)| name.clone()).collect()
    }
}

struct Header<'a> {
    path: &'a Path,
    names: &'a [String],
}

impl Header<'_> {
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

    fn label(&self, names: &ColumnNames, labels: Labels) -> Result<Option<usize>, DataError> {
        let mut wanted = LABEL_NAMES.to_vec();
        if let Some(name) = &names.label {
            wanted = vec![name];
        }
        for name in &wanted {
            if let Some(place) = self.find(name)? {
                return Ok(Some(place));
            }
        }
        match labels {
            Labels::Required => Err(self.missing(wanted[0], Role::Label)),
            Labels::Optional => Ok(None),
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
