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
use crate::json;
use crate::open::{self, Content, Opened};

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
    /// What is to be said of how it was read.
    pub(super) notes: Vec<String>,
}

impl Source<'_> {
    /// Hands each document to `each`. `total` counts the bytes of all files.
    pub(super) fn read(
        &self,
        total: Rc<Cell<u64>>,
        each: &mut dyn FnMut(String) -> Result<(), DataError>,
    ) -> Result<Read, DataError> {
        let mut documents = Assembler::new(self.boundary, each);
        if self.path.is_dir() {
            let notes = self.opened(open::open_directory(self.path)?, &mut documents)?;
            return Ok(Read { sha256: String::new(), bytes: 0, empty_lines: documents.empty_lines, notes });
        }
        let raw = RawBytes::open(self.path, total)?;
        let mut unpacked = Unpacked::new(self.path, raw.clone())?;
        let is_packed = unpacked.compression.is_some();
        let head = unpacked.head(self.path)?;
        let notes = if open::is_parquet(head) && !is_packed {
            parquet::read(self.path, self.text_column, &mut documents)?;
            Vec::new()
        } else if open::is_held(head) {
            let bytes = unpacked.all(self.path)?;
            self.opened(open::open(self.path, bytes)?, &mut documents)?
        } else {
            let mut lines = Lines::new(self.path, unpacked);
            self.read_lines(&mut lines, &mut documents)?;
            lines.note().into_iter().collect()
        };
        let empty_lines = documents.empty_lines;
        let (sha256, bytes) = raw.finish(self.path)?;
        Ok(Read { sha256, bytes, empty_lines, notes })
    }

    /// What is held in memory.
    fn opened(&self, opened: Opened, documents: &mut Assembler<'_>) -> Result<Vec<String>, DataError> {
        match opened.content {
            Content::Records(mut records) => {
                Rows { path: self.path, text_column: self.text_column, documents }.records(&mut *records)?;
            }
            Content::Text(text) => {
                self.read_lines(&mut Lines::new(self.path, Unpacked::of_text(text)), documents)?;
            }
        }
        Ok(opened.notes)
    }

    fn read_lines(&self, lines: &mut Lines<'_>, documents: &mut Assembler<'_>) -> Result<(), DataError> {
        let head = lines.head()?;
        if head.trim().is_empty() {
            return self.text(lines, documents);
        }
        let names = ColumnNames { text: self.text_column.map(str::to_owned), ..ColumnNames::default() };
        let format = Format::detect(&self.unpacked_name(), self.path, &head, &names, Labels::Optional)?;
        let rows = Rows { path: self.path, text_column: self.text_column, documents };
        match (format, format.delimiter()) {
            (_, Some(delimiter)) => rows.table(lines, delimiter),
            (Format::JsonLines, _) if is_object_a_line(&head) => rows.json_lines(lines),
            (Format::JsonLines | Format::JsonArray | Format::JsonObjects | Format::JsonTable, _) => rows.json(lines),
            _ => self.text(lines, documents),
        }
    }

    fn text(&self, lines: &mut Lines<'_>, documents: &mut Assembler<'_>) -> Result<(), DataError> {
        while let Some(line) = lines.next()? {
            documents.line(line)?;
        }
        documents.end()
    }

    /// The file's name without the ending of its compression.
    fn unpacked_name(&self) -> PathBuf {
        match ending(self.path).as_str() {
            "gz" | "zst" | "bz2" => self.path.with_extension(""),
            _ => self.path.into(),
        }
    }
}

/// Whether more than one line has text, and the first of them is a whole object: a single one may be a table.
fn is_object_a_line(head: &str) -> bool {
    let mut lines = head.lines().filter(|line| !line.trim().is_empty());
    lines.next().is_some_and(json::is_whole) && lines.next().is_some()
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}
