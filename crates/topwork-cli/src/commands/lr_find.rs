//! `topwork lr-find`

use std::io::Write;

use clap::ArgMatches;
use topwork::advise::find_learning_rate;
use topwork::fit::range_test::RangeOptions;
use topwork_models::HubSettings;

use crate::Ended;
use crate::advice_screen::range_screen;
use crate::arguments::recipe;
use crate::progress::Progress;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let usual = RangeOptions::default();
    let number = |name: &str, usual: f64| matches.get_one::<f64>(name).copied().unwrap_or(usual);
    let options = RangeOptions {
        start: number("start-lr", usual.start),
        end: number("end-lr", usual.end),
        steps: matches.get_one::<u32>("steps").map_or(usual.steps, |steps| *steps as usize),
    };
    let mut progress = Progress::new();
    let found = find_learning_rate(&recipe, &options, &HubSettings::from_env(), &mut progress);
    progress.clear();
    let (found, usual) = found?;
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", range_screen(&found, usual))?;
    }
    Ok(Ended::Done)
}
