//! A directory's tokenizer: `tokenizer.json`, or one that is built of the files that there were before it, as `transformers`
//! builds it: WordPiece over `vocab.txt`, byte-level BPE over `vocab.json` and `merges.txt`, a vocabulary of characters,
//! or Unigram over a SentencePiece model. Or a new one, learnt from texts.

mod byte_level;
mod further;
mod merges;
mod pieces;
mod prefix_space;
mod saved;
mod scheme;
mod segments;
mod sentence_piece;
mod settings;
mod special;
mod train;
mod unigram;
mod word_piece;
mod word_piece_normalizer;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams};

use crate::error::{ModelError, quoted};
use crate::files::{read, read_optional_json_object, write_atomically, write_json};
use settings::{ADDED, SETTINGS, SPECIAL, Settings};

pub use prefix_space::with_prefix_space;
pub use special::{SpecialIds, continuations};
pub use train::{TokenizerKind, TokenizerOptions, train_tokenizer, write_trained_tokenizer};

const FULL: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.txt";
const TOKENS: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// SentencePiece models that are read.
const PIECES: [&str; 2] = ["sentencepiece.bpe.model", "spiece.model"];
/// SentencePiece models of other families, which are refused by name.
const OTHER_PIECES: [&str; 2] = ["spm.model", "tokenizer.model"];

/// What a tokenizer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Full,
    WordPiece,
    ByteLevel,
    Characters,
    SentencePiece(&'static str),
}

impl Source {
    /// The first that the directory has.
    fn find(directory: &Path) -> Result<Self, ModelError> {
        let has = |name: &str| directory.join(name).is_file();
        if has(FULL) {
            return Ok(Self::Full);
        }
        if has(VOCABULARY) {
            return Ok(Self::WordPiece);
        }
        if has(TOKENS) {
            return Ok(if has(MERGES) { Self::ByteLevel } else { Self::Characters });
        }
        if let Some(name) = PIECES.into_iter().find(|name| has(name)) {
            return Ok(Self::SentencePiece(name));
        }
        Err(match OTHER_PIECES.into_iter().find(|name| has(name)) {
            Some(name) => ModelError::UnsupportedTokenizer {
                path: directory.join(name),
                message: format!("expected {FULL}, found only a SentencePiece model of another family"),
                hint: convert_command(directory),
            },
            None => ModelError::MissingFile {
                directory: directory.to_path_buf(),
                expected: "tokenizer.json, vocab.txt, vocab.json with merges.txt, sentencepiece.bpe.model or spiece.model",
            },
        })
    }

    /// The files that only this kind has, the one that errors name first.
    fn files(self) -> Vec<&'static str> {
        match self {
            Self::Full => vec![FULL],
            Self::WordPiece => vec![VOCABULARY],
            Self::ByteLevel => vec![TOKENS, MERGES],
            Self::Characters => vec![TOKENS],
            Self::SentencePiece(name) => vec![name],
        }
    }
}

/// Reads a directory's tokenizer. Truncation and padding that are stored in it are taken off: sequences are cut where
/// the user says, and never padded. Tokens that only the settings beside it name are added, and where `transformers` takes
/// `add_prefix_space`, `do_lower_case`, `strip_accents` or `tokenize_chinese_chars` from the settings, so is it here; where it
/// gives the model no segments, there are none. The side on which it cuts stays: `truncation_side` of `tokenizer_config.json`, or
/// else the stored direction.
///
/// # Errors
/// When there are no files of a tokenizer, when they are of a kind that is not read, or when they are not usable.
pub fn load_tokenizer(directory: &Path) -> Result<Tokenizer, ModelError> {
    let source = Source::find(directory)?;
    let path = directory.join(source.files()[0]);
    let content = match source {
        Source::Full => read(&path)?,
        Source::WordPiece => word_piece::from_vocabulary(directory)?.to_string().into_bytes(),
        Source::ByteLevel => byte_level::from_merges(directory)?.to_string().into_bytes(),
        Source::Characters => byte_level::from_characters(directory)?.to_string().into_bytes(),
        Source::SentencePiece(_) => unigram::from_sentence_piece(directory, &path)?.to_string().into_bytes(),
    };
    let mut tokenizer = Tokenizer::from_bytes(&content).map_err(|error| invalid(&path, &error.to_string()))?;
    let settings = Settings::read(directory)?;
    match source {
        Source::Full => {
            let prefix = byte_level::prefix_space(&settings);
            if let Some(changed) = prefix.map(|prefix| prefix_space::with(&tokenizer, prefix)).transpose()?.flatten() {
                tokenizer = changed;
            }
            if let Some(normalizer) = word_piece_normalizer::as_set(directory, &tokenizer)? {
                tokenizer.with_normalizer(Some(normalizer)).map_err(|error| invalid(&path, &error.to_string()))?;
            }
        }
        _ => check_added_tokens(&path, &content, &tokenizer)?,
    }
    further::add_further(&mut tokenizer, &settings).map_err(|message| invalid(&path, &message))?;
    if !segments::are_given(&settings) {
        segments::take_off(&mut tokenizer).map_err(|error| invalid(&path, &error.to_string()))?;
    }
    tokenizer.with_padding(None);
    let direction = match truncation_side(directory)? {
        Some(direction) => direction,
        None => tokenizer.get_truncation().map(|stored| stored.direction).unwrap_or_default(),
    };
    let never = TruncationParams { max_length: usize::MAX, direction, ..TruncationParams::default() };
    let side = (direction == TruncationDirection::Left).then_some(never);
    tokenizer.with_truncation(side).map_err(|error| invalid(&path, &error.to_string()))?;
    Ok(tokenizer)
}

/// Checks that each token that was added has the id that the files give it: the model has its embedding there.
fn check_added_tokens(path: &Path, content: &[u8], tokenizer: &Tokenizer) -> Result<(), ModelError> {
    let whole: serde_json::Value =
        serde_json::from_slice(content).map_err(|error| invalid(path, &error.to_string()))?;
    for token in whole["added_tokens"].as_array().into_iter().flatten() {
        let (text, id) = (token["content"].as_str().unwrap_or_default(), token["id"].as_u64());
        let found = tokenizer.token_to_id(text).map(u64::from);
        if found != id {
            let message = format!("expected the added token {text:?} at the id {id:?}, found it at {found:?}");
            return Err(invalid(path, &message));
        }
    }
    Ok(())
}

fn truncation_side(directory: &Path) -> Result<Option<TruncationDirection>, ModelError> {
    let path = directory.join(SETTINGS);
    let settings = read_optional_json_object(&path)?;
    let Some(side) = settings.as_ref().and_then(|settings| settings.get("truncation_side")).filter(|s| !s.is_null())
    else {
        return Ok(None);
    };
    match side.as_str() {
        Some("right") => Ok(Some(TruncationDirection::Right)),
        Some("left") => Ok(Some(TruncationDirection::Left)),
        _ => Err(ModelError::InvalidValue {
            path,
            key: "truncation_side".into(),
            expected: "\"right\" or \"left\"".into(),
            found: side.to_string(),
        }),
    }
}

/// The files that a directory's tokenizer is read from; none when it has no tokenizer that is read.
pub fn tokenizer_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(source) = Source::find(directory) else { return Vec::new() };
    let mut names = source.files();
    names.extend([SETTINGS, SPECIAL, ADDED]);
    names.into_iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect()
}

/// The files that a tokenizer may consist of: sets, the first of which that is complete is the tokenizer. Settings are
/// beside them.
pub fn tokenizer_file_names() -> Vec<Vec<&'static str>> {
    let kinds = [Source::Full, Source::WordPiece, Source::ByteLevel, Source::Characters];
    kinds.into_iter().chain(PIECES.map(Source::SentencePiece)).map(Source::files).collect()
}

/// Checks that the model has an embedding for every token, and that even an empty text has tokens.
///
/// # Errors
/// When the largest id is not below `vocab_size`, or when the tokenizer adds no special tokens.
pub fn check_tokenizer(directory: &Path, tokenizer: &Tokenizer, vocab_size: usize) -> Result<(), ModelError> {
    let path = tokenizer_file(directory)?;
    let largest = tokenizer.get_vocab(true).into_iter().max_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    if let Some((token, id)) = largest
        && id as usize >= vocab_size
    {
        return Err(ModelError::TokenizerTooLarge { path, token, id, vocab_size });
    }
    match tokenizer.encode("", true) {
        Ok(encoding) if !encoding.is_empty() => Ok(()),
        Ok(_) => Err(ModelError::InvalidTokenizer {
            path,
            message: "expected special tokens such as [CLS] around a text, found none".into(),
        }),
        Err(error) => Err(ModelError::InvalidTokenizer { path, message: one_line(&error.to_string()) }),
    }
}

/// The longest sequence, in tokens: the smaller of the model's `positions` and the tokenizer's `model_max_length`.
///
/// # Errors
/// When `tokenizer_config.json` is not JSON.
pub fn max_length(directory: &Path, positions: usize) -> Result<usize, ModelError> {
    let settings = read_optional_json_object(&directory.join(SETTINGS))?;
    // A tokenizer without a limit stores 1e30.
    let limit = settings.as_ref().and_then(|settings| settings.get("model_max_length")?.as_f64());
    Ok(limit.filter(|limit| *limit >= 1.0).map_or(positions, |limit| positions.min(limit as usize)))
}

/// Writes the tokenizer of `source` into `target` as `transformers` loads it: the files of the source as they are, and
/// `tokenizer.json`, which is `tokenizer` itself where the source has none or another one, such as one without
/// [`with_prefix_space`] or without tokens that only the settings name. `model_max_length` becomes `max_length`, so that
/// texts are cut later as they were in training. Where the source has no `tokenizer_config.json`, one is written that names
/// the special tokens and the inputs.
///
/// # Errors
/// When a file cannot be read or written.
pub fn save_tokenizer(
    source: &Path,
    target: &Path,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<(), ModelError> {
    for name in [FULL, VOCABULARY, TOKENS, MERGES, SPECIAL, ADDED].into_iter().chain(PIECES) {
        let from = source.join(name);
        if from.exists() {
            let content = read(&from)?;
            write_atomically(&target.join(name), |writer| writer.write_all(&content))?;
        }
    }
    let path = target.join(FULL);
    let own = content(&path, tokenizer)?;
    let is_changed = Source::find(source).is_ok() && content(&path, &load_tokenizer(source)?)? != own;
    if stored(&source.join(FULL))?.is_none_or(|stored| stored != own) {
        write_atomically(&path, |writer| writer.write_all(own.as_bytes()))?;
    }
    let mut settings = match read_optional_json_object(&source.join(SETTINGS))? {
        Some(settings) => settings,
        None => saved::new_settings(source, tokenizer, max_length)?,
    };
    settings["model_max_length"] = json!(max_length);
    // `transformers` builds some tokenizers anew by this key, whatever `tokenizer.json` says.
    if is_changed && let Some(prefix) = prefix_space::of(tokenizer) {
        settings["add_prefix_space"] = json!(prefix);
    }
    for (key, value) in word_piece_normalizer::missing_keys(source, tokenizer)? {
        settings[key] = value;
    }
    write_json(&target.join(SETTINGS), &settings)
}

/// A `tokenizer.json` that may be absent, without what cuts and fills up.
fn stored(path: &Path) -> Result<Option<String>, ModelError> {
    if !path.exists() {
        return Ok(None);
    }
    let tokenizer = Tokenizer::from_bytes(read(path)?).map_err(|error| invalid(path, &error.to_string()))?;
    content(path, &tokenizer).map(Some)
}

/// `tokenizer.json` without what cuts and fills up.
fn content(path: &Path, tokenizer: &Tokenizer) -> Result<String, ModelError> {
    let mut whole = tokenizer.clone();
    whole.with_padding(None);
    // No error without truncation; `tokenizer_config.json` keeps the side.
    let _ = whole.with_truncation(None);
    whole.to_string(true).map_err(|error| invalid(path, &error.to_string()))
}

fn tokenizer_file(directory: &Path) -> Result<PathBuf, ModelError> {
    Ok(directory.join(Source::find(directory)?.files()[0]))
}

/// A command that writes `tokenizer.json` into a directory with other files of a tokenizer.
fn convert_command(directory: &Path) -> String {
    format!(
        "python3 -m pip install transformers sentencepiece protobuf && python3 -c 'import sys; from transformers import AutoTokenizer; \
         AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])' {}",
        quoted(directory)
    )
}

fn invalid(path: &Path, message: &str) -> ModelError {
    ModelError::InvalidTokenizer { path: path.to_path_buf(), message: one_line(message) }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
