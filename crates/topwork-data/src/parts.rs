//! A file that is being read, and what is read of it, whatever its format is.

use std::path::Path;

use crate::columns::{ColumnNames, Columns, Labels};
use crate::example::Example;

/// What differs between formats.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) columns: Columns,
    pub(crate) ignored_columns: Vec<String>,
    pub(crate) examples: Vec<Example>,
    /// The names of the classes that stand as numbers, if the file says them.
    pub(crate) class_names: Option<Vec<String>>,
    pub(crate) notes: Vec<String>,
}

/// A file that is being read, and what was said of it.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) names: &'a ColumnNames,
    pub(crate) labels: Labels,
}
