//! A finished run, read back from its directory: what `topwork report` makes its page from. Nothing is measured anew.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::events::trace::Trace;
use crate::events::{Observer, RunEvent};
use crate::judge::hard_rows::{HARD_ROWS, HardRows};
use crate::run::checkpoint;
use crate::run::output_directory::{EVENTS, PLAN, RESULTS};
use crate::session::profile::PROFILE;
use crate::tune::results::Results;

/// The file with what was measured before a run, where it was asked for.
pub const ADVICE: &str = "advice.json";

/// The file that says, among other things, which classes the model knows.
const CONFIG: &str = "config.json";

/// A finished run of `topwork tune`.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    /// The directory.
    pub path: PathBuf,
    /// What was measured.
    pub results: Results,
    /// The plan, as it is in its file.
    pub plan_text: String,
    /// The lines of the plan.
    pub plan: Vec<PlanLine>,
    /// The curves.
    pub trace: Trace,
    /// How training began; none when the record does not say.
    pub started: Option<Started>,
    /// Why training ended before its last step, when it did.
    pub stopped: Option<String>,
    /// What the user should know, in the order in which it was said; first why training ended early.
    pub warnings: Vec<String>,
    /// What the user may want to know.
    pub notes: Vec<String>,
    /// How many classes the model tells apart; none when its `config.json` does not say.
    pub classes: Option<usize>,
    /// The names of classes, labels, numbers or tags by id; none when its `config.json` does not say.
    pub labels: Vec<String>,
    /// Held-out rows that are worth reading.
    pub hard_rows: Option<HardRows>,
    /// What was measured before the run.
    pub advice: Option<Value>,
}

/// A line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLine {
    /// The table it stands in, such as `training`.
    pub table: String,
    /// The option.
    pub key: String,
    /// The TOML text of its value; none when it is not set.
    pub value: Option<String>,
    /// Where the value comes from, such as `flag` or `default`; empty where the plan does not say.
    pub origin: String,
    /// Why it is what it is.
    pub reason: String,
}

/// How training began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Rows that were trained on.
    pub rows: usize,
    /// Rows that were looked at along the way.
    pub validation_rows: usize,
    /// Times that the rows were to be gone through.
    pub epochs: usize,
    /// Values of the whole model.
    pub parameters: usize,
    /// Values that training could change.
    pub trainable_parameters: usize,
}

impl RunDirectory {
    /// Reads the directory of a finished run.
    ///
    /// # Errors
    /// When it is none, or a file of it is missing or damaged.
    pub fn read(path: &Path) -> Result<Self, Error> {
        check(path)?;
        let results: Results = read_json(&path.join(RESULTS), "the results of a run")?;
        let plan_text = read_text(&path.join(PLAN))?;
        let hard_rows = read_if_any(&path.join(HARD_ROWS), "rows that are worth reading")?;
        let advice = read_if_any(&path.join(ADVICE), "what was measured before the run")?;
        let config: Option<Value> = read_if_any(&path.join(CONFIG), "the model's configuration")?;
        let names = config.as_ref().and_then(|config| config.get("id2label")?.as_object());
        let classes = names.map(serde_json::Map::len);
        let labels = names.map(by_id).unwrap_or_default();
        let plan = PlanLine::all(&plan_text);
        let mut run = Self {
            path: path.to_path_buf(),
            results,
            plan_text,
            plan,
            trace: Trace::default(),
            started: None,
            stopped: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            classes,
            labels,
            hard_rows,
            advice,
        };
        // A line that is damaged, as the last one of a process that was killed, says nothing.
        let events = read_text(&path.join(EVENTS))?;
        events.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|event| run.event(&event));
        run.warnings.splice(0..0, run.stopped.clone());
        Ok(run)
    }

    /// The value of an option, without quotes; none when it is not set.
    pub fn value(&self, key: &str) -> Option<String> {
        let text = self.plan.iter().find(|line| line.key == key)?.value.as_deref()?;
        let value: Option<toml_edit::Value> = text.parse().ok();
        Some(value.and_then(|value| value.as_str().map(str::to_string)).unwrap_or_else(|| text.to_string()))
    }

    fn event(&mut self, event: &RunEvent) {
        self.trace.event(event);
        match event {
            RunEvent::Started { epochs, rows, validation_rows, parameters, trainable_parameters, .. } => {
                // A run that went on after it was stopped is not stopped.
                self.stopped = None;
                self.started = Some(Started {
                    rows: *rows,
                    validation_rows: *validation_rows,
                    epochs: *epochs,
                    parameters: *parameters,
                    trainable_parameters: *trainable_parameters,
                });
            }
            RunEvent::Warning { message } => self.warnings.push(message.clone()),
            RunEvent::Stopped { step, reason } => self.stopped = Some(format!("stopped after step {step}: {reason}")),
            RunEvent::Note { message } => self.notes.push(message.clone()),
            _ => {}
        }
    }
}

/// The names in `id2label` by their ids; none when the ids are not the numbers from 0.
fn by_id(names: &serde_json::Map<String, Value>) -> Vec<String> {
    let name = |id: usize| names.get(&id.to_string())?.as_str().map(str::to_string);
    (0..names.len()).map(name).collect::<Option<Vec<String>>>().unwrap_or_default()
}

impl PlanLine {
    /// The lines of a plan, `key = value # origin: reason` and `# key is not set # origin: reason`, under their tables.
    pub fn all(plan: &str) -> Vec<Self> {
        let mut table = "";
        let mut lines = Vec::new();
        for line in plan.lines() {
            match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => table = name,
                None => lines.extend(Self::of(table, line)),
            }
        }
        lines
    }

    fn of(table: &str, line: &str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("# ") {
            let (key, comment) = rest.split_once(" is not set # ")?;
            return Some(Self::new(table, key, None, comment));
        }
        let (key, rest) = line.split_once(" = ")?;
        let (value, comment) = rest.split_at(comment_start(rest));
        Some(Self::new(table, key, Some(value.trim_end()), comment.trim_start_matches(['#', ' '])))
    }

    fn new(table: &str, key: &str, value: Option<&str>, comment: &str) -> Self {
        let (origin, reason) = comment.split_once(": ").unwrap_or((comment, ""));
        let [table, key, origin, reason] = [table, key, origin, reason].map(str::to_string);
        Self { table, key, value: value.map(str::to_string), origin, reason }
    }
}

/// Where the comment of a line begins: at the first `#` outside of quotes.
fn comment_start(line: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#') => return at,
            _ => {}
        }
    }
    line.len()
}

/// Whether a directory holds a finished run of `topwork tune`, by its files.
fn check(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let expected = |found: &str, hint: String| {
        let message = format!("{shown}: expected the directory of a finished run of `topwork tune`, found {found}");
        Err(Error::run(message, hint))
    };
    let has = |name: &str| path.join(name).exists();
    if !path.exists() {
        return expected("nothing there", "topwork tune TRAIN --output DIR makes one".to_string());
    }
    if !path.is_dir() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return expected("a file", format!("topwork report '{}'", folder.display()));
    }
    if has(PROFILE) {
        return expected("a pre-training", format!("cat '{}'", path.join(RESULTS).display()));
    }
    match (has(RESULTS), has(checkpoint::FOLDER), has(EVENTS)) {
        (true, ..) => Ok(()),
        (false, true, _) => {
            expected(&format!("an interrupted one, without {RESULTS}"), format!("topwork tune --resume '{shown}'"))
        }
        (false, false, true) => expected(
            &format!("one that is not over or was killed, without {RESULTS}"),
            format!("topwork tune --resume '{shown}'"),
        ),
        (false, false, false) => expected(
            &format!("a directory without {RESULTS}"),
            "name a directory that `topwork tune --output DIR` wrote".to_string(),
        ),
    }
}

fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::read(path, source))
}

fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, Error> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("{}: expected {expected}, found an error: {error}", path.display());
        let plan = path.with_file_name(PLAN);
        Error::run(message, format!("topwork tune --recipe '{}' --output NEW repeats the run", plan.display()))
    })
}

/// What a file says; none when there is no such file.
fn read_if_any<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<Option<T>, Error> {
    path.exists().then(|| read_json(path, expected)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_plan_are_taken_apart() {
        let plan = "# What the run did.\n\n[data]\ntrain_file = \"a # \\\" b.csv\" # flag: TRAIN\n\
                    # test_file is not set # default: none\n\n[facts]\nsha256 = \"00\"\n";
        let lines = PlanLine::all(plan);
        let line = |table: &str, key: &str, value: Option<&str>, origin: &str, reason: &str| PlanLine {
            table: table.to_string(),
            key: key.to_string(),
            value: value.map(str::to_string),
            origin: origin.to_string(),
            reason: reason.to_string(),
        };
        assert_eq!(
            lines,
            [
                line("data", "train_file", Some("\"a # \\\" b.csv\""), "flag", "TRAIN"),
                line("data", "test_file", None, "default", "none"),
                line("facts", "sha256", Some("\"00\""), "", ""),
            ]
        );
    }

    #[test]
    fn names_stand_in_the_order_of_their_ids() {
        let names = |json: serde_json::Value| by_id(json.as_object().unwrap());
        let twelve: serde_json::Map<String, Value> =
            (0..12).rev().map(|id| (id.to_string(), Value::from(format!("name {id}")))).collect();
        assert_eq!(by_id(&twelve), (0..12).map(|id| format!("name {id}")).collect::<Vec<_>>());
        assert_eq!(names(serde_json::json!({"1": "one", "2": "two"})), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_finished_run_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let fails = |part: &str| {
            let error = RunDirectory::read(path).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            error.hint().unwrap()
        };
        fails("a directory without all_results.json");
        std::fs::write(path.join(EVENTS), "").unwrap();
        assert!(fails("not over or was killed").starts_with("topwork tune --resume "));
        std::fs::create_dir(path.join(checkpoint::FOLDER)).unwrap();
        fails("an interrupted one");
        std::fs::write(path.join(RESULTS), "{\"train\": ").unwrap();
        assert!(fails("all_results.json: expected the results of a run").contains("--recipe"));
        std::fs::write(path.join(PROFILE), "{}").unwrap();
        fails("a pre-training");
        let missing = RunDirectory::read(&path.join("missing")).unwrap_err().to_string();
        assert!(missing.contains("nothing there"), "{missing}");
    }
}
