//! A file of the corpus, of whatever kind.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::document::{Assembler, Boundary};
use super::lines::Lines;
use super::parquet;
use super::raw::{RawBytes, Unpacked};
use super::rows::Rows;
use crate::columns::{ColumnNames, Labels};
use crate::error::DataError;
use crate::format::Format;

/// A file and how to read it.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text_column: Option<&'a str>,
    pub(super) boundary: Boundary,
}

/// A file that was read to its end.
pub(super) struct Read {
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) empty_lines: u64,
}

impl Source<'_> {
    /// Hands each document to `each`. `total` counts the bytes of all files.
    pub(super) fn read(
        &self,
        total: Rc<Cell<u64>>,
        each: &mut dyn FnMut(String) -> Result<(), DataError>,
    ) -> Result<Read, DataError> {
        let raw = RawBytes::open(self.path, total)?;
        let mut documents = Assembler::new(self.boundary, each);
        if ending(self.path) == "parquet" {
            parquet::read(self.path, self.text_column, &mut documents)?;
        } else {
            let lines = Lines::new(self.path, Unpacked::new(self.path, raw.clone())?);
            self.read_lines(lines, &mut documents)?;
        }
        let empty_lines = documents.empty_lines;
        let (sha256, bytes) = raw.finish(self.path)?;
        Ok(Read { sha256, bytes, empty_lines })
    }

    fn read_lines(&self, mut lines: Lines<'_>, documents: &mut Assembler<'_>) -> Result<(), DataError> {
        let head = lines.head()?;
        if head.trim().is_empty() {
            return self.text(lines, documents);
        }
        let names = ColumnNames { text: self.text_column.map(str::to_owned), ..ColumnNames::default() };
        let format = Format::detect(&self.unpacked_name(), &head, &names, Labels::Optional)?;
        let rows = Rows { path: self.path, text_column: self.text_column, documents };
        match format {
            Format::Csv => rows.table(lines, ','),
            Format::CsvSemicolon => rows.table(lines, ';'),
            Format::Tsv => rows.table(lines, '\t'),
            Format::JsonLines => rows.json_lines(lines),
            Format::JsonArray => rows.json_array(lines),
            Format::Lines | Format::Conll | Format::Memory => self.text(lines, documents),
        }
    }

    fn text(&self, mut lines: Lines<'_>, documents: &mut Assembler<'_>) -> Result<(), DataError> {
        while let Some(line) = lines.next()? {
            documents.line(line)?;
        }
        documents.end()
    }

    /// The file's name without the ending of its compression.
    fn unpacked_name(&self) -> PathBuf {
        match ending(self.path).as_str() {
            "gz" | "zst" => self.path.with_extension(""),
            _ => self.path.into(),
        }
    }
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}
