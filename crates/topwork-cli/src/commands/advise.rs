//! `topwork advise`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use topwork::advise::{Advice, AdviseOptions, advise};
use topwork::error::Error;
use topwork::recipe::Recipe;
use topwork_models::{HubSettings, SEEDLING};

use super::run::stop_on_interrupt;
use crate::Ended;
use crate::advice_screen::advice_screen;
use crate::arguments::recipe;
use crate::progress::Progress;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let path = matches.get_one::<PathBuf>("output").cloned();
    if let Some(path) = &path {
        check_new(path)?;
    }
    let options = options(matches, &recipe);
    let mut progress = Progress::new();
    let interrupt = stop_on_interrupt()?;
    let advice = advise(&recipe, &options, &HubSettings::from_env(), &mut progress, &interrupt);
    progress.clear();
    let advice = advice?;
    let written = path.map(|path| write(&advice, &path).map(|()| path)).transpose()?;
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        serde_json::to_writer_pretty(&mut out, &advice)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", advice_screen(&advice, written.as_deref()))?;
    }
    Ok(if advice.failures.is_empty() { Ended::Done } else { Ended::InPart })
}

fn options(matches: &ArgMatches, recipe: &Recipe) -> AdviseOptions {
    let said: Vec<String> = matches.get_many::<String>("models").into_iter().flatten().cloned().collect();
    let of_recipe = || recipe.model_name_or_path.as_ref().map_or(SEEDLING.to_string(), |said| said.value.clone());
    AdviseOptions {
        models: if said.is_empty() { vec![of_recipe()] } else { said },
        source_text: matches.get_many::<PathBuf>("source-text").into_iter().flatten().cloned().collect(),
        only_transferability: matches.get_flag("scores-only"),
        effort: matches.get_one::<f64>("effort").copied().unwrap_or(1.0),
    }
}

/// The recipe, and beside it everything that was measured.
fn write(advice: &Advice, path: &Path) -> Result<(), Error> {
    write_json(&path.with_extension("json"), advice)?;
    match &advice.recipe {
        Some(recipe) => put(path, &recipe.to_toml(path)),
        None => Ok(()),
    }
}

pub(crate) fn write_json(path: &Path, advice: &Advice) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(advice).map_err(|error| Error::write(path, error.into()))?;
    put(path, &text)
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::write(path, source))
}

/// Before anything is measured: a recipe that somebody wrote is not written over.
fn check_new(path: &Path) -> Result<(), Error> {
    let taken = [path.to_path_buf(), path.with_extension("json")].into_iter().find(|path| path.exists());
    match taken {
        Some(taken) => {
            let message = format!("{}: expected a name that is not taken, found a file", taken.display());
            Err(Error::run(message, format!("--output '{}-2.toml'", path.with_extension("").display())))
        }
        None => Ok(()),
    }
}
