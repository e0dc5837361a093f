//! What the keys of BERT's checkpoints mean. Models are written with the names of `transformers`; older and smaller
//! checkpoints spell the same parameters in other ways.

use crate::families::{KeyRule, modern, reasons};
use crate::heads::HeadKind;

/// The rule for a key of a checkpoint. A name that is one already stays as it is.
pub(super) fn translate(key: &str, head: HeadKind) -> KeyRule {
    let inner = key.strip_prefix("bert.").unwrap_or(key);
    match inner.split('.').next() {
        Some("embeddings") if inner == "embeddings.position_ids" || inner == "embeddings.token_type_ids" => {
            KeyRule::Ignored(reasons::BUFFER)
        }
        Some("pooler") if matches!(head, HeadKind::Token { .. } | HeadKind::Pretraining { pooler: false, .. }) => {
            KeyRule::Ignored(reasons::POOLER)
        }
        Some("embeddings" | "encoder" | "pooler") => KeyRule::Parameter(format!("bert.{}", modern(inner))),
        _ if inner != key => KeyRule::Unknown,
        Some("classifier") => match head {
            HeadKind::Pretraining { .. } => KeyRule::Ignored(reasons::CLASSIFIER),
            _ => KeyRule::Parameter(key.to_string()),
        },
        Some("cls") => pretraining(key, head),
        Some("qa_outputs") => KeyRule::Ignored(reasons::ANSWER_HEAD),
        _ => KeyRule::Unknown,
    }
}

/// The keys of the heads of pre-training. The decoder is the table of the words, and old checkpoints hold it twice.
fn pretraining(key: &str, head: HeadKind) -> KeyRule {
    let is_pair = key.starts_with("cls.seq_relationship.");
    match (key, head) {
        _ if !is_pair && !key.starts_with("cls.predictions.") => KeyRule::Unknown,
        (_, HeadKind::Sequence { .. } | HeadKind::Token { .. }) => KeyRule::Ignored(reasons::PRETRAINING_HEAD),
        ("cls.predictions.decoder.weight", _) => KeyRule::Repeats("bert.embeddings.word_embeddings.weight".into()),
        ("cls.predictions.decoder.bias", _) => KeyRule::Repeats("cls.predictions.bias".into()),
        (_, HeadKind::Pretraining { pairs: false, .. }) if is_pair => KeyRule::Ignored(reasons::PAIR_HEAD),
        _ => KeyRule::Parameter(modern(key)),
    }
}
