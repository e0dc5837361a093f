//! Speed: ratios taken in one run on one machine. Raw results go to `benches/runs/`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use topwork_models::HeadKind;

use crate::family_step;
use crate::model;
use crate::pretrain_step::{PretrainProducts, PretrainStep, SHAPE};
use crate::python::{topwork, venv};
use crate::record::record;
use crate::step::{Batch, LAYERS, Products, Step, median, minilm};

pub(crate) const BATCH: usize = 32;
pub(crate) const TOKENS: usize = 128;
pub(crate) const REPEATS: usize = 9;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// A step of fine-tuning.
    Step,
    /// A step of pre-training.
    Pretrain,
    /// Whole runs of fine-tuning.
    Whole,
    /// What the verdict and the report cost.
    Guards,
    /// Steps of other families and of tagging.
    Families,
}

/// How steps of families are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FamilySteps {
    pub(crate) batch: Batch,
    pub(crate) repeats: usize,
}

/// Runs everything, or a part, and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the chore is for")]
pub(crate) fn run(
    scripts: &Path,
    data: Option<&Path>,
    corpus: Option<&Path>,
    families: FamilySteps,
    only: Option<Part>,
) -> Result<()> {
    let is_wanted = |part: Part| only.is_none_or(|only| only == part);
    if is_wanted(Part::Step) {
        step(scripts)?.iter().for_each(|line| println!("{line}"));
    }
    if is_wanted(Part::Pretrain) {
        pretrain_step()?.iter().for_each(|line| println!("{line}"));
    }
    if is_wanted(Part::Families) {
        family_step::run(families.batch, families.repeats)?.iter().for_each(|line| println!("{line}"));
    }
    if let Some(corpus) = corpus.filter(|_| is_wanted(Part::Pretrain)) {
        pretrain_loop(corpus)?.iter().for_each(|line| println!("{line}"));
    }
    if let Some(data) = data.filter(|_| is_wanted(Part::Whole)) {
        whole_runs(scripts, data)?.iter().for_each(|line| println!("{line}"));
    }
    if is_wanted(Part::Guards) {
        guards(data)?.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

/// The part of a run's time that the verdict takes, what is looked at and logged along the way, and the report, made in a
/// process of its own: on the example, and on `data` where it is given, with the carried model and MiniLM.
fn guards(data: Option<&Path>) -> Result<Vec<String>> {
    let (topwork, output, minilm) = (topwork()?, Path::new("target/bench-out"), model::fetch()?);
    let example =
        (Path::new("examples/tickets.csv").to_path_buf(), Path::new("examples/tickets-test.csv").to_path_buf());
    let sets = std::iter::once(example).chain(data.map(|data| (data.join("train.csv"), data.join("test.csv"))));
    let mut lines = Vec::new();
    for (train, test) in sets {
        for model in [Path::new("seedling"), &minilm] {
            if output.exists() {
                fs::remove_dir_all(output)?;
            }
            let mut run = Command::new(&topwork);
            run.arg("tune").arg(&train).arg("--test").arg(&test).arg("--model").arg(model).arg("--output").arg(output);
            let (_, results) = timed(run.args(["--compare-seeds", "0", "--json"]))?;
            let started = Instant::now();
            let report = Command::new(&topwork).arg("report").arg(output).output()?;
            let report_seconds = started.elapsed().as_secs_f64();
            ensure!(report.status.success(), "topwork report failed: {}", String::from_utf8_lossy(&report.stderr));
            let seconds =
                |part: &str| results["seconds"][part].as_f64().with_context(|| format!("no {part} in {results}"));
            let (verdict, log, total) = (seconds("verdict")?, seconds("log")?, seconds("total")?);
            let (model, file) = (model.file_name().unwrap_or_default(), train.display().to_string());
            let model = model.to_string_lossy();
            record(json!({
                "bench": "guards", "data": file, "model": model, "verdict_seconds": verdict, "log_seconds": log, "report_seconds": report_seconds,
                "total_seconds": total,
            }))?;
            lines.push(format!(
                "{model} on {file}: {total:.1} s, of which the verdict {:.1} %, looks and logs {:.1} %, and the report {:.1} % \
                 more",
                100.0 * verdict / total,
                100.0 * log / total,
                100.0 * report_seconds / total
            ));
        }
    }
    Ok(lines)
}

fn step(scripts: &Path) -> Result<Vec<String>> {
    let (mut full, mut own) = (Products::new(BATCH, TOKENS, LAYERS), Products::new(BATCH, TOKENS, LAYERS - 1));
    let (config, head) = (minilm()?, HeadKind::Sequence { outputs: 2 });
    let batch = Batch { sequences: BATCH, tokens: TOKENS };
    let (mut step, mut frozen) = (Step::new(&config, head, batch, 0)?, Step::new(&config, head, batch, 4)?);
    let mut times: [Vec<f64>; 4] = Default::default();
    // In turns, so that a slow spell of the machine hits all alike; the first round warms up.
    for round in 0..=REPEATS {
        let now = [full.run(), own.run(), step.run().total(), frozen.run().total()];
        if round > 0 {
            times.iter_mut().zip(now).for_each(|(times, now)| times.push(now));
        }
    }
    let [full, own, step, frozen] = times.map(median);
    let (full, own, step, frozen) = (full?, own?, step?, frozen?);
    let torch = torch_step(scripts)?;
    let of = |config: &str| {
        let found = torch.iter().find(|line| line["config"] == config).and_then(|line| line["ms"].as_f64());
        found.with_context(|| format!("torch_step.py printed no `{config}`"))
    };
    let (torch_step_ms, torch_frozen) = (of("train f32")?, of("train f32, two thirds frozen")?);
    record(json!({
        "bench": "step", "batch": BATCH, "tokens": TOKENS,
        "products_ms": full, "own_products_ms": own, "step_ms": step, "step_two_thirds_frozen_ms": frozen, "torch": torch,
    }))?;
    Ok(vec![
        format!("step, 32×128                        {step:8.1} ms"),
        format!("products of a full pass             {full:8.1} ms   the step takes {:.2} × that", step / full),
        format!("products that the step does         {own:8.1} ms   the step takes {:.2} × that", step / own),
        format!(
            "step, PyTorch eager f32             {torch_step_ms:8.1} ms   topwork {:.2} × faster",
            torch_step_ms / step
        ),
        format!("step, two thirds frozen             {frozen:8.1} ms"),
        format!(
            "the same, PyTorch                   {torch_frozen:8.1} ms   topwork {:.2} × faster",
            torch_frozen / frozen
        ),
    ])
}

/// The masked-word step of the carried model's shape.
fn pretrain_step() -> Result<Vec<String>> {
    let (mut products, mut step) = (PretrainProducts::new(SHAPE), PretrainStep::new(SHAPE)?);
    let (mut product_times, mut step_times) = (Vec::new(), Vec::new());
    for round in 0..=REPEATS {
        let (product, step) = (products.run(), step.run());
        if round > 0 {
            product_times.push(product);
            step_times.push(step);
        }
    }
    let (products, step) = (median(product_times)?, median(step_times)?);
    let threads = std::thread::available_parallelism()?.to_string();
    let output = Command::new(venv()?).args(["benches/torch_mlm_step.py", "--threads", &threads]).output()?;
    ensure!(output.status.success(), "torch_mlm_step.py failed: {}", String::from_utf8_lossy(&output.stderr));
    let torch: Value = serde_json::from_slice(&output.stdout)?;
    let of = |what: &str| torch[what].as_f64().with_context(|| format!("torch_mlm_step.py printed no `{what}`"));
    let (every, hidden) = (of("every token")?, of("hidden tokens")?);
    record(json!({
        "bench": "pre-training step", "layers": SHAPE.layers, "hidden": SHAPE.hidden, "vocabulary": SHAPE.vocabulary,
        "batch": SHAPE.batch, "tokens": SHAPE.tokens, "masked": SHAPE.masked, "products_ms": products, "step_ms": step,
        "torch": torch,
    }))?;
    Ok(vec![
        format!("masked-word step, 32×128            {step:8.1} ms"),
        format!("its products                        {products:8.1} ms   the step takes {:.2} × that", step / products),
        format!("BertForMaskedLM, PyTorch            {every:8.1} ms   topwork {:.2} × faster", every / step),
        format!("the same, hidden tokens only        {hidden:8.1} ms   topwork {:.2} × faster", hidden / step),
    ])
}

/// Real tokens per second of pre-training on a text file: `topwork pretrain`, and PyTorch's loop on the same text with the
/// same tokenizer and configuration.
fn pretrain_loop(corpus: &Path) -> Result<Vec<String>> {
    let (python, topwork, output) = (venv()?, topwork()?, Path::new("target/bench-pretrain"));
    if output.exists() {
        fs::remove_dir_all(output)?;
    }
    let mut ours = Command::new(topwork);
    ours.arg("pretrain").arg(corpus).arg("--output").arg(output).arg("--json");
    ours.args(["--vocab-size", "5120", "--batch-size", "32", "--mask-unit", "token", "--steps", "60"]);
    let threads = std::thread::available_parallelism()?.to_string();
    let (_, ours) = timed(ours.args(["--threads", &threads]))?;
    let mut peer = Command::new(python);
    peer.arg("benches/torch_mlm_loop.py").arg("--model").arg(output).arg("--corpus").arg(corpus);
    let (_, peer) = timed(peer.args(["--threads", &threads]))?;
    record(json!({
        "bench": "pre-training loop", "corpus": corpus.file_name().map(|name| name.to_string_lossy()), "topwork": ours,
        "torch": peer,
    }))?;
    let number = |value: &Value| value.as_f64().with_context(|| format!("no speed in {peer}"));
    let own = number(&ours["tokens_per_second"])?;
    let of = |way: &str, what: &str| -> Result<String> {
        let (speed, padding) = (number(&peer[way]["tokens_per_second"])?, number(&peer[way]["padding"])?);
        Ok(format!(
            "PyTorch, {what:<27}{speed:8.0} tokens/s ({:.0} % padding)   topwork {:.2} × faster",
            100.0 * padding,
            own / speed
        ))
    };
    Ok(vec![
        format!("pre-training, topwork               {own:8.0} tokens/s"),
        of("padded", "padded passages")?,
        of("blocks", "full blocks")?,
    ])
}

fn torch_step(scripts: &Path) -> Result<Vec<Value>> {
    let mut command = Command::new(venv()?);
    let output = command.arg(scripts.join("torch_step.py")).output()?;
    ensure!(output.status.success(), "torch_step.py failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The same fine-tuning, process start to end, by both.
fn whole_runs(scripts: &Path, data: &Path) -> Result<Vec<String>> {
    let (python, model, topwork) = (venv()?, model::fetch()?, topwork()?);
    let (train, test) = (data.join("train.csv"), data.join("test.csv"));
    let output = Path::new("target/bench-out");
    if output.exists() {
        fs::remove_dir_all(output)?;
    }
    let mut ours = Command::new(topwork);
    ours.arg("tune").arg(&train).arg("--test").arg(&test).arg("--model").arg(&model).arg("--output").arg(output);
    ours.args(["--epochs", "3", "--batch-size", "32", "--lr", "5e-5", "--compare-seeds", "0", "--json"]);
    let (our_seconds, ours) = timed(&mut ours)?;
    let mut peer = Command::new(python);
    peer.arg(scripts.join("hf_trainer.py"))
        .arg("--model")
        .arg(&model)
        .arg("--train")
        .arg(&train)
        .arg("--test")
        .arg(&test);
    let (peer_seconds, peer) = timed(&mut peer)?;
    let number = |value: &Value, what: &str| value.as_f64().with_context(|| format!("no {what} in {value}"));
    let our_memory = number(&ours["peak_rss_mb"], "peak_rss_mb")?;
    let peer_memory = number(&peer["peak_rss_mb"], "peak_rss_mb")?;
    let accuracies = (number(&ours["test"]["accuracy"], "accuracy")?, number(&peer["accuracy"], "accuracy")?);
    record(json!({
        "bench": "whole run", "data": data.file_name().map(|name| name.to_string_lossy()),
        "topwork_seconds": our_seconds, "hf_trainer_seconds": peer_seconds, "topwork": ours, "hf_trainer": peer,
    }))?;
    Ok(vec![
        format!(
            "whole run, topwork                  {our_seconds:8.1} s    {our_memory:.0} MB   accuracy {:.3}",
            accuracies.0
        ),
        format!(
            "whole run, transformers.Trainer     {peer_seconds:8.1} s    {peer_memory:.0} MB   accuracy {:.3}",
            accuracies.1
        ),
        format!(
            "topwork                             {:8.2} × faster, {:.2} of the memory",
            peer_seconds / our_seconds,
            our_memory / peer_memory
        ),
    ])
}

/// Wall seconds of a process, and the JSON that it printed: all of it, or its last line.
fn timed(command: &mut Command) -> Result<(f64, Value)> {
    let start = Instant::now();
    let output = command.output()?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let last = text.trim().lines().last().unwrap_or_default();
    let value = serde_json::from_str(&text).or_else(|_| serde_json::from_str(last))?;
    Ok((seconds, value))
}
