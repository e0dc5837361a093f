//! Which model: the scores of the candidates, as a part of a page.

use std::fmt::Write;

use serde_json::Value;
use topwork::advise::Advice;
use topwork::advise::transferability::{Baselines, Candidate, Of};
use topwork_metrics::Metric;

use crate::metric_text::{capitalised, text};
use crate::page::{Column, Table, escaped};

/// What was measured of each model.
pub(crate) fn models(page: &mut String, advice: &Advice) {
    page.push_str("<h2>Which model</h2>\n");
    match &advice.transferability.baselines {
        Some(baselines) => by_scores(page, advice, baselines),
        None => by_metric(page, advice),
    }
}

/// Models of a task without classes: what a linear head reaches on each, where the task has one.
fn by_metric(page: &mut String, advice: &Advice) {
    let found = &advice.transferability;
    let metric = found.ranked_by.and_then(|name| Metric::find(name, &Metric::ALL).ok());
    let mut columns = vec![Column::text("model")];
    match metric {
        Some(metric) => {
            let _ = writeln!(
                page,
                "<p>Models are ranked by {} of a linear head. The head reads what the model says, and the model stays as it is. \
                 The head is scored on rows that it was not fitted to. The better of its two values counts. Whether this \
                 order holds after fine-tuning was not measured.</p>",
                metric.label()
            );
            let label = capitalised(metric.label());
            columns.extend([
                Column::number(format!("{label}, mean of all layers")),
                Column::number(format!("{label}, last layer as the output layer reads it")),
            ]);
        }
        None if found.candidates.len() > 1 => {
            page.push_str("<p>The models are not ranked. The first one that can be used is taken.</p>\n");
        }
        None => {}
    }
    columns.extend(["layers", "parameters"].map(Column::number));
    let mut table = Table::new("The models", columns);
    for candidate in &found.candidates {
        let shown = |metric: Metric, value: Option<f64>| value.map_or("–".to_string(), |value| text(metric, value));
        let mut row = vec![escaped(&candidate.model)];
        if let Some(metric) = metric {
            let pooled = candidate.by_layer.last().and_then(|layer| layer.scores.get(metric.name())?.as_f64());
            row.extend([shown(metric, candidate.score(metric.name(), Of::Mean)), shown(metric, pooled)]);
        }
        row.extend([candidate.num_hidden_layers.to_string(), format!("{:.1} M", candidate.parameters as f64 / 1e6)]);
        table.row(row);
    }
    page.push_str(&table.html());
}

fn by_scores(page: &mut String, advice: &Advice, baselines: &Baselines) {
    page.push_str("<p>* at its best layer; the others of the mean of all layers. Ranked by probe*, PARC* and nearest rows.</p>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"models\"><table><thead><tr><th>model</th><th>probe</th><th>probe*</th><th>PARC*</th><th>nearest rows</th><th>LogME</th><th>H-score</th><th>layers</th><th>parameters</th></tr></thead><tbody>\n");
    for candidate in &advice.transferability.candidates {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{} %</td><td>{} %</td><td>{}</td><td>{} %</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1} M</td></tr>",
            escaped(&candidate.model),
            number(candidate.score("linear_probe", Of::Mean).map(|value| 100.0 * value), 1),
            number(candidate.score("linear_probe", Of::Best).map(|value| 100.0 * value), 1),
            number(candidate.score("parc", Of::Best), 1),
            number(candidate.score("knn", Of::Mean).map(|value| 100.0 * value), 1),
            number(candidate.score("logme", Of::Mean), 3),
            number(candidate.score("h_score", Of::Mean), 2),
            candidate.num_hidden_layers,
            candidate.parameters as f64 / 1e6
        );
    }
    for (name, value) in [
        ("random weights of that shape", baselines.random_weights),
        ("bag of words", baselines.bag_of_words),
        ("majority class", baselines.majority),
    ] {
        let _ = writeln!(
            page,
            "<tr><td>{name}</td><td>{:.1} %</td><td></td><td></td><td></td><td></td><td></td><td></td><td></td></tr>",
            100.0 * value
        );
    }
    page.push_str("</tbody></table></div>\n");
    if let Some(models) = advice.transferability.not_told_apart() {
        let _ = writeln!(page, "<p>* {}.</p>", escaped(&models));
    }
    if let Some(best) = advice.transferability.candidates.first() {
        by_layer(page, best);
    }
}

/// Every score of every layer.
fn by_layer(page: &mut String, best: &Candidate) {
    let _ = writeln!(
        page,
        "<h3>Layer by layer: {}</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"scores by layer\"><table><thead><tr><th>layer</th>",
        escaped(&best.model)
    );
    let names: Vec<&String> = best.by_layer.first().map(|layer| layer.scores.keys().collect()).unwrap_or_default();
    names.iter().for_each(|name| {
        let _ = write!(page, "<th>{}</th>", name.replace('_', " "));
    });
    page.push_str("</tr></thead><tbody>\n");
    for layer in &best.by_layer {
        let _ = write!(page, "<tr><td>{}</td>", layer.layer);
        for name in &names {
            let _ = write!(page, "<td>{}</td>", number(layer.scores.get(*name).and_then(Value::as_f64), 3));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_string(), |value| format!("{value:.digits$}"))
}
