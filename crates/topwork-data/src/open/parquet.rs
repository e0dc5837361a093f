//! Rows of Parquet files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{ConvertedType, Repetition};
use parquet::data_type::AsBytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Number, Value};

use super::arrow::class_names;
use super::guarded::guarded;
use crate::error::DataError;
use crate::records::{Cell, Records};

const KIND: &str = "Parquet";
const MAGIC: &[u8] = b"PAR1";

/// Whether a file that begins so is a Parquet file.
pub(crate) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A Parquet file in memory.
pub(super) struct ParquetRecords {
    path: PathBuf,
    reader: SerializedFileReader<Bytes>,
    header: Vec<String>,
    is_list: Vec<bool>,
}

/// Opens a file of which these are all bytes.
pub(super) fn open(path: &Path, bytes: Vec<u8>) -> Result<ParquetRecords, DataError> {
    let bytes = Bytes::from(bytes);
    let reader = guarded(path, KIND, || SerializedFileReader::new(bytes).map_err(|error| broken(path, &error)))?;
    let fields = reader.metadata().file_metadata().schema_descr().root_schema().get_fields();
    let header = fields.iter().map(|field| field.name().to_owned()).collect();
    let is_list = fields.iter().map(|field| is_list(field)).collect();
    Ok(ParquetRecords { path: path.into(), reader, header, is_list })
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.converted_type() == ConvertedType::LIST || info.has_repetition() && info.repetition() == Repetition::REPEATED
}

fn broken(path: &Path, error: &ParquetError) -> DataError {
    let message = error.to_string().replace(['\n', '\r'], " ");
    DataError::BrokenFile { path: path.into(), kind: KIND, message }
}

impl Records for ParquetRecords {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn is_list(&self) -> &[bool] {
        &self.is_list
    }

    fn class_names(&self, column: &str) -> Option<Vec<String>> {
        let pairs = self.reader.metadata().file_metadata().key_value_metadata()?;
        class_names(pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref()?, column)
    }

    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        guarded(&self.path, KIND, || self.projected(places, each))
    }
}

impl ParquetRecords {
    fn projected(
        &self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let broken = |error: ParquetError| broken(&self.path, &error);
        let root = self.reader.metadata().file_metadata().schema_descr().root_schema().clone();
        let mut wanted: Vec<usize> = places.to_vec();
        wanted.sort_unstable();
        let fields = wanted.iter().map(|&place| Arc::clone(&root.get_fields()[place])).collect();
        let projection = Type::group_type_builder(root.name()).with_fields(fields).build().map_err(broken)?;
        for (row, found) in self.reader.get_row_iter(Some(projection)).map_err(broken)?.enumerate() {
            let mut cells = cells(&found.map_err(broken)?);
            let mut take =
                |place: &usize| wanted.iter().position(|known| known == place).and_then(|at| cells.get_mut(at)?.take());
            each(row + 1, places.iter().map(&mut take).collect())?;
        }
        Ok(())
    }
}

fn cells(row: &Row) -> Vec<Cell> {
    row.get_column_iter().map(|(_, field)| Some(value(field))).collect()
}

/// What a field holds, as JSON has it; null where JSON has nothing like it.
fn value(field: &Field) -> Value {
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match field {
        Field::Bool(truth) => Value::Bool(*truth),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        Field::Float16(number) => float(f64::from(*number)),
        // The shortest decimal of an f32, not the longer one of the f64 that equals it.
        Field::Float(number) => number.to_string().parse().map_or(Value::Null, float),
        Field::Double(number) => float(*number),
        Field::Str(text) => Value::String(text.clone()),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.as_bytes()).map_or(Value::Null, Value::from),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect()),
        Field::Group(row) => {
            Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect())
        }
        _ => Value::Null,
    }
}
