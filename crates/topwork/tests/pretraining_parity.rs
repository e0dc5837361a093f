//! Parity with `BertForPreTraining` in PyTorch: the logits of hidden words and pairs, both losses and every gradient of a
//! fixture that `xtask/python/fixtures.py --pretraining` wrote. The committed one is `fixtures/tiny-bert-pretraining`;
//! `TOPWORK_PRETRAINING_PARITY` names another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;

use serde_json::Value as Json;
use topwork_engine::{CrossEntropy, Gradients, Mode, Pool, Sequences, Tape};
use topwork_models::{
    Checkpoint, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, Tokens, WeightOptions, Weights,
};

/// The largest difference allowed, relative to the largest value of the tensor.
const TOLERANCE: f64 = 1e-4;
/// Gradients that are zero but for rounding are compared at this part of the largest gradient of the model.
const ZERO_GRADIENT: f64 = 1e-3;

#[test]
fn losses_logits_and_every_gradient_are_those_of_pytorch() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-bert-pretraining");
    let directory =
        std::env::var_os("TOPWORK_PRETRAINING_PARITY").map_or_else(|| PathBuf::from(committed), PathBuf::from);
    let text = std::fs::read_to_string(directory.join("expected.json")).unwrap();
    let expected: Json = serde_json::from_str(&text).unwrap();
    let tensors = Checkpoint::open_file(&directory.join("expected.safetensors")).unwrap();

    let config = ModelConfig::load(&directory).unwrap();
    let head = HeadKind::Pretraining { pairs: true, pooler: true };
    let options = WeightOptions::of(head, HeadRule::Required);
    let parameters = Weights::load(&Checkpoint::open(&directory).unwrap(), &config, &options).unwrap().parameters();
    let model = Model::bind(&config, &parameters, ModelOptions::of(head)).unwrap();

    let rows = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(expected[key].clone()).unwrap() };
    let list = |key: &str| -> Vec<u32> { serde_json::from_value(expected[key].clone()).unwrap() };
    let ids = rows("input_ids");
    let mut offsets = vec![0];
    for row in &ids {
        offsets.push(offsets[offsets.len() - 1] + row.len());
    }
    let hidden: Vec<u32> = rows("hidden").iter().map(|at| offsets[at[0] as usize] as u32 + at[1]).collect();
    let (all_ids, type_ids) = (ids.concat(), rows("token_type_ids").concat());
    let sequences = Sequences::new(offsets, vec![0; ids.len()]);
    let tokens = Tokens { ids: &all_ids, type_ids: &type_ids, sequences: &sequences };

    let close = |name: &str, found: &[f32], least_scale: f64| {
        let expected = tensors.read_f32(name).unwrap();
        assert_eq!(expected.len(), found.len(), "{name}");
        let scale = expected.iter().fold(least_scale, |most, v| most.max(f64::from(v.abs())));
        let difference = expected.iter().zip(found).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        assert!(difference <= TOLERANCE * scale, "{name}: off by {difference:e} of {scale:e}");
    };
    let mut gradients = Gradients::new(&parameters, &model.sparse_tables());
    let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
    let logits = model.pretraining_logits(&mut tape, &tokens, &hidden);
    let (words, pairs) = (logits.words, logits.pairs.unwrap());
    close("words", words.values(), 0.0);
    close("pairs", pairs.values(), 0.0);
    let (hidden_words, relations) = (list("hidden_words"), list("relations"));
    assert!(hidden_words.len() > 5, "a fixture with hidden words");
    let mut loss = |logits, targets: &[u32], name: &str| {
        let options =
            CrossEntropy { targets, class_weights: None, label_smoothing: 0.0, normaliser: targets.len() as f64 };
        let loss = tape.cross_entropy(logits, &options);
        let (found, expected) = (f64::from(loss.values()[0]), expected[name].as_f64().unwrap());
        assert!((found - expected).abs() <= TOLERANCE * expected, "{name} {found}, expected {expected}");
        loss
    };
    let terms = [(loss(words, &hidden_words, "mlm_loss"), 1.0), (loss(pairs, &relations, "nsp_loss"), 1.0)];
    let sum = tape.weighted_sum(&terms);
    tape.backward(sum, &mut gradients);

    let all: Vec<(String, Vec<f32>)> =
        parameters.iter().map(|(id, p)| (p.name.clone(), gradients.to_vec(id).unwrap())).collect();
    let largest = all.iter().flat_map(|(_, g)| g).fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    for (name, gradient) in &all {
        close(&format!("gradient.{name}"), gradient, ZERO_GRADIENT * largest);
    }
    let written = tensors.names().filter(|name| name.starts_with("gradient.")).count();
    assert_eq!(written, all.len(), "every gradient of PyTorch was compared");
}
