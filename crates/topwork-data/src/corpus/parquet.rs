//! A column of strings of a Parquet file.

use std::fs::File;
use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, Type};

use super::document::Assembler;
use crate::columns::Places;
use crate::error::DataError;
use crate::unreadable::unreadable;

/// Rows that are unpacked at once.
const ROWS: usize = 1024;

/// Hands each row's text to `documents`; a row without one is an empty row.
pub(super) fn read(path: &Path, text_column: Option<&str>, documents: &mut Assembler<'_>) -> Result<(), DataError> {
    let broken =
        |error: ParquetError| DataError::BrokenFile { path: path.into(), kind: "Parquet", message: one_line(&error) };
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let leaf = find(path, &reader, text_column)?;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(broken)?;
        // The type was looked at above.
        let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(leaf).map_err(broken)? else {
            continue;
        };
        let (mut levels, mut values): (Vec<i16>, Vec<ByteArray>) = (Vec::new(), Vec::new());
        loop {
            levels.clear();
            values.clear();
            let (rows, ..) = column.read_records(ROWS, Some(&mut levels), None, &mut values).map_err(broken)?;
            if rows == 0 {
                break;
            }
            for value in &values {
                documents.row(value.as_utf8().map_err(broken)?)?;
            }
            documents.empty_lines += (rows - values.len()) as u64;
        }
    }
    Ok(())
}

/// The place of the text column among the columns that hold values.
fn find(path: &Path, reader: &SerializedFileReader<File>, name: Option<&str>) -> Result<usize, DataError> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    let header: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let column = &header[Places::find_text(path, &header, name)?];
    let leaf = |name: &String| {
        let at_top = |leaf: &&ColumnDescriptor| leaf.path().parts() == [name.clone()];
        schema.columns().iter().map(AsRef::as_ref).position(|leaf| at_top(&leaf) && holds_strings(leaf))
    };
    leaf(column).ok_or_else(|| DataError::NotStrings {
        path: path.into(),
        column: column.clone(),
        found: fields.iter().find(|field| field.name() == column).map_or_else(String::new, |field| kind(field)),
        strings: header.iter().filter(|name| leaf(name).is_some()).cloned().collect(),
    })
}

fn holds_strings(column: &ColumnDescriptor) -> bool {
    let other = matches!(column.converted_type(), ConvertedType::DECIMAL | ConvertedType::BSON)
        || matches!(column.logical_type_ref(), Some(logical) if !matches!(logical, LogicalType::String | LogicalType::Json));
    column.physical_type() == PhysicalType::BYTE_ARRAY && column.max_rep_level() == 0 && !other
}

fn kind(field: &Type) -> String {
    match field {
        Type::GroupType { .. } => "a nested column".into(),
        Type::PrimitiveType { physical_type, .. } => format!("{physical_type}"),
    }
}

fn one_line(error: &ParquetError) -> String {
    error.to_string().replace(['\n', '\r'], " ")
}
