//! A model whose head reads the mean of the tokens is saved with a layer that computes it: a program that reads first tokens alone
//! gives the same outputs, and here the layer is taken off again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod new_models;

use std::path::Path;

use new_models::new_config;
use serde_json::{Value, json};
use tempfile::TempDir;
use topwork_engine::{Mode, Parameters, Pool, Sequences, Tape};
use topwork_models::{
    Checkpoint, FAMILIES, HeadKind, HeadRule, MEAN_LAYER, Model, ModelConfig, ModelOptions, Pooling, TensorView,
    WeightOptions, Weights, save_config, write_safetensors,
};

const HEAD: HeadKind = HeadKind::Sequence { outputs: 3 };
const LAYERS: usize = 2;

/// A directory with a model of a head for the mean, and its parameters.
fn saved(config: &ModelConfig) -> (TempDir, Parameters) {
    let weights = Weights::initial(config, HEAD, 7).unwrap();
    let labels = ["a", "b", "c"].map(String::from);
    (new_models::saved(config, &weights, HEAD, &labels, Pooling::MeanTokens), weights.parameters())
}

fn logits(config: &ModelConfig, parameters: &Parameters, pooling: Pooling) -> Vec<f32> {
    let model = Model::bind(config, parameters, ModelOptions { pooling, ..ModelOptions::of(HEAD) }).unwrap();
    let (pool, sequences) = (Pool::new(), Sequences::new(vec![0, 1, 6, 18], vec![1, 2, 3]));
    let ids: Vec<u32> = (0..18).map(|place| 2 + place * 7 % 38).collect();
    let tokens = topwork_models::Tokens { ids: &ids, type_ids: &[0; 18], sequences: &sequences };
    let mut tape = Tape::new(parameters, &pool, Mode::Inference);
    model.logits(&mut tape, &tokens).values().to_vec()
}

/// What a directory's model gives, read as it says.
fn read(directory: &Path) -> (ModelConfig, Vec<f32>, Weights) {
    let config = ModelConfig::load(directory).unwrap();
    let pooling = config.pooling();
    let options = WeightOptions { pooling, ..WeightOptions::of(HEAD, HeadRule::Required) };
    let weights = Weights::load(&Checkpoint::open(directory).unwrap(), &config, &options).unwrap();
    let logits = logits(&config, &weights.parameters(), pooling);
    (config, logits, weights)
}

fn change_config(folder: &TempDir, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    save_config(folder.path(), &config).unwrap();
}

#[test]
fn the_layer_gives_the_first_token_what_the_head_reads() {
    for family in FAMILIES {
        let config = new_config(family, LAYERS);
        let (folder, parameters) = saved(&config);
        let expected = logits(&config, &parameters, Pooling::MeanTokens);
        change_config(&folder, |config| _ = config.as_object_mut().unwrap().remove(MEAN_LAYER));
        let (ordinary, found, _) = read(folder.path());
        assert_eq!(ordinary.pooling(), Pooling::FirstToken);
        assert_eq!(ordinary.encoder().sizes().num_hidden_layers, LAYERS + 1);
        let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-4 * largest, "{}: {found}, not {expected}", family.name);
        }
        // The first tokens themselves say something else.
        assert!(logits(&config, &parameters, Pooling::FirstToken) != expected);
    }
}

#[test]
fn the_layer_is_taken_off_and_the_rest_is_as_it_was() {
    for family in FAMILIES {
        let config = new_config(family, LAYERS);
        let (folder, parameters) = saved(&config);
        let (read, found, weights) = read(folder.path());
        assert_eq!((read.pooling(), read.encoder().sizes().num_hidden_layers), (Pooling::MeanTokens, LAYERS));
        assert!(read.raw.get(MEAN_LAYER).is_none(), "what is saved next need not have the layer");
        assert_eq!(found, logits(&config, &parameters, Pooling::MeanTokens), "{}", family.name);
        assert_eq!(weights.report.ignored.len(), config.encoder().mean_layer().len(), "{:?}", weights.report);
        assert!(weights.report.new.is_empty());
    }
}

#[test]
fn a_layer_that_has_learnt_since_is_one_like_others() {
    for family in FAMILIES {
        let config = new_config(family, LAYERS);
        let (folder, _) = saved(&config);
        let path = folder.path().join("model.safetensors");
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let learnt = config.encoder().mean_layer().pop().unwrap().0.name;
        let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = checkpoint
            .names()
            .map(|name| {
                let mut values = checkpoint.read_f32(name).unwrap();
                if name == learnt {
                    values[0] += 0.5;
                }
                (name.to_string(), checkpoint.shape(name).unwrap().to_vec(), values)
            })
            .collect();
        let views: Vec<TensorView<'_>> =
            tensors.iter().map(|(name, shape, data)| TensorView { name, shape, data }).collect();
        write_safetensors(&path, &views).unwrap();
        let (read, with_key, _) = read(folder.path());
        assert_eq!((read.pooling(), read.encoder().sizes().num_hidden_layers), (Pooling::FirstToken, LAYERS + 1));
        change_config(&folder, |config| config[MEAN_LAYER] = json!(false));
        assert_eq!(self::read(folder.path()).1, with_key, "{}", family.name);
    }
}

/// What a dense part of a head learnt of first tokens tells nothing of the mean: it starts as a map that changes little.
#[test]
fn a_head_for_another_pooling_starts_near_what_it_reads() {
    let bert = FAMILIES.iter().find(|family| family.name == "bert").unwrap();
    let config = new_config(bert, LAYERS);
    let weights = Weights::initial(&config, HEAD, 7).unwrap();
    let views: Vec<TensorView<'_>> = weights
        .specs
        .iter()
        .zip(&weights.tensors)
        .map(|(spec, data)| TensorView { name: &spec.name, shape: &spec.shape, data })
        .collect();
    let folder = TempDir::new().unwrap();
    write_safetensors(&folder.path().join("model.safetensors"), &views).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let load = |pooling| {
        let options = WeightOptions { pooling, ..WeightOptions::of(HEAD, HeadRule::New("other labels")) };
        Weights::load(&checkpoint, &config, &options).unwrap()
    };
    let pooler = |weights: &Weights| {
        let place = weights.specs.iter().position(|spec| spec.name == "bert.pooler.dense.weight").unwrap();
        weights.tensors[place].clone()
    };
    assert_eq!(pooler(&load(Pooling::FirstToken)), pooler(&weights), "the pooler was pretrained for first tokens");
    let mean = load(Pooling::MeanTokens);
    assert!(mean.report.is_new("bert.pooler.dense.weight"));
    let identity: Vec<f32> = (0..256).map(|place| if place % 17 == 0 { 0.5 } else { 0.0 }).collect();
    assert_eq!(pooler(&mean), identity);
}
