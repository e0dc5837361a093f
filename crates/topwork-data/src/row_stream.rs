//! The rows of a file or a pipe, one at a time, with the columns that are not read.
//!
//! A table with a header in its first line, JSON lines and plain lines are read as they come, in bounded memory; all else is held.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::columns::{ColumnNames, Columns, Labels, Places};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Example;
use crate::format::Format;
use crate::json;
use crate::open::{self, Content, Opened, Packing, Utf8OrWindows};
use crate::parts::Source;
use crate::records::{Cell, Records};
use crate::table::TableRecords;
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
        match Format::detect(path, path, first, &names, Labels::Optional)? {
            Format::Lines => Ok(plain_lines(path, reader)),
            Format::JsonLines if json::is_whole(first) => match json_lines(path, first, choose) {
                Some(stream) => Ok(stream.over(reader)),
                None => held(path, reader.rest()?, choose),
            },
            format => match format.delimiter().filter(|_| !first.contains('"') && !first.contains('\r')) {
                Some(delimiter) => table(path, reader, first, delimiter, choose),
                None => held(path, reader.rest()?, choose),
            },
        }
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
    let rows = Lines::new(path, reader).map(|line| {
        let (number, text) = line?;
        let example = Example { line: number, ..Example::from_text(text) };
        Ok(StreamedRow { example, carried: Vec::new() })
    });
    RowStream { path: path.into(), columns, carried: Vec::new(), notes: Vec::new(), rows: Box::new(rows) }
}

/// Lines as they come, in UTF-8 or, where they can be nothing else, in Windows-1252.
struct Lines {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    encoding: Utf8OrWindows,
    number: usize,
}

impl Lines {
    fn new(path: &Path, reader: Reader) -> Lines {
        Lines { path: path.into(), reader: reader.into_read(), encoding: Utf8OrWindows::default(), number: 0 }
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
        let mut text = self.encoding.line(line, bytes).map_err(|bytes| not_utf8(path, line, &bytes))?;
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
        let lines = Lines::new(&path, reader).filter(|line| !matches!(line, Ok((_, text)) if text.trim().is_empty()));
        let rows = lines.map(move |line| line.and_then(|(number, text)| self.row(number, &text)));
        RowStream { path, columns, carried, notes: Vec::new(), rows: Box::new(rows) }
    }

    fn row(&self, line: usize, text: &str) -> Result<StreamedRow, DataError> {
        let mut fields = json::read_line(&self.path, line, text)?.fields;
        let mut example = Example { line, ..Example::from_text(self.text(line, &mut fields, &self.columns.text)?) };
        if let Some(pair) = &self.columns.text_pair {
            example.text_pair = Some(self.text(line, &mut fields, pair)?);
        }
        let carried = self.carried.iter().map(|name| fields.remove(name).unwrap_or_default()).collect();
        Ok(StreamedRow { example, carried })
    }

    /// A text. A row that has none has its place all the same.
    fn text(&self, line: usize, fields: &mut Map<String, Value>, column: &str) -> Result<String, DataError> {
        match fields.get_mut(column) {
            Some(Value::String(text)) => Ok(std::mem::take(text)),
            Some(Value::Null) | None => Ok(String::new()),
            Some(other) => {
                let (path, column) = (self.path.clone(), column.to_owned());
                Err(DataError::WrongType { path, line, column, expected: "a string", found: json::kind(other) })
            }
        }
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
    let names = choose(&header);
    // Tabs may know no quotes, which only the whole file says.
    let is_plain = delimiter != '\t' && !names.no_header;
    let Ok(places) = Places::find(path, &header, &[], &names, Labels::Optional) else {
        return held(path, reader.rest()?, choose);
    };
    if !is_plain {
        return held(path, reader.rest()?, choose);
    }
    let columns = places.columns(&header);
    let carried = places.ignored(&header);
    let texts: Vec<usize> = places.used().take(1 + usize::from(columns.text_pair.is_some())).collect();
    let others = (0..header.len()).filter(|place| !places.used().any(|used| used == *place)).collect();
    let mut csv = csv::ReaderBuilder::new();
    csv.has_headers(true).flexible(true).delimiter(delimiter as u8);
    let source: Box<dyn Read + Send> = Box::new(reader.into_read());
    let rows = TableRows {
        path: path.into(),
        csv: csv.from_reader(source),
        encoding: Utf8OrWindows::default(),
        delimiter,
        width: header.len(),
        texts,
        others,
        line: 2,
        ready: VecDeque::new(),
    };
    Ok(RowStream { path: path.into(), columns, carried, notes: Vec::new(), rows: Box::new(rows) })
}

struct TableRows {
    path: PathBuf,
    csv: csv::Reader<Box<dyn Read + Send>>,
    encoding: Utf8OrWindows,
    delimiter: char,
    width: usize,
    texts: Vec<usize>,
    others: Vec<usize>,
    /// The line behind the last record.
    line: usize,
    /// Rows that were read and not yet given.
    ready: VecDeque<StreamedRow>,
}

impl TableRows {
    /// Reads a record, if there is one. In a table of one column, blank lines before it are rows with an empty text.
    fn read(&mut self) -> Result<(), DataError> {
        let mut record = csv::ByteRecord::new();
        let read = self.csv.read_byte_record(&mut record);
        if !read.map_err(|error| unreadable(&self.path, std::io::Error::other(error)))? {
            return Ok(());
        }
        let breaks = |field: &[u8]| field.iter().filter(|&&byte| byte == b'\n').count();
        let lines = 1 + record.iter().map(breaks).sum::<usize>();
        let end = usize::try_from(self.csv.position().line()).unwrap_or(usize::MAX).max(self.line + lines);
        let (before, line) = (self.line, end - lines);
        self.line = end;
        if self.width == 1 {
            let blank = |line| StreamedRow { example: Example { line, ..Example::default() }, carried: Vec::new() };
            self.ready.extend((before..line).map(blank));
        }
        let row = self.row(line, &record)?;
        self.ready.push_back(row);
        Ok(())
    }

    fn row(&mut self, line: usize, record: &csv::ByteRecord) -> Result<StreamedRow, DataError> {
        if record.len() != self.width {
            let (path, delimiter) = (self.path.clone(), self.delimiter);
            return Err(DataError::RaggedRow { path, line, expected: self.width, found: record.len(), delimiter });
        }
        let mut fields = Vec::with_capacity(record.len());
        for field in record {
            let text = self.encoding.line(line, field.to_vec());
            let text = text.map_err(|bytes| not_utf8(self.path.clone(), line, &bytes))?;
            fields.push(if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text });
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
        if self.ready.is_empty()
            && let Err(error) = self.read()
        {
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
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
                        if let (false, Some(_)) = (is_header(records.header()), records.without_header()) {
                            // The error, or the reading by numbers, is that of a data set.
                            let names = choose(records.header());
                            let source = Source { path, text: &text, names: &names, labels: Labels::Optional };
                            source.table(&mut records)?;
                        }
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
    Ok(RowStream { path: path.into(), columns, carried, notes, rows: Box::new(rows.into_iter()) })
}
