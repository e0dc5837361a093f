//! A labelled file, read.

use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::columns::{ColumnNames, Columns, Places};
use crate::error::DataError;
use crate::format::Format;
use crate::json::{self, Object};
use crate::nearest::nearest;
use crate::table::Table;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The text, or the first text of a pair, as it stands in the file; may be empty.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The label, as it stands in the file; never empty.
    pub label: Option<String>,
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
}

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
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// The columns that were not read.
    pub ignored_columns: Vec<String>,
}

/// Whether rows need a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Every row has one.
    Required,
    /// They are read where they are.
    Optional,
}

impl Dataset {
    /// Reads `path`: CSV, TSV, JSON lines, a JSON array or, where labels are optional, plain lines of text.
    ///
    /// # Errors
    ///
    /// Every irregularity of the file is an error that names the line; nothing is skipped but blank lines between rows.
    pub fn read(path: &Path, names: &ColumnNames, labels: Labels) -> Result<Dataset, DataError> {
        let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
        let text = decode(path, &bytes)?;
        let format = Format::detect(path, text, names, labels)?;
        let source = Source { path, text, names, labels };
        let parts = match format {
            Format::Csv | Format::CsvSemicolon | Format::Tsv => source.table(format.delimiter().unwrap_or(','))?,
            Format::JsonLines => source.objects(json::read_lines(path, text)?)?,
            Format::JsonArray => source.objects(json::read_array(path, text)?)?,
            Format::Lines => source.lines(),
        };
        Dataset::new(path, format, &bytes, parts)
    }

    /// Reads one text a line, without a header and without labels; a blank line is an empty text. `name` stands for the
    /// path in errors.
    ///
    /// # Errors
    ///
    /// When reading fails, nothing is there or it is not UTF-8.
    pub fn from_lines(mut reader: impl BufRead, name: &str) -> Result<Dataset, DataError> {
        let path = Path::new(name);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
        let text = decode(path, &bytes)?;
        let source = Source { path, text, names: &ColumnNames::default(), labels: Labels::Optional };
        Dataset::new(path, Format::Lines, &bytes, source.lines())
    }

    /// Whether the rows are pairs of texts.
    pub fn is_pair(&self) -> bool {
        self.columns.text_pair.is_some()
    }

    fn new(path: &Path, format: Format, bytes: &[u8], parts: Parts) -> Result<Dataset, DataError> {
        if parts.examples.is_empty() {
            return Err(DataError::Empty { path: path.into(), header: true });
        }
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let Parts { columns, ignored_columns, examples } = parts;
        Ok(Dataset { path: path.into(), format, columns, examples, sha256, ignored_columns })
    }
}

/// What differs between formats.
struct Parts {
    columns: Columns,
    ignored_columns: Vec<String>,
    examples: Vec<Example>,
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    names: &'a ColumnNames,
    labels: Labels,
}

impl Source<'_> {
    fn table(&self, delimiter: char) -> Result<Parts, DataError> {
        let Table { header, rows } = Table::read(self.path, self.text, delimiter)?;
        let places = Places::find(self.path, &header, self.names, self.labels)?;
        let columns = places.columns(&header);
        let mut examples = Vec::with_capacity(rows.len());
        for mut row in rows {
            let mut take = |place: usize| std::mem::take(&mut row.fields[place]);
            let label = places.label.map(&mut take).filter(|label| !label.is_empty());
            let (text, text_pair) = (take(places.text), places.text_pair.map(&mut take));
            let example = Example { text, text_pair, label, line: row.line };
            examples.push(self.checked(example, &columns)?);
        }
        Ok(Parts { ignored_columns: places.ignored(&header), columns, examples })
    }

    fn objects(&self, objects: Vec<Object>) -> Result<Parts, DataError> {
        if objects.is_empty() {
            return Err(DataError::Empty { path: self.path.into(), header: false });
        }
        let mut header: Vec<String> = Vec::new();
        for name in objects.iter().flat_map(|object| object.fields.keys()) {
            if !header.contains(name) {
                header.push(name.clone());
            }
        }
        let places = Places::find(self.path, &header, self.names, self.labels)?;
        let columns = places.columns(&header);
        let mut examples = Vec::with_capacity(objects.len());
        for mut object in objects {
            let label = match &columns.label {
                Some(column) => self.label(&mut object, column)?,
                None => None,
            };
            let text = self.string(&mut object, &columns.text)?;
            let text_pair = match &columns.text_pair {
                Some(column) => Some(self.string(&mut object, column)?),
                None => None,
            };
            let example = Example { text, text_pair, label, line: object.line };
            examples.push(self.checked(example, &columns)?);
        }
        Ok(Parts { ignored_columns: places.ignored(&header), columns, examples })
    }

    fn lines(&self) -> Parts {
        let example = |(number, text): (usize, &str)| Example {
            text: text.to_owned(),
            text_pair: None,
            label: None,
            line: number + 1,
        };
        let columns = Columns { text: "text".into(), text_pair: None, label: None };
        let examples = self.text.lines().enumerate().map(example).collect();
        Parts { columns, ignored_columns: Vec::new(), examples }
    }

    fn checked(&self, example: Example, columns: &Columns) -> Result<Example, DataError> {
        match (&columns.label, &example.label, self.labels) {
            (Some(column), None, Labels::Required) => {
                Err(DataError::MissingLabel { path: self.path.into(), line: example.line, column: column.clone() })
            }
            _ => Ok(example),
        }
    }

    fn string(&self, object: &mut Object, column: &str) -> Result<String, DataError> {
        match object.fields.get_mut(column) {
            Some(Value::String(text)) => Ok(std::mem::take(text)),
            Some(other) => Err(self.wrong_type(object.line, column, "a string", json::kind(other))),
            None => Err(DataError::MissingField {
                path: self.path.into(),
                line: object.line,
                column: column.to_owned(),
                found: object.fields.keys().cloned().collect(),
            }),
        }
    }

    /// A string as it is; a number or a boolean as JSON writes it.
    fn label(&self, object: &mut Object, column: &str) -> Result<Option<String>, DataError> {
        match object.fields.get_mut(column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(label)) => Ok(Some(std::mem::take(label)).filter(|label| !label.is_empty())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(other @ (Value::Array(_) | Value::Object(_))) => {
                Err(self.wrong_type(object.line, column, "a string or a number", json::kind(other)))
            }
        }
    }

    fn wrong_type(&self, line: usize, column: &str, expected: &'static str, found: &'static str) -> DataError {
        DataError::WrongType { path: self.path.into(), line, column: column.to_owned(), expected, found }
    }
}

/// The text of `bytes` without a byte order mark.
fn decode<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, DataError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let offset = error.valid_up_to();
        let line = 1 + bytes[..offset].iter().filter(|&&byte| byte == b'\n').count();
        let announced = (bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])).then_some("UTF-16");
        DataError::NotUtf8 { path: path.into(), line, offset, byte: bytes[offset], announced }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(DataError::Empty { path: path.into(), header: false });
    }
    Ok(text)
}

pub(crate) fn unreadable(path: &Path, error: io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::NotFound => DataError::NotFound { path: path.into(), nearest: nearest_file(path) },
        io::ErrorKind::IsADirectory => DataError::Directory { path: path.into() },
        _ => DataError::Unreadable { path: path.into(), source: error },
    }
}

/// The file beside `path` whose name is most like it.
fn nearest_file(path: &Path) -> Option<PathBuf> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(directory).ok()?.flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let near = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(path.with_file_name(near))
}
