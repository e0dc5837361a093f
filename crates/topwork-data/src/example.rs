//! One row: its text, its words where it has them, and its label as it stands in the file.

use std::fmt;
use std::ops::Range;

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The text, or the first text of a pair, as it stands in the file; may be empty. Where the file has words, these,
    /// with one space between them.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The places of the words in `text`, as bytes, in their order; none where the row is plain text.
    pub words: Vec<Range<usize>>,
    /// The label, as it stands in the file; none where the file has none for this row.
    pub label: Option<Label>,
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The lines of the words, where each has its own and other lines lie between; else none.
    pub word_lines: Vec<usize>,
}

impl Example {
    /// A row of plain text, without a label or a line.
    pub fn from_text(text: impl Into<String>) -> Example {
        Example { text: text.into(), ..Example::default() }
    }

    /// A row of words, without tags or a line.
    pub fn from_words<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Example {
        let mut example = Example::default();
        for word in words {
            if !example.words.is_empty() {
                example.text.push(' ');
            }
            let start = example.text.len();
            example.text.push_str(word.as_ref());
            example.words.push(start..example.text.len());
        }
        example
    }

    /// The words, in their order; none where the row is plain text.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &str> {
        self.words.iter().map(|word| &self.text[word.clone()])
    }

    /// Forgets the words, for a task that takes a text as a whole.
    pub fn forget_words(&mut self) {
        self.words.clear();
        self.word_lines.clear();
    }

    /// The label where it is one value.
    pub fn label_text(&self) -> Option<&str> {
        self.label.as_ref().and_then(Label::text)
    }
}

/// A label, as it stands in the file. What it means is for the task to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// One value; never empty or of space alone. Numbers and booleans are as JSON writes them.
    Text(String),
    /// A JSON list, which may be empty, or one written as text; or the values of several columns, in their order, where an empty field is an empty
    /// value, but not all of them are; or the tags of the words.
    List(Vec<String>),
}

impl Label {
    /// The value, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Label::Text(text) => Some(text),
            Label::List(_) => None,
        }
    }

    /// The values.
    pub fn values(&self) -> &[String] {
        match self {
            Label::Text(text) => std::slice::from_ref(text),
            Label::List(values) => values,
        }
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Label {
        Label::Text(text.to_owned())
    }
}

impl From<String> for Label {
    fn from(text: String) -> Label {
        Label::Text(text)
    }
}

impl From<Vec<String>> for Label {
    fn from(values: Vec<String>) -> Label {
        Label::List(values)
    }
}

/// One value as it is, several with `;` between them.
impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Text(text) => formatter.write_str(text),
            Label::List(values) => formatter.write_str(&values.join(";")),
        }
    }
}
