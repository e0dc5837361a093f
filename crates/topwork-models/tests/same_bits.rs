//! The composed BERT computes what the fixed one computed, to the bit: logits, losses and every gradient, with dropout.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use topwork_engine::{CrossEntropy, Gradients, Mode, ParameterId, Parameters, Pool, Sequences, Tape, Value};
use topwork_models::bert::{self, BertClassifier, BertPretraining, ClassifierDropout, EncoderDropout};
use topwork_models::{
    Checkpoint, Dropouts, FamilyConfig, Head, HeadRule, Input, LoadOptions, Model, ModelConfig, ModelOptions, Pooling,
    Tokens, WeightOptions, Weights, load_parameters,
};

const DROPOUT: [Dropouts; 2] = [Dropouts::NONE, Dropouts { hidden: 0.3, attention: 0.2, head: 0.1 }];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Three sequences of tokens below 100, pairs of texts.
struct Texts {
    ids: Vec<u32>,
    positions: Vec<u32>,
    type_ids: Vec<u32>,
    sequences: Sequences,
}

impl Texts {
    fn new() -> Self {
        let lengths = [7, 1, 12];
        let total: u32 = lengths.iter().sum();
        Self {
            ids: (0..total).map(|i| 5 + i * 37 % 95).collect(),
            positions: lengths.iter().flat_map(|&length| 0..length).collect(),
            type_ids: lengths.iter().flat_map(|&length| (0..length).map(move |i| u32::from(i > length / 2))).collect(),
            sequences: Sequences::new(vec![0, 7, 8, 20], vec![11, 12, 13]),
        }
    }

    fn old(&self) -> bert::Tokens<'_> {
        bert::Tokens {
            ids: &self.ids,
            positions: &self.positions,
            type_ids: &self.type_ids,
            sequences: &self.sequences,
        }
    }

    fn new_tokens(&self) -> Tokens<'_> {
        Tokens { ids: &self.ids, type_ids: &self.type_ids, sequences: &self.sequences }
    }
}

fn load(name: &str, head: Head) -> (ModelConfig, Parameters) {
    let config = ModelConfig::load(&fixture(name)).unwrap();
    let checkpoint = Checkpoint::open(&fixture(name)).unwrap();
    let FamilyConfig::Bert(bert) = &config.family else { panic!("a BERT") };
    let specs = bert::parameters(bert, head);
    assert_eq!(specs, config.specs(head.into()).unwrap(), "the same parameters in the same order");
    let head_rule = HeadRule::LoadIfShapeFits;
    let options = LoadOptions { seed: 4, initializer_range: 0.02, head, head_rule };
    let loaded = load_parameters(&checkpoint, config.description(), &specs, &options).unwrap();
    let options = WeightOptions { seed: 4, head: head.into(), head_rule };
    let weights = Weights::load(&checkpoint, &config, &options).unwrap();
    assert_eq!(weights.tensors, loaded.tensors);
    assert_eq!(weights.report, loaded.report);
    (config, weights.parameters())
}

/// The values, the loss and every gradient of a forward pass, as bits.
fn bits(
    parameters: &Parameters,
    tables: &[ParameterId],
    run: impl FnOnce(&mut Tape<'_>) -> Vec<(Value, Vec<u32>)>,
) -> Vec<Vec<u32>> {
    let mut gradients = Gradients::new(parameters, tables);
    let mut tape = Tape::new(parameters, &Pool::new(), Mode::Training);
    let outputs = run(&mut tape);
    let mut all: Vec<Vec<u32>> = Vec::new();
    let mut terms = Vec::new();
    for (logits, targets) in outputs {
        all.push(logits.values().iter().map(|v| v.to_bits()).collect());
        let normaliser = targets.len() as f64;
        let loss = CrossEntropy { targets: &targets, class_weights: None, label_smoothing: 0.1, normaliser };
        terms.push((tape.cross_entropy(logits, &loss), 0.5));
    }
    let loss = tape.weighted_sum(&terms);
    drop(terms);
    all.push(loss.values().iter().map(|v| v.to_bits()).collect());
    tape.backward(loss, &mut gradients);
    for (id, _) in parameters.iter() {
        all.push(gradients.to_vec(id).unwrap().iter().map(|v| v.to_bits()).collect());
    }
    all
}

#[test]
fn a_classifier() {
    let texts = Texts::new();
    let head = Head::Classification { classes: 3 };
    let (config, parameters) = load("tiny-bert", head);
    let FamilyConfig::Bert(bert) = &config.family else { panic!("a BERT") };
    for dropouts in DROPOUT {
        let encoder = EncoderDropout { hidden: dropouts.hidden, attention: dropouts.attention };
        let old =
            BertClassifier::new(bert, &parameters, ClassifierDropout { encoder, classifier: dropouts.head }).unwrap();
        let options = ModelOptions { head: head.into(), pooling: Pooling::FirstToken, dropouts };
        let new = Model::bind(&config, &parameters, options).unwrap();
        let targets = vec![2, 0, 1];
        let before =
            bits(&parameters, &old.sparse_tables(), |tape| vec![(old.logits(tape, &texts.old()), targets.clone())]);
        let after = bits(&parameters, &new.sparse_tables(), |tape| {
            vec![(new.logits(tape, &texts.new_tokens()), targets.clone())]
        });
        assert_eq!(before, after);
        assert_eq!(old.sparse_tables().to_vec(), new.sparse_tables());
        let output = new.output().unwrap();
        assert_eq!((output.weight, output.bias), (old.classifier().0, Some(old.classifier().1)));

        for layers in 0..=new.layers() {
            let run = |is_old: bool| {
                bits(&parameters, &new.sparse_tables(), |tape| {
                    let logits = match is_old {
                        true => {
                            let hidden = old.hidden_below(tape, &texts.old(), layers);
                            old.logits_above(tape, layers, hidden, &texts.sequences)
                        }
                        false => {
                            let hidden = new.hidden_below(tape, &texts.new_tokens(), layers);
                            new.logits(tape, Input::Hidden { layers, hidden, sequences: &texts.sequences })
                        }
                    };
                    vec![(logits, targets.clone())]
                })
            };
            assert_eq!(run(true), run(false), "from layer {layers} on");
        }

        let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Inference);
        let (before, after) =
            (old.hidden_states(&mut tape, &texts.old()), new.hidden_states(&mut tape, &texts.new_tokens()));
        assert_eq!(before.len(), after.len());
        assert!(before.iter().zip(&after).all(|(a, b)| a.values() == b.values()));
        let features = old.features(&mut tape, &texts.old());
        assert_eq!(features.values(), new.features(&mut tape, &texts.new_tokens()).values());
        let last = after.last().unwrap();
        let first = tape.first_token(last, &texts.sequences);
        let pooled = old.pooled(&mut tape, &first);
        assert_eq!(pooled.values(), new.features_of_last(&mut tape, last, &texts.sequences).values());
    }
}

#[test]
fn pretraining() {
    let texts = Texts::new();
    for pairs in [true, false] {
        let head = Head::Pretraining { pairs, pooler: true };
        let (config, parameters) = load("tiny-bert-pretraining", head);
        let FamilyConfig::Bert(bert) = &config.family else { panic!("a BERT") };
        for dropouts in DROPOUT {
            let encoder = EncoderDropout { hidden: dropouts.hidden, attention: dropouts.attention };
            let old = BertPretraining::new(bert, &parameters, encoder).unwrap();
            let options = ModelOptions { head: head.into(), pooling: Pooling::FirstToken, dropouts };
            let new = Model::bind(&config, &parameters, options).unwrap();
            assert_eq!(old.sparse_tables().to_vec(), new.sparse_tables());
            let (masked, words) = (vec![1, 4, 9, 18], vec![8, 30, 21, 50]);
            let collect = |words_logits, pooled: Option<Value>, pair_logits: Option<Value>| {
                let mut all = vec![(words_logits, words.clone())];
                all.extend(pooled.map(|pooled| (pooled, vec![0, 5, 9])));
                all.extend(pair_logits.map(|pairs| (pairs, vec![1, 0, 1])));
                all
            };
            let before = bits(&parameters, &old.sparse_tables(), |tape| {
                let logits = old.logits(tape, &texts.old(), &masked);
                collect(logits.words, logits.pooled, logits.pairs)
            });
            let after = bits(&parameters, &new.sparse_tables(), |tape| {
                let logits = new.pretraining_logits(tape, &texts.new_tokens(), &masked);
                collect(logits.words, logits.pooled, logits.pairs)
            });
            assert_eq!(before, after);
            assert_eq!(before.len(), 2 + usize::from(pairs) + 1 + parameters.len());
        }
    }
}
