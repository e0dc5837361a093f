//! `topwork tune`

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use clap::ArgMatches;
use topwork::inputs::Inputs;
use topwork::output::OutputDirectory;
use topwork::plan_error::PlanError;
use topwork::run::{Circumstances, Outcome};
use topwork::tune::tune;
use topwork_models::HubSettings;

use crate::Ended;
use crate::arguments::recipe;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(matches: &ArgMatches, started: Instant) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let resume = matches.contains_id("resume");
    // Before anything is read: nobody wants to wait for a download to learn that the directory is taken.
    match &recipe.output_dir {
        Some(output) if !resume => OutputDirectory::check(&output.value)?,
        Some(_) => {}
        None => return Err(topwork::error::Error::from(PlanError::Missing { key: "output_dir" }).into()),
    }
    let mut progress = Progress::new();
    let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut progress)?;
    let interrupt = stop_on_interrupt()?;
    let circumstances = Circumstances { started, interrupt: &interrupt, resume };
    let outcome = tune(&inputs, &circumstances, &mut progress);
    progress.clear();
    let mut out = std::io::stdout().lock();
    match outcome? {
        Outcome::Finished { results, .. } if matches.get_flag("json") => {
            serde_json::to_writer_pretty(&mut out, &results)?;
            writeln!(out)?;
            Ok(Ended::Done)
        }
        Outcome::Finished { output_dir, results } => {
            write!(out, "{}", table::results(&output_dir, &results))?;
            Ok(Ended::Done)
        }
        Outcome::Interrupted { output_dir, step, total_steps } => {
            let directory = output_dir.display();
            writeln!(std::io::stderr(), "interrupted after step {step} of {total_steps}; its state is in {directory}")?;
            writeln!(std::io::stderr(), "go on with: topwork tune --resume '{directory}'")?;
            Ok(Ended::Interrupted)
        }
    }
}

/// The first Ctrl-C ends the run after its step; the second ends the process.
fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(crate::INTERRUPTED));
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(interrupt)
}
