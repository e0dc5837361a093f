//! The `topwork` command: arguments in, tables and JSON out. All work is done by the libraries.

mod advice_screen;
mod arguments;
mod audit_screen;
mod commands;
mod hint;
mod progress;
mod screen_text;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;
use tracing_subscriber::EnvFilter;

/// Ended by Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let started = Instant::now();
    let matches = arguments::command().get_matches();
    let filter = EnvFilter::try_from_env("TOPWORK_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    match run(&matches, started) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::InPart) => ExitCode::from(IN_PART),
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            show(&error);
            match error.downcast_ref() {
                Some(topwork::error::Error::Interrupted { .. }) => ExitCode::from(INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Some of what was asked for could not be done.
const IN_PART: u8 = 3;

/// How a command that did not fail ended.
enum Ended {
    Done,
    /// Some of what was asked for could not be done, and was reported.
    InPart,
    Interrupted,
}

fn run(matches: &ArgMatches, started: Instant) -> anyhow::Result<Ended> {
    match matches.subcommand() {
        Some(("tune", matches)) => commands::tune::run(matches, started),
        Some(("advise", matches)) => commands::advise::run(matches),
        Some(("audit", matches)) => commands::audit::run(matches),
        Some(("lr-find", matches)) => commands::lr_find::run(matches),
        Some(("pretrain", matches)) => commands::pretrain::run(matches, started),
        Some(("plan", matches)) => commands::plan::run(matches),
        Some(("predict", matches)) => commands::predict::run(matches),
        Some(("evaluate", matches)) => commands::evaluate::run(matches),
        Some(("curve", matches)) => commands::curve::run(matches),
        Some(("report", matches)) => commands::report::run(matches),
        Some(("tasks", matches)) => commands::lists::tasks(matches),
        Some(("families", matches)) => commands::lists::families(matches),
        _ => Ok(Ended::Done),
    }
}

/// The error on one line, and what to do about it on the next.
#[expect(clippy::print_stderr, reason = "this is where errors are shown")]
fn show(error: &anyhow::Error) {
    // Our own errors say what caused them; others leave it to those who show them.
    match error.downcast_ref::<topwork::error::Error>() {
        Some(own) => eprintln!("error: {own}"),
        None => eprintln!("error: {error:#}"),
    }
    if let Some(hint) = error.downcast_ref::<topwork::error::Error>().and_then(topwork::error::Error::hint) {
        eprintln!("hint: {}", hint::printed(&hint));
    }
}

/// Whoever read the output has had enough: `topwork predict … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(of_io))
}
