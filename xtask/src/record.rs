//! Raw results of benchmarks, a line each.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

/// Adds a line to the raw results, with commit and machine.
pub(crate) fn record(mut line: Value) -> Result<()> {
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output()?;
    line["commit"] = json!(String::from_utf8_lossy(&commit.stdout).trim());
    line["unix_seconds"] = json!(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs());
    line["processor"] = json!(processor());
    line["threads"] = json!(std::thread::available_parallelism()?.get());
    fs::create_dir_all("benches/runs")?;
    let mut file = OpenOptions::new().create(true).append(true).open("benches/runs/bench.jsonl")?;
    writeln!(file, "{line}")?;
    Ok(())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, name)| name.to_string())
}
