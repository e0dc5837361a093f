//! `tokenizer_config.json` of a tokenizer that has none: what `transformers` needs beside `tokenizer.json`. Without a name
//! for the padding token it cannot fill up a batch, and without the names of the inputs it gives both texts of a pair the
//! same segment.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::{AddedToken, Tokenizer};

use super::settings::Settings;
use crate::config::ModelConfig;
use crate::error::ModelError;

/// The special tokens, and the names that they have in most vocabularies.
const ROLES: [(&str, [&str; 2]); 5] = [
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];
/// The beginning and the end of a text, which few tokenizers have. A vocabulary may hold the same as words.
const ENDS: [(&str, &str); 2] = [("bos_token", "<s>"), ("eos_token", "</s>")];

/// The content for a tokenizer whose `tokenizer.json` is all that is known of it. `directory` has the model's `config.json`,
/// and what names the special tokens.
pub(super) fn new_settings(directory: &Path, tokenizer: &Tokenizer, max_length: usize) -> Result<Value, ModelError> {
    let files = Settings::read(directory)?;
    let mut inputs = vec!["input_ids", "attention_mask"];
    if has_segments(directory, tokenizer) {
        inputs.insert(1, "token_type_ids");
    }
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": inputs,
    });
    let has = |name: &&str| tokenizer.token_to_id(name).is_some();
    let is_added = |name: &&str| tokenizer.get_added_vocabulary().get_vocab().contains_key(*name);
    let usual = ROLES.map(|(role, usual)| (role, usual.into_iter().find(has)));
    let ends = ENDS.map(|(role, usual)| (role, Some(usual).filter(is_added)));
    for (role, usual) in usual.into_iter().chain(ends) {
        if let Some(name) = files.named(role).filter(has).or(usual) {
            settings[role] = json!(name);
        }
    }
    Ok(settings)
}

/// Makes settings with which `tokenizer.json` is taken as it is, and those of its added tokens count.
pub(super) fn take_whole(settings: &mut Value, tokenizer: &Tokenizer) {
    settings["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    let pair = tokenizer.encode(("a", "a"), true);
    let inputs: &[&str] = match pair.is_ok_and(|pair| pair.get_type_ids().contains(&1)) {
        true => &["input_ids", "token_type_ids", "attention_mask"],
        false => &["input_ids", "attention_mask"],
    };
    settings["model_input_names"] = json!(inputs);
    let mut tokens: Vec<(u32, AddedToken)> =
        tokenizer.get_added_tokens_decoder().iter().map(|(id, token)| (*id, token.clone())).collect();
    tokens.sort_unstable_by_key(|(id, _)| *id);
    let flags = |token: AddedToken| {
        json!({ "content": token.content, "single_word": token.single_word, "lstrip": token.lstrip, "rstrip": token.rstrip,
                "normalized": token.normalized, "special": token.special })
    };
    settings["added_tokens_decoder"] = tokens.into_iter().map(|(id, token)| (id.to_string(), flags(token))).collect();
}

/// Whether the tokenizer tells the two texts of a pair apart, and the model of the directory, if there is one, does so too.
pub(super) fn has_segments(directory: &Path, tokenizer: &Tokenizer) -> bool {
    let pair = tokenizer.encode(("a", "a"), true);
    let model = ModelConfig::load(directory).ok().map(|config| config.encoder().sizes().type_vocab_size);
    pair.is_ok_and(|pair| pair.get_type_ids().contains(&1))
        && model.is_none_or(|types| types.is_some_and(|types| types > 1))
}
