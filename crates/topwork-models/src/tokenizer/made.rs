//! A tokenizer that `transformers` makes anew of a vocabulary and the settings, whatever else a `tokenizer.json` says.

use std::path::Path;

use serde_json::Value;
use tokenizers::{ModelWrapper, PostProcessorWrapper, Tokenizer};

use super::added::Usual;
use super::scheme::{byte_ends, template, template_with_segments};
use super::settings::Settings;
use super::{FULL, Source, byte_level, invalid, unigram, word_piece};
use crate::error::ModelError;
use crate::families::tokenizer_classes::{Build, TokenizerClass};

/// What is made.
pub(super) struct Made {
    /// In the format of `tokenizer.json`, without added tokens.
    pub(super) whole: Value,
    pub(super) usual: Usual,
    pub(super) ends: Ends,
}

/// What a text is put between.
pub(super) enum Ends {
    /// `cls A sep B sep`, with segments 0 and 1.
    Segments { cls: Option<String>, sep: Option<String> },
    /// `cls A sep sep B sep`.
    Plain { cls: Option<String>, sep: Option<String> },
    /// The same for bytes.
    Bytes { cls: Option<String>, sep: Option<String>, prefix: bool, trim: bool },
}

/// Of the files that there were before `tokenizer.json`.
pub(super) fn from_files(
    source: Source,
    path: &Path,
    settings: &Settings,
    class: Option<&'static TokenizerClass>,
) -> Result<Made, ModelError> {
    let directory = settings.directory();
    match (source, class.map(|class| class.build)) {
        (Source::WordPiece, _) => word_piece::made(path, settings, word_piece::vocabulary(directory)?),
        (Source::ByteLevel, _) => {
            let (vocabulary, merges) = (byte_level::vocabulary(path)?, byte_level::merges(directory)?);
            byte_level::made(settings, vocabulary, merges)
        }
        (Source::Characters, _) => byte_level::made_of_characters(path, settings),
        (Source::SentencePiece(_), Some(Build::Pieces(pieces))) => unigram::from_sentence_piece(path, settings, pieces),
        (Source::SentencePiece(_) | Source::Full, _) => {
            Err(invalid(path, "expected a class that makes a tokenizer of it, found none"))
        }
    }
}

/// Of the vocabulary in a `tokenizer.json`.
pub(super) fn from_whole(
    path: &Path,
    settings: &Settings,
    class: &TokenizerClass,
    stored: &Value,
) -> Result<Made, ModelError> {
    let model = &stored["model"];
    match class.build {
        Build::WordPiece => word_piece::made(path, settings, byte_level::numbered(path, &model["vocab"])?),
        Build::ByteLevel => {
            let merges = model["merges"].as_array().cloned().unwrap_or_default();
            byte_level::made(settings, byte_level::numbered(path, &model["vocab"])?, merges)
        }
        Build::Pieces(pieces) => unigram::from_whole(path, settings, pieces, stored),
    }
}

impl Ends {
    /// Puts them around the texts of a tokenizer, which has all its tokens. `known` says whether the files have a token: one that no file has
    /// would get an id after all others, and so an embedding of another token, or none.
    pub(super) fn put(
        &self,
        tokenizer: &mut Tokenizer,
        path: &Path,
        known: impl Fn(&ModelWrapper, &str) -> bool,
    ) -> Result<(), ModelError> {
        let id = |token: &Option<String>, role: &str| -> Result<(String, u32), ModelError> {
            let missing =
                |found: &str| invalid(path, &format!("{role}: expected a token of the vocabulary, found {found}"));
            let token = token.clone().ok_or_else(|| missing("null"))?;
            let id = tokenizer
                .token_to_id(&token)
                .filter(|_| known(tokenizer.get_model(), &token))
                .ok_or_else(|| missing(&token))?;
            Ok((token, id))
        };
        let (Self::Segments { cls, sep } | Self::Plain { cls, sep } | Self::Bytes { cls, sep, .. }) = self;
        let (cls, sep) = (id(cls, "the token before a text")?, id(sep, "the token after a text")?);
        let (cls, sep) = ((cls.0.as_str(), cls.1), (sep.0.as_str(), sep.1));
        let processor = match self {
            Self::Segments { .. } => template_with_segments(cls, sep),
            Self::Plain { .. } => template(cls, sep),
            Self::Bytes { prefix, trim, .. } => byte_ends(cls, sep, *prefix, *trim),
        };
        let processor: PostProcessorWrapper =
            serde_json::from_value(processor).map_err(|error| invalid(path, &format!("{FULL}: {error}")))?;
        tokenizer.with_post_processor(Some(processor));
        Ok(())
    }
}
