//! What may surprise of how a tokenizer is read: where its files say different things, which of them counts, as in `transformers`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{
    Encoding, NormalizerWrapper, PostProcessor, PostProcessorWrapper, PreTokenizerWrapper, Token, Tokenizer,
};

use super::FULL;
use super::added::files_of;
use super::settings::{DECODER, SETTINGS, Settings};
use crate::families::tokenizer_classes::TokenizerClass;

/// Keys that older tokenizers knew and that `transformers` does not read any more, with what they ask for.
const UNREAD: [(&str, &str); 2] =
    [("never_split", "words that are kept whole"), ("do_basic_tokenize", "texts that are not parted into words first")];

/// Keys that count only where there is a part that they say something of.
pub(super) fn of_settings(settings: &Settings) -> Vec<String> {
    let path = settings.path();
    let asks = |key: &str| match settings.get(key) {
        None | Some(Value::Bool(true)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let unread = UNREAD.iter().filter(|(key, _)| asks(key));
    unread.map(|(key, asked)| format!("{}: {key} is not read, as in transformers: {asked}", path.display())).collect()
}

/// Tokens whose id in the files is not the one that they got, and those that were left out.
pub(super) fn of_added(
    settings: &Settings,
    given: &[(u64, String)],
    left_out: &[String],
    tokenizer: &Tokenizer,
) -> Vec<String> {
    let path = settings.directory().display();
    let moved = given.iter().filter_map(|(id, content)| {
        let own = tokenizer.token_to_id(content).map(u64::from)?;
        (own != *id).then(|| {
            format!(
                "{path}: {} says {id} for the token {content:?}: it has {own}, as in transformers",
                files_of(settings)
            )
        })
    });
    let left_out = left_out.iter().map(|content| {
        format!(
            "{path}: {SETTINGS} names the special token {content:?}, which the vocabulary lacks and for which the model has no embedding: \
             it is left out"
        )
    });
    moved.chain(left_out).collect()
}

/// What a `tokenizer.json` says and a class makes otherwise. `made` is in its format.
pub(super) fn of_class(
    settings: &Settings,
    class: &TokenizerClass,
    stored: &Value,
    made: &Value,
    tokenizer: &Tokenizer,
) -> Vec<String> {
    let path = settings.directory().display();
    let mut notes = Vec::new();
    let mut others = Vec::new();
    match (&stored["normalizer"], &made["normalizer"]) {
        (own, new) if own["type"] == new["type"] && own["lowercase"].is_boolean() => {
            notes.extend(of_switches(settings, own, new))
        }
        (own, new) if !same::<NormalizerWrapper>(own, new) => others.push("normalizer"),
        _ => {}
    }
    if !same::<PreTokenizerWrapper>(&stored["pre_tokenizer"], &made["pre_tokenizer"]) {
        others.push("pre_tokenizer");
    }
    if !same_model(&stored["model"], &made["model"]) {
        others.push("model");
    }
    if !same_ends(&stored["post_processor"], tokenizer) {
        others.push("post_processor");
    }
    if !others.is_empty() {
        notes.push(format!(
            "{path}: {} of {FULL} is not what {} has: the class counts, as in transformers; \"tokenizer_class\": \"PreTrainedTokenizerFast\" in {SETTINGS} \
             takes {FULL} as it is",
            others.join(", "),
            class.name
        ));
    }
    if settings.own().contains_key(DECODER) {
        let known = tokenizer.get_added_tokens_decoder();
        let listed =
            stored["added_tokens"].as_array().into_iter().flatten().filter_map(|token| token["content"].as_str());
        let lost: Vec<String> = listed
            .filter(|text| known.values().all(|token| token.content != **text))
            .map(|text| format!("{text:?}"))
            .collect();
        if !lost.is_empty() {
            notes.push(format!(
                "{path}: {FULL} has added tokens that {DECODER} of {SETTINGS} lacks, and that are not looked for, as in transformers: {}",
                shortened(&lost)
            ));
        }
    }
    notes
}

/// The keys that say the normalizer's switches.
fn of_switches(settings: &Settings, own: &Value, new: &Value) -> Vec<String> {
    let (path, mut notes) = (settings.directory().display(), Vec::new());
    let keys = [
        ("lowercase", "do_lower_case"),
        ("strip_accents", "strip_accents"),
        ("handle_chinese_chars", "tokenize_chinese_chars"),
        ("clean_text", ""),
    ];
    for (part, key) in keys {
        let (stored, counts) = (&own[part], &new[part]);
        if stored == counts {
            continue;
        }
        let said = match settings.get(key) {
            Some(_) => format!("{key} of {SETTINGS} is {counts}"),
            None if key.is_empty() => format!("the class has {counts}"),
            None => format!("{SETTINGS} lacks {key}, which means {counts}"),
        };
        let keeps = match key {
            "" => String::new(),
            key => format!("; \"{key}\": {stored} in {SETTINGS} makes it as {FULL} says"),
        };
        notes.push(format!("{path}: {FULL} says {part} {stored}, but {said}, which counts, as in transformers{keeps}"));
    }
    notes
}

/// Whether two parts of a `tokenizer.json` are the same, however old the way in which they are written.
fn same<P: DeserializeOwned + Serialize>(own: &Value, new: &Value) -> bool {
    let part = |value: &Value| match value {
        Value::Null => Ok(Value::Null),
        value => serde_json::from_value::<P>(value.clone()).and_then(serde_json::to_value),
    };
    match (part(own), part(new)) {
        (Ok(own), Ok(new)) => own == new,
        _ => false,
    }
}

/// Whether two models have the same rules; the vocabulary is the same.
fn same_model(own: &Value, new: &Value) -> bool {
    let is_nothing = |value: &Value| value.is_null() || *value == Value::Bool(false) || value.as_str() == Some("");
    let rules = |model: &Value| -> Vec<(String, Value)> {
        let rules = model.as_object().into_iter().flatten();
        let rules =
            rules.filter(|(key, value)| !["vocab", "merges", "type"].contains(&key.as_str()) && !is_nothing(value));
        let mut rules: Vec<_> = rules.map(|(key, value)| (key.clone(), value.clone())).collect();
        rules.sort_by(|one, other| one.0.cmp(&other.0));
        rules
    };
    (own["type"].is_null() || own["type"] == new["type"]) && rules(own) == rules(new)
}

/// Whether a text, and a pair, is put between the same tokens.
fn same_ends(own: &Value, tokenizer: &Tokenizer) -> bool {
    let Ok(own) = serde_json::from_value::<Option<PostProcessorWrapper>>(own.clone()) else { return false };
    let text = || Encoding::from_tokens(vec![Token::new(0, String::new(), (0, 0))], 0);
    let ids = |processor: Option<&PostProcessorWrapper>, pair: bool| {
        let second = pair.then(text);
        processor
            .and_then(|processor| processor.process(text(), second, true).ok())
            .map(|whole| whole.get_ids().to_vec())
    };
    [false, true].into_iter().all(|pair| ids(own.as_ref(), pair) == ids(tokenizer.get_post_processor(), pair))
}

/// The first few of a list, and how many there are.
fn shortened(list: &[String]) -> String {
    const SHOWN: usize = 5;
    match list.len() {
        few if few <= SHOWN => list.join(", "),
        many => format!("{} and {} more", list[..SHOWN].join(", "), many - SHOWN),
    }
}
