//! Rows of CSV and TSV files, with the line on which each begins.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use serde_json::Value;

use crate::error::DataError;
use crate::headerless::{HeaderlessColumns, headerless};
use crate::records::{Cell, Records, numbered};

/// Rows of a table below a header, of which the wanted columns are taken.
pub(crate) struct TableRecords<'a> {
    piece: Piece<'a>,
    dialect: Dialect,
    header: Vec<String>,
    /// Records before the first row: the header, and what stands above it.
    skipped: usize,
    notes: Vec<String>,
    /// The first records, to tell a header from a row.
    head: Vec<Vec<String>>,
}

/// Records that are looked at to find the header.
const HEAD: usize = 200;
/// A header stands below at most so many records.
const MOST_TITLES: usize = 15;

impl<'a> TableRecords<'a> {
    /// Opens a table, whose fields are separated by `delimiter`. Blank lines are skipped. A line break within a field is `\n` even
    /// where the file's lines end in `\r\n`. The header is the first record of which `is_header` says so, else the first one; what
    /// stands above it is a title. Without a header the columns have numbers, from 1.
    pub(crate) fn open(
        path: &'a Path,
        text: &'a str,
        delimiter: char,
        no_header: bool,
        is_header: &dyn Fn(&[String]) -> bool,
    ) -> Result<Self, DataError> {
        let (text, first_line) = below_separator_line(text);
        let piece = Piece { path, text, first_line };
        let dialect = Dialect::of(&piece, delimiter)?;
        let mut table =
            TableRecords { piece, dialect, header: Vec::new(), skipped: 0, notes: Vec::new(), head: Vec::new() };
        let mut lines = Vec::new();
        let mut reader = table.piece.reader(dialect);
        let mut record = ByteRecord::new();
        let mut counter = LineCounter::from(first_line);
        while table.head.len() < HEAD && read_record(&mut reader, &mut record, path)? {
            lines.push(counter.line(text.as_bytes(), start_of(&record)));
            table.head.push(record.iter().map(field).collect());
        }
        let Some(first) = table.head.first() else { return Ok(table) };
        if no_header {
            if is_header(first) {
                table.notes.push(format!(
                    "{}: line {} is read as a row, as --no-header says, but looks like column names",
                    path.display(),
                    lines[0]
                ));
            }
            table.header = numbered(first.len());
            return Ok(table);
        }
        // A title has fewer fields than the table.
        let filled = |record: &Vec<String>| record.iter().filter(|field| !field.trim().is_empty()).count();
        let place = table.head.iter().take(MOST_TITLES).position(|record| is_header(record)).unwrap_or(0);
        let are_titles = table.head[..place].iter().all(|record| filled(record) < filled(&table.head[place]));
        let place = if are_titles { place } else { 0 };
        if place > 0 {
            let (last, header) = (lines[place - 1], lines[place]);
            table.notes.push(format!(
                "{}: line {header} has the column names; lines {} to {last} above it are left out",
                path.display(),
                lines[0]
            ));
        }
        table.header.clone_from(&table.head[place]);
        table.skipped = place + 1;
        Ok(table)
    }

    /// The columns to name, if the first record looks like a row.
    pub(crate) fn without_header(&self) -> Option<HeaderlessColumns> {
        headerless(&self.head)
    }
}

impl Records for TableRecords<'_> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let (path, text) = (self.piece.path, self.piece.text);
        let (expected, delimiter) = (self.header.len(), self.dialect.delimiter);
        let mut reader = self.piece.reader(self.dialect);
        let mut record = ByteRecord::new();
        let mut lines = LineCounter::from(self.piece.first_line);
        let mut number = 0;
        while read_record(&mut reader, &mut record, path)? {
            let line = lines.line(text.as_bytes(), start_of(&record));
            number += 1;
            if number <= self.skipped {
                continue;
            }
            if record.len() != expected {
                return Err(DataError::RaggedRow { path: path.into(), line, expected, found: record.len(), delimiter });
            }
            let cell = |&place: &usize| Some(Value::String(field(record.get(place).unwrap_or_default())));
            each(line, places.iter().map(cell).collect())?;
        }
        Ok(())
    }
}

/// The text below a line `sep=;`, with which Excel is told the separator, and the number of its first line.
fn below_separator_line(text: &str) -> (&str, usize) {
    match text.split_once('\n') {
        Some((line, rest)) if separator_line(line).is_some() => (rest, 2),
        _ => (text, 1),
    }
}

/// The separator that such a line says.
pub(crate) fn separator_line(line: &str) -> Option<char> {
    let line = line.trim_end_matches('\r');
    let said = line.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).map(|_| &line[4..])?;
    let mut letters = said.chars();
    match (letters.next(), letters.next()) {
        (Some(separator), None) => Some(separator),
        _ => None,
    }
}

fn start_of(record: &ByteRecord) -> usize {
    record.position().map_or(0, |position| position.byte() as usize)
}

/// A field of UTF-8 text between ASCII delimiters is UTF-8, so nothing is replaced here.
fn field(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text.into_owned() }
}

/// How the fields of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: char,
    /// Whether quotes delimit fields.
    pub(crate) quoting: bool,
    /// Whether a backslash before a quote makes it part of the field, in place of a second quote.
    pub(crate) backslash: bool,
}

impl Dialect {
    /// Decides what the quotes in `piece`, which is a table's beginning, mean. That some break the table is an error.
    pub(crate) fn of(piece: &Piece<'_>, delimiter: char) -> Result<Dialect, DataError> {
        let text = piece.text.as_bytes();
        let quotes = Quotes::scan(text, delimiter as u8, false);
        let quoting = if delimiter == '\t' { quotes.delimit_tabs(piece.text) } else { true };
        if quoting && quotes.malformed.is_some() {
            let escaped = Quotes::scan(text, delimiter as u8, true);
            if escaped.malformed.is_none() && escaped.broken.is_none() {
                return Ok(Dialect { delimiter, quoting, backslash: true });
            }
        }
        let dialect = Dialect { delimiter, quoting, backslash: false };
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
        matches!(Quotes::scan(self.text.as_bytes(), delimiter as u8, false).broken, Some((_, END_OF_FILE)))
    }

    /// Makes sure that no quote breaks the rows.
    pub(crate) fn check(&self, dialect: Dialect) -> Result<(), DataError> {
        self.unbroken(dialect, &Quotes::scan(self.text.as_bytes(), dialect.delimiter as u8, dialect.backslash))
    }

    fn unbroken(&self, dialect: Dialect, quotes: &Quotes) -> Result<(), DataError> {
        match quotes.broken.or(quotes.malformed.map(|offset| (offset, "text after a quote"))) {
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
        let mut reader = self.reader(dialect);
        let mut lines = LineCounter::from(self.first_line);
        let mut record = ByteRecord::new();
        while read_record(&mut reader, &mut record, self.path)? {
            let line = lines.line(self.text.as_bytes(), start_of(&record));
            each(line, record.iter().map(field).collect())?;
        }
        Ok(())
    }

    fn reader(&self, dialect: Dialect) -> csv::Reader<&[u8]> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).quoting(dialect.quoting).delimiter(dialect.delimiter as u8);
        if dialect.backslash {
            builder.double_quote(false).escape(Some(b'\\'));
        }
        builder.from_reader(self.text.as_bytes())
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
    /// The first quoted field that is followed by text, or not closed at all: where it begins.
    malformed: Option<usize>,
    /// Some quoted field holds a line break.
    span_lines: bool,
    /// The first quoted field that would swallow the rows after it: where it begins, and what is wrong.
    broken: Option<(usize, &'static str)>,
}

impl Quotes {
    /// Looks at all fields; with `backslash`, one before a quote makes that part of the field.
    fn scan(text: &[u8], delimiter: u8, backslash: bool) -> Quotes {
        let mut quotes = Quotes::default();
        if !text.contains(&b'"') {
            return quotes;
        }
        let mut at = 0;
        let mut at_field_start = true;
        while let Some(&byte) = text.get(at) {
            if at_field_start && byte == b'"' {
                at = quotes.field(text, at, delimiter, backslash);
                at_field_start = false;
            } else {
                at_field_start = byte == delimiter || byte == b'\n' || byte == b'\r';
                at += 1;
            }
        }
        quotes
    }

    /// Looks at the quoted field that begins at `start`; returns where it ends.
    fn field(&mut self, text: &[u8], start: usize, delimiter: u8, backslash: bool) -> usize {
        let mut at = start + 1;
        loop {
            match (text.get(at), text.get(at + 1)) {
                (None, _) => {
                    self.malformed.get_or_insert(start);
                    self.broken = self.broken.or(Some((start, END_OF_FILE)));
                    return at;
                }
                (Some(b'\\'), Some(_)) if backslash => at += 2,
                (Some(b'"'), Some(b'"')) if !backslash => at += 2,
                (Some(b'"'), next) => {
                    let spans_lines = text[start..at].contains(&b'\n');
                    self.span_lines |= spans_lines;
                    if next.is_some_and(|&next| next != delimiter && next != b'\n' && next != b'\r') {
                        self.malformed.get_or_insert(start);
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
        !(self.malformed.is_some() || self.span_lines && regular())
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
