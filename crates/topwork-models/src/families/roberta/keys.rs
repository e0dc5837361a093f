//! What the keys of RoBERTa's checkpoints mean; XLM-RoBERTa's and CamemBERT's have the same names.

use crate::families::{KeyRule, modern, reasons};
use crate::heads::HeadKind;

/// The rule for a key of a checkpoint. A name that is one already stays as it is.
pub(super) fn translate(key: &str, head: HeadKind) -> KeyRule {
    let inner = key.strip_prefix("roberta.").unwrap_or(key);
    match inner.split('.').next() {
        Some("embeddings") if inner == "embeddings.position_ids" || inner == "embeddings.token_type_ids" => {
            KeyRule::Ignored(reasons::BUFFER)
        }
        Some("embeddings" | "encoder") => KeyRule::Parameter(format!("roberta.{}", modern(inner))),
        Some("pooler") => match head {
            HeadKind::Pretraining { pooler: true, .. } => KeyRule::Parameter(format!("roberta.{inner}")),
            _ => KeyRule::Ignored(reasons::POOLER),
        },
        _ if inner != key => KeyRule::Unknown,
        Some("classifier") => classifier(key, head),
        Some("lm_head") => words(key, head),
        Some("qa_outputs") => KeyRule::Ignored(reasons::ANSWER_HEAD),
        _ => KeyRule::Unknown,
    }
}

/// `classifier` is one linear map for tokens, and two of them for sequences.
fn classifier(key: &str, head: HeadKind) -> KeyRule {
    let is_of_tokens = matches!(key, "classifier.weight" | "classifier.bias");
    let is_of_sequences = key.starts_with("classifier.dense.") || key.starts_with("classifier.out_proj.");
    match head {
        _ if !is_of_tokens && !is_of_sequences => KeyRule::Unknown,
        HeadKind::Sequence { .. } if is_of_sequences => KeyRule::Parameter(key.to_string()),
        HeadKind::Token { .. } if is_of_tokens => KeyRule::Parameter(key.to_string()),
        HeadKind::Pretraining { .. } => KeyRule::Ignored(reasons::CLASSIFIER),
        _ => KeyRule::Ignored(reasons::OTHER_CLASSIFIER),
    }
}

/// The head for words, whose decoder is the table of words; many checkpoints hold it twice.
fn words(key: &str, head: HeadKind) -> KeyRule {
    match (key, head) {
        (_, HeadKind::Sequence { .. } | HeadKind::Token { .. }) => KeyRule::Ignored(reasons::PRETRAINING_HEAD),
        ("lm_head.decoder.weight", _) => KeyRule::Repeats("roberta.embeddings.word_embeddings.weight".into()),
        ("lm_head.decoder.bias", _) => KeyRule::Repeats("lm_head.bias".into()),
        _ => KeyRule::Parameter(key.to_string()),
    }
}
