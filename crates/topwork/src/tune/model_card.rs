//! `README.md` of a result: a model card with the metadata that the hub reads.

use std::fmt::Write;

use crate::events::SplitScores;
use crate::run::model_card::{Base, quoted};
use crate::session::inputs::Inputs;
use crate::tune::results::Results;

/// The model card.
pub(crate) fn model_card(inputs: &Inputs, results: &Results) -> String {
    let plan = &inputs.plan;
    let base = &plan.model_name_or_path.value;
    let folder = plan.output_dir.value.file_name();
    let title = folder.map_or_else(|| "classifier".to_string(), |name| name.to_string_lossy().into_owned());
    let judged =
        results.test.map(|scores| ("test", scores)).or(results.validation.map(|scores| ("validation", scores)));
    let mut card = String::from("---\nlibrary_name: transformers\npipeline_tag: text-classification\n");
    let base = Base::of(base);
    if base.is_on_hub {
        let _ = writeln!(card, "base_model: {}", quoted(&base.name));
    }
    let base = base.name;
    card.push_str("tags:\n- topwork\n- text-classification\nmetrics:\n- accuracy\n- f1\n- matthews_correlation\n");
    if let Some((split, scores)) = judged {
        let _ = write!(
            card,
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: text-classification\n    dataset:\n      \
             name: {}\n      type: local\n      split: {split}\n    metrics:\n",
            quoted(&title),
            quoted(&file_name(inputs, split)),
        );
        let metrics = [("accuracy", scores.accuracy), ("f1", scores.macro_f1), ("matthews_correlation", scores.mcc)];
        for (name, value) in metrics {
            let _ = writeln!(card, "    - type: {name}\n      value: {value:.6}");
        }
    }
    let _ = write!(card, "---\n\n# {title}\n\n");
    let _ = writeln!(
        card,
        "A text classifier with {} classes, fine-tuned from `{base}` with topwork {}.\n",
        inputs.labels.len(),
        results.topwork_version
    );
    card.push_str("| rows | loss | accuracy | macro-F1 | MCC |\n|---|---|---|---|---|\n");
    let splits = [("train", Some(results.train)), ("validation", results.validation), ("test", results.test)];
    for (name, scores) in splits.into_iter().filter_map(|(name, scores)| Some((name, scores?))) {
        let SplitScores { rows, loss, accuracy, macro_f1, mcc } = scores;
        let _ = writeln!(card, "| {name} ({rows}) | {loss:.4} | {accuracy:.4} | {macro_f1:.4} | {mcc:.4} |");
    }
    let _ = write!(card, "\n## Labels\n\n");
    for (id, label) in inputs.labels.names().iter().enumerate() {
        let _ = writeln!(card, "- {id}: {}", label.replace(['\n', '\r'], " "));
    }
    let _ = write!(
        card,
        "\n## Training\n\n{} steps on {} rows ({} tokens), learning rate {}, batches of {} rows, seed {}. Every setting, \
         with its origin and its reason, is in `plan.toml`; `topwork tune --recipe plan.toml --output DIR` repeats the run. \
         What was measured is in `all_results.json`.\n",
        results.steps,
        inputs.train.labels.len(),
        results.tokens,
        plan.learning_rate.value,
        plan.rows_per_step(),
        results.seed,
    );
    let _ = write!(
        card,
        "\n## Use\n\n```python\nfrom transformers import pipeline\nclassify = pipeline(\"text-classification\", model=\"{title}\")\n```\n"
    );
    card
}

fn file_name(inputs: &Inputs, split: &str) -> String {
    let file = match split {
        "test" => inputs.plan.test_file.value.as_deref(),
        _ => inputs.plan.validation_file.value.as_deref(),
    };
    let name = file.unwrap_or(&inputs.plan.train_file.value).file_name();
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
