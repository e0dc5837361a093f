//! Rows of JSON files: objects on lines, in an array or one after the other, and the shapes in which tables are written as one value.

mod broken;
mod fields;
mod shapes;

use std::path::Path;

use rayon::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::DataError;
use crate::format::Format;
use crate::records::{Cell, Records};
use broken::{Cursor, as_error};
use fields::{Found, Wanted};

/// A JSON object and the line on which it begins.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) line: usize,
    pub(crate) fields: Map<String, Value>,
}

/// The object that is `text`, which begins on `line`.
pub(crate) fn read_line(path: &Path, line: usize, text: &str) -> Result<Object, DataError> {
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => match broken::mended(text).and_then(|mended| serde_json::from_str(&mended).ok()) {
            Some(value) => value,
            None => return Err(as_error(path, line, text, &error)),
        },
    };
    match value {
        Value::Object(fields) => Ok(Object { line, fields }),
        other => Err(DataError::NotAnObject { path: path.into(), line, found: kind(&other) }),
    }
}

/// What the object that is `text`, which begins on `line`, has in the fields of these names.
pub(crate) fn cells(path: &Path, line: usize, text: &str, names: &[&str]) -> Result<Vec<Cell>, DataError> {
    Wanted::new(names).cells(path, line, text)
}

/// What kind of value it is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What kind of value it is that stands in a list.
pub(crate) fn kind_in_list(value: &Value) -> &'static str {
    match value {
        Value::Null => "null in the list",
        Value::Bool(_) => "a boolean in the list",
        Value::Number(_) => "a number in the list",
        Value::String(_) => "a string in the list",
        Value::Array(_) => "a list in the list",
        Value::Object(_) => "an object in the list",
    }
}

/// The text of a value and the line on which it begins.
type Slice<'a> = (usize, &'a str);

/// The rows of a JSON file, in whatever shape it has them.
pub(crate) struct JsonRows<'a> {
    pub(crate) records: Box<dyn Records + 'a>,
    pub(crate) format: Format,
}

/// The rows of `text`. What a column is called, in an object of objects, is seen by whether `is_text` knows it.
pub(crate) fn read<'a>(
    path: &'a Path,
    text: &'a str,
    is_text: &dyn Fn(&[String]) -> bool,
) -> Result<JsonRows<'a>, DataError> {
    let (values, format) = values(path, text)?;
    let held = match &values[..] {
        [(line, text)] if format != Format::JsonArray => shapes::table_of(path, *line, text, is_text)?,
        [(_, first), ..] if first.starts_with('[') => Some(shapes::rows_of_arrays(path, &values)?),
        _ => None,
    };
    Ok(match held {
        Some(held) => JsonRows { records: Box::new(held), format: Format::JsonTable },
        None => JsonRows { records: Box::new(JsonRecords::scan(path, values)?), format },
    })
}

/// The values of the rows.
fn values<'a>(path: &Path, text: &'a str) -> Result<(Vec<Slice<'a>>, Format), DataError> {
    if text.trim_start().starts_with('[') {
        return Ok((Cursor::new(path, text).array()?, Format::JsonArray));
    }
    let lines = || text.split('\n').enumerate().filter(|(_, line)| !line.trim().is_empty());
    match lines().next() {
        Some((_, first)) if !is_whole(first) => Ok((Cursor::new(path, text).values()?, Format::JsonObjects)),
        _ => Ok((lines().map(|(number, line)| (number + 1, line.trim())).collect(), Format::JsonLines)),
    }
}

/// Objects, of which the wanted fields are read.
struct JsonRecords<'a> {
    path: &'a Path,
    rows: Vec<Slice<'a>>,
    header: Vec<String>,
    is_list: Vec<bool>,
    /// Rows with half a surrogate pair in a wanted field, and the line of the first.
    mended: Option<(usize, usize)>,
}

/// Rows that a thread looks at in one go.
const BLOCK: usize = 1024;

impl<'a> JsonRecords<'a> {
    /// Looks at all objects for the names of their fields. A field of an object in a row is named by both, as `review.text`.
    fn scan(path: &'a Path, rows: Vec<Slice<'a>>) -> Result<JsonRecords<'a>, DataError> {
        if rows.is_empty() {
            return Err(DataError::Empty { path: path.into(), header: false });
        }
        let found: Vec<Result<Found, DataError>> = rows.par_chunks(BLOCK).map(|rows| Found::scan(path, rows)).collect();
        let mut all = Found::default();
        for found in found {
            all.merge(found?);
        }
        let (header, is_list) = all.columns();
        Ok(JsonRecords { path, rows, header, is_list, mended: None })
    }
}

impl Records for JsonRecords<'_> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn is_list(&self) -> &[bool] {
        &self.is_list
    }

    fn notes(&self) -> Vec<String> {
        let note = |(count, line)| {
            let path = self.path.display();
            format!(
                "{path}: {count} texts hold half of a surrogate pair, the first on line {line}: it is read as U+FFFD"
            )
        };
        self.mended.map(note).into_iter().collect()
    }

    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let names: Vec<&str> = places.iter().map(|&place| self.header[place].as_str()).collect();
        let wanted = Wanted::new(&names);
        for block in self.rows.chunks(BLOCK * rayon::current_num_threads()) {
            let cells: Vec<Result<Vec<Cell>, DataError>> =
                block.par_iter().map(|(line, text)| wanted.cells(self.path, *line, text)).collect();
            for ((line, text), cells) in block.iter().zip(cells) {
                let cells = cells?;
                let is_mended = |cell: &Cell| matches!(cell, Some(Value::String(text)) if text.contains('\u{fffd}'));
                if cells.iter().any(is_mended) && broken::has_half_pair(text) {
                    let (count, first) = self.mended.unwrap_or((0, *line));
                    self.mended = Some((count + 1, first));
                }
                each(*line, cells)?;
            }
        }
        Ok(())
    }
}

/// Whether a line holds a whole value; that of a row which is broken in itself may as well.
pub(crate) fn is_whole(line: &str) -> bool {
    let parses = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    parses(line.trim()) || broken::mended(line).is_some_and(|mended| parses(mended.trim()))
}
