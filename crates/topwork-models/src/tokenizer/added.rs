//! Tokens that are found in a text before the model sees it: which they are, in which order they get ids, and how they are found, as in
//! `transformers` (5.24.0). Each that the vocabulary has keeps its id. Each that it lacks gets the next one, whatever id the files give it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};
use tokenizers::{NormalizedString, Normalizer, Tokenizer};

use super::settings::{ADDED, DECODER, SETTINGS, SPECIAL, Settings, content};

/// Such a token, as the files describe it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AddedToken {
    pub(super) content: String,
    /// Whether it takes the white space before it.
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) single_word: bool,
    /// Whether it is looked for in the text as normalized; where nothing is said, one that is special is not.
    pub(super) normalized: Option<bool>,
    pub(super) special: bool,
    /// Whether the files give its text alone.
    pub(super) is_text: bool,
}

impl AddedToken {
    pub(super) fn special(content: &str) -> Self {
        Self { special: true, ..Self::plain(content) }
    }

    /// One of which the files would give the text alone.
    pub(super) fn text(content: &str) -> Self {
        Self { is_text: true, ..Self::plain(content) }
    }

    fn plain(content: &str) -> Self {
        let content = content.to_string();
        Self {
            content,
            lstrip: false,
            rstrip: false,
            single_word: false,
            normalized: None,
            special: false,
            is_text: false,
        }
    }

    /// The token that a string or an object with its content describes.
    fn described(value: &Value) -> Option<Self> {
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        let text = content(value)?;
        Some(Self {
            lstrip: flag("lstrip").unwrap_or(false),
            rstrip: flag("rstrip").unwrap_or(false),
            single_word: flag("single_word").unwrap_or(false),
            normalized: flag("normalized"),
            special: flag("special").unwrap_or(false),
            is_text: value.is_string(),
            ..Self::plain(text)
        })
    }

    fn built(&self) -> tokenizers::AddedToken {
        tokenizers::AddedToken::from(self.content.as_str(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }

    pub(super) fn json(&self, id: u64) -> Value {
        json!({ "id": id, "content": self.content, "single_word": self.single_word, "lstrip": self.lstrip, "rstrip": self.rstrip,
                "normalized": self.normalized.unwrap_or(!self.special), "special": self.special })
    }
}

/// The keys of the special tokens that have one of their own, in the order of `transformers`.
const ROLES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const EXTRA: &str = "extra_special_tokens";
const ADDITIONAL: &str = "additional_special_tokens";
const OWN_ROLES: &str = "model_specific_special_tokens";

/// What a class, or a file, has beside the settings.
#[derive(Default)]
pub(super) struct Usual {
    /// The special tokens of roles that the settings do not name.
    pub(super) roles: Vec<(&'static str, AddedToken)>,
    /// Special tokens where the settings do not name any.
    pub(super) further: Vec<AddedToken>,
    /// Special tokens of a SentencePiece model, which count for more than `additional_special_tokens`.
    pub(super) marked: Option<Vec<AddedToken>>,
    /// Whether a mask of which the text alone is said takes the space before it.
    pub(super) mask_takes_space: bool,
}

impl Usual {
    /// What a `tokenizer.json` that is taken as it is has: the token that it fills up with, unless the settings name one.
    pub(super) fn of_padding(stored: Option<&Value>) -> Self {
        let pad = stored.and_then(|stored| stored["padding"]["pad_token"].as_str());
        Self { roles: pad.map(|pad| ("pad_token", AddedToken::text(pad))).into_iter().collect(), ..Self::default() }
    }

    /// The special token of a role: that of the settings, or the usual one.
    pub(super) fn named(&self, settings: &Settings, role: &str) -> Option<String> {
        match settings.said(role) {
            Some(value) => content(value).map(str::to_string),
            None => self.roles.iter().find(|(usual, _)| *usual == role).map(|(_, token)| token.content.clone()),
        }
    }
}

/// The tokens of a directory, in the order in which they are added.
pub(super) struct Tokens {
    /// Those that the files give ids, by these.
    pub(super) numbered: BTreeMap<u64, AddedToken>,
    named: Vec<AddedToken>,
    extra: Vec<AddedToken>,
}

impl Tokens {
    /// `stored` is the list `added_tokens` of a `tokenizer.json`.
    pub(super) fn read(settings: &Settings, usual: &Usual, stored: &[Value]) -> Result<Self, String> {
        let mut extra = Extra::read(settings);
        let numbered = match settings.own().get(DECODER) {
            Some(decoder) => decoder_tokens(decoder)?,
            None => older_tokens(settings, &extra, stored)?,
        };
        let by_content: HashMap<&str, &AddedToken> =
            numbered.values().map(|token| (token.content.as_str(), token)).collect();
        let mut named = Vec::new();
        for role in ROLES {
            let own = settings.said(role).map(|value| role_token(settings, role, value));
            let token = match own {
                Some(token) => {
                    token.map(|token| by_content.get(&*token.content).map_or(token, |token| (*token).clone()))
                }
                None => usual.roles.iter().find(|(usual, _)| *usual == role).map(|(_, token)| token.clone()),
            };
            let takes_space = role == "mask_token" && usual.mask_takes_space;
            named.extend(token.map(|token| match takes_space && token.is_text {
                true => AddedToken { lstrip: true, ..AddedToken::special(&token.content) },
                false => token,
            }));
        }
        named.extend(extra.own_roles(settings));
        let extra = match (extra.list, &usual.marked) {
            (Some(list), _) => list,
            (None, Some(marked)) => marked.clone(),
            (None, None) => extra.additional.unwrap_or_else(|| usual.further.clone()),
        };
        let filled = |tokens: Vec<AddedToken>| tokens.into_iter().filter(|token| !token.content.is_empty()).collect();
        Ok(Self { numbered, named: filled(named), extra: filled(extra) })
    }

    /// Adds them. A special token with a key of its own that the vocabulary lacks, and for which a model of so many `rows` has no embedding,
    /// is left out where no other comes after it: no text has it. Gives those.
    pub(super) fn add(self, tokenizer: &mut Tokenizer, rows: Option<usize>) -> Result<Vec<String>, String> {
        let Self { numbered, named, extra } = self;
        let mut known: HashSet<String> = tokenizer.get_added_vocabulary().get_vocab().keys().cloned().collect();
        let mut tokens: Vec<AddedToken> = numbered.into_values().collect();
        known.extend(tokens.iter().map(|token| token.content.clone()));
        let all_named: HashSet<String> = named.iter().map(|token| token.content.clone()).collect();
        let (by_id, places) = (tokens.len(), named.len());
        let mut of_roles = vec![false; by_id];
        for (place, token) in named.into_iter().chain(extra).enumerate() {
            if !known.contains(&token.content) && !tokens.contains(&token) {
                tokens.push(token);
                of_roles.push(place < places);
            }
        }
        for token in &mut tokens {
            // A text alone is one that is special.
            token.special |= token.is_text || all_named.contains(&token.content);
        }
        let left_out = without_rows(tokenizer, &mut tokens, &of_roles, rows);
        if !tokens.is_empty() {
            let built: Vec<tokenizers::AddedToken> = tokens.iter().map(AddedToken::built).collect();
            tokenizer.add_tokens(built).map_err(|error| error.to_string())?;
        }
        refuse_same(tokenizer)?;
        Ok(left_out)
    }
}

/// Two tokens that are the same text once normalized cannot be told apart: which of them the library finds is left to chance.
fn refuse_same(tokenizer: &Tokenizer) -> Result<(), String> {
    let mut tokens: Vec<(u32, tokenizers::AddedToken)> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    tokens.retain(|(_, token)| token.normalized);
    tokens.sort_unstable_by_key(|(id, _)| *id);
    let mut seen: HashMap<String, String> = HashMap::new();
    for (_, token) in tokens {
        let mut text = NormalizedString::from(token.content.as_str());
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut text).map_err(|error| error.to_string())?;
        }
        if let Some(first) = seen.insert(text.get().to_string(), token.content.clone()) {
            return Err(format!(
                "expected added tokens that differ, found {first:?} and {:?}, which are both {:?} once normalized: which of them is found in a text is \
                 left to chance, in transformers, too",
                token.content,
                text.get()
            ));
        }
    }
    Ok(())
}

/// Takes off tokens of roles that would get ids for which there are no rows, unless another comes after them.
fn without_rows(
    tokenizer: &Tokenizer,
    tokens: &mut Vec<AddedToken>,
    of_roles: &[bool],
    rows: Option<usize>,
) -> Vec<String> {
    let Some(rows) = rows else { return Vec::new() };
    let largest = tokenizer.get_added_tokens_decoder().keys().max().map_or(0, |id| *id as usize + 1);
    let first = largest.max(tokenizer.get_vocab_size(false));
    let mut fresh: HashSet<String> = HashSet::new();
    let mut ids: Vec<Option<usize>> = Vec::new();
    for token in tokens.iter() {
        let id = first + fresh.len();
        let is_fresh = tokenizer.token_to_id(&token.content).is_none() && fresh.insert(token.content.clone());
        ids.push(is_fresh.then_some(id));
    }
    let must = ids.iter().zip(of_roles).rposition(|(id, of_role)| id.is_some() && !of_role);
    let least = must.map_or(0, |place| place + 1);
    let (mut place, mut left_out) = (0, Vec::new());
    tokens.retain(|token| {
        let is_left_out = place >= least && ids[place].is_some_and(|id| id >= rows);
        place += 1;
        if is_left_out {
            left_out.push(token.content.clone());
        }
        !is_left_out
    });
    left_out
}

/// Further special tokens, and those with roles of the model's own.
struct Extra {
    /// `extra_special_tokens`, where it counts.
    list: Option<Vec<AddedToken>>,
    /// `additional_special_tokens`, where it counts.
    additional: Option<Vec<AddedToken>>,
    /// Named in an object.
    roles: Map<String, Value>,
}

impl Extra {
    fn read(settings: &Settings) -> Self {
        let (own, special) = (settings.own(), settings.special());
        let is_said = |value: &&Value| match value {
            Value::Array(list) => !list.is_empty(),
            Value::Object(roles) => !roles.is_empty(),
            other => !other.is_null(),
        };
        let list = own.get(EXTRA).filter(is_said);
        let mut list = list.or_else(|| own.get(ADDITIONAL)).or_else(|| own.get(EXTRA)).cloned();
        let mut roles = Map::new();
        if let Some(Value::Object(named)) = &list {
            roles.extend(named.clone());
            list = None;
        }
        match special.and_then(|special| special.get(EXTRA)) {
            Some(Value::Array(further)) => {
                let mut all = list.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
                all.extend(further.iter().cloned());
                list = Some(Value::Array(all));
            }
            Some(Value::Object(named)) => {
                roles.extend(named.clone());
                list = None;
            }
            _ => {}
        }
        let tokens = |value: &Value| value.as_array().into_iter().flatten().filter_map(AddedToken::described).collect();
        // Nothing, where it is said, is an empty list.
        let additional = special.and_then(|special| special.get(ADDITIONAL)).filter(|value| value.is_array());
        Self { list: list.as_ref().map(tokens), additional: additional.map(tokens), roles }
    }

    /// Keys that end as those of special tokens do: first those with more than a text, then texts, then those of an object.
    fn own_roles(&mut self, settings: &Settings) -> Vec<AddedToken> {
        let is_role = |key: &str| key.ends_with("_token") && !ROLES.contains(&key);
        let mut first: Map<String, Value> = Map::new();
        let mut then: Map<String, Value> = Map::new();
        for (key, value) in settings.own().iter().filter(|(key, _)| is_role(key)) {
            let map = if value.is_string() { &mut then } else { &mut first };
            map.insert(key.clone(), value.clone());
        }
        for (key, value) in settings.special().into_iter().flatten().filter(|(key, _)| is_role(key)) {
            first.insert(key.clone(), value.clone());
        }
        then.extend(std::mem::take(&mut self.roles));
        if then.is_empty()
            && let Some(Value::Object(roles)) = settings.own().get(OWN_ROLES)
        {
            then = roles.clone();
        }
        first.extend(then);
        first.values().filter_map(AddedToken::described).collect()
    }
}

/// The token of a role. That of `special_tokens_map.json` is special.
fn role_token(settings: &Settings, role: &str, value: &Value) -> Option<AddedToken> {
    let is_mapped = settings.special().is_some_and(|special| special.contains_key(role));
    let token = AddedToken::described(value)?;
    Some(AddedToken { special: token.special || is_mapped && !token.is_text, ..token })
}

/// `added_tokens_decoder`, by id.
fn decoder_tokens(decoder: &Value) -> Result<BTreeMap<u64, AddedToken>, String> {
    let mut by_id = BTreeMap::new();
    for (id, value) in decoder.as_object().into_iter().flatten() {
        let place: u64 = id.parse().map_err(|_| format!("{SETTINGS}: {DECODER}: expected an id, found {id}"))?;
        let token = AddedToken::described(value).filter(|token| !token.content.is_empty());
        let token = token.ok_or_else(|| format!("{SETTINGS}: {DECODER}: {id}: expected content, found {value}"))?;
        by_id.insert(place, AddedToken { is_text: false, ..token });
    }
    Ok(by_id)
}

/// `added_tokens.json` and the list of `tokenizer.json`, by id.
fn older_tokens(settings: &Settings, extra: &Extra, stored: &[Value]) -> Result<BTreeMap<u64, AddedToken>, String> {
    let mut by_id = BTreeMap::new();
    for (content, id) in settings.added().into_iter().flatten() {
        let id = id.as_u64().ok_or_else(|| format!("{ADDED}: {content}: expected an id, found {id}"))?;
        let special = ROLES.iter().any(|role| settings.named(role) == Some(content))
            || extra.list.iter().flatten().any(|token| token.content == *content);
        by_id.insert(id, AddedToken { special, normalized: Some(!special), ..AddedToken::plain(content) });
    }
    for value in stored {
        if let (Some(id), Some(token)) = (value["id"].as_u64(), AddedToken::described(value)) {
            by_id.insert(id, token);
        }
    }
    Ok(by_id)
}

/// The files that name added tokens, for notes.
pub(super) fn files_of(settings: &Settings) -> String {
    if settings.has_older_files() { format!("{ADDED} or {SPECIAL}") } else { format!("{DECODER} of {SETTINGS}") }
}
