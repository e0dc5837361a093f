//! Laws of going on elsewhere: from another directory, in a directory that was moved, with a training file that was moved.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, model};

/// A folder with a run in `out` that was interrupted.
fn interrupted() -> Folder {
    let folder = Folder::new();
    let model = model();
    let mut command = folder.command(&["tune", "train.csv", "--model", model.to_str().unwrap(), "--output", "out"]);
    command.args(["--epochs", "400", "--compare-seeds", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let has_begun =
        || std::fs::read_to_string(folder.path("out/events.jsonl")).is_ok_and(|text| text.contains("\"step\""));
    while !has_begun() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the run did not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    folder
}

#[test]
fn a_run_goes_on_from_another_directory_and_where_it_was_moved_to() {
    let folder = interrupted();
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::fs::rename(folder.path("out"), folder.path("moved")).unwrap();
    let mut command = folder.command(&["tune", "--resume", "../moved", "--json"]);
    let output = command.current_dir(folder.path("elsewhere")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path("moved/model.safetensors").exists() && !folder.path("moved/checkpoint").exists());
}

#[test]
fn a_training_file_may_have_moved_but_not_changed() {
    let folder = interrupted();
    std::fs::rename(folder.path("train.csv"), folder.path("rows.csv")).unwrap();
    folder.fails(&["tune", "--resume", "out"], &["train.csv", "no such file"]);
    folder.write("other.csv", folder.bytes("test.csv"));
    folder.fails(&["tune", "other.csv", "--resume", "out"], &["train_sha256"]);
    folder.fails(&["tune", "rows.csv", "--resume", "out", "--epochs", "2"], &["--resume", "--epochs"]);
    folder.ok(&["tune", "rows.csv", "--resume", "out"]);
    assert!(folder.path("out/model.safetensors").exists());
}
