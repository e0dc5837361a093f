//! `topwork report`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use topwork::error::Error;
use topwork::tune::finished_run::RunDirectory;
use topwork_models::write_atomically;

use super::advise::check_new;
use crate::Ended;
use topwork_report::{REPORT, comparison_page, report_page};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let paths: Vec<PathBuf> = matches.get_many::<PathBuf>("RUN").into_iter().flatten().cloned().collect();
    let said = matches.get_one::<PathBuf>("output");
    let own = match paths.as_slice() {
        [only] => Some(only.join(REPORT)),
        _ => None,
    };
    let runs = paths.iter().map(|path| RunDirectory::read(path)).collect::<Result<Vec<_>, _>>()?;
    let output = said.cloned().or_else(|| own.clone()).unwrap_or_else(|| PathBuf::from(REPORT));
    // The report of a run is made again; nothing else is written over.
    if own.is_none_or(|own| !is_same(&own, &output)) {
        check_new(&output, &hint(&paths, &output))?;
    }
    let page = match runs.as_slice() {
        [only] => report_page(only),
        several => comparison_page(several),
    };
    write(&output, &page)?;
    writeln!(std::io::stdout(), "report: {}", output.display())?;
    Ok(Ended::Done)
}

/// Writes the report of a finished run into its directory; gives its path.
///
/// # Errors
/// When the run cannot be read back, or the file cannot be written.
pub(crate) fn write_report(directory: &Path) -> Result<PathBuf, Error> {
    let path = directory.join(REPORT);
    write(&path, &report_page(&RunDirectory::read(directory)?))?;
    Ok(path)
}

/// What was there before stays whole where the page cannot be written.
fn write(path: &Path, page: &str) -> Result<(), Error> {
    Ok(write_atomically(path, |file| file.write_all(page.as_bytes()))?)
}

/// Whether both are the same file.
fn is_same(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => first == second,
    }
}

/// The command with a name that is not taken.
fn hint(paths: &[PathBuf], output: &Path) -> String {
    let stem = output.file_stem().map_or_else(|| "report".into(), |stem| stem.to_string_lossy().into_owned());
    let free =
        (2..100).map(|number| output.with_file_name(format!("{stem}-{number}.html"))).find(|path| !path.exists());
    let free = free.unwrap_or_else(|| output.with_extension("new.html"));
    let runs: Vec<String> = paths.iter().map(|path| format!("'{}'", path.display())).collect();
    format!("topwork report {} --output '{}'", runs.join(" "), free.display())
}
