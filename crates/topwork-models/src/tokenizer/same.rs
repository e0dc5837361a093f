//! Whether two tokenizers are the same, part by part: a vocabulary is large, and is not written out for it.

use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use super::segments;

/// What there is beside model and added tokens. What cuts and fills up is no part of it.
type Parts = [Option<Value>; 4];

/// Whether two tokenizers make the same of every text. Segments of a pair count only where the model has them.
pub(super) fn same(one: &Tokenizer, other: &Tokenizer, has_segments: bool) -> Result<bool, serde_json::Error> {
    if one.get_model() != other.get_model() || one.get_added_tokens_decoder() != other.get_added_tokens_decoder() {
        return Ok(false);
    }
    // The library's comparison leaves it out.
    if let (ModelWrapper::Unigram(one), ModelWrapper::Unigram(other)) = (one.get_model(), other.get_model())
        && one.byte_fallback() != other.byte_fallback()
    {
        return Ok(false);
    }
    Ok(one.get_encode_special_tokens() == other.get_encode_special_tokens()
        && parts(one, has_segments)? == parts(other, has_segments)?)
}

fn parts(tokenizer: &Tokenizer, has_segments: bool) -> Result<Parts, serde_json::Error> {
    let mut ends = tokenizer.get_post_processor().map(serde_json::to_value).transpose()?;
    if let Some(ends) = ends.as_mut().filter(|_| !has_segments) {
        segments::flatten(ends);
    }
    Ok([
        tokenizer.get_normalizer().map(serde_json::to_value).transpose()?,
        tokenizer.get_pre_tokenizer().map(serde_json::to_value).transpose()?,
        ends,
        tokenizer.get_decoder().map(serde_json::to_value).transpose()?,
    ])
}
