//! Tokens that the settings beside a tokenizer add to it, as `transformers` does: each that it lacks gets the next id,
//! whatever id the files give it.

use tokenizers::Tokenizer;

use super::settings::{AddedToken, FurtherTokens, Settings};

/// Adds what the settings name and the tokenizer does not look for. A special token with a key of its own is added only
/// where others come after it: no text has it, and the model need not.
pub(super) fn add_further(tokenizer: &mut Tokenizer, settings: &Settings) -> Result<(), String> {
    let known = tokenizer.get_added_vocabulary().get_vocab().clone();
    let lacks = |token: &AddedToken| !known.contains_key(&token.content);
    let FurtherTokens { mut numbered, mut named, mut special } = settings.further_tokens()?;
    for tokens in [&mut numbered, &mut named, &mut special] {
        tokens.retain(lacks);
    }
    if special.is_empty() {
        named.clear();
    }
    let mut missing: Vec<AddedToken> = Vec::new();
    for token in numbered.into_iter().chain(named).chain(special) {
        if missing.iter().all(|first| first.content != token.content) {
            missing.push(token);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    tokenizer.add_tokens(missing.iter().map(AddedToken::built)).map_err(|error| error.to_string())?;
    Ok(())
}
