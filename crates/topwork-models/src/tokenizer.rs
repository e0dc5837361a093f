//! A directory's tokenizer: `tokenizer.json`, or one that is built of the files that there were before it, as `transformers`
//! builds it: WordPiece over `vocab.txt`, byte-level BPE over `vocab.json` and `merges.txt`, a vocabulary of characters,
//! or Unigram over a SentencePiece model. Or a new one, learnt from texts.

mod added;
mod byte_level;
mod class;
mod made;
mod merges;
mod notes;
mod pieces;
mod prefix_space;
mod same;
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
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokenizers::{Model, Tokenizer, TruncationDirection, TruncationParams};

use crate::error::ModelError;
use crate::files::{read, read_json_object, read_optional_json_object, write_atomically, write_json};
use added::{Tokens, Usual};
use settings::{ADDED, SETTINGS, SPECIAL, Settings};

pub use prefix_space::with_prefix_space;
pub use special::{SpecialIds, continuations};
pub use train::{TokenizerKind, TokenizerOptions, train_tokenizer, write_trained_tokenizer};

const FULL: &str = "tokenizer.json";
const LONGEST: &str = "model_max_length";
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
                hint: class::convert_command(directory),
            },
            None => ModelError::MissingFile {
                directory: directory.to_path_buf(),
                expected: "tokenizer.json, vocab.txt, vocab.json with merges.txt, sentencepiece.bpe.model or spiece.model",
            },
        })
    }

    /// In words.
    fn kind(self) -> &'static str {
        match self {
            Self::Full => "any tokenizer",
            Self::WordPiece => "a WordPiece tokenizer",
            Self::ByteLevel => "a tokenizer of byte-level BPE",
            Self::Characters => "a tokenizer of characters",
            Self::SentencePiece(_) => "a family whose SentencePiece models are read",
        }
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

/// Reads a directory's tokenizer as `transformers` does (5.24.0), and gives notes on what may surprise: where its files say different things,
/// which of them counts.
///
/// A class of `transformers` that makes its tokenizer anew of vocabulary and settings does so here, whatever else `tokenizer.json` says; any
/// other file of that name is taken as it is. Added and special tokens are those that `transformers` would add, with the same ids. Truncation
/// and padding that are stored are taken off: sequences are cut where the user says, and never padded. The side on which it cuts stays:
/// `truncation_side` of `tokenizer_config.json`, or else the stored direction. Where `transformers` gives the model no segments, there are none.
///
/// # Errors
/// When there are no files of a tokenizer, when they are of a kind that is not read, or when they are not usable.
pub fn read_tokenizer(directory: &Path) -> Result<(Tokenizer, Vec<String>), ModelError> {
    let source = Source::find(directory)?;
    let path = directory.join(source.files()[0]);
    guarded(&path, || read_of(source, directory, &path))
}

fn read_of(source: Source, directory: &Path, path: &Path) -> Result<(Tokenizer, Vec<String>), ModelError> {
    let settings = Settings::read(directory)?;
    class::check(&settings, source)?;
    let own = class::of(&settings);
    let stored = match source {
        Source::Full => Some(read_json_object(path)?),
        _ => None,
    };
    let made = match (&stored, own) {
        (Some(stored), Some(class)) => Some(made::from_whole(path, &settings, class, stored)?),
        (Some(_), None) => None,
        (None, class) => Some(made::from_files(source, path, &settings, class)?),
    };
    let listed = |stored: &Value| stored["added_tokens"].as_array().cloned().unwrap_or_default();
    let added = stored.as_ref().map(listed).unwrap_or_default();
    let (content, usual) = match &made {
        Some(made) => (made.whole.to_string().into_bytes(), &made.usual),
        None => (read(path)?, &Usual::of_padding(stored.as_ref())),
    };
    let mut tokenizer = parse(path, &content)?;
    let tokens = Tokens::read(&settings, usual, &added).map_err(|message| invalid(path, &message))?;
    let given: Vec<(u64, String)> = tokens.numbered.iter().map(|(id, token)| (*id, token.content.clone())).collect();
    let left_out = tokens.add(&mut tokenizer, settings.rows()).map_err(|message| invalid(path, &message))?;
    if let Some(made) = &made {
        let is_given = |token: &str| given.iter().any(|(_, content)| content == token);
        made.ends.put(&mut tokenizer, path, |model, token| is_given(token) || model.token_to_id(token).is_some())?;
    }
    let mut notes = notes::of_settings(&settings);
    notes.extend(notes::of_added(&settings, &given, &left_out, &tokenizer));
    if let (Some(made), Some(class), Some(stored)) = (&made, own, &stored) {
        notes.extend(notes::of_class(&settings, class, stored, &made.whole, &tokenizer));
    }
    if !class::gives_segments(&settings) {
        segments::take_off(&mut tokenizer).map_err(|error| invalid(path, &error.to_string()))?;
    }
    tokenizer.set_encode_special_tokens(settings.flag("split_special_tokens")?.unwrap_or(false));
    cut_on_its_side(path, &settings, &mut tokenizer, stored.as_ref())?;
    Ok((tokenizer, notes))
}

/// [`read_tokenizer`] without the notes.
///
/// # Errors
/// As there.
pub fn load_tokenizer(directory: &Path) -> Result<Tokenizer, ModelError> {
    Ok(read_tokenizer(directory)?.0)
}

/// Takes off what cuts and fills up, but for the side on which texts are cut.
fn cut_on_its_side(
    path: &Path,
    settings: &Settings,
    tokenizer: &mut Tokenizer,
    stored: Option<&Value>,
) -> Result<(), ModelError> {
    tokenizer.with_padding(None);
    let stored = stored.and_then(|stored| stored["truncation"]["direction"].as_str());
    let is_left = match settings.get("truncation_side") {
        None => stored == Some("Left"),
        Some(side) => match side.as_str() {
            Some("right") => false,
            Some("left") => true,
            _ => return Err(settings.invalid("truncation_side", "\"right\" or \"left\"", side)),
        },
    };
    let direction = TruncationDirection::Left;
    let never = TruncationParams { max_length: usize::MAX, direction, ..TruncationParams::default() };
    tokenizer.with_truncation(is_left.then_some(never)).map_err(|error| invalid(path, &error.to_string()))?;
    Ok(())
}

/// A tokenizer in the format of `tokenizer.json`.
fn parse(path: &Path, content: &[u8]) -> Result<Tokenizer, ModelError> {
    guarded(path, || Tokenizer::from_bytes(content).map_err(|error| invalid(path, &error.to_string())))
}

/// Does what may make the library of tokenizers give up on a file, so that this is an error, too.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(_) => Err(invalid(
            path,
            "expected parts that fit together, found some that the library of tokenizers gives up on",
        )),
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
    guarded(&path, || {
        // Letters, a mark, a word's end: what every part of a tokenizer has to do with.
        match tokenizer.encode(TRIAL, true).and_then(|_| tokenizer.encode("", true)) {
            Ok(encoding) if !encoding.is_empty() => Ok(()),
            Ok(_) => Err(invalid(&path, "expected special tokens such as [CLS] around a text, found none")),
            Err(error) => Err(invalid(&path, &error.to_string())),
        }
    })
}

/// A text with letters of several scripts, marks, digits and white space.
const TRIAL: &str = "Ab c\u{e9} e\u{301} \u{6771}\u{4eac} \u{1f600} 12,3\tx\n";

/// The longest sequence, in tokens: the smaller of the model's `positions` and the tokenizer's `model_max_length`, which older files call
/// `max_len`.
///
/// # Errors
/// When `tokenizer_config.json` is not JSON, or has no number there.
pub fn max_length(directory: &Path, positions: usize) -> Result<usize, ModelError> {
    let settings = Settings::read(directory)?;
    let key = if settings.said(LONGEST).is_some() { LONGEST } else { "max_len" };
    let Some(said) = settings.get(key) else { return Ok(positions) };
    // A tokenizer without a limit stores 1e30.
    let limit = said.as_f64().ok_or_else(|| settings.invalid(key, "a number of tokens", said))?;
    Ok(if limit >= 1.0 { positions.min(limit as usize) } else { positions })
}

/// Writes the tokenizer of `source` into `target` as `transformers` loads it: the files of the source as they are, and
/// `tokenizer.json`, which is `tokenizer` itself where the source has none or another one, such as one without
/// [`with_prefix_space`] or without tokens that only the settings name. `model_max_length` becomes `max_length`, so that
/// texts are cut later as they were in training. Where the source has no `tokenizer_config.json`, one is written that names
/// the special tokens and the inputs. What was written is read again: where the files of the source would make another tokenizer of it,
/// the settings say that `tokenizer.json` is taken as it is. `config.json` of the model is in `target` already, if it is to have one.
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
    let is_same = |one: &Tokenizer, has_segments: bool| {
        same::same(one, tokenizer, has_segments).map_err(|error| invalid(&path, &error.to_string()))
    };
    let is_changed = Source::find(source).is_ok() && !is_same(&load_tokenizer(source)?, true)?;
    // A file that says the same stays as it is.
    let is_stored = source.join(FULL).exists() && is_same(&parse(&path, &read(&path)?)?, true)?;
    if !is_stored {
        write_whole(&path, tokenizer)?;
    }
    let mut settings = match read_optional_json_object(&source.join(SETTINGS))? {
        Some(settings) => settings,
        None => saved::new_settings(source, tokenizer, max_length)?,
    };
    settings[LONGEST] = json!(max_length);
    // `transformers` builds some tokenizers anew by this key, whatever `tokenizer.json` says.
    if is_changed && let Some(prefix) = prefix_space::of(tokenizer) {
        settings["add_prefix_space"] = json!(prefix);
    }
    for (key, value) in word_piece_normalizer::missing_keys(source, tokenizer)? {
        settings[key] = value;
    }
    let is_left = tokenizer.get_truncation().is_some_and(|cut| cut.direction == TruncationDirection::Left);
    if is_left && settings.get("truncation_side").is_none_or(Value::is_null) {
        settings["truncation_side"] = json!("left");
    }
    write_json(&target.join(SETTINGS), &settings)?;
    let reloaded = load_tokenizer(target)?;
    let segments = [&reloaded, tokenizer].map(|tokenizer| saved::has_segments(source, tokenizer));
    if segments[0] != segments[1] || !is_same(&reloaded, segments[1])? {
        saved::take_whole(&mut settings, tokenizer);
        write_json(&target.join(SETTINGS), &settings)?;
    }
    Ok(())
}

/// `tokenizer.json` without what cuts and fills up.
fn write_whole(path: &Path, tokenizer: &Tokenizer) -> Result<(), ModelError> {
    let mut whole = tokenizer.clone();
    whole.with_padding(None);
    // No error without truncation; `tokenizer_config.json` keeps the side.
    let _ = whole.with_truncation(None);
    let content = whole.to_string(true).map_err(|error| invalid(path, &error.to_string()))?;
    write_atomically(path, |writer| writer.write_all(content.as_bytes()))
}

fn tokenizer_file(directory: &Path) -> Result<PathBuf, ModelError> {
    Ok(directory.join(Source::find(directory)?.files()[0]))
}

fn invalid(path: &Path, message: &str) -> ModelError {
    ModelError::InvalidTokenizer { path: path.to_path_buf(), message: one_line(message) }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
