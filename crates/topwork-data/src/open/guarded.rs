//! Readers of other crates, which may panic where a file contradicts itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::DataError;

/// What `read` gives of a file of this kind; an error where it panics.
pub(super) fn guarded<T>(
    path: &Path,
    kind: &'static str,
    read: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let message = "it contradicts itself".into();
        Err(DataError::BrokenFile { path: path.into(), kind, message })
    })
}
