//! What can go wrong with a run.

use std::io;
use std::path::{Path, PathBuf};

use topwork_data::DataError;
use topwork_models::ModelError;

use crate::plan::error::PlanError;

/// Why a run could not be planned, done or saved. [`Error::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What was said makes no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file could not be read or written.
    #[error("{}: cannot be {}: {source}", path.display(), access.participle())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        access: Access,
        /// What the system said.
        source: io::Error,
    },
    /// A run ended without a result.
    #[error("{message}")]
    Run {
        /// What happened, and at which step.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The user ended it before there was a result to keep.
    #[error("interrupted: {message}")]
    Interrupted {
        /// What there is not.
        message: &'static str,
    },
    /// One of the run's proofs failed: its result cannot be trusted.
    #[error("proof failed: {message}")]
    Proof {
        /// What was expected and what was found.
        message: String,
    },
}

/// What was tried with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read it.
    Read,
    /// To write it.
    Write,
}

impl Access {
    fn participle(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written",
        }
    }
}

impl Error {
    /// `path` could not be read.
    pub fn read(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), access: Access::Read, source }
    }

    /// `path` could not be written.
    pub fn write(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), access: Access::Write, source }
    }

    /// The run ended, and what to do about it.
    pub fn run(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Run { message: message.into(), hint: Some(hint.into()) }
    }

    /// A proof failed.
    pub fn proof(message: impl Into<String>) -> Self {
        Self::Proof { message: message.into() }
    }

    /// What to do about it, in words or as a command that works when pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::Io { path, access, .. } => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(match access {
                    Access::Read => format!("ls -l '{}'", path.display()),
                    Access::Write => format!("df -h '{0}'; ls -ld '{0}'", folder.display()),
                })
            }
            Self::Run { hint, .. } => hint.clone(),
            Self::Interrupted { .. } => None,
            Self::Proof { .. } => {
                Some("the result was not trusted; please report this with the run's events.jsonl".into())
            }
        }
    }
}
