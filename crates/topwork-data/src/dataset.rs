//! A labelled file, read.

use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::columns::{ColumnNames, Columns, Labels, Places};
use crate::conll;
use crate::conll_columns;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::format::Format;
use crate::json::{self, Object};
use crate::list_text::{scalar, unfold};
use crate::memory;
use crate::nearest::nearest;
use crate::parts::{Parts, Source};
use crate::table::Table;

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
}

impl Dataset {
    /// Reads `path`: CSV, TSV, JSON lines, a JSON array, a word with its tag a line (CoNLL) or, where labels are optional, plain
    /// lines of text.
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
            Format::Conll => conll_columns::rows(&source, conll::read(path, text)?)?,
            Format::Lines | Format::Memory => source.lines(),
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
        let parts = Parts { columns, ignored_columns: Vec::new(), examples };
        Dataset::new(Path::new(name), Format::Memory, &bytes, parts)
    }

    /// Whether the rows are lists of words.
    pub fn has_words(&self) -> bool {
        self.examples.iter().any(|example| !example.words.is_empty())
    }

    /// Forgets the words, for a task that takes a text as a whole.
    pub fn forget_words(&mut self) {
        for example in &mut self.examples {
            example.words.clear();
            example.word_lines.clear();
        }
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

impl Source<'_> {
    fn table(&self, delimiter: char) -> Result<Parts, DataError> {
        let Table { header, rows } = Table::read(self.path, self.text, delimiter)?;
        let places = Places::find(self.path, &header, &[], self.names, self.labels)?;
        let columns = places.columns(&header);
        let mut examples = Vec::with_capacity(rows.len());
        for mut row in rows {
            let mut take = |place: usize| std::mem::take(&mut row.fields[place]);
            let label = label_of(places.labels.iter().map(|&place| take(place)).collect());
            let (text, text_pair) = (take(places.text), places.text_pair.map(&mut take));
            let example = Example { text_pair, label, line: row.line, ..Example::from_text(text) };
            examples.push(self.checked(example, &columns)?);
        }
        unfold(self.path, &columns, &mut examples)?;
        Ok(Parts { ignored_columns: places.ignored(&header), columns, examples })
    }

    fn objects(&self, objects: Vec<Object>) -> Result<Parts, DataError> {
        if objects.is_empty() {
            return Err(DataError::Empty { path: self.path.into(), header: false });
        }
        let mut header: Vec<String> = Vec::new();
        let mut lists: Vec<Option<bool>> = Vec::new();
        for (name, value) in objects.iter().flat_map(|object| &object.fields) {
            let place = header.iter().position(|known| known == name).unwrap_or(header.len());
            if place == header.len() {
                header.push(name.clone());
                lists.push(None);
            }
            if lists[place].is_none() && !value.is_null() {
                lists[place] = Some(value.is_array());
            }
        }
        let is_list: Vec<bool> = lists.into_iter().map(|is_list| is_list == Some(true)).collect();
        let places = Places::find(self.path, &header, &is_list, self.names, self.labels)?;
        let columns = places.columns(&header);
        let mut examples = Vec::with_capacity(objects.len());
        for mut object in objects {
            let label = self.label(&mut object, &columns.labels)?;
            let mut example = match places.words {
                true => self.words(&object, &columns.text)?,
                false => Example::from_text(self.string(&mut object, &columns.text)?),
            };
            if let Some(column) = &columns.text_pair {
                example.text_pair = Some(self.second_text(&mut object, column)?);
            }
            (example.label, example.line) = (label, object.line);
            examples.push(self.checked(example, &columns)?);
        }
        unfold(self.path, &columns, &mut examples)?;
        Ok(Parts { ignored_columns: places.ignored(&header), columns, examples })
    }

    fn lines(&self) -> Parts {
        let example = |(number, text): (usize, &str)| Example { line: number + 1, ..Example::from_text(text) };
        let columns = Columns { text: "text".into(), ..Columns::default() };
        let examples = self.text.lines().enumerate().map(example).collect();
        Parts { columns, ignored_columns: Vec::new(), examples }
    }

    fn checked(&self, example: Example, columns: &Columns) -> Result<Example, DataError> {
        if let (Some(column), Some("")) = (&columns.text_pair, example.text_pair.as_deref()) {
            return Err(self.missing_pair(example.line, column, "nothing"));
        }
        if self.labels == Labels::Required && example.label.is_none() && !columns.labels.is_empty() {
            let (path, column) = (self.path.into(), columns.label_names());
            return Err(DataError::MissingLabel { path, line: example.line, column });
        }
        Ok(example)
    }

    fn second_text(&self, object: &mut Object, column: &str) -> Result<String, DataError> {
        match object.fields.get(column) {
            None => Err(self.missing_pair(object.line, column, "no such field")),
            Some(Value::Null) => Err(self.missing_pair(object.line, column, "null")),
            Some(_) => self.string(object, column),
        }
    }

    fn missing_pair(&self, line: usize, column: &str, found: &'static str) -> DataError {
        DataError::MissingPair { path: self.path.into(), line, column: column.to_owned(), found }
    }

    fn words(&self, object: &Object, column: &str) -> Result<Example, DataError> {
        let expected = "a list of strings";
        let words = match object.fields.get(column) {
            Some(Value::Array(words)) => words,
            Some(other) => return Err(self.wrong_type(object.line, column, expected, json::kind(other))),
            None => return Err(self.missing_field(object, column)),
        };
        if words.is_empty() {
            return Err(DataError::EmptySentence {
                path: self.path.into(),
                line: object.line,
                column: column.to_owned(),
            });
        }
        let mut found = Vec::with_capacity(words.len());
        for word in words {
            let wrong = || self.wrong_type(object.line, column, expected, json::kind_in_list(word));
            found.push(word.as_str().ok_or_else(wrong)?);
        }
        Ok(Example::from_words(found))
    }

    fn string(&self, object: &mut Object, column: &str) -> Result<String, DataError> {
        match object.fields.get_mut(column) {
            Some(Value::String(text)) => Ok(std::mem::take(text)),
            Some(other) => Err(self.wrong_type(object.line, column, "a string", json::kind(other))),
            None => Err(self.missing_field(object, column)),
        }
    }

    fn missing_field(&self, object: &Object, column: &str) -> DataError {
        DataError::MissingField {
            path: self.path.into(),
            line: object.line,
            column: column.to_owned(),
            found: object.fields.keys().cloned().collect(),
        }
    }

    fn label(&self, object: &mut Object, columns: &[String]) -> Result<Option<Label>, DataError> {
        if let [column] = columns
            && let Some(Value::Array(values)) = object.fields.get(column)
        {
            let value = |value| match scalar(value) {
                Some(text) => Ok(text),
                None => Err(self.wrong_type(object.line, column, LIST_OF_LABELS, json::kind_in_list(value))),
            };
            return values.iter().map(value).collect::<Result<_, _>>().map(|values| Some(Label::List(values)));
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            values.push(match object.fields.get(column) {
                None | Some(Value::Null) => String::new(),
                Some(value) => scalar(value)
                    .ok_or_else(|| self.wrong_type(object.line, column, "a string or a number", json::kind(value)))?,
            });
        }
        Ok(label_of(values))
    }

    fn wrong_type(&self, line: usize, column: &str, expected: &'static str, found: &'static str) -> DataError {
        DataError::WrongType { path: self.path.into(), line, column: column.to_owned(), expected, found }
    }
}

const LIST_OF_LABELS: &str = "a list of strings or numbers";

/// The label that stands in these columns; none where there is nothing but space in all of them.
fn label_of(mut values: Vec<String>) -> Option<Label> {
    match values.len() {
        _ if values.iter().all(|value| value.trim().is_empty()) => None,
        1 => values.pop().map(Label::Text),
        _ => Some(Label::List(values)),
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
