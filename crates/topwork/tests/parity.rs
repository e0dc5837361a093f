//! Parity with PyTorch: hidden states, logits, loss, every gradient and ten AdamW steps of a fixture that
//! `xtask/python/fixtures.py` wrote. The committed one is `fixtures/tiny-bert`; `TOPWORK_PARITY` names another.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use topwork_engine::{AdamW, AdamWOptions, CrossEntropy, Gradients, Mode, Parameters, Pool, Rates, Sequences, Tape};
use topwork_models::{
    Checkpoint, Dropouts, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, ParameterKind, ParameterSpec, Tokens,
    WeightOptions, Weights,
};

/// The largest difference allowed, relative to the largest value of the tensor.
const TOLERANCE: f64 = 1e-4;
/// Gradients that are zero but for rounding (a key's bias cannot change a softmax) are compared at this part of the
/// largest gradient of the model.
const ZERO_GRADIENT: f64 = 1e-3;
/// The head of the fixture.
const HEAD: HeadKind = HeadKind::Sequence { outputs: 3 };

struct Fixture {
    expected: Json,
    tensors: Checkpoint,
    specs: Vec<ParameterSpec>,
    parameters: Parameters,
    config: ModelConfig,
    model: Model,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    labels: Vec<u32>,
    sequences: Sequences,
}

fn fixture() -> Fixture {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tiny-bert");
    let directory = std::env::var_os("TOPWORK_PARITY").map_or_else(|| PathBuf::from(committed), PathBuf::from);
    let expected: Json =
        serde_json::from_str(&std::fs::read_to_string(directory.join("expected.json")).unwrap()).unwrap();
    let source = expected["model"].as_str().map_or_else(|| directory.clone(), PathBuf::from);
    let config = ModelConfig::load(&source).unwrap();
    let options = WeightOptions::of(HEAD, HeadRule::New("the fixture has one"));
    let mut weights = Weights::load(&Checkpoint::open(&source).unwrap(), &config, &options).unwrap();
    let tensors = expected_tensors(&directory);
    for (spec, values) in weights.specs.iter().zip(&mut weights.tensors) {
        if spec.name.starts_with("classifier") {
            *values = tensors.read_f32(&spec.name).unwrap();
        }
    }
    let parameters = weights.parameters();
    let model = Model::bind(&config, &parameters, ModelOptions::of(HEAD)).unwrap();
    let rows = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(expected[key].clone()).unwrap() };
    let ids = rows("input_ids");
    let offsets: Vec<usize> = std::iter::once(0)
        .chain(ids.iter().scan(0, |total, row| {
            *total += row.len();
            Some(*total)
        }))
        .collect();
    Fixture {
        sequences: Sequences::new(offsets, vec![0; ids.len()]),
        ids: ids.concat(),
        type_ids: rows("token_type_ids").concat(),
        labels: serde_json::from_value(expected["labels"].clone()).unwrap(),
        expected,
        tensors,
        specs: weights.specs,
        parameters,
        config,
        model,
    }
}

/// `expected.safetensors`, through the reader of checkpoints, which looks for `model.safetensors`.
fn expected_tensors(directory: &Path) -> Checkpoint {
    Checkpoint::open_file(&directory.join("expected.safetensors")).unwrap()
}

impl Fixture {
    fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences }
    }

    /// The same model with dropout.
    fn with_dropouts(&self, dropouts: Dropouts) -> Model {
        Model::bind(&self.config, &self.parameters, ModelOptions { dropouts, ..ModelOptions::of(HEAD) }).unwrap()
    }

    /// The loss; with gradients of it.
    fn backward(&self, parameters: &Parameters, gradients: &mut Gradients) -> f64 {
        gradients.clear();
        let mut tape = Tape::new(parameters, &Pool::new(), Mode::Training);
        let logits = self.model.logits(&mut tape, &self.tokens());
        let normaliser = CrossEntropy::normaliser(&self.labels, None);
        let loss = CrossEntropy { targets: &self.labels, class_weights: None, label_smoothing: 0.0, normaliser };
        let loss = tape.cross_entropy(logits, &loss);
        let value = f64::from(loss.values()[0]);
        tape.backward(loss, gradients);
        value
    }

    #[track_caller]
    fn assert_close(&self, name: &str, found: &[f32], least_scale: f64) {
        let expected = self.tensors.read_f32(name).unwrap();
        assert_eq!(expected.len(), found.len(), "{name}");
        let largest = expected.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
        let scale = largest.max(least_scale);
        let difference = expected.iter().zip(found).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        assert!(difference <= TOLERANCE * scale, "{name}: off by {difference:e} of {scale:e}");
    }
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    let fixture = fixture();
    let mut tape = Tape::new(&fixture.parameters, &Pool::new(), Mode::Inference);
    let states = fixture.model.hidden_states(&mut tape, &fixture.tokens());
    assert!(states.len() > 3);
    for (index, state) in states.iter().enumerate() {
        fixture.assert_close(&format!("hidden_states.{index}"), state.values(), 0.0);
    }
    let logits = fixture.model.logits(&mut tape, &fixture.tokens());
    fixture.assert_close("logits", logits.values(), 0.0);
}

#[test]
fn loss_and_every_gradient_are_those_of_pytorch() {
    let fixture = fixture();
    let mut gradients = Gradients::new(&fixture.parameters, &fixture.model.sparse_tables());
    let loss = fixture.backward(&fixture.parameters, &mut gradients);
    let expected = fixture.expected["loss"].as_f64().unwrap();
    assert!((loss - expected).abs() <= TOLERANCE * expected, "loss {loss}, expected {expected}");
    let all: Vec<(String, Vec<f32>)> =
        fixture.parameters.iter().map(|(id, p)| (p.name.clone(), gradients.to_vec(id).unwrap())).collect();
    let largest = all.iter().flat_map(|(_, g)| g).fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    for (name, gradient) in &all {
        fixture.assert_close(&format!("gradient.{name}"), gradient, ZERO_GRADIENT * largest);
    }
    let written = fixture.tensors.names().filter(|name| name.starts_with("gradient.")).count();
    assert_eq!(written, all.len(), "every gradient of PyTorch was compared");
}

#[test]
fn ten_steps_of_adamw_give_the_losses_of_pytorch() {
    let mut fixture = fixture();
    let setting = |key: &str| fixture.expected["adamw"][key].as_f64().unwrap();
    let (learning_rate, decay, most) = (setting("learning_rate"), setting("weight_decay"), setting("max_grad_norm"));
    let losses: Vec<f64> = serde_json::from_value(fixture.expected["adamw"]["losses"].clone()).unwrap();
    let decays: Vec<f64> = fixture
        .specs
        .iter()
        .map(|spec| match spec.kind {
            ParameterKind::Weight | ParameterKind::Embedding => decay,
            ParameterKind::Bias | ParameterKind::LayerNorm => 0.0,
        })
        .collect();
    let mut parameters = std::mem::take(&mut fixture.parameters);
    let mut gradients = Gradients::new(&parameters, &fixture.model.sparse_tables());
    let mut adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
    assert_eq!(losses.len(), 10);
    for (step, expected) in losses.into_iter().enumerate() {
        let loss = fixture.backward(&parameters, &mut gradients);
        assert!((loss - expected).abs() <= TOLERANCE * expected, "step {step}: loss {loss}, expected {expected}");
        let norm = parameters.iter().map(|(id, _)| gradients.sum_of_squares(id)).sum::<f64>().sqrt();
        let scale = (most / (norm + 1e-6)).min(1.0) as f32;
        adamw.step(&mut parameters, &gradients, scale, |id| Rates { learning_rate, weight_decay: decays[id.index()] });
    }
}

/// The last layer is computed for the first tokens only; with dropout live, that must drop what the whole layer drops.
#[test]
fn the_first_tokens_of_the_last_layer_are_the_same_as_in_the_whole_layer() {
    let mut fixture = fixture();
    fixture.model = fixture.with_dropouts(Dropouts { hidden: 0.3, attention: 0.3, head: 0.0 });
    let run = |mode: Mode, whole: bool| {
        let mut tape = Tape::new(&fixture.parameters, &Pool::new(), mode);
        let features = if whole {
            let states = fixture.model.hidden_states(&mut tape, &fixture.tokens());
            fixture.model.features_of_last(&mut tape, states.last().unwrap(), &fixture.sequences)
        } else {
            fixture.model.features(&mut tape, &fixture.tokens())
        };
        features.values().to_vec()
    };
    for mode in [Mode::Training, Mode::Inference] {
        for (whole, part) in run(mode, true).iter().zip(run(mode, false)) {
            assert!((whole - part).abs() < 1e-5, "{mode:?}: {whole} {part}");
        }
    }
    assert_ne!(run(Mode::Training, false), run(Mode::Inference, false));
}

/// Loss and gradients do not depend on where a row stands in its batch, dropout included.
#[test]
fn rows_of_a_batch_may_stand_in_any_order() {
    let fixture = fixture();
    let model = fixture.with_dropouts(Dropouts { hidden: 0.2, attention: 0.2, head: 0.2 });
    let run = |order: &[usize]| {
        let rows: Vec<_> = order.iter().map(|&row| fixture.sequences.range(row)).collect();
        let gather = |values: &[u32]| rows.iter().flat_map(|row| values[row.clone()].to_vec()).collect::<Vec<u32>>();
        let [ids, type_ids] = [&fixture.ids, &fixture.type_ids].map(|v| gather(v));
        let mut offsets = vec![0];
        rows.iter().for_each(|row| offsets.push(offsets.last().unwrap() + row.len()));
        let streams = order.iter().map(|&row| 40 + row as u64).collect();
        let sequences = Sequences::new(offsets, streams);
        let tokens = Tokens { ids: &ids, type_ids: &type_ids, sequences: &sequences };
        let targets: Vec<u32> = order.iter().map(|&row| fixture.labels[row]).collect();
        let mut gradients = Gradients::new(&fixture.parameters, &model.sparse_tables());
        let mut tape = Tape::new(&fixture.parameters, &Pool::new(), Mode::Training);
        let logits = model.logits(&mut tape, &tokens);
        let normaliser = CrossEntropy::normaliser(&targets, None);
        let loss = CrossEntropy { targets: &targets, class_weights: None, label_smoothing: 0.1, normaliser };
        let loss = tape.cross_entropy(logits, &loss);
        let value = loss.values()[0];
        tape.backward(loss, &mut gradients);
        let all = fixture.parameters.iter().flat_map(|(id, _)| gradients.to_vec(id).unwrap()).collect::<Vec<f32>>();
        (value, all)
    };
    let (straight, shuffled) = (run(&[0, 1, 2, 3]), run(&[2, 0, 3, 1]));
    assert!((straight.0 - shuffled.0).abs() < 1e-6, "{} {}", straight.0, shuffled.0);
    let largest = straight.1.iter().fold(0.0f32, |most, g| most.max(g.abs()));
    for (a, b) in straight.1.iter().zip(&shuffled.1) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
}
