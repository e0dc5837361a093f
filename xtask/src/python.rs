//! What needs Python: the peers, and parity with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::run;
use crate::model;

const PACKAGES: [&str; 7] = ["torch", "transformers", "accelerate", "scikit-learn", "scipy", "safetensors", "seqeval"];

/// What `transformers` reads SentencePiece models with.
const PIECES_PACKAGES: [&str; 2] = ["sentencepiece", "protobuf"];

/// Of the peers with few labels.
const FEW_LABELS_PACKAGES: [&str; 2] = ["setfit==1.2.0", "sentence-transformers==6.2.0"];

/// The interpreter of the Python environment, which is created unless it is there. `TOPWORK_PYTHON` names another.
pub(crate) fn venv() -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("TOPWORK_PYTHON") {
        return Ok(python.into());
    }
    let python = PathBuf::from("target/venv/bin/python");
    let is_ready = |python: &Path| {
        let check = Command::new(python)
            .args(["-c", "import torch, transformers, accelerate, sklearn, scipy, seqeval"])
            .output();
        check.is_ok_and(|output| output.status.success())
    };
    if !is_ready(&python) {
        run(Command::new("python3").args(["-m", "venv", "target/venv"]))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    }
    Ok(python)
}

/// The release binary.
pub(crate) fn topwork() -> Result<PathBuf> {
    run(Command::new("cargo").args(["build", "--release", "--quiet", "--package", "topwork-cli"]))?;
    Ok("target/release/topwork".into())
}

/// Texts of [`parity`] for each combination of a tokenizer's settings.
pub(crate) const TEXTS: usize = 1000;

/// Tokenizes hard texts with every combination of a tokenizer's settings, here and with `transformers`, before and after saving, and compares ids.
pub(crate) fn tokenizers(texts: usize) -> Result<()> {
    const SCRIPT: &str = "xtask/python/tokenizer_settings.py";
    let (python, folder) = (venv()?, std::env::current_dir()?.join("target/parity/tokenizers"));
    let has_pieces = Command::new(&python).args(["-c", "import sentencepiece, google.protobuf"]).output();
    if !has_pieces.is_ok_and(|output| output.status.success()) {
        // Without them the script leaves out what needs them, and says so.
        let _ = run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PIECES_PACKAGES));
    }
    fresh(&folder)?;
    run(Command::new(&python).args([SCRIPT, "write"]).arg(&folder).arg("--texts").arg(texts.to_string()))?;
    let mut test = Command::new("cargo");
    test.args(["test", "--workspace", "--test", "tokenizer_settings"]).env("TOPWORK_TOKENIZERS", &folder);
    run(test.args([
        "--",
        "--nocapture",
        "--exact",
        "ids_are_those_of_transformers_for_every_combination_before_and_after_saving",
    ]))?;
    run(Command::new(&python).args([SCRIPT, "check"]).arg(&folder))
}

/// Compares tokenizers; writes the fixture of MiniLM and compares with it; then pre-trains and fine-tunes, and compares the saved directories.
pub(crate) fn parity(train: &Path, test: &Path) -> Result<()> {
    tokenizers(TEXTS)?;
    let (python, model) = (venv()?, model::fetch()?);
    let folder = std::env::current_dir()?.join("target/parity");
    let fixture = folder.join("minilm");
    run(Command::new(&python).arg("xtask/python/fixtures.py").arg("--model").arg(&model).arg(&fixture))?;
    compare("parity", "TOPWORK_PARITY", &fixture)?;

    let (topwork, output) = (topwork()?, folder.join("out"));
    fresh(&output)?;
    let fixture = folder.join("pretrained");
    // The last has every head, and its numbers are compared, too.
    let kinds = [["mlm", "bpe"], ["mlm,contrastive", "unigram"], ["mlm,nsp", "wordpiece"]];
    for [objective, tokenizer] in kinds {
        fresh(&output)?;
        let mut pretrain = Command::new(&topwork);
        pretrain.arg("pretrain").arg(train).arg("--output").arg(&output);
        pretrain.args(["--preset", "nano", "--vocab-size", "800", "--steps", "60"]);
        run(pretrain.args(["--objective", objective, "--tokenizer", tokenizer]))?;
        fresh(&fixture)?;
        let script = ["xtask/python/fixtures.py", "--pretrained", "--model"];
        run(Command::new(&python).args(script).arg(&output).arg(&fixture))?;
    }
    compare("pretraining_parity", "TOPWORK_PRETRAINING_PARITY", &fixture)?;

    fresh(&output)?;
    let mut tune = Command::new(&topwork);
    tune.arg("tune").arg(train).arg("--model").arg(&model).arg("--output").arg(&output);
    run(tune.args(["--max-steps", "20", "--compare-seeds", "0"]))?;
    run(Command::new(&python).arg("xtask/python/check_output.py").arg(&output).arg(test).arg(&topwork))
}

/// Runs the parity test `name` on a fixture.
fn compare(name: &str, variable: &str, fixture: &Path) -> Result<()> {
    // The whole workspace, so that what its tests have built serves here, too.
    run(Command::new("cargo").args(["test", "--workspace", "--test", name]).env(variable, fixture))
}

/// Nothing there.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Runs the contestants on few labels and prints the table.
pub(crate) fn quality(data: &Path, scripts: &Path, results: &Path, contestants: &str) -> Result<()> {
    let (python, model, topwork) = (venv()?, model::fetch()?, topwork()?);
    run(Command::new(python)
        .arg("xtask/python/quality.py")
        .arg("--model")
        .arg(model)
        .arg("--data")
        .arg(data)
        .arg("--bench")
        .arg(scripts)
        .arg("--topwork")
        .arg(topwork)
        .arg("--results")
        .arg(results)
        .args(["--contestants", contestants]))
}

/// Which runs `few_labels` makes.
pub(crate) struct FewLabels<'a> {
    pub(crate) data: &'a Path,
    pub(crate) results: &'a Path,
    /// A directory, or the model for development.
    pub(crate) model: Option<&'a str>,
    pub(crate) systems: &'a str,
    pub(crate) sets: Option<&'a str>,
    pub(crate) rows: &'a str,
    pub(crate) seeds: usize,
    pub(crate) part: &'a str,
    /// Prints what was measured, and runs nothing.
    pub(crate) table: bool,
}

/// Draws few rows a class, trains with every system and prints the table.
pub(crate) fn few_labels(asked: &FewLabels<'_>) -> Result<()> {
    const SCRIPT: &str = "xtask/python/few_labels.py";
    if !asked.table {
        let python = venv()?;
        if asked.systems.contains("peer_") {
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(FEW_LABELS_PACKAGES))?;
        }
        let mut series = Command::new(&python);
        series.arg(SCRIPT).arg("--topwork").arg(topwork()?).arg("--data").arg(asked.data);
        series.arg("--results").arg(asked.results).arg("--python").arg(&python);
        series.arg("--model").arg(match asked.model {
            Some(model) => model.into(),
            None => model::fetch()?,
        });
        series.args(["--systems", asked.systems, "--rows", asked.rows, "--part", asked.part, "--jobs", "1"]);
        series.arg("--seeds").arg(asked.seeds.to_string());
        if let Some(sets) = asked.sets {
            series.args(["--sets", sets]);
        }
        run(&mut series)?;
    }
    run(Command::new("python3").arg(SCRIPT).args(["--table", "--results"]).arg(asked.results))
}

/// Plants runs that are no better than without training, and prints which of them, and of honest runs, the verdict flags.
pub(crate) fn floors(data: &Path, results: &Path, honest: &Path) -> Result<()> {
    let minilm = model::fetch()?;
    let mut plant = Command::new(venv()?);
    plant.arg("xtask/python/floors.py").arg("--topwork").arg(topwork()?).arg("--data").arg(data);
    plant.arg("--results").arg(results).arg("--model").arg(minilm).args(["--seeds", "3", "--jobs"]).arg(cores());
    run(&mut plant)?;
    let mut table = Command::new(venv()?);
    table.args(["xtask/python/floors.py", "--table", "--results"]).arg(results);
    run(table.arg("--honest").arg(honest))
}

/// Runs the carried model and random weights on few labels and prints the table.
pub(crate) fn transfer(data: &Path, results: &Path, model: &str) -> Result<()> {
    run(series("transfer.py", data, results, model)?.arg("--jobs").arg(cores()))
}

/// Goes on with pre-training on domains and on general text, fine-tunes each, and prints the table.
pub(crate) fn adapt(data: &Path, results: &Path, model: &str, objective: &str) -> Result<()> {
    let mut series = series("adapt.py", data, results, model)?;
    run(series.args(["--work", "target/adapt", "--objective", objective, "--jobs"]).arg(cores()))
}

/// Fine-tunes a pool of encoders on every set, scores them without training, and prints how the orders agree.
pub(crate) fn ranking(data: &Path, results: &Path, sets: Option<&str>) -> Result<()> {
    // The pool is made with numpy.
    let (python, minilm) = (venv()?, model::fetch()?);
    let mut command = Command::new(python);
    command.arg("xtask/python/ranking.py").arg("--topwork").arg(topwork()?).arg("--data").arg(data);
    command
        .arg("--results")
        .arg(results)
        .arg("--minilm")
        .arg(minilm)
        .args(["--work", "target/pool", "--jobs"])
        .arg(cores());
    run(with_sets(&mut command, sets))
}

/// Runs the advised recipe and a grid on few labels, and prints the table.
pub(crate) fn regret(data: &Path, results: &Path, rows: &str, seeds: usize, sets: Option<&str>) -> Result<()> {
    let minilm = model::fetch()?;
    let mut series = series("regret.py", data, results, &minilm.display().to_string())?;
    series.args(["--rows", rows, "--seeds", &seeds.to_string(), "--jobs"]).arg(cores());
    run(with_sets(&mut series, sets))
}

/// Runs the sweep of learning rates and epochs by which verdicts are judged.
pub(crate) fn verdicts(data: &Path, results: &Path, seeds: usize) -> Result<()> {
    let minilm = model::fetch()?;
    let mut series = series("verdicts.py", data, results, &minilm.display().to_string())?;
    run(series.args(["--seeds", &seeds.to_string(), "--jobs"]).arg(cores()))
}

fn with_sets<'a>(command: &'a mut Command, sets: Option<&str>) -> &'a mut Command {
    match sets {
        Some(sets) => command.args(["--sets", sets]),
        None => command,
    }
}

/// Plants faults in labelled sets and prints how many the audit finds.
pub(crate) fn faults(data: &Path) -> Result<()> {
    let minilm = model::fetch()?;
    run(measuring("faults.py", data)?.arg("--model").arg(minilm))
}

/// Compares corpora and prints in which order the panel puts them.
pub(crate) fn nearness(data: &Path, model: &str) -> Result<()> {
    run(measuring("nearness.py", data)?.args(["--model", model]))
}

/// Computes the fixtures of the scores with numpy, scipy and scikit-learn.
pub(crate) fn oracles() -> Result<()> {
    let python = venv()?;
    run(Command::new(&python).args(["xtask/python/oracles.py", "fixtures/scores.json"]))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "seqeval"]))?;
    run(Command::new(&python).args(["xtask/python/task_oracles.py", "fixtures/metrics.json"]))
}

/// A script that runs the release binary and keeps no results.
fn measuring(script: &str, data: &Path) -> Result<Command> {
    let mut command = Command::new("python3");
    command.arg(Path::new("xtask/python").join(script)).arg("--topwork").arg(topwork()?).arg("--data").arg(data);
    Ok(command)
}

/// A series of runs of the release binary. Nothing but Python's standard library is needed.
fn series(script: &str, data: &Path, results: &Path, model: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command.arg(Path::new("xtask/python").join(script)).arg("--topwork").arg(topwork()?);
    command.arg("--data").arg(data).arg("--results").arg(results).args(["--model", model]);
    Ok(command)
}

fn cores() -> String {
    std::thread::available_parallelism().map_or(1, usize::from).to_string()
}
