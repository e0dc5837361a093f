//! Parity with PyTorch for every family and head: hidden states of every layer, logits, loss, every gradient and ten
//! AdamW steps of `fixtures/families`, which `xtask/python/family_fixtures.py` wrote; and checkpoints whose keys differ
//! from those of the model that is made of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use topwork_engine::{
    AdamW, AdamWOptions, Gradients, Mode, Parameters, Pool, Rates, Sequences, Tape, Tensor, Value as Matrix,
};
use topwork_models::{
    Block, Checkpoint, FAMILIES, HeadKind, HeadRule, Model, ModelConfig, ModelOptions, ParameterKind, ProblemType,
    Tokens, WeightOptions, Weights,
};

/// The largest difference allowed, relative to the largest value of the tensor.
const TOLERANCE: f64 = 1e-4;
/// Gradients that are zero but for rounding (a key's bias cannot change a softmax) are compared at this part of the
/// largest gradient of the model: a difference of five roundings of that, on either side, is allowed.
const ZERO_GRADIENT: f64 = 3e-3;
/// The label of a token without one.
const NO_LABEL: i64 = -100;

const HEADS: [&str; 5] = ["sequence", "token", "regression", "multi-label", "masked-words"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families")
}

/// The texts of a fixture.
struct Texts {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    sequences: Sequences,
}

impl Texts {
    fn read(expected: &Json) -> Self {
        let rows = |key: &str| -> Vec<Vec<u32>> { serde_json::from_value(expected[key].clone()).unwrap() };
        let ids = rows("input_ids");
        let mut offsets = vec![0];
        ids.iter().for_each(|row| offsets.push(offsets.last().unwrap() + row.len()));
        let sequences = Sequences::new(offsets, vec![0; ids.len()]);
        Self { ids: ids.concat(), type_ids: rows("token_type_ids").concat(), sequences }
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences }
    }
}

/// What the outputs are compared with.
enum Targets {
    /// A class for each row.
    Classes(Vec<u32>),
    /// Zero or one for each output.
    Labels(Vec<f64>),
    /// A value for each output.
    Values(Vec<f64>),
}

impl Targets {
    /// The mean loss of logits, as `transformers` has it, and its gradient.
    fn loss(&self, logits: &[f32]) -> (f64, Vec<f32>) {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        let mean = |losses: Vec<(f64, f64)>| {
            let count = losses.len() as f64;
            (losses.iter().map(|l| l.0).sum::<f64>() / count, losses.iter().map(|l| (l.1 / count) as f32).collect())
        };
        match self {
            Self::Labels(labels) => {
                let one = |(x, y): (&f64, &f64)| ((1.0 + x.exp()).ln() - x * y, 1.0 / (1.0 + (-x).exp()) - y);
                mean(logits.iter().zip(labels).map(one).collect())
            }
            Self::Values(values) => {
                mean(logits.iter().zip(values).map(|(x, y)| ((x - y).powi(2), 2.0 * (x - y))).collect())
            }
            Self::Classes(classes) => {
                let width = logits.len() / classes.len();
                let (mut loss, mut gradient) = (0.0, Vec::new());
                for (row, &class) in logits.chunks(width).zip(classes) {
                    let total: f64 = row.iter().map(|x| x.exp()).sum();
                    loss += total.ln() - row[class as usize];
                    let own = |column: usize| if column == class as usize { 1.0 } else { 0.0 };
                    let rows = classes.len() as f64;
                    gradient.extend(row.iter().enumerate().map(|(i, x)| ((x.exp() / total - own(i)) / rows) as f32));
                }
                (loss / classes.len() as f64, gradient)
            }
        }
    }
}

struct Fixture {
    name: String,
    expected: Json,
    tensors: Checkpoint,
    texts: Texts,
    weights: Weights,
    model: Model,
    parameters: Parameters,
    /// The tokens that have a target, for heads of tokens and words.
    asked: Vec<u32>,
    targets: Targets,
}

impl Fixture {
    fn read(family: &str, head: &str) -> Self {
        let directory = folder().join(format!("{family}-{head}"));
        let text = std::fs::read_to_string(directory.join("expected.json")).unwrap();
        let expected: Json = serde_json::from_str(&text).unwrap();
        let config = ModelConfig::load(&directory).unwrap();
        let labels = config.labels().map_or(0, <[String]>::len);
        let kind = match head {
            "token" => HeadKind::Token { labels },
            "masked-words" => HeadKind::MASKED_WORDS,
            // `transformers` leaves out labels that it would make up again, two of them.
            _ if labels == 0 => HeadKind::Sequence { outputs: 2 },
            _ => HeadKind::Sequence { outputs: labels },
        };
        let options = WeightOptions::of(kind, HeadRule::Required);
        let weights = Weights::load(&Checkpoint::open(&directory).unwrap(), &config, &options).unwrap();
        assert!(weights.report.new.is_empty());
        let parameters = weights.parameters();
        let model = Model::bind(&config, &parameters, ModelOptions::of(kind)).unwrap();
        let texts = Texts::read(&expected);
        let (asked, targets) = targets(head, &expected, &texts);
        let tensors = Checkpoint::open_file(&directory.join("expected.safetensors")).unwrap();
        let name = format!("{family}-{head}");
        Self { name, expected, tensors, texts, weights, model, parameters, asked, targets }
    }

    fn logits(&self, tape: &mut Tape<'_>, asked: &[u32]) -> Matrix {
        let tokens = self.texts.tokens();
        match self.model.kind() {
            HeadKind::Sequence { .. } => self.model.logits(tape, &tokens),
            HeadKind::Token { .. } => self.model.token_logits(tape, &tokens, asked),
            HeadKind::Pretraining { .. } => self.model.pretraining_logits(tape, &tokens, asked).words,
        }
    }

    /// The loss, and gradients of it.
    fn backward(&self, parameters: &Parameters, gradients: &mut Gradients) -> f64 {
        gradients.clear();
        let mut tape = Tape::new(parameters, &Pool::new(), Mode::Training);
        let logits = self.logits(&mut tape, &self.asked);
        let (loss, seed) = self.targets.loss(logits.values());
        let seed = Tensor::from_values(&seed, logits.rows(), logits.columns());
        tape.backward_from(logits, seed, gradients);
        loss
    }

    #[track_caller]
    fn assert_close(&self, name: &str, found: &[f32], least_scale: f64) {
        let expected = self.tensors.read_f32(name).unwrap();
        assert_eq!(expected.len(), found.len(), "{}: {name}", self.name);
        let scale = expected.iter().fold(least_scale, |most: f64, v| most.max(f64::from(v.abs())));
        let difference = expected.iter().zip(found).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        assert!(difference <= TOLERANCE * scale, "{}: {name}: off by {difference:e} of {scale:e}", self.name);
    }
}

/// The rows that have targets, and the targets.
fn targets(head: &str, expected: &Json, texts: &Texts) -> (Vec<u32>, Targets) {
    let labels = &expected["labels"];
    match head {
        "sequence" => (Vec::new(), Targets::Classes(serde_json::from_value(labels.clone()).unwrap())),
        "regression" => (Vec::new(), Targets::Values(serde_json::from_value(labels.clone()).unwrap())),
        "multi-label" => {
            let rows: Vec<Vec<f64>> = serde_json::from_value(labels.clone()).unwrap();
            (Vec::new(), Targets::Labels(rows.concat()))
        }
        "token" => {
            let rows: Vec<Vec<i64>> = serde_json::from_value(labels.clone()).unwrap();
            let tags = rows.concat();
            let labelled = (0..).zip(&tags).filter(|(_, tag)| **tag != NO_LABEL);
            let (rows, classes) = labelled.map(|(row, &tag)| (row as u32, tag as u32)).unzip();
            (rows, Targets::Classes(classes))
        }
        _ => {
            let places: Vec<[usize; 2]> = serde_json::from_value(expected["hidden"].clone()).unwrap();
            let rows = places.iter().map(|&[row, token]| (texts.sequences.range(row).start + token) as u32).collect();
            (rows, Targets::Classes(serde_json::from_value(expected["hidden_words"].clone()).unwrap()))
        }
    }
}

/// Every family of the list with every head; a family without a fixture fails here.
fn each(check: impl Fn(Fixture)) {
    for family in FAMILIES {
        for head in HEADS {
            check(Fixture::read(family.name, head));
        }
    }
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    each(|fixture| {
        let mut tape = Tape::new(&fixture.parameters, &Pool::new(), Mode::Inference);
        let states = fixture.model.hidden_states(&mut tape, &fixture.texts.tokens());
        assert_eq!(states.len(), fixture.tensors.names().filter(|n| n.starts_with("hidden_states.")).count());
        for (index, state) in states.iter().enumerate() {
            fixture.assert_close(&format!("hidden_states.{index}"), state.values(), 0.0);
        }
        let asked: Vec<u32> = match fixture.model.kind() {
            HeadKind::Token { .. } => (0..fixture.texts.ids.len() as u32).collect(),
            _ => fixture.asked.clone(),
        };
        fixture.assert_close("logits", fixture.logits(&mut tape, &asked).values(), 0.0);
    });
}

#[test]
fn loss_and_every_gradient_are_those_of_pytorch() {
    each(|fixture| {
        let mut gradients = Gradients::new(&fixture.parameters, &fixture.model.sparse_tables());
        let loss = fixture.backward(&fixture.parameters, &mut gradients);
        let expected = fixture.expected["loss"].as_f64().unwrap();
        let name = &fixture.name;
        assert!((loss - expected).abs() <= TOLERANCE * expected, "{name}: loss {loss}, expected {expected}");
        let all: Vec<(String, Vec<f32>)> =
            fixture.parameters.iter().map(|(id, p)| (p.name.clone(), gradients.to_vec(id).unwrap())).collect();
        let largest = all.iter().flat_map(|(_, g)| g).fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
        for (name, gradient) in &all {
            fixture.assert_close(&format!("gradient.{name}"), gradient, ZERO_GRADIENT * largest);
        }
        let written = fixture.tensors.names().filter(|name| name.starts_with("gradient.")).count();
        assert_eq!(written, all.len(), "{name}: every gradient of PyTorch was compared");
    });
}

#[test]
fn ten_steps_of_adamw_give_the_losses_of_pytorch() {
    each(|mut fixture| {
        let setting = |key: &str| fixture.expected["adamw"][key].as_f64().unwrap();
        let (learning_rate, decay, most) =
            (setting("learning_rate"), setting("weight_decay"), setting("max_grad_norm"));
        let losses: Vec<f64> = serde_json::from_value(fixture.expected["adamw"]["losses"].clone()).unwrap();
        assert_eq!(losses.len(), 10);
        let is_decayed = |kind: ParameterKind| matches!(kind, ParameterKind::Weight | ParameterKind::Embedding);
        let decays: Vec<f64> =
            fixture.weights.specs.iter().map(|spec| if is_decayed(spec.kind) { decay } else { 0.0 }).collect();
        let mut parameters = std::mem::take(&mut fixture.parameters);
        let mut gradients = Gradients::new(&parameters, &fixture.model.sparse_tables());
        let mut adamw = AdamW::new(&parameters, &gradients, AdamWOptions::default());
        for (step, expected) in losses.into_iter().enumerate() {
            let loss = fixture.backward(&parameters, &mut gradients);
            let name = &fixture.name;
            assert!(
                (loss - expected).abs() <= TOLERANCE * expected,
                "{name}, step {step}: loss {loss}, expected {expected}"
            );
            let norm = parameters.iter().map(|(id, _)| gradients.sum_of_squares(id)).sum::<f64>().sqrt();
            let scale = (most / (norm + 1e-6)).min(1.0) as f32;
            adamw.step(&mut parameters, &gradients, scale, |id| Rates {
                learning_rate,
                weight_decay: decays[id.index()],
            });
        }
    });
}

/// Whatever head is asked for, a checkpoint with another, without a prefix or with old names gives the same network.
#[test]
fn other_spellings_of_a_checkpoint_load_the_same_network() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder().join("variants")).unwrap() {
        let directory = entry.unwrap().path();
        let config = ModelConfig::load(&directory).unwrap();
        let text = std::fs::read_to_string(directory.join("expected.json")).unwrap();
        let texts = Texts::read(&serde_json::from_str(&text).unwrap());
        let tensors = Checkpoint::open_file(&directory.join("expected.safetensors")).unwrap();
        let expected = tensors.read_f32("last_hidden_state").unwrap();
        let largest = expected.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
        for head in [HeadKind::Sequence { outputs: 7 }, HeadKind::Token { labels: 7 }, HeadKind::MASKED_WORDS] {
            let options = WeightOptions::of(head, HeadRule::LoadIfShapeFits);
            let weights = Weights::load(&Checkpoint::open(&directory).unwrap(), &config, &options);
            let weights = weights.unwrap_or_else(|error| panic!("{}: {head}: {error}", directory.display()));
            let parameters = weights.parameters();
            let model = Model::bind(&config, &parameters, ModelOptions::of(head)).unwrap();
            let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Inference);
            let states = model.hidden_states(&mut tape, &texts.tokens());
            let found = states.last().unwrap().values();
            assert_eq!(expected.len(), found.len());
            let difference = expected.iter().zip(found).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            assert!(difference <= TOLERANCE * largest, "{}: {head}: off by {difference:e}", directory.display());
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} variants");
}

/// A checkpoint with any head is read for any other head, and only the parameters of the head are new.
#[test]
fn a_checkpoint_with_one_head_loads_for_every_other() {
    for family in FAMILIES {
        for own in HEADS {
            let directory = folder().join(format!("{}-{own}", family.name));
            let config = ModelConfig::load(&directory).unwrap();
            for head in [HeadKind::Sequence { outputs: 3 }, HeadKind::Token { labels: 5 }, HeadKind::MASKED_WORDS] {
                let head_rule = HeadRule::LoadIfShapeFits;
                let options = WeightOptions::of(head, head_rule);
                let weights = Weights::load(&Checkpoint::open(&directory).unwrap(), &config, &options);
                let weights = weights.unwrap_or_else(|error| panic!("{} {own} for {head}: {error}", family.name));
                let is_above = |name: &str| {
                    let spec = weights.specs.iter().find(|spec| spec.name == name).unwrap();
                    matches!(spec.block, Block::Final | Block::Head)
                };
                assert!(weights.report.new.iter().all(|(name, _)| is_above(name)), "{} {own} for {head}", family.name);
            }
        }
    }
}

#[test]
fn configurations_say_what_transformers_says() {
    for family in FAMILIES {
        for (head, problem) in [
            ("sequence", Some(ProblemType::SingleLabelClassification)),
            ("regression", Some(ProblemType::Regression)),
            ("multi-label", Some(ProblemType::MultiLabelClassification)),
            ("token", None),
            ("masked-words", None),
        ] {
            let other = ModelConfig::load(&folder().join(format!("{}-sequence", family.name))).unwrap();
            let own = ModelConfig::load(&folder().join(format!("{}-{head}", family.name))).unwrap();
            let labels = own.labels().unwrap_or_default();
            let kind = match head {
                "token" => HeadKind::Token { labels: labels.len() },
                "masked-words" => HeadKind::MASKED_WORDS,
                _ => HeadKind::Sequence { outputs: labels.len() },
            };
            let written = other.for_head(kind, labels, problem).unwrap();
            for key in ["architectures", "id2label"] {
                assert_eq!(written.get(key), own.raw.get(key), "{} {head}: {key}", family.name);
            }
            let again = ModelConfig::parse(Path::new("config.json"), written).unwrap();
            assert_eq!(again.specs(kind).unwrap(), own.specs(kind).unwrap());
            assert_eq!(again.encoder().problem_type(), problem.map(ProblemType::name), "{} {head}", family.name);
            if let HeadKind::Pretraining { .. } = kind {
                continue;
            }
            assert_eq!(own.head_rule(kind, labels, problem), HeadRule::LoadIfShapeFits, "{} {head}", family.name);
            let is_new = |rule| matches!(rule, HeadRule::New(_));
            if let Some(problem) = problem {
                let others = ProblemType::ALL.into_iter().filter(|other| *other != problem);
                for other in others {
                    assert!(is_new(own.head_rule(kind, labels, Some(other))), "{} {head}: {other:?}", family.name);
                }
            }
            assert!(is_new(own.head_rule(HeadKind::Token { labels: 2 }, &["a".into(), "b".into()], None)));
        }
    }
}

/// A published RoBERTa, if the environment says where it is.
#[test]
fn a_real_roberta_loads_strictly() {
    let Some(directory) = std::env::var_os("TOPWORK_ROBERTA").map(PathBuf::from) else { return };
    let config = ModelConfig::load(&directory).unwrap();
    let checkpoint = Checkpoint::open(&directory).unwrap();
    for (head, head_rule) in [
        (HeadKind::MASKED_WORDS, HeadRule::Required),
        (HeadKind::Sequence { outputs: 3 }, HeadRule::LoadIfShapeFits),
        (HeadKind::Token { labels: 3 }, HeadRule::LoadIfShapeFits),
    ] {
        let weights = Weights::load(&checkpoint, &config, &WeightOptions::of(head, head_rule)).unwrap();
        let parameters = weights.parameters();
        let model = Model::bind(&config, &parameters, ModelOptions::of(head)).unwrap();
        let sequences = Sequences::new(vec![0, 6], vec![0]);
        let tokens = Tokens { ids: &[0, 5, 6, 7, 8, 2], type_ids: &[0; 6], sequences: &sequences };
        let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Inference);
        let states = model.hidden_states(&mut tape, &tokens);
        assert!(states.iter().all(|state| state.values().iter().all(|value| value.is_finite())));
    }
}
