//! `topwork tune`

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::ArgMatches;
use topwork::advise::{Advice, AdviseOptions, advise};
use topwork::error::Error;
use topwork::plan::recipe::Recipe;
use topwork::run::{Outcome, RunContext};
use topwork::session::inputs::Inputs;
use topwork::tune::finished_run::ADVICE;
use topwork::tune::results::DIVERGED;
use topwork::tune::tune;
use topwork_models::{HubSettings, SEEDLING};

use super::advise::write_json;
use super::ctrl_c::{carry_out, check_output, stop_on_interrupt};
use super::report::write_report;
use crate::Ended;
use crate::advice_screen::advice_screen;
use crate::arguments::recipe;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(matches: &ArgMatches, started: Instant) -> anyhow::Result<Ended> {
    let mut recipe = recipe(matches)?;
    check_output(recipe.output_dir.as_ref(), matches)?;
    let mut progress = Progress::new();
    let (advice, watch) = match matches.get_flag("auto") {
        true => {
            let watch = stop_on_interrupt()?;
            (Some(advice(&recipe, &mut progress, &watch)?), Some(watch))
        }
        false => (None, None),
    };
    if let Some(advised) = advice.as_ref().and_then(|advice| advice.recipe.as_ref()) {
        recipe = advised.apply(&recipe)?;
    }
    let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut progress)?;
    // While files are read, Ctrl-C ends the process at once.
    let interrupt = watch.map_or_else(stop_on_interrupt, Ok)?;
    // The page is made before anything is shown, and a run is not lost for want of it.
    let report: RefCell<Option<Result<PathBuf, Error>>> = RefCell::new(None);
    let is_in_part = Cell::new(false);
    let ended = carry_out(
        "tune",
        matches,
        RunContext { started, interrupt: &interrupt, resume: matches.contains_id("resume") },
        progress,
        |context, progress| {
            let outcome = tune(&inputs, context, progress)?;
            // A run that goes on later has no advice of its own.
            let (Outcome::Finished { output_dir, .. } | Outcome::Interrupted { output_dir, .. }) = &outcome;
            if let Some(advice) = &advice {
                write_json(&output_dir.join(ADVICE), advice)?;
            }
            if let Outcome::Finished { output_dir, results } = &outcome {
                // The best epoch is kept, and it is not what was asked for; nor is a comparison that lacks a part.
                is_in_part.set(results.stopped.as_deref() == Some(DIVERGED) || !results.unfinished.is_empty());
                report.replace(Some(write_report(output_dir)));
            }
            Ok(outcome)
        },
        |out, output_dir, results| {
            write!(out, "{}", table::results(output_dir, results))?;
            match &*report.borrow() {
                Some(Ok(path)) => writeln!(out, "report: {}", path.display()),
                Some(Err(_)) | None => Ok(()),
            }
        },
    )?;
    match report.into_inner() {
        Some(Err(error)) => {
            writeln!(std::io::stderr(), "warning: the report was not written: {error}")?;
            Ok(Ended::InPart)
        }
        Some(Ok(_)) if is_in_part.get() => Ok(Ended::InPart),
        Some(Ok(_)) | None => Ok(ended),
    }
}

/// Measures before the run, and shows what was found.
fn advice(recipe: &Recipe, progress: &mut Progress, interrupt: &AtomicBool) -> anyhow::Result<Advice> {
    let model = recipe.model_name_or_path.as_ref().map_or(SEEDLING, |said| said.value.as_str());
    let options = AdviseOptions {
        models: vec![model.to_string()],
        source_text: Vec::new(),
        source_labels: None,
        only_transferability: false,
        effort: 1.0,
    };
    let advice = advise(recipe, &options, &HubSettings::from_env(), progress, interrupt);
    progress.clear();
    let advice = advice?;
    writeln!(std::io::stderr(), "{}", advice_screen(&advice, None))?;
    Ok(advice)
}
