//! How training went: losses, scores, the learning rate, and what each block did.

use topwork::events::BlockMotion;
use topwork::events::trace::{EvaluationTrace, Trace};
use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::Metric;

use crate::metric_text::{capitalised, loss_name, metrics_of, number, text};
use crate::page::{Column, Table, escaped, short};
use crate::pictures::{Chart, Curve, Names, Tone, smoothed};

/// Rows of a table of numbers beside a picture.
const ROWS: usize = 12;
/// Lower values are not drawn.
const LOWEST: f64 = -1.0;

/// The curves of a run.
pub(crate) fn curves(run: &RunDirectory) -> String {
    if run.trace.steps.is_empty() {
        return "<p>The record of the run holds no steps, so there are no curves.</p>\n".to_string();
    }
    let scored = along_the_way(run);
    let pictures = [loss(run, &scored), scores(&scored), learning_rate(&run.trace), gradient(&run.trace)];
    format!("<div class=pictures>\n{}</div>\n", pictures.concat())
}

/// The scorings of a run by step: each split once a step. Those at the end are of the weights that were kept, which stand at
/// their own step.
pub(crate) fn along_the_way(run: &RunDirectory) -> Vec<EvaluationTrace> {
    let all = &run.trace.evaluations;
    let at_the_end = all
        .len()
        .saturating_sub(1 + usize::from(run.results.validation.is_some()) + usize::from(run.results.test.is_some()));
    let mut scored: Vec<EvaluationTrace> = Vec::new();
    for (place, evaluation) in all.iter().enumerate() {
        let mut evaluation = evaluation.clone();
        if let Some(best) = run.results.best.as_ref().filter(|_| place >= at_the_end) {
            let epochs_per_step = evaluation.epoch / evaluation.step.max(1) as f64;
            evaluation.epoch = epochs_per_step * best.step as f64;
            evaluation.step = best.step;
        }
        if !scored.iter().any(|other| other.split == evaluation.split && other.step == evaluation.step) {
            scored.push(evaluation);
        }
    }
    scored.sort_by_key(|evaluation| evaluation.step);
    scored
}

/// A curve of a split.
pub(crate) fn curve_of(
    scored: &[EvaluationTrace],
    split: &str,
    name: &str,
    tone: Tone,
    value: impl Fn(&EvaluationTrace) -> f64,
) -> Curve {
    let of = scored.iter().filter(|evaluation| evaluation.split == split);
    Curve::new(name, tone, of.map(|evaluation| (evaluation.step as f64, value(evaluation))))
}

fn loss(run: &RunDirectory, scored: &[EvaluationTrace]) -> String {
    let steps: Vec<(f64, f64)> =
        run.trace.steps.iter().filter(|step| step.loss.is_finite()).map(|step| (step.step as f64, step.loss)).collect();
    let curves = vec![
        Curve::new("training steps, smoothed", Tone::Faint(2), smoothed(&steps)),
        curve_of(scored, "validation", "validation rows", Tone::Series(1), |scored| scored.loss()),
        curve_of(scored, "train", "training rows", Tone::Series(0), |scored| scored.loss()),
        curve_of(scored, "test", "test rows", Tone::Series(2), |scored| scored.loss()),
    ];
    let smoothing = run.value("label_smoothing_factor").and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
    let note = match smoothing > 0.0 {
        true => {
            "The loss of steps is with dropout and smoothed labels, so it lies higher than that of the same rows scored."
        }
        false => "The loss of steps is with dropout, so it may lie higher than that of the same rows scored.",
    };
    let metrics = metrics_of(scored.iter().map(|scored| &scored.scores));
    let mut columns =
        vec![Column::number("step"), Column::number("epoch"), Column::text("split"), Column::number("loss")];
    columns.extend(metrics.iter().map(|metric| Column::number(metric.label())));
    let mut numbers = Table::new("Scorings along the way", columns);
    for scored in thinned(scored, 4 * ROWS) {
        let cells =
            [scored.step.to_string(), format!("{:.2}", scored.epoch), escaped(&scored.split), number(scored.loss())];
        let value =
            |metric: &Metric| scored.scores.get(*metric).map_or("–".to_string(), |value| text(*metric, value));
        numbers.row(cells.into_iter().chain(metrics.iter().map(value)));
    }
    let mut chart = Chart::new("Loss", "step", loss_name(&run.results.train.scores), curves);
    chart.note = note.to_string();
    chart.numbers = Some(numbers);
    chart.figure()
}

/// The metrics of the task: those that are of the headline's kind in a picture, and errors, of which less is better, in another.
fn scores(scored: &[EvaluationTrace]) -> String {
    let metrics = metrics_of(scored.iter().map(|scored| &scored.scores));
    let Some(&headline) = metrics.first() else { return String::new() };
    let is_like = |metric: &Metric| {
        (metric.is_share(), metric.higher_is_better()) == (headline.is_share(), headline.higher_is_better())
    };
    let others: Vec<Metric> = metrics.iter().copied().filter(|metric| *metric != headline && is_like(metric)).collect();
    let errors: Vec<Metric> =
        metrics.iter().copied().filter(|metric| !metric.higher_is_better() && !is_like(metric)).collect();
    [picture(scored, headline, &others)]
        .into_iter()
        .chain(errors.split_first().map(|(first, others)| picture(scored, *first, others)))
        .collect()
}

/// A metric on every split that was scored, and others on validation rows.
fn picture(scored: &[EvaluationTrace], metric: Metric, others: &[Metric]) -> String {
    let curve = |split: &str, name: &str, tone, metric: Metric| {
        let scale = if metric.is_share() { 100.0 } else { 1.0 };
        // What explains less than nothing by far would flatten all else.
        let value = move |scored: &EvaluationTrace| {
            let value = scored.scores.get(metric).filter(|value| *value >= LOWEST);
            scale * value.unwrap_or(f64::NAN)
        };
        curve_of(scored, split, &format!("{}, {name}", metric.label()), tone, value)
    };
    let mut curves = vec![curve("validation", "validation", Tone::Series(1), metric)];
    let tones = (3..).map(Tone::Series);
    curves.extend(others.iter().zip(tones).map(|(other, tone)| curve("validation", "validation", tone, *other)));
    curves.push(curve("train", "training rows", Tone::Series(0), metric));
    curves.push(curve("test", "test", Tone::Series(2), metric));
    let y = if metric.is_share() { "per cent" } else { "value" };
    let mut chart = Chart::new(capitalised(metric.label()), "step", y, curves);
    chart.y_range = metric.is_share().then_some(0.0..100.0);
    chart.note = "Scored without dropout.".to_string();
    let is_left_out =
        |metric: &Metric| scored.iter().any(|scored| scored.scores.get(*metric).is_some_and(|value| value < LOWEST));
    if others.iter().chain([&metric]).any(is_left_out) {
        chart.note.push_str(" Values below −1 are in the table only.");
    }
    chart.figure()
}

fn learning_rate(trace: &Trace) -> String {
    let points = trace.steps.iter().map(|step| (step.step as f64, step.learning_rate));
    let curves = vec![Curve::new("highest learning rate", Tone::Series(0), points)];
    let mut numbers = Table::new(
        "Some of the steps",
        ["step", "epoch", "loss", "learning rate", "gradient norm"].map(Column::number).to_vec(),
    );
    for step in thinned(&trace.steps, ROWS) {
        numbers.row([
            step.step.to_string(),
            format!("{:.2}", step.epoch),
            short(step.loss),
            format!("{:.2e}", step.learning_rate),
            short(step.grad_norm),
        ]);
    }
    let mut chart = Chart::new("Learning rate", "step", "learning rate", curves);
    chart.numbers = Some(numbers);
    chart.figure()
}

fn gradient(trace: &Trace) -> String {
    let points: Vec<(f64, f64)> = trace
        .steps
        .iter()
        .filter(|step| step.grad_norm.is_finite())
        .map(|step| (step.step as f64, step.grad_norm))
        .collect();
    let curves = vec![
        Curve::new("each step", Tone::Faint(1), points.iter().copied()),
        Curve::new("smoothed", Tone::Series(0), smoothed(&points)),
    ];
    let mut chart = Chart::new("Gradient norm", "step", "norm before clipping", curves);
    chart.is_log = true;
    chart.figure()
}

/// What steps did with each block.
pub(crate) fn blocks(run: &RunDirectory) -> String {
    let Some(last) = run.trace.blocks.last() else {
        return "<p>The record of the run says nothing of gradients and updates block by block.</p>\n".to_string();
    };
    let names: Vec<&str> = last.blocks.iter().map(|motion| motion.block.as_str()).collect();
    let picture = |title, y, note: &str, value: fn(&BlockMotion) -> Option<f64>| {
        let curves = names.iter().enumerate().map(|(place, name)| {
            let looks = run.trace.blocks.iter().filter_map(|look| {
                let motion = look.blocks.iter().find(|motion| motion.block == *name)?;
                Some((look.step as f64, value(motion)?))
            });
            Curve::new(*name, tone(&names, place), looks)
        });
        let mut chart = Chart::new(title, "step", y, curves.collect());
        chart.is_log = true;
        chart.names = Names::AtEnds;
        chart.note = note.to_string();
        chart.numbers = Some(numbers(run, &names, title, value));
        chart.figure()
    };
    let pictures = [
        picture("Gradient norm by block", "norm", "Before clipping.", |motion| Some(motion.grad_norm)),
        picture(
            "Update by block",
            "step / weights",
            "How far a step moves the largest matrix of a block, as a part of its norm.",
            |motion| motion.update_ratio,
        ),
    ];
    format!("<div class=pictures>\n{}</div>\n", pictures.concat())
}

/// Layers by their height; what is below and above them in colours of its own.
fn tone(names: &[&str], place: usize) -> Tone {
    let layers: Vec<usize> = (0..names.len()).filter(|&place| names[place].starts_with("layer")).collect();
    match layers.iter().position(|&layer| layer == place) {
        Some(nth) => Tone::Layer(nth as f64 / (layers.len() - 1).max(1) as f64),
        None if names[place] == "head" => Tone::Series(1),
        None if names[place] == "embeddings" => Tone::Series(4),
        None => Tone::Series(3),
    }
}

fn numbers(run: &RunDirectory, names: &[&str], title: &str, value: fn(&BlockMotion) -> Option<f64>) -> Table {
    let looks = thinned(&run.trace.blocks, 5);
    let steps = looks.iter().map(|look| Column::number(format!("step {}", look.step)));
    let mut table = Table::new(title, [Column::text("block")].into_iter().chain(steps).collect());
    for name in names {
        let values = looks.iter().map(|look| {
            let motion = look.blocks.iter().find(|motion| motion.block == *name);
            motion.and_then(value).map_or("–".to_string(), short)
        });
        table.row([escaped(name)].into_iter().chain(values));
    }
    table
}

/// At most so many of them, at even distances, the first and the last among them.
fn thinned<T>(all: &[T], most: usize) -> Vec<&T> {
    if all.len() <= most {
        return all.iter().collect();
    }
    (0..most).map(|nth| &all[nth * (all.len() - 1) / (most - 1).max(1)]).collect()
}
