//! Temporary files for what may be larger than memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::DataError;

/// Writes a temporary file.
pub(super) struct SpoolWriter {
    file: BufWriter<File>,
    directory: PathBuf,
    length: u64,
}

impl SpoolWriter {
    /// A file without a name in the directory of temporary files.
    pub(super) fn create() -> Result<SpoolWriter, DataError> {
        let directory = std::env::temp_dir();
        match tempfile::tempfile_in(&directory) {
            Ok(file) => Ok(SpoolWriter { file: BufWriter::with_capacity(1 << 18, file), directory, length: 0 }),
            Err(source) => Err(DataError::Temporary { path: directory, source }),
        }
    }

    /// How much was written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds `bytes` at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| DataError::Temporary { path: self.directory.clone(), source })
    }

    /// From now on the file is read.
    pub(super) fn finish(self) -> Result<Spool, DataError> {
        let SpoolWriter { file, directory, length } = self;
        match file.into_inner() {
            Ok(file) => Ok(Spool { file: Mutex::new(file), directory, length }),
            Err(error) => Err(DataError::Temporary { path: directory, source: error.into_error() }),
        }
    }
}

/// A temporary file that is written.
#[derive(Debug)]
pub(super) struct Spool {
    file: Mutex<File>,
    directory: PathBuf,
    length: u64,
}

impl Spool {
    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from `offset` on.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map(|()| bytes).map_err(|error| self.failed(error))
    }

    /// What went wrong with this file.
    pub(super) fn failed(&self, source: io::Error) -> DataError {
        DataError::Temporary { path: self.directory.clone(), source }
    }
}

/// A place in a temporary file; there may be many of one file.
#[derive(Debug)]
pub(super) struct SpoolReader {
    spool: Arc<Spool>,
    at: u64,
}

impl SpoolReader {
    /// Reads from the beginning.
    pub(super) fn new(spool: Arc<Spool>) -> SpoolReader {
        SpoolReader { spool, at: 0 }
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.spool.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_said_with_the_directory_and_what_to_do() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut writer = SpoolWriter { file: BufWriter::new(full), directory: "/dev".into(), length: 0 };
        let error = match writer.write(b"text") {
            Ok(()) => writer.finish().unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains("/dev: a temporary file"), "{error}");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(error.hint().unwrap().contains("TMPDIR"));
    }

    #[test]
    fn readers_of_one_file_do_not_disturb_each_other() {
        let mut writer = SpoolWriter::create().unwrap();
        writer.write(b"abcdef").unwrap();
        let spool = Arc::new(writer.finish().unwrap());
        let mut readers = [SpoolReader::new(Arc::clone(&spool)), SpoolReader::new(Arc::clone(&spool))];
        let mut read = Vec::new();
        for _ in 0..3 {
            for reader in &mut readers {
                let mut two = [0; 2];
                reader.read_exact(&mut two).unwrap();
                read.extend(two);
            }
        }
        assert_eq!(read, b"ababcdcdefef");
        assert_eq!(spool.read(2, 3).unwrap(), b"cde");
    }
}
