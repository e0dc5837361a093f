//! What can be wrong with a file, before it is known which file it is.

use std::io;

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system could not read it.
    Read(io::Error),
    /// It is not what its own bytes say.
    Damaged(String),
    /// It holds something other than a state dict needs.
    Refused(String),
}

impl Fault {
    pub(super) fn damaged<T>(message: impl Into<String>) -> Result<T, Self> {
        Err(Self::Damaged(message.into()))
    }

    pub(super) fn refused<T>(found: impl Into<String>) -> Result<T, Self> {
        Err(Self::Refused(found.into()))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends early".into()),
            _ => Self::Read(error),
        }
    }
}

/// Words of a file as an error shows them: on one line, cut when long.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let escaped: String = text.escape_debug().take(MOST + 1).collect();
    match escaped.chars().count() > MOST {
        true => escaped.chars().take(MOST).chain("...".chars()).collect(),
        false => escaped,
    }
}
