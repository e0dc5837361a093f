//! Laws of the way from recipe to plan to policy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plan_facts;

use std::path::{Path, PathBuf};

use plan_facts::{facts, minimal, said};
use topwork::advise::length::propose;
use topwork::plan::error::PlanError;
use topwork::plan::facts::{Facts, ModelFacts, PoolingProbe, TaskFacts, TokenLengths};
use topwork::plan::fields::{FIELDS, Field};
use topwork::plan::parameter_policy::policy;
use topwork::plan::recipe::{Options, Place, Recipe};
use topwork::plan::resolve::resolve;
use topwork::plan::value::HeadInit;
use topwork::plan::{Origin, Plan};
use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_models::{Block, ParameterKind, ParameterSpec, Pooling, StatedPooling};

fn read(text: &str) -> Result<Recipe, PlanError> {
    Recipe::from_toml(text, Path::new("my.toml"))
}

/// The plan of a minimal recipe and these flags.
fn plan_with(flags: &[(&str, &str)]) -> Result<Plan, PlanError> {
    resolve(&minimal().overridden_by(said(flags)), &facts())
}

fn message(result: Result<Plan, PlanError>) -> String {
    result.unwrap_err().to_string()
}

/// Everything but where it comes from.
fn values(plan: &Plan) -> Vec<(&'static str, Option<String>)> {
    plan.entries().into_iter().map(|entry| (entry.field.key, entry.value)).collect()
}

#[test]
fn every_value_has_an_origin_and_a_reason() {
    let version = |text: &str| format!("topwork_version = \"{text}\"");
    let toml = resolve(&minimal(), &facts()).unwrap().to_toml();
    let toml = toml.replace(&version(env!("CARGO_PKG_VERSION")), &version("VERSION"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/plan.toml");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &toml).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(toml, expected, "UPDATE_SNAPSHOTS=1 cargo nextest run -p topwork writes {}", path.display());
}

#[test]
fn the_pooling_is_the_model_s_own_unless_another_is_said() {
    let plan_of = |pooling: Option<Pooling>, kind: TargetKind, flags: &[(&str, &str)]| {
        let mut facts = facts();
        let (mode, file) = ("mean".to_string(), "1_Pooling/config.json".to_string());
        facts.model.pooling = Some(StatedPooling { pooling, mode, file });
        facts.task.kind = kind;
        let plan = resolve(&minimal().overridden_by(said(flags)), &facts).unwrap();
        (plan.pooling.value, plan.pooling.origin, plan.pooling.reason)
    };
    let (value, origin, reason) = plan_of(Some(Pooling::MeanTokens), TargetKind::Class, &[]);
    assert_eq!(
        (value, origin, reason.as_str()),
        (Pooling::MeanTokens, Origin::ModelConfig, "mean in 1_Pooling/config.json")
    );
    let (value, origin, _) = plan_of(Some(Pooling::MeanTokens), TargetKind::Class, &[("pooling", "first_token")]);
    assert_eq!((value, origin), (Pooling::FirstToken, Origin::Flag));
    let (value, _, reason) = plan_of(None, TargetKind::Class, &[]);
    assert!(value == Pooling::FirstToken && reason.contains("no pooling here"), "{reason}");
    let (value, ..) = plan_of(Some(Pooling::MeanTokens), TargetKind::TokenTags, &[]);
    assert_eq!(value, Pooling::FirstToken, "a tagger reads each word");
}

#[test]
fn few_rows_choose_the_pooling_that_nobody_names() {
    let probed = |first, mean| {
        let explained = vec![(Pooling::FirstToken, first), (Pooling::MeanTokens, mean)];
        Facts { pooling_probe: Some(PoolingProbe { rows: 40, explained }), ..facts() }
    };
    let plan_of = |facts: &Facts, flags: &[(&str, &str)]| {
        let plan = resolve(&minimal().overridden_by(said(flags)), facts).unwrap();
        (plan.pooling.value, plan.pooling.reason)
    };
    for flags in [&[][..], &[("pooling", "auto")]] {
        let (value, reason) = plan_of(&probed(0.12, 0.31), flags);
        assert_eq!(value, Pooling::MeanTokens);
        assert!(reason.contains("on 40 rows") && reason.contains("first_token 0.12, mean 0.31"), "{reason}");
        assert_eq!(plan_of(&probed(0.31, 0.31), flags).0, Pooling::FirstToken, "what costs less, among equals");
        let (value, reason) = plan_of(&probed(-0.2, -0.1), flags);
        assert!(value == Pooling::FirstToken && reason.contains("neither predicts the rows"), "{reason}");
        let nothing = Facts { pooling_probe: Some(PoolingProbe { rows: 2, explained: Vec::new() }), ..facts() };
        let (value, reason) = plan_of(&nothing, flags);
        assert!(value == Pooling::FirstToken && reason.contains("2 rows cannot tell"), "{reason}");
        assert_eq!(plan_of(&Facts { rows: 1_001, ..probed(0.1, 0.3) }, flags).0, Pooling::FirstToken, "many rows");
        let model = ModelFacts { has_own_head: true, ..facts().model };
        assert_eq!(plan_of(&Facts { model, ..probed(0.1, 0.3) }, flags).0, Pooling::FirstToken, "a head that goes on");
    }
    let task = TaskFacts { kind: TargetKind::TokenTags, starts_from_probe: false, ..TaskFacts::default() };
    let tags = Facts { task, ..probed(0.1, 0.3) };
    assert_eq!(plan_of(&tags, &[("pooling", "auto")]).0, Pooling::FirstToken, "a tagger reads each word");
    assert_eq!(plan_of(&probed(0.1, 0.3), &[("pooling", "first_token")]).0, Pooling::FirstToken);
    assert_eq!(plan_of(&probed(0.1, 0.3), &[("init", "random")]).0, Pooling::FirstToken, "nothing pretrained");
    // A plan that is repeated names what was chosen, and nothing is measured again.
    let first = resolve(&minimal(), &probed(0.1, 0.3)).unwrap();
    let again = resolve(&read(&first.to_toml()).unwrap(), &facts()).unwrap();
    assert_eq!(values(&again), values(&first));
    // Files that name what there is not leave it open.
    let mut unknown = probed(0.1, 0.3);
    unknown.model.pooling =
        Some(StatedPooling { pooling: None, mode: "max".into(), file: "1_Pooling/config.json".into() });
    let plan = resolve(&minimal(), &unknown).unwrap();
    assert_eq!((plan.pooling.value, plan.warnings), (Pooling::MeanTokens, Vec::new()));
}

#[test]
fn a_plan_is_a_recipe_that_gives_the_same_plan() {
    let every_option = said(&[
        ("validation_file", "it's \"valid\".csv"),
        ("test_file", "te st.csv"),
        ("retain_file", "old.csv"),
        ("text_pair_column", "b#c"),
        ("class_weights", "{ HUM = 1, \"it's\" = 0.25, '\"LOC\"' = 3 }"),
        ("max_steps", "7"),
        ("early_stopping_patience", "2"),
        ("learning_rate", "3.3e-5"),
        ("hidden_dropout_prob", "0.3"),
        ("output_dir", r"C:\out"),
        ("seed", "9223372036854775807"),
    ]);
    for flags in [Recipe::default(), every_option] {
        let mut facts = facts();
        if flags.validation_file.is_some() {
            (facts.validation_rows, facts.validation_sha256) = (Some(50), Some("va11d".into()));
            (facts.test_sha256, facts.retain_sha256) = (Some("7e57".into()), Some("re7a1n".into()));
        }
        let first = resolve(&minimal().overridden_by(flags), &facts).unwrap();
        let again = resolve(&read(&first.to_toml()).unwrap(), &facts).unwrap();
        assert_eq!(values(&first), values(&again));
        assert_eq!(first.warnings, again.warnings);
        let is_said = |entry: &topwork::plan::Entry| entry.origin == Origin::Recipe || entry.value.is_none();
        assert!(again.entries().iter().all(is_said), "a default was decided anew");
    }
}

#[test]
fn the_plan_of_other_data_is_refused() {
    let plan = resolve(&minimal(), &facts()).unwrap().to_toml();
    let changed = Facts { train_sha256: "07her".into(), ..facts() };
    let error = resolve(&read(&plan).unwrap(), &changed).unwrap_err();
    let line = 1 + plan.lines().position(|line| line.starts_with("train_sha256")).unwrap();
    let expected =
        format!("my.toml: line {line}: train_sha256: expected \"7ra1n\", as when this plan was made, found \"07her\"");
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("--train-file"), "{:?}", error.hint());

    let renamed = read(&plan).unwrap().overridden_by(said(&[("train_file", "other.csv")]));
    assert!(resolve(&renamed, &changed).is_ok(), "a flag that names another file asks for another hash");
    let repeated = read(&plan).unwrap().overridden_by(said(&[("train_file", "train.csv")]));
    assert!(resolve(&repeated, &changed).is_err(), "a flag that repeats the recipe changes nothing");
}

#[test]
fn the_plan_of_another_version_is_a_warning() {
    let plan = resolve(&minimal(), &facts()).unwrap().to_toml();
    let older =
        plan.replace(&format!("topwork_version = \"{}\"", env!("CARGO_PKG_VERSION")), "topwork_version = \"0.0.1\"");
    let warnings = resolve(&read(&older).unwrap(), &facts()).unwrap().warnings;
    assert!(matches!(&warnings[..], [warning] if warning.contains("0.0.1")), "{warnings:?}");
}

#[test]
fn a_flag_overrides_the_recipe_and_both_say_where() {
    let recipe = read("[training]\nseed = 1\nlearning_rate = 2e-5\n").unwrap();
    let recipe = minimal().overridden_by(recipe).overridden_by(said(&[("seed", "3")]));
    let plan = resolve(&recipe, &facts()).unwrap();
    assert_eq!((plan.seed.value, plan.seed.origin, plan.seed.reason.as_str()), (3, Origin::Flag, "--seed"));
    let rate = plan.learning_rate;
    assert_eq!((rate.value, rate.origin, rate.reason.as_str()), (2e-5, Origin::Recipe, "my.toml: line 3"));
    assert_eq!(plan.hidden_dropout_prob.origin, Origin::ModelConfig);
}

#[test]
fn other_names_are_understood_in_recipes_and_flags() {
    let recipe = read("[training]\nlr = 1e-3\n[data]\nval_size = 0.2\n").unwrap();
    assert_eq!(recipe.learning_rate.unwrap().value, 1e-3);
    assert_eq!(recipe.validation_fraction.unwrap().place, Place::Recipe { path: "my.toml".into(), line: 4 });
    assert_eq!(said(&[("epochs", "4")]).num_train_epochs.unwrap().value, 4);
}

#[test]
fn no_name_means_two_options() {
    let mut names: Vec<&str> =
        FIELDS.iter().flat_map(|field| field.aliases.iter().copied().chain([field.key])).collect();
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
    assert!(FIELDS.iter().all(|field| !field.help.trim().is_empty()));
}

#[test]
fn what_is_wrong_with_a_recipe_is_named_with_its_line() {
    let cases = [
        (
            "[training]\n\nlearning_rte = 1e-5\n",
            "my.toml: line 3: expected a key of [training], found `learning_rte`",
            "did you mean `learning_rate`, in [training]",
        ),
        (
            "[training]\nzebra = 1\n",
            "my.toml: line 2: expected a key of [training], found `zebra`",
            "the command's --help",
        ),
        (
            "[trainning]\nseed = 1\n",
            "my.toml: line 1: expected one of the tables [model], [data], [objective], [training], found `trainning`",
            "did you mean [training]",
        ),
        (
            "seed = 1\n",
            "my.toml: line 1: expected `seed` in [training], found it outside of all tables",
            "move the line below [training]",
        ),
        (
            "[model]\nseed = 1\n",
            "my.toml: line 2: expected `seed` in [training], found it in [model]",
            "move the line below [training]",
        ),
        (
            "[training]\nlr = 1e-5\nlearning_rate = 1e-5\n",
            "my.toml: line 3: expected learning_rate once, found it again: it stands in my.toml: line 2 already",
            "remove one",
        ),
        (
            "[training]\nseed = \"one\"\n",
            "my.toml: line 2: seed: expected a whole number from 0 to 9223372036854775807, found \"one\"",
            "",
        ),
        (
            "[training]\nseed = -1\n",
            "my.toml: line 2: seed: expected a whole number from 0 to 9223372036854775807, found -1",
            "",
        ),
        (
            "[training]\nlr_scheduler_type = \"square\" # odd\n",
            "my.toml: line 2: lr_scheduler_type: expected linear, cosine or constant, found \"square\"",
            "",
        ),
        (
            "[training]\nload_best_model_at_end = 1\n",
            "my.toml: line 2: load_best_model_at_end: expected true or false, found 1",
            "",
        ),
        (
            "[training]\n[[training.seed]]\n",
            "my.toml: line 2: seed: expected a whole number from 0 to 9223372036854775807, found",
            "",
        ),
        (
            "[facts]\nmoon = \"full\"\n",
            "my.toml: line 2: expected a fact that a plan pins, found `moon`",
            "remove the line",
        ),
        ("[training]\nseed = 1\nseed = 2\n", "my.toml: line 3: expected TOML, found an error: duplicate key", ""),
        ("[training\nseed = 1", "my.toml: line 1: expected TOML, found an error", ""),
    ];
    for (text, expected, hint) in cases {
        let error = read(text).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{text:?}\nfound    {error}\nexpected {expected}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{text:?}: {:?}", error.hint());
    }
}

#[test]
fn a_value_out_of_its_range_is_refused_with_the_range() {
    let cases = [
        ("learning_rate", "0", "--learning-rate: expected a number above 0 and below 1, found 0.0"),
        ("learning_rate", "nan", "--learning-rate: expected a number above 0 and below 1, found NaN"),
        ("learning_rate", "inf", "--learning-rate: expected a number above 0"),
        ("num_train_epochs", "0", "--num-train-epochs: expected a whole number from 1"),
        ("per_device_train_batch_size", "0", "--per-device-train-batch-size: expected a whole number from 1"),
        ("gradient_accumulation_steps", "0", "--gradient-accumulation-steps: expected a whole number from 1"),
        ("max_steps", "0", "--max-steps: expected a whole number from 1"),
        ("early_stopping_patience", "0", "--early-stopping-patience: expected a whole number from 1"),
        ("validation_fraction", "1", "--validation-fraction: expected a number from 0 to below 1, found 1.0"),
        ("warmup_ratio", "1.1", "--warmup-ratio: expected a number from 0 to 1, found 1.1"),
        ("hidden_dropout_prob", "1", "--hidden-dropout-prob: expected a number from 0 to below 1"),
        ("attention_probs_dropout_prob", "-0.1", "--attention-probs-dropout-prob: expected a number from 0 to below 1"),
        ("classifier_dropout", "nan", "--classifier-dropout: expected a number from 0 to below 1"),
        ("label_smoothing_factor", "1", "--label-smoothing-factor: expected a number from 0 to below 1"),
        ("weight_decay", "-0.01", "--weight-decay: expected a number from 0 to 10, found -0.01"),
        ("max_grad_norm", "-1", "--max-grad-norm: expected a number from 0, found -1.0"),
        ("adam_beta1", "1", "--adam-beta1: expected a number from 0 to below 1"),
        ("adam_beta2", "1", "--adam-beta2: expected a number from 0 to below 1"),
        ("adam_epsilon", "0", "--adam-epsilon: expected a number above 0"),
        ("layer_decay", "0", "--layer-decay: expected a number above 0 and up to 1"),
        ("head_learning_rate_scale", "0", "--head-learning-rate-scale: expected a number above 0"),
        ("freeze_layers", "7", "--freeze-layers: expected 0 to 6, the layers of the model, found 7"),
        ("max_seq_length", "513", "--max-seq-length: expected 2 to 512 tokens, the positions of the model, found 513"),
        ("threads", "0", "--threads: expected 1 to 1024, found 0"),
        (
            "class_weights",
            "HUM=1",
            "--class-weights: expected none, balanced, or a weight above 0 for each of the labels",
        ),
        ("class_weights", "HUM=1,it's=0,\"LOC\"=1", "--class-weights: expected none, balanced, or a weight above 0"),
    ];
    for (key, text, expected) in cases {
        let found = message(plan_with(&[(key, text)]));
        assert!(found.starts_with(expected), "{key} {text}\nfound    {found}\nexpected {expected}");
    }
    let in_file = minimal().overridden_by(read("[training]\nwarmup_ratio = 2\n").unwrap());
    let found = message(resolve(&in_file, &facts()));
    assert_eq!(found, "my.toml: line 2: warmup_ratio: expected a number from 0 to 1, found 2.0");
}

#[test]
fn a_flag_of_the_wrong_type_is_refused() {
    let mut recipe = Recipe::default();
    let error = recipe.say("seed", "one", "--seed").unwrap_err().to_string();
    assert_eq!(error, "--seed: expected a whole number from 0 to 9223372036854775807, found \"one\"");
    assert!(
        recipe
            .say("num_train_epoch", "1", "--num-train-epoch")
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("--num-train-epochs")
    );
}

#[test]
fn what_has_no_default_must_be_said() {
    let error = resolve(&said(&[("model_name_or_path", "m")]), &facts()).unwrap_err();
    assert_eq!(error.to_string(), "expected --train-file, found nothing");
    assert!(error.hint().unwrap().contains("train.csv"));
    let plan = resolve(&said(&[("train_file", "train.csv")]), &facts()).unwrap();
    assert_eq!(plan.model_name_or_path.value, "seedling", "the first command needs no model");
}

#[test]
fn contradictions_are_refused() {
    let both = message(plan_with(&[("validation_file", "v.csv"), ("validation_fraction", "0.1")]));
    assert_eq!(both, "--validation-file and --validation-fraction: expected one of them, found both");
    for needing in [("early_stopping_patience", "2"), ("load_best_model_at_end", "true")] {
        let found = message(plan_with(&[("validation_fraction", "0"), needing]));
        assert!(found.ends_with("expected validation rows to compare epochs by, found none"), "{found}");
    }
    assert!(plan_with(&[("validation_fraction", "0"), ("load_best_model_at_end", "false")]).is_ok());
}

#[test]
fn a_training_of_seconds_is_compared_and_a_long_one_is_not() {
    let seeds = |facts: &Facts, flags: &[(&str, &str)]| {
        resolve(&minimal().overridden_by(said(flags)), facts).unwrap().compare_seeds.value
    };
    assert_eq!(seeds(&facts(), &[]), 2);
    assert_eq!(seeds(&facts(), &[("max_steps", "50")]), 3);
    assert_eq!(seeds(&Facts { rows: 50_000, ..facts() }, &[]), 0);
    assert_eq!(seeds(&Facts { rows: 50_000, ..facts() }, &[("max_steps", "10")]), 3);
    assert_eq!(seeds(&facts(), &[("max_steps", "1000000000"), ("gradient_accumulation_steps", "1000000000")]), 0);
    let long_texts = TokenLengths { p50: 200, p95: 250, longest: 256 };
    assert_eq!(seeds(&Facts { tokens: long_texts, ..facts() }, &[]), 0);
    assert_eq!(seeds(&facts(), &[("validation_fraction", "0")]), 0, "no rows to compare on");
    assert_eq!(seeds(&facts(), &[("validation_fraction", "0"), ("test_file", "test.csv")]), 2);
    assert_eq!(seeds(&facts(), &[("compare_seeds", "0")]), 0);
}

#[test]
fn defaults_follow_the_data() {
    let plan = |facts: &Facts| resolve(&minimal(), facts).unwrap();
    let few = plan(&facts());
    assert!(!few.load_best_model_at_end.value, "50 rows cannot choose between epochs");
    assert_eq!(few.metric_for_best_model.value, Metric::Accuracy);
    let skewed = plan(&Facts { class_counts: vec![400, 60, 40], ..facts() });
    assert_eq!(skewed.metric_for_best_model.value, Metric::MacroF1);
    let many = plan(&Facts { rows: 50_000, ..facts() });
    assert!(many.load_best_model_at_end.value);
    assert!(many.num_train_epochs.value < few.num_train_epochs.value);
    assert!(many.learning_rate.value < few.learning_rate.value);
    // A class that is declared and has no row is no small class.
    let declared = plan(&Facts { class_counts: vec![200, 150, 150, 0], ..facts() });
    assert_eq!(declared.metric_for_best_model.value, Metric::Accuracy);
    // Tags start from a random head, which takes more and larger steps, but in a large model.
    let of_tags = TaskFacts { kind: TargetKind::TokenTags, starts_from_probe: false, ..TaskFacts::default() };
    let tags = Facts { rows: 50_000, task: of_tags, ..facts() };
    let large = Facts { model: ModelFacts { num_hidden_layers: 48, ..tags.model.clone() }, ..tags.clone() };
    assert!(plan(&tags).per_device_train_batch_size.value < many.per_device_train_batch_size.value);
    assert_eq!(plan(&tags).learning_rate.value, 2.0 * many.learning_rate.value);
    assert_eq!(plan(&large).learning_rate.value, many.learning_rate.value);
    let of_numbers = TaskFacts { kind: TargetKind::Value, ..TaskFacts::default() };
    assert_eq!(plan(&Facts { task: of_numbers, ..facts() }).head_init.value, HeadInit::Random);
    let stopping = plan_with(&[("early_stopping_patience", "2")]).unwrap();
    assert!(stopping.load_best_model_at_end.value, "stopping early is for the best, not for the last");
}

#[test]
fn a_text_is_cut_only_where_the_model_ends_or_few_are_longer() {
    let plan = |p95, longest, model_max_length| {
        let model = ModelFacts { model_max_length, ..facts().model };
        let tokens = TokenLengths { p50: 10, p95, longest };
        resolve(&minimal(), &Facts { tokens, model, ..facts() }).unwrap()
    };
    let cases = [
        ((20, 37, None), 256),
        ((20, 37, Some(128)), 128),
        ((20, 256, None), 256),
        ((20, 300, None), 256),
        ((301, 400, None), 304),
        ((301, 304, None), 304),
        ((600, 9_000, None), 512),
        ((20, 300, Some(128)), 128),
    ];
    for ((p95, longest, limit), expected) in cases {
        let plan = plan(p95, longest, limit);
        assert_eq!(plan.max_seq_length.value, expected, "{p95} {longest} {limit:?}: {}", plan.max_seq_length.reason);
    }
}

#[test]
fn balanced_class_weights_give_each_class_the_same_share() {
    let plan = plan_with(&[("class_weights", "balanced")]).unwrap();
    let counts = [10, 30, 60];
    let weights = plan.class_weight_values(&counts).unwrap();
    let shares: Vec<f32> = weights.iter().zip(counts).map(|(weight, count)| weight * count as f32).collect();
    assert!(shares.iter().all(|share| (share - 100.0 / 3.0).abs() < 1e-4), "{shares:?}");
    assert_eq!(plan_with(&[]).unwrap().class_weight_values(&counts), None);
    // A class that is declared and has no row takes nothing from the others, and is not pushed at.
    let declared = [counts.as_slice(), &[0]].concat();
    assert_eq!(plan.class_weight_values(&declared).unwrap(), [weights.as_slice(), &[1.0]].concat());
    let named = plan_with(&[("class_weights", "HUM=1,it's=2,\"LOC\"=3")]).unwrap();
    assert_eq!(named.class_weight_values(&counts), Some(vec![1.0, 2.0, 3.0]));
}

/// The parameters of a model with so many layers: a matrix and a bias in each, an embedding with its norm.
fn specs(layers: usize) -> Vec<ParameterSpec> {
    let spec =
        |name: String, block, kind| ParameterSpec { name, shape: vec![4, 2], block, kind, new_if_missing: false };
    let mut specs = vec![
        spec("bert.embeddings.word_embeddings.weight".into(), Block::Embeddings, ParameterKind::Embedding),
        spec("bert.embeddings.LayerNorm.weight".into(), Block::Embeddings, ParameterKind::LayerNorm),
    ];
    let layers = (0..layers).map(|index| (format!("bert.encoder.layer.{index}.output.dense"), Block::Layer(index)));
    let above = [("bert.pooler.dense".to_string(), Block::Final), ("classifier".to_string(), Block::Head)];
    for (module, block) in layers.chain(above) {
        specs.push(spec(format!("{module}.weight"), block, ParameterKind::Weight));
        specs.push(spec(format!("{module}.bias"), block, ParameterKind::Bias));
    }
    specs
}

#[test]
fn every_parameter_is_answered_exactly_once() {
    let mut specs = specs(12);
    let plan = plan_with(&[]).unwrap();
    let policy = policy(&specs, &plan).unwrap();
    let names: Vec<&String> = policy.parameters.iter().map(|parameter| &parameter.name).collect();
    assert_eq!(names, specs.iter().map(|spec| &spec.name).collect::<Vec<_>>());
    let blocks = policy.by_block(&plan);
    assert_eq!(blocks.len(), 15);
    assert_eq!(blocks.iter().map(|block| block.values).sum::<usize>(), 8 * specs.len());
    assert_eq!(blocks.iter().map(|block| block.tensors).sum::<usize>(), specs.len());
    specs.push(specs[3].clone());
    let error = topwork::plan::parameter_policy::policy(&specs, &plan).unwrap_err().to_string();
    assert_eq!(error, "parameter bert.encoder.layer.0.output.dense.bias: expected once, found twice");
}

#[test]
fn freezing_takes_the_embeddings_and_the_lowest_layers_and_no_others() {
    // Layer 10 begins like layer 1.
    for frozen in 0..=6 {
        let plan = plan_with(&[("freeze_layers", &frozen.to_string())]).unwrap();
        let policy = policy(&specs(12), &plan).unwrap();
        for parameter in &policy.parameters {
            let expected = match parameter.block {
                Block::Embeddings => frozen == 0,
                Block::Layer(index) => index >= frozen,
                Block::Final | Block::Head => true,
            };
            assert_eq!(parameter.trainable, expected, "{} with freeze_layers {frozen}", parameter.name);
            let is_still = parameter.lr_scale == 0.0 && parameter.weight_decay == 0.0;
            assert_eq!(is_still, !parameter.trainable, "{}", parameter.name);
        }
    }
    let too_many = policy(&specs(2), &plan_with(&[("freeze_layers", "3")]).unwrap());
    let error = too_many.unwrap_err().to_string();
    assert_eq!(error, "freeze_layers: expected at most the model's 2 layers, found 3");
}

/// A control that was held back would prove nothing.
#[test]
fn random_weights_are_planned_on_their_own_terms() {
    let (pretrained, random) = (plan_with(&[]).unwrap(), plan_with(&[("init", "random")]).unwrap());
    assert!(random.learning_rate.value > pretrained.learning_rate.value);
    assert_eq!((random.layer_decay.value, random.head_init.value), (1.0, HeadInit::Random));
    let said = plan_with(&[("init", "random"), ("learning_rate", "2e-5"), ("layer_decay", "0.8")]).unwrap();
    assert_eq!((said.learning_rate.value, said.layer_decay.value), (2e-5, 0.8));
}

#[test]
fn small_models_learn_at_higher_rates() {
    let mut facts = facts();
    facts.model.hidden_size = 128;
    facts.model.intermediate_size = 512;
    let (small, large) = (resolve(&minimal(), &facts).unwrap(), plan_with(&[]).unwrap());
    assert!(small.learning_rate.value > 5.0 * large.learning_rate.value);
    assert!(small.learning_rate.reason.contains("1.2 M values"), "{}", small.learning_rate.reason);
}

#[test]
fn the_learning_rate_falls_by_layer_decay_from_the_top_down() {
    let plan = plan_with(&[("layer_decay", "0.5"), ("head_learning_rate_scale", "3")]).unwrap();
    let policy = policy(&specs(3), &plan).unwrap();
    let scale = |block| policy.parameters.iter().find(|parameter| parameter.block == block).unwrap().lr_scale;
    assert_eq!(scale(Block::Head), 3.0);
    assert_eq!(scale(Block::Final), 1.0);
    assert_eq!([2, 1, 0].map(|layer| scale(Block::Layer(layer))), [0.5, 0.25, 0.125]);
    assert_eq!(scale(Block::Embeddings), 0.0625);
}

#[test]
fn biases_and_layer_norms_do_not_decay() {
    let plan = plan_with(&[("weight_decay", "0.1")]).unwrap();
    for parameter in policy(&specs(2), &plan).unwrap().parameters {
        let is_matrix = parameter.name.ends_with("dense.weight")
            || parameter.name.ends_with("embeddings.weight")
            || parameter.name == "classifier.weight";
        assert_eq!(parameter.weight_decay, if is_matrix { 0.1 } else { 0.0 }, "{}", parameter.name);
    }
}

#[test]
fn paths_and_columns_stay_as_they_were_said() {
    let plan = plan_with(&[("test_file", "../data/te st.csv"), ("text_column", " Text")]).unwrap();
    assert_eq!(plan.test_file.value, Some(PathBuf::from("../data/te st.csv")));
    assert_eq!(plan.text_column.value.as_deref(), Some(" Text"));
    assert_eq!(Field::find("cutoff_len").unwrap().flag(), "--max-seq-length");
}

#[test]
fn a_validation_file_leaves_every_training_row_to_learn_from() {
    assert_eq!(facts().rows_to_learn(0.1), 450);
    let with_file = Facts { validation_rows: Some(800), ..facts() };
    assert_eq!(with_file.rows_to_learn(0.0), 500);
    assert_eq!(Facts { rows: 1, ..facts() }.rows_to_learn(1.0), 0);
}

#[test]
fn a_longer_training_is_proposed_only_where_it_was_measured_and_nothing_was_said() {
    let proposed = |flags: &[(&str, &str)], said: bool| propose(&plan_with(flags).unwrap(), said).num_train_epochs;
    assert_eq!(proposed(&[], false), Some(16));
    assert_eq!(proposed(&[("num_train_epochs", "2")], true), Some(2));
    assert_eq!(proposed(&[("max_steps", "100")], false), None);
    let own = plan_with(&[("init", "random")]).unwrap().num_train_epochs.value;
    assert_eq!(proposed(&[("init", "random")], false), Some(own));
    let model = ModelFacts { hidden_size: 128, intermediate_size: 512, ..facts().model };
    let small = resolve(&minimal(), &Facts { model, ..facts() }).unwrap();
    assert_eq!(propose(&small, false).num_train_epochs, Some(small.num_train_epochs.value));
}
