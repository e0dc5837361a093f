//! The tokens of documents, in a temporary file.

use std::sync::Arc;

use rayon::prelude::*;
use tokenizers::Tokenizer;
use unicode_segmentation::UnicodeSegmentation;

use super::passages::{PassageOrder, Passages};
use super::spool::{Spool, SpoolWriter};
use crate::encoder::unknown_id;
use crate::error::DataError;

/// The tokens of documents on disk, without special tokens, with the ends of sentences and of documents. Memory grows
/// by a few bytes for every megabyte of tokens. Sentences and documents without a token are not there. Clones read the
/// same file, which is gone with the last of them.
#[derive(Clone, Debug)]
pub struct TokenStore {
    stored: Arc<Stored>,
}

/// What a store and its readers share.
#[derive(Debug)]
pub(super) struct Stored {
    spool: Spool,
    blocks: Vec<Block>,
    documents: u64,
    tokens: u64,
    unknown: u64,
}

/// Consecutive documents, about a megabyte.
#[derive(Clone, Copy, Debug)]
struct Block {
    offset: u64,
    /// In words of four bytes.
    length: usize,
    first_document: u64,
}

impl TokenStore {
    /// How many documents there are.
    pub fn documents(&self) -> u64 {
        self.stored.documents
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> u64 {
        self.stored.tokens
    }

    /// How many of them stand for something that the vocabulary does not have.
    pub fn unknown(&self) -> u64 {
        self.stored.unknown
    }

    /// The documents cut into passages of at most `max_tokens`, in the order of the store or shuffled. What comes is a
    /// function of the store, `max_tokens` and `order` alone.
    ///
    /// # Errors
    ///
    /// When `max_tokens` is zero. The passages themselves are errors when the temporary file cannot be read.
    pub fn passages(&self, max_tokens: usize, order: PassageOrder) -> Result<Passages, DataError> {
        if max_tokens == 0 {
            return Err(DataError::MaximumLengthTooSmall { max_length: 0, least: 1 });
        }
        Ok(Passages::new(Arc::clone(&self.stored), max_tokens, order))
    }

    /// Tokenizes `documents` and writes them.
    pub(super) fn write(
        documents: impl Iterator<Item = Result<String, DataError>>,
        tokenizer: &Tokenizer,
    ) -> Result<TokenStore, DataError> {
        let mut writer = Writer::new(tokenizer)?;
        for document in documents {
            writer.add(document?)?;
        }
        writer.finish()
    }
}

impl Stored {
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The documents of a block.
    pub(super) fn block(&self, block: usize) -> Result<BlockDocuments, DataError> {
        let Block { offset, length, first_document } = self.blocks[block];
        let bytes = self.spool.read(offset, WORD * length)?;
        let words = bytes.chunks_exact(WORD).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        Ok(BlockDocuments { words: words.collect(), at: 0, document: first_document })
    }
}

/// Bytes of a number in the file.
const WORD: usize = 4;
/// Words of a block, unless its last document is longer.
const BLOCK: usize = 1 << 18;

/// A block in memory. A document is the number of its sentences, the end of each and the tokens of all.
#[derive(Debug, Default)]
pub(super) struct BlockDocuments {
    words: Vec<u32>,
    at: usize,
    document: u64,
}

/// A document's number, its tokens and the ends of its sentences.
pub(super) struct StoredDocument<'a> {
    pub(super) number: u64,
    pub(super) ids: &'a [u32],
    pub(super) sentence_ends: &'a [u32],
}

impl BlockDocuments {
    pub(super) fn next(&mut self) -> Option<StoredDocument<'_>> {
        let (&sentences, rest) = self.words.get(self.at..)?.split_first()?;
        let (sentence_ends, rest) = rest.split_at_checked(sentences as usize)?;
        let ids = rest.get(..*sentence_ends.last()? as usize)?;
        self.at += 1 + sentence_ends.len() + ids.len();
        self.document += 1;
        Some(StoredDocument { number: self.document - 1, ids, sentence_ends })
    }
}

/// Tokenizes documents in batches and writes them in order.
struct Writer {
    tokenizer: Tokenizer,
    unknown_id: Option<u32>,
    batch: Vec<String>,
    batch_bytes: usize,
    /// Documents that went in, also those without tokens.
    taken: u64,
    spool: SpoolWriter,
    counted: Counted,
}

/// What is counted while writing.
#[derive(Default)]
struct Counted {
    blocks: Vec<Block>,
    documents: u64,
    tokens: u64,
    unknown: u64,
}

impl Writer {
    /// The text of a batch.
    const BATCH_BYTES: usize = 1 << 20;

    fn new(tokenizer: &Tokenizer) -> Result<Writer, DataError> {
        let mut tokenizer = tokenizer.clone();
        tokenizer.with_padding(None);
        let without_truncation = tokenizer.with_truncation(None).map(|_| ());
        without_truncation.map_err(|error| failed(0, "", &error))?;
        tokenizer.set_encode_special_tokens(true);
        Ok(Writer {
            unknown_id: unknown_id(&tokenizer),
            tokenizer,
            batch: Vec::new(),
            batch_bytes: 0,
            taken: 0,
            spool: SpoolWriter::create()?,
            counted: Counted::default(),
        })
    }

    fn add(&mut self, document: String) -> Result<(), DataError> {
        self.batch_bytes += document.len();
        self.batch.push(document);
        if self.batch_bytes < Writer::BATCH_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let batch = std::mem::take(&mut self.batch);
        // Lines rather than documents are shared out among threads: one document may be longer than all others.
        let lines: Vec<(u64, &str)> = (self.taken + 1..)
            .zip(&batch)
            .flat_map(|(number, text)| text.lines().map(move |line| (number, line)))
            .collect();
        let encoded: Result<Vec<Encoded>, DataError> = lines
            .par_iter()
            .map(|&(number, line)| Encoded::of(line, &self.tokenizer).map_err(|error| failed(number, line, &error)))
            .collect();
        let mut encoded = encoded?.into_iter();
        for text in &batch {
            let mut document = Encoded::default();
            for line in encoded.by_ref().take(text.lines().count()) {
                document.append(&line);
            }
            self.write(&document)?;
        }
        self.taken += batch.len() as u64;
        self.batch_bytes = 0;
        Ok(())
    }

    fn write(&mut self, document: &Encoded) -> Result<(), DataError> {
        if document.ids.is_empty() {
            return Ok(());
        }
        let counted = &mut self.counted;
        let offset = self.spool.length();
        if counted.blocks.last().is_none_or(|block| block.length >= BLOCK) {
            counted.blocks.push(Block { offset, length: 0, first_document: counted.documents });
        }
        let sentences = document.sentence_ends.len() as u32;
        let words = [sentences].into_iter().chain(document.sentence_ends.iter().copied());
        let bytes: Vec<u8> = words.chain(document.ids.iter().copied()).flat_map(u32::to_le_bytes).collect();
        if let Some(block) = counted.blocks.last_mut() {
            block.length += bytes.len() / WORD;
        }
        counted.documents += 1;
        counted.tokens += document.ids.len() as u64;
        let is_unknown = |&&id: &&u32| Some(id) == self.unknown_id;
        counted.unknown += document.ids.iter().filter(is_unknown).count() as u64;
        self.spool.write(&bytes)
    }

    fn finish(mut self) -> Result<TokenStore, DataError> {
        self.flush()?;
        let Counted { blocks, documents, tokens, unknown } = self.counted;
        let stored = Stored { spool: self.spool.finish()?, blocks, documents, tokens, unknown };
        Ok(TokenStore { stored: Arc::new(stored) })
    }
}

/// The tokens of a line or a document. Neither is longer than a few gigabytes, so that four bytes hold every end.
#[derive(Default)]
struct Encoded {
    ids: Vec<u32>,
    sentence_ends: Vec<u32>,
}

impl Encoded {
    fn of(line: &str, tokenizer: &Tokenizer) -> Result<Encoded, tokenizers::Error> {
        let mut encoded = Encoded::default();
        for sentence in line.split_sentence_bounds().map(str::trim).filter(|sentence| !sentence.is_empty()) {
            let sentence = match encoded.ids.is_empty() {
                true => tokenizer.encode_fast(sentence, false)?,
                // To byte-level tokenizers a word after a space is another than one at the start.
                false => tokenizer.encode_fast(format!(" {sentence}"), false)?,
            };
            if !sentence.is_empty() {
                encoded.ids.extend_from_slice(sentence.get_ids());
                encoded.sentence_ends.push(encoded.ids.len() as u32);
            }
        }
        Ok(encoded)
    }

    fn append(&mut self, other: &Encoded) {
        let before = self.ids.len() as u32;
        self.sentence_ends.extend(other.sentence_ends.iter().map(|end| before + end));
        self.ids.extend_from_slice(&other.ids);
    }
}

fn failed(document: u64, text: &str, error: &tokenizers::Error) -> DataError {
    let message = error.to_string().replace(['\n', '\r'], " ");
    DataError::DocumentTokenizer { document, text: text.to_owned(), message }
}
