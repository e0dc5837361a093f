//! A file that cannot be opened, and the one that may be meant.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::DataError;
use crate::nearest::nearest;

/// The error of a file that is not there.
pub fn missing_file(path: &Path) -> DataError {
    unreadable(path, io::Error::from(io::ErrorKind::NotFound))
}

/// What to say of a failure to read `path`.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::NotFound => DataError::NotFound { path: path.into(), nearest: nearest_file(path) },
        io::ErrorKind::IsADirectory => DataError::Directory { path: path.into() },
        _ => DataError::Unreadable { path: path.into(), source: error },
    }
}

/// The file beside `path` whose name is most like it.
fn nearest_file(path: &Path) -> Option<PathBuf> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(directory).ok()?.flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let near = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(path.with_file_name(near))
}
