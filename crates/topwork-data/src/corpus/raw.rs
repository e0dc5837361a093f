//! The bytes of a file: hashed and counted as they are read, and unpacked.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::open::Packing;
use crate::unreadable::unreadable;

/// The bytes of a file as they are stored. Clones are the same place in the same file.
#[derive(Clone)]
pub(super) struct RawBytes {
    state: Rc<RefCell<State>>,
}

struct State {
    file: File,
    hash: Sha256,
    bytes: u64,
    /// Bytes of this file and those before it.
    total: Rc<Cell<u64>>,
}

impl RawBytes {
    /// Opens `path`; `total` counts on.
    pub(super) fn open(path: &Path, total: Rc<Cell<u64>>) -> Result<RawBytes, DataError> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(DataError::Directory { path: path.into() });
        }
        let state = State { file, hash: Sha256::new(), bytes: 0, total };
        Ok(RawBytes { state: Rc::new(RefCell::new(state)) })
    }

    /// Reads what is left; returns the SHA-256 in hexadecimal and the number of bytes of the whole file.
    pub(super) fn finish(mut self, path: &Path) -> Result<(String, u64), DataError> {
        let mut buffer = vec![0; 1 << 18];
        while self.read(&mut buffer).map_err(|error| unreadable(path, error))? > 0 {}
        let state = self.state.borrow();
        let sha256 = state.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((sha256, state.bytes))
    }
}

impl Read for RawBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let read = loop {
            match state.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        state.hash.update(&buffer[..read]);
        state.bytes += read as u64;
        state.total.set(state.total.get() + read as u64);
        Ok(read)
    }
}

/// What a file holds, unpacked.
pub(super) struct Unpacked {
    pub(super) reader: Box<dyn BufRead>,
    /// How it is packed, if it is.
    pub(super) compression: Option<&'static str>,
}

impl Unpacked {
    /// Unpacks `raw` if its first bytes, which no text begins with, say that it is packed; its name does not matter. An archive and
    /// what is not packed are read as they are.
    pub(super) fn new(path: &Path, raw: RawBytes) -> Result<Unpacked, DataError> {
        let mut reader = BufReader::with_capacity(BUFFER, raw);
        let head = reader.fill_buf().map_err(|error| unreadable(path, error))?;
        let packing = Packing::of(head).filter(|packing| !matches!(packing, Packing::Zip | Packing::Other(_)));
        let Some(packing) = packing else { return Ok(Unpacked { reader: Box::new(reader), compression: None }) };
        let compression = Some(packing.name());
        let stream = packing.stream(Box::new(reader)).map_err(|error| unreadable(path, error))?;
        let stream = stream.unwrap_or_else(|| Box::new(io::empty()));
        Ok(Unpacked { reader: Box::new(BufReader::with_capacity(BUFFER, stream)), compression })
    }

    /// A text that is held in memory.
    pub(super) fn of_text(text: String) -> Unpacked {
        Unpacked { reader: Box::new(io::Cursor::new(text.into_bytes())), compression: None }
    }

    /// The first bytes, without taking them.
    pub(super) fn head(&mut self, path: &Path) -> Result<&[u8], DataError> {
        let compression = self.compression;
        self.reader.fill_buf().map_err(|source| match compression {
            Some(compression) => DataError::BrokenCompression { path: path.into(), compression, source },
            None => unreadable(path, source),
        })
    }

    /// All bytes.
    pub(super) fn all(&mut self, path: &Path) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(unreadable(path, error)),
        }
    }
}

const BUFFER: usize = 1 << 17;
