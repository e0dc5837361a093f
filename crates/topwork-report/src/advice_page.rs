//! What was found before a run, as a page: one file that needs nothing else, for light and dark screens, paper and phones.

use std::fmt::Write;

use plotters::prelude::*;
use topwork::advise::Advice;
use topwork::advise::depth::Depth;
use topwork::fit::range_test::RangeTest;
use topwork::tasks::TASKS;
use topwork_metrics::Metric;

use crate::applicable::reasons;
use crate::page::{escaped, excerpt};
use crate::phrases::{length_of, part_of, task_of, texts_of};
use crate::{advice_models, audit_tables};

/// Letters of a text.
const LETTERS: usize = 200;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --good: #2a7d3f; --bar: #3a7bd5 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap }
th:first-child, td:first-child, td.text, th.text, caption { text-align: left }
tbody th { font-weight: 400 }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 8rem }
td:last-child.text { min-width: 14rem }
.wide { overflow-x: auto }
.taken { font-weight: 600; color: var(--good) }
figure { margin: 0; background: #fff; padding: .5rem }
svg { max-width: 100%; height: auto; display: block }
meter { width: 8rem }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .75rem }
@media print { body { max-width: none } }
";

/// The page of what was found before a run.
pub fn advice_page(advice: &Advice) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Advice</title>\n\
         <style>{STYLE}</style></head>\n<body><main>\n<h1>Before training</h1>\n"
    );
    summary(&mut page, advice);
    advice_models::models(&mut page, advice);
    similarity(&mut page, advice);
    settings(&mut page, advice);
    audit_tables::data(&mut page, &advice.audit);
    left_out(&mut page, advice);
    if let Some(recipe) = &advice.recipe {
        page.push_str("<h2>Recipe</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"recipe\"><table><thead><tr><th>option</th><th class=\"text\">value</th><th class=\"text\">chosen by</th></tr></thead><tbody>\n");
        for value in &recipe.values {
            let _ = writeln!(
                page,
                "<tr><td><code>{}</code></td><td class=\"text\">{}</td><td class=\"text\">{}</td></tr>",
                value.key,
                escaped(&value.value),
                escaped(&value.reason)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
    let _ = writeln!(page, "<p>topwork {}, {:.1} s</p>\n</main></body></html>", advice.topwork_version, advice.seconds);
    page
}

fn summary(page: &mut String, advice: &Advice) {
    let _ = writeln!(page, "<p>Task: {}.</p>", escaped(&task_of(advice.task)));
    if !advice.audit.recognised_by.is_empty() {
        let _ = writeln!(page, "<p>It was recognised by the data: {}.</p>", escaped(&advice.audit.recognised_by));
    }
    let _ = writeln!(page, "<p>{} rows, {} looked at.</p>", advice.rows, advice.rows_looked_at);
    if let (None, Some(seconds)) = (&advice.expectation, advice.tune_seconds) {
        let _ = writeln!(
            page,
            "<p><code>topwork tune</code> takes about {seconds:.0} s without comparisons. No score is foretold.</p>"
        );
    }
    if let Some(expectation) = &advice.expectation {
        let expected = match expectation.interval {
            Some((low, high)) => format!(
                "<strong>Expected accuracy {:.1} %</strong> ({:.1} to {:.1} % in four of five cases), in",
                100.0 * expectation.accuracy,
                100.0 * low,
                100.0 * high
            ),
            None => "Done in".to_string(),
        };
        let _ = writeln!(
            page,
            "<p>{expected} about {:.0} s. {}.</p>\n<p>From {}.</p>",
            expectation.seconds,
            escaped(&expectation.sentence),
            escaped(&expectation.from)
        );
    }
    for failure in &advice.failures {
        let _ = writeln!(page, "<p>Left out: {}: {}</p>", escaped(&failure.model), escaped(&failure.error));
    }
}

fn similarity(page: &mut String, advice: &Advice) {
    let panel = &advice.similarity;
    let _ = writeln!(
        page,
        "<h2>How near</h2>\n<p>Compared with {}{}. Floor: two halves of it; ceiling: these texts enciphered.</p>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"nearness\"><table><thead><tr><th>measure</th><th>value</th><th>interval</th><th>floor</th><th>ceiling</th><th>near … far</th><th class=\"text\">note</th></tr></thead><tbody>",
        escaped(&panel.source),
        texts_of(panel)
    );
    let number = |value: Option<f64>| value.map_or("–".to_string(), |value| format!("{value:.3}"));
    for measure in &panel.measures {
        let interval = measure.interval.map_or("–".to_string(), |(low, high)| format!("{low:.3} to {high:.3}"));
        let place = measure.place.map_or("–".to_string(), |place| {
            format!("<meter min=\"0\" max=\"1\" value=\"{place:.2}\" aria-label=\"place between floor and ceiling\">{place:.2}</meter>")
        });
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{:.3}</td><td>{interval}</td><td>{}</td><td>{}</td><td>{place}</td><td class=\"text\">{}</td></tr>",
            measure.name.replace('_', " "),
            measure.value,
            number(measure.floor),
            number(measure.ceiling),
            escaped(&measure.note)
        );
    }
    page.push_str("</tbody></table></div>\n");
    for missing in &panel.missing {
        let _ = writeln!(page, "<p>Not measured: {}.</p>", escaped(missing));
    }
    if !panel.least_covered.is_empty() {
        page.push_str("<h3>Rows farthest from it</h3>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"rows farthest from the source\"><table><thead><tr><th>line</th><th>radii</th><th class=\"text\">text</th></tr></thead><tbody>\n");
        for row in &panel.least_covered {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{:.2}</td><td class=\"text\">{}</td></tr>",
                row.line,
                row.distance,
                excerpt(&row.text, LETTERS)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
}

fn settings(page: &mut String, advice: &Advice) {
    if let Some(method) = &advice.method {
        let (name, why) = (method.name, escaped(&method.why));
        let _ = writeln!(page, "<h2>Method</h2>\n<p>Taken: {name}, with its own length and rate; {why}.</p>");
    }
    let Some(found) = &advice.learning_rate else { return };
    let _ = writeln!(
        page,
        "<h2>Depth, length and learning rate</h2>\n<p>Taken: {} (freeze {}, {}, rate {:.1e}); {}.</p>",
        escaped(&found.setting.from),
        found.setting.freeze_layers,
        length_of(found.setting.num_train_epochs),
        found.setting.learning_rate,
        escaped(&found.why)
    );
    if let Some(depth) = &advice.depth {
        let _ = writeln!(page, "<p>Proposed: {} frozen layers; {}.</p>", depth.freeze_layers, escaped(&depth.why));
        depths(page, &depth.considered, found.setting.freeze_layers);
    }
    if let Some(length) = &advice.length {
        let _ = writeln!(page, "<p>Proposed: {}; {}.</p>", length_of(length.num_train_epochs), escaped(&length.why));
    }
    if let Some(race) = &found.race {
        page.push_str("<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"settings\"><table><thead><tr><th>setting</th><th>frozen layers</th><th>length</th><th>learning rate</th><th>accuracy held out, by round</th></tr></thead><tbody>\n");
        for (place, entrant) in race.entrants.iter().enumerate() {
            let rounds: Vec<String> = entrant
                .rounds
                .iter()
                .map(|round| format!("{:.1} % of {}", 100.0 * round.accuracy, round.rows))
                .collect();
            let class = if place == race.winner { " class=\"taken\"" } else { "" };
            let _ = writeln!(
                page,
                "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{:.1e}</td><td>{}</td></tr>",
                escaped(&entrant.from),
                entrant.freeze_layers,
                length_of(entrant.num_train_epochs),
                entrant.learning_rate,
                rounds.join(", ")
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
    let suggestion = |rate: Option<f64>| rate.map_or("none".to_string(), |rate| format!("{rate:.1e}"));
    let test = &found.range_test;
    let _ = writeln!(
        page,
        "<h3>Range test</h3>\n<p>With {} frozen layers: valley {}, steepest {}, a tenth of the minimum {}.</p>\n<figure>{}</figure>",
        found.tested_freeze_layers,
        suggestion(test.valley),
        suggestion(test.steepest),
        suggestion(test.minimum_tenth),
        // A curve that cannot be drawn is in the numbers all the same.
        range_curve(test, loss_of(advice.task)).unwrap_or_else(|| "no curve".to_string())
    );
}

/// What does not apply to the task.
fn left_out(page: &mut String, advice: &Advice) {
    let parts = advice.not_applicable.iter().map(|(part, why)| (part_of(part), why.as_str()));
    let body = reasons("These parts of the advice do not apply to", advice.task, parts);
    if !body.is_empty() {
        let _ = write!(page, "<h2 id=\"left-out\">Left out</h2>\n{body}");
    }
}

/// What was known of each depth.
fn depths(page: &mut String, considered: &[Depth], taken: usize) {
    if considered.is_empty() {
        return;
    }
    page.push_str("<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"depths\"><table><thead><tr><th>frozen layers</th><th>probe on what they say</th><th>of the layers is tuned</th><th>cost of a step</th></tr></thead><tbody>\n");
    for depth in considered {
        let class = if depth.freeze_layers == taken { " class=\"taken\"" } else { "" };
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td>{:.1} %</td><td>{:.0} %</td><td>{:.0} %</td></tr>",
            depth.freeze_layers,
            100.0 * depth.probe,
            100.0 * depth.tuned,
            100.0 * depth.step
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// The name of a task's loss, with its unit: that of numbers, which is of squares, has none.
fn loss_of(task: &str) -> &'static str {
    let mut tasks = TASKS.iter().filter_map(|own| own.supervised);
    let is_of_numbers = tasks.any(|own| own.name() == task && own.metrics().contains(&Metric::Rmse));
    if is_of_numbers { "loss" } else { "loss, nats" }
}

/// The loss over the learning rate, as SVG.
fn range_curve(test: &RangeTest, loss: &str) -> Option<String> {
    let (first, last) = (test.curve.first()?, test.curve.last()?);
    let low = test.curve.iter().map(|step| step.smoothed).fold(f64::INFINITY, f64::min);
    let high = test.curve.iter().map(|step| step.smoothed).fold(0.0, f64::max).min(2.0 * first.smoothed.max(low));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 300)).into_drawing_area();
        let rates = (first.learning_rate..last.learning_rate * 1.000_001).log_scale();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(rates, 0.98 * low..1.02 * high.max(low + 1e-6))
            .ok()?;
        chart
            .configure_mesh()
            .x_desc("learning rate")
            .y_desc(format!("smoothed {loss}"))
            .x_label_formatter(&|rate| format!("{rate:.0e}"))
            .light_line_style(TRANSPARENT)
            .draw()
            .ok()?;
        let points = test.curve.iter().map(|step| (step.learning_rate, step.smoothed.min(1.02 * high)));
        chart.draw_series(LineSeries::new(points, &BLUE)).ok()?;
        area.present().ok()?;
    }
    // A namespace is an address, but nothing is fetched; within a page it is not needed.
    Some(svg.replace(" xmlns=\"http://www.w3.org/2000/svg\"", " role=\"img\" aria-label=\"loss over learning rate\""))
}
