//! The score against the number of labels, as a page.

use topwork::judge::curve::{Curve as LabelCurve, CurvePoint};
use topwork_metrics::Metric;

use crate::applicable::reasons;
use crate::metric_text::{bounds_text, capitalised, text};
use crate::page::{Column, Section, Table, count, escaped, page};
use crate::phrases::task_of;
use crate::pictures::{Chart, Curve, Tone};

/// The page of `topwork curve`.
pub fn curve_page(curve: &LabelCurve) -> String {
    let header = format!(
        "<h1>What labels buy</h1>\n<p>{}</p>\n<p>Task: {}. Score: {}.</p>\n<p>{}, scored on {} {} rows{}.</p>",
        escaped(&curve.sentence),
        escaped(&task_of(&curve.task)),
        curve.metric.label(),
        escaped(&curve.model),
        count(curve.rows_scored),
        escaped(&curve.split),
        curve.majority.map_or(String::new(), |guess| guessed(curve.metric, guess))
    );
    let parts = curve.not_applicable.iter().map(|(part, why)| (part.as_str(), why.as_str()));
    let left_out = reasons("These ways to answer do not apply to", &curve.task, parts);
    let sections = [
        Section { id: "curve", title: "The score by labels", body: picture(curve) },
        Section { id: "left-out", title: "Left out", body: left_out },
    ];
    let footer = format!("<p>topwork {}, {:.0} s</p>", escaped(&curve.topwork_version), curve.seconds);
    page("What labels buy", &header, &sections, &footer)
}

/// What is reached without reading the texts.
fn guessed(metric: Metric, guess: f64) -> String {
    let who = if metric == Metric::Accuracy { "the most frequent class" } else { "a guess without reading the texts" };
    format!("; {who} has {}", text(metric, guess))
}

fn picture(curve: &LabelCurve) -> String {
    let metric = curve.metric;
    let (unit, factor) = if metric.is_share() { ("per cent", 100.0) } else { (metric.label(), 1.0) };
    let series = curve.contenders.iter().enumerate().map(|(nth, contender)| {
        let points = contender.points.iter().map(|point| ((point.rows as f64).log2(), factor * point.score.mean));
        Curve::new(escaped(&contender.name), Tone::Series(nth), points)
    });
    let axis = "Labelled rows, as a power of two";
    let title = format!("{} by the number of labels", capitalised(metric.label()));
    let mut chart = Chart::new(title, axis, unit, series.collect());
    let mut columns = vec![Column::number("Labels")];
    columns.extend(curve.contenders.iter().map(|contender| Column::number(escaped(&contender.name))));
    let mut table = Table::new(
        format!("{}, mean over draws of rows, with the interval of the mean", capitalised(metric.label())),
        columns,
    );
    let sizes = curve.contenders.first().map_or(&[][..], |contender| &contender.points);
    for (place, size) in sizes.iter().enumerate() {
        let cell = |point: &CurvePoint| cell(metric, point);
        let cells = curve.contenders.iter().map(|contender| contender.points.get(place).map_or(String::new(), cell));
        table.row(std::iter::once(count(size.rows)).chain(cells));
    }
    chart.y_range = metric.is_share().then_some(0.0..100.0);
    chart.figure() + &table.html()
}

fn cell(metric: Metric, point: &CurvePoint) -> String {
    let mean = text(metric, point.score.mean);
    match point.score.interval {
        Some(interval) => format!("{mean} ({})", bounds_text(metric, interval)),
        None => mean,
    }
}
