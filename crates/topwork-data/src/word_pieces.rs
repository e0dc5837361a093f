//! Words for models of words: where they are in a text, and a tokenizer that takes them one by one.

use std::ops::Range;

use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Tokenizer};

/// The words of a plain text, as bytes of it: parted at white space, and each punctuation mark a word of its own, as the
/// tokenizer of BERT has it.
pub fn split_words(text: &str) -> Vec<Range<usize>> {
    let mut pieces = PreTokenizedString::from(text);
    if BertPreTokenizer.pre_tokenize(&mut pieces).is_err() {
        // It only splits, which cannot fail.
        return Vec::new();
    }
    let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
    splits.into_iter().map(|(_, (start, end), _)| start..end).filter(|word| !word.is_empty()).collect()
}

/// `tokenizer` for words that come one by one. Byte-level tokenizers tell a word from the rest of one by the space before it,
/// so that they must put one before each, as `transformers` demands with `is_split_into_words`; others stay as they are.
pub fn for_words(tokenizer: &Tokenizer) -> Tokenizer {
    let mut tokenizer = tokenizer.clone();
    if let Some(mut pre_tokenizer) = tokenizer.get_pre_tokenizer().cloned() {
        add_prefix_space(&mut pre_tokenizer);
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    }
    tokenizer
}

fn add_prefix_space(pre_tokenizer: &mut PreTokenizerWrapper) {
    match pre_tokenizer {
        PreTokenizerWrapper::ByteLevel(byte_level) => byte_level.add_prefix_space = true,
        PreTokenizerWrapper::Sequence(sequence) => sequence.as_mut().iter_mut().for_each(add_prefix_space),
        _ => {}
    }
}
