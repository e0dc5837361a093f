//! Documents in a temporary file, and how to get them back.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::CorpusPart;
use super::spool::{Spool, SpoolReader, SpoolWriter};
use crate::error::DataError;

/// Of each document: the number that decides whether it is held out, the length of its text, its text.
const HEADER: usize = 16;

/// Adds a document to the file.
pub(super) fn write(spool: &mut SpoolWriter, number: u64, text: &str) -> Result<(), DataError> {
    spool.write(&number.to_le_bytes())?;
    spool.write(&(text.len() as u64).to_le_bytes())?;
    spool.write(text.as_bytes())
}

/// The documents of a part of a [`Corpus`](super::Corpus), in the order of the files.
#[derive(Debug)]
pub struct Documents {
    spool: Arc<Spool>,
    reader: BufReader<SpoolReader>,
    /// Bytes of the file that are still to come.
    left: u64,
    part: CorpusPart,
    threshold: u64,
}

impl Documents {
    pub(super) fn new(spool: Arc<Spool>, part: CorpusPart, threshold: u64) -> Documents {
        let reader = BufReader::with_capacity(1 << 18, SpoolReader::new(Arc::clone(&spool)));
        Documents { left: spool.length(), spool, reader, part, threshold }
    }

    fn read(&mut self) -> std::io::Result<Option<String>> {
        while self.left > 0 {
            let mut words = [[0; 8]; HEADER / 8];
            for word in &mut words {
                self.reader.read_exact(word)?;
            }
            let [number, length] = words.map(u64::from_le_bytes);
            self.left = self.left.saturating_sub(HEADER as u64 + length);
            let part = if number < self.threshold { CorpusPart::HeldOut } else { CorpusPart::Train };
            let mut text = (&mut self.reader).take(length);
            if part == self.part {
                let mut document = String::with_capacity(length as usize);
                text.read_to_string(&mut document)?;
                return Ok(Some(document));
            }
            std::io::copy(&mut text, &mut std::io::sink())?;
        }
        Ok(None)
    }
}

impl Iterator for Documents {
    type Item = Result<String, DataError>;

    fn next(&mut self) -> Option<Result<String, DataError>> {
        let read = self.read().map_err(|error| {
            self.left = 0;
            self.spool.failed(error)
        });
        read.transpose()
    }
}
