//! What the keys of a BERT checkpoint mean.
//!
//! Parameters bear the names of `BertForSequenceClassification`, and are written under them; older and headless
//! checkpoints spell the same parameters in other ways.

use crate::families::{Head, KeyRule};

const BUFFER: &str = "a buffer, not a parameter";
const PRETRAINING_HEAD: &str = "a pre-training head, not used for classification";
const PAIR_HEAD: &str = "the head for pairs of passages, not used without an objective for pairs";
const CLASSIFIER: &str = "a classifier, not used in pre-training";
const ANSWER_HEAD: &str = "a question-answering head, not used here";

/// The rule for a key of a checkpoint. A name that is one already stays as it is.
pub fn translate(key: &str, head: Head) -> KeyRule {
    let inner = key.strip_prefix("bert.").unwrap_or(key);
    match inner.split('.').next() {
        Some("embeddings") if inner == "embeddings.position_ids" || inner == "embeddings.token_type_ids" => {
            KeyRule::Ignored(BUFFER)
        }
        Some("embeddings" | "encoder" | "pooler") => KeyRule::Parameter(format!("bert.{}", modern(inner))),
        _ if inner != key => KeyRule::Unknown,
        Some("classifier") => match head {
            Head::Classification { .. } => KeyRule::Parameter(key.to_string()),
            Head::Pretraining { .. } => KeyRule::Ignored(CLASSIFIER),
        },
        Some("cls") => pretraining(key, head),
        Some("qa_outputs") => KeyRule::Ignored(ANSWER_HEAD),
        _ => KeyRule::Unknown,
    }
}

/// The keys of the heads of pre-training. The decoder is the table of the words, and old checkpoints hold it twice.
fn pretraining(key: &str, head: Head) -> KeyRule {
    let is_pair = key.starts_with("cls.seq_relationship.");
    match (key, head) {
        _ if !is_pair && !key.starts_with("cls.predictions.") => KeyRule::Unknown,
        (_, Head::Classification { .. }) => KeyRule::Ignored(PRETRAINING_HEAD),
        ("cls.predictions.decoder.weight", _) => KeyRule::Repeats("bert.embeddings.word_embeddings.weight".into()),
        ("cls.predictions.decoder.bias", _) => KeyRule::Repeats("cls.predictions.bias".into()),
        (_, Head::Pretraining { pairs: false, .. }) if is_pair => KeyRule::Ignored(PAIR_HEAD),
        _ => KeyRule::Parameter(modern(key)),
    }
}

/// TensorFlow's names of a layer norm's parameters, in PyTorch's words.
fn modern(key: &str) -> String {
    if let Some(prefix) = key.strip_suffix("LayerNorm.gamma") {
        format!("{prefix}LayerNorm.weight")
    } else if let Some(prefix) = key.strip_suffix("LayerNorm.beta") {
        format!("{prefix}LayerNorm.bias")
    } else {
        key.to_string()
    }
}
