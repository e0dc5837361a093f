//! Whether classification still gives the bits of an earlier commit, and in how much of its time: both builds run in turn on the
//! same rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::command::run as must_run;
use crate::model;
use crate::python::topwork;
use crate::record::record;
use crate::step::median;

/// Where the earlier source, its build and the runs are.
const FOLDER: &str = "target/earlier";
const SEED: &str = "5";
/// The commit before methods and poolings could be chosen: it has no options for them, and does what [`Earlier::arguments`] say.
pub(crate) const BEFORE_METHODS: &str = "5f0a724";

/// What is compared.
pub(crate) struct Earlier<'a> {
    /// The commit to compare with.
    pub(crate) commit: &'a str,
    /// Labelled rows, one line each after the header.
    pub(crate) train: &'a Path,
    /// How many of the first rows.
    pub(crate) rows: usize,
    /// Runs of each build that count; one pair more warms up.
    pub(crate) pairs: usize,
    /// What both are told, but for [`BEFORE_METHODS`], which does no other thing.
    pub(crate) arguments: &'a [String],
}

/// One run: seconds of training as the run measured them, seconds in all, and the saved weights.
struct Run {
    training: f64,
    total: f64,
    weights: Vec<u8>,
}

/// Builds the earlier commit, runs both in turn and prints the ratio of the times.
#[expect(clippy::print_stdout, reason = "the table is what the chore is for")]
pub(crate) fn run(asked: &Earlier<'_>) -> Result<()> {
    ensure!(asked.pairs > 0, "--pairs: expected at least 1, found 0");
    let commit =
        Command::new("git").args(["rev-parse", "--verify", &format!("{}^{{commit}}", asked.commit)]).output()?;
    ensure!(commit.status.success(), "--commit: expected a commit of this repository, found {}", asked.commit);
    let commit = String::from_utf8(commit.stdout)?.trim().to_string();
    // A commit that has the options is told the same.
    let of_earlier = if commit.starts_with(BEFORE_METHODS) { &[][..] } else { asked.arguments };
    let (model, today, earlier) = (model::fetch()?, topwork()?, build(&commit)?);
    let train = Path::new(FOLDER).join("train.csv");
    fs::write(&train, first_rows(asked.train, asked.rows)?)?;
    let (mut old, mut new, mut identical) = (Vec::new(), Vec::new(), 0);
    println!("| pair | seconds of training: earlier | today | of the whole command: earlier | today | weights |");
    println!("|--:|--:|--:|--:|--:|---|");
    for pair in 0..=asked.pairs {
        // Each comes first in every second pair.
        let first_is_old = pair % 2 == 0;
        let mut runs = [first_is_old, !first_is_old].map(|is_old| {
            let (binary, more) = if is_old { (&earlier, of_earlier) } else { (&today, asked.arguments) };
            tune(binary, &train, &model, more)
        });
        if !first_is_old {
            runs.swap(0, 1);
        }
        let [before, now] = runs;
        let (before, now) = (before?, now?);
        let is_same = before.weights == now.weights;
        println!(
            "| {pair} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            before.training,
            now.training,
            before.total,
            now.total,
            if is_same { "identical" } else { "different" }
        );
        if pair > 0 {
            identical += usize::from(is_same);
            old.push(before);
            new.push(now);
        }
    }
    let sum = |runs: &[Run], of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>();
    let ratios = old.iter().zip(&new).map(|(old, new)| new.training / old.training).collect();
    let training = sum(&new, |run| run.training) / sum(&old, |run| run.training);
    let total = sum(&new, |run| run.total) / sum(&old, |run| run.total);
    let middle = median(ratios)?;
    println!(
        "\ntoday / {}: {training:.3} of the seconds of training ({middle:.3} in the median pair), {total:.3} of the whole command; \
         {identical} of {} pairs saved identical weights (pair 0 warms up)",
        asked.commit, asked.pairs
    );
    record(json!({
        "bench": "earlier", "earlier": commit, "rows": asked.rows, "arguments": asked.arguments,
        "earlier_seconds": old.iter().map(|run| run.training).collect::<Vec<_>>(),
        "seconds": new.iter().map(|run| run.training).collect::<Vec<_>>(),
        "ratio": training, "ratio_of_median_pair": middle, "ratio_total": total, "identical": identical,
    }))?;
    ensure!(identical == asked.pairs, "{} of {} pairs saved other weights", asked.pairs - identical, asked.pairs);
    Ok(())
}

/// The binary of a commit, built from its own files in a folder of its own.
fn build(commit: &str) -> Result<PathBuf> {
    let folder = Path::new(FOLDER).join(commit);
    let (source, target) = (folder.join("source"), fs::canonicalize(".")?.join(&folder).join("build"));
    if !source.exists() {
        // Only what is whole gets the name.
        let unpacking = folder.join("unpacking");
        if unpacking.exists() {
            fs::remove_dir_all(&unpacking)?;
        }
        fs::create_dir_all(&unpacking)?;
        let mut archive = Command::new("git").args(["archive", commit]).stdout(Stdio::piped()).spawn()?;
        let files = archive.stdout.take().context("git archive wrote nothing")?;
        let unpacked = Command::new("tar").arg("-x").current_dir(&unpacking).stdin(files).status()?;
        let archived = archive.wait()?;
        ensure!(archived.success() && unpacked.success(), "{commit}: git archive or tar failed");
        fs::rename(&unpacking, &source)?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--quiet", "--package", "topwork-cli"]).current_dir(&source);
    must_run(cargo.env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join("release/topwork"))
}

/// The header and the first rows of a file with one row a line.
fn first_rows(path: &Path, rows: usize) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let lines: Vec<&str> = text.lines().take(rows + 1).collect();
    if let Some(line) = lines.iter().position(|line| line.matches('"').count() % 2 == 1) {
        bail!("{}: line {}: expected one row a line, found a quoted line break", path.display(), line + 1);
    }
    ensure!(lines.len() == rows + 1, "{}: expected {rows} rows, found {}", path.display(), lines.len().max(1) - 1);
    Ok(lines.join("\n") + "\n")
}

/// Fine-tunes for one epoch on all rows, in a process of its own.
fn tune(binary: &Path, train: &Path, model: &Path, more: &[String]) -> Result<Run> {
    let output = Path::new(FOLDER).join("out");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    let mut command = Command::new(binary);
    command.arg("tune").arg(train).arg("--model").arg(model).arg("--output").arg(&output);
    command.args(["--epochs", "1", "--validation-fraction", "0", "--compare-seeds", "0", "--seed", SEED, "--json"]);
    let done = command.args(more).output()?;
    ensure!(done.status.success(), "{command:?} ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr));
    let results: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    let seconds = |part: &str| results["seconds"][part].as_f64().with_context(|| format!("no {part} in {results}"));
    let (training, total) = (seconds("train")?, seconds("total")?);
    Ok(Run { training, total, weights: fs::read(output.join("model.safetensors"))? })
}
