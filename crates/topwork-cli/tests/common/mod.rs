//! What the tests of the command share: a small labelled file, the committed tiny model, and runs of the binary.
#![allow(clippy::unwrap_used, dead_code, reason = "a test that cannot go on has failed; each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The committed model: three layers of width 16.
pub(crate) fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert").canonicalize().unwrap()
}

/// A folder for one test, with `train.csv` (96 rows) and `test.csv` (24 rows) of a task that a tiny model can learn.
pub(crate) struct Folder {
    directory: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self { directory: tempfile::tempdir().unwrap() };
        folder.write("train.csv", rows(0..96));
        folder.write("test.csv", rows(100..124));
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A copy of the tiny model in the folder, by this name.
    pub(crate) fn copy_of_model(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        std::fs::create_dir(&copy).unwrap();
        for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(model().join(file), copy.join(file)).unwrap();
        }
        copy
    }

    /// The binary in this folder, away from the user's caches and settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topwork"));
        command.args(arguments).current_dir(self.directory.path());
        command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", self.path("hf-home"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs what must succeed; gives standard output.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fine-tunes `train.csv` with the tiny model, and compares only where that is said; gives the results.
    #[track_caller]
    pub(crate) fn tune(&self, output: &str, more: &[&str]) -> Value {
        let model = model();
        let mut arguments = vec!["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", output, "--json"];
        arguments.extend(more);
        if !more.contains(&"--compare-seeds") {
            arguments.extend(["--compare-seeds", "0"]);
        }
        serde_json::from_str(&self.ok(&arguments)).unwrap()
    }

    /// Runs what must fail: exit code 1, nothing on standard output, one line with all `parts`, and a hint. Gives the
    /// hint.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], parts: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote {}", String::from_utf8_lossy(&output.stdout));
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{stderr}");
        for part in parts {
            assert!(errors[0].contains(part), "`{part}` is not in: {}", errors[0]);
        }
        let hint = stderr.lines().find_map(|line| line.strip_prefix("hint: "));
        let hint = hint.unwrap_or_else(|| panic!("no hint: {stderr}")).to_string();
        assert!(errors[0].len() + hint.len() < 2000, "longer than a screen: {stderr}");
        self.hint_works(arguments, errors[0], &hint);
        hint
    }

    /// The law of hints: each is sound shell; options, pasted behind the command, lead further.
    #[track_caller]
    fn hint_works(&self, arguments: &[&str], error: &str, hint: &str) {
        let quoted = |word: &&str| format!("'{}'", word.replace('\'', "'\\''"));
        let command = format!("\"$TOPWORK\" {}", arguments.iter().map(quoted).collect::<Vec<_>>().join(" "));
        let shell = |flags: &[&str], line: &str| {
            let copy = tempfile::tempdir().unwrap();
            let copied = Command::new("cp").arg("-r").arg(self.directory.path().join(".")).arg(copy.path()).status();
            assert!(copied.unwrap().success());
            let mut shell = Command::new("sh");
            shell.args(flags).arg("-c").arg(line).current_dir(copy.path()).stdin(Stdio::null());
            shell.env("TOPWORK", env!("CARGO_BIN_EXE_topwork")).env("HF_HUB_OFFLINE", "1");
            shell.env("HF_HOME", copy.path().join("hf-home")).output().unwrap()
        };
        let alone = (!hint.starts_with("--")).then(|| hint.to_string());
        for line in alone.into_iter().chain([format!("{command} {hint}")]) {
            let parsed = shell(&["-n"], &line);
            assert!(parsed.status.success(), "{line}: {}", String::from_utf8_lossy(&parsed.stderr));
        }
        if hint.starts_with("--") {
            let pasted = shell(&[], &format!("{command} {hint}"));
            let stderr = String::from_utf8_lossy(&pasted.stderr);
            assert!(!stderr.lines().any(|line| line == error), "the hint leads to the same error: {hint}: {error}");
            assert!(!stderr.contains("unexpected argument"), "the hint is no option: {hint}: {stderr}");
        }
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The events of a run of one kind.
    pub(crate) fn events(&self, output: &str, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(output).join("events.jsonl")).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == kind).collect()
    }

    /// The events of a run of one kind; none when the run left no log.
    pub(crate) fn events_if_any(&self, output: &str, kind: &str) -> Vec<Value> {
        if self.path(output).join("events.jsonl").exists() { self.events(output, kind) } else { Vec::new() }
    }

    /// The losses of all steps of a run.
    pub(crate) fn losses(&self, output: &str) -> Vec<f64> {
        self.events(output, "step").iter().map(|step| step["loss"].as_f64().unwrap()).collect()
    }
}

/// The rows of a page's table whose caption begins so, as text.
#[track_caller]
pub(crate) fn table(page: &str, caption: &str) -> Vec<Vec<String>> {
    let (_, after) = page.split_once(&format!("<caption><span>{caption}")).unwrap();
    let (_, body) = after.split_once("<tbody>").unwrap();
    let (body, _) = body.split_once("</tbody>").unwrap();
    let text = |cell: &str| {
        let html = cell.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<String>();
        html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
    };
    let row =
        |row: &str| row.replace("</th>", "</td>").split("</td>").map(text).map(|t| t.trim().to_string()).collect();
    let rows = body.split("</tr>").map(row).map(|mut cells: Vec<String>| {
        cells.pop();
        cells
    });
    rows.filter(|cells| !cells.is_empty()).collect()
}

/// Which word a text begins with decides its label.
fn rows(range: std::ops::Range<usize>) -> String {
    const WORDS: [&str; 3] = ["there", "people", "which"];
    const LABELS: [&str; 3] = ["place", "person", "choice"];
    const REST: [&str; 7] = ["is it", "were in the time", "was", "could do no more than this", "said", "go", "made up"];
    let row = |i: usize| format!("{} {} {} {},{}\n", WORDS[i % 3], REST[i % 7], REST[i / 7 % 7], i, LABELS[i % 3]);
    format!("text,label\n{}", range.map(row).collect::<String>())
}
