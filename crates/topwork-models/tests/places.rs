//! Folders and files around a model: each is opened at the right place, or refused with a command.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use topwork_models::{
    Checkpoint, HeadKind, HeadRule, HubSettings, Located, ModelConfig, ModelError, Pooling, TensorView, WeightOptions,
    Weights, load_tokenizer, locate, pooling_of, write_safetensors,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

const FILES: [&str; 4] = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/// Puts the tiny model at a path below a folder.
fn put(folder: &Path, place: &str) -> PathBuf {
    let directory = folder.join(place);
    std::fs::create_dir_all(&directory).unwrap();
    for name in FILES {
        std::fs::copy(fixtures().join("tiny-bert").join(name), directory.join(name)).unwrap();
    }
    directory
}

fn write(path: PathBuf, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn settings(home: &Path) -> HubSettings {
    HubSettings {
        cache: home.join("cache"),
        endpoint: "http://127.0.0.1:9".into(),
        token: None,
        offline: true,
        patience: Duration::from_secs(1),
        home: Some(home.to_path_buf()),
    }
}

fn found(path: &Path) -> Result<Located, ModelError> {
    locate(path.to_str().unwrap(), &settings(Path::new("/nowhere")))
}

/// The error of a folder, and its hint.
fn refused(path: &Path) -> (String, String) {
    let error = found(path).and_then(|found| Checkpoint::open(&found.directory).map(|_| ())).unwrap_err();
    (error.to_string(), error.hint().unwrap())
}

fn values(directory: &Path) -> Result<Weights, ModelError> {
    let config = ModelConfig::load(directory)?;
    let options = WeightOptions::of(HeadKind::Sequence { outputs: 3 }, HeadRule::Required);
    Weights::load(&Checkpoint::open(directory)?, &config, &options)
}

fn edited(directory: &Path, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let path = directory.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(config.as_object_mut().unwrap());
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_model_is_opened_as_it_is_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let model = put(folder.path(), "model");
    assert_eq!(found(&model).unwrap(), Located { directory: model, notes: Vec::new() });
}

#[test]
fn a_trainers_folder_is_opened_at_its_best_or_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["checkpoint-90", "checkpoint-100", "checkpoint-9"] {
        put(folder.path(), name);
    }
    std::fs::create_dir(folder.path().join("checkpoint-200")).unwrap();
    write(folder.path().join("checkpoint-last/config.json"), "{}");
    let last = found(folder.path()).unwrap();
    assert_eq!(last.directory, folder.path().join("checkpoint-100"));
    assert!(last.notes[0].contains("3 checkpoints, the last is taken"), "{:?}", last.notes);
    // The state is read from the last checkpoint, or from the folder itself.
    let best = json!({ "best_model_checkpoint": "/elsewhere/out/checkpoint-90" }).to_string();
    write(folder.path().join("checkpoint-100/trainer_state.json"), &best);
    let found_best = found(folder.path()).unwrap();
    assert_eq!(found_best.directory, folder.path().join("checkpoint-90"));
    assert!(found_best.notes[0].contains("the best by trainer_state.json"), "{:?}", found_best.notes);
    write(folder.path().join("trainer_state.json"), best.replace("90", "9"));
    assert_eq!(found(folder.path()).unwrap().directory, folder.path().join("checkpoint-9"));
    write(folder.path().join("trainer_state.json"), best.replace("checkpoint-90", "../../checkpoint-1"));
    assert_eq!(found(folder.path()).unwrap().directory, folder.path().join("checkpoint-100"));
    // A model at the top is the model.
    put(folder.path(), "");
    assert_eq!(found(folder.path()).unwrap().directory, folder.path());
}

#[test]
fn a_folder_of_the_hubs_cache_is_opened_at_the_snapshot_of_main() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("models--org--small");
    let only = put(&cache, "snapshots/aaa");
    assert_eq!(found(&cache).unwrap().directory, only);
    let main = put(&cache, "snapshots/bbb");
    let (text, hint) = refused(&cache);
    assert!(text.contains("refs/main") && hint.contains("snapshots/bbb"), "{text} {hint}");
    write(cache.join("refs/main"), "bbb\n");
    assert_eq!(found(&cache).unwrap().directory, main);
    for outside in ["../../elsewhere", "..", ""] {
        write(cache.join("refs/main"), outside);
        assert!(found(&cache).is_err(), "{outside}");
    }
}

/// With its pooling, which is said beside the encoder.
#[test]
fn a_pipeline_is_opened_at_its_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = put(folder.path(), "0_Transformer");
    let modules = |path: &str| {
        let list = json!([{ "idx": 0, "path": path, "type": "a.Transformer" }, { "idx": 1, "path": "1_Pooling", "type": "a.Pooling" }]);
        write(folder.path().join("modules.json"), list.to_string());
    };
    modules("0_Transformer");
    write(folder.path().join("1_Pooling/config.json"), json!({ "pooling_mode_mean_tokens": true }).to_string());
    let located = found(folder.path()).unwrap();
    assert_eq!(located.directory, encoder);
    assert!(located.notes[0].contains("sentence-transformers"), "{:?}", located.notes);
    let pooling = pooling_of(&encoder, &ModelConfig::load(&encoder).unwrap()).unwrap().unwrap();
    assert_eq!((pooling.pooling, pooling.file.as_str()), (Some(Pooling::MeanTokens), "../1_Pooling/config.json"));
    // Without the pooling nothing is known of it, and that is said.
    std::fs::remove_file(folder.path().join("1_Pooling/config.json")).unwrap();
    assert!(found(folder.path()).unwrap().notes[0].contains("without its 1_Pooling/config.json"));
    assert_eq!(pooling_of(&encoder, &ModelConfig::load(&encoder).unwrap()).unwrap(), None);
    // No way out of the folder.
    modules("../0_Transformer");
    assert_eq!(found(folder.path()).unwrap().directory, folder.path());
    assert_eq!(pooling_of(&encoder, &ModelConfig::load(&encoder).unwrap()).unwrap(), None);
}

#[test]
fn a_file_of_a_model_leads_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let model = put(folder.path(), "model");
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        let located = found(&model.join(name)).unwrap();
        assert_eq!(located.directory, model);
        assert!(located.notes[0].contains(name), "{:?}", located.notes);
    }
    // Other weights than those that the folder is read by.
    std::fs::copy(fixtures().join("pytorch/model/pytorch_model.bin"), model.join("pytorch_model.bin")).unwrap();
    let (text, hint) = refused(&model.join("pytorch_model.bin"));
    assert!(text.contains("model.safetensors is read") && hint.contains("give the folder"), "{text} {hint}");
    write(folder.path().join("rows.csv"), "text,label\n");
    assert!(refused(&folder.path().join("rows.csv")).0.contains("without config.json beside it"));
}

#[test]
fn the_users_folder_may_be_a_tilde() {
    let folder = tempfile::tempdir().unwrap();
    let model = put(folder.path(), "models/small");
    let settings = settings(folder.path());
    assert_eq!(locate("~/models/small", &settings).unwrap().directory, model);
    let error = locate("~/models/none", &settings).unwrap_err().to_string();
    assert!(error.contains(&folder.path().join("models/none").display().to_string()), "{error}");
}

#[test]
fn an_adapter_is_answered_with_the_command_that_merges_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({ "base_model_name_or_path": "org/base", "peft_type": "LORA", "task_type": "SEQ_CLS" });
    write(folder.path().join("adapter_config.json"), config.to_string());
    let head = TensorView { name: "base_model.model.classifier.weight", shape: &[5, 2], data: &[0.0; 10] };
    write_safetensors(&folder.path().join("adapter_model.safetensors"), &[head]).unwrap();
    let (text, hint) = refused(folder.path());
    assert!(text.contains("an adapter (LORA) of org/base"), "{text}");
    for part in ["AutoPeftModelForSequenceClassification", "num_labels=5", "merge_and_unload", "'org/base'", "-merged'"]
    {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    // Beside a configuration, too; beside a whole model it is said.
    std::fs::copy(fixtures().join("tiny-bert/config.json"), folder.path().join("config.json")).unwrap();
    assert_eq!(refused(folder.path()).0, text);
    put(folder.path(), "");
    assert!(found(folder.path()).unwrap().notes[0].contains("not applied"));
}

#[test]
fn weights_of_other_programs_are_named_with_what_to_do() {
    for (file, format, part) in [
        ("tf_model.h5", "TensorFlow", "load_tf2_checkpoint_in_pytorch_model"),
        ("flax_model.msgpack", "Flax", "load_flax_checkpoint_in_pytorch_model"),
        ("onnx/model.onnx", "ONNX", "hf download 'org/source' model.safetensors"),
        ("model_q4.gguf", "GGUF", "hf download"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let model = put(folder.path(), "m");
        std::fs::remove_file(model.join("model.safetensors")).unwrap();
        edited(&model, |config| _ = config.insert("_name_or_path".into(), json!("org/source")));
        write(model.join(file), "weights");
        let (text, hint) = refused(&model);
        assert!(text.contains(file) && text.contains(format) && hint.contains(part), "{text} {hint}");
        // They do not matter where there are others.
        put(folder.path(), "m");
        assert_eq!(found(&model).unwrap().notes, [""; 0]);
    }
}

#[test]
fn pointers_and_pages_are_named() {
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n";
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        let model = put(folder.path(), "model");
        write(model.join(name), POINTER);
        let error = found(&model).map(|found| found.directory).and_then(|directory| {
            ModelConfig::load(&directory)?;
            Checkpoint::open(&directory)?;
            load_tokenizer(&directory)
        });
        let error = error.unwrap_err();
        assert!(
            error.to_string().contains(name) && error.to_string().contains("a Git LFS pointer to 90868376 bytes"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(&format!("hf download ORG/NAME {name}")), "{:?}", error.hint());
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        let hint = found(&model)
            .and_then(|_| {
                ModelConfig::load(&model)?;
                Checkpoint::open(&model)?;
                load_tokenizer(&model)
            })
            .unwrap_err()
            .hint()
            .unwrap();
        assert_eq!(hint, format!("git lfs install && git -C '{}' lfs pull", model.display()));
        std::fs::remove_dir(folder.path().join(".git")).unwrap();
    }
    let model = put(folder.path(), "page");
    write(model.join("model.safetensors"), "\n<!DOCTYPE html><html><body>Sign in</body></html>");
    let (text, hint) = refused(&model);
    assert!(text.contains("a web page") && hint.contains("rm "), "{text} {hint}");
    // Weights under the name of the other kind.
    std::fs::copy(fixtures().join("pytorch/model/pytorch_model.bin"), model.join("model.safetensors")).unwrap();
    let (text, hint) = refused(&model);
    assert!(
        text.contains("a file of PyTorch") && hint.starts_with("mv ") && hint.ends_with("pytorch_model.bin'"),
        "{text} {hint}"
    );
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    std::fs::copy(fixtures().join("tiny-bert/model.safetensors"), model.join("pytorch_model.bin")).unwrap();
    let (text, hint) = refused(&model);
    assert!(text.contains("a file of safetensors") && hint.ends_with("model.safetensors'"), "{text} {hint}");
}

#[test]
fn a_configuration_without_a_type_is_read_by_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let model = put(folder.path(), "model");
    let expected = values(&model).unwrap().tensors;
    edited(&model, |config| _ = config.shift_remove("model_type"));
    let located = found(&model).unwrap();
    assert!(located.notes[0].contains("no model_type; bert by its architectures"), "{:?}", located.notes);
    assert_eq!(values(&model).unwrap().tensors, expected);
    assert_eq!(ModelConfig::load(&model).unwrap().raw["model_type"], "bert");
    // Without classes the type is guessed by the weights, and the user decides.
    edited(&model, |config| _ = config.shift_remove("architectures"));
    let error = ModelConfig::load(&model).unwrap_err();
    assert!(error.to_string().contains("model_type"), "{error}");
    assert!(error.hint().unwrap().ends_with("config.json' bert"), "{:?}", error.hint());
    let other = fixtures().join("families/distilbert-sequence");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(other.join(name), model.join(name)).unwrap();
    }
    edited(&model, |config| config.retain(|key, _| key != "model_type" && key != "architectures"));
    assert!(ModelConfig::load(&model).unwrap_err().hint().unwrap().ends_with("config.json' distilbert"));
}

/// The tiny model as PyTorch saves it, in half precision.
fn pytorch_model(folder: &TempDir) -> PathBuf {
    let model = put(folder.path(), "model");
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    std::fs::copy(fixtures().join("pytorch/model/pytorch_model.bin"), model.join("pytorch_model.bin")).unwrap();
    model
}

#[test]
fn weights_of_pytorch_load_like_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let expected = values(&fixtures().join("tiny-bert")).unwrap();
    let rounded: Vec<Vec<f32>> = expected
        .tensors
        .iter()
        .map(|tensor| tensor.iter().map(|value| half::f16::from_f32(*value).to_f32()).collect())
        .collect();
    let model = pytorch_model(&folder);
    let own = values(&model).unwrap();
    assert_eq!(own.tensors, rounded);
    assert_eq!(own.report, expected.report);
    // Under another name, and with what a trainer leaves beside it.
    std::fs::rename(model.join("pytorch_model.bin"), model.join("best.pt")).unwrap();
    for name in ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"] {
        write(model.join(name), "no weights");
    }
    let own = values(&model).unwrap();
    assert_eq!(own.tensors, rounded);
    assert_eq!(own.report.notes, ["the weights are read from best.pt, the only ones in the folder"]);
    // Two are one too many.
    std::fs::copy(model.join("best.pt"), model.join("last.pt")).unwrap();
    let (text, hint) = refused(&model);
    assert!(text.contains("best.pt, last.pt") && hint.contains("cp "), "{text} {hint}");
    // Safetensors are read before all of them.
    put(folder.path(), "model");
    assert_eq!(values(&model).unwrap().tensors, expected.tensors);
}

#[test]
fn parts_of_pytorch_are_read_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let model = pytorch_model(&folder);
    let names: Vec<String> = Checkpoint::open(&model).unwrap().names().map(str::to_string).collect();
    let expected = values(&model).unwrap().tensors;
    std::fs::rename(model.join("pytorch_model.bin"), model.join("pytorch_model-00001-of-00001.bin")).unwrap();
    let index = |names: &[String], file: &str| {
        let map: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), json!(file))).collect();
        write(model.join("pytorch_model.bin.index.json"), json!({ "metadata": {}, "weight_map": map }).to_string());
    };
    index(&names, "pytorch_model-00001-of-00001.bin");
    assert_eq!(values(&model).unwrap().tensors, expected);
    assert_eq!(found(&model.join("pytorch_model-00001-of-00001.bin")).unwrap().directory, model);
    index(&names[1..], "pytorch_model-00001-of-00001.bin");
    assert!(refused(&model).0.contains(&names[0]));
    index(&names, "../pytorch_model.bin");
    assert!(refused(&model).0.contains("weight_map"));
}

/// Values of every type and layout, through the front door.
#[test]
fn tensors_of_pytorch_are_those_of_safetensors() {
    let folder = fixtures().join("pytorch");
    let expected = Checkpoint::open_file(&folder.join("expected.safetensors")).unwrap();
    for name in ["zip.pt", "legacy.pt", "deflated.pt", "zip64.pt", "protocol4.pt", "big_endian.pt"] {
        let own = Checkpoint::open_file(&folder.join(name)).unwrap();
        for key in own.names() {
            assert_eq!((own.shape(key), own.dtype(key)), (expected.shape(key), expected.dtype(key)), "{name}: {key}");
            match (own.read_f32(key), expected.read_f32(key)) {
                (Ok(own), Ok(expected)) => assert_eq!(own, expected, "{name}: {key}"),
                (own, expected) => assert!(own.is_err() && expected.is_err(), "{name}: {key}"),
            }
        }
    }
}

#[test]
fn prefixes_and_leftovers_are_left_off_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let model = put(folder.path(), "model");
    let checkpoint = Checkpoint::open(&model).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = checkpoint
        .names()
        .map(|name| (name.to_string(), checkpoint.shape(name).unwrap().to_vec(), checkpoint.read_f32(name).unwrap()))
        .collect();
    let expected = values(&model).unwrap().tensors;
    for prefix in ["module.", "_orig_mod.", "model.", "encoder.", "module.encoder."] {
        let names: Vec<String> = tensors.iter().map(|(name, ..)| format!("{prefix}{name}")).collect();
        let mut views: Vec<TensorView<'_>> =
            names.iter().zip(&tensors).map(|(name, (_, shape, data))| TensorView { name, shape, data }).collect();
        views.push(TensorView { name: "loss_fct.weight", shape: &[3], data: &[1.0; 3] });
        write_safetensors(&model.join("model.safetensors"), &views).unwrap();
        let own = values(&model).unwrap();
        assert_eq!(own.tensors, expected, "{prefix}");
        assert!(prefix.starts_with(own.report.notes[0].split(' ').next().unwrap()), "{:?}", own.report.notes);
        assert!(own.report.ignored.iter().any(|(key, reason)| key == "loss_fct.weight" && reason.contains("loss")));
    }
}
