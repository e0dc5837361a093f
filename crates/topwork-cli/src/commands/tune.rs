//! `topwork tune`

use std::time::Instant;

use clap::ArgMatches;
use topwork::inputs::Inputs;
use topwork::tune::tune;
use topwork_models::HubSettings;

use super::run::{carry_out, check_output};
use crate::Ended;
use crate::arguments::recipe;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(matches: &ArgMatches, started: Instant) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    check_output(recipe.output_dir.as_ref(), matches)?;
    let mut progress = Progress::new();
    let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut progress)?;
    carry_out(
        "tune",
        matches,
        started,
        progress,
        |circumstances, progress| tune(&inputs, circumstances, progress),
        |out, output_dir, results| write!(out, "{}", table::results(output_dir, results)),
    )
}
