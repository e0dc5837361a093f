//! Rows of files with a word on each line and a blank line after each sentence, as the shared tasks of CoNLL have them.
//!
//! The first column is the word, the last one its tag. Columns are separated by tabs if the first line has one, else by
//! white space. A line `-DOCSTART-` says only that a document begins, and a line that begins with `#` at the head of a
//! sentence is a comment, unless it ends in a tag that other lines have: `#` is a word as well.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::DataError;

/// A sentence.
#[derive(Debug, Default)]
pub(crate) struct Sentence<'a> {
    /// The line of its first word, from 1; the others follow, a line each.
    pub(crate) line: usize,
    /// The columns of each word.
    pub(crate) words: Vec<Vec<&'a str>>,
}

/// The sentences of `text`, and how many columns a line has.
pub(crate) fn read<'a>(path: &Path, text: &'a str) -> Result<(Vec<Sentence<'a>>, usize), DataError> {
    let file = File::of(text);
    let mut sentences: Vec<Sentence<'a>> = Vec::new();
    let mut at_head = true;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || is_document_start(line) {
            at_head = true;
            continue;
        }
        let fields = file.fields(line);
        if at_head && file.is_comment(line, &fields) {
            continue;
        }
        if fields.len() != file.columns {
            let (expected, found) = (file.columns, fields.len());
            return Err(DataError::RaggedWord { path: path.into(), line: number + 1, expected, found });
        }
        if at_head {
            sentences.push(Sentence { line: number + 1, words: Vec::new() });
            at_head = false;
        }
        if let Some(sentence) = sentences.last_mut() {
            sentence.words.push(fields);
        }
    }
    Ok((sentences, file.columns))
}

/// Whether `text` has the look of such a file: on every line as many columns, the last of them `O` or a tag such as `B-PER`.
pub(crate) fn looks_like(text: &str) -> bool {
    let file = File::of(text);
    let (mut at_head, mut tagged) = (true, false);
    for line in text.lines() {
        if line.trim().is_empty() || is_document_start(line) {
            at_head = true;
            continue;
        }
        let fields = file.fields(line);
        if at_head && file.is_comment(line, &fields) {
            continue;
        }
        at_head = false;
        let Some(tag) = fields.last() else { return false };
        if fields.len() < 2 || fields.len() != file.columns || !(*tag == "O" || is_span_tag(tag)) {
            return false;
        }
        tagged |= *tag != "O";
    }
    tagged
}

fn is_span_tag(tag: &str) -> bool {
    matches!(tag.split_once('-'), Some(("B" | "I" | "E" | "S" | "L" | "U", kind)) if !kind.is_empty())
}

fn is_document_start(line: &str) -> bool {
    line.starts_with("-DOCSTART-")
}

/// How the lines of a file are written.
struct File<'a> {
    tabs: bool,
    columns: usize,
    /// The last columns of the lines that are surely no comments.
    tags: BTreeSet<&'a str>,
}

impl<'a> File<'a> {
    fn of(text: &'a str) -> File<'a> {
        let lines = || text.lines().filter(|line| !line.trim().is_empty() && !is_document_start(line));
        let words = || lines().filter(|line| !line.starts_with('#'));
        let first = words().next().or_else(|| lines().next()).unwrap_or_default();
        let mut file = File { tabs: first.contains('\t'), columns: 0, tags: BTreeSet::new() };
        file.columns = file.fields(first).len();
        file.tags = words().filter_map(|line| file.fields(line).last().copied()).collect();
        file
    }

    fn fields(&self, line: &'a str) -> Vec<&'a str> {
        if self.tabs { line.split('\t').map(str::trim).collect() } else { line.split_whitespace().collect() }
    }

    fn is_comment(&self, line: &str, fields: &[&str]) -> bool {
        let is_word = fields.len() == self.columns && fields.last().is_some_and(|tag| self.tags.contains(tag));
        line.starts_with('#') && !is_word
    }
}
