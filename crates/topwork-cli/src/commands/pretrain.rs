//! `topwork pretrain`

use std::time::Instant;

use clap::ArgMatches;
use topwork::pretrain::inputs::PretrainInputs;
use topwork::pretrain::pretrain;
use topwork::run::RunContext;
use topwork_models::HubSettings;

use super::ctrl_c::{carry_out, check_output, stop_on_interrupt};
use crate::Ended;
use crate::arguments::pretrain_recipe;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(matches: &ArgMatches, started: Instant) -> anyhow::Result<Ended> {
    let recipe = pretrain_recipe(matches)?;
    check_output(recipe.output_dir.as_ref(), matches)?;
    let mut progress = Progress::new();
    let inputs = PretrainInputs::read(&recipe, &HubSettings::from_env(), &mut progress)?;
    let interrupt = stop_on_interrupt()?;
    carry_out(
        "pretrain",
        matches,
        RunContext { started, interrupt: &interrupt, resume: matches.contains_id("resume") },
        progress,
        |context, progress| pretrain(&inputs, context, progress),
        |out, output_dir, results| write!(out, "{}", table::pretraining(output_dir, results)),
    )
}
