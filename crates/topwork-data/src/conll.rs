//! Rows of files with a word on each line and a blank line after each sentence, as the shared tasks of CoNLL have them.
//!
//! Columns are separated by tabs if the first line has one, else by
//! white space. A line `-DOCSTART-` says only that a document begins, and a line that begins with `#` at the head of a
//! sentence is a comment, unless it ends in a tag that other lines have: `#` is a word as well.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::DataError;

/// A sentence.
#[derive(Debug, Default)]
pub(crate) struct Sentence<'a> {
    /// The line of its first word, from 1.
    pub(crate) line: usize,
    /// The columns of each word.
    pub(crate) words: Vec<Vec<&'a str>>,
    /// Which document of the file it belongs to.
    pub(crate) document: usize,
    lines: Vec<usize>,
}

impl Sentence<'_> {
    /// The lines of the words; none where they follow one another.
    pub(crate) fn word_lines(&self) -> Vec<usize> {
        let follow = self.lines.iter().enumerate().all(|(place, line)| *line == self.line + place);
        if follow { Vec::new() } else { self.lines.clone() }
    }
}

/// A file, taken apart.
#[derive(Debug)]
pub(crate) struct Conll<'a> {
    pub(crate) sentences: Vec<Sentence<'a>>,
    /// How many columns a line has.
    pub(crate) columns: usize,
    /// Whether it is CoNLL-U, or CoNLL-X: a line that is no word of its own, but says that some are written as one, or that
    /// one is left out, is skipped.
    pub(crate) is_universal: bool,
}

/// The sentences of `text`.
pub(crate) fn read<'a>(path: &Path, text: &'a str) -> Result<Conll<'a>, DataError> {
    let mut file = File::of(text);
    file.is_universal |= has_universal_ending(path);
    let mut sentences: Vec<Sentence<'a>> = Vec::new();
    let (mut at_head, mut document) = (true, 0);
    for (number, line) in text.lines().enumerate() {
        let begins_document = is_document_start(line);
        document += usize::from(begins_document || line.starts_with("#begin document"));
        if line.trim().is_empty() || begins_document {
            at_head = true;
            continue;
        }
        let fields = file.fields(line);
        if file.is_universal && (line.starts_with('#') || fields.first().is_some_and(|id| is_no_word(id))) {
            continue;
        }
        if at_head && file.is_comment(line, &fields) {
            continue;
        }
        if fields.len() != file.columns {
            let (expected, found) = (file.columns, fields.len());
            return Err(DataError::RaggedWord { path: path.into(), line: number + 1, expected, found });
        }
        if at_head {
            sentences.push(Sentence { line: number + 1, document, ..Sentence::default() });
            at_head = false;
        }
        if let Some(sentence) = sentences.last_mut() {
            sentence.words.push(fields);
            sentence.lines.push(number + 1);
        }
    }
    Ok(Conll { sentences, columns: file.columns, is_universal: file.is_universal })
}

/// Whether the ending says that the file is CoNLL-U, or CoNLL-X.
fn has_universal_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    matches!(ending.as_deref(), Some("conllu" | "conllx"))
}

/// Whether an id is that of several words, `1-2`, or of one that is left out, `1.1`.
fn is_no_word(id: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.split_once(['-', '.']).is_some_and(|(first, second)| is_number(first) && is_number(second))
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
    matches!(tag.split_once('-'), Some(("B" | "I" | "E" | "S" | "L" | "U" | "M" | "W", kind)) if !kind.is_empty())
}

fn is_document_start(line: &str) -> bool {
    line.starts_with("-DOCSTART-")
}

/// How the lines of a file are written.
struct File<'a> {
    tabs: bool,
    columns: usize,
    is_universal: bool,
    /// The last columns of the lines that are surely no comments.
    tags: BTreeSet<&'a str>,
}

impl<'a> File<'a> {
    fn of(text: &'a str) -> File<'a> {
        let lines = || text.lines().filter(|line| !line.trim().is_empty() && !is_document_start(line));
        let words = || lines().filter(|line| !line.starts_with('#'));
        let first = words().next().or_else(|| lines().next()).unwrap_or_default();
        let mut file = File { tabs: first.contains('\t'), columns: 0, is_universal: false, tags: BTreeSet::new() };
        file.columns = file.fields(first).len();
        file.is_universal = file.tabs && file.columns == 10 && words().all(|line| file.is_universal(line));
        file.tags = words().filter_map(|line| file.fields(line).last().copied()).collect();
        file
    }

    /// Whether a line has the look of CoNLL-U: an id at its head, and nothing but notes at its end.
    fn is_universal(&self, line: &'a str) -> bool {
        let fields = self.fields(line);
        let is_id = |id: &str| id.parse::<usize>().is_ok() || is_no_word(id);
        let is_note = |note: &str| note == "_" || note.contains('=');
        fields.first().is_some_and(|id| is_id(id)) && fields.last().is_some_and(|note| is_note(note))
    }

    fn fields(&self, line: &'a str) -> Vec<&'a str> {
        if self.tabs { line.split('\t').map(str::trim).collect() } else { line.split_whitespace().collect() }
    }

    fn is_comment(&self, line: &str, fields: &[&str]) -> bool {
        let is_word = fields.len() == self.columns && fields.last().is_some_and(|tag| self.tags.contains(tag));
        line.starts_with('#') && !is_word
    }
}
