//! Facts and recipes that plans are made of.

use topwork::plan::facts::{Facts, ModelFacts, TaskFacts, TokenLengths};
use topwork::plan::recipe::{Options, Recipe};
use topwork_models::{DropoutRate, DropoutRates};

pub(crate) fn facts() -> Facts {
    Facts {
        rows: 500,
        validation_rows: None,
        labels: ["HUM", "it's", "\"LOC\""].map(String::from).to_vec(),
        has_pairs: false,
        named_labels: false,
        class_counts: vec![200, 150, 150],
        fewest_texts: None,
        pooling_probe: None,
        layer_probe: None,
        tokens: TokenLengths { p50: 11, p95: 20, longest: 37 },
        total_tokens: 20_000,
        model: ModelFacts {
            pooling: None,
            has_own_head: false,
            family: "bert".into(),
            num_hidden_layers: 6,
            hidden_size: 384,
            intermediate_size: 1536,
            max_position_embeddings: 512,
            model_max_length: Some(512),
            dropouts: {
                let rate = |key| DropoutRate { value: 0.1, key };
                let (hidden, attention) = (rate("hidden_dropout_prob"), rate("attention_probs_dropout_prob"));
                DropoutRates { hidden, attention, head: hidden }
            },
            sha256: "m0de1".into(),
            config_sha256: "c0nf".into(),
            tokenizer_sha256: "70ken".into(),
        },
        train_sha256: "7ra1n".into(),
        validation_sha256: None,
        test_sha256: None,
        retain_sha256: None,
        unlabelled_sha256: None,
        label_names_sha256: None,
        task: TaskFacts::default(),
        unused_output_dir: "runs/train".into(),
        cores: 2,
    }
}

pub(crate) fn minimal() -> Recipe {
    said(&[("train_file", "train.csv"), ("model_name_or_path", "models/minilm")])
}

pub(crate) fn said(values: &[(&str, &str)]) -> Recipe {
    let mut recipe = Recipe::default();
    for (key, text) in values {
        recipe.say(key, text, &format!("--{}", key.replace('_', "-"))).unwrap();
    }
    recipe
}
