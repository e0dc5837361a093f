//! What the keys of DistilBERT's checkpoints mean.

use crate::families::{KeyRule, modern, reasons};
use crate::heads::HeadKind;

/// The rule for a key of a checkpoint. A name that is one already stays as it is.
pub(super) fn translate(key: &str, head: HeadKind) -> KeyRule {
    let inner = key.strip_prefix("distilbert.").unwrap_or(key);
    match inner.split('.').next() {
        Some("embeddings") if inner == "embeddings.position_ids" => KeyRule::Ignored(reasons::BUFFER),
        Some("embeddings" | "transformer") => KeyRule::Parameter(format!("distilbert.{}", modern(inner))),
        _ if inner != key => KeyRule::Unknown,
        Some("pre_classifier") => match head {
            HeadKind::Sequence { .. } => KeyRule::Parameter(key.to_string()),
            HeadKind::Token { .. } => KeyRule::Ignored(reasons::OTHER_CLASSIFIER),
            HeadKind::Pretraining { .. } => KeyRule::Ignored(reasons::CLASSIFIER),
        },
        Some("classifier") => match head {
            HeadKind::Pretraining { .. } => KeyRule::Ignored(reasons::CLASSIFIER),
            _ => KeyRule::Parameter(key.to_string()),
        },
        Some("vocab_transform" | "vocab_layer_norm" | "vocab_projector") => match head {
            HeadKind::Sequence { .. } | HeadKind::Token { .. } => KeyRule::Ignored(reasons::PRETRAINING_HEAD),
            // The decoder is the table of words, and most checkpoints hold it twice.
            HeadKind::Pretraining { .. } if key == "vocab_projector.weight" => {
                KeyRule::Repeats("distilbert.embeddings.word_embeddings.weight".into())
            }
            HeadKind::Pretraining { .. } => KeyRule::Parameter(key.to_string()),
        },
        Some("qa_outputs") => KeyRule::Ignored(reasons::ANSWER_HEAD),
        _ => KeyRule::Unknown,
    }
}
