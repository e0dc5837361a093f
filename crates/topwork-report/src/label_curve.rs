//! The score against the number of labels, as a page.

use topwork::judge::curve::{Curve as LabelCurve, CurvePoint};
use topwork_metrics::Metric;

use crate::metrics::{capitalised, text};
use crate::page::{Column, Section, Table, count, escaped, page, percent};
use crate::pictures::{Chart, Curve, Tone};

/// What a curve is told by.
const METRIC: Metric = Metric::Accuracy;

/// The page of `topwork curve`.
pub fn curve_page(curve: &LabelCurve) -> String {
    let header = format!(
        "<h1>What labels buy</h1>\n<p>{}</p>\n<p>{}, scored on {} {} rows; the most frequent class has {}.</p>",
        escaped(&curve.sentence),
        escaped(&curve.model),
        count(curve.rows_scored),
        escaped(&curve.split),
        percent(curve.majority)
    );
    let sections = [Section { id: "curve", title: "The score by labels", body: picture(curve) }];
    let footer = format!("<p>topwork {}, {:.0} s</p>", escaped(&curve.topwork_version), curve.seconds);
    page("What labels buy", &header, &sections, &footer)
}

fn picture(curve: &LabelCurve) -> String {
    let series = curve.contenders.iter().enumerate().map(|(nth, contender)| {
        let points = contender.points.iter().map(|point| ((point.rows as f64).log2(), 100.0 * point.accuracy.mean));
        Curve::new(escaped(&contender.name), Tone::Series(nth), points)
    });
    let axis = "Labelled rows, as a power of two";
    let title = format!("{} by the number of labels", capitalised(METRIC.label()));
    let mut chart = Chart::new(title, axis, "per cent", series.collect());
    let mut columns = vec![Column::number("Labels")];
    columns.extend(curve.contenders.iter().map(|contender| Column::number(escaped(&contender.name))));
    let mut table = Table::new(
        format!("{}, mean over draws of rows, with the interval of the mean", capitalised(METRIC.label())),
        columns,
    );
    let sizes = curve.contenders.first().map_or(&[][..], |contender| &contender.points);
    for (place, size) in sizes.iter().enumerate() {
        let cells = curve.contenders.iter().map(|contender| contender.points.get(place).map_or(String::new(), cell));
        table.row(std::iter::once(count(size.rows)).chain(cells));
    }
    chart.y_range = Some(0.0..100.0);
    chart.figure() + &table.html()
}

fn cell(point: &CurvePoint) -> String {
    let mean = text(METRIC, point.accuracy.mean);
    match point.accuracy.interval {
        Some((low, high)) => format!("{mean} ({} to {})", percent(low.max(0.0)), percent(high.min(1.0))),
        None => mean,
    }
}
