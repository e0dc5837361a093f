//! What a file holds, whatever it is packed in and however its text is encoded. The bytes decide, not the name.

mod arrow;
mod encoding;
mod guarded;
mod packing;
mod parquet;
mod workbook;

use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::records::Records;
use crate::unreadable::unreadable;
pub(crate) use arrow::splits_of;
pub(crate) use encoding::Utf8OrWindows;
pub(crate) use packing::Packing;
pub(crate) use parquet::is_parquet;

/// A file, unpacked and decoded.
pub(crate) enum Content {
    /// Text, without a byte order mark.
    Text(String),
    /// Rows with columns.
    Records(Box<dyn Records>),
}

/// A file that was opened, and what its user should know of it.
pub(crate) struct Opened {
    pub(crate) content: Content,
    /// The name that says what the text is: that of the file, or of the one packed in it, without the ending of a compression.
    pub(crate) name: PathBuf,
    pub(crate) notes: Vec<String>,
}

/// Packed files in packed files are followed this deep.
const DEEPEST: usize = 3;

/// Opens what `bytes`, all of the file at `path`, hold. A Parquet file, an Arrow file and a workbook have rows; all else is text.
pub(crate) fn open(path: &Path, mut bytes: Vec<u8>) -> Result<Opened, DataError> {
    let mut name = path.to_owned();
    for _ in 0..DEEPEST {
        match Packing::of(&bytes) {
            None => break,
            Some(Packing::Zip) if workbook::is_workbook(&bytes) => break,
            Some(packing) => (bytes, name) = packing.unpack(path, &name, bytes)?,
        }
    }
    let records = |records: Box<dyn Records>| Opened {
        content: Content::Records(records),
        name: name.clone(),
        notes: Vec::new(),
    };
    if parquet::is_parquet(&bytes) {
        return parquet::open(path, bytes).map(|rows| records(Box::new(rows)));
    }
    if arrow::is_arrow(&bytes) {
        return arrow::open(path, bytes).map(|rows| records(Box::new(rows)));
    }
    if workbook::is_workbook(&bytes) {
        let (rows, notes) = workbook::open(path, bytes)?;
        return Ok(Opened { content: Content::Records(Box::new(rows)), name, notes });
    }
    let (text, note) = encoding::decode(path, bytes)?;
    refuse_what_is_no_data(path, &text)?;
    Ok(Opened { content: Content::Text(text), name, notes: note.into_iter().collect() })
}

/// Opens a directory that `datasets` saved.
pub(crate) fn open_directory(path: &Path) -> Result<Opened, DataError> {
    let rows = arrow::open_directory(path)?;
    Ok(Opened { content: Content::Records(Box::new(rows)), name: path.to_owned(), notes: Vec::new() })
}

/// Whether a file that begins so is held in memory as a whole: what is neither plain text nor a stream of it.
pub(crate) fn is_held(head: &[u8]) -> bool {
    let is_packed = matches!(Packing::of(head), Some(Packing::Zip | Packing::Other(_)));
    is_packed || is_parquet(head) || arrow::is_arrow(head) || workbook::is_old(head) || encoding::is_wide(head)
}

/// All bytes of a file; also of a pipe.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|error| unreadable(path, error))
}

/// What stands in place of a file that was not fetched.
fn refuse_what_is_no_data(path: &Path, text: &str) -> Result<(), DataError> {
    match () {
        () if is_pointer(text) => Err(DataError::LfsPointer { path: path.into() }),
        () if is_web_page(text) => Err(DataError::WebPage { path: path.into() }),
        () => Ok(()),
    }
}

/// Whether a text that begins so is no data.
pub(crate) fn is_no_data(text: &str) -> bool {
    is_pointer(text) || is_web_page(text)
}

fn is_pointer(text: &str) -> bool {
    text.starts_with("version https://git-lfs.github.com/spec/")
}

fn is_web_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}
