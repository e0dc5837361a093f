//! What masking needs to know of a tokenizer: its special tokens, and which tokens go on a word.

use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::{ModelWrapper, Tokenizer};

use super::settings::Settings;
use crate::error::ModelError;

/// The ids of a tokenizer's special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialIds {
    /// Before a text.
    pub cls: u32,
    /// After a text.
    pub sep: u32,
    /// Fills up short texts.
    pub pad: Option<u32>,
    /// In place of what the vocabulary lacks.
    pub unk: Option<u32>,
    /// In place of what is to be guessed.
    pub mask: u32,
}

impl SpecialIds {
    /// Finds them by the names that `tokenizer_config.json` or `special_tokens_map.json` give them, else by those that
    /// BERT or RoBERTa give them.
    ///
    /// # Errors
    /// When there is no `cls`, `sep` or `mask` token, or when a file is not JSON.
    pub fn find(tokenizer: &Tokenizer, directory: Option<&Path>) -> Result<Self, ModelError> {
        let settings = directory.map(Settings::read).transpose()?;
        let names = |role: &str, usual: [&str; 2]| -> Vec<String> {
            let own = settings.as_ref().and_then(|settings| settings.named(&format!("{role}_token")));
            let mut names: Vec<String> = own.into_iter().chain(usual).map(str::to_string).collect();
            names.dedup();
            names
        };
        let find = |role, usual| names(role, usual).iter().find_map(|name| tokenizer.token_to_id(name));
        let need = |role, usual| {
            find(role, usual).ok_or_else(|| ModelError::MissingSpecialToken {
                location: directory.map_or_else(|| "tokenizer".into(), |directory| directory.display().to_string()),
                role,
                looked_for: names(role, usual).join(", "),
            })
        };
        Ok(Self {
            cls: need("cls", ["[CLS]", "<s>"])?,
            sep: need("sep", ["[SEP]", "</s>"])?,
            pad: find("pad", ["[PAD]", "<pad>"]),
            unk: find("unk", ["[UNK]", "<unk>"]),
            mask: need("mask", ["[MASK]", "<mask>"])?,
        })
    }
}

/// For each id of the vocabulary, whether its token goes on a word that an earlier token began.
///
/// In WordPiece these are the tokens that begin with `##`; where the first token of a word carries the space before it
/// (`Ġ` of byte-level BPE, `▁` of Unigram), all others. The first token of a text may lack that space, so the one after
/// `[CLS]` begins a word whatever is said here. Special tokens never go on a word, and neither does a token of a
/// vocabulary that marks the ends of words (`</w>`): whether it does cannot be told from the token.
pub fn continuations(tokenizer: &Tokenizer) -> Vec<bool> {
    let vocabulary = tokenizer.get_vocab(true);
    let added = tokenizer.get_added_tokens_decoder();
    let size = vocabulary.values().max().map_or(0, |id| *id as usize + 1);
    let goes_on: Box<dyn Fn(&str) -> bool> = match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => inside(&model.continuing_subword_prefix),
        ModelWrapper::BPE(BPE { continuing_subword_prefix: Some(prefix), .. }) if !prefix.is_empty() => inside(prefix),
        ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => {
            let marks = |mark: char| vocabulary.keys().any(|token| token.starts_with(mark));
            if marks('▁') {
                Box::new(|token| !token.starts_with('▁'))
            } else if marks('Ġ') {
                // A space, a line feed, a tab, a carriage return.
                Box::new(|token| !token.starts_with(['Ġ', 'Ċ', 'ĉ', 'č']))
            } else {
                Box::new(|_| false)
            }
        }
        ModelWrapper::WordLevel(_) => Box::new(|_| false),
    };
    let mut continuations = vec![false; size];
    for (token, id) in &vocabulary {
        continuations[*id as usize] = !added.contains_key(id) && goes_on(token);
    }
    continuations
}

/// Whether a token begins with a prefix, and does not end there.
fn inside(prefix: &str) -> Box<dyn Fn(&str) -> bool + '_> {
    Box::new(move |token| !prefix.is_empty() && token.len() > prefix.len() && token.starts_with(prefix))
}
