//! Rows as token ids: cut to a length, or parted into windows where each word counts.

use std::path::{Path, PathBuf};

use tokenizers::models::ModelWrapper;
use tokenizers::{Encoding, InputSequence, PostProcessor, Tokenizer, TruncationDirection};

use crate::error::DataError;
use crate::example::Example;
use crate::windows::{Window, windows};
use crate::word_pieces::for_words;

/// The tokens of a row.
pub(crate) struct Row {
    /// One, or several windows.
    pub(crate) sequences: Vec<Sequence>,
    /// Whether a text or a word was cut.
    pub(crate) truncated: bool,
}

/// Tokens that the model sees together.
pub(crate) struct Sequence {
    pub(crate) ids: Vec<u32>,
    pub(crate) type_ids: Vec<u32>,
    /// The words that are this sequence's, each with the place of its first token.
    pub(crate) words: Vec<(usize, usize)>,
}

/// A tokenizer made ready for rows of one kind.
pub(crate) struct Encoder {
    tokenizer: Tokenizer,
    max_length: usize,
    direction: TruncationDirection,
    unknown_id: Option<u32>,
    path: PathBuf,
}

impl Encoder {
    /// `has_words` says that rows are lists of words.
    pub(crate) fn new(tokenizer: &Tokenizer, max_length: usize, path: &Path, has_words: bool) -> Encoder {
        let direction = tokenizer.get_truncation().map(|stored| stored.direction).unwrap_or_default();
        let mut tokenizer = if has_words { for_words(tokenizer) } else { tokenizer.clone() };
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
    pub(crate) fn least(&self, pair: bool) -> usize {
        self.special_tokens(pair) + 1 + usize::from(pair)
    }

    fn special_tokens(&self, pair: bool) -> usize {
        self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// How many of `ids` stand for what the vocabulary does not have.
    pub(crate) fn unknown(&self, ids: &[u32]) -> usize {
        ids.iter().filter(|&&id| Some(id) == self.unknown_id).count()
    }

    pub(crate) fn row(&self, example: &Example) -> Result<Row, DataError> {
        if !example.words.is_empty() {
            return self.words(example);
        }
        let failed = |error| self.failed(example, error);
        let mut first = match example.text_pair {
            None => self.beginning(&example.text).map_err(failed)?,
            Some(_) => self.tokenizer.encode_fast(example.text.as_str(), false).map_err(failed)?,
        };
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
        let (ids, type_ids) = (encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec());
        let row = Row { sequences: vec![Sequence { ids, type_ids, words: Vec::new() }], truncated };
        self.checked(example, row)
    }

    /// The tokens of a text or, where it is so long that it is cut by far, those of its beginning: more than are kept. The end of a word
    /// is no part of the words before it.
    fn beginning(&self, text: &str) -> tokenizers::Result<Encoding> {
        let is_cut_at_the_end = matches!(self.direction, TruncationDirection::Right);
        let budget = self.max_length.saturating_sub(self.special_tokens(false));
        let mut length = LONG_TEXT.max(budget.saturating_mul(LONGEST_TOKEN));
        while is_cut_at_the_end && length < text.len() {
            let start = &text[..text.floor_char_boundary(length)];
            let Some(end) = start.rfind(char::is_whitespace) else { break };
            let tokens = self.tokenizer.encode_fast(&text[..end], false)?;
            if tokens.len() > budget + SPARE_TOKENS {
                return Ok(tokens);
            }
            length = length.saturating_mul(4);
        }
        self.tokenizer.encode_fast(text, false)
    }

    /// Each word by itself, as `transformers` does with `is_split_into_words`; all words in one sequence, or in windows.
    fn words(&self, example: &Example) -> Result<Row, DataError> {
        let failed = |error| self.failed(example, error);
        let words: Vec<&str> = example.words().collect();
        // Not `encode_fast`, which does not say of which word a token is.
        let whole = self.tokenizer.encode(InputSequence::from(&words[..]), false).map_err(failed)?;
        let budget = self.max_length - self.special_tokens(false);
        let (lengths, starts) = spans(whole.get_word_ids(), words.len());
        let mut row = Row { sequences: Vec::new(), truncated: lengths.iter().any(|&length| length > budget) };
        let kept: Vec<usize> = lengths.iter().map(|&length| length.min(budget)).collect();
        for window in windows(&kept, budget) {
            let tokens: Vec<usize> =
                window.words.clone().flat_map(|word| starts[word]..starts[word] + kept[word]).collect();
            let encoding = self.tokenizer.post_process(part(&whole, &tokens), None, true).map_err(failed)?;
            row.sequences.push(sequence(&encoding, &window));
        }
        self.checked(example, row)
    }

    fn checked(&self, example: &Example, row: Row) -> Result<Row, DataError> {
        if row.sequences.iter().any(|sequence| sequence.ids.is_empty()) {
            return Err(DataError::NoTokens { path: self.path.clone(), line: example.line });
        }
        Ok(row)
    }

    fn failed(&self, example: &Example, error: tokenizers::Error) -> DataError {
        let message = error.to_string().replace(['\n', '\r'], " ");
        DataError::Tokenizer { path: self.path.clone(), line: example.line, message }
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

/// Bytes of a text of which the beginning is looked at alone.
const LONG_TEXT: usize = 1 << 16;
/// Bytes of a token, of all but a few.
const LONGEST_TOKEN: usize = 64;
/// Tokens before the place where a text is parted that are none of those kept.
const SPARE_TOKENS: usize = 16;

/// How many tokens each word has, and where the first is.
fn spans(word_ids: &[Option<u32>], words: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut lengths, mut starts) = (vec![0; words], vec![0; words]);
    for (token, word) in word_ids.iter().enumerate() {
        let Some(word) = word.map(|word| word as usize) else { continue };
        if lengths[word] == 0 {
            starts[word] = token;
        }
        lengths[word] += 1;
    }
    (lengths, starts)
}

/// Some tokens of an encoding, as one of its own.
fn part(whole: &Encoding, tokens: &[usize]) -> Encoding {
    fn of<T: Clone>(values: &[T], tokens: &[usize]) -> Vec<T> {
        tokens.iter().filter_map(|&token| values.get(token)).cloned().collect()
    }
    Encoding::new(
        of(whole.get_ids(), tokens),
        of(whole.get_type_ids(), tokens),
        of(whole.get_tokens(), tokens),
        of(whole.get_word_ids(), tokens),
        of(whole.get_offsets(), tokens),
        of(whole.get_special_tokens_mask(), tokens),
        of(whole.get_attention_mask(), tokens),
        Vec::new(),
        Default::default(),
    )
}

/// The tokens of a window with its special ones, which are of no word.
fn sequence(encoding: &Encoding, window: &Window) -> Sequence {
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (token, word) in encoding.get_word_ids().iter().enumerate() {
        if let Some(word) = word.map(|word| word as usize)
            && window.own.contains(&word)
            && words.last().is_none_or(|&(last, _)| last < word)
        {
            words.push((word, token));
        }
    }
    Sequence { ids: encoding.get_ids().to_vec(), type_ids: encoding.get_type_ids().to_vec(), words }
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
