//! A file that is being read, and what is read of it, whatever its format is.

use std::path::Path;

use crate::columns::{ColumnNames, Columns, Labels};
use crate::example::Example;

/// What differs between formats.
pub(crate) struct Parts {
    pub(crate) columns: Columns,
    pub(crate) ignored_columns: Vec<String>,
    pub(crate) examples: Vec<Example>,
}

/// A file that is being read, and what was said of it.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) names: &'a ColumnNames,
    pub(crate) labels: Labels,
}
