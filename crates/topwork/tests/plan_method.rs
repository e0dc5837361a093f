//! The laws by which the method, and what goes with it, follow from rows and model.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod plan_facts;

use std::path::Path;

use plan_facts::{facts, minimal, said};
use topwork::plan::facts::{Facts, LayerProbe, ModelFacts, TaskFacts};
use topwork::plan::recipe::{Options, Recipe};
use topwork::plan::resolve::resolve;
use topwork::plan::value::Method;
use topwork_data::TargetKind;
use topwork_models::{Pooling, StatedPooling};

/// Few rows of a model that was made for texts to be compared.
fn few_rows(a_class: usize) -> Facts {
    let model = ModelFacts {
        pooling: Some(StatedPooling {
            pooling: Some(Pooling::MeanTokens),
            mode: "mean".into(),
            file: "1_Pooling/config.json".into(),
        }),
        ..facts().model
    };
    Facts { rows: 3 * a_class, class_counts: vec![a_class; 3], named_labels: true, model, ..facts() }
}

#[test]
fn the_method_is_the_one_that_the_rows_and_the_model_can_carry() {
    let method = |facts: &Facts, flags: &[(&str, &str)]| {
        resolve(&minimal().overridden_by(said(flags)), facts).unwrap().method.value
    };
    let few = few_rows(8);
    for flags in [&[][..], &[("method", "auto")]] {
        assert_eq!(method(&few, flags), Method::Setfit);
        assert_eq!(method(&few_rows(64), flags), Method::Setfit);
        assert_eq!(method(&few_rows(65), flags), Method::Finetune);
        let many = |classes: usize| Facts { rows: 8 * classes, class_counts: vec![8; classes], ..few.clone() };
        assert_eq!(method(&many(64), flags), Method::Setfit);
        assert_eq!(method(&many(65), flags), Method::Finetune, "few rows of each of many classes");
        assert_eq!(method(&Facts { has_pairs: true, ..few.clone() }, flags), Method::Finetune);
        let unstated = Facts { model: facts().model, ..few.clone() };
        assert_eq!(method(&unstated, flags), Method::Finetune, "a model that was not made for texts to be compared");
        let trained = Facts { model: ModelFacts { has_own_head: true, ..few.model.clone() }, ..few.clone() };
        assert_eq!(method(&trained, flags), Method::Finetune, "a head that goes on");
        let alone = Facts { named_labels: false, ..few_rows(1) };
        assert_eq!(method(&alone, flags), Method::Finetune, "no two rows of a class");
        let unnamed = [flags, &[("label_names_as_rows", "false")]].concat();
        assert_eq!(method(&few_rows(1), &unnamed), Method::Finetune, "no name beside the row");
        assert_eq!(method(&few_rows(1), flags), Method::Setfit, "a row and its class's name");
        for kind in [TargetKind::Labels, TargetKind::Value, TargetKind::TokenTags] {
            let task = TaskFacts { kind, starts_from_probe: kind != TargetKind::TokenTags, ..TaskFacts::default() };
            assert_eq!(method(&Facts { task, ..few.clone() }, flags), Method::Finetune);
        }
    }
    assert_eq!(method(&few, &[("init", "random")]), Method::Finetune);
    for (said, method_said) in [("finetune", Method::Finetune), ("linear", Method::Linear), ("setfit", Method::Setfit)]
    {
        assert_eq!(method(&few, &[("method", said)]), method_said);
        assert_eq!(method(&facts(), &[("method", said)]), method_said);
    }
}

#[test]
fn a_method_brings_its_own_defaults_and_what_is_said_goes_before() {
    let plan = |flags: &[(&str, &str)]| resolve(&minimal().overridden_by(said(flags)), &few_rows(8)).unwrap();
    let own = plan(&[]);
    assert_eq!((own.max_steps.value, own.per_device_train_batch_size.value), (Some(52), 16));
    assert_eq!((own.learning_rate.value, own.hidden_dropout_prob.value), (5e-5, 0.0));
    assert!(!own.load_best_model_at_end.value && own.compare_seeds.value == 0);
    assert_eq!(plan(&[("num_train_epochs", "3")]).max_steps.value, None, "epochs that were said decide");
    assert_eq!(plan(&[("max_steps", "7"), ("learning_rate", "1e-3")]).max_steps.value, Some(7));
    assert_eq!(plan(&[("learning_rate", "1e-3")]).learning_rate.value, 1e-3);
    let linear = plan(&[("method", "linear")]);
    assert_eq!((linear.freeze_layers.value, linear.max_steps.value), (6, None));
    let error = resolve(&minimal().overridden_by(said(&[("early_stopping_patience", "2")])), &few_rows(8)).unwrap_err();
    let expected = "expected nothing: epochs are not compared with method";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn names_of_classes_are_rows_where_they_are_words_and_rows_are_few() {
    let names = |facts: &Facts, flags: &[(&str, &str)]| {
        resolve(&minimal().overridden_by(said(flags)), facts).map(|plan| plan.label_names_as_rows.value)
    };
    assert!(names(&few_rows(8), &[]).unwrap());
    assert!(!names(&few_rows(8), &[("label_names_as_rows", "false")]).unwrap());
    assert!(!names(&few_rows(65), &[]).unwrap());
    assert!(names(&few_rows(65), &[("label_names_as_rows", "true")]).unwrap());
    assert!(!names(&Facts { named_labels: false, ..few_rows(8) }, &[]).unwrap());
    let pairs = Facts { has_pairs: true, ..few_rows(8) };
    assert!(!names(&pairs, &[]).unwrap());
    let error = names(&pairs, &[("label_names_as_rows", "true")]).unwrap_err().to_string();
    assert!(error.contains("expected false: only classes of single texts have names that stand for rows"), "{error}");
}

#[test]
fn a_file_of_few_rows_spares_none_for_validation() {
    let fraction = |rows: usize, kind: TargetKind, flags: &[(&str, &str)]| {
        let task = TaskFacts { kind, starts_from_probe: false, ..TaskFacts::default() };
        let facts = Facts { rows, task, ..facts() };
        resolve(&minimal().overridden_by(said(flags)), &facts).unwrap().validation_fraction.value
    };
    let test = [("test_file", "test.csv")];
    assert_eq!(fraction(199, TargetKind::Value, &test), 0.0);
    assert_eq!(fraction(200, TargetKind::Value, &test), 0.1);
    assert_eq!(fraction(199, TargetKind::Value, &[]), 0.0, "folds judge");
    assert_eq!(fraction(199, TargetKind::Labels, &test), 0.1, "thresholds are fitted on rows that are held out");
    assert_eq!(fraction(199, TargetKind::Value, &[test[0], ("validation_fraction", "0.2")]), 0.2);
    // Where epochs are compared, rows are held out to compare them by; the plan repeats itself.
    for compared in [("early_stopping_patience", "3"), ("load_best_model_at_end", "true")] {
        assert_eq!(fraction(199, TargetKind::Value, &[test[0], compared]), 0.1, "{compared:?}");
        let facts = Facts { rows: 199, ..facts() };
        let plan = resolve(&minimal().overridden_by(said(&[test[0], compared])), &facts).unwrap();
        let again = Recipe::from_toml(&plan.to_toml(), Path::new("plan.toml")).unwrap();
        assert_eq!(resolve(&again, &facts).unwrap().validation_fraction.value, 0.1);
    }
}

#[test]
fn without_a_test_file_folds_judge_few_rows_unless_something_needs_others() {
    let rows_of = |facts: &Facts, flags: &[(&str, &str)]| {
        let plan = resolve(&minimal().overridden_by(said(flags)), facts).unwrap();
        // The plan repeats itself, whatever the defaults would be.
        let repeated = resolve(&Recipe::from_toml(&plan.to_toml(), Path::new("plan.toml")).unwrap(), facts).unwrap();
        assert_eq!(
            (repeated.validation_fraction.value, repeated.folds.value),
            (plan.validation_fraction.value, plan.folds.value)
        );
        (plan.validation_fraction.value, plan.folds.value)
    };
    let of = |classes: [usize; 2]| Facts { rows: classes.iter().sum(), class_counts: classes.to_vec(), ..facts() };
    assert_eq!(rows_of(&of([99, 100]), &[]), (0.0, Some(5)));
    assert_eq!(rows_of(&of([100, 100]), &[]), (0.1, None), "enough rows to hold some out");
    assert_eq!(rows_of(&of([3, 20]), &[]), (0.0, Some(3)), "each fold has a row of each class");
    assert_eq!(rows_of(&of([1, 20]), &[]), (0.1, None), "a class of one row cannot be parted");
    let few = of([20, 20]);
    assert_eq!(rows_of(&Facts { fewest_texts: Some(2), ..few.clone() }, &[]), (0.0, Some(2)));
    assert_eq!(rows_of(&few, &[("test_file", "test.csv")]), (0.0, None), "the test file judges");
    assert_eq!(rows_of(&few, &[("validation_file", "validation.csv")]), (0.0, None));
    assert_eq!(rows_of(&few, &[("validation_fraction", "0")]), (0.0, None), "nothing is to judge");
    assert_eq!(rows_of(&few, &[("validation_fraction", "0.2")]), (0.2, None));
    for needing in ["seeds", "compare_seeds", "early_stopping_patience"] {
        assert_eq!(rows_of(&few, &[(needing, "2")]), (0.1, None), "{needing}");
    }
    for needing in ["permuted_control", "load_best_model_at_end"] {
        assert_eq!(rows_of(&few, &[(needing, "true")]), (0.1, None), "{needing}");
    }
    assert_eq!(rows_of(&few, &[("unlabelled_file", "more.txt")]), (0.1, None));
    // Of four rows a tenth is none; there are no folds beside it all the same.
    assert_eq!(rows_of(&of([2, 2]), &[("seeds", "3")]), (0.1, None));
    assert_eq!(rows_of(&few, &[("folds", "0")]), (0.1, None));
    assert_eq!(rows_of(&of([200, 200]), &[("folds", "0")]), (0.1, None));
    // Flags over a plan that has folds because its rows were few.
    let plan = resolve(&minimal(), &few).unwrap().to_toml();
    let over = |flags: &[(&str, &str)]| {
        let recipe = Recipe::from_toml(&plan, Path::new("plan.toml")).unwrap().overridden_by(said(flags));
        resolve(&recipe, &few).map(|plan| (plan.validation_fraction.value, plan.folds.value))
    };
    assert_eq!(over(&[("folds", "0"), ("validation_fraction", "0.1")]).unwrap(), (0.1, None));
    assert_eq!(over(&[("folds", "0")]).unwrap(), (0.0, None));
    let refused = format!("{:?}", over(&[("validation_fraction", "0.1")]).unwrap_err());
    assert!(refused.contains("--folds 0 --validation-fraction 0.1"), "{refused}");
    let refused = format!("{:?}", over(&[("early_stopping_patience", "2")]).unwrap_err());
    assert!(refused.contains("--folds 0 --validation-fraction 0.1"), "{refused}");
    let refused = format!("{:?}", over(&[("unlabelled_file", "more.txt")]).unwrap_err());
    assert!(refused.contains("--folds 0"), "{refused}");
}

#[test]
fn a_linear_head_stands_on_layers_as_they_were_whatever_was_said_of_freezing() {
    for frozen in ["0", "2", "6"] {
        let flags = [("method", "linear"), ("freeze_layers", frozen)];
        let plan = resolve(&minimal().overridden_by(said(&flags)), &facts()).unwrap();
        assert_eq!(plan.freeze_layers.value, facts().model.num_hidden_layers);
        assert!(plan.warnings.iter().any(|text| text.contains("no effect")), "{:?}", plan.warnings);
        // Facts of fewer layers, which the rows chose: the plan of all is repeated.
        let model = ModelFacts { num_hidden_layers: 4, ..facts().model };
        let probe = LayerProbe { rows: 64, explained: vec![(3, 0.1), (4, 0.4), (5, 0.3), (6, 0.2)] };
        let fewer = Facts { model, layer_probe: Some(probe), ..facts() };
        let plan = resolve(&minimal().overridden_by(said(&flags)), &fewer).unwrap();
        assert_eq!((plan.freeze_layers.value, plan.num_hidden_layers.value), (4, 4));
        let expected = "on 64 rows after so many layers: 3 0.10, 4 0.40, 5 0.30, 6 0.20";
        assert!(plan.num_hidden_layers.reason.ends_with(expected), "{}", plan.num_hidden_layers.reason);
    }
    let reason = |flags: &[(&str, &str)], facts: &Facts| {
        resolve(&minimal().overridden_by(said(flags)), facts).unwrap().num_hidden_layers.reason
    };
    let linear = [("method", "linear"), ("num_hidden_layers", "auto")];
    assert!(reason(&linear, &facts()).contains("the last one makes what first_token reads"));
    assert!(reason(&[("num_hidden_layers", "auto")], &facts()).contains("method finetune trains them"));
    let of_mean = [linear[0], linear[1], ("pooling", "mean")];
    assert!(reason(&of_mean, &Facts { rows: 15, ..facts() }).contains("15 rows, fewer than 16"));
    let nothing = |explained| Facts { layer_probe: Some(LayerProbe { rows: 20, explained }), ..facts() };
    assert!(reason(&of_mean, &nothing(Vec::new())).contains("20 rows cannot tell them apart"));
    assert!(reason(&of_mean, &nothing(vec![(5, -0.2), (6, -0.1)])).contains("none predicts the rows"));
}

#[test]
fn floor_take_has_rows_of_the_training_file_to_choose_by() {
    let plan = |facts: &Facts, flags: &[(&str, &str)]| {
        let flags = [&[("floor", "take"), ("test_file", "test.csv")], flags].concat();
        let plan = resolve(&minimal().overridden_by(said(&flags)), facts).unwrap();
        let again = resolve(&Recipe::from_toml(&plan.to_toml(), Path::new("plan.toml")).unwrap(), facts).unwrap();
        let rows = |plan: &topwork::plan::Plan| (plan.validation_fraction.value, plan.folds.value);
        assert_eq!(rows(&again), rows(&plan), "the plan repeats itself");
        rows(&plan)
    };
    // Few rows are all learnt from, and folds choose: as many as the smallest class can be parted in.
    assert_eq!(plan(&few_rows(8), &[]), (0.0, Some(5)));
    assert_eq!(plan(&few_rows(3), &[]), (0.0, Some(3)));
    assert_eq!(plan(&few_rows(8), &[("folds", "4")]), (0.0, Some(4)));
    assert_eq!(plan(&few_rows(8), &[("validation_fraction", "0.2")]), (0.2, None));
    assert_eq!(plan(&few_rows(8), &[("method", "finetune"), ("early_stopping_patience", "2")]), (0.1, None));
    // What is trained besides needs rows that are held out, where no test file has some.
    for repeated in [("seeds", "3"), ("permuted_control", "true"), ("compare_seeds", "2")] {
        let flags = said(&[("floor", "take"), repeated]);
        let plan = resolve(&minimal().overridden_by(flags), &few_rows(8)).unwrap();
        assert_eq!((plan.validation_fraction.value, plan.folds.value), (0.1, None), "{repeated:?}");
        let again = Recipe::from_toml(&plan.to_toml(), Path::new("plan.toml")).unwrap();
        assert_eq!(resolve(&again, &few_rows(8)).unwrap().to_toml().lines().count(), plan.to_toml().lines().count());
    }
    // Texts that are the same are in the same fold.
    assert_eq!(plan(&Facts { fewest_texts: Some(3), ..few_rows(8) }, &[]), (0.0, Some(3)));
    assert_eq!(plan(&Facts { fewest_texts: Some(1), ..few_rows(8) }, &[]), (0.1, None));
    // More can spare some, also where a test file judges.
    assert_eq!(plan(&few_rows(70), &[]), (0.1, None));
    assert_eq!(plan(&few_rows(70), &[("validation_fraction", "0")]), (0.0, Some(5)));
    let with_file = Facts { validation_rows: Some(30), ..few_rows(8) };
    assert_eq!(plan(&with_file, &[("validation_file", "validation.csv")]), (0.0, None));
    // Where nothing is chosen nothing changes.
    let own = resolve(&minimal().overridden_by(said(&[("test_file", "test.csv")])), &few_rows(70)).unwrap();
    assert_eq!((own.validation_fraction.value, own.folds.value), (0.1, None));
}

#[test]
fn what_has_no_effect_on_a_method_is_refused_or_said() {
    let plan = |flags: &[(&str, &str)]| resolve(&minimal().overridden_by(said(flags)), &few_rows(8));
    for (method, flag, value) in [
        ("setfit", "load_best_model_at_end", "true"),
        ("setfit", "label_smoothing_factor", "0.1"),
        ("linear", "label_smoothing_factor", "0.1"),
        ("linear", "max_steps", "5"),
        ("linear", "early_stopping_patience", "2"),
    ] {
        let error = plan(&[("method", method), (flag, value)]).unwrap_err().to_string();
        assert!(error.contains(&format!("--{}", flag.replace('_', "-"))), "{method}: {error}");
    }
    let linear = plan(&[("method", "linear"), ("learning_rate", "1e-3"), ("num_train_epochs", "3")]).unwrap();
    let said_of =
        "--num-train-epochs, --learning-rate: no effect with method linear, which fits a head and trains no layer";
    assert_eq!(linear.warnings, [said_of]);
    for method in ["linear", "setfit", "finetune"] {
        let own = plan(&[("method", method)]).unwrap();
        let again = resolve(&Recipe::from_toml(&own.to_toml(), Path::new("plan.toml")).unwrap(), &few_rows(8)).unwrap();
        let values =
            |plan: &topwork::plan::Plan| plan.entries().into_iter().map(|entry| entry.value).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&own), "a plan of {method} is a recipe that gives the same plan");
    }
}
