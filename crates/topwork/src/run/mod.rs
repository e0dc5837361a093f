//! What runs of every kind have in common: how they begin, how they end, and what they say of the model they load.

pub mod checkpoint;
pub(crate) mod model_card;
pub mod output_directory;
pub mod proofs;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use topwork_models::LoadReport;

use crate::error::Error;
use crate::events::{Observer, RunEvent};

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Outcome<R> {
    /// It is over, and the result is saved.
    Finished {
        /// Where.
        output_dir: PathBuf,
        /// What was measured.
        results: Box<R>,
    },
    /// The user interrupted it; its state is saved.
    Interrupted {
        /// Where.
        output_dir: PathBuf,
        /// Optimizer steps taken.
        step: usize,
        /// Optimizer steps of the whole run, as far as is known.
        total_steps: usize,
    },
}

/// What surrounds a run without changing its result.
pub struct RunContext<'a> {
    /// When the process began.
    pub started: Instant,
    /// Set when the run is to stop after the step that it is at.
    pub interrupt: &'a AtomicBool,
    /// Go on from the state in the output directory.
    pub resume: bool,
}

/// Threads to compute with.
pub(crate) fn thread_pool(threads: usize) -> Result<ThreadPool, Error> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::run(format!("threads: {error}"), "--threads 1"))
}

/// Calls `work` on every item, `at_once` at a time with an equal part of the threads each, and `done` with every result as it
/// comes. Results are in the order of the items; those after a failure are missing.
pub(crate) fn side_by_side<T: Sync, R: Send>(
    threads: usize,
    at_once: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, Error> + Sync,
    mut done: impl FnMut(&T, &Result<R, Error>),
) -> Result<Vec<R>, Error> {
    let at_once = at_once.clamp(1, threads.max(1));
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<Result<R, Error>>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..at_once {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                let pool = thread_pool((threads / at_once).max(1));
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { break };
                    let result = match &pool {
                        Ok(pool) => pool.install(|| work(item)),
                        Err(error) => Err(Error::run(error.to_string(), "--threads 1")),
                    };
                    let failed = result.is_err();
                    if sender.send((place, result)).is_err() || failed {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (place, result) in receiver {
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done(&items[place], &result);
            results[place] = Some(result);
        }
    });
    results.into_iter().flatten().collect()
}

/// Seconds since the last lap.
pub(crate) fn lap(timer: &mut Instant) -> f64 {
    std::mem::replace(timer, Instant::now()).elapsed().as_secs_f64()
}

/// What was done to the checkpoint, what is new in the model, and what was left out, one line for each reason.
fn notes(report: &LoadReport) -> Vec<String> {
    let grouped = |entries: &[(String, String)]| {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        for (name, reason) in entries {
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, names)) => names.push(name.clone()),
                None => reasons.push((reason.clone(), vec![name.clone()])),
            }
        }
        reasons
    };
    let new = grouped(&report.new).into_iter().map(|(reason, names)| format!("new: {} ({reason})", names.join(", ")));
    let left_out = grouped(&report.ignored).into_iter().map(|(reason, names)| match names.as_slice() {
        [name] => format!("left out of the checkpoint: {name} ({reason})"),
        names => format!("left out of the checkpoint: {} tensors ({reason})", names.len()),
    });
    report.notes.iter().cloned().chain(new).chain(left_out).collect()
}

/// Says whether a resumed run starts anew, and what loading the model left out and made.
pub(crate) fn announce(is_resumed_from_start: bool, report: &LoadReport, observer: &mut dyn Observer) {
    let anew = is_resumed_from_start.then(|| "no state was saved: from the start".to_string());
    for message in anew.into_iter().chain(notes(report)) {
        observer.event(&RunEvent::Note { message });
    }
}

/// The most memory that this process has held, in MB; none where the system does not say.
pub fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
