//! Laws of reading and writing model directories, on the committed tiny model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use topwork_models::{
    Block, Checkpoint, FAMILIES, HeadKind, HeadRule, ModelConfig, ModelError, ProblemType, Sizes, TensorView,
    WeightOptions, Weights, check_tokenizer, checkpoint_has, load_tokenizer, save_config, save_tokenizer,
    write_safetensors,
};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert")
}

/// A copy of the tiny model that a test may spoil.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        std::fs::copy(fixture().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors(directory: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(directory).unwrap();
    let names: Vec<String> = checkpoint.names().map(str::to_string).collect();
    names
        .into_iter()
        .map(|name| {
            let (shape, values) = (checkpoint.shape(&name).unwrap().to_vec(), checkpoint.read_f32(&name).unwrap());
            (name, shape, values)
        })
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let views: Vec<TensorView<'_>> =
        tensors.iter().map(|(name, shape, data)| TensorView { name, shape, data }).collect();
    write_safetensors(path, &views).unwrap();
}

/// The tiny model with its tensors changed.
fn changed(change: impl FnOnce(&mut Tensors)) -> TempDir {
    let folder = copy();
    let mut all = tensors(folder.path());
    change(&mut all);
    write(&folder.path().join("model.safetensors"), &all);
    folder
}

fn load(directory: &Path, classes: usize, head_rule: HeadRule) -> Result<Weights, ModelError> {
    load_with(directory, HeadKind::Sequence { outputs: classes }, head_rule)
}

fn load_with(directory: &Path, head: HeadKind, head_rule: HeadRule) -> Result<Weights, ModelError> {
    let config = ModelConfig::load(directory)?;
    Weights::load(
        &Checkpoint::open(directory)?,
        &config,
        &WeightOptions { seed: 3, ..WeightOptions::of(head, head_rule) },
    )
}

#[test]
fn every_spelling_of_the_same_checkpoint_loads_the_same_values() {
    let expected = load(&fixture(), 3, HeadRule::Required).unwrap().tensors;
    let gamma_and_beta = changed(|all| {
        for (name, _, _) in all {
            *name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        }
    });
    let without_prefix = changed(|all| {
        for (name, _, _) in all {
            *name = name.replace("bert.", "");
        }
    });
    let with_leftovers = changed(|all| {
        all.push(("bert.embeddings.position_ids".into(), vec![1, 2], vec![0.0, 1.0]));
        all.push(("cls.predictions.bias".into(), vec![2], vec![0.0, 1.0]));
        all.push(("cls.seq_relationship.bias".into(), vec![2], vec![0.0, 1.0]));
    });
    for folder in [gamma_and_beta, without_prefix, with_leftovers] {
        assert_eq!(load(folder.path(), 3, HeadRule::Required).unwrap().tensors, expected);
    }
}

/// As they are saved from several devices, when compiled, from a trainer, and as the first part of a pipeline.
#[test]
fn what_holds_a_model_may_stand_before_its_keys() {
    let expected = load(&fixture(), 3, HeadRule::Required).unwrap().tensors;
    let prefixed = |prefix: &str, strangers: usize| {
        changed(|all| {
            all.iter_mut().for_each(|(name, ..)| *name = format!("{prefix}{name}"));
            all.extend((0..strangers).map(|number| (format!("stranger.{number}"), vec![1], vec![0.0])));
        })
    };
    for prefix in ["module.", "_orig_mod.", "model.", "0.auto_model.", "module._orig_mod.", "model.model."] {
        let folder = prefixed(prefix, 0);
        assert_eq!(load(folder.path(), 3, HeadRule::Required).unwrap().tensors, expected, "{prefix}");
    }
    // Without the model's own name as well, and with a head beside it.
    let bare = changed(|all| {
        for (name, ..) in all.iter_mut() {
            *name = match name.strip_prefix("bert.") {
                Some(inner) => format!("model.{inner}"),
                None => name.clone(),
            };
        }
    });
    assert_eq!(load(bare.path(), 3, HeadRule::Required).unwrap().tensors, expected);
    // What else the file holds is named, and only that.
    let error = load(prefixed("model.", 2).path(), 3, HeadRule::Required).unwrap_err().to_string();
    assert!(error.contains("found stranger.0, stranger.1, which"), "{error}");
    assert!(!error.contains("bert."), "{error}");
    // Many others, or two tensors that would have one name.
    let names = |folder: &TempDir| -> Vec<String> {
        Checkpoint::open(folder.path()).unwrap().names().map(String::from).collect()
    };
    let kept = |names: &[String]| names.iter().filter(|name| name.starts_with("model.")).count();
    let many = names(&prefixed("model.", 20));
    assert_eq!(kept(&many) + 20, many.len());
    let twice = changed(|all| {
        let twin = all[0].clone();
        all.iter_mut().for_each(|(name, ..)| *name = format!("model.{name}"));
        all.push(twin);
    });
    let twice = names(&twice);
    assert_eq!(kept(&twice) + 1, twice.len());
    // Files that are not models are read as they are.
    let file = prefixed("model.", 0);
    let whole = Checkpoint::open_file(&file.path().join("model.safetensors")).unwrap();
    assert!(whole.names().all(|name| name.starts_with("model.")));
}

/// A pre-training head may be spelt with its tied decoder, or miss; half of it is a damaged file.
#[test]
fn pretraining_heads_are_loaded_made_or_refused() {
    let head = HeadKind::Pretraining { pairs: true, pooler: true };
    let fresh = load_with(&fixture(), head, HeadRule::LoadIfShapeFits).unwrap();
    let new: Vec<&str> = fresh.report.new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(new.len(), 7, "{new:?}");
    assert!(new.iter().all(|name| name.starts_with("cls.")), "{new:?}");
    assert!(fresh.report.ignored.iter().any(|(key, _)| key == "classifier.weight"));

    let config = ModelConfig::load(&fixture()).unwrap();
    let specs = config.specs(head).unwrap();
    let words = specs.iter().position(|spec| spec.name == "bert.embeddings.word_embeddings.weight").unwrap();
    let with_head = |bias_key: &str| {
        changed(|all| {
            all.retain(|(name, _, _)| !name.starts_with("classifier"));
            for (spec, values) in specs.iter().zip(&fresh.tensors).filter(|(spec, _)| spec.block == Block::Head) {
                let name = if spec.name == "cls.predictions.bias" { bias_key } else { &spec.name };
                all.push((name.to_string(), spec.shape.clone(), values.clone()));
            }
            all.push((
                "cls.predictions.decoder.weight".into(),
                specs[words].shape.clone(),
                fresh.tensors[words].clone(),
            ));
        })
    };
    for bias_key in ["cls.predictions.bias", "cls.predictions.decoder.bias"] {
        let again = load_with(with_head(bias_key).path(), head, HeadRule::Required).unwrap();
        assert_eq!(again.tensors, fresh.tensors);
    }
    let words_only = HeadKind::Pretraining { pairs: false, pooler: true };
    let again = load_with(with_head("cls.predictions.bias").path(), words_only, HeadRule::Required).unwrap();
    assert!(again.report.ignored.iter().any(|(key, _)| key == "cls.seq_relationship.weight"));
    let half = changed(|all| all.push(("cls.seq_relationship.bias".into(), vec![2], vec![0.0, 0.0])));
    let error = load_with(half.path(), head, HeadRule::LoadIfShapeFits).unwrap_err().to_string();
    assert!(error.contains("cls.seq_relationship.weight"), "{error}");
}

#[test]
fn shards_and_half_precision_load_like_one_file() {
    let folder = copy();
    let all = tensors(folder.path());
    let (first, second) = all.split_at(20);
    write(&folder.path().join("model-00001-of-00002.safetensors"), &first.to_vec());
    write(&folder.path().join("model-00002-of-00002.safetensors"), &second.to_vec());
    let shard = |names: &[(String, Vec<usize>, Vec<f32>)], file: &str| {
        names.iter().map(|(name, ..)| (name.clone(), json!(file))).collect::<serde_json::Map<_, _>>()
    };
    let mut map = shard(first, "model-00001-of-00002.safetensors");
    map.extend(shard(second, "model-00002-of-00002.safetensors"));
    let index = json!({ "metadata": {}, "weight_map": map });
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let expected = load(&fixture(), 3, HeadRule::Required).unwrap().tensors;
    assert_eq!(load(folder.path(), 3, HeadRule::Required).unwrap().tensors, expected);

    let header = br#"{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"y":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0x80, 0x3f, 0x20, 0xc0, 0x00, 0x3c, 0x00, 0xc1]);
    let path = folder.path().join("half.safetensors");
    std::fs::write(&path, file).unwrap();
    let half = Checkpoint::open_file(&path).unwrap();
    assert_eq!(half.read_f32("x").unwrap(), [1.0, -2.5]);
    assert_eq!(half.read_f32("y").unwrap(), [1.0, -2.5]);
}

#[test]
fn a_missing_pooler_and_a_new_head_start_afresh_and_say_so() {
    let folder = changed(|all| all.retain(|(name, ..)| !name.contains("pooler")));
    let loaded = load(folder.path(), 5, HeadRule::New("the labels are others")).unwrap();
    let new: Vec<&str> = loaded.report.new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(new, ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"]);
    let again = load(folder.path(), 5, HeadRule::New("the labels are others")).unwrap();
    assert_eq!(loaded.tensors, again.tensors, "new weights are a function of the seed");
    assert!(load(folder.path(), 3, HeadRule::Required).is_err(), "a classifier needs its pooler");
}

#[test]
fn keys_that_no_rule_names_are_errors() {
    let error = load(changed(|all| all[3].0 = "bert.unheard_of".into()).path(), 3, HeadRule::Required).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("bert.unheard_of") && text.contains("found nothing"), "{text}");
    let both = changed(|all| {
        let twin = all.iter().find(|(name, ..)| name.ends_with("LayerNorm.weight")).unwrap().clone();
        all.push((twin.0.replace("weight", "gamma"), twin.1, twin.2));
    });
    let error = load(both.path(), 3, HeadRule::Required).unwrap_err();
    assert!(matches!(error, ModelError::DuplicateKey { .. }), "{error}");
}

#[test]
fn wrong_shapes_are_named() {
    let folder = changed(|all| {
        let (_, shape, values) = all.iter_mut().find(|(name, ..)| name.ends_with("query.weight")).unwrap();
        (*shape, *values) = (vec![16, 8], vec![0.0; 128]);
    });
    let text = load(folder.path(), 3, HeadRule::Required).unwrap_err().to_string();
    assert!(text.contains("query.weight") && text.contains("[16, 16]") && text.contains("[16, 8]"), "{text}");
}

#[test]
fn damaged_files_are_errors_that_name_them() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 5, 8, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("model.safetensors") && error.hint().is_some(), "{keep}: {error}");
    }
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    std::fs::write(&path, huge).unwrap();
    assert!(Checkpoint::open(folder.path()).is_err());
    let nan = changed(|all| all[0].2[1] = f32::NAN);
    assert!(matches!(load(nan.path(), 3, HeadRule::Required).unwrap_err(), ModelError::NotFinite { element: 1, .. }));
}

#[test]
fn absent_files_are_named() {
    let folder = copy();
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(matches!(Checkpoint::open(folder.path()).unwrap_err(), ModelError::MissingFile { .. }));
    std::fs::write(folder.path().join("pytorch_model.bin"), b"\x80\x02").unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::RefusedPickle { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("python3 -c"));
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    std::fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    assert!(matches!(load_tokenizer(folder.path()).unwrap_err(), ModelError::MissingFile { .. }));
}

#[test]
fn a_configuration_that_cannot_be_computed_is_refused() {
    let refused = |key: &str, value: Value, parts: &[&str]| {
        let folder = copy();
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(&path, config.to_string()).unwrap();
        let text = ModelConfig::load(folder.path()).unwrap_err().to_string();
        for part in parts.iter().chain(&["config.json", key]) {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    };
    refused("model_type", json!("gpt2"), &["bert", "gpt2"]);
    refused("hidden_size", json!(0), &["positive integer"]);
    refused("hidden_size", Value::Null, &["found nothing"]);
    refused("num_attention_heads", json!(5), &["divisor"]);
    refused("hidden_act", json!("silu"), &["silu"]);
    refused("position_embedding_type", json!("relative_key"), &["absolute"]);
    refused("is_decoder", json!(true), &["encoder"]);
}

/// Training replaces the labels; only who predicts needs those of the file.
#[test]
fn labels_without_their_ids_are_no_labels() {
    let config = |labels: Value| {
        let mut raw: Value = serde_json::from_slice(&std::fs::read(fixture().join("config.json")).unwrap()).unwrap();
        raw["id2label"] = labels;
        ModelConfig::parse(Path::new("config.json"), raw).unwrap()
    };
    let head = HeadKind::Sequence { outputs: 2 };
    let [first, second] = ["a", "b"].map(String::from);
    for labels in [json!({ "1": "a", "2": "b" }), json!({ "0": "a", "2": "b" })] {
        let config = config(labels);
        assert_eq!(config.labels(), None);
        let rule =
            config.head_rule(head, &[first.clone(), second.clone()], Some(ProblemType::SingleLabelClassification));
        assert_eq!(rule, HeadRule::New("the checkpoint names no labels"));
        let error = config.check_labels(Path::new("model")).unwrap_err();
        let text = error.to_string();
        for part in ["model/config.json", "id2label", "\"0\", \"1\"", "\"2\":\"b\""] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(error.hint().is_some());
    }
    let numbers = config(json!({ "0": 0, "1": 1 }));
    assert_eq!(numbers.labels().unwrap(), ["0", "1"]);
    numbers.check_labels(Path::new("model")).unwrap();
    config(Value::Null).check_labels(Path::new("model")).unwrap();
}

/// In every family: what computes something else under the family's name, and sizes that do not fit.
#[test]
fn every_family_refuses_what_it_cannot_compute_and_names_the_key() {
    for family in FAMILIES {
        let sizes = Sizes {
            vocab_size: 40,
            hidden_size: 12,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            intermediate_size: 20,
            max_tokens: 9,
            type_vocab_size: Some(1),
            pad_token_id: 1,
        };
        let [heads, activation] = match family.name {
            "distilbert" => ["n_heads", "activation"],
            _ => ["num_attention_heads", "hidden_act"],
        };
        let path = Path::new("config.json");
        let changed = |key: &str, value: Value| {
            let mut raw = (family.new_config)(&sizes);
            raw[key] = value;
            ModelConfig::parse(path, raw)
        };
        assert_eq!(changed("comment", json!("none")).unwrap().description().name, family.name);
        for (key, value) in [
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("add_cross_attention", json!(true)),
            ("vocab_size", Value::Null),
            ("max_position_embeddings", json!(0)),
            ("pad_token_id", json!("none")),
            ("problem_type", json!(3)),
            ("id2label", json!("a")),
            (heads, json!(5)),
            (activation, json!("silu")),
        ] {
            let error = changed(key, value).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("config.json"), "{}: {error}", family.name);
        }
    }
}

#[test]
fn the_blocks_that_a_checkpoint_has_are_known() {
    let has = |name: &str, head, block| {
        let directory = fixture().join("..").join(name);
        checkpoint_has(&Checkpoint::open(&directory).unwrap(), &ModelConfig::load(&directory).unwrap(), head, block)
    };
    let with_pooler = HeadKind::Pretraining { pairs: false, pooler: true };
    for (name, words, pooler) in [
        ("tiny-bert", false, true),
        ("tiny-bert-pretraining", true, true),
        ("families/bert-token", false, false),
        ("families/roberta-masked-words", true, false),
        ("families/distilbert-masked-words", true, false),
        ("families/variants/roberta-with-copies", true, false),
        ("families/variants/roberta-without-prefix", false, true),
    ] {
        assert_eq!(has(name, HeadKind::MASKED_WORDS, Block::Head), words, "{name}: words");
        assert_eq!(has(name, with_pooler, Block::Final), pooler, "{name}: a pooler");
    }
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_refused() {
    let tokenizer = load_tokenizer(&fixture()).unwrap();
    check_tokenizer(&fixture(), &tokenizer, 140).unwrap();
    let error = check_tokenizer(&fixture(), &tokenizer, 139).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("tokenizer.json") && text.contains("139"), "{text}");
}

#[test]
fn vocab_txt_alone_tokenizes_like_tokenizer_json() {
    let folder = copy();
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let (full, plain) = (load_tokenizer(&fixture()).unwrap(), load_tokenizer(folder.path()).unwrap());
    for (text, pair) in
        [("How MANY people, were there?", None), ("Größe 🍎 naïve", None), ("", None), ("a b", Some("it is"))]
    {
        let encode = |tokenizer: &tokenizers::Tokenizer| match pair {
            Some(pair) => tokenizer.encode((text, pair), true).unwrap(),
            None => tokenizer.encode(text, true).unwrap(),
        };
        assert_eq!(encode(&full).get_ids(), encode(&plain).get_ids(), "{text}");
        assert_eq!(encode(&full).get_type_ids(), encode(&plain).get_type_ids(), "{text}");
    }
}

#[test]
fn saving_what_was_loaded_and_loading_it_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let labels = ["no", "yes", "it's \"so\""].map(String::from);
    let mut from = fixture();
    for to in [&first, &second] {
        std::fs::create_dir(to).unwrap();
        write(&to.join("model.safetensors"), &tensors(&from));
        let head = HeadKind::Sequence { outputs: labels.len() };
        let problem = Some(ProblemType::SingleLabelClassification);
        let config = ModelConfig::load(&from).unwrap().for_head(head, &labels, problem).unwrap();
        save_config(to, &config).unwrap();
        save_tokenizer(&from, to, &load_tokenizer(&from).unwrap(), 24).unwrap();
        from = to.clone();
    }
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&first), names(&second));
    for name in names(&first) {
        assert_eq!(std::fs::read(first.join(&name)).unwrap(), std::fs::read(second.join(&name)).unwrap(), "{name:?}");
    }
    assert_eq!(ModelConfig::load(&second).unwrap().labels().unwrap(), labels);
    assert_eq!(tensors(&second), tensors(&fixture()));
}

/// As `transformers` 5.24.0 has it: the settings say whether the model gets them, else the class, else the family.
#[test]
fn a_pair_has_segments_only_where_transformers_gives_them() {
    let folder = copy();
    let said = |settings: &Value| {
        std::fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
        let tokenizer = load_tokenizer(folder.path()).unwrap();
        let pair = tokenizer.encode(("how many people", "there were"), true).unwrap();
        assert_eq!(pair.get_ids(), [2, 104, 110, 133, 3, 92, 89, 3]);
        pair.get_type_ids().to_vec()
    };
    let (both, none) = (vec![0, 0, 0, 0, 0, 1, 1, 1], vec![0; 8]);
    let class = |name: &str| json!({ "tokenizer_class": name });
    for name in ["BertTokenizer", "BertTokenizerFast", "ElectraTokenizerFast"] {
        assert_eq!(said(&class(name)), both, "{name}");
    }
    for name in ["DistilBertTokenizer", "DistilBertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend"] {
        assert_eq!(said(&class(name)), none, "{name}");
    }
    let named = |class: &str, names: &[&str]| json!({ "tokenizer_class": class, "model_input_names": names });
    assert_eq!(said(&named("BertTokenizer", &["input_ids", "attention_mask"])), none);
    assert_eq!(said(&named("PreTrainedTokenizerFast", &["input_ids", "token_type_ids"])), both);
    assert_eq!(said(&json!({})), both);

    // Another way to write the same down, which has no place for a segment.
    let path = folder.path().join("tokenizer.json");
    let mut whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fixed = json!({ "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] });
    let offsets = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true });
    for processor in [fixed.clone(), json!({ "type": "Sequence", "processors": [offsets, fixed] })] {
        whole["post_processor"] = processor;
        std::fs::write(&path, whole.to_string()).unwrap();
        assert_eq!(said(&class("BertTokenizer")), both);
        assert_eq!(said(&class("PreTrainedTokenizerFast")), none);
    }

    // What is saved says the same to who reads `tokenizer.json` alone.
    let target = tempfile::tempdir().unwrap();
    save_tokenizer(folder.path(), target.path(), &load_tokenizer(folder.path()).unwrap(), 24).unwrap();
    let saved = tokenizers::Tokenizer::from_file(target.path().join("tokenizer.json")).unwrap();
    assert_eq!(saved.encode(("how many people", "there were"), true).unwrap().get_type_ids(), none);
}

/// `transformers` fills up a batch only with a token that the settings name, and gives a pair segments only where they say
/// so.
#[test]
fn settings_that_a_model_lacks_are_written_when_it_is_saved() {
    let saved = |family: &str, source: &str, max_length: usize| -> Value {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fixtures = fixture().join("..");
        std::fs::copy(fixtures.join(family).join("config.json"), from.path().join("config.json")).unwrap();
        let tokenizer = load_tokenizer(&fixtures.join(source)).unwrap();
        std::fs::write(from.path().join("tokenizer.json"), tokenizer.to_string(false).unwrap()).unwrap();
        save_tokenizer(from.path(), to.path(), &tokenizer, max_length).unwrap();
        serde_json::from_slice(&std::fs::read(to.path().join("tokenizer_config.json")).unwrap()).unwrap()
    };
    let mut expected = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 24,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    });
    assert_eq!(saved("tiny-bert", "tiny-bert", 24), expected);
    expected["model_input_names"] = json!(["input_ids", "attention_mask"]);
    assert_eq!(saved("families/distilbert-sequence", "tiny-bert", 24), expected);
    let expected = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 9,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": "<mask>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    });
    assert_eq!(saved("families/roberta-sequence", "tokenizers/roberta", 9), expected);
}

/// Where a tokenizer cuts is part of the model; how long its texts were is not.
#[test]
fn the_side_on_which_texts_are_cut_is_kept() {
    use tokenizers::TruncationDirection;
    let folder = copy();
    let direction = || load_tokenizer(folder.path()).unwrap().get_truncation().map(|t| (t.direction, t.max_length));
    assert_eq!(direction(), None);
    let settings = folder.path().join("tokenizer_config.json");
    let mut content: serde_json::Value = serde_json::from_slice(&std::fs::read(&settings).unwrap()).unwrap();
    content["truncation_side"] = "left".into();
    std::fs::write(&settings, content.to_string()).unwrap();
    assert_eq!(direction(), Some((TruncationDirection::Left, usize::MAX)));
    content["truncation_side"] = "middle".into();
    std::fs::write(&settings, content.to_string()).unwrap();
    let error = load_tokenizer(folder.path()).unwrap_err().to_string();
    assert!(error.contains("truncation_side") && error.contains("middle"), "{error}");
}
