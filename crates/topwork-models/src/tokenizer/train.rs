//! Training a tokenizer on texts, and writing it as `transformers` loads it.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::added::AddedToken;
use super::merges::{Word, learn_merges};
use super::pieces::learn_pieces;
use super::saved::new_settings;
use super::scheme::{Scheme, tokenizer_json, word_piece_model};
use super::words::count_words;
use super::{FULL, SETTINGS, VOCABULARY, one_line};
use crate::error::ModelError;
use crate::files::{write_atomically, write_json};

/// The special tokens of every tokenizer that is trained here; their ids are 0 to 4.
pub(super) const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const UNK: usize = 1;
const CLS: usize = 2;
const SEP: usize = 3;
/// So many different characters get a token; rarer ones become `[UNK]`.
const ALPHABET: usize = 1000;
/// WordPiece makes `[UNK]` of longer words; BPE learns from them in parts.
const LONGEST_WORD: usize = 100;

/// How a tokenizer cuts words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenizerKind {
    /// BERT's: the longest piece first, pieces inside a word begin with `##`. The vocabulary is learnt by merging.
    WordPiece,
    /// GPT-2's and RoBERTa's: merges of bytes. It has no unknown character and gives every text back as it was. A space
    /// belongs to the word after it, so the first word of a text has other tokens than the same word later on.
    Bpe,
    /// SentencePiece's: the likeliest pieces, `▁` before each word.
    Unigram,
}

impl TokenizerKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [TokenizerKind; 3] = [TokenizerKind::WordPiece, TokenizerKind::Bpe, TokenizerKind::Unigram];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TokenizerKind::WordPiece => "wordpiece",
            TokenizerKind::Bpe => "bpe",
            TokenizerKind::Unigram => "unigram",
        }
    }
}

/// What [`train_tokenizer`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// How words are cut.
    pub kind: TokenizerKind,
    /// Tokens, the special ones among them.
    pub vocab_size: usize,
    /// Whether texts are lowered; accents go with the case in WordPiece, as in BERT.
    pub lowercase: bool,
    /// A token is learnt when it occurs at least so often; this goes for characters too. The bytes of BPE are always
    /// there.
    pub min_frequency: u64,
}

/// Trains a tokenizer on texts. The same texts give the same tokenizer, to the byte, on every machine and with any
/// number of threads; neither the order of the texts matters.
///
/// Special tokens are `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`, with ids 0 to 4. A text that spells one out has
/// that token there: it is not learned from. WordPiece and Unigram know the 1,000 most frequent characters, so that
/// rare scripts do not eat the vocabulary; the others become `[UNK]`. One text becomes `[CLS] A [SEP]`, a pair
/// `[CLS] A [SEP] B [SEP]` with segments 0 and 1.
///
/// # Errors
/// What `texts` gives; when there is no word in them; when the vocabulary is to have more tokens than the texts support
/// ([`ModelError::VocabularyTooLarge`]) or fewer than they need ([`ModelError::VocabularyTooSmall`]).
pub fn train_tokenizer<E: From<ModelError>>(
    texts: impl Iterator<Item = Result<String, E>> + Send,
    options: &TokenizerOptions,
) -> Result<Tokenizer, E> {
    let scheme = Scheme::new(options.kind, options.lowercase);
    let words = count_words(texts, &scheme)?;
    if words.is_empty() {
        return Err(ModelError::NoTrainingText.into());
    }
    let model = match options.kind {
        TokenizerKind::WordPiece => word_piece(&words, options),
        TokenizerKind::Bpe => byte_pairs(&words, options),
        TokenizerKind::Unigram => unigram(&words, options),
    }?;
    let special = (0..).zip(SPECIAL).map(|(id, token)| AddedToken::special(token).json(id)).collect();
    let (cls, sep) = ((SPECIAL[CLS], CLS as u32), (SPECIAL[SEP], SEP as u32));
    let content = tokenizer_json(scheme, model, special, cls, sep).to_string();
    Ok(Tokenizer::from_bytes(content).map_err(failed)?)
}

/// Writes a trained tokenizer as `transformers.AutoTokenizer` loads it: `tokenizer.json`, `tokenizer_config.json`, and
/// `vocab.txt` for WordPiece. Texts are cut to `max_length` tokens there, and the texts of a pair have segments unless
/// `config.json` in the directory is of a model without.
///
/// # Errors
/// When a file cannot be written, or one that the directory has is not JSON.
pub fn write_trained_tokenizer(
    directory: &Path,
    tokenizer: &Tokenizer,
    options: &TokenizerOptions,
    max_length: usize,
) -> Result<(), ModelError> {
    let content = tokenizer.to_string(true).map_err(failed)?;
    write_atomically(&directory.join(FULL), |writer| writer.write_all(content.as_bytes()))?;
    let mut settings = new_settings(directory, tokenizer, max_length)?;
    settings["do_lower_case"] = json!(options.lowercase);
    if options.kind == TokenizerKind::WordPiece {
        settings["tokenizer_class"] = json!("BertTokenizerFast");
        settings["strip_accents"] = Value::Null;
        settings["tokenize_chinese_chars"] = json!(true);
        let mut tokens: Vec<(String, u32)> = tokenizer.get_vocab(false).into_iter().collect();
        tokens.sort_unstable_by_key(|(_, id)| *id);
        write_atomically(&directory.join(VOCABULARY), |writer| {
            tokens.iter().try_for_each(|(token, _)| writeln!(writer, "{token}"))
        })?;
    }
    write_json(&directory.join(SETTINGS), &settings)
}

pub(super) fn failed(error: impl Display) -> ModelError {
    ModelError::TokenizerTraining { message: one_line(&error.to_string()) }
}

fn word_piece(words: &[(String, u64)], options: &TokenizerOptions) -> Result<Value, ModelError> {
    let alphabet: BTreeSet<char> = alphabet(words, options).into_iter().map(|(char, _)| char).collect();
    let words: Vec<(&str, u64)> = words
        .iter()
        .map(|(word, count)| (word.as_str(), *count))
        .filter(|(word, _)| word.chars().count() <= LONGEST_WORD && word.chars().all(|char| alphabet.contains(&char)))
        .collect();
    let inside: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
    let mut tokens: Vec<String> = SPECIAL.map(String::from).into();
    tokens.extend(alphabet.iter().map(char::to_string));
    tokens.extend(inside.iter().map(|char| format!("##{char}")));
    let number = |chars: &BTreeSet<char>, from: usize| -> HashMap<char, u32> {
        (from as u32..).zip(chars).map(|(id, char)| (*char, id)).collect()
    };
    let first = number(&alphabet, SPECIAL.len());
    let inside = number(&inside, SPECIAL.len() + alphabet.len());
    let words = words
        .into_iter()
        .map(|(word, count)| {
            let ids = |(place, char)| if place == 0 { first[&char] } else { inside[&char] };
            Word { tokens: word.chars().enumerate().map(ids).collect(), count }
        })
        .collect();
    merge(words, &mut tokens, "##", options)?;
    Ok(word_piece_model(SPECIAL[UNK], numbered(tokens)))
}

fn byte_pairs(words: &[(String, u64)], options: &TokenizerOptions) -> Result<Value, ModelError> {
    let alphabet: BTreeSet<char> = ByteLevel::alphabet().into_iter().collect();
    let ids: HashMap<char, u32> = (SPECIAL.len() as u32..).zip(&alphabet).map(|(id, char)| (*char, id)).collect();
    let mut tokens: Vec<String> = SPECIAL.map(String::from).into();
    tokens.extend(alphabet.iter().map(char::to_string));
    let words = words
        .iter()
        .flat_map(|(word, count)| {
            let tokens: Vec<u32> = word.chars().map(|char| ids[&char]).collect();
            let parts: Vec<Word> =
                tokens.chunks(LONGEST_WORD).map(|part| Word { tokens: part.to_vec(), count: *count }).collect();
            parts
        })
        .collect();
    let merges = merge(words, &mut tokens, "", options)?;
    let merges: Vec<[&str; 2]> =
        merges.iter().map(|(left, right)| [left, right].map(|id| tokens[*id as usize].as_str())).collect();
    Ok(json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": false,
        "merges": merges,
        "vocab": numbered(tokens.clone()),
    }))
}

fn unigram(words: &[(String, u64)], options: &TokenizerOptions) -> Result<Value, ModelError> {
    let alphabet = alphabet(words, options);
    let special = SPECIAL.len();
    check_room(special + alphabet.len(), options)?;
    let wanted = options.vocab_size - special;
    let pieces = learn_pieces(words, &alphabet, wanted, options.min_frequency).map_err(|supported| {
        ModelError::VocabularyTooLarge { asked: options.vocab_size, supported: special + supported }
    })?;
    let vocabulary: Vec<(String, f64)> = SPECIAL.map(|token| (token.into(), 0.0)).into_iter().chain(pieces).collect();
    Ok(json!({ "type": "Unigram", "unk_id": UNK, "vocab": vocabulary, "byte_fallback": false }))
}

/// The most frequent characters and how often they occur, the most frequent first.
fn alphabet(words: &[(String, u64)], options: &TokenizerOptions) -> Vec<(char, u64)> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (word, count) in words {
        for char in word.chars() {
            *counts.entry(char).or_default() += count;
        }
    }
    let mut alphabet: Vec<(char, u64)> =
        counts.into_iter().filter(|(_, count)| *count >= options.min_frequency).collect();
    alphabet.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    alphabet.truncate(ALPHABET);
    alphabet
}

/// Fills `tokens`, which hold the special tokens and the alphabet, up to the size that is asked for.
fn merge(
    words: Vec<Word>,
    tokens: &mut Vec<String>,
    prefix: &str,
    options: &TokenizerOptions,
) -> Result<Vec<(u32, u32)>, ModelError> {
    check_room(tokens.len(), options)?;
    let merges = learn_merges(words, tokens, prefix, options.vocab_size, options.min_frequency);
    if tokens.len() < options.vocab_size {
        return Err(ModelError::VocabularyTooLarge { asked: options.vocab_size, supported: tokens.len() });
    }
    Ok(merges)
}

fn check_room(needed: usize, options: &TokenizerOptions) -> Result<(), ModelError> {
    if options.vocab_size >= needed {
        return Ok(());
    }
    let special = SPECIAL.len();
    Err(ModelError::VocabularyTooSmall { asked: options.vocab_size, needed, special, characters: needed - special })
}

fn numbered(tokens: Vec<String>) -> Map<String, Value> {
    (0..).zip(tokens).map(|(id, token): (usize, String)| (token, json!(id))).collect()
}
