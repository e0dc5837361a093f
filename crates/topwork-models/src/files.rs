//! Reading and writing whole files, with errors that name them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde_json::Value;

use crate::error::{Content, ModelError};

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
    let content = fs::read(path).map_err(|source| ModelError::Read { path: path.to_path_buf(), source })?;
    match pointer(path, &content) {
        Some(error) => Err(error),
        None => Ok(content),
    }
}

/// What a file of Git LFS begins with as long as its content was not fetched.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// No such file is longer.
const LONGEST_POINTER: usize = 1024;

/// That the content of a file is only a pointer to it, where it is.
fn pointer(path: &Path, content: &[u8]) -> Option<ModelError> {
    if !content.starts_with(POINTER) || content.len() > LONGEST_POINTER {
        return None;
    }
    let text = String::from_utf8_lossy(content);
    let bytes = text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse().ok());
    let folder = fs::canonicalize(path).ok();
    let is_clone = folder.iter().flat_map(|path| path.ancestors()).any(|folder| folder.join(".git").exists());
    Some(ModelError::LfsPointer { path: path.to_path_buf(), bytes, is_clone })
}

/// Refuses a file of weights that is of another kind, by what it begins with. What is not recognised goes through.
pub(crate) fn refuse_other_content(path: &Path, expected: &'static str, own: Content) -> Result<(), ModelError> {
    let error = |source| ModelError::Read { path: path.to_path_buf(), source };
    let mut beginning = Vec::new();
    let file = File::open(path).map_err(error)?;
    file.take(LONGEST_POINTER as u64 + 1).read_to_end(&mut beginning).map_err(error)?;
    if let Some(error) = pointer(path, &beginning) {
        return Err(error);
    }
    match kind_of(&beginning).filter(|found| *found != own) {
        None => Ok(()),
        Some(found) => Err(ModelError::OtherContent { path: path.to_path_buf(), expected, found }),
    }
}

/// What a beginning tells of a file of weights.
fn kind_of(beginning: &[u8]) -> Option<Content> {
    match beginning {
        _ if is_web_page(beginning) => Some(Content::WebPage),
        [b'P', b'K', 3, 4, ..] => Some(Content::Pytorch),
        [0x89, b'H', b'D', b'F', ..] => Some(Content::Hdf5),
        [b'G', b'G', b'U', b'F', ..] => Some(Content::Gguf),
        [_, _, _, _, _, _, _, _, b'{', ..] => Some(Content::Safetensors),
        [0x80, ..] => Some(Content::Pytorch),
        _ => None,
    }
}

fn is_web_page(beginning: &[u8]) -> bool {
    let start = beginning.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let text = String::from_utf8_lossy(&beginning[start..]).to_lowercase();
    ["<!doctype html", "<html", "<?xml"].iter().any(|page| text.starts_with(page))
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
