//! `topwork curve`

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use topwork::error::Error;
use topwork::judge::curve::{Curve, CurveOptions, curve};
use topwork_models::HubSettings;

use super::advise::check_new;
use super::run::stop_on_interrupt;
use crate::Ended;
use crate::arguments::recipe;
use crate::progress::Progress;
use topwork_report::curve_page;

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
        write!(out, "{}", screen(&found))?;
        if let Some(path) = path {
            writeln!(out, "page: {}", path.display())?;
        }
    }
    Ok(Ended::Done)
}

/// One line a number of labels, and a bar for the best of each.
fn screen(found: &Curve) -> String {
    let mut text = format!("{:>7}", "labels");
    for contender in &found.contenders {
        let _ = write!(text, "{:>24}", contender.name);
    }
    text.push('\n');
    let sizes = found.contenders.first().map_or(&[][..], |contender| &contender.points);
    for (place, size) in sizes.iter().enumerate() {
        let _ = write!(text, "{:>7}", size.rows);
        for point in found.contenders.iter().filter_map(|contender| contender.points.get(place)) {
            let mean = 100.0 * point.accuracy.mean;
            let cell = match point.accuracy.interval {
                Some((low, high)) => format!("{mean:.1} ({:.1} to {:.1})", 100.0 * low, 100.0 * high),
                None => format!("{mean:.1} %"),
            };
            let _ = write!(text, "{cell:>24}");
        }
        text.push('\n');
    }
    // What draws no random numbers is measured once with all rows.
    let points = found.contenders.iter().flat_map(|contender| &contender.points);
    let draws = points.map(|point| point.accuracies.len()).max().unwrap_or(0);
    let interval =
        if draws > 1 { ", per cent; in brackets the 95 % interval of the mean" } else { "; one draw has no interval" };
    let _ = writeln!(
        text,
        "\naccuracy on {} {} rows, {draws} draws of rows each{interval}; the most frequent class has {:.1} %",
        found.rows_scored,
        found.split,
        100.0 * found.majority
    );
    let _ = writeln!(text, "{} ({:.0} s)", found.sentence, found.seconds);
    text
}
