//! Whether the model is as often right as it is sure.

use std::fmt::Write;

use topwork::judge::calibration::{Calibration, Miscalibration};
use topwork::tasks::Part;
use topwork::tune::results::Results;

use crate::applicable::applies;
use crate::metric_text::{capitalised, number};
use crate::page::{Column, Table, count, escaped, percent};
use crate::pictures::{Chart, Curve, Tone};

/// Whether probabilities mean what they say; where that is not known, why. Nothing where there are no probabilities of classes.
pub(crate) fn confidence(results: &Results) -> String {
    let Some(calibration) = &results.calibration else {
        if !applies(results, Part::Calibration) {
            return String::new();
        }
        return "<p>No held-out rows have an answer, so nobody knows whether it is as often right as it is sure.</p>\n"
            .to_string();
    };
    let Calibration { split, before, bins, temperature, .. } = calibration;
    let sure = match calibration.is_too_sure() {
        Some(true) => "The model was too sure. ",
        Some(false) => "The model was not sure enough. ",
        None if temperature.is_some() => "The model was about as sure as it was right. ",
        None => "",
    };
    let kept = match temperature {
        Some(_) => " Logits are divided by the temperature, which is kept in <code>config.json</code>.",
        None => "",
    };
    let mut html = format!("<p>{sure}{}.{kept}</p>\n", escaped(&capitalised(&calibration.sentence())));
    let Some(before) = before else { return html };
    let after = temperature.as_ref().and_then(|temperature| temperature.after);
    let names: &[&str] = if after.is_some() { &["before", "after"] } else { &["value"] };
    let columns = [vec![Column::text("measure")], names.iter().map(|name| Column::number(*name)).collect()].concat();
    let mut table = Table::new(format!("On {} rows", escaped(split)), columns);
    let mut row = |name: &str, of: fn(&Miscalibration) -> String| {
        table.row([name.to_string(), of(before)].into_iter().chain(after.as_ref().map(of)));
    };
    row("expected calibration error", |measured| percent(measured.ece));
    row("loss, nats", |measured| number(measured.loss));
    row("Brier score", |measured| number(measured.brier));
    let mut numbers =
        Table::new("Answers by how sure the model is", ["sure", "right", "rows"].map(Column::number).to_vec());
    bins.iter().for_each(|bin| numbers.row([percent(bin.confidence), percent(bin.accuracy), count(bin.rows)]));
    let points = bins.iter().map(|bin| (100.0 * bin.confidence, 100.0 * bin.accuracy));
    let curves = vec![
        Curve::new("as sure as right", Tone::Faint(2), [(0.0, 0.0), (100.0, 100.0)]),
        Curve::new("this model, without a temperature", Tone::Series(0), points),
    ];
    let mut chart = Chart::new("How sure, how right", "sure, per cent", "right, per cent", curves);
    chart.y_range = Some(0.0..100.0);
    chart.note =
        "Above the line the model is less sure than it may be, below it surer. Bins with few rows are mostly chance."
            .to_string();
    chart.numbers = Some(numbers);
    let _ = write!(html, "{}<div class=pictures>\n{}</div>\n", table.html(), chart.figure());
    html
}
