//! Reads a labelled file and says how long that took and what memory it needed: for `benches/peers/reading.py`.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::path::PathBuf;
use std::time::Instant;

use topwork_data::{ColumnNames, Dataset, Labels};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("a file")?);
    let began = Instant::now();
    let dataset = Dataset::read(&path, &ColumnNames::default(), Labels::Required)?;
    let seconds = began.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    println!(
        "{{\"rows\": {}, \"seconds\": {seconds:.3}, \"peak_mb\": {}, \"held_mb\": {}}}",
        dataset.examples.len(),
        kib("VmHWM:") / 1024,
        kib("VmRSS:") / 1024
    );
    Ok(())
}
