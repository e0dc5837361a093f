//! `topwork advise`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use topwork::advise::{Advice, AdviseOptions, advise};
use topwork::error::Error;
use topwork::plan::recipe::Recipe;
use topwork_models::{HubSettings, SEEDLING};
use topwork_report::advice_page;

use super::ctrl_c::stop_on_interrupt;
use crate::Ended;
use crate::advice_screen::{Written, advice_screen};
use crate::arguments::recipe;
use crate::progress::Progress;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let path = matches.get_one::<PathBuf>("output").cloned();
    if let Some(path) = &path {
        for file in [path.clone(), beside(path, "json"), beside(path, "html")] {
            check_new(&file, &format!("--output '{}-2.toml'", path.with_extension("").display()))?;
        }
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
        let page = written.as_ref().map(|recipe| beside(recipe, "html"));
        let written = written.as_ref().zip(page.as_ref()).map(|(recipe, page)| Written { recipe, page });
        write!(out, "{}", advice_screen(&advice, written.as_ref()))?;
    }
    Ok(if advice.failures.is_empty() { Ended::Done } else { Ended::InPart })
}

fn options(matches: &ArgMatches, recipe: &Recipe) -> AdviseOptions {
    let said: Vec<String> = matches.get_many::<String>("models").into_iter().flatten().cloned().collect();
    let of_recipe = || recipe.model_name_or_path.as_ref().map_or(SEEDLING.to_string(), |said| said.value.clone());
    AdviseOptions {
        models: if said.is_empty() { vec![of_recipe()] } else { said },
        source_text: matches.get_many::<PathBuf>("source-text").into_iter().flatten().cloned().collect(),
        source_labels: matches.get_one::<PathBuf>("source-labels").cloned(),
        only_transferability: matches.get_flag("scores-only"),
        effort: matches.get_one::<f64>("effort").copied().unwrap_or(1.0),
    }
}

/// The recipe, and beside it everything that was measured, as numbers and as a page.
fn write(advice: &Advice, path: &Path) -> Result<(), Error> {
    write_json(&beside(path, "json"), advice)?;
    put(&beside(path, "html"), &advice_page(advice))?;
    match &advice.recipe {
        Some(recipe) => put(path, &recipe.to_toml(path)),
        None => Ok(()),
    }
}

/// `advice.json` beside `recipe.toml`, `other-advice.json` beside `other.toml`.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let name = match path.file_stem().map(|stem| stem.to_string_lossy()) {
        Some(stem) if stem != "recipe" => format!("{stem}-advice.{extension}"),
        _ => format!("advice.{extension}"),
    };
    path.with_file_name(name)
}

pub(crate) fn write_json(path: &Path, advice: &Advice) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(advice).map_err(|error| Error::write(path, error.into()))?;
    put(path, &text)
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::write(path, source))
}

/// Before anything is measured: a file that somebody wrote is not written over, and there is a folder for a new one.
pub(crate) fn check_new(path: &Path, hint: &str) -> Result<(), Error> {
    if path.exists() {
        let message = format!("{}: expected a name that is not taken, found a file", path.display());
        return Err(Error::run(message, hint));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            let message =
                format!("{}: expected a folder for the file, found none at {}", path.display(), folder.display());
            Err(Error::run(message, format!("mkdir -p '{}'", folder.display())))
        }
        None => Ok(()),
    }
}
