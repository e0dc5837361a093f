//! `topwork audit`

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use topwork::advise::audit::{Audit, LabelIssues, audit_files};
use topwork::advise::look_at_every_row;
use topwork::error::Error;
use topwork_models::HubSettings;

use super::advise::check_new;
use crate::Ended;
use crate::arguments::recipe;
use crate::audit_screen::audit_screen;
use crate::progress::Progress;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    if let Some(path) = matches.get_one::<PathBuf>("label-issues") {
        check_new(path, "--label-issues OTHER.csv")?;
    }
    let mut audit = audit_files(&recipe)?;
    if !matches.get_flag("no-model") {
        let mut progress = Progress::new();
        let looked = look_at_every_row(&recipe, &mut audit, &HubSettings::from_env(), &mut progress);
        progress.clear();
        looked?;
    }
    if let (Some(path), Some(found)) = (matches.get_one::<PathBuf>("label-issues"), &audit.label_issues) {
        write_issues(path, found)?;
    }
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        serde_json::to_writer_pretty(&mut out, &audit)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", screen(&audit, matches.get_one::<PathBuf>("label-issues")))?;
    }
    Ok(Ended::Done)
}

fn screen(audit: &Audit, issues: Option<&PathBuf>) -> String {
    let mut text = audit_screen(audit);
    if let (Some(path), true) = (issues, audit.label_issues.is_some()) {
        text.push_str(&format!("\ndoubted labels, most doubtful first: {}\n", path.display()));
    }
    text
}

/// The rows whose label is doubted, most doubtful first.
fn write_issues(path: &Path, found: &LabelIssues) -> Result<(), Error> {
    let failed = |error: csv::Error| Error::write(path, std::io::Error::other(error));
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    let header = ["line", "label", "suggested", "label_probability", "suggested_probability", "text"];
    writer.write_record(header).map_err(failed)?;
    for issue in &found.issues {
        let numbers = [issue.given_probability, issue.suggested_probability].map(|p| format!("{p:.4}"));
        let [given, suggested] = numbers;
        let line = issue.line.to_string();
        writer
            .write_record([&line, &issue.given, &issue.suggested, &given, &suggested, &issue.text])
            .map_err(failed)?;
    }
    writer.flush().map_err(|source| Error::write(path, source))
}
