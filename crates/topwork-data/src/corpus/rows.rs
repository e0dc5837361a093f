//! Files of which each row is a document.

use std::path::Path;

use serde_json::Value;

use super::document::Assembler;
use super::lines::Lines;
use crate::columns::{ColumnNames, Places};
use crate::error::DataError;
use crate::json::{self, Object};
use crate::records::Records;
use crate::table::{Dialect, Piece};

/// Reads rows and takes the text column of each.
pub(super) struct Rows<'a, 'b> {
    pub(super) path: &'a Path,
    pub(super) text_column: Option<&'a str>,
    pub(super) documents: &'a mut Assembler<'b>,
}

/// A table is read in pieces of about this size,
const PIECE: usize = 1 << 18;
/// and of at most this size, if a quoted field is that long.
const LARGEST_PIECE: usize = 16 << 20;

impl Rows<'_, '_> {
    /// A header and rows below it.
    pub(super) fn table(self, lines: &mut Lines<'_>, delimiter: char) -> Result<(), DataError> {
        let path = self.path;
        let mut table = Table { rows: self, delimiter, dialect: None, header: None };
        let (mut text, mut first_line, mut wanted) = (String::new(), 1, PIECE);
        while let Some(line) = lines.next()? {
            text.push_str(line);
            text.push('\n');
            if text.len() < wanted {
                continue;
            }
            let piece = Piece { path, text: &text, first_line };
            if text.len() < LARGEST_PIECE && table.may_quote() && piece.is_open(delimiter) {
                wanted = 2 * text.len();
                continue;
            }
            table.read(&piece)?;
            text.clear();
            (first_line, wanted) = (lines.number() + 1, PIECE);
        }
        table.read(&Piece { path, text: &text, first_line })
    }

    /// An object on each line.
    pub(super) fn json_lines(mut self, lines: &mut Lines<'_>) -> Result<(), DataError> {
        let mut column = None;
        while let Some(line) = lines.next()? {
            if !line.trim().is_empty() {
                let line = line.to_owned();
                let object = json::read_line(self.path, lines.number(), &line)?;
                self.object(object, &mut column)?;
            }
        }
        Ok(())
    }

    /// JSON in another shape; unlike the other kinds of text it is held in memory.
    pub(super) fn json(self, lines: &mut Lines<'_>) -> Result<(), DataError> {
        let mut text = String::new();
        while let Some(line) = lines.next()? {
            text.push_str(line);
            text.push('\n');
        }
        let (path, names) = (self.path, self.names());
        let is_text = |header: &[String]| names.are_in(path, header);
        let mut rows = json::read(path, &text, &is_text)?;
        self.records(&mut *rows.records)
    }

    /// Rows with columns.
    pub(super) fn records(self, records: &mut (impl Records + ?Sized)) -> Result<(), DataError> {
        let header = records.header().to_vec();
        let place = Places::find_text(self.path, &header, self.text_column)?;
        records.rows(&[place], &mut |line, cells| match cells.into_iter().next().flatten() {
            Some(Value::String(text)) => self.documents.row(&text),
            Some(Value::Null) => self.documents.row(""),
            Some(other) => {
                let (path, column) = (self.path.into(), header[place].clone());
                let (expected, found) = ("a string", json::kind(&other));
                Err(DataError::WrongType { path, line, column, expected, found })
            }
            None => {
                let found = header.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, name)| name.clone());
                let (path, column, found) = (self.path.into(), header[place].clone(), found.collect());
                Err(DataError::MissingField { path, line, column, found })
            }
        })
    }

    fn names(&self) -> ColumnNames {
        ColumnNames { text: self.text_column.map(str::to_owned), ..ColumnNames::default() }
    }

    /// The first object decides which column is meant.
    fn object(&mut self, mut object: Object, column: &mut Option<String>) -> Result<(), DataError> {
        let names = |object: &Object| object.fields.keys().cloned().collect::<Vec<_>>();
        let column = match column {
            Some(column) => column,
            None => {
                let header = names(&object);
                let place = Places::find_text(self.path, &header, self.text_column)?;
                column.insert(header[place].clone())
            }
        };
        let (path, line) = (self.path.into(), object.line);
        match object.fields.get_mut(column.as_str()) {
            Some(Value::String(text)) => self.documents.row(text),
            Some(Value::Null) => self.documents.row(""),
            Some(other) => {
                let (expected, found) = ("a string", json::kind(other));
                Err(DataError::WrongType { path, line, column: column.clone(), expected, found })
            }
            None => Err(DataError::MissingField { path, line, column: column.clone(), found: names(&object) }),
        }
    }
}

/// A table that comes in pieces.
struct Table<'a, 'b> {
    rows: Rows<'a, 'b>,
    delimiter: char,
    /// Known from the first piece on.
    dialect: Option<Dialect>,
    /// How many columns there are, and which holds the texts.
    header: Option<(usize, usize)>,
}

impl Table<'_, '_> {
    fn may_quote(&self) -> bool {
        self.dialect.is_none_or(|dialect| dialect.quoting)
    }

    fn read(&mut self, piece: &Piece<'_>) -> Result<(), DataError> {
        let dialect = match self.dialect {
            Some(dialect) => {
                piece.check(dialect)?;
                dialect
            }
            None => *self.dialect.insert(Dialect::of(piece, self.delimiter)?),
        };
        piece.records(dialect, &mut |line, fields| self.record(line, &fields))
    }

    fn record(&mut self, line: usize, fields: &[String]) -> Result<(), DataError> {
        let path = self.rows.path;
        let Some((expected, place)) = self.header else {
            self.header = Some((fields.len(), Places::find_text(path, fields, self.rows.text_column)?));
            return Ok(());
        };
        if fields.len() != expected {
            let (path, found, delimiter) = (path.into(), fields.len(), self.delimiter);
            return Err(DataError::RaggedRow { path, line, expected, found, delimiter });
        }
        self.rows.documents.row(&fields[place])
    }
}
