//! Texts as token ids, without padding.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::encoder::{Encoder, Sequence};
use crate::error::DataError;
use crate::example::Example;

/// The tokens of many rows in one ragged array.
///
/// A row of plain text is one sequence. A row of words is one sequence or, if it is longer than that may be, several
/// overlapping windows of which each word has one for its own. The tokens of a row are those of its sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedTexts {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    /// Sequence `i` is the tokens `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    /// Row `i` is the sequences `sequences[i]..sequences[i + 1]`.
    sequences: Vec<usize>,
    /// The words that each sequence has for its own.
    first_tokens: Vec<FirstToken>,
    /// Those of sequence `i` are `word_offsets[i]..word_offsets[i + 1]`.
    word_offsets: Vec<usize>,
    /// How many words each row has.
    words: Vec<usize>,
    /// Rows of which a text was cut to the maximum length, or a word that is longer than a window.
    pub truncated: usize,
    /// Rows of words that are longer than the maximum length, and so are in several windows.
    pub windowed: usize,
    /// Tokens that stand for something that the vocabulary does not have; in windows that overlap, each time.
    pub unknown: usize,
}

/// The first token of a word, which stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstToken {
    /// The word's place in its row, from 0.
    pub word: usize,
    /// The token's place in its sequence, from 0.
    pub token: usize,
}

impl TokenizedTexts {
    /// Tokenizes every row, with its special tokens; `path` is the rows' file, for errors.
    ///
    /// Plain text is cut to `max_length` tokens, of a pair the longer text first, as `transformers` does. Rows of words are
    /// tokenized word by word ([`crate::for_words`]), and those longer than `max_length` are parted into overlapping
    /// windows of at most so many tokens. Padding and truncation stored in `tokenizer.json` are not used, but for the side
    /// on which it cuts. Runs on the current `rayon` pool; the result does not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// When `max_length` leaves no room for a token of each text, or the tokenizer fails or yields nothing for a row.
    pub fn tokenize(
        tokenizer: &Tokenizer,
        examples: &[Example],
        max_length: usize,
        path: &Path,
    ) -> Result<TokenizedTexts, DataError> {
        let has_words = examples.iter().any(|example| !example.words.is_empty());
        let encoder = Encoder::new(tokenizer, max_length, path, has_words);
        if let Some(least) = examples.iter().map(|example| encoder.least(example.text_pair.is_some())).max()
            && max_length < least
        {
            return Err(DataError::MaximumLengthTooSmall { max_length, least });
        }
        let rows: Result<Vec<_>, DataError> = examples.par_iter().map(|example| encoder.row(example)).collect();
        let mut texts = TokenizedTexts::empty();
        for (row, example) in rows?.into_iter().zip(examples) {
            texts.truncated += usize::from(row.truncated);
            texts.windowed += usize::from(row.sequences.len() > 1);
            for Sequence { ids, type_ids, words } in row.sequences {
                texts.unknown += encoder.unknown(&ids);
                texts.push(&ids, &type_ids, words.into_iter().map(|(word, token)| FirstToken { word, token }));
            }
            texts.end_row(example.words.len());
        }
        Ok(texts)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.sequences.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Token ids and token types of a row; of all its windows, one after the other.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[u32]) {
        let range = self.tokens(row);
        (&self.ids[range.clone()], &self.type_ids[range])
    }

    /// How many tokens a row has, in all its windows.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn length(&self, row: usize) -> usize {
        self.tokens(row).len()
    }

    /// How many words a row has; none if it is plain text.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn words(&self, row: usize) -> usize {
        self.words[row]
    }

    /// How many words of a row have no token at all, such as one of control characters alone.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn words_without_token(&self, row: usize) -> usize {
        self.words[row] - self.sequences_of(row).map(|sequence| self.first_tokens(sequence).len()).sum::<usize>()
    }

    /// The sequences of a row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn sequences_of(&self, row: usize) -> Range<usize> {
        self.sequences[row]..self.sequences[row + 1]
    }

    /// How many sequences there are.
    pub fn sequence_count(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Token ids and token types of a sequence.
    ///
    /// # Panics
    ///
    /// When there is no such sequence.
    pub fn sequence(&self, sequence: usize) -> (&[u32], &[u32]) {
        let range = self.offsets[sequence]..self.offsets[sequence + 1];
        (&self.ids[range.clone()], &self.type_ids[range])
    }

    /// The first tokens of the words that a sequence has for its own, in the order of the words. Each word of a row that has a
    /// token is in one sequence.
    ///
    /// # Panics
    ///
    /// When there is no such sequence.
    pub fn first_tokens(&self, sequence: usize) -> &[FirstToken] {
        &self.first_tokens[self.word_offsets[sequence]..self.word_offsets[sequence + 1]]
    }

    /// The tokens of all rows together.
    pub fn total_tokens(&self) -> usize {
        self.ids.len()
    }

    /// The smallest length that at least the part `quantile` of the sequences do not exceed: 0.5 is the median, 1 the
    /// longest sequence. Zero when there is none.
    pub fn length_quantile(&self, quantile: f64) -> usize {
        let mut lengths: Vec<usize> = self.offsets.windows(2).map(|ends| ends[1] - ends[0]).collect();
        lengths.sort_unstable();
        let rank = (quantile * lengths.len() as f64).ceil() as usize;
        lengths.get(rank.clamp(1, lengths.len().max(1)) - 1).copied().unwrap_or(0)
    }

    /// The highest token id; none when there is no token.
    pub fn largest_id(&self) -> Option<u32> {
        self.ids.iter().copied().max()
    }

    /// The highest token type; none when there is no token.
    pub fn largest_type_id(&self) -> Option<u32> {
        self.type_ids.iter().copied().max()
    }

    /// The rows given, in the order given. The counts of cut rows and unknown tokens are about all rows and stay zero
    /// here.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn select(&self, rows: &[usize]) -> TokenizedTexts {
        let mut texts = TokenizedTexts::empty();
        for &row in rows {
            for sequence in self.sequences_of(row) {
                let (ids, type_ids) = self.sequence(sequence);
                texts.push(ids, type_ids, self.first_tokens(sequence).iter().copied());
            }
            texts.end_row(self.words[row]);
        }
        texts
    }

    /// These rows, and then those of `others`.
    pub fn followed_by(&self, others: &TokenizedTexts) -> TokenizedTexts {
        let mut texts = self.clone();
        for row in 0..others.len() {
            for sequence in others.sequences_of(row) {
                let (ids, type_ids) = others.sequence(sequence);
                texts.push(ids, type_ids, others.first_tokens(sequence).iter().copied());
            }
            texts.end_row(others.words[row]);
        }
        texts
    }

    fn tokens(&self, row: usize) -> Range<usize> {
        self.offsets[self.sequences[row]]..self.offsets[self.sequences[row + 1]]
    }

    fn empty() -> TokenizedTexts {
        TokenizedTexts {
            ids: Vec::new(),
            type_ids: Vec::new(),
            offsets: vec![0],
            sequences: vec![0],
            first_tokens: Vec::new(),
            word_offsets: vec![0],
            words: Vec::new(),
            truncated: 0,
            windowed: 0,
            unknown: 0,
        }
    }

    fn push(&mut self, ids: &[u32], type_ids: &[u32], first_tokens: impl Iterator<Item = FirstToken>) {
        self.ids.extend_from_slice(ids);
        self.type_ids.extend_from_slice(type_ids);
        self.offsets.push(self.ids.len());
        self.first_tokens.extend(first_tokens);
        self.word_offsets.push(self.first_tokens.len());
    }

    fn end_row(&mut self, words: usize) {
        self.sequences.push(self.sequence_count());
        self.words.push(words);
    }
}
