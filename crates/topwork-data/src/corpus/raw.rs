//! The bytes of a file: hashed and counted as they are read, and unpacked.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::dataset::unreadable;
use crate::error::DataError;

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
    /// Unpacks `raw` if its first bytes, which no text begins with, say that it is packed; its name does not matter.
    pub(super) fn new(path: &Path, raw: RawBytes) -> Result<Unpacked, DataError> {
        let mut reader = BufReader::with_capacity(BUFFER, raw);
        let head = reader.fill_buf().map_err(|error| unreadable(path, error))?;
        Ok(if head.starts_with(&[0x1f, 0x8b]) {
            let reader = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader));
            Unpacked { reader: Box::new(reader), compression: Some("gzip") }
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| unreadable(path, error))?;
            Unpacked { reader: Box::new(BufReader::with_capacity(BUFFER, decoder)), compression: Some("zstd") }
        } else {
            Unpacked { reader: Box::new(reader), compression: None }
        })
    }
}

const BUFFER: usize = 1 << 17;
