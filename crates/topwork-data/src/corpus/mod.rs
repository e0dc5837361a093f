//! Raw text for pre-training: files of any size to cleaned documents to tokens to passages.
//!
//! Files are read once, in order ([`source`]), their texts cut into documents ([`document`]), duplicates dropped
//! ([`duplicates`]) and the rest written to a temporary file ([`spool`]), each with the number that decides whether it
//! is held out ([`held_out`]). Memory grows by a few hundred bytes a document while reading, and not at all after it.

mod document;
mod documents;
mod duplicates;
mod held_out;
mod lines;
mod parquet;
mod passages;
mod raw;
mod rows;
mod source;
mod spool;
mod tokens;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::error::DataError;
use document::Boundary;
pub use documents::Documents;
use duplicates::{Fingerprint, Known, Novelty};
use held_out::HeldOut;
pub use passages::{Passage, PassageOrder, Passages};
use source::Source;
use spool::{Spool, SpoolWriter};
pub use tokens::TokenStore;

/// How files become documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorpusOptions {
    /// The column of texts in CSV, TSV, JSON and Parquet files; without it, the one with a usual name.
    pub text_column: Option<String>,
    /// The part of the documents that is held out, from 0 to 1.
    pub held_out_fraction: f64,
    /// Decides which documents are held out.
    pub seed: u64,
}

/// A file of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusSource {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// The file's size, compressed if it is.
    pub bytes: u64,
    /// The documents of this file that were kept.
    pub documents: u64,
}

/// What was kept and what was dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorpusCounts {
    /// Documents that were kept, held out or not.
    pub documents: u64,
    /// Dropped: documents of the same words as an earlier one, but for case and space.
    pub exact_duplicates: u64,
    /// Dropped: documents that share most of their sequences of words with an earlier one.
    pub near_duplicates: u64,
    /// Dropped: lines of white space alone that end no document, and rows without text.
    pub empty_lines: u64,
    /// Of the documents that were kept, those held out.
    pub held_out_documents: u64,
}

/// A part of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CorpusPart {
    /// What is learned from.
    Train,
    /// What the model is measured on.
    HeldOut,
}

/// Cleaned documents in a temporary file, parted into train and held-out. The file has no name and is gone with the
/// last value that reads it, also when the process is killed.
#[derive(Clone, Debug)]
pub struct Corpus {
    spool: Arc<Spool>,
    /// Documents of lower numbers are held out.
    threshold: u64,
    sources: Vec<CorpusSource>,
    counts: CorpusCounts,
    notes: Vec<String>,
}

impl Corpus {
    /// Reads text files, where a blank line or the end of the file ends a document, and CSV, TSV, JSON and Parquet
    /// files, where each row is a document, also when compressed with gzip, Zstandard or bzip2. Arrow files, workbooks, archives and JSON
    /// that is not an object a line are held in memory. Of each line the
    /// space around it is dropped. A document of more than 16 MiB is parted at the end of a line. `on_progress` is told
    /// how many bytes of the files were read so far.
    ///
    /// Whether a document is held out depends on its words and the seed alone, so that another file does not move it.
    /// If the fraction is not zero, at least one of two or more documents is held out; one always remains for training.
    /// Runs on the current `rayon` pool; the result does not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is not text, a table or JSON file is irregular or lacks the column, no file holds
    /// a document, or the temporary file cannot be written.
    pub fn read(
        paths: &[PathBuf],
        options: &CorpusOptions,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<Corpus, DataError> {
        Corpus::read_with(paths, options, Boundary::BlankLine, on_progress)
    }

    /// As [`Corpus::read`], but every line of a text file is a document: for titles, messages and the like.
    ///
    /// # Errors
    ///
    /// As [`Corpus::read`].
    pub fn read_lines(
        paths: &[PathBuf],
        options: &CorpusOptions,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<Corpus, DataError> {
        Corpus::read_with(paths, options, Boundary::Line, on_progress)
    }

    fn read_with(
        paths: &[PathBuf],
        options: &CorpusOptions,
        boundary: Boundary,
        on_progress: &mut dyn FnMut(u64),
    ) -> Result<Corpus, DataError> {
        let bytes_read = Rc::new(Cell::new(0));
        let mut intake = Intake::new(options, Rc::clone(&bytes_read), on_progress)?;
        for path in paths {
            let source = Source { path, text_column: options.text_column.as_deref(), boundary };
            let place = intake.sources.len();
            intake.sources.push(CorpusSource { path: path.clone(), sha256: String::new(), bytes: 0, documents: 0 });
            let read = source.read(Rc::clone(&bytes_read), &mut |text| intake.add(place, text))?;
            intake.counts.empty_lines += read.empty_lines;
            intake.sources[place].sha256 = read.sha256;
            intake.sources[place].bytes = read.bytes;
            intake.notes.extend(read.notes);
        }
        intake.finish(paths)
    }

    /// The files, in the order given.
    pub fn sources(&self) -> &[CorpusSource] {
        &self.sources
    }

    /// What is to be said of how files were read, such as an encoding.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was kept and what was dropped.
    pub fn counts(&self) -> &CorpusCounts {
        &self.counts
    }

    /// The documents of a part in the order of the files, their lines joined by `\n`.
    pub fn documents(&self, part: CorpusPart) -> Documents {
        Documents::new(Arc::clone(&self.spool), part, self.threshold)
    }

    /// Tokenizes the documents of a part, sentence by sentence and without special tokens; text that looks like a
    /// special token is taken as text. Padding and truncation stored in `tokenizer.json` are not used. The store needs
    /// no corpus any more. Runs on the current `rayon` pool; the result does not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails or the temporary file cannot be written.
    pub fn tokenize(&self, part: CorpusPart, tokenizer: &Tokenizer) -> Result<TokenStore, DataError> {
        TokenStore::write(self.documents(part), tokenizer)
    }
}

/// Takes documents in, batch by batch: hashed in parallel, compared and written in order.
struct Intake<'a> {
    /// Documents with the place of their source.
    batch: Vec<(usize, String)>,
    batch_bytes: usize,
    known: Known,
    spool: SpoolWriter,
    held_out: HeldOut,
    sources: Vec<CorpusSource>,
    counts: CorpusCounts,
    notes: Vec<String>,
    bytes_read: Rc<Cell<u64>>,
    on_progress: &'a mut dyn FnMut(u64),
}

impl<'a> Intake<'a> {
    /// The text of a batch.
    const BATCH_BYTES: usize = 1 << 20;

    fn new(
        options: &CorpusOptions,
        bytes_read: Rc<Cell<u64>>,
        on_progress: &'a mut dyn FnMut(u64),
    ) -> Result<Intake<'a>, DataError> {
        Ok(Intake {
            batch: Vec::new(),
            batch_bytes: 0,
            known: Known::default(),
            spool: SpoolWriter::create()?,
            held_out: HeldOut::new(options.held_out_fraction, options.seed),
            sources: Vec::new(),
            counts: CorpusCounts::default(),
            notes: Vec::new(),
            bytes_read,
            on_progress,
        })
    }

    fn add(&mut self, source: usize, text: String) -> Result<(), DataError> {
        self.batch_bytes += text.len();
        self.batch.push((source, text));
        if self.batch_bytes < Intake::BATCH_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let prints: Vec<Fingerprint> = self.batch.par_iter().map(|(_, text)| Fingerprint::of(text)).collect();
        for ((source, text), print) in self.batch.drain(..).zip(&prints) {
            match self.known.add(print) {
                Novelty::ExactDuplicate => self.counts.exact_duplicates += 1,
                Novelty::NearDuplicate => self.counts.near_duplicates += 1,
                Novelty::New => {
                    let number = self.held_out.add(print);
                    documents::write(&mut self.spool, number, &text)?;
                    self.sources[source].documents += 1;
                    self.counts.documents += 1;
                }
            }
        }
        self.batch_bytes = 0;
        (self.on_progress)(self.bytes_read.get());
        Ok(())
    }

    fn finish(mut self, paths: &[PathBuf]) -> Result<Corpus, DataError> {
        self.flush()?;
        if self.counts.documents == 0 {
            return Err(DataError::EmptyCorpus { paths: paths.to_vec() });
        }
        let (threshold, held_out_documents) = self.held_out.finish();
        let counts = CorpusCounts { held_out_documents, ..self.counts };
        let spool = Arc::new(self.spool.finish()?);
        Ok(Corpus { spool, threshold, sources: self.sources, counts, notes: self.notes })
    }
}
