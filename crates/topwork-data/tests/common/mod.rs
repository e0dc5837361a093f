//! Files written and read in tests.
#![allow(dead_code, reason = "each test file uses some of these")]

use topwork_data::{ColumnNames, DataError, Dataset, Labels};

/// Reads a file of this name and content, with these label columns.
pub(crate) fn read_columns(name: &str, content: &str, labels: &[&str]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let labels = labels.iter().map(|name| name.to_string()).collect();
    Dataset::read(&path, &ColumnNames { labels, ..ColumnNames::default() }, Labels::Required)
}

/// Reads a file of this name and content.
pub(crate) fn read(name: &str, content: &str) -> Dataset {
    read_columns(name, content, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes sure that an error names all `parts` and has a hint.
#[track_caller]
pub(crate) fn says<T: std::fmt::Debug>(result: Result<T, DataError>, parts: &[&str]) -> DataError {
    let error = result.unwrap_err();
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains('\n') && error.hint().is_some(), "no hint: {text}");
    error
}
