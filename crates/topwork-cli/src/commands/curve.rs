//! `topwork curve`

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use topwork::error::Error;
use topwork::events::shown;
use topwork::judge::curve::{Curve, CurveOptions, CurvePoint, curve};
use topwork_metrics::Metric;
use topwork_models::HubSettings;
use topwork_report::curve_page;

use super::advise::check_new;
use super::ctrl_c::stop_on_interrupt;
use crate::Ended;
use crate::arguments::recipe;
use crate::progress::Progress;
use crate::screen_text::{harmless, left_out, task_line};

/// Draws of rows for each number, unless another number is said.
const SEEDS: usize = 3;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let path = matches.get_one::<PathBuf>("output");
    if let Some(path) = path {
        check_new(path, "--output OTHER.html")?;
    }
    let options = CurveOptions {
        sizes: matches.get_many::<u32>("sizes").into_iter().flatten().map(|rows| *rows as usize).collect(),
        seeds: recipe.seeds.as_ref().map_or(SEEDS, |said| said.value),
    };
    let mut progress = Progress::new();
    let interrupt = stop_on_interrupt()?;
    let found = curve(&recipe, &options, &HubSettings::from_env(), &mut progress, &interrupt);
    progress.clear();
    let Some(found) = found? else { return Ok(Ended::Interrupted) };
    if let Some(path) = path {
        std::fs::write(path, curve_page(&found)).map_err(|source| Error::write(path, source))?;
    }
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", screen(&found, path.is_some()))?;
        if let Some(path) = path {
            writeln!(out, "page: {}", path.display())?;
        }
    }
    Ok(Ended::Done)
}

/// One line a number of labels, and a bar for the best of each.
fn screen(found: &Curve, has_page: bool) -> String {
    let metric = found.metric;
    let mut text = task_line(&found.task, "");
    let _ = write!(text, "{:>7}", "labels");
    for contender in &found.contenders {
        let _ = write!(text, "{:>26}", contender.name);
    }
    text.push('\n');
    let sizes = found.contenders.first().map_or(&[][..], |contender| &contender.points);
    for (place, size) in sizes.iter().enumerate() {
        let _ = write!(text, "{:>7}", size.rows);
        for point in found.contenders.iter().filter_map(|contender| contender.points.get(place)) {
            let _ = write!(text, "{:>26}", cell(metric, point));
        }
        text.push('\n');
    }
    // What draws no random numbers is measured once with all rows.
    let points = found.contenders.iter().flat_map(|contender| &contender.points);
    let draws = points.map(|point| point.scores.len()).max().unwrap_or(0);
    let interval = match (draws > 1, metric.is_share()) {
        (true, true) => ", per cent; in brackets the 95 % interval of the mean",
        (true, false) => "; in brackets the 95 % interval of the mean",
        (false, _) => "; one draw has no interval",
    };
    let guess = found.majority.map_or(String::new(), |guess| {
        let who =
            if metric == Metric::Accuracy { "the most frequent class" } else { "a guess without reading the texts" };
        format!("; {who} has {}", shown(metric, guess))
    });
    let (label, drawn) = (metric.label(), if draws == 1 { "draw" } else { "draws" });
    let _ = writeln!(
        text,
        "\n{label} on {} {} rows, {draws} {drawn} of rows each{interval}{guess}",
        found.rows_scored, found.split,
    );
    let _ = writeln!(text, "{} ({:.0} s)", found.sentence, found.seconds);
    text.push_str(&left_out(found.not_applicable.iter().map(|(part, _)| part.as_str()), has_page, "curve"));
    harmless(&text)
}

/// A mean with its interval: of a share in per cent.
fn cell(metric: Metric, point: &CurvePoint) -> String {
    let mean = shown(metric, point.score.mean);
    let bound = |value: f64| shown(metric, value).trim_end_matches(" %").to_string();
    match point.score.interval {
        Some((low, high)) => format!("{} ({} to {})", mean.trim_end_matches(" %"), bound(low), bound(high)),
        None => mean,
    }
}
