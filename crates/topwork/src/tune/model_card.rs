//! `README.md` of a result: a model card with the metadata that the hub reads.

use std::fmt::Write;

use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::Pooling;

use crate::run::model_card::{Base, quoted};
use crate::session::inputs::Inputs;
use crate::tune::results::Results;

/// The model card.
pub(crate) fn model_card(inputs: &Inputs, results: &Results) -> String {
    let plan = &inputs.plan;
    let base = &plan.model_name_or_path.value;
    let folder = plan.output_dir.value.file_name();
    let title = folder.map_or_else(|| "classifier".to_string(), |name| name.to_string_lossy().into_owned());
    let judged = [("test", &results.test), ("validation", &results.validation)];
    let judged = judged.into_iter().find_map(|(name, scores)| Some((name, scores.as_ref()?)));
    let pipeline = inputs.task.pipeline_tag();
    let mut card = format!("---\nlibrary_name: transformers\npipeline_tag: {pipeline}\n");
    let base = Base::of(base);
    if base.is_on_hub {
        let _ = writeln!(card, "base_model: {}", quoted(&base.name));
    }
    let base = base.name;
    let _ = write!(card, "tags:\n- topwork\n- {pipeline}\nmetrics:\n");
    for metric in inputs.task.metrics().iter().filter(|metric| **metric != Metric::Loss) {
        let _ = writeln!(card, "- {}", hub_name(*metric));
    }
    if let Some((split, scores)) = judged {
        let _ = write!(
            card,
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: {pipeline}\n    dataset:\n      \
             name: {}\n      type: local\n      split: {split}\n    metrics:\n",
            quoted(&title),
            quoted(&file_name(inputs, split)),
        );
        // A metric without a value, such as a correlation with equal numbers, is left out.
        let of_metrics = scores.scores.iter().filter(|(metric, value)| *metric != Metric::Loss && value.is_finite());
        for (metric, value) in of_metrics {
            let _ = writeln!(card, "    - type: {}\n      value: {value:.6}", hub_name(metric));
        }
    }
    let _ = write!(card, "---\n\n# {title}\n\n");
    let _ =
        writeln!(card, "{}, fine-tuned from `{base}` with topwork {}.\n", what_it_is(inputs), results.topwork_version);
    if let Some(choice) = &results.floor_choice {
        let _ = writeln!(card, "Kept: {}.\n", choice.sentence);
    }
    let metrics: Vec<Metric> = results.train.scores.iter().map(|(metric, _)| metric).collect();
    let heads: String = metrics.iter().map(|metric| format!(" {} |", metric.label())).collect();
    let _ = writeln!(card, "| rows |{heads}\n|---|{}", "---|".repeat(metrics.len()));
    let splits =
        [("train", Some(&results.train)), ("validation", results.validation.as_ref()), ("test", results.test.as_ref())];
    for (name, scores) in splits.into_iter().filter_map(|(name, scores)| Some((name, scores?))) {
        let shown = |value: f64| if value.is_finite() { format!(" {value:.4} |") } else { " no value |".to_string() };
        let values: String = metrics.iter().map(|metric| shown(scores.value(*metric))).collect();
        let _ = writeln!(card, "| {name} ({}) |{values}", scores.rows);
    }
    for (part, why) in &results.not_applicable {
        let _ = write!(card, "\nNot applicable: {part}: {why}.");
    }
    if !results.not_applicable.is_empty() {
        card.push('\n');
    }
    if inputs.plan.pooling.value != Pooling::FirstToken {
        let _ = writeln!(
            card,
            "\nThe head reads the mean of all tokens. The last layer, which was not trained, computes it, so that the first token's \
             output, which `transformers` reads, is that mean."
        );
    }
    if inputs.config.has_fewer_layers() {
        let [all, kept] =
            [inputs.config.whole(), &inputs.config].map(|config| config.encoder().sizes().num_hidden_layers);
        let _ = writeln!(card, "\nOf the {all} layers of the pretrained model, the lowest {kept} are kept.");
    }
    let _ = write!(card, "\n## Labels\n\n");
    for (id, label) in inputs.labels().iter().enumerate() {
        let _ = writeln!(card, "- {id}: {}", label.replace(['\n', '\r'], " "));
    }
    let _ = write!(
        card,
        "\n## Training\n\n{} steps on {} rows ({} tokens), learning rate {}, batches of {} rows, seed {}. Every setting, \
         with its origin and its reason, is in `plan.toml`; `topwork tune --recipe plan.toml --output DIR` repeats the run. \
         What was measured is in `all_results.json`.\n",
        results.steps,
        inputs.train.len(),
        results.tokens,
        plan.learning_rate.value,
        plan.rows_per_step(),
        results.seed,
    );
    for leaked in &results.leaks {
        let _ = writeln!(card, "\nLeaked rows, which judge nothing: {}.", leaked.sentence);
    }
    if let Some(found) = &results.pseudo_labels {
        let _ = writeln!(card, "\nBesides these rows, {}.", found.sentence);
    }
    let _ = write!(
        card,
        "\n## Use\n\n```python\nfrom transformers import pipeline\nmodel = pipeline(\"{pipeline}\", model=\"{title}\"{})\n```\n",
        use_options(inputs.task.kind())
    );
    card
}

/// What the model is, in words.
fn what_it_is(inputs: &Inputs) -> String {
    let outputs = inputs.labels().len();
    match inputs.task.kind() {
        TargetKind::Class => format!("A text classifier with {outputs} classes"),
        TargetKind::Labels => format!("A text classifier with {outputs} labels, any number of which may apply"),
        TargetKind::Value if outputs == 1 => "A model that predicts a number for each text".to_string(),
        TargetKind::Value => format!("A model that predicts {outputs} numbers for each text"),
        TargetKind::TokenTags => format!("A tagger of words with {outputs} tags"),
    }
}

/// What a pipeline of `transformers` needs to be told.
fn use_options(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Class => "",
        TargetKind::Labels => ", top_k=None",
        TargetKind::Value => ", function_to_apply=\"none\"",
        TargetKind::TokenTags => ", aggregation_strategy=\"simple\"",
    }
}

/// The name of a metric on the hub.
fn hub_name(metric: Metric) -> &'static str {
    match metric {
        Metric::MacroF1 | Metric::EntityF1 => "f1",
        Metric::Mcc => "matthews_correlation",
        other => other.name(),
    }
}

fn file_name(inputs: &Inputs, split: &str) -> String {
    let file = match split {
        "test" => inputs.plan.test_file.value.as_deref(),
        _ => inputs.plan.validation_file.value.as_deref(),
    };
    let name = file.unwrap_or(&inputs.plan.train_file.value).file_name();
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
