//! Pre-training's held-out scores against the tokens seen, drawn as an SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (900, 760);
const MLM: RGBColor = RGBColor(31, 119, 180);
const PAIRS: [RGBColor; 2] = [RGBColor(214, 100, 39), RGBColor(44, 140, 60)];
const COUNTED: RGBColor = RGBColor(120, 120, 120);

/// A line of a panel.
#[derive(Clone)]
struct Line {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws stages one after the other: the loss of hidden words beside what counting makes of the same questions, and the
/// accuracy of every objective.
pub(crate) fn draw(stages: &[Value], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let all = [lines(stages, "loss"), lines(stages, "accuracy")];
    let tokens = all[0].iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
    let (upper, lower) = root.split_vertically(SIZE.1 / 2);
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let [losses, accuracies] = all;
    let losses: Vec<Line> = losses.into_iter().filter(|line| line.name.starts_with("masked")).collect();
    let losses: Vec<Line> = losses.into_iter().chain(counted(stages, "loss")).collect();
    panel(&upper, "Held-out loss, nats", tokens, &losses).map_err(|error| failed(&error))?;
    let accuracies: Vec<Line> = accuracies.into_iter().chain(counted(stages, "accuracy")).collect();
    let percent: Vec<Line> = accuracies
        .into_iter()
        .map(|line| Line { points: line.points.iter().map(|(x, y)| (*x, 100.0 * y)).collect(), ..line })
        .collect();
    panel(&lower, "Held-out accuracy, %", tokens, &percent).map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))?;
    Ok(())
}

/// Millions of tokens at which each stage begins, and at which the last one ends.
fn bounds(stages: &[Value]) -> Vec<f64> {
    let mut bounds = vec![0.0];
    for stage in stages {
        let points = stage["curve"].as_array().into_iter().flatten();
        let seen = points.filter_map(|point| point["tokens"].as_f64()).fold(0.0, f64::max) / 1e6;
        bounds.push(bounds[bounds.len() - 1] + seen);
    }
    bounds
}

/// The curve of each objective in each stage.
fn lines(stages: &[Value], what: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for ((number, stage), start) in (1..).zip(stages).zip(bounds(stages)) {
        let mut own: Vec<(&str, Line)> = Vec::new();
        for point in stage["curve"].as_array().into_iter().flatten() {
            let (Some(name), Some(tokens), Some(y)) =
                (point["objective"].as_str(), point["tokens"].as_f64(), point[what].as_f64())
            else {
                continue;
            };
            let at = own.iter().position(|(objective, _)| *objective == name).unwrap_or_else(|| {
                let (label, color) = match name {
                    "mlm" => (format!("masked words, stage {number}"), MLM),
                    "nsp" => (format!("next sentence, one of 2, stage {number}"), PAIRS[0]),
                    other => (format!("{other}, stage {number}"), PAIRS[1]),
                };
                own.push((name, Line { name: label, color, points: Vec::new() }));
                own.len() - 1
            });
            own[at].1.points.push((start + tokens / 1e6, y));
        }
        lines.extend(own.into_iter().map(|(_, line)| line));
    }
    lines
}

/// What counting makes of each stage's questions.
fn counted(stages: &[Value], what: &str) -> Vec<Line> {
    let bounds = bounds(stages);
    let mut lines = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let (start, end) = (bounds[number], bounds[number + 1]);
        for baseline in stage["baselines"].as_array().into_iter().flatten() {
            let (Some(name), Some(y)) = (baseline["objective"].as_str(), baseline[what].as_f64()) else { continue };
            let name = format!("{name} model{}", if number == 0 { "" } else { ", later stage" });
            lines.push(Line { name, color: COUNTED, points: vec![(start, y), (end, y)] });
        }
    }
    lines
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    tokens: f64,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..tokens * 1.32, 0.0..highest * 1.08)?;
    chart.configure_mesh().x_desc("tokens seen, millions").light_line_style(TRANSPARENT).draw()?;
    // A name stands where its line ends; two that would overlap are moved apart.
    let mut names: Vec<(f64, &Line)> =
        lines.iter().filter_map(|line| line.points.last().map(|point| (point.1, line))).collect();
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let least = highest * 1.08 / 20.0;
    let mut below = f64::NEG_INFINITY;
    for line in lines {
        chart.draw_series(LineSeries::new(line.points.iter().copied(), line.color.stroke_width(2)))?;
    }
    let ends_last = |line: &Line| line.points.last().is_some_and(|point| point.0 > tokens * 0.97);
    for (y, line) in names {
        let at = if ends_last(line) { y.max(below + least) } else { y };
        if ends_last(line) {
            below = at;
        }
        let end = line.points.last().map_or(0.0, |point| point.0);
        let style = ("sans-serif", 13).into_font().color(&line.color);
        chart.draw_series([Text::new(line.name.clone(), (end + tokens * 0.01, at + least * 0.4), style)])?;
    }
    Ok(())
}
