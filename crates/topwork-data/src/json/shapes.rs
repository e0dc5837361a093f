//! Tables that are one JSON value: as pandas writes them in its orientations, a list in a field, columns of lists, rows of lists.

use std::path::Path;

use serde_json::{Map, Value};

use super::broken::{as_error, mended};
use super::{Slice, kind};
use crate::columns::is_name_of_text;
use crate::error::DataError;
use crate::records::{Cell, HeldRecords, numbered};

/// The table that an object is, if it is one: the only value of a file, which may as well be its only row. Whether names are those of
/// columns is what `is_text` says.
pub(super) fn table_of(
    path: &Path,
    line: usize,
    text: &str,
    is_text: &dyn Fn(&[String]) -> bool,
) -> Result<Option<HeldRecords>, DataError> {
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => match mended(text).and_then(|mended| serde_json::from_str(&mended).ok()) {
            Some(value) => value,
            None => return Err(as_error(path, line, text, &error)),
        },
    };
    let Value::Object(fields) = value else { return Ok(None) };
    if let (Some(Value::Array(columns)), Some(Value::Array(data))) = (fields.get("columns"), fields.get("data")) {
        let columns: Option<Vec<String>> = columns.iter().map(|name| name.as_str().map(str::to_owned)).collect();
        if let Some(columns) = columns {
            return rows_of_lists(path, data.iter(), Some(columns)).map(Some);
        }
    }
    let names: Vec<String> = fields.keys().cloned().collect();
    let is_row = is_text(&names);
    if let Some(columns) = columns_of_lists(path, &fields)? {
        return Ok(Some(columns));
    }
    let lists: Vec<(&String, &Vec<Value>)> =
        fields.iter().filter_map(|(name, value)| Some((name, objects(value)?))).collect();
    match &lists[..] {
        [] => {}
        _ if is_row => return Ok(None),
        [(_, rows)] => return Ok(Some(rows_of_objects(rows.iter()))),
        several => {
            let found = several.iter().map(|(name, _)| (*name).clone()).collect();
            return Err(DataError::SeveralTables { path: path.into(), found });
        }
    }
    let all: Option<Vec<&Map<String, Value>>> = fields.values().map(Value::as_object).collect();
    let Some(inner) = all.filter(|inner| !inner.is_empty() && inner.iter().all(|object| !object.is_empty())) else {
        return Ok(None);
    };
    if is_row && inner.iter().all(|object| object.keys().eq(inner[0].keys())) {
        return Ok(Some(columns_of_objects(&fields)));
    }
    let inner_names: Vec<String> = inner[0].keys().cloned().collect();
    if inner.len() > 1 && is_text(&inner_names) {
        return Ok(Some(rows_of_objects(fields.values())));
    }
    Ok(None)
}

/// The rows of a file of which each is an array: their columns have numbers.
pub(super) fn rows_of_arrays(path: &Path, values: &[Slice<'_>]) -> Result<HeldRecords, DataError> {
    let mut rows = Vec::with_capacity(values.len());
    for (line, text) in values {
        let text = mended(text).unwrap_or_else(|| (*text).to_owned());
        rows.push(serde_json::from_str(&text).map_err(|error| as_error(path, *line, &text, &error))?);
    }
    let mut records = rows_of_lists(path, rows.iter(), None)?;
    records.rows.iter_mut().zip(values).for_each(|(row, (line, _))| row.0 = *line);
    Ok(records)
}

/// Rows that are lists, below these names or numbers.
fn rows_of_lists<'v>(
    path: &Path,
    rows: impl Iterator<Item = &'v Value>,
    names: Option<Vec<String>>,
) -> Result<HeldRecords, DataError> {
    let mut records = HeldRecords::default();
    let mut header = names.unwrap_or_default();
    for (row, value) in rows.enumerate() {
        let Value::Array(cells) = value else {
            return Err(DataError::NotAnObject { path: path.into(), line: row + 1, found: kind(value) });
        };
        if header.is_empty() {
            header = numbered(cells.len());
        }
        if cells.len() != header.len() {
            let (expected, found) = (header.len(), cells.len());
            return Err(DataError::RaggedRow { path: path.into(), line: row + 1, expected, found, delimiter: ',' });
        }
        records.rows.push((row + 1, cells.iter().cloned().map(Some).collect()));
    }
    Ok(named(header, records))
}

/// Rows that are objects.
fn rows_of_objects<'v>(rows: impl Iterator<Item = &'v Value>) -> HeldRecords {
    let mut header: Vec<String> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut records = HeldRecords::default();
    for (row, value) in rows.enumerate() {
        let mut cells: Vec<Cell> = vec![None; header.len()];
        for (name, value) in value.as_object().into_iter().flatten() {
            let place = *places.entry(name.clone()).or_insert_with(|| {
                header.push(name.clone());
                header.len() - 1
            });
            if cells.len() <= place {
                cells.resize(place + 1, None);
            }
            cells[place] = Some(value.clone());
        }
        records.rows.push((row + 1, cells));
    }
    named(header, records)
}

/// A list of objects that is not empty.
fn objects(value: &Value) -> Option<&Vec<Value>> {
    value.as_array().filter(|values| !values.is_empty() && values.iter().all(Value::is_object))
}

/// Columns that are lists of the same length. By other names than those of texts they may be the words and tags of one row.
fn columns_of_lists(path: &Path, fields: &Map<String, Value>) -> Result<Option<HeldRecords>, DataError> {
    let columns: Option<Vec<&Vec<Value>>> = fields.values().map(Value::as_array).collect();
    let Some(columns) = columns.filter(|_| fields.keys().any(|name| is_name_of_text(name))) else { return Ok(None) };
    let length = columns.first().map_or(0, |column| column.len());
    if length < 2 {
        return Ok(None);
    }
    if let Some((name, column)) = fields.keys().zip(&columns).find(|(_, column)| column.len() != length) {
        let message = format!("its first column has {length} values, `{name}` has {}", column.len());
        return Err(DataError::BrokenFile { path: path.into(), kind: "table in a JSON", message });
    }
    let row = |row: usize| (row + 1, columns.iter().map(|column| Some(column[row].clone())).collect());
    let records = HeldRecords { rows: (0..length).map(row).collect(), ..HeldRecords::default() };
    Ok(Some(named(fields.keys().cloned().collect(), records)))
}

/// Columns that are objects with a field for each row.
fn columns_of_objects(fields: &Map<String, Value>) -> HeldRecords {
    let first = fields.values().next().and_then(Value::as_object);
    let rows = first.into_iter().flat_map(Map::keys).enumerate();
    let rows = rows.map(|(row, key)| (row + 1, fields.values().map(|column| column.get(key).cloned()).collect()));
    named(fields.keys().cloned().collect(), HeldRecords { rows: rows.collect(), ..HeldRecords::default() })
}

fn named(header: Vec<String>, records: HeldRecords) -> HeldRecords {
    let first = |place: usize| {
        let values = records.rows.iter().filter_map(|(_, cells)| cells.get(place)?.as_ref());
        values.into_iter().find(|value| !value.is_null())
    };
    let is_list = (0..header.len()).map(|place| first(place).is_some_and(Value::is_array)).collect();
    HeldRecords { header, is_list, rows: records.rows }
}
