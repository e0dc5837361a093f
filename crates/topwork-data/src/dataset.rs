//! A labelled file, read.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::columns::{ColumnNames, Columns, Labels};
use crate::conll;
use crate::conll_columns;
use crate::error::DataError;
use crate::example::Example;
use crate::format::Format;
use crate::json;
use crate::memory;
use crate::open::{self, Content, Opened};
use crate::parts::{Parts, Source};
use crate::table::TableRecords;

/// The rows of a file, and how they were found.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The file.
    pub path: PathBuf,
    /// How its rows are written.
    pub format: Format,
    /// The columns that were read.
    pub columns: Columns,
    /// The rows, in the order of the file; at least one.
    pub examples: Vec<Example>,
    /// SHA-256 of the file's bytes, in hexadecimal; of the rows, where there is no file.
    pub sha256: String,
    /// The columns that were not read.
    pub ignored_columns: Vec<String>,
    /// What is to be said of how the file was read, each one a sentence that names it.
    pub notes: Vec<String>,
    /// The names of the classes that stand as numbers in the label's column, if the file says them, as files of `datasets` do.
    pub class_names: Option<Vec<String>>,
    /// The rows whose label is a word for a missing one, and that word; filled by [`Dataset::find_missing`].
    pub missing: Vec<(usize, String)>,
}

impl Dataset {
    /// Reads `path`: CSV, TSV, JSON in any of its shapes, Parquet, Arrow and Feather, a directory of `save_to_disk`, the first sheet of
    /// a workbook, a word with its tag a line (CoNLL) or, where labels are optional, plain lines of text; also packed with gzip, Zstandard
    /// or bzip2, or alone in a zip; text in UTF-8, UTF-16, UTF-32 or, where it can be nothing else, Windows-1252. What the file is is
    /// told by its content. A label may be missing: [`Dataset::settle_missing`] says what becomes of the row.
    ///
    /// # Errors
    ///
    /// Every irregularity of the file is an error that names the line; nothing is skipped but blank lines between rows.
    pub fn read(path: &Path, names: &ColumnNames, labels: Labels) -> Result<Dataset, DataError> {
        if path.is_dir() {
            return Dataset::read_directory(path, names, labels);
        }
        Dataset::of_bytes(path, open::read_all(path)?, names, labels)
    }

    /// As [`Dataset::read`], of bytes that were read; `path` names them in errors and, in doubt, says by its ending what they are.
    ///
    /// # Errors
    ///
    /// As [`Dataset::read`].
    pub fn of_bytes(path: &Path, bytes: Vec<u8>, names: &ColumnNames, labels: Labels) -> Result<Dataset, DataError> {
        let sha256 = sha256(&bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(DataError::Empty { path: path.into(), header: false });
        }
        Dataset::of_content(path, open::open(path, bytes)?, sha256, names, labels)
    }

    fn read_directory(path: &Path, names: &ColumnNames, labels: Labels) -> Result<Dataset, DataError> {
        if let Some(splits) = open::splits_of(path) {
            return Err(DataError::SplitDirectory { path: path.into(), splits });
        }
        let opened = open::open_directory(path)?;
        Dataset::of_content(path, opened, String::new(), names, labels)
    }

    fn of_content(
        path: &Path,
        opened: Opened,
        sha256: String,
        names: &ColumnNames,
        labels: Labels,
    ) -> Result<Dataset, DataError> {
        let Opened { content, name, mut notes } = opened;
        let source = |text| Source { path, text, names, labels };
        let (format, parts) = match content {
            Content::Records(mut records) => (Format::Columns, source("").records(&mut *records)?),
            Content::Text(text) => source(&text).text(&name)?,
        };
        notes.extend(parts.notes.iter().cloned());
        // What has no file of its own is known by its rows.
        let sha256 = match sha256.is_empty() {
            true => self::sha256(&memory::checked(path, &parts.columns, &parts.examples)?),
            false => sha256,
        };
        Dataset::new(path, format, sha256, notes, parts)
    }

    /// The rows of a text that has no columns; `name` may say by its ending what it is.
    pub(crate) fn from_text(path: &Path, name: &Path, text: &str, names: &ColumnNames) -> Result<Dataset, DataError> {
        let (format, parts) = Source { path, text, names, labels: Labels::Optional }.text(name)?;
        let notes = parts.notes.clone();
        Dataset::new(path, format, sha256(text.as_bytes()), notes, parts)
    }

    /// Whether the rows are pairs of texts.
    pub fn is_pair(&self) -> bool {
        self.columns.text_pair.is_some()
    }

    /// Takes rows from memory. `name` stands for the path in errors; rows without a line are numbered from 1.
    ///
    /// # Errors
    ///
    /// When there is no row; when a row is a pair and another is not, has words and another has not, has words that do not
    /// lie in its text in their order, or has not as many values as there are several columns of labels.
    pub fn from_rows(name: &str, columns: Columns, mut examples: Vec<Example>) -> Result<Dataset, DataError> {
        for (number, example) in examples.iter_mut().enumerate() {
            if example.line == 0 {
                example.line = number + 1;
            }
        }
        let bytes = memory::checked(Path::new(name), &columns, &examples)?;
        let parts = Parts { columns, examples, ..Parts::default() };
        Dataset::new(Path::new(name), Format::Memory, sha256(&bytes), Vec::new(), parts)
    }

    /// Whether the rows are lists of words.
    pub fn has_words(&self) -> bool {
        self.examples.iter().any(|example| !example.words.is_empty())
    }

    /// The error of these lines, of which each lacks a label, with what stands there.
    pub(crate) fn missing_labels(&self, lines: Vec<(usize, String)>) -> DataError {
        let (path, column, rows) = (self.path.clone(), self.columns.label_names(), self.examples.len());
        DataError::MissingLabels { path, column, rows, lines }
    }

    /// Forgets the words, for a task that takes a text as a whole.
    pub fn forget_words(&mut self) {
        self.examples.iter_mut().for_each(Example::forget_words);
    }

    fn new(
        path: &Path,
        format: Format,
        sha256: String,
        notes: Vec<String>,
        parts: Parts,
    ) -> Result<Dataset, DataError> {
        if parts.examples.is_empty() {
            return Err(DataError::Empty { path: path.into(), header: true });
        }
        let Parts { columns, ignored_columns, examples, class_names, .. } = parts;
        let missing = Vec::new();
        Ok(Dataset {
            path: path.into(),
            format,
            columns,
            examples,
            sha256,
            ignored_columns,
            notes,
            class_names,
            missing,
        })
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Source<'_> {
    /// The rows of a text; `name` may say by its ending what it is.
    fn text(&self, name: &Path) -> Result<(Format, Parts), DataError> {
        let format = Format::detect(name, self.path, self.text, self.names, self.labels)?;
        let parts = match format {
            Format::Csv | Format::CsvSemicolon | Format::CsvPipe | Format::Tsv => {
                let delimiter = format.delimiter().unwrap_or(',');
                let usual = ColumnNames::default();
                let known = if self.names.no_header { &usual } else { self.names };
                let is_header = |header: &[String]| known.are_in(self.path, header);
                let mut table = TableRecords::open(self.path, self.text, delimiter, self.names.no_header, &is_header)?;
                self.table(&mut table)?
            }
            Format::JsonLines | Format::JsonArray | Format::JsonObjects | Format::JsonTable => {
                let is_text = |header: &[String]| self.names.are_in(self.path, header);
                let mut rows = json::read(self.path, self.text, &is_text)?;
                return Ok((rows.format, self.records(&mut *rows.records)?));
            }
            Format::Conll => conll_columns::rows(self, conll::read(self.path, self.text)?)?,
            Format::Lines | Format::Memory | Format::Columns => self.lines(),
        };
        Ok((format, parts))
    }

    fn lines(&self) -> Parts {
        let example = |(number, text): (usize, &str)| Example { line: number + 1, ..Example::from_text(text) };
        let columns = Columns { text: "text".into(), ..Columns::default() };
        let examples = self.text.lines().enumerate().map(example).collect();
        Parts { columns, examples, ..Parts::default() }
    }
}
