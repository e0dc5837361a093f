//! Which column of a file with a word a line is the word, and which one its tag.
//!
//! The first column is the word, unless it numbers the words or is the same throughout a document; the last one is the tag. In
//! CoNLL-U the columns have names.

use crate::columns::{Columns, Labels, TAG_NAMES};
use crate::conll::Conll;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::parts::{Parts, Source};
use crate::role::Role;

/// The columns of CoNLL-U.
const NAMES: [&str; 10] = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"];
/// What CoNLL-X calls some of them.
const OLD_NAMES: [(&str, usize); 2] = [("cpostag", UPOS), ("postag", 4)];
const FORM: usize = 1;
const UPOS: usize = 3;
/// In fewer words a column may be the same by chance.
const LEAST_WORDS: usize = 8;

/// The rows of such a file. Which columns are word and tag may be said by their numbers, from 1.
pub(crate) fn rows(source: &Source<'_>, file: Conll<'_>) -> Result<Parts, DataError> {
    let said = source.names.text.as_deref().map(|name| file.said(name));
    let tag = file.tag(&source.names.labels);
    let may_lack_tags = matches!(source.labels, Labels::Optional | Labels::Ignored);
    if tag.is_none() && !may_lack_tags {
        return Err(file.no_tag(source, said.unwrap_or_default().unwrap_or(0)));
    }
    let found = match said {
        Some(Said::Column(column)) => column,
        Some(Said::Missing) => return Err(file.missing(source, Role::Text, source.names.text.as_deref(), None)),
        Some(Said::Usual) | None => file.word(tag),
    };
    // Without labels, two columns may be a number and the word.
    let is_untagged = may_lack_tags && source.names.labels.is_empty();
    let (word, tag) = match tag {
        Some(last) if found == 0 && file.columns == 2 && is_untagged && file.counts(0) => (last, None),
        tag => (found, tag),
    };
    if tag == Some(word) {
        let column = source.names.labels.first().or(source.names.text.as_ref());
        return Err(match (&source.names.text, column) {
            (Some(_), Some(column)) => DataError::ColumnUsedTwice { path: source.path.into(), column: column.clone() },
            _ => file.no_tag(source, word),
        });
    }
    Ok(file.parts(source, word, tag))
}

/// What somebody said to be the column of words.
#[derive(Clone, Copy, Default)]
enum Said {
    Column(usize),
    /// A number that no column has.
    Missing,
    /// A name, as other formats have them.
    #[default]
    Usual,
}

impl Said {
    fn unwrap_or(self, usual: usize) -> usize {
        match self {
            Said::Column(column) => column,
            Said::Missing | Said::Usual => usual,
        }
    }
}

impl<'a> Conll<'a> {
    fn has_names(&self) -> bool {
        self.is_universal && self.columns == NAMES.len()
    }

    /// The column of that name, or of that number from 1.
    fn column(&self, name: &str) -> Option<usize> {
        if let Ok(number) = name.trim().parse::<usize>() {
            return number.checked_sub(1).filter(|column| *column < self.columns);
        }
        let folded = name.trim().to_lowercase();
        let old = || OLD_NAMES.iter().find(|(old, _)| *old == folded).map(|&(_, column)| column);
        NAMES.iter().position(|known| *known == folded).or_else(old).filter(|_| self.has_names())
    }

    fn said(&self, name: &str) -> Said {
        match self.column(name) {
            Some(column) => Said::Column(column),
            None if name.trim().parse::<usize>().is_ok() => Said::Missing,
            None => Said::Usual,
        }
    }

    fn name(&self, column: usize) -> String {
        if self.has_names() { NAMES[column].into() } else { (column + 1).to_string() }
    }

    fn tag(&self, names: &[String]) -> Option<usize> {
        let usual = if self.has_names() { Some(UPOS) } else { (self.columns > 1).then(|| self.columns - 1) };
        match names {
            [] => usual,
            [name] => self.column(name).or(usual.filter(|_| TAG_NAMES.contains(&name.as_str()))),
            _ => None,
        }
    }

    /// The first column that is neither a number of the word nor the same throughout, beside the tag.
    fn word(&self, tag: Option<usize>) -> usize {
        if self.has_names() {
            return FORM;
        }
        let is_word = |column: &usize| !self.counts(*column) && !self.is_constant(*column);
        if is_word(&0) {
            return 0;
        }
        (1..self.columns).filter(|column| Some(*column) != tag).find(is_word).unwrap_or(0)
    }

    /// Whether a column numbers the words of each sentence, from 0 or 1.
    fn counts(&self, column: usize) -> bool {
        let from = |first: usize| {
            self.sentences.iter().all(|sentence| {
                let mut words = sentence.words.iter().enumerate();
                words.all(|(place, word)| word[column].parse() == Ok(place + first))
            })
        };
        from(1) || from(0)
    }

    /// Whether a column is the same throughout each document.
    fn is_constant(&self, column: usize) -> bool {
        let words: usize = self.sentences.iter().map(|sentence| sentence.words.len()).sum();
        let mut last: Option<(usize, &str)> = None;
        let mut differs = self.sentences.iter().flat_map(|sentence| {
            let value = move |word: &'_ Vec<&'a str>| (sentence.document, word[column]);
            sentence.words.iter().map(value)
        });
        let is_other = |(document, value): (usize, &'a str)| {
            let before = last.replace((document, value));
            before.is_some_and(|(same, before)| same == document && before != value)
        };
        words >= LEAST_WORDS && self.sentences.len() > 1 && !differs.any(is_other)
    }

    fn no_tag(&self, source: &Source<'_>, word: usize) -> DataError {
        if self.columns < 2 {
            let line = self.sentences.first().map_or(1, |sentence| sentence.line);
            return DataError::RaggedWord { path: source.path.into(), line, expected: 2, found: self.columns };
        }
        self.missing(source, Role::Label, Some(&source.names.labels.join(",")), Some(word))
    }

    fn missing(&self, source: &Source<'_>, role: Role, name: Option<&str>, but: Option<usize>) -> DataError {
        let found = (0..self.columns).filter(|column| Some(*column) != but).map(|column| self.name(column)).collect();
        DataError::MissingColumn { path: source.path.into(), role, column: name.unwrap_or_default().into(), found }
    }

    fn parts(self, source: &Source<'_>, word: usize, tag: Option<usize>) -> Parts {
        let label = || match &source.names.labels[..] {
            [name] => name.clone(),
            _ if self.has_names() => NAMES[UPOS].into(),
            _ => "tags".into(),
        };
        let text = source.names.text.clone().filter(|name| matches!(self.said(name), Said::Column(_)));
        let columns = Columns {
            text: text.unwrap_or_else(|| "tokens".into()),
            text_pair: None,
            labels: tag.map(|_| label()).into_iter().collect(),
        };
        let unused = (0..self.columns).filter(|column| *column != word && Some(*column) != tag);
        let ignored_columns = unused.map(|column| self.name(column)).collect();
        let example = |sentence: crate::conll::Sentence<'_>| Example {
            label: tag.map(|tag| Label::List(sentence.words.iter().map(|word| word[tag].to_owned()).collect())),
            line: sentence.line,
            word_lines: sentence.word_lines(),
            ..Example::from_words(sentence.words.iter().map(|columns| columns[word]))
        };
        let examples = self.sentences.into_iter().map(example).collect();
        Parts { columns, ignored_columns, examples, ..Parts::default() }
    }
}
