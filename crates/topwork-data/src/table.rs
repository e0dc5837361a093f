//! Rows of CSV and TSV files, with the line on which each begins.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::error::DataError;

/// A row of a table: as many fields as the header has.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) fields: Vec<String>,
}

/// A header and the rows below it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Reads `text`, whose fields are separated by `delimiter`. Blank lines are skipped. A line break within a field is
    /// `\n` even where the file's lines end in `\r\n`.
    pub(crate) fn read(path: &Path, text: &str, delimiter: char) -> Result<Table, DataError> {
        let piece = Piece { path, text, first_line: 1 };
        let dialect = Dialect::of(&piece, delimiter)?;
        let mut table = Table { header: Vec::new(), rows: Vec::new() };
        piece.records(dialect, &mut |line, fields| table.add(path, line, fields, delimiter))?;
        Ok(table)
    }

    fn add(&mut self, path: &Path, line: usize, fields: Vec<String>, delimiter: char) -> Result<(), DataError> {
        if self.header.is_empty() {
            self.header = fields;
            return Ok(());
        }
        let (expected, found) = (self.header.len(), fields.len());
        if expected != found {
            return Err(DataError::RaggedRow { path: path.into(), line, expected, found, delimiter });
        }
        self.rows.push(Row { line, fields });
        Ok(())
    }
}

/// How the fields of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: char,
    /// Whether quotes delimit fields.
    pub(crate) quoting: bool,
}

impl Dialect {
    /// Decides what the quotes in `piece`, which is a table's beginning, mean. That some break the table is an error.
    pub(crate) fn of(piece: &Piece<'_>, delimiter: char) -> Result<Dialect, DataError> {
        let quotes = Quotes::scan(piece.text.as_bytes(), delimiter as u8);
        let quoting = if delimiter == '\t' { quotes.delimit_tabs(piece.text) } else { true };
        let dialect = Dialect { delimiter, quoting };
        piece.unbroken(dialect, &quotes)?;
        Ok(dialect)
    }
}

/// Some rows of a table, all of them whole.
pub(crate) struct Piece<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    /// The line of the file on which the text begins.
    pub(crate) first_line: usize,
}

impl Piece<'_> {
    /// Whether the text ends within a quoted field.
    pub(crate) fn is_open(&self, delimiter: char) -> bool {
        matches!(Quotes::scan(self.text.as_bytes(), delimiter as u8).broken, Some((_, END_OF_FILE)))
    }

    /// Makes sure that no quote breaks the rows.
    pub(crate) fn check(&self, dialect: Dialect) -> Result<(), DataError> {
        self.unbroken(dialect, &Quotes::scan(self.text.as_bytes(), dialect.delimiter as u8))
    }

    fn unbroken(&self, dialect: Dialect, quotes: &Quotes) -> Result<(), DataError> {
        match quotes.broken {
            Some((offset, found)) if dialect.quoting => {
                let line = LineCounter::from(self.first_line).line(self.text.as_bytes(), offset);
                let (path, delimiter) = (self.path.into(), dialect.delimiter);
                Err(DataError::BrokenQuote { path, line, delimiter, found })
            }
            _ => Ok(()),
        }
    }

    /// Hands each record to `each`, with the line on which it begins. Blank lines are skipped.
    pub(crate) fn records(
        &self,
        dialect: Dialect,
        each: &mut dyn FnMut(usize, Vec<String>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(dialect.quoting)
            .delimiter(dialect.delimiter as u8)
            .from_reader(self.text.as_bytes());
        let mut lines = LineCounter::from(self.first_line);
        let mut record = ByteRecord::new();
        while read_record(&mut reader, &mut record, self.path)? {
            let start = record.position().map_or(0, |position| position.byte() as usize);
            let line = lines.line(self.text.as_bytes(), start);
            // Fields of UTF-8 text between ASCII delimiters are UTF-8, so nothing is replaced here.
            let fields = record.iter().map(|field| String::from_utf8_lossy(field).replace("\r\n", "\n")).collect();
            each(line, fields)?;
        }
        Ok(())
    }
}

fn read_record(reader: &mut csv::Reader<&[u8]>, record: &mut ByteRecord, path: &Path) -> Result<bool, DataError> {
    reader
        .read_byte_record(record)
        .map_err(|error| DataError::Unreadable { path: path.into(), source: std::io::Error::other(error) })
}

/// What is found in place of the end of a field that is not closed.
const END_OF_FILE: &str = "the end of the file";

/// What the quotes in a table look like.
#[derive(Debug, Default, PartialEq)]
struct Quotes {
    /// Some quoted field is followed by text, or not closed at all.
    malformed: bool,
    /// Some quoted field holds a line break.
    span_lines: bool,
    /// The first quoted field that would swallow the rows after it: where it begins, and what is wrong.
    broken: Option<(usize, &'static str)>,
}

impl Quotes {
    fn scan(text: &[u8], delimiter: u8) -> Quotes {
        let mut quotes = Quotes::default();
        let mut at = 0;
        let mut at_field_start = true;
        while let Some(&byte) = text.get(at) {
            if at_field_start && byte == b'"' {
                at = quotes.field(text, at, delimiter);
                at_field_start = false;
            } else {
                at_field_start = byte == delimiter || byte == b'\n' || byte == b'\r';
                at += 1;
            }
        }
        quotes
    }

    /// Looks at the quoted field that begins at `start`; returns where it ends.
    fn field(&mut self, text: &[u8], start: usize, delimiter: u8) -> usize {
        let mut at = start + 1;
        loop {
            match (text.get(at), text.get(at + 1)) {
                (None, _) => {
                    self.malformed = true;
                    self.broken = self.broken.or(Some((start, END_OF_FILE)));
                    return at;
                }
                (Some(b'"'), Some(b'"')) => at += 2,
                (Some(b'"'), next) => {
                    let spans_lines = text[start..at].contains(&b'\n');
                    self.span_lines |= spans_lines;
                    if next.is_some_and(|&next| next != delimiter && next != b'\n' && next != b'\r') {
                        self.malformed = true;
                        if spans_lines {
                            self.broken = self.broken.or(Some((start, "text after a quote in a later line")));
                        }
                    }
                    return at + 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Whether quotes delimit fields in a file separated by tabs. Many such files know no quoting, and there a text may
    /// begin with a quote as with any other character. Quotes are taken as part of the text if one field's are
    /// malformed, or if some field would span lines although every line already has as many fields as the header.
    fn delimit_tabs(&self, text: &str) -> bool {
        let regular = || {
            let mut tabs = text.lines().filter(|line| !line.is_empty()).map(|line| line.matches('\t').count());
            let header = tabs.next();
            tabs.all(|tabs| Some(tabs) == header)
        };
        !(self.malformed || self.span_lines && regular())
    }
}

/// Turns ascending byte offsets into line numbers.
struct LineCounter {
    offset: usize,
    line_breaks: usize,
}

impl LineCounter {
    /// The first byte is on `first_line`.
    fn from(first_line: usize) -> LineCounter {
        LineCounter { offset: 0, line_breaks: first_line - 1 }
    }

    /// The line, from 1, of the first byte at or after `offset` that does not end a line.
    fn line(&mut self, text: &[u8], offset: usize) -> usize {
        let breaks = text[offset..].iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count();
        let start = offset + breaks;
        self.line_breaks += text[self.offset..start].iter().filter(|&&byte| byte == b'\n').count();
        self.offset = start;
        self.line_breaks + 1
    }
}
