//! The rows of a file or a pipe, one at a time, with the columns that are not read.
//!
//! A table with a header in its first line, JSON lines and plain lines are read as they come, in bounded memory; all else is held.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::columns::{ColumnNames, Columns, Labels, Places, is_name_of_text};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Example;
use crate::format::Format;
use crate::json;
use crate::open::{self, Content, Opened, Packing, Utf8OrWindows};
use crate::parts::Source;
use crate::records::{Cell, Records};
use crate::table::{Dialect, Piece, TableRecords};
use crate::unreadable::unreadable;

/// A row, and what stands in the columns that are not read.
#[derive(Clone, Debug)]
pub struct StreamedRow {
    /// The text, without a label.
    pub example: Example,
    /// The values of [`RowStream::carried`].
    pub carried: Vec<Value>,
}

/// The rows of a file or a pipe.
pub struct RowStream {
    /// Where they come from, for errors.
    pub path: PathBuf,
    /// The columns of the texts.
    pub columns: Columns,
    /// The names of the columns that are not read and are no label.
    pub carried: Vec<String>,
    /// What is to be said of how they are read.
    pub notes: Vec<String>,
    /// What is known of the encoding once a line was read that is not UTF-8.
    encoding: Arc<Mutex<Utf8OrWindows>>,
    rows: Box<dyn Iterator<Item = Result<StreamedRow, DataError>> + Send>,
}

impl std::fmt::Debug for RowStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RowStream")
            .field("path", &self.path)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Iterator for RowStream {
    type Item = Result<StreamedRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

/// Says which columns are meant, of those that there are.
pub type ChooseColumns<'c> = dyn Fn(&[String]) -> ColumnNames + 'c;

impl RowStream {
    /// Says, once rows were read, how they are encoded, if that is to be said; also from another thread.
    pub fn encoding_note(&self) -> impl Fn() -> Option<String> + 'static {
        let (path, encoding) = (self.path.clone(), Arc::clone(&self.encoding));
        move || encoding.lock().ok().and_then(|encoding| encoding.note(&path))
    }

    /// As [`RowStream::open`], of a file, or of a directory that `datasets` saved.
    ///
    /// # Errors
    ///
    /// As [`RowStream::open`], and when there is no such file.
    pub fn open_path(path: &Path, choose: &ChooseColumns<'_>) -> Result<RowStream, DataError> {
        if path.is_dir() {
            if let Some(splits) = open::splits_of(path) {
                return Err(DataError::SplitDirectory { path: path.into(), splits });
            }
            return of_opened(path, open::open_directory(path)?, choose);
        }
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        RowStream::open(path, file, choose)
    }

    /// Reads `source`, which `path` names in errors and, by its ending, in doubt; `choose` says which of the columns are meant.
    ///
    /// # Errors
    /// When the first row cannot be read or there is none, or a column is not there. Rows after it have their own errors.
    pub fn open(
        path: &Path,
        source: impl Read + Send + 'static,
        choose: &ChooseColumns<'_>,
    ) -> Result<RowStream, DataError> {
        let mut reader = Reader::new(path, Box::new(source))?;
        let head = reader.first_line()?;
        if open::is_held(&head) {
            return held(path, reader.rest()?, choose);
        }
        let Ok(first) = std::str::from_utf8(&head) else { return held(path, reader.rest()?, choose) };
        let first = first.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        if first.trim().is_empty() || open::is_no_data(first) {
            return held(path, reader.rest()?, choose);
        }
        let names = choose(&[]);
        // An array over several lines, and what CoNLL begins with, are known by more than their first line.
        if first.trim() == "[" || first.starts_with("-DOCSTART-") {
            return held(path, reader.rest()?, choose);
        }
        if is_only_column(first, &names) {
            return table(path, reader, first, ',', choose);
        }
        match Format::detect(path, path, first, &names, Labels::Optional)? {
            Format::Lines => Ok(plain_lines(path, reader)),
            Format::JsonLines if json::is_whole(first) => match json_lines(path, first, choose) {
                Some(stream) => Ok(stream.over(reader)),
                None => held(path, reader.rest()?, choose),
            },
            // Tabs may know no quotes, which only the whole file says.
            format => match format.delimiter().filter(|delimiter| *delimiter != '\t' && !first.contains('"')) {
                Some(delimiter) if !names.no_header => table(path, reader, first, delimiter, choose),
                _ => held(path, reader.rest()?, choose),
            },
        }
    }
}

/// Whether a first line is the name of the only column: that of a text.
fn is_only_column(first: &str, names: &ColumnNames) -> bool {
    match &names.text {
        Some(name) => first.trim() == name,
        None => is_name_of_text(first),
    }
}

/// Bytes, unpacked, of which the first line was looked at.
struct Reader {
    path: PathBuf,
    inner: BufReader<Box<dyn Read + Send>>,
    /// What was read ahead.
    ahead: Vec<u8>,
}

/// A first line that is longer is none.
const LONGEST_HEAD: usize = 1 << 20;

impl Reader {
    fn new(path: &Path, source: Box<dyn Read + Send>) -> Result<Reader, DataError> {
        let mut inner = BufReader::with_capacity(1 << 16, source);
        let head = inner.fill_buf().map_err(|error| unreadable(path, error))?;
        let packing = Packing::of(head).filter(|packing| !matches!(packing, Packing::Zip | Packing::Other(_)));
        let inner: Box<dyn Read + Send> = match packing {
            None => Box::new(inner),
            Some(packing) => match packing.send_stream(Box::new(inner)) {
                Ok(stream) => stream,
                Err(error) => return Err(unreadable(path, error)),
            },
        };
        Ok(Reader { path: path.into(), inner: BufReader::with_capacity(1 << 16, inner), ahead: Vec::new() })
    }

    /// The first line, which stays to be read.
    fn first_line(&mut self) -> Result<Vec<u8>, DataError> {
        let mut head = Vec::new();
        let mut limited = (&mut self.inner).take(LONGEST_HEAD as u64);
        limited.read_until(b'\n', &mut head).map_err(|error| unreadable(&self.path, error))?;
        self.ahead.clone_from(&head);
        Ok(head)
    }

    /// All that is left, with the first line.
    fn rest(mut self) -> Result<Vec<u8>, DataError> {
        let mut bytes = std::mem::take(&mut self.ahead);
        self.inner.read_to_end(&mut bytes).map_err(|error| unreadable(&self.path, error))?;
        Ok(bytes)
    }

    fn into_read(mut self) -> BufReader<Box<dyn Read + Send>> {
        let ahead = std::io::Cursor::new(std::mem::take(&mut self.ahead));
        BufReader::with_capacity(1 << 16, Box::new(ahead.chain(self.inner)))
    }
}

/// One text a line; a blank line is an empty text.
fn plain_lines(path: &Path, reader: Reader) -> RowStream {
    let columns = Columns { text: "text".into(), ..Columns::default() };
    let lines = Lines::new(path, reader);
    let encoding = Arc::clone(&lines.encoding);
    let rows = lines.map(|line| {
        let (number, text) = line?;
        let example = Example { line: number, ..Example::from_text(text) };
        Ok(StreamedRow { example, carried: Vec::new() })
    });
    RowStream { path: path.into(), columns, carried: Vec::new(), notes: Vec::new(), encoding, rows: Box::new(rows) }
}

/// Lines as they come, in UTF-8 or, where they can be nothing else, in Windows-1252.
struct Lines {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    encoding: Arc<Mutex<Utf8OrWindows>>,
    number: usize,
}

impl Lines {
    fn new(path: &Path, reader: Reader) -> Lines {
        Lines { path: path.into(), reader: reader.into_read(), encoding: Arc::default(), number: 0 }
    }

    fn read(&mut self) -> Result<Option<(usize, String)>, DataError> {
        let mut bytes = Vec::new();
        if self.reader.read_until(b'\n', &mut bytes).map_err(|error| unreadable(&self.path, error))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            bytes.pop_if(|last| *last == b'\r');
        }
        let (path, line) = (self.path.clone(), self.number);
        if let Some(zero) = bytes.iter().position(|&byte| byte == 0) {
            return Err(DataError::Binary { path, line, offset: zero as u64 });
        }
        let mut encoding = self.encoding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = encoding.line(line, bytes).map_err(|bytes| not_utf8(path, line, &bytes))?;
        if line == 1 && text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Some((line, text)))
    }
}

fn not_utf8(path: PathBuf, line: usize, bytes: &[u8]) -> DataError {
    let offset = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    DataError::NotUtf8 { path, line, offset, byte: bytes.get(offset).copied().unwrap_or_default() }
}

impl Iterator for Lines {
    type Item = Result<(usize, String), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// How the objects of JSON lines become rows.
struct ObjectRows {
    path: PathBuf,
    columns: Columns,
    carried: Vec<String>,
}

/// The columns of JSON lines, by the first object; none where that has no text by itself, as the only object of a table.
fn json_lines(path: &Path, first: &str, choose: &ChooseColumns<'_>) -> Option<ObjectRows> {
    let fields = json::read_line(path, 1, first).ok()?.fields;
    let header: Vec<String> = fields.keys().cloned().collect();
    let names = choose(&header);
    let places = Places::find(path, &header, &[], &names, Labels::Optional).ok()?;
    let columns = places.columns(&header);
    let is_text = |name: &String| matches!(fields.get(name), Some(Value::String(_) | Value::Null));
    if ![&columns.text].into_iter().chain(&columns.text_pair).all(is_text) {
        return None;
    }
    Some(ObjectRows { path: path.into(), carried: places.ignored(&header), columns })
}

impl ObjectRows {
    fn over(self, reader: Reader) -> RowStream {
        let (path, columns, carried) = (self.path.clone(), self.columns.clone(), self.carried.clone());
        let lines = Lines::new(&path, reader);
        let encoding = Arc::clone(&lines.encoding);
        let lines = lines.filter(|line| !matches!(line, Ok((_, text)) if text.trim().is_empty()));
        let rows = lines.map(move |line| line.and_then(|(number, text)| self.row(number, &text)));
        RowStream { path, columns, carried, notes: Vec::new(), encoding, rows: Box::new(rows) }
    }

    fn row(&self, line: usize, text: &str) -> Result<StreamedRow, DataError> {
        let texts: Vec<&String> = [&self.columns.text].into_iter().chain(&self.columns.text_pair).collect();
        let names: Vec<&str> = texts.iter().copied().chain(&self.carried).map(String::as_str).collect();
        let mut cells = json::cells(&self.path, line, text, &names)?.into_iter();
        let mut found = Vec::with_capacity(texts.len());
        for column in &texts {
            let (path, column) = (self.path.clone(), (*column).clone());
            found.push(match cells.next().flatten() {
                Some(Value::String(text)) => text,
                Some(Value::Null) => String::new(),
                Some(other) => {
                    let (expected, found) = ("a string", json::kind(&other));
                    return Err(DataError::WrongType { path, line, column, expected, found });
                }
                None => {
                    let found = json::read_line(&path, line, text)?.fields.keys().cloned().collect();
                    return Err(DataError::MissingField { path, line, column, found });
                }
            });
        }
        let mut found = found.into_iter();
        let example = Example { line, ..Example::from_text(found.next().unwrap_or_default()) };
        let carried = cells.map(Cell::unwrap_or_default).collect();
        Ok(StreamedRow { example: Example { text_pair: found.next(), ..example }, carried })
    }
}

/// A table whose first line is its header.
fn table(
    path: &Path,
    reader: Reader,
    first: &str,
    delimiter: char,
    choose: &ChooseColumns<'_>,
) -> Result<RowStream, DataError> {
    let header: Vec<String> = first.split(delimiter).map(str::to_owned).collect();
    let Ok(places) = Places::find(path, &header, &[], &choose(&header), Labels::Optional) else {
        return held(path, reader.rest()?, choose);
    };
    let columns = places.columns(&header);
    let carried = places.ignored(&header);
    let texts: Vec<usize> = places.used().take(1 + usize::from(columns.text_pair.is_some())).collect();
    let others = (0..header.len()).filter(|place| !places.used().any(|used| used == *place)).collect();
    let mut lines = Lines::new(path, reader);
    lines.next().transpose()?;
    let encoding = Arc::clone(&lines.encoding);
    let dialect = Dialect { delimiter, quoting: true, backslash: false };
    let rows = TableRows { path: path.into(), lines, dialect, width: header.len(), texts, others };
    Ok(RowStream { path: path.into(), columns, carried, notes: Vec::new(), encoding, rows: Box::new(rows) })
}

struct TableRows {
    path: PathBuf,
    lines: Lines,
    dialect: Dialect,
    width: usize,
    texts: Vec<usize>,
    others: Vec<usize>,
}

/// A row with a quoted field that is longer is an error: its quote is not closed.
const LONGEST_ROW: usize = 16 << 20;

impl TableRows {
    /// The next row, if there is one. In a table of one column a blank line is a row with an empty text.
    fn read(&mut self) -> Result<Option<StreamedRow>, DataError> {
        loop {
            let Some((first_line, mut text)) = self.lines.next().transpose()? else { return Ok(None) };
            if text.is_empty() && self.width == 1 {
                let example = Example { line: first_line, ..Example::default() };
                return Ok(Some(StreamedRow { example, carried: Vec::new() }));
            }
            let is_open = |text: &str| {
                text.len() < LONGEST_ROW && Piece { path: &self.path, text, first_line }.is_open(self.dialect.delimiter)
            };
            while is_open(&text) {
                let Some((_, line)) = self.lines.next().transpose()? else { break };
                text.push('\n');
                text.push_str(&line);
            }
            let piece = Piece { path: &self.path, text: &text, first_line };
            piece.check(self.dialect)?;
            let mut found = None;
            piece.records(self.dialect, &mut |line, fields| {
                found = Some((line, fields));
                Ok(())
            })?;
            if let Some((line, fields)) = found {
                return self.row(line, fields).map(Some);
            }
        }
    }

    fn row(&self, line: usize, mut fields: Vec<String>) -> Result<StreamedRow, DataError> {
        if fields.len() != self.width {
            let (path, delimiter) = (self.path.clone(), self.dialect.delimiter);
            return Err(DataError::RaggedRow { path, line, expected: self.width, found: fields.len(), delimiter });
        }
        let carried = self.others.iter().map(|&place| Value::String(std::mem::take(&mut fields[place]))).collect();
        let mut texts = self.texts.iter().map(|&place| std::mem::take(&mut fields[place]));
        let mut example = Example { line, ..Example::from_text(texts.next().unwrap_or_default()) };
        example.text_pair = texts.next();
        Ok(StreamedRow { example, carried })
    }
}

impl Iterator for TableRows {
    type Item = Result<StreamedRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A file that is read as a whole.
fn held(path: &Path, bytes: Vec<u8>, choose: &ChooseColumns<'_>) -> Result<RowStream, DataError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DataError::Empty { path: path.into(), header: false });
    }
    of_opened(path, open::open(path, bytes)?, choose)
}

fn of_opened(path: &Path, opened: Opened, choose: &ChooseColumns<'_>) -> Result<RowStream, DataError> {
    let Opened { content, name, notes } = opened;
    let mut stream = match content {
        Content::Records(mut records) => with_columns(path, &mut *records, choose)?,
        Content::Text(text) => {
            let names = choose(&[]);
            let format = Format::detect(&name, path, &text, &names, Labels::Optional)?;
            match format {
                Format::JsonLines | Format::JsonArray | Format::JsonObjects | Format::JsonTable => {
                    let is_text = |header: &[String]| choose(header).are_in(path, header);
                    let mut rows = json::read(path, &text, &is_text)?;
                    with_columns(path, &mut *rows.records, choose)?
                }
                _ => match format.delimiter() {
                    Some(delimiter) => {
                        let is_header = |header: &[String]| choose(header).are_in(path, header);
                        let mut records = TableRecords::open(path, &text, delimiter, names.no_header, &is_header)?;
                        let names = choose(records.header());
                        let source = Source { path, text: &text, names: &names, labels: Labels::Optional };
                        source.refuse_row_as_header(&records)?;
                        with_columns(path, &mut records, choose)?
                    }
                    None => of_dataset(Dataset::from_text(path, &name, &text, &names)?),
                },
            }
        }
    };
    stream.notes.splice(0..0, notes);
    Ok(stream)
}

fn of_dataset(dataset: Dataset) -> RowStream {
    let rows = dataset.examples.into_iter().map(|example| Ok(StreamedRow { example, carried: Vec::new() }));
    RowStream {
        path: dataset.path,
        columns: dataset.columns,
        carried: Vec::new(),
        notes: dataset.notes,
        encoding: Arc::default(),
        rows: Box::new(rows),
    }
}

/// Rows of what has columns, with all of them.
fn with_columns(
    path: &Path,
    records: &mut (impl Records + ?Sized),
    choose: &ChooseColumns<'_>,
) -> Result<RowStream, DataError> {
    let header = records.header().to_vec();
    let names = choose(&header);
    let source = Source { path, text: "", names: &names, labels: Labels::Optional };
    let places = Places::find(path, &header, records.is_list(), &names, Labels::Optional)?;
    let columns = Columns { labels: Vec::new(), ..places.columns(&header) };
    let texts = 1 + usize::from(columns.text_pair.is_some());
    let others = (0..header.len()).filter(|place| !places.used().any(|used| used == *place));
    let wanted: Vec<usize> = places.used().take(texts).chain(others).collect();
    let mut rows = Vec::new();
    records.rows(&wanted, &mut |line, mut cells| {
        let carried = cells.split_off(texts).into_iter().map(Cell::unwrap_or_default).collect();
        rows.push(Ok(StreamedRow { example: source.example(line, cells, &places, &columns, &header)?, carried }));
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.into(), header: true });
    }
    let (carried, notes) = (places.ignored(&header), records.notes());
    let encoding = Arc::default();
    Ok(RowStream { path: path.into(), columns, carried, notes, encoding, rows: Box::new(rows.into_iter()) })
}
