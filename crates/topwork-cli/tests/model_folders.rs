//! Folders around a model, through the command.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Folder, model};

/// What a trainer leaves: the model in numbered folders.
#[test]
fn a_trainers_folder_is_tuned_and_predicted_with() {
    let folder = Folder::new();
    folder.tune("tuned", &["--max-steps", "1"]);
    std::fs::create_dir(folder.path("trainer")).unwrap();
    std::fs::rename(folder.path("tuned"), folder.path("trainer/checkpoint-1")).unwrap();
    let output = folder.run(&["predict", "trainer", "train.csv"]);
    assert!(output.status.success());
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        notes.contains("note: trainer: a trainer's folder with one checkpoint; trainer/checkpoint-1 is opened"),
        "{notes}"
    );
    assert!(!output.stdout.is_empty());
}

/// Older models work as they are.
#[test]
fn weights_of_pytorch_are_tuned() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("old")).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(model().join(name), folder.path("old").join(name)).unwrap();
    }
    let weights = model().join("../pytorch/model/pytorch_model.bin");
    std::fs::copy(weights, folder.path("old/pytorch_model.bin")).unwrap();
    let output = folder.run(&[
        "tune",
        "train.csv",
        "--model",
        "old",
        "--output",
        "out",
        "--max-steps",
        "1",
        "--compare-seeds",
        "0",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path("out/model.safetensors").is_file());
}
