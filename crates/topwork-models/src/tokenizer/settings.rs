//! What the JSON files of a directory say about its tokenizer: which kind it is, its switches and its special tokens.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::ModelError;
use crate::files::read_optional_json_object;

pub(super) const SETTINGS: &str = "tokenizer_config.json";
pub(super) const SPECIAL: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";
const CONFIG: &str = "config.json";

/// What `tokenizer_config.json`, `special_tokens_map.json` and `config.json` say, the first that speaks.
pub(super) struct Settings {
    files: Vec<Value>,
    /// `special_tokens_map.json` alone.
    special: Option<Value>,
    added: Option<Value>,
}

/// A token that is found in a text before the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AddedToken {
    pub(super) content: String,
    /// Whether it takes the white space before it.
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) single_word: bool,
    pub(super) normalized: bool,
    pub(super) special: bool,
}

impl AddedToken {
    pub(super) fn special(content: &str) -> Self {
        Self {
            content: content.to_string(),
            lstrip: false,
            rstrip: false,
            single_word: false,
            normalized: false,
            special: true,
        }
    }

    /// The token that `value` describes; what it does not say is as in `self`.
    fn described(mut self, value: &Value) -> Self {
        let flag = |key: &str, usual: bool| value.get(key).and_then(Value::as_bool).unwrap_or(usual);
        if let Some(content) = content(value) {
            self.content = content.to_string();
        }
        self.lstrip = flag("lstrip", self.lstrip);
        self.rstrip = flag("rstrip", self.rstrip);
        self.single_word = flag("single_word", self.single_word);
        // What is special is looked for in the text as it is, whatever older files say.
        self.normalized = !self.special && flag("normalized", self.normalized);
        self
    }

    pub(super) fn built(&self) -> tokenizers::AddedToken {
        tokenizers::AddedToken::from(self.content.as_str(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized)
    }

    pub(super) fn json(&self, id: u64) -> Value {
        json!({ "id": id, "content": self.content, "single_word": self.single_word, "lstrip": self.lstrip,
                "rstrip": self.rstrip, "normalized": self.normalized, "special": self.special })
    }
}

/// The keys of the special tokens that have one of their own, in the order of `transformers`.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Tokens that the settings add, in the order in which those that a tokenizer lacks get the next ids.
pub(super) struct FurtherTokens {
    /// Those with ids, by these.
    pub(super) numbered: Vec<AddedToken>,
    /// The special ones that have a key of their own.
    pub(super) named: Vec<AddedToken>,
    /// The further special ones.
    pub(super) special: Vec<AddedToken>,
}

/// The tokens of RoBERTa, XLM-R and CamemBERT.
pub(super) struct SpecialTokens {
    pub(super) bos: AddedToken,
    pub(super) eos: AddedToken,
    pub(super) sep: AddedToken,
    pub(super) cls: AddedToken,
    pub(super) unk: AddedToken,
    pub(super) pad: AddedToken,
    /// Takes the space before it, unless the settings deny it.
    pub(super) mask: AddedToken,
}

impl SpecialTokens {
    pub(super) fn all(&self) -> [&AddedToken; 7] {
        [&self.bos, &self.eos, &self.sep, &self.cls, &self.unk, &self.pad, &self.mask]
    }
}

impl Settings {
    pub(super) fn read(directory: &Path) -> Result<Self, ModelError> {
        let files = [SETTINGS, SPECIAL, CONFIG].map(|name| read_optional_json_object(&directory.join(name)));
        let files: Vec<Option<Value>> = files.into_iter().collect::<Result<_, _>>()?;
        let added = read_optional_json_object(&directory.join(ADDED))?;
        let special = files[1].clone();
        Ok(Self { files: files.into_iter().flatten().collect(), special, added })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.files.iter().find_map(|file| file.get(key).filter(|value| !value.is_null()))
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// A special token is a string, or an object with its content.
    pub(super) fn named(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(content)
    }

    /// The tokenizer's class without `Fast`, unless it is one that says nothing; else none.
    pub(super) fn class(&self) -> Option<&str> {
        let class = self.get("tokenizer_class")?.as_str()?;
        let class = class.strip_suffix("Fast").unwrap_or(class);
        (!matches!(class, "PreTrainedTokenizer" | "TokenizersBackend")).then_some(class)
    }

    /// Whether a class is named, be it one that says nothing.
    pub(super) fn names_class(&self) -> bool {
        self.get("tokenizer_class").is_some_and(Value::is_string)
    }

    pub(super) fn model_type(&self) -> Option<&str> {
        self.get("model_type")?.as_str()
    }

    /// What says that the tokenizer is another than those of `classes` and, where no class is named, of `model_types`.
    pub(super) fn other_kind(&self, classes: &[&str], model_types: &[&str]) -> Option<String> {
        match (self.class(), self.model_type()) {
            (Some(class), _) if !classes.contains(&class) => Some(format!("tokenizer_class {class}")),
            (None, Some(model)) if !model_types.contains(&model) => Some(format!("model_type {model}")),
            _ => None,
        }
    }

    /// The special tokens, by the names that RoBERTa gives those that the settings do not name.
    pub(super) fn special_tokens(&self) -> SpecialTokens {
        let token = |key: &str, usual: AddedToken| match self.get(key) {
            Some(value) => usual.described(value),
            None => usual,
        };
        let plain = |key: &str, content: &str| token(key, AddedToken::special(content));
        SpecialTokens {
            bos: plain("bos_token", "<s>"),
            eos: plain("eos_token", "</s>"),
            sep: plain("sep_token", "</s>"),
            cls: plain("cls_token", "<s>"),
            unk: plain("unk_token", "<unk>"),
            pad: plain("pad_token", "<pad>"),
            mask: token("mask_token", AddedToken { lstrip: true, ..AddedToken::special("<mask>") }),
        }
    }

    /// The list `added_tokens` of a `tokenizer.json`: `tokens` that have an id, then what `added_tokens.json` and
    /// `added_tokens_decoder` add or say otherwise.
    pub(super) fn added_tokens(
        &self,
        tokens: &[&AddedToken],
        id: impl Fn(&str) -> Option<u64>,
    ) -> Result<Vec<Value>, String> {
        let mut by_id: BTreeMap<u64, AddedToken> = BTreeMap::new();
        for token in tokens {
            if let Some(id) = id(&token.content) {
                by_id.entry(id).or_insert_with(|| (*token).clone());
            }
        }
        for (id, token) in self.added_file()? {
            by_id.entry(id).or_insert(token);
        }
        by_id.extend(self.added_decoder()?);
        Ok(by_id.iter().map(|(id, token)| token.json(*id)).collect())
    }

    /// The tokens that are to be found in a text beside those of a `tokenizer.json`.
    pub(super) fn further_tokens(&self) -> Result<FurtherTokens, String> {
        let decoder = self.added_decoder()?;
        // `transformers` reads the older files where that is absent.
        let is_legacy = decoder.is_empty();
        let keys = ["extra_special_tokens", "additional_special_tokens"];
        let mut special: Vec<AddedToken> = keys.iter().filter_map(|key| self.get(key)).flat_map(listed).collect();
        let map = self.special.as_ref().filter(|_| is_legacy);
        special.extend(map.and_then(|map| map.get("additional_special_tokens")).map(listed).unwrap_or_default());
        let named: Vec<AddedToken> = NAMED.iter().filter_map(|role| described(self.get(role)?)).collect();
        let mut numbered: Vec<AddedToken> = match is_legacy {
            true => self.added_file()?.into_values().collect(),
            false => decoder.into_values().collect(),
        };
        for token in numbered.iter_mut().filter(|_| is_legacy) {
            if let Some(own) = special.iter().chain(&named).find(|own| own.content == token.content) {
                *token = own.clone();
            }
        }
        Ok(FurtherTokens { numbered, named, special })
    }

    /// `added_tokens.json`, by id.
    fn added_file(&self) -> Result<BTreeMap<u64, AddedToken>, String> {
        let mut by_id = BTreeMap::new();
        for (content, id) in self.added.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let id = id.as_u64().ok_or_else(|| format!("{ADDED}: {content}: expected an id, found {id}"))?;
            by_id.insert(id, AddedToken { special: false, normalized: true, ..AddedToken::special(content) });
        }
        Ok(by_id)
    }

    /// `added_tokens_decoder` of `tokenizer_config.json`, by id.
    fn added_decoder(&self) -> Result<BTreeMap<u64, AddedToken>, String> {
        let mut by_id = BTreeMap::new();
        for (id, value) in self.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
            let place: u64 =
                id.parse().map_err(|_| format!("{SETTINGS}: added_tokens_decoder: expected an id, found {id}"))?;
            let is_special = value.get("special").and_then(Value::as_bool).unwrap_or(false);
            let usual = AddedToken { special: is_special, normalized: !is_special, ..AddedToken::special("") };
            let token = usual.described(value);
            if token.content.is_empty() {
                return Err(format!("{SETTINGS}: added_tokens_decoder: {id}: expected content, found {value}"));
            }
            by_id.insert(place, token);
        }
        Ok(by_id)
    }
}

/// The special token that a string or an object with its content describes.
fn described(value: &Value) -> Option<AddedToken> {
    let token = AddedToken::special(content(value)?).described(value);
    Some(token).filter(|token| !token.content.is_empty())
}

/// The special tokens of a list, or of an object that gives them names.
fn listed(value: &Value) -> Vec<AddedToken> {
    match value {
        Value::Array(tokens) => tokens.iter().filter_map(described).collect(),
        Value::Object(tokens) => tokens.values().filter_map(described).collect(),
        _ => Vec::new(),
    }
}

fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
