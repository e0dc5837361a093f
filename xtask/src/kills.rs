//! Whether a run that is killed at any time and goes on gives the bits of the run that nothing disturbed.
//!
//! Every second trial interrupts the run first, as Ctrl-C does, so that what is killed goes on from a saved state.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use topwork::tasks::TaskDescription;
use topwork_data::{Stream, TargetKind};

/// Where rows and runs are.
const FOLDER: &str = "target/kills";
/// What names the run's draws, and the times of the kills.
const SEED: u64 = 42;
/// The exit code of a run that was interrupted and saved its state.
const INTERRUPTED: i32 = 130;
/// The exit code of a run that saved its model, and was interrupted while it measured something beside it.
const WITHOUT_EXTRAS: i32 = 3;

/// What is asked of the trials.
pub(crate) struct Kills<'a> {
    /// A task that learns from labelled rows, or `all`.
    pub(crate) task: &'a str,
    /// Trials of each task.
    pub(crate) kills: usize,
    /// The command that is killed.
    pub(crate) binary: &'a Path,
    /// Labelled rows of each task.
    pub(crate) rows: usize,
    /// Times that the rows are gone through.
    pub(crate) epochs: usize,
}

/// What came of the trials of a task.
#[derive(Default)]
struct Counted {
    kills: usize,
    /// Killed before there was anything to go on from.
    again: usize,
    resumed: usize,
    /// Over before the kill came.
    over: usize,
    /// Killed when they went on from a saved state.
    from_state: usize,
    identical: usize,
}

/// Kills runs, lets them go on, and compares what they saved.
#[expect(clippy::print_stdout, reason = "a chore says what it did")]
pub(crate) fn run(asked: &Kills<'_>) -> Result<()> {
    let names = TaskDescription::supervised_names();
    let tasks = match asked.task {
        "all" => names,
        name => match TaskDescription::find(name) {
            Some(task) if task.supervised.is_some() => vec![task.name],
            _ => bail!("--task: expected all or one of {}, found {name}", names.join(", ")),
        },
    };
    ensure!(asked.binary.exists(), "{}: no such file: cargo build --release makes it", asked.binary.display());
    println!("| task | seconds | kills | from a saved state | started again | resumed | over before | identical |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut different = Vec::new();
    for task in tasks {
        let (seconds, counted) = of_task(asked, task)?;
        let Counted { kills, from_state, again, resumed, over, identical } = counted;
        println!("| {task} | {seconds:.1} | {kills} | {from_state} | {again} | {resumed} | {over} | {identical} |");
        if identical != kills {
            different.push(format!("{task}: {} of {kills} runs saved other weights", kills - identical));
        }
    }
    ensure!(different.is_empty(), "{}", different.join("; "));
    Ok(())
}

/// The trials of one task; and the seconds of the run that nothing disturbs.
fn of_task(asked: &Kills<'_>, task: &'static str) -> Result<(f64, Counted)> {
    let folder = Path::new(FOLDER).join(task);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("train.jsonl"), rows(task, asked.rows)?)?;
    let trial = Trial { asked, task, folder: &folder };
    let whole = trial.whole("whole")?;
    let again = trial.whole("again")?;
    ensure!(whole.weights == again.weights, "{task}: two runs that nothing disturbed saved other weights");
    // The shorter one: kills that come after the end say nothing.
    let duration = whole.duration.min(again.duration);
    let whole = whole.weights;
    let mut random = Stream::named(&format!("kills {task}"), SEED);
    let mut counted = Counted::default();
    for number in 0..asked.kills {
        let name = format!("run-{number}");
        let times = [0, 1].map(|_| duration.mul_f64(random.below(10_000) as f64 / 10_000.0));
        trial.kill(&name, number % 2 == 1, times, &mut counted)?;
        counted.kills += 1;
        if trial.weights(&name)? == whole {
            counted.identical += 1;
            fs::remove_dir_all(folder.join(&name))?;
        }
    }
    Ok((duration.as_secs_f64(), counted))
}

/// What came of a run that nothing disturbed.
struct Whole {
    duration: Duration,
    weights: Vec<u8>,
}

/// The runs of a task.
struct Trial<'a> {
    asked: &'a Kills<'a>,
    task: &'a str,
    folder: &'a Path,
}

impl Trial<'_> {
    /// Runs until the first time, to be killed then; or to be interrupted then, and killed when it has gone on until the second.
    fn kill(&self, name: &str, interrupt_first: bool, times: [Duration; 2], counted: &mut Counted) -> Result<()> {
        let mut run = self.start(name)?;
        if interrupt_first {
            let interrupted = run.interrupt_after(times[0])?;
            if interrupted {
                run = self.resume(name)?;
                counted.from_state += 1;
                run.kill_after(times[1])?;
            }
        } else {
            run.kill_after(times[0])?;
        }
        let directory = self.folder.join(name);
        if directory.join("all_results.json").exists() {
            counted.over += 1;
            return Ok(());
        }
        if !directory.join("plan.toml").exists() {
            counted.again += 1;
            if directory.exists() {
                fs::remove_dir_all(&directory)?;
            }
            return self.start(name)?.finish();
        }
        counted.resumed += 1;
        self.resume(name)?.finish()
    }

    /// A run that nothing disturbs.
    fn whole(&self, name: &str) -> Result<Whole> {
        let started = Instant::now();
        self.start(name)?.finish()?;
        Ok(Whole { duration: started.elapsed(), weights: self.weights(name)? })
    }

    fn start(&self, name: &str) -> Result<Running> {
        let epochs = self.asked.epochs.to_string();
        let seed = SEED.to_string();
        let data = ["train.jsonl", "--task", self.task, "--output", name, "--compare-seeds", "0"];
        let training = [
            "--model",
            "seedling",
            "--epochs",
            &epochs,
            "--seed",
            &seed,
            "--threads",
            "2",
            "--validation-fraction",
            "0.1",
        ];
        self.run(&[&["tune"], &data[..], &training].concat())
    }

    fn resume(&self, name: &str) -> Result<Running> {
        self.run(&["tune", "--resume", name])
    }

    fn run(&self, arguments: &[&str]) -> Result<Running> {
        let mut command = Command::new(fs::canonicalize(self.asked.binary)?);
        command.args(arguments).current_dir(self.folder).stdout(Stdio::null());
        // A pipe that nobody reads could stop the run; a file does not.
        let log = self.folder.join("stderr.txt");
        command.stderr(fs::File::create(&log)?);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Running { child, said: format!("{command:?}"), log })
    }

    fn weights(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(name).join("model.safetensors");
        fs::read(&path).with_context(|| format!("{}", path.display()))
    }
}

/// A run of the binary.
struct Running {
    child: std::process::Child,
    said: String,
    log: PathBuf,
}

impl Running {
    fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        self.expect(status.success(), &status)
    }

    fn expect(&self, is_expected: bool, status: &std::process::ExitStatus) -> Result<()> {
        let stderr = fs::read_to_string(&self.log).unwrap_or_default();
        ensure!(is_expected, "{} ended with {status}: {stderr}", self.said);
        Ok(())
    }

    /// Kills the run without a warning.
    fn kill_after(&mut self, time: Duration) -> Result<()> {
        std::thread::sleep(time);
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Interrupts the run as Ctrl-C does, and waits for its end. Whether it saved its state: it may be over, or not have begun.
    fn interrupt_after(&mut self, time: Duration) -> Result<bool> {
        std::thread::sleep(time);
        // Fails where the run is over.
        let id = self.child.id().to_string();
        Command::new("kill").args(["-s", "INT", &id]).stderr(Stdio::null()).status().context("kill -s INT")?;
        let status = self.child.wait()?;
        let has_saved = status.code() == Some(INTERRUPTED);
        let is_over = status.success() || status.code() == Some(WITHOUT_EXTRAS);
        // Without a code, the interruption came before anybody waited for one.
        self.expect(has_saved || is_over || status.code().is_none(), &status)?;
        Ok(has_saved)
    }
}

/// Rows of a task: which of three words a text begins with says all.
fn rows(task: &str, count: usize) -> Result<String> {
    const WORDS: [&str; 3] = ["there", "people", "which"];
    const REST: [&str; 7] = ["is it", "were in the time", "was", "could do no more", "said", "go", "made up"];
    let kind =
        TaskDescription::find(task).and_then(|task| task.supervised).context("a task with labelled rows")?.kind();
    let mut lines = String::new();
    for number in 0..count {
        let (word, rest) = (WORDS[number % 3], REST[number % 7]);
        let text = format!("{word} {rest} {} {number}", REST[number / 7 % 7]);
        let row = match kind {
            TargetKind::Class => json!({ "text": text, "label": word }),
            TargetKind::Labels => json!({ "text": text, "label": [word, rest] }),
            TargetKind::Value => json!({ "text": text, "label": (number % 3) as f64 + 0.25 * (number % 7) as f64 }),
            TargetKind::TokenTags => {
                let tokens: Vec<&str> = text.split(' ').collect();
                let mut tags = vec!["O"; tokens.len()];
                tags[0] = ["B-PLACE", "B-PERSON", "O"][number % 3];
                json!({ "tokens": tokens, "ner_tags": tags })
            }
        };
        writeln!(lines, "{row}")?;
    }
    Ok(lines)
}
