//! A model of the lowest layers of a checkpoint: it computes what the whole model has after these layers, and the rest of the checkpoint
//! is left out, each tensor with the reason.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod new_models;

use new_models::new_config;
use serde_json::Value;
use tempfile::TempDir;
use topwork_engine::{Mode, Parameters, Pool, Sequences, Tape};
use topwork_models::{
    Checkpoint, FAMILIES, HeadKind, Model, ModelConfig, ModelOptions, Pooling, WeightOptions, Weights,
};

const HEAD: HeadKind = HeadKind::Sequence { outputs: 2 };
const LAYERS: usize = 3;

fn labels() -> Vec<String> {
    vec!["a".to_string(), "b".to_string()]
}

/// A directory with a fine-tuned model.
fn saved(config: &ModelConfig, pooling: Pooling) -> TempDir {
    new_models::saved(config, &Weights::initial(config, HEAD, 7).unwrap(), HEAD, &labels(), pooling)
}

/// The states of every token after the embeddings and each layer.
fn states(config: &ModelConfig, parameters: &Parameters) -> Vec<Vec<f32>> {
    let model = Model::bind(config, parameters, ModelOptions::of(HEAD)).unwrap();
    let (pool, sequences) = (Pool::new(), Sequences::new(vec![0, 1, 6, 18], vec![1, 2, 3]));
    let ids: Vec<u32> = (0..18).map(|place| 2 + place * 7 % 38).collect();
    let tokens = topwork_models::Tokens { ids: &ids, type_ids: &[0; 18], sequences: &sequences };
    let mut tape = Tape::new(parameters, &pool, Mode::Inference);
    model.hidden_states(&mut tape, &tokens).iter().map(|state| state.values().to_vec()).collect()
}

#[test]
fn the_lowest_layers_compute_what_the_whole_model_has_after_them() {
    for family in FAMILIES {
        for pooling in Pooling::ALL {
            let folder = saved(&new_config(family, LAYERS), pooling);
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            let whole = ModelConfig::load(folder.path()).unwrap();
            assert_eq!(whole.pooling(), pooling, "{}", family.name);
            let load = |config: &ModelConfig| {
                let head_rule = config.head_rule(HEAD, &labels(), None);
                let options = WeightOptions { pooling, ..WeightOptions::of(HEAD, head_rule) };
                Weights::load(&checkpoint, config, &options).unwrap()
            };
            let all = states(&whole, &load(&whole).parameters());
            for layers in 1..=LAYERS {
                let config = whole.with_layers(layers, folder.path()).unwrap();
                let weights = load(&config);
                let own = states(&config, &weights.parameters());
                assert!(own.len() == layers + 1 && own[..] == all[..=layers], "{}, {layers} layers", family.name);
                assert_eq!(config.has_fewer_layers(), layers < LAYERS);
                assert_eq!(config.whole().encoder().sizes().num_hidden_layers, LAYERS);
                let of_upper = weights.report.ignored.iter().filter(|(_, why)| why == "of a layer that is left out");
                // Four projections, two layer norms and two products of the feed-forward part, each with a bias.
                assert_eq!(of_upper.count(), (LAYERS - layers) * 16, "{}", family.name);
                let new: Vec<&str> = weights.report.new.iter().map(|(_, why)| why.as_str()).collect();
                match layers < LAYERS {
                    true => assert!(
                        !new.is_empty() && new.iter().all(|why| why.contains("layers that are left out")),
                        "{}: {new:?}",
                        family.name
                    ),
                    false => assert!(new.is_empty(), "{}: {new:?}", family.name),
                }
            }
        }
    }
}

#[test]
fn what_is_saved_has_so_many_layers_and_others_are_refused() {
    for family in FAMILIES {
        let whole = new_config(family, LAYERS);
        let folder = saved(&whole, Pooling::FirstToken);
        let fewer = ModelConfig::load(folder.path()).unwrap().with_layers(1, folder.path()).unwrap();
        let written: Value = fewer.for_head(HEAD, &["x".to_string(), "y".to_string()], None).unwrap();
        let read = ModelConfig::parse("config.json".as_ref(), written).unwrap();
        assert_eq!(read.encoder().sizes().num_hidden_layers, 1, "{}", family.name);
        // Fewer of fewer: the whole stays the directory's model.
        let of_two = whole.with_layers(2, folder.path()).unwrap();
        assert_eq!(of_two.with_layers(1, folder.path()).unwrap().whole().encoder().sizes().num_hidden_layers, LAYERS);
        for layers in [0, LAYERS + 1] {
            let error = whole.with_layers(layers, folder.path()).unwrap_err().to_string();
            assert!(error.contains("1 to 3 layers") && error.contains(&layers.to_string()), "{error}");
        }
    }
}
