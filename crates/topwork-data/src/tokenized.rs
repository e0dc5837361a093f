//! Texts as token ids, without padding.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use crate::error::DataError;
use crate::example::Example;

/// The tokens of many rows in one ragged array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedTexts {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    /// Row `i` is `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    /// Rows that were cut to the maximum length.
    pub truncated: usize,
    /// Tokens that stand for something that the vocabulary does not have.
    pub unknown: usize,
}

impl TokenizedTexts {
    /// Tokenizes every row, with its special tokens, and cuts it to `max_length` tokens; `path` is the rows' file, for
    /// errors. Of a pair the longer text is
    /// cut first, as `transformers` does. Padding and truncation stored in `tokenizer.json` are not used, but for the
    /// side on which it cuts. Runs on the current `rayon` pool; the result does not depend on the number of threads.
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
        let encoder = Encoder::new(tokenizer, max_length, path);
        if let Some(least) = examples.iter().map(|example| encoder.least(example.text_pair.is_some())).max()
            && max_length < least
        {
            return Err(DataError::MaximumLengthTooSmall { max_length, least });
        }
        let rows: Result<Vec<Row>, DataError> = examples.par_iter().map(|example| encoder.row(example)).collect();
        let mut texts = TokenizedTexts::empty();
        for row in rows? {
            texts.truncated += usize::from(row.truncated);
            texts.unknown += row.unknown;
            texts.push(&row.ids, &row.type_ids);
        }
        Ok(texts)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Token ids and token types of a row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[u32]) {
        let range = self.offsets[row]..self.offsets[row + 1];
        (&self.ids[range.clone()], &self.type_ids[range])
    }

    /// How many tokens a row has.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn length(&self, row: usize) -> usize {
        self.offsets[row + 1] - self.offsets[row]
    }

    /// The tokens of all rows together.
    pub fn total_tokens(&self) -> usize {
        self.ids.len()
    }

    /// The smallest length that at least the part `quantile` of the rows do not exceed: 0.5 is the median, 1 the
    /// longest row. Zero when there is no row.
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
            let (ids, type_ids) = self.row(row);
            texts.push(ids, type_ids);
        }
        texts
    }

    fn empty() -> TokenizedTexts {
        TokenizedTexts { ids: Vec::new(), type_ids: Vec::new(), offsets: vec![0], truncated: 0, unknown: 0 }
    }

    fn push(&mut self, ids: &[u32], type_ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.type_ids.extend_from_slice(type_ids);
        self.offsets.push(self.ids.len());
    }
}

struct Row {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    truncated: bool,
    unknown: usize,
}

struct Encoder {
    tokenizer: Tokenizer,
    max_length: usize,
    direction: TruncationDirection,
    unknown_id: Option<u32>,
    path: PathBuf,
}

impl Encoder {
    fn new(tokenizer: &Tokenizer, max_length: usize, path: &Path) -> Encoder {
        let direction = tokenizer.get_truncation().map(|stored| stored.direction).unwrap_or_default();
        let mut tokenizer = tokenizer.clone();
        tokenizer.with_padding(None);
        if let Some(stored) = tokenizer.get_truncation_mut() {
            // Never reached: texts are cut here, before the special tokens are added. The crate's own truncation keeps
            // every piece that it cuts off, and for pairs every combination of pieces.
            stored.max_length = usize::MAX;
            stored.stride = 0;
        }
        let unknown_id = unknown_id(&tokenizer);
        Encoder { tokenizer, max_length, direction, unknown_id, path: path.to_path_buf() }
    }

    /// The fewest tokens of a row in which each text has one.
    fn least(&self, pair: bool) -> usize {
        self.special_tokens(pair) + 1 + usize::from(pair)
    }

    fn special_tokens(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    fn row(&self, example: &Example) -> Result<Row, DataError> {
        let failed = |error: tokenizers::Error| {
            let message = error.to_string().replace(['\n', '\r'], " ");
            DataError::Tokenizer { path: self.path.clone(), line: example.line, message }
        };
        let mut first = self.tokenizer.encode_fast(example.text.as_str(), false).map_err(failed)?;
        let mut second = match &example.text_pair {
            Some(text) => Some(self.tokenizer.encode_fast(text.as_str(), false).map_err(failed)?),
            None => None,
        };
        let truncated = self.cut(&mut first, second.as_mut());
        if let Some(second) = &mut second {
            // For tokenizers without a template, which leave the types as they are.
            second.set_type_ids(vec![1; second.len()]);
        }
        let encoding = self.tokenizer.post_process(first, second, true).map_err(failed)?;
        if encoding.is_empty() {
            return Err(DataError::NoTokens { path: self.path.clone(), line: example.line });
        }
        let is_unknown = |&&id: &&u32| Some(id) == self.unknown_id;
        Ok(Row {
            unknown: encoding.get_ids().iter().filter(is_unknown).count(),
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            truncated,
        })
    }

    /// Cuts the texts to what the special tokens leave; says whether anything was cut.
    fn cut(&self, first: &mut Encoding, second: Option<&mut Encoding>) -> bool {
        let budget = self.max_length - self.special_tokens(second.is_some());
        let lengths = (first.len(), second.as_ref().map_or(0, |second| second.len()));
        let kept = longest_first(lengths.0, lengths.1, budget);
        for (text, kept) in [(Some(first), kept.0), (second, kept.1)] {
            if let Some(text) = text {
                text.truncate(kept, 0, self.direction);
                text.take_overflowing();
            }
        }
        kept != lengths
    }
}

/// How much of two texts is kept: the longer one loses tokens until both are equally long, then both do; an odd token
/// goes to the longer one, to the second between equals.
fn longest_first(first: usize, second: usize, budget: usize) -> (usize, usize) {
    let (shorter, longer) = if first <= second { (first, second) } else { (second, first) };
    let (shorter, longer) = if shorter + longer <= budget {
        (shorter, longer)
    } else if shorter <= budget / 2 {
        (shorter, budget - shorter)
    } else {
        (budget / 2, budget - budget / 2)
    };
    if first <= second { (shorter, longer) } else { (longer, shorter) }
}

/// The token that stands for what the vocabulary does not have.
pub(crate) fn unknown_id(tokenizer: &Tokenizer) -> Option<u32> {
    match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => tokenizer.token_to_id(&model.unk_token),
        ModelWrapper::WordLevel(model) => tokenizer.token_to_id(&model.unk_token),
        ModelWrapper::BPE(model) => model.unk_token.as_ref().and_then(|token| tokenizer.token_to_id(token)),
        // The model keeps its number to itself; this is the token's name in every such vocabulary on the hub.
        ModelWrapper::Unigram(_) => tokenizer.token_to_id("<unk>"),
    }
}
