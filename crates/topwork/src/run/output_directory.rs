//! The directory of a result.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use topwork_engine::Parameters;
use topwork_models::{ParameterSpec, TensorView, write_atomically, write_safetensors};

use crate::error::Error;

/// What the run did, as a recipe that repeats it.
pub const PLAN: &str = "plan.toml";
/// The texts that were learnt from with a model's label, where there are some: a line each.
pub const PSEUDO_LABELS: &str = "pseudo_labels.jsonl";
/// Hashes of the rows that were learnt from, 8 bytes each, little-endian, in ascending order ([`topwork_data::text_hash`]).
pub const LEARNT_ROWS: &str = "learnt_rows.bin";
/// What happened, one JSON object a line.
pub const EVENTS: &str = "events.jsonl";
/// The folder with what TensorBoard shows.
pub const TENSORBOARD: &str = "runs";
/// What was measured.
pub const RESULTS: &str = "all_results.json";

/// Where results go that nobody gave a directory.
const RUNS: &str = "runs";

/// The directory that a run writes into.
#[derive(Debug)]
pub struct OutputDirectory {
    path: PathBuf,
    is_new: bool,
}

impl OutputDirectory {
    /// Checks, without writing anything, that `path` can be a result: it does not exist, or is an empty directory.
    ///
    /// # Errors
    /// When something is there already.
    pub fn check(path: &Path) -> Result<(), Error> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if path.is_file() => {
                let message = format!("{}: expected a directory for the result, found a file", path.display());
                return Err(Error::run(message, format!("--output '{}'", unused(path).display())));
            }
            Err(error) => return Err(Error::read(path, error)),
        };
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        if names.is_empty() {
            return Ok(());
        }
        names.sort();
        let shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = if names.len() > 4 { ", …" } else { "" };
        let message = format!("{}: expected an empty directory for the result, found {shown}{more}", path.display());
        Err(Error::run(message, format!("--output '{}'", unused(path).display())))
    }

    /// Creates the directory, where it does not exist, for a run that is about to begin.
    ///
    /// # Errors
    /// As [`OutputDirectory::check`], and when the directory cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Self::check(path)?;
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(|source| Error::write(path, source))?;
        Ok(Self { path: path.to_path_buf(), is_new })
    }

    /// The directory of a run that goes on.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_path_buf(), is_new: false }
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a text file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        self.write_bytes(name, text.as_bytes())
    }

    /// As [`OutputDirectory::write`], of a file that is no text.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_bytes(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        Ok(write_atomically(&self.file(name), |writer| writer.write_all(bytes.as_ref()))?)
    }

    /// Writes all parameters as `model.safetensors`, and `more` that the training did not know.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_weights(&self, parameters: &Parameters, more: &[(ParameterSpec, Vec<f32>)]) -> Result<(), Error> {
        let tensor = |(_, p): (_, &'_ topwork_engine::Parameter)| (p.name.clone(), p.shape.clone());
        let shapes: Vec<(String, Vec<usize>)> = parameters.iter().map(tensor).collect();
        let tensors: Vec<TensorView<'_>> = parameters
            .iter()
            .zip(&shapes)
            .map(|((_, p), (name, shape))| TensorView { name, shape, data: &p.values })
            .chain(more.iter().map(|(spec, data)| TensorView { name: &spec.name, shape: &spec.shape, data }))
            .collect();
        Ok(write_safetensors(&self.file("model.safetensors"), &tensors)?)
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_value(value).map_err(|error| Error::write(&self.file(name), error.into()))?;
        self.write(name, &format!("{value:#}\n"))
    }

    /// Takes back what a run wrote that came to nothing.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn discard(&self) -> Result<(), Error> {
        for name in [PLAN, EVENTS, PSEUDO_LABELS] {
            let path = self.file(name);
            if path.exists() {
                fs::remove_file(&path).map_err(|source| Error::write(&path, source))?;
            }
        }
        let board = self.file(TENSORBOARD);
        if board.exists() {
            fs::remove_dir_all(&board).map_err(|source| Error::write(&board, source))?;
        }
        if self.is_new {
            fs::remove_dir(&self.path).map_err(|source| Error::write(&self.path, source))?;
        }
        Ok(())
    }
}

/// A directory for the result of a run on `file` where nobody named one: `runs/` and the file's name, with a number if
/// that is taken.
pub fn unused_directory(file: &Path) -> PathBuf {
    let name = file.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy().into_owned());
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("out");
    let path = Path::new(RUNS).join(stem);
    if OutputDirectory::check(&path).is_ok() { path } else { unused(&path) }
}

/// A name like `path` that is not taken.
fn unused(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(|| "out".into(), |name| name.to_string_lossy().into_owned());
    let numbered = |number: usize| path.with_file_name(format!("{name}-{number}"));
    (2..).map(numbered).find(|candidate| !candidate.exists()).unwrap_or_else(|| path.to_path_buf())
}
