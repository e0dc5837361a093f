//! What `tune` and `pretrain` have in common: they train, can be interrupted and go on, and leave a directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::ArgMatches;
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
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

/// The first Ctrl-C, or SIGTERM, ends the run after its step; the second ends the process. So does the end of a terminal, unless that is
/// ignored, as under `nohup`.
pub(crate) fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let hangup = (!ignores_hangup()).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        // The first signal finds the flag unset.
        flag::register_conditional_shutdown(signal, i32::from(crate::INTERRUPTED), Arc::clone(&interrupt))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupt)))
            .context("cannot watch for Ctrl-C")?;
    }
    Ok(interrupt)
}

/// Whether the process was started with SIGHUP ignored, as far as the system says.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}
