//! Pre-training's held-out scores against the tokens seen, drawn as an SVG.

use std::error::Error;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (900, 720);
const COUNTED: RGBColor = RGBColor(120, 120, 120);
const COLORS: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(214, 100, 39)];
/// The part of the width that is left to the names of the lines.
const NAMES: f64 = 0.28;

/// A line of a panel: tokens in millions, and the score.
struct Line {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws the loss of hidden words beside what counting makes of the same questions, and the accuracy of every objective.
/// `measured` has the `curve` and the `baselines` of a run.
pub(crate) fn draw(measured: &Value, path: &Path) -> Result<()> {
    let draw = || -> Result<(), Box<dyn Error>> {
        let root = SVGBackend::new(path, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, lower) = root.split_vertically(SIZE.1 / 2);
        let is_of_words = |line: &Line| line.name == "mlm" || line.color == COUNTED;
        let losses: Vec<Line> = lines(measured, "loss", 1.0).into_iter().filter(is_of_words).collect();
        panel(&upper, "Held-out loss of hidden words, nats", &losses)?;
        panel(&lower, "Held-out accuracy, %", &lines(measured, "accuracy", 100.0))?;
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// The curve of each objective, and what counting makes of the questions as level lines.
fn lines(measured: &Value, what: &str, factor: f64) -> Vec<Line> {
    let list = |key: &str| measured[key].as_array().cloned().unwrap_or_default();
    let mut lines: Vec<Line> = Vec::new();
    for point in list("curve") {
        let (Some(name), Some(tokens), Some(score)) =
            (point["objective"].as_str(), point["tokens"].as_f64(), point[what].as_f64())
        else {
            continue;
        };
        let at = lines.iter().position(|line| line.name == name).unwrap_or_else(|| {
            lines.push(Line { name: name.to_string(), color: COLORS[lines.len() % 2], points: Vec::new() });
            lines.len() - 1
        });
        lines[at].points.push((tokens / 1e6, factor * score));
    }
    let end = furthest(&lines);
    for baseline in list("baselines") {
        if let (Some(name), Some(score)) = (baseline["objective"].as_str(), baseline[what].as_f64()) {
            let points = vec![(0.0, factor * score), (end, factor * score)];
            lines.push(Line { name: format!("{name} model"), color: COUNTED, points });
        }
    }
    lines
}

fn furthest(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max)
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let end = furthest(lines);
    let highest = 1.08 * lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..end / (1.0 - NAMES), 0.0..highest)?;
    chart.configure_mesh().x_desc("tokens seen, millions").light_line_style(TRANSPARENT).draw()?;
    for line in lines {
        chart.draw_series(LineSeries::new(line.points.iter().copied(), line.color.stroke_width(2)))?;
        let Some(&(x, y)) = line.points.last() else { continue };
        let style = ("sans-serif", 14).into_font().color(&line.color);
        chart.draw_series([Text::new(line.name.clone(), (x + 0.01 * end, y + 0.025 * highest), style)])?;
    }
    Ok(())
}
