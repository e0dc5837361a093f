//! The model that the binary carries: half the bits of a pre-trained directory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use topwork_models::{Checkpoint, Precision, TensorView, write_safetensors_as};

use crate::curve;

const TARGET: &str = "assets/seedling";
/// All files together, in bytes.
const MOST: u64 = 10_000_000;

/// Copies what the binary carries, the weights with 16 bits, and keeps the recipe and the curve beside it.
#[expect(clippy::print_stdout, reason = "a chore says what it did")]
pub(crate) fn store(directory: &Path) -> Result<()> {
    let target = Path::new(TARGET);
    fs::create_dir_all(target)?;
    let checkpoint = Checkpoint::open(directory)?;
    let names: Vec<&str> = checkpoint.names().collect();
    let values: Vec<Vec<f32>> = names.iter().map(|name| checkpoint.read_f32(name)).collect::<Result<_, _>>()?;
    let shape = |name: &str| checkpoint.shape(name).context("a tensor has a shape");
    let mut views = Vec::new();
    for (name, data) in names.iter().zip(&values) {
        views.push(TensorView { name, shape: shape(name)?, data });
    }
    // ExtraTrainings the target until it is known to be small enough.
    let staged = tempfile::tempdir_in("assets")?;
    write_safetensors_as(&staged.path().join("model.safetensors"), &views, Precision::F16)?;
    for name in ["config.json", "tokenizer_config.json"] {
        fs::copy(directory.join(name), staged.path().join(name))?;
    }
    // Without the line breaks that a person would want: a quarter of the size.
    for name in ["tokenizer.json", "pretraining_profile.json"] {
        let content: Value = serde_json::from_slice(&fs::read(directory.join(name))?)?;
        fs::write(staged.path().join(name), format!("{content}\n"))?;
    }
    let carried = fs::read_dir(staged.path())?.collect::<Result<Vec<_>, _>>()?;
    let sizes = carried.iter().map(|entry| Ok(entry.metadata()?.len())).collect::<Result<Vec<_>>>()?;
    let bytes: u64 = sizes.iter().sum();
    ensure!(
        bytes <= MOST,
        "{}: expected at most {MOST} bytes, found {bytes}: choose a smaller shape",
        directory.display()
    );
    for entry in carried {
        fs::rename(entry.path(), target.join(entry.file_name()))?;
    }
    fs::write(target.join("plan.toml"), plan(directory)?)?;
    let curve = measured(&directory.join("events.jsonl"))?;
    fs::write(target.join("curve.json"), format!("{curve:#}\n"))?;
    println!("{TARGET}: {bytes} bytes");
    draw()
}

/// Draws what the recipe's run measured.
pub(crate) fn draw() -> Result<()> {
    let target = Path::new(TARGET);
    curve::draw(&serde_json::from_slice(&fs::read(target.join("curve.json"))?)?, &target.join("curve.svg"))
}

/// The plan; the folder that it ran in is nobody's business.
fn plan(directory: &Path) -> Result<String> {
    let text = fs::read_to_string(directory.join("plan.toml"))?;
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("output_dir", _)) => "output_dir = \"seedling\"",
        _ => line,
    });
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// The held-out scores of a run against the tokens seen, and what counting alone makes of the same questions.
fn measured(events: &Path) -> Result<Value> {
    let mut points = Vec::new();
    for line in fs::read_to_string(events)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        if event["event"] == "predicted" {
            points.push(json!({
                "tokens": event["tokens"], "objective": event["objective"], "loss": event["loss"],
                "accuracy": event["accuracy"],
            }));
        }
    }
    let results = events.with_file_name("all_results.json");
    let results: Value =
        serde_json::from_slice(&fs::read(&results).with_context(|| format!("{}", results.display()))?)?;
    Ok(json!({ "curve": points, "held_out": results["held_out"], "baselines": results["baselines"] }))
}
