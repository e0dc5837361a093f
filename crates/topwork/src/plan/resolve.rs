//! From recipe to plan: a pure function of what was said and of facts about the data and the model.
//!
//! The only place that decides values. What was said is checked against its range; what was not said gets its default
//! from `plan/defaults.rs`.

use std::collections::BTreeSet;

use crate::plan::defaults::{self, because, fixed};
use crate::plan::error::PlanError;
use crate::plan::facts::{Facts, VERSION};
use crate::plan::floor;
use crate::plan::held_out;
use crate::plan::layers;
use crate::plan::method;
use crate::plan::pooling;
use crate::plan::recipe::{Options, Pins, Place, Recipe, Said};
use crate::plan::value::{ClassWeights, HeadInit, Init, Method, RecipeValue};
use crate::plan::{Origin, Plan, Resolved};
use topwork_data::{MissingLabels, TargetKind};
use topwork_metrics::Metric;
use topwork_models::SEEDLING;

/// The longest patience, step count and so on: beyond any use, and safe to multiply.
const MOST: usize = 1_000_000_000;

/// What a run with this recipe will do.
///
/// # Errors
/// When something without a default was not said, a value is out of range, two things contradict each other, or a
/// fact that the recipe pins has changed.
pub fn resolve(recipe: &Recipe, facts: &Facts) -> Result<Plan, PlanError> {
    check_contradictions(recipe)?;
    let version_warning = check_pins(&recipe.pins, &facts.pins(), Recipe::PINNED)?;
    let longest = facts.model.max_position_embeddings;
    let positions = format!("2 to {longest} tokens, the positions of the model");

    let init = said(&recipe.init, "init").or(|| fixed(Init::Pretrained, "that is what transfer is"));
    let label_names_as_rows = method::label_names_as_rows(recipe.label_names_as_rows.as_ref(), facts)?;
    let method = method::method(recipe, facts, init.value, label_names_as_rows.value)?;
    let how = method.value;
    let only_finetune = |what: &str| format!("{what} with method {}; method finetune can", how.name());
    let hidden_dropout = dropout(&recipe.hidden_dropout_prob, "hidden_dropout_prob")?
        .or(|| method::dropout(how).unwrap_or_else(|| defaults::hidden_dropout_prob(facts)));
    let pooling = pooling::pooling(recipe, facts)?;
    let floor = floor::rule(recipe, facts, how, init.value)?;
    let validation_fraction = held_out::validation_fraction(recipe, facts, floor.value)?;
    let validation_rows = facts.validation_rows(validation_fraction.value);
    let folds = held_out::folds(recipe, facts, floor.value, validation_fraction.value)?;
    let patience = count(&recipe.early_stopping_patience, "early_stopping_patience")?
        .within(&only_finetune("nothing: epochs are not compared"), |_| how == Method::Finetune)?
        .or_absent("training runs to its last step");
    let batch_size = count(&recipe.per_device_train_batch_size, "per_device_train_batch_size")?
        .or(|| method::batch_size(how).unwrap_or_else(|| defaults::batch_size(facts)));

    let epochs = count(&recipe.num_train_epochs, "num_train_epochs")?.or(|| defaults::num_train_epochs(facts));
    let max_steps = match method::max_steps(how, recipe, facts) {
        Some(steps) => steps,
        None => count(&recipe.max_steps, "max_steps")?
            .within("nothing: method linear takes no step", |_| how != Method::Linear)?
            .or_absent(if how == Method::Linear { "linear takes no step" } else { "num_train_epochs decides" }),
    };
    let accumulation = count(&recipe.gradient_accumulation_steps, "gradient_accumulation_steps")?
        .or(|| fixed(1, "one pass makes one step"));
    let has_held_out = validation_rows > 0 || recipe.test_file.is_some();
    let compare_seeds =
        said(&recipe.compare_seeds, "compare_seeds").within("0 to 100", |seeds| *seeds <= 100)?.or(|| {
            let rows_seen = match max_steps.value {
                Some(steps) => steps as f64 * (batch_size.value as f64 * accumulation.value as f64),
                None => epochs.value as f64 * facts.rows as f64,
            };
            method::compare_seeds(recipe)
                .unwrap_or_else(|| defaults::compare_seeds(facts, how, rows_seen, has_held_out))
        });
    Ok(Plan {
        model_name_or_path: said(&recipe.model_name_or_path, "model_name_or_path")
            .or(|| fixed(SEEDLING.to_string(), "the model that topwork carries")),
        num_hidden_layers: layers::num_hidden_layers(recipe, facts, how, pooling.value)?,
        freeze_layers: method::freeze_layers(recipe, how, facts)?,
        pooling,
        head_init: head_init(recipe, facts)?.unwrap_or_else(|| defaults::head_init(facts, init.value)),
        attention_probs_dropout_prob: dropout(&recipe.attention_probs_dropout_prob, "attention_probs_dropout_prob")?
            .or(|| method::dropout(how).unwrap_or_else(|| defaults::attention_probs_dropout_prob(facts))),
        classifier_dropout: dropout(&recipe.classifier_dropout, "classifier_dropout")?
            .or(|| defaults::classifier_dropout(facts, hidden_dropout.value)),
        hidden_dropout_prob: hidden_dropout,

        train_file: said(&recipe.train_file, "train_file").required()?,
        validation_file: said(&recipe.validation_file, "validation_file").or_absent("rows are held out"),
        test_file: said(&recipe.test_file, "test_file").or_absent("nothing is scored at the end"),
        retain_file: said(&recipe.retain_file, "retain_file").or_absent("the model's own sample, or general English"),
        unlabelled_file: method::unlabelled_file(recipe, facts, how, label_names_as_rows.value)?,
        text_column: said(&recipe.text_column, "text_column").or_absent("found by its usual name"),
        text_pair_column: said(&recipe.text_pair_column, "text_pair_column").or_absent("found by its usual name"),
        label_column: said(&recipe.label_column, "label_column").or_absent("found by its usual name"),
        label_names_file: said(&recipe.label_names_file, "label_names_file").or_absent("labels are names"),
        no_header: said(&recipe.no_header, "no_header")
            .or(|| fixed(false, "the first row has the names of the columns")),
        missing_labels: said(&recipe.missing_labels, "missing_labels")
            .or(|| fixed(MissingLabels::Error, "a row without a label is a fault of the file")),
        max_seq_length: said(&recipe.max_seq_length, "max_seq_length")
            .within(&positions, |length| (2..=longest).contains(length))?
            .or(|| defaults::max_seq_length(facts)),
        validation_fraction,
        output_dir: said(&recipe.output_dir, "output_dir")
            .or(|| fixed(facts.unused_output_dir.clone(), "a name that is not taken")),

        task: match &recipe.task {
            Some(said) => Resolved { value: facts.task.name.to_string(), ..resolved(said) },
            None => because(facts.task.name.to_string(), facts.task.recognised_by.clone()),
        },
        huber_delta: huber_delta(recipe, facts)?,

        label_names_as_rows,
        method,
        num_train_epochs: epochs,
        max_steps,
        per_device_eval_batch_size: count(&recipe.per_device_eval_batch_size, "per_device_eval_batch_size")?
            .or(|| fixed(batch_size.value.max(32), "scores do not depend on it")),
        per_device_train_batch_size: batch_size,
        gradient_accumulation_steps: accumulation,
        learning_rate: said(&recipe.learning_rate, "learning_rate")
            .within("a number above 0 and below 1", |rate| *rate > 0.0 && *rate < 1.0)?
            .or(|| method::learning_rate(how, facts).unwrap_or_else(|| defaults::learning_rate(facts, init.value))),
        head_learning_rate_scale: said(&recipe.head_learning_rate_scale, "head_learning_rate_scale")
            .within("a number above 0 and up to 10000", |scale| *scale > 0.0 && *scale <= 1e4)?
            .or(|| fixed(1.0, "the head learns at learning_rate")),
        layer_decay: said(&recipe.layer_decay, "layer_decay")
            .within("a number above 0 and up to 1", |decay| *decay > 0.0 && *decay <= 1.0)?
            .or(|| defaults::layer_decay(init.value)),
        lr_scheduler_type: said(&recipe.lr_scheduler_type, "lr_scheduler_type").or(defaults::lr_scheduler_type),
        warmup_ratio: said(&recipe.warmup_ratio, "warmup_ratio")
            .within("a number from 0 to 1", |ratio| (0.0..=1.0).contains(ratio))?
            .or(defaults::warmup_ratio),
        weight_decay: said(&recipe.weight_decay, "weight_decay")
            .within("a number from 0 to 10", |decay| (0.0..=10.0).contains(decay))?
            .or(defaults::weight_decay),
        adam_beta1: moment(&recipe.adam_beta1, "adam_beta1")?.or(|| fixed(0.9, "AdamW's own")),
        adam_beta2: moment(&recipe.adam_beta2, "adam_beta2")?.or(|| fixed(0.999, "AdamW's own")),
        adam_epsilon: said(&recipe.adam_epsilon, "adam_epsilon")
            .within("a number above 0 and below 1", |epsilon| *epsilon > 0.0 && *epsilon < 1.0)?
            .or(|| fixed(1e-8, "AdamW's own")),
        max_grad_norm: said(&recipe.max_grad_norm, "max_grad_norm")
            .within("a number from 0", |norm| *norm >= 0.0 && norm.is_finite())?
            .or(|| fixed(1.0, "as Devlin et al. (2019) fine-tune")),
        label_smoothing_factor: dropout(&recipe.label_smoothing_factor, "label_smoothing_factor")?
            .within(&only_finetune("0: a fitted head takes classes as they are"), |part| {
                how == Method::Finetune || *part == 0.0
            })?
            .within("0: numbers have no classes", |part| facts.task.kind != TargetKind::Value || *part == 0.0)?
            .or(|| defaults::label_smoothing_factor(facts, how)),
        class_weights: said(&recipe.class_weights, "class_weights")
            .within(&weights_expected(facts), |weights| weights_fit(weights, facts))?
            .or(defaults::class_weights),
        metric_for_best_model: metric(recipe, facts)?,
        load_best_model_at_end: said(&recipe.load_best_model_at_end, "load_best_model_at_end")
            .within(&only_finetune("false: epochs are not compared"), |best| !best || how == Method::Finetune)?
            .or(|| {
                method::load_best_model_at_end(how)
                    .unwrap_or_else(|| defaults::load_best_model_at_end(validation_rows, patience.value))
            }),
        early_stopping_patience: patience,
        compare_seeds,
        seeds: said(&recipe.seeds, "seeds")
            .within("1 to 100", |seeds| (1..=100).contains(seeds))?
            .or(|| fixed(1, "each more costs a training")),
        folds,
        floor,
        permuted_control: said(&recipe.permuted_control, "permuted_control").or(|| fixed(false, "it costs a training")),
        seed: said(&recipe.seed, "seed").or(|| fixed(42, "any number names a run")),
        threads: said(&recipe.threads, "threads")
            .within("1 to 1024", |threads| (1..=1024).contains(threads))?
            .or(|| defaults::threads(facts)),
        init,
        facts: facts.clone(),
        warnings: version_warning
            .into_iter()
            .chain(one_seed(recipe))
            .chain(pooling::unknown_pooling(recipe, facts))
            .chain(method::without_effect(recipe, how))
            .collect(),
    })
}

/// The metric that was named, among those of the task.
fn metric(recipe: &Recipe, facts: &Facts) -> Result<Resolved<Metric>, PlanError> {
    let Some(said) = &recipe.metric_for_best_model else { return Ok(defaults::metric_for_best_model(facts)) };
    match Metric::find(&said.value, facts.task.metrics) {
        Ok(value) => {
            let Resolved { origin, reason, .. } = resolved(said);
            Ok(Resolved { value, origin, reason })
        }
        Err(_) => {
            let names: Vec<&str> = facts.task.metrics.iter().map(|metric| metric.name()).collect();
            Err(PlanError::Invalid {
                place: said.place.of("metric_for_best_model"),
                expected: format!("a metric of {}: {}", facts.task.name, names.join(", ")),
                found: said.value.to_toml(),
            })
        }
    }
}

/// Where the head starts, where it was said.
fn head_init(recipe: &Recipe, facts: &Facts) -> Result<Option<Resolved<HeadInit>>, PlanError> {
    let expected = format!("random: {} has no linear model to start from", facts.task.name);
    said(&recipe.head_init, "head_init")
        .within(&expected, |init| facts.task.starts_from_probe || *init == HeadInit::Random)?;
    Ok(recipe.head_init.as_ref().map(resolved))
}

/// The threshold of Huber's loss, which only numbers have.
fn huber_delta(recipe: &Recipe, facts: &Facts) -> Result<Resolved<Option<f64>>, PlanError> {
    let is_of_numbers = facts.task.kind == TargetKind::Value;
    let expected = if is_of_numbers { "a number above 0" } else { "nothing: only a regression has this loss" };
    let choice = said(&recipe.huber_delta, "huber_delta")
        .within(expected, |delta| is_of_numbers && *delta > 0.0 && delta.is_finite())?;
    Ok(choice.or_absent("squared errors"))
}

/// Whoever says a number of seeds wants an interval; a plan that is repeated only names them all.
fn one_seed(recipe: &Recipe) -> Option<String> {
    let is_flag = |said: &&Said<usize>| matches!(said.place, Place::Flag { .. });
    let said = recipe.seeds.as_ref().filter(|said| said.value == 1).filter(is_flag)?;
    Some(format!("{}: one training has a score and no interval; 3 or more have", said.place.of("seeds")))
}

/// What was said about an option, on its way to a plan.
pub(crate) struct Choice<'a, T> {
    said: Option<&'a Said<T>>,
    key: &'static str,
}

pub(crate) fn said<'a, T>(said: &'a Option<Said<T>>, key: &'static str) -> Choice<'a, T> {
    Choice { said: said.as_ref(), key }
}

/// A number of things, at least one.
pub(crate) fn count<'a>(value: &'a Option<Said<usize>>, key: &'static str) -> Result<Choice<'a, usize>, PlanError> {
    said(value, key).within("a whole number from 1 to 1000000000", |count| (1..=MOST).contains(count))
}

/// A probability that leaves something.
pub(crate) fn dropout<'a>(value: &'a Option<Said<f32>>, key: &'static str) -> Result<Choice<'a, f32>, PlanError> {
    said(value, key).within("a number from 0 to below 1", |part| (0.0..1.0).contains(part))
}

/// AdamW's decay of a moment.
pub(crate) fn moment<'a>(value: &'a Option<Said<f32>>, key: &'static str) -> Result<Choice<'a, f32>, PlanError> {
    said(value, key).within("a number from 0 to below 1", |beta| (0.0..1.0).contains(beta))
}

impl<T: RecipeValue + Clone> Choice<'_, T> {
    pub(crate) fn within(self, expected: &str, holds: impl Fn(&T) -> bool) -> Result<Self, PlanError> {
        match self.said {
            Some(said) if !holds(&said.value) => Err(PlanError::Invalid {
                place: said.place.of(self.key),
                expected: expected.to_string(),
                found: said.value.to_toml(),
            }),
            _ => Ok(self),
        }
    }

    pub(crate) fn or(self, default: impl FnOnce() -> Resolved<T>) -> Resolved<T> {
        self.said.map_or_else(default, resolved)
    }

    pub(crate) fn or_absent(self, reason: &str) -> Resolved<Option<T>> {
        match self.said {
            Some(said) => {
                let Resolved { value, origin, reason } = resolved(said);
                Resolved { value: Some(value), origin, reason }
            }
            None => fixed(None, reason),
        }
    }

    pub(crate) fn required(self) -> Result<Resolved<T>, PlanError> {
        self.said.map(resolved).ok_or(PlanError::Missing { key: self.key })
    }
}

fn resolved<T: Clone>(said: &Said<T>) -> Resolved<T> {
    from_said(said, said.value.clone())
}

/// A value with the origin of what was said.
pub(crate) fn from_said<S, T>(said: &Said<S>, value: T) -> Resolved<T> {
    let origin = match said.place {
        Place::Flag { .. } => Origin::Flag,
        Place::Recipe { .. } => Origin::Recipe,
        Place::Advice { .. } => Origin::Advice,
    };
    Resolved { value, origin, reason: said.place.to_string() }
}

fn weights_expected(facts: &Facts) -> String {
    if facts.task.kind == TargetKind::Value {
        return "none: numbers have no classes".to_string();
    }
    format!("none, balanced, or a weight above 0 for each of the labels {}", facts.labels.join(", "))
}

/// Weights by label name every label once: a forgotten or misspelt one would silently count 1.
fn weights_fit(weights: &ClassWeights, facts: &Facts) -> bool {
    if facts.task.kind == TargetKind::Value {
        return *weights == ClassWeights::None;
    }
    let ClassWeights::PerLabel(weights) = weights else { return true };
    let named: BTreeSet<&String> = weights.keys().collect();
    named == facts.labels.iter().collect() && weights.values().all(|weight| *weight > 0.0 && weight.is_finite())
}

fn check_contradictions(recipe: &Recipe) -> Result<(), PlanError> {
    let fraction = recipe.validation_fraction.as_ref();
    if let (Some(file), Some(fraction)) = (&recipe.validation_file, fraction)
        && fraction.value != 0.0
    {
        return Err(PlanError::Contradiction {
            first: file.place.of("validation_file"),
            second: fraction.place.of("validation_fraction"),
            reason: "expected one of them, found both".into(),
            hint: "--validation-fraction 0 with a file".into(),
        });
    }
    let folds = held_out::folds_said(recipe);
    if let (Some(folds), Some(fraction)) = (folds, fraction)
        && fraction.value != 0.0
    {
        return Err(PlanError::Contradiction {
            first: folds.place.of("folds"),
            second: fraction.place.of("validation_fraction"),
            reason: "expected one of them, found both: folds judge by every row".into(),
            // A flag takes the place of what a file says.
            hint: match (&folds.place, &fraction.place) {
                (Place::Flag { .. }, Place::Flag { .. }) => "--validation-fraction 0".into(),
                (_, Place::Flag { .. }) => format!("--folds 0 --validation-fraction {}", fraction.value),
                _ => format!("--folds {} --validation-fraction 0", folds.value),
            },
        });
    }
    let has_fraction = fraction.map_or(folds.is_none(), |fraction| fraction.value != 0.0);
    let has_validation = recipe.validation_file.is_some() || has_fraction;
    let load_best = recipe.load_best_model_at_end.as_ref().filter(|said| said.value);
    let needs = [
        (load_best.map(|said| &said.place), "load_best_model_at_end"),
        (recipe.early_stopping_patience.as_ref().map(|said| &said.place), "early_stopping_patience"),
    ];
    let without = fraction.map(|fraction| fraction.place.of("validation_fraction"));
    let without = without.or(folds.map(|folds| folds.place.of("folds")));
    for (needing, key) in needs {
        if let (false, Some(needing), Some(second)) = (has_validation, needing, &without) {
            return Err(PlanError::Contradiction {
                first: needing.of(key),
                second: second.clone(),
                reason: "expected validation rows to compare epochs by, found none".into(),
                hint: match folds {
                    Some(_) => "--validation FILE, or --folds 0 --validation-fraction 0.1".into(),
                    None => "--validation FILE, or --validation-fraction 0.1".into(),
                },
            });
        }
    }
    let repeated = recipe.seeds.as_ref().filter(|said| said.value > 1).map(|said| said.place.of("seeds"));
    let control =
        recipe.permuted_control.as_ref().filter(|said| said.value).map(|said| said.place.of("permuted_control"));
    if let (false, None, Some(first)) = (has_validation, &recipe.test_file, repeated.or(control)) {
        return Err(PlanError::Contradiction {
            first,
            second: without.unwrap_or_else(|| "no validation rows".into()),
            reason: "expected held-out rows to score, found none".into(),
            hint: "--test FILE".into(),
        });
    }
    Ok(())
}

/// Compares what a recipe pins with the facts `found`; gives a warning when another version made the plan.
pub(crate) fn check_pins(
    pins: &Pins,
    found: &[(&'static str, String)],
    describing: &[(&'static str, &'static str)],
) -> Result<Option<String>, PlanError> {
    let mut warning = None;
    for (name, pinned) in &pins.values {
        let found = found.iter().find(|(fact, _)| fact == name).map_or("nothing", |(_, text)| text);
        if found == pinned.value {
            continue;
        }
        if name == "topwork_version" {
            warning = Some(format!(
                "{}: this plan was made by topwork {}: version {VERSION} may not repeat it to the bit",
                pinned.place, pinned.value
            ));
            continue;
        }
        return Err(PlanError::FactChanged {
            place: pinned.place.clone(),
            fact: name.clone(),
            describes: describing.iter().find(|(pin, _)| pin == name).map_or("", |(_, key)| key),
            expected: pinned.value.clone(),
            found: found.to_string(),
        });
    }
    Ok(warning)
}
