//! Reading and writing whole files, with errors that name them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use crate::error::ModelError;

/// Writes a file through a temporary name in the same folder, flushed to disk and then renamed, so that `path` holds
/// either what it held before or all that `write` wrote.
///
/// # Errors
/// When the folder cannot be written to, or `write` fails; the temporary file is removed.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), ModelError> {
    let error = |source| ModelError::Write { path: path.to_path_buf(), source };
    let name = path.file_name().ok_or_else(|| error(io::Error::other("not the path of a file")))?;
    let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        write(&mut writer)?;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| {
        if let Err(left) = fs::remove_file(&temporary)
            && left.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{}: the temporary file stays: {left}", temporary.display());
        }
        error(source)
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| ModelError::Read { path: path.to_path_buf(), source })
}

pub(crate) fn read_text(path: &Path) -> Result<String, ModelError> {
    String::from_utf8(read(path)?)
        .map_err(|error| ModelError::NotUtf8 { path: path.to_path_buf(), byte: error.utf8_error().valid_up_to() })
}

/// A JSON file whose top level is an object.
pub(crate) fn read_json_object(path: &Path) -> Result<Value, ModelError> {
    let value = read_json(path)?;
    if value.is_object() { Ok(value) } else { Err(other_json(path, "an object", &value)) }
}

/// A JSON file whose top level is a list.
pub(crate) fn read_json_array(path: &Path) -> Result<Vec<Value>, ModelError> {
    match read_json(path)? {
        Value::Array(values) => Ok(values),
        value => Err(other_json(path, "a list", &value)),
    }
}

fn read_json(path: &Path) -> Result<Value, ModelError> {
    let text = read_text(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    serde_json::from_str(text)
        .map_err(|error| ModelError::InvalidJson { path: path.to_path_buf(), message: error.to_string() })
}

fn other_json(path: &Path, expected: &str, found: &Value) -> ModelError {
    let message = format!("expected {expected}, found {}", brief(found));
    ModelError::InvalidJson { path: path.to_path_buf(), message }
}

/// A JSON file that may be absent.
pub(crate) fn read_optional_json_object(path: &Path) -> Result<Option<Value>, ModelError> {
    if path.exists() { read_json_object(path).map(Some) } else { Ok(None) }
}

/// Pretty JSON with a final newline, as Hugging Face writes it.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    write_atomically(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, value)?;
        writer.write_all(b"\n")
    })
}

/// A JSON value as an error shows it: on one line, cut when long.
pub(crate) fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}
