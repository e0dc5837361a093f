//! The model that the binary carries, so that the first command works with nothing downloaded.
//!
//! What it was trained on, and how, is in `assets/seedling/README.md`.

use std::io::Write;
use std::path::Path;

use crate::error::ModelError;
use crate::files::write_atomically;

/// The name under which the carried model is chosen.
pub const SEEDLING: &str = "seedling";

/// What it was trained on: general English, for models that do not say it of themselves.
pub const SEEDLING_PROFILE: &[u8] = include_bytes!("../../../assets/seedling/pretraining_profile.json");

/// The files of its directory.
const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../../assets/seedling/config.json")),
    ("model.safetensors", include_bytes!("../../../assets/seedling/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../../assets/seedling/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../../assets/seedling/tokenizer_config.json")),
    ("pretraining_profile.json", SEEDLING_PROFILE),
];

/// Writes the carried model into a directory, as any other model lies in one.
///
/// # Errors
/// When a file cannot be written.
pub fn unpack_seedling(directory: &Path) -> Result<(), ModelError> {
    for (name, content) in FILES {
        write_atomically(&directory.join(name), |writer| writer.write_all(content))?;
    }
    Ok(())
}
