//! Segments of a pair: `token_type_ids` of `transformers`, which gives them to the model only where the tokenizer's settings
//! or its class say so. Without them every token is of segment 0.

use serde_json::{Value, json};
use tokenizers::{PostProcessorWrapper, Tokenizer};

use super::scheme::FIXED_SEGMENTS;

/// Makes every token of segment 0.
pub(super) fn take_off(tokenizer: &mut Tokenizer) -> Result<(), serde_json::Error> {
    let Some(processor) = tokenizer.get_post_processor() else { return Ok(()) };
    let mut whole = serde_json::to_value(processor)?;
    if !flatten(&mut whole) {
        return Ok(());
    }
    tokenizer.with_post_processor(Some(serde_json::from_value::<PostProcessorWrapper>(whole)?));
    Ok(())
}

/// Says whether anything had another segment. RoBERTa's processor gives none, and a part that changes nothing but offsets
/// has no say.
pub(super) fn flatten(part: &mut Value) -> bool {
    match part["type"].as_str() {
        Some("Sequence") => {
            let parts = part["processors"].as_array_mut().into_iter().flatten();
            // Every part, not only the first that changes.
            parts.map(flatten).filter(|changed| *changed).count() > 0
        }
        Some(FIXED_SEGMENTS) => {
            *part = template(&part["cls"], &part["sep"]);
            true
        }
        Some("TemplateProcessing") => {
            let mut changed = false;
            for list in ["single", "pair"] {
                for piece in part[list].as_array_mut().into_iter().flatten() {
                    for value in piece.as_object_mut().into_iter().flat_map(|piece| piece.values_mut()) {
                        changed |= value["type_id"] != 0;
                        value["type_id"] = json!(0);
                    }
                }
            }
            changed
        }
        _ => false,
    }
}

/// BERT's processor, whose segments are fixed, as a template of one segment; a token is a pair of its text and its id.
fn template(cls: &Value, sep: &Value) -> Value {
    let token = |token: &Value| json!({ "SpecialToken": { "id": token[0], "type_id": 0 } });
    let sequence = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    let single = [token(cls), sequence("A"), token(sep)];
    let pair: Vec<Value> = single.iter().cloned().chain([sequence("B"), token(sep)]).collect();
    let mut special = serde_json::Map::new();
    for own in [cls, sep] {
        let text = own[0].as_str().unwrap_or_default();
        special.insert(text.to_string(), json!({ "id": text, "ids": [own[1]], "tokens": [text] }));
    }
    json!({ "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special })
}
