//! What the keys of a BERT checkpoint mean.
//!
//! Parameters bear the names of `BertForSequenceClassification`, and are written under them; older and headless
//! checkpoints spell the same parameters in other ways.

use crate::families::KeyRule;

const BUFFER: &str = "a buffer, not a parameter";
const PRETRAINING_HEAD: &str = "a pre-training head, not used for classification";
const ANSWER_HEAD: &str = "a question-answering head, not used for classification";

/// The rule for a key of a checkpoint. A name that is one already stays as it is.
pub fn translate(key: &str) -> KeyRule {
    let inner = key.strip_prefix("bert.").unwrap_or(key);
    match inner.split('.').next() {
        Some("embeddings") if inner == "embeddings.position_ids" || inner == "embeddings.token_type_ids" => {
            KeyRule::Ignored(BUFFER)
        }
        Some("embeddings" | "encoder" | "pooler") => KeyRule::Parameter(format!("bert.{}", modern(inner))),
        _ if inner != key => KeyRule::Unknown,
        Some("classifier") => KeyRule::Parameter(key.to_string()),
        Some("cls") if key.starts_with("cls.predictions.") || key.starts_with("cls.seq_relationship.") => {
            KeyRule::Ignored(PRETRAINING_HEAD)
        }
        Some("qa_outputs") => KeyRule::Ignored(ANSWER_HEAD),
        _ => KeyRule::Unknown,
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
