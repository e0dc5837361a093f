//! The first sheet of a workbook: xlsx, xls, xlsb or ods.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use calamine::{Data, Reader, open_workbook_auto_from_rs};
use serde_json::Value;

use super::guarded::guarded;
use crate::error::DataError;
use crate::records::{Cell, HeldRecords};

const KIND: &str = "workbook";

/// Whether a file that begins so has the container of old workbooks.
pub(super) fn is_old(head: &[u8]) -> bool {
    head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
}

/// Whether `bytes` are a workbook: the old format, or an archive with a workbook's parts.
pub(super) fn is_workbook(bytes: &[u8]) -> bool {
    if is_old(bytes) {
        return true;
    }
    if !bytes.starts_with(b"PK") {
        return false;
    }
    let Ok(archive) = zip::ZipArchive::new(Cursor::new(bytes)) else { return false };
    let has = |part: &str| archive.file_names().any(|name| name.is_ok_and(|name| name == part));
    has("xl/workbook.xml") || has("xl/workbook.bin") || has("content.xml") && has("META-INF/manifest.xml")
}

/// The rows of the first sheet that has any, and what is to be said of other sheets. A number is as a text file would have it.
pub(super) fn open(path: &Path, bytes: Vec<u8>) -> Result<(HeldRecords, Vec<String>), DataError> {
    guarded(path, KIND, || first_sheet(path, bytes))
}

fn first_sheet(path: &Path, bytes: Vec<u8>) -> Result<(HeldRecords, Vec<String>), DataError> {
    let broken = |error: calamine::Error| DataError::BrokenFile {
        path: path.into(),
        kind: KIND,
        message: error.to_string().replace(['\n', '\r'], " "),
    };
    let mut workbook = open_workbook_auto_from_rs(Cursor::new(Bytes::from(bytes))).map_err(broken)?;
    let names = workbook.sheet_names();
    let Some(name) = names.first() else {
        return Err(DataError::Empty { path: path.into(), header: false });
    };
    let sheet = workbook.worksheet_range(name).map_err(broken)?;
    let first_line = sheet.start().map_or(1, |(row, _)| row as usize + 1);
    let mut rows = sheet.rows().enumerate().map(|(number, row)| (first_line + number, row));
    let Some((_, header)) = rows.by_ref().find(|(_, row)| !is_blank(row)) else {
        return Err(DataError::Empty { path: path.into(), header: false });
    };
    let header: Vec<String> = header.iter().map(text).collect();
    let rows = rows.filter(|(_, row)| !is_blank(row)).map(|(line, row)| (line, row.iter().map(cell).collect()));
    let records = HeldRecords { rows: rows.collect(), header, is_list: Vec::new() };
    let notes = match names.len() {
        1 => Vec::new(),
        count => vec![format!("{}: sheet `{name}` is read, the first of {count}", path.display())],
    };
    Ok((records, notes))
}

fn is_blank(row: &[Data]) -> bool {
    row.iter().all(|cell| text(cell).trim().is_empty())
}

fn cell(cell: &Data) -> Cell {
    Some(Value::String(text(cell)))
}

fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        // Whole numbers are kept as decimals.
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Data::Bool(truth) => if *truth { "true" } else { "false" }.into(),
        other => other.to_string(),
    }
}
