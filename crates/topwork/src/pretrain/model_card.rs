//! `README.md` of a pre-trained model.

use std::fmt::Write;

use super::inputs::PretrainInputs;
use super::results::PretrainResults;
use crate::run::model_card::{Base, quoted};

/// The model card.
pub(super) fn model_card(inputs: &PretrainInputs, results: &PretrainResults) -> String {
    let plan = &inputs.plan;
    let folder = plan.output_dir.value.file_name();
    let title = folder.map_or_else(|| "encoder".to_string(), |name| name.to_string_lossy().into_owned());
    // A head that no objective asked is no better than chance.
    let fills_masks = plan.objective.value.mlm.is_some();
    let task = if fills_masks { "fill-mask" } else { "feature-extraction" };
    let base = plan.model_name_or_path.value.as_deref().map(Base::of);
    let mut card = format!("---\nlibrary_name: transformers\npipeline_tag: {task}\n");
    if let Some(base) = base.as_ref().filter(|base| base.is_on_hub) {
        let _ = writeln!(card, "base_model: {}", quoted(&base.name));
    }
    let _ = write!(card, "tags:\n- topwork\n- {task}\n---\n\n# {title}\n\n");
    if plan.shuffle_pair_labels.value {
        card.push_str("A control, of no other use: the answers about pairs that it learnt from are random.\n\n");
    }
    let from = base.map_or(String::new(), |base| format!(", which went on from `{}`,", base.name));
    let _ = writeln!(
        card,
        "An encoder with {} layers of width {} and {} tokens{from} pre-trained with topwork {} on {} tokens of text, \
         {:.1} times through the corpus.\n",
        plan.num_hidden_layers.value,
        plan.hidden_size.value,
        plan.vocab_size.value,
        results.topwork_version,
        results.tokens,
        results.epochs,
    );
    card.push_str("| held-out objective | loss, nats | accuracy | questions |\n|---|---|---|---|\n");
    for scores in &results.held_out {
        let (objective, loss, accuracy) = (scores.objective, scores.loss, scores.accuracy);
        let _ = writeln!(card, "| {objective} | {loss:.4} | {accuracy:.4} | {} |", scores.questions);
    }
    card.push_str("\n## Corpus\n\n| file | documents | bytes |\n|---|---|---|\n");
    for source in inputs.corpus.sources() {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy().replace('|', "\\|");
        let _ = writeln!(card, "| {name} | {} | {} |", source.documents, source.bytes);
    }
    // A bare name might be that of the carried model, or an id on the hub.
    let _ = write!(
        card,
        "\nHashes, word counts and lengths are in `pretraining_profile.json`; every setting, with its origin and its reason, \
         is in `plan.toml`.\n\n## Use\n\n```\ntopwork tune train.csv --model ./{title} --output out\n```\n\n```python\n\
         from transformers import pipeline\nencoder = pipeline(\"{task}\", model=\"{title}\")\n```\n"
    );
    card
}
