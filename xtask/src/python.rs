//! What needs Python: the peers, and parity with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::model;

const PACKAGES: [&str; 5] = ["torch", "transformers", "accelerate", "scikit-learn", "safetensors"];

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// The interpreter of the Python environment, which is created unless it is there. `TOPWORK_PYTHON` names another.
pub(crate) fn venv() -> Result<PathBuf> {
    if let Some(python) = std::env::var_os("TOPWORK_PYTHON") {
        return Ok(python.into());
    }
    let python = PathBuf::from("target/venv/bin/python");
    let is_ready = |python: &Path| {
        let check = Command::new(python).args(["-c", "import torch, transformers, accelerate, sklearn"]).output();
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

/// Writes the fixture of MiniLM and compares with it; then fine-tunes and compares the saved directory.
pub(crate) fn parity(train: &Path, test: &Path) -> Result<()> {
    let (python, model) = (venv()?, model::fetch()?);
    let fixture = std::env::current_dir()?.join("target/parity/minilm");
    run(Command::new(&python).arg("xtask/python/fixtures.py").arg("--model").arg(&model).arg(&fixture))?;
    run(Command::new("cargo")
        .args(["test", "--package", "topwork", "--test", "parity"])
        .env("TOPWORK_PARITY", &fixture))?;
    let (topwork, output) = (topwork()?, Path::new("target/parity/out"));
    if output.exists() {
        std::fs::remove_dir_all(output)?;
    }
    run(Command::new(&topwork).arg("tune").arg(train).arg("--model").arg(&model).arg("--output").arg(output).args([
        "--max-steps",
        "20",
        "--compare-seeds",
        "0",
    ]))?;
    run(Command::new(&python).arg("xtask/python/check_output.py").arg(output).arg(test).arg(&topwork))
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

/// Runs the carried model and random weights on few labels and prints the table.
pub(crate) fn transfer(data: &Path, results: &Path, model: &str) -> Result<()> {
    let topwork = topwork()?;
    // Nothing but the standard library is needed.
    run(Command::new("python3")
        .arg("xtask/python/transfer.py")
        .arg("--topwork")
        .arg(topwork)
        .arg("--data")
        .arg(data)
        .arg("--results")
        .arg(results)
        .arg("--model")
        .arg(model))
}
