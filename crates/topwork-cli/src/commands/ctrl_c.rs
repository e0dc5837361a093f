//! What `tune` and `pretrain` have in common: they train, can be interrupted and go on, and leave a directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::ArgMatches;
use serde::Serialize;
use topwork::error::Error;
use topwork::plan::recipe::Said;
use topwork::run::output_directory::OutputDirectory;
use topwork::run::{Outcome, RunContext};

use crate::Ended;
use crate::progress::Progress;

/// Before anything is read: nobody wants to wait for a download to learn that the directory is taken.
pub(crate) fn check_output(output: Option<&Said<PathBuf>>, matches: &ArgMatches) -> Result<(), Error> {
    match output {
        Some(output) if !matches.contains_id("resume") => OutputDirectory::check(&output.value),
        // Where none is named, the run finds one that is free.
        Some(_) | None => Ok(()),
    }
}

/// Runs until the end or until Ctrl-C, and shows what came of it.
pub(crate) fn carry_out<R: Serialize>(
    command: &str,
    matches: &ArgMatches,
    context: RunContext<'_>,
    mut progress: Progress,
    run: impl FnOnce(&RunContext<'_>, &mut Progress) -> Result<Outcome<R>, Error>,
    show: impl FnOnce(&mut dyn Write, &Path, &R) -> std::io::Result<()>,
) -> anyhow::Result<Ended> {
    let outcome = run(&context, &mut progress);
    progress.clear();
    let mut out = std::io::stdout().lock();
    match outcome? {
        Outcome::Finished { results, .. } if matches.get_flag("json") => {
            serde_json::to_writer_pretty(&mut out, &results)?;
            writeln!(out)?;
            Ok(Ended::Done)
        }
        Outcome::Finished { output_dir, results } => {
            show(&mut out, &output_dir, &results)?;
            Ok(Ended::Done)
        }
        Outcome::Interrupted { output_dir, step, total_steps } => {
            let directory = output_dir.display();
            match step {
                0 => writeln!(std::io::stderr(), "interrupted before the first step; the plan is in {directory}")?,
                _ => writeln!(
                    std::io::stderr(),
                    "interrupted after step {step} of {total_steps}; its state is in {directory}"
                )?,
            }
            writeln!(std::io::stderr(), "go on with: topwork {command} --resume '{directory}'")?;
            Ok(Ended::Interrupted)
        }
    }
}

/// The first Ctrl-C ends the run after its step; the second ends the process.
pub(crate) fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
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
