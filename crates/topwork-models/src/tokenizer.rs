//! A directory's tokenizer: `tokenizer.json`, or WordPiece over `vocab.txt`. Or a new one, learnt from texts.

mod merges;
mod pieces;
mod scheme;
mod special;
mod train;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams};

use crate::error::ModelError;
use crate::files::{read, read_optional_json_object, read_text, write_atomically, write_json};
use scheme::{Scheme, tokenizer_json, word_piece_model};

pub use special::{SpecialIds, continuations};
pub use train::{TokenizerKind, TokenizerOptions, train_tokenizer, write_trained_tokenizer};

const FULL: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.txt";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";

/// Reads a directory's tokenizer. Truncation and padding that are stored in it are taken off: sequences are cut where
/// the user says, and never padded. The side on which it cuts stays: `truncation_side` of `tokenizer_config.json`, or else
/// the stored direction.
///
/// # Errors
/// When there is neither `tokenizer.json` nor `vocab.txt`, or when they are not usable.
pub fn load_tokenizer(directory: &Path) -> Result<Tokenizer, ModelError> {
    let path = tokenizer_file(directory)?;
    let content = if path.ends_with(FULL) { read(&path)? } else { from_vocabulary(directory)? };
    let invalid = |message: String| ModelError::InvalidTokenizer { path: path.clone(), message: one_line(&message) };
    let mut tokenizer = Tokenizer::from_bytes(content).map_err(|error| invalid(error.to_string()))?;
    tokenizer.with_padding(None);
    let direction = match truncation_side(directory)? {
        Some(direction) => direction,
        None => tokenizer.get_truncation().map(|stored| stored.direction).unwrap_or_default(),
    };
    let never = TruncationParams { max_length: usize::MAX, direction, ..TruncationParams::default() };
    let side = (direction == TruncationDirection::Left).then_some(never);
    tokenizer.with_truncation(side).map_err(|error| invalid(error.to_string()))?;
    Ok(tokenizer)
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

/// The files that a directory's tokenizer is read from.
pub fn tokenizer_files(directory: &Path) -> Vec<PathBuf> {
    let names =
        if directory.join(FULL).is_file() { [FULL, SETTINGS, SPECIAL] } else { [VOCABULARY, SETTINGS, SPECIAL] };
    names.map(|name| directory.join(name)).into_iter().filter(|path| path.is_file()).collect()
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
/// those that it lacks. `model_max_length` becomes `max_length`, so that texts are cut later as they were in training.
///
/// # Errors
/// When a file cannot be read or written.
pub fn save_tokenizer(
    source: &Path,
    target: &Path,
    tokenizer: &Tokenizer,
    max_length: usize,
) -> Result<(), ModelError> {
    for name in [FULL, VOCABULARY, SPECIAL] {
        let from = source.join(name);
        if from.exists() {
            let content = read(&from)?;
            write_atomically(&target.join(name), |writer| writer.write_all(&content))?;
        }
    }
    if !source.join(FULL).exists() {
        let path = target.join(FULL);
        let mut whole = tokenizer.clone();
        // No error without truncation; `tokenizer_config.json` keeps the side.
        let _ = whole.with_truncation(None);
        let content = whole.to_string(true).map_err(|error| ModelError::InvalidTokenizer {
            path: path.clone(),
            message: one_line(&error.to_string()),
        })?;
        write_atomically(&path, |writer| writer.write_all(content.as_bytes()))?;
    }
    let settings = read_optional_json_object(&source.join(SETTINGS))?;
    let mut settings = settings.unwrap_or_else(|| json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    settings["model_max_length"] = json!(max_length);
    write_json(&target.join(SETTINGS), &settings)
}

fn tokenizer_file(directory: &Path) -> Result<PathBuf, ModelError> {
    let found = [FULL, VOCABULARY].map(|name| directory.join(name)).into_iter().find(|path| path.is_file());
    found.ok_or_else(|| ModelError::MissingFile {
        directory: directory.to_path_buf(),
        expected: "tokenizer.json or vocab.txt",
    })
}

/// BERT's tokenizer over `vocab.txt`, in the format of `tokenizer.json`.
fn from_vocabulary(directory: &Path) -> Result<Vec<u8>, ModelError> {
    let path = directory.join(VOCABULARY);
    let text = read_text(&path)?;
    let mut vocabulary = Map::new();
    for (id, token) in text.lines().enumerate() {
        vocabulary.insert(token.trim_end().to_string(), json!(id));
    }
    let settings = Settings::read(directory)?;
    let id = |token: &str| {
        vocabulary.get(token).cloned().ok_or_else(|| ModelError::InvalidTokenizer {
            path: path.clone(),
            message: format!("expected the token {token}, found no line with it"),
        })
    };
    let [cls, sep, unk] = ["cls_token", "sep_token", "unk_token"].map(|key| settings.token(key));
    let (cls_id, sep_id) = (id(&cls)?, id(&sep)?);
    id(&unk)?;
    let mut special: Vec<(Value, String)> =
        [settings.token("pad_token"), settings.token("mask_token"), unk.clone(), cls.clone(), sep.clone()]
            .into_iter()
            .filter_map(|token| Some((vocabulary.get(&token)?.clone(), token)))
            .collect();
    special.sort_by_key(|(id, _)| id.as_u64());
    let chinese = settings.flag("tokenize_chinese_chars").unwrap_or(true);
    let scheme = Scheme::word_piece(chinese, settings.flag("strip_accents"), settings.lowercase());
    let model = word_piece_model(&unk, vocabulary);
    Ok(tokenizer_json(scheme, model, &special, (&cls, &cls_id), (&sep, &sep_id)).to_string().into_bytes())
}

/// What `tokenizer_config.json`, `special_tokens_map.json` and `config.json` say about a `vocab.txt`, the first that
/// speaks.
struct Settings {
    files: Vec<Value>,
}

impl Settings {
    fn read(directory: &Path) -> Result<Self, ModelError> {
        let files = [SETTINGS, SPECIAL, "config.json"].map(|name| read_optional_json_object(&directory.join(name)));
        let files: Vec<Option<Value>> = files.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { files: files.into_iter().flatten().collect() })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.files.iter().find_map(|file| file.get(key).filter(|value| !value.is_null()))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// A special token is a string, or an object with its content.
    fn named(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|value| value.as_str().or_else(|| value.get("content")?.as_str()))
    }

    fn token(&self, key: &str) -> String {
        self.named(key).map_or_else(|| format!("[{}]", key.trim_end_matches("_token").to_uppercase()), str::to_string)
    }

    fn lowercase(&self) -> bool {
        self.flag("do_lower_case").unwrap_or_else(|| {
            tracing::warn!("no do_lower_case beside {VOCABULARY}: texts are lowered, as transformers does by default");
            true
        })
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
