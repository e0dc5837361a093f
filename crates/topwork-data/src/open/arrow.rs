//! Rows of Arrow files, as Feather and `datasets` write them, and of the directories that `save_to_disk` makes.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use serde_json::{Number, Value};

use super::guarded::guarded;
use crate::error::DataError;
use crate::records::{Cell, Records};

const KIND: &str = "Arrow";
const FILE: &[u8] = b"ARROW1";
/// A stream begins with this, and the length of its schema.
const STREAM: &[u8] = b"\xff\xff\xff\xff";

/// Whether `bytes` are an Arrow file, which Feather files are as well, or an Arrow stream.
pub(super) fn is_arrow(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(STREAM)
}

/// Arrow files in memory, one after the other, that have the same columns.
pub(super) struct ArrowRecords {
    path: PathBuf,
    schema: SchemaRef,
    header: Vec<String>,
    is_list: Vec<bool>,
    files: Vec<Vec<u8>>,
}

/// Opens a file of which these are all bytes.
pub(super) fn open(path: &Path, bytes: Vec<u8>) -> Result<ArrowRecords, DataError> {
    records(path, vec![bytes])
}

fn records(path: &Path, files: Vec<Vec<u8>>) -> Result<ArrowRecords, DataError> {
    let Some(first) = files.first() else { return Err(DataError::Empty { path: path.into(), header: false }) };
    let schema = guarded(path, KIND, || {
        let schema = if first.starts_with(FILE) {
            FileReader::try_new(Cursor::new(first), None).map(|reader| reader.schema())
        } else {
            StreamReader::try_new(Cursor::new(first), None).map(|reader| reader.schema())
        };
        schema.map_err(|error| broken(path, &error))
    })?;
    let header = schema.fields().iter().map(|field| field.name().clone()).collect();
    let is_list = schema.fields().iter().map(|field| {
        matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
    });
    Ok(ArrowRecords { path: path.into(), is_list: is_list.collect(), header, schema, files })
}

/// The parts of a data set that stand in a directory of `save_to_disk`, if it has several.
pub(crate) fn splits_of(path: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path.join("dataset_dict.json")).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(value.get("splits")?.as_array()?.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Opens a directory that `save_to_disk` of `datasets` made.
pub(super) fn open_directory(path: &Path) -> Result<ArrowRecords, DataError> {
    let state = path.join("state.json");
    let text = std::fs::read_to_string(&state).map_err(|_| DataError::Directory { path: path.into() })?;
    let wrong = |message: &str| DataError::BrokenFile {
        path: state.clone(),
        kind: "state of `datasets`",
        message: message.into(),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let files = value.get("_data_files").and_then(Value::as_array).ok_or_else(|| wrong("no list `_data_files`"))?;
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let name =
            file.get("filename").and_then(Value::as_str).ok_or_else(|| wrong("a data file without a `filename`"))?;
        if Path::new(name).components().count() != 1 {
            return Err(wrong("a `filename` that is not in this directory"));
        }
        all.push(super::read_all(&path.join(name))?);
    }
    records(path, all)
}

fn broken(path: &Path, error: &ArrowError) -> DataError {
    let message = error.to_string().replace(['\n', '\r'], " ");
    DataError::BrokenFile { path: path.into(), kind: KIND, message }
}

impl Records for ArrowRecords {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn is_list(&self) -> &[bool] {
        &self.is_list
    }

    fn class_names(&self, column: &str) -> Option<Vec<String>> {
        class_names(self.schema.metadata().get("huggingface")?, column)
    }

    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        guarded(&self.path, KIND, || self.batches(places, each))
    }
}

impl ArrowRecords {
    fn batches(
        &self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut row = 0;
        for file in &self.files {
            let mut batch = |batch: Result<RecordBatch, ArrowError>| {
                let batch = batch.map_err(|error| broken(&self.path, &error))?;
                let columns: Vec<&dyn Array> =
                    places.iter().filter_map(|&place| batch.columns().get(place).map(AsRef::as_ref)).collect();
                if columns.len() != places.len() {
                    return Err(broken(
                        &self.path,
                        &ArrowError::SchemaError("the files differ in their columns".into()),
                    ));
                }
                for at in 0..batch.num_rows() {
                    row += 1;
                    each(row, columns.iter().map(|column| Some(value(*column, at))).collect())?;
                }
                Ok(())
            };
            let failed = |error: ArrowError| broken(&self.path, &error);
            if file.starts_with(FILE) {
                FileReader::try_new(Cursor::new(file), None).map_err(failed)?.try_for_each(&mut batch)?;
            } else {
                StreamReader::try_new(Cursor::new(file), None).map_err(failed)?.try_for_each(&mut batch)?;
            }
        }
        Ok(())
    }
}

/// What stands at a place of a column, as JSON has it; null where JSON has nothing like it.
fn value(column: &dyn Array, at: usize) -> Value {
    if column.is_null(at) {
        return Value::Null;
    }
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    // The shortest decimal of an f32, not the longer one of the f64 that equals it.
    let short = |number: f32| number.to_string().parse().map_or(Value::Null, float);
    let list = |values: &dyn Array| Value::Array((0..values.len()).map(|place| value(values, place)).collect());
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(at).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(at).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(at).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(at).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(at).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(at).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(at).into(),
        DataType::Float16 => short(column.as_primitive::<Float16Type>().value(at).to_f32()),
        DataType::Float32 => short(column.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(at)),
        DataType::Utf8 => column.as_string::<i32>().value(at).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(at).into(),
        DataType::Utf8View => column.as_string_view().value(at).into(),
        DataType::List(_) => list(&column.as_list::<i32>().value(at)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(at)),
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(at)),
        DataType::Dictionary(..) => {
            let column = column.as_any_dictionary();
            let key = value(column.keys(), at).as_u64().and_then(|key| usize::try_from(key).ok());
            key.filter(|&key| key < column.values().len()).map_or(Value::Null, |key| value(column.values(), key))
        }
        _ => Value::Null,
    }
}

/// The names of the classes of a column, from what `datasets` writes of it beside the schema.
pub(super) fn class_names(metadata: &str, column: &str) -> Option<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let mut feature = metadata.get("info")?.get("features")?.get(column)?;
    if let Some(inner) = feature.get("feature") {
        feature = inner;
    }
    let names = feature.get("names")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
