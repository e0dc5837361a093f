//! Curves as SVG that takes its colours from the page: what is drawn here in the colours of a light page, `style.css` gives
//! other ones, and dashes, by those colours.

use std::fmt::Write;
use std::ops::Range;

use plotters::coord::combinators::LogCoord;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::page::{Table, folded, short, without_tags};

/// Units of a pixel of a small screen: what is drawn stands on whole units, and curves should not have stairs.
const UNITS: i32 = 4;
/// Small enough that a phone shows letters that can be read.
const SIZE: (u32, u32) = (440 * UNITS as u32, 290 * UNITS as u32);
/// Room for names at the ends of curves.
const NAMES_WIDTH: i32 = 92 * UNITS;
/// Letters.
const FONT: (&str, i32) = ("sans-serif", 16 * UNITS);
/// Names at the ends of curves are so far apart.
const NAME_HEIGHT: i32 = 15 * UNITS;
/// The axis of steps with its numbers and its name.
const X_AXIS: i32 = 48 * UNITS;
/// The axis of values.
const Y_AXIS: i32 = 66 * UNITS;
/// Points of a curve at most.
const POINTS: usize = 400;
/// Curves with fewer points show each.
const FEW_POINTS: usize = 40;

const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
const AXIS: RGBColor = RGBColor(0x88, 0x88, 0x88);
/// A curve that others are compared with.
const FAINT: RGBColor = RGBColor(0x99, 0x99, 0x99);
/// After Okabe and Ito, without what cannot be seen on white; each has its own dash.
const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xB0, 0x5A, 0x8C),
    RGBColor(0x8A, 0x6D, 0x00),
    RGBColor(0x44, 0x44, 0x44),
];
/// From the lowest layer to the highest.
const LAYERS: [RGBColor; 6] = [
    RGBColor(0x1A, 0x93, 0x85),
    RGBColor(0x1B, 0x7C, 0xA0),
    RGBColor(0x2B, 0x66, 0xB8),
    RGBColor(0x41, 0x4F, 0xB0),
    RGBColor(0x50, 0x36, 0x98),
    RGBColor(0x4D, 0x1A, 0x6E),
];

/// What a curve stands for, which decides its colour and its dash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tone {
    /// One of several things.
    Series(usize),
    /// How far up a layer lies, from 0 to 1.
    Layer(f64),
    /// What others are compared with, in a line of that width.
    Faint(u32),
}

impl Tone {
    fn color(self) -> RGBColor {
        match self {
            Self::Series(nth) => SERIES[nth % SERIES.len()],
            Self::Layer(height) => LAYERS[((height * 5.0).round().max(0.0) as usize).min(5)],
            Self::Faint(_) => FAINT,
        }
    }
}

/// A curve.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// HTML.
    pub(crate) name: String,
    pub(crate) tone: Tone,
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether a line joins the points.
    pub(crate) is_joined: bool,
}

impl Curve {
    /// A curve without what is no number, thinned to what can be seen.
    pub(crate) fn new(name: impl Into<String>, tone: Tone, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points: Vec<(f64, f64)> = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        Self { name: name.into(), tone, points: thinned(&points), is_joined: true }
    }

    /// Where it begins and ends, in words.
    fn course(&self) -> Option<String> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let name = &self.name;
        Some(match self.points.len() {
            1 => format!("{name} {}", short(first.1)),
            number if !self.is_joined => format!("{name}, {number} points"),
            _ => format!("{name} from {} to {}", short(first.1), short(last.1)),
        })
    }
}

/// How names are given to curves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Names {
    /// Below the picture.
    Below,
    /// At the ends of the curves.
    AtEnds,
}

/// A picture of curves.
pub(crate) struct Chart {
    /// Text.
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// The bounds of the values; as the curves have them without.
    pub(crate) y_range: Option<Range<f64>>,
    pub(crate) is_log: bool,
    pub(crate) names: Names,
    pub(crate) curves: Vec<Curve>,
    /// HTML under the picture.
    pub(crate) note: String,
    /// The numbers.
    pub(crate) numbers: Option<Table>,
}

impl Chart {
    /// A picture with names below.
    pub(crate) fn new(title: impl Into<String>, x: &'static str, y: &'static str, curves: Vec<Curve>) -> Self {
        let (names, note) = (Names::Below, String::new());
        Self { title: title.into(), x, y, y_range: None, is_log: false, names, curves, note, numbers: None }
    }

    /// The picture with its title, its key and its numbers; nothing where there is nothing to draw.
    pub(crate) fn figure(mut self) -> String {
        if self.is_log {
            self.curves.iter_mut().for_each(|curve| curve.points.retain(|(_, y)| *y > 0.0));
        }
        self.curves.retain(|curve| !curve.points.is_empty());
        let Some(svg) = self.svg() else { return String::new() };
        let key: String = match self.names {
            Names::Below => self.curves.iter().map(Curve::key).collect(),
            Names::AtEnds => String::new(),
        };
        let mut caption = String::new();
        if !key.is_empty() {
            let _ = write!(caption, "<span class=keys>{key}</span>");
        }
        if !self.note.is_empty() {
            let _ = write!(caption, "<span class=note>{}</span>", self.note);
        }
        let caption = if caption.is_empty() { String::new() } else { format!("<figcaption>{caption}</figcaption>\n") };
        let numbers = self.numbers.as_ref().map_or(String::new(), |numbers| folded("The numbers", &numbers.html()));
        format!("<figure>\n<h3>{}</h3>\n{svg}{caption}{numbers}</figure>\n", self.title)
    }

    fn svg(&self) -> Option<String> {
        let x = self.x_range()?;
        let y = self.y_range.clone().or_else(|| self.values())?;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            match self.is_log {
                true => self.draw(&area, x, LogCoord::from((y.start..y.end).log_scale())),
                false => self.draw(&area, x, RangedCoordf64::from(y)),
            }?;
            area.present().ok()?;
        }
        // A namespace is an address, but nothing is fetched; within a page it is not needed. The page decides the size.
        let (width, height) = SIZE;
        let opening = format!(
            "width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\""
        );
        let said = format!("role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\"", self.said());
        Some(svg.replacen(&opening, &said, 1).replace(" opacity=\"1\"", "").replace(" \"/>", "\"/>"))
    }

    /// What the picture shows, in words, for an attribute.
    fn said(&self) -> String {
        let courses: Vec<String> = self.curves.iter().filter_map(Curve::course).collect();
        let scale = if self.is_log { ", on a logarithmic scale" } else { "" };
        // Names of runs are marked up.
        without_tags(&format!("{}: {} by {}{scale}. {}.", self.title, self.y, self.x, courses.join("; ")))
    }

    fn draw<Y>(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, x: Range<f64>, y: Y) -> Option<()>
    where
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let right = if self.names == Names::AtEnds { NAMES_WIDTH } else { 16 * UNITS };
        let mut chart = ChartBuilder::on(area)
            .margin_top(8 * UNITS)
            .margin_left(0)
            .margin_right(right)
            .margin_bottom(2 * UNITS)
            .x_label_area_size(X_AXIS)
            .y_label_area_size(Y_AXIS)
            .build_cartesian_2d(x, y)
            .ok()?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(6)
            .y_labels(6)
            .label_style(FONT)
            .axis_desc_style(FONT)
            .axis_style(AXIS.stroke_width(UNITS as u32))
            .set_all_tick_mark_size(4 * UNITS)
            .bold_line_style(GRID.stroke_width(UNITS as u32))
            .light_line_style(TRANSPARENT)
            .disable_x_mesh()
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|value| tick(*value))
            .draw()
            .ok()?;
        let mut ends = Vec::new();
        for curve in &self.curves {
            let color = curve.tone.color();
            let width = if let Tone::Faint(width) = curve.tone { width } else { 2 } * UNITS as u32;
            if curve.is_joined {
                let line = LineSeries::new(curve.points.iter().copied(), color.stroke_width(width));
                chart.draw_series(line).ok()?;
            }
            if curve.points.len() <= FEW_POINTS && !matches!(curve.tone, Tone::Faint(_)) && self.names == Names::Below {
                let marks = curve.points.iter().map(|point| Circle::new(*point, 3 * UNITS, color.filled()));
                chart.draw_series(marks).ok()?;
            }
            if let Some(last) = curve.points.last() {
                ends.push((chart.plotting_area().map_coordinate(last), curve));
            }
        }
        match self.names {
            Names::AtEnds => name_ends(area, ends),
            Names::Below => Some(()),
        }
    }

    fn x_range(&self) -> Option<Range<f64>> {
        let all = || self.curves.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x);
        let (low, high) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
        // Time begins at 0, and so does a probability.
        let low = low.min(0.0);
        Some(low..if high > low { high } else { low + 1.0 })
    }

    /// The bounds of all values; from 0 where the scale is not logarithmic.
    fn values(&self) -> Option<Range<f64>> {
        let all = || self.curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y);
        let (low, high) = (all().reduce(f64::min)?, all().reduce(f64::max)?);
        match self.is_log {
            true => Some(low / 1.3..1.3 * high),
            false if high <= low.min(0.0) => Some(low.min(0.0)..1.0),
            false => Some(low.min(0.0)..1.05 * high),
        }
    }
}

impl Curve {
    /// Its colour and dash beside its name.
    fn key(&self) -> String {
        let RGBColor(red, green, blue) = self.tone.color();
        let color = format!("#{red:02X}{green:02X}{blue:02X}");
        format!(
            "<span class=key><svg viewBox=\"0 0 120 40\" aria-hidden=\"true\"><polyline points=\"0,20 120,20\" fill=\"none\" \
             stroke=\"{color}\" stroke-width=\"12\"/></svg> {}</span> ",
            self.name
        )
    }
}

/// Writes names at the ends of curves, moved apart where ends lie close.
fn name_ends(area: &DrawingArea<SVGBackend<'_>, Shift>, mut ends: Vec<((i32, i32), &Curve)>) -> Option<()> {
    ends.sort_by_key(|((_, y), _)| *y);
    let height = SIZE.1 as i32 - X_AXIS;
    // With more curves than names have room for, every so manieth is named.
    let every = (ends.len() as i32 * NAME_HEIGHT / height + 1).max(1) as usize;
    let mut named: Vec<((i32, i32), &Curve)> = ends.into_iter().step_by(every).collect();
    let mut lowest = 8 * UNITS;
    for ((_, y), _) in &mut named {
        *y = (*y).max(lowest);
        lowest = *y + NAME_HEIGHT;
    }
    let mut highest = height;
    for ((_, y), _) in named.iter_mut().rev() {
        *y = (*y).min(highest);
        highest = *y - NAME_HEIGHT;
    }
    for ((x, y), curve) in named {
        let color = curve.tone.color();
        let style = TextStyle::from(FONT).color(&color).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(curve.name.clone(), (x + 5 * UNITS, y), style)).ok()?;
    }
    Some(())
}

/// A number beside an axis.
fn tick(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if size < 1e-12 => "0".to_string(),
        size if !(1e-2..1e5).contains(&size) => format!("{value:.1e}").replace(".0e", "e"),
        _ => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    }
}

/// At most [`POINTS`] points: the means of as many parts.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let part = |nth: usize| &points[nth * points.len() / POINTS..(nth + 1) * points.len() / POINTS];
    let mean = |part: &[(f64, f64)]| {
        let sum = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    (0..POINTS).map(|nth| mean(part(nth))).collect()
}

/// Each value as the mean of those around it, about a twentieth of all.
pub(crate) fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    let mut sums = vec![0.0];
    for (_, y) in points {
        sums.push(sums[sums.len() - 1] + y);
    }
    let mean = |at: usize| {
        // As far to the left as to the right, so that an end does not lag.
        let reach = reach.min(at).min(points.len() - 1 - at);
        (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1) as f64
    };
    points.iter().enumerate().map(|(at, (x, _))| (*x, mean(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_and_keep_their_course() {
        let points = (0..100_000).map(|step| (f64::from(step), if step == 7 { f64::NAN } else { f64::from(step) }));
        let curve = Curve::new("loss", Tone::Series(0), points);
        assert_eq!(curve.points.len(), POINTS);
        assert!(curve.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
    }

    #[test]
    fn smoothing_keeps_what_is_straight() {
        let points: Vec<(f64, f64)> = (0..200).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        for (before, after) in points.iter().zip(smoothed(&points)) {
            assert!((before.1 - after.1).abs() < 1e-9, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_picture_names_what_it_shows_and_fetches_nothing() {
        for is_log in [false, true] {
            let curves = vec![Curve::new("loss", Tone::Series(0), [(0.0, 1.0), (1.0, 0.1)])];
            let chart = Chart { is_log, ..Chart::new("Loss", "step", "nats", curves) };
            let figure = chart.figure();
            assert!(figure.contains("role=\"img\" aria-label=\"Loss: nats by step"), "{figure}");
            assert!(figure.contains("loss from 1.00 to 0.100") && !figure.contains("http"), "{figure}");
        }
        let nothing = Chart::new("Loss", "step", "nats", vec![Curve::new("loss", Tone::Faint(1), [(0.0, f64::NAN)])]);
        assert_eq!(nothing.figure(), "");
    }
}
