//! What training leaves in the names of a checkpoint: prefixes of modules that held the model, and tensors that are no
//! parameters of it. Each is a rule with a name, and is said to the user.

use std::collections::BTreeMap;

/// What comes before the names of a model's tensors where another module holds it, and which module that is.
const PREFIXES: [(&str, &str); 8] = [
    ("module.", "training on several devices"),
    ("_orig_mod.", "compiling"),
    ("model.", "a trainer or a wrapping module"),
    ("0.auto_model.", "a pipeline of sentence-transformers"),
    ("auto_model.", "a pipeline of sentence-transformers"),
    ("encoder.", "a wrapping module"),
    ("backbone.", "a wrapping module"),
    ("net.", "a wrapping module"),
];
/// A prefix is one that nearly all tensors have: at most one in so many is not the model's.
const STRANGERS: usize = 10;
/// The table of words is in every model of ours, and in no part of one that bears a prefix as its own name.
const WORDS: &str = "word_embeddings.";

/// Tensors that belong to training, by how their names begin, and why they are left out.
const LEFTOVERS: [(&str, &str); 9] = [
    ("loss_fct.", OF_LOSS),
    ("loss_fn.", OF_LOSS),
    ("loss_func.", OF_LOSS),
    ("loss.", OF_LOSS),
    ("criterion.", OF_LOSS),
    ("class_weights", OF_LOSS),
    ("n_averaged", "a count of averaged models, left over from training"),
    ("optimizer.", "a state of the optimizer, left over from training"),
    ("ema_", "a running mean of training"),
];
const OF_LOSS: &str = "a part of the loss, left over from training";

/// Buffers by the last part of their names.
const BUFFERS: [&str; 3] = ["position_ids", "token_type_ids", "num_batches_tracked"];

/// Why a tensor that no rule of the family names is left out, where training is known to leave such.
pub(crate) fn leftover(key: &str) -> Option<&'static str> {
    if key.rsplit('.').next().is_some_and(|last| BUFFERS.contains(&last)) {
        return Some("a buffer, not a parameter");
    }
    LEFTOVERS.into_iter().find(|(beginning, _)| key.starts_with(beginning)).map(|(_, reason)| reason)
}

/// Leaves off each prefix that nearly all names have, one in another too, unless two tensors would have one name. What was
/// left off is said.
pub(crate) fn without_prefixes<T>(mut tensors: BTreeMap<String, T>) -> (BTreeMap<String, T>, Vec<String>) {
    let mut notes = Vec::new();
    while let Some((prefix, origin)) = PREFIXES.into_iter().find(|(prefix, _)| is_usual(&tensors, prefix)) {
        let mut count = 0;
        let stripped = tensors.into_iter().map(|(name, tensor)| match name.strip_prefix(prefix) {
            Some(inner) => {
                count += 1;
                (inner.to_string(), tensor)
            }
            None => (name, tensor),
        });
        tensors = stripped.collect();
        notes.push(format!("{prefix} is left off the names of {count} tensors (it comes from {origin})"));
    }
    (tensors, notes)
}

fn is_usual<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
    let strangers = tensors.keys().filter(|name| !name.starts_with(prefix) && leftover(name).is_none()).count();
    let stripped = |name: &str| name.strip_prefix(prefix).is_some_and(|inner| tensors.contains_key(inner));
    let mut words = tensors.keys().filter(|name| name.contains(WORDS)).peekable();
    words.peek().is_some()
        && words.all(|name| name.starts_with(prefix))
        && strangers * STRANGERS <= tensors.len()
        && !tensors.keys().any(|name| stripped(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(names: &[&str]) -> (Vec<String>, usize) {
        let tensors = names.iter().map(|name| (name.to_string(), ())).collect();
        let (tensors, notes) = without_prefixes(tensors);
        (tensors.into_keys().collect(), notes.len())
    }

    /// `encoder.` is the name of a part of some models, and a prefix of others.
    #[test]
    fn a_prefix_has_the_table_of_words_behind_it() {
        let mut bare = vec!["embeddings.word_embeddings.weight".to_string()];
        bare.extend((0..40).map(|layer| format!("encoder.layer.{layer}.weight")));
        bare.sort();
        let names: Vec<&str> = bare.iter().map(String::as_str).collect();
        assert_eq!(stripped(&names), (bare.clone(), 0));
        let held: Vec<String> = bare.iter().map(|name| format!("encoder.{name}")).collect();
        let names: Vec<&str> = held.iter().map(String::as_str).collect();
        assert_eq!(stripped(&names), (bare.clone(), 1));
        let deep: Vec<String> = bare.iter().map(|name| format!("module._orig_mod.net.{name}")).collect();
        let names: Vec<&str> = deep.iter().map(String::as_str).collect();
        assert_eq!(stripped(&names), (bare, 3));
    }

    #[test]
    fn leftovers_are_known_by_their_names() {
        for key in
            ["loss_fct.weight", "bert.embeddings.position_ids", "criterion.weight", "n_averaged", "class_weights"]
        {
            assert!(leftover(key).is_some(), "{key}");
        }
        for key in ["classifier.weight", "embeddings.position_embeddings.weight", "lossy.weight", "bert.unheard_of"] {
            assert_eq!(leftover(key), None, "{key}");
        }
    }
}
