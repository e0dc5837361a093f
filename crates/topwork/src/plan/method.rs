//! Which method the rows can carry, and what each method takes where nothing else was said.

use std::path::PathBuf;

use topwork_data::TargetKind;

use crate::plan::defaults::{SMALL_MODEL, because, fixed};
use crate::plan::error::PlanError;
use crate::plan::facts::Facts;
use crate::plan::held_out::{FOLDS, folds_said, most_folds};
use crate::plan::recipe::{Place, Recipe, Said};
use crate::plan::resolve::{from_said, said};
use crate::plan::value::{FloorRule, Init, Method, OrAuto};
use crate::plan::{Origin, Plan, Resolved};

/// Rows a class up to which layers learn better which rows belong together than what each class is.
const FEW_A_CLASS: usize = 64;
/// Rows of all classes up to which they do: more of them are seen too seldom in the steps there are.
const FEW_IN_ALL: usize = 512;
/// Steps of a contrastive training: so many, one more for every two rows, and no more than the second.
const STEPS: (usize, usize) = (40, 200);
/// Its rows of a step. Each is compared with all others.
const ROWS_A_STEP: usize = 16;
/// Left-out labelled rows at least, by which it is measured how sure a model must be of a text without a label.
pub(crate) const LEAST_MEASURED: usize = 5;

/// The method that was said, or that the rows can carry.
pub(crate) fn method(
    recipe: &Recipe,
    facts: &Facts,
    init: Init,
    has_names: bool,
) -> Result<Resolved<Method>, PlanError> {
    let Some(said) = recipe.method.as_ref() else { return Ok(carried(facts, init, has_names)) };
    let OrAuto::Chosen(method) = said.value else { return Ok(carried(facts, init, has_names)) };
    let Some(why_not) = why_not(method, facts, init, has_names) else {
        return Ok(from_said(said, method));
    };
    Err(PlanError::Invalid { place: said.place.of("method"), expected: why_not, found: method.name().to_string() })
}

/// What is expected in place of a method that cannot learn these rows.
fn why_not(method: Method, facts: &Facts, init: Init, has_names: bool) -> Option<String> {
    match method {
        Method::Finetune => None,
        Method::Linear | Method::Setfit if init == Init::Random => {
            Some(format!("finetune: {} goes on from pretrained layers, and init is random", method.name()))
        }
        Method::Linear if !facts.task.starts_from_probe => {
            Some(format!("finetune: {} has no linear model on untouched features", facts.task.name))
        }
        Method::Setfit if facts.task.kind != TargetKind::Class => {
            Some(format!("finetune: setfit compares the classes of rows, and {} has none", facts.task.name))
        }
        Method::Setfit => too_few_to_compare(facts, has_names),
        Method::Linear => None,
    }
}

/// Rows are put near each other when there are two of a class, or one and the class's name as a row.
fn too_few_to_compare(facts: &Facts, has_names: bool) -> Option<String> {
    let most = facts.class_counts.iter().max().copied().unwrap_or(0);
    let has_partners = most >= 2 || has_names;
    let reason = "finetune or linear: setfit needs a class with two rows, or names of classes as rows";
    (!has_partners).then(|| reason.to_string())
}

fn carried(facts: &Facts, init: Init, has_names: bool) -> Resolved<Method> {
    if init == Init::Random {
        return fixed(Method::Finetune, "random layers have all to learn");
    }
    if facts.task.kind != TargetKind::Class {
        return because(Method::Finetune, format!("{} has no classes to compare rows by", facts.task.name));
    }
    if facts.has_pairs {
        return fixed(Method::Finetune, "what two texts have to do with each other is learnt by their class");
    }
    let a_class = rows_a_class(facts);
    if a_class > FEW_A_CLASS {
        return because(Method::Finetune, format!("{a_class} rows a class, more than {FEW_A_CLASS}"));
    }
    if facts.rows > FEW_IN_ALL {
        return because(Method::Finetune, format!("{} rows, more than {FEW_IN_ALL}", facts.rows));
    }
    if facts.model.pooling.is_none() {
        return fixed(
            Method::Finetune,
            "the model was not made for texts to be compared, as its files name no pooling",
        );
    }
    if facts.model.has_own_head {
        return fixed(Method::Finetune, "the model has a head that was trained on these labels, and goes on with it");
    }
    if too_few_to_compare(facts, has_names).is_some() {
        return fixed(Method::Finetune, "no class has two rows to compare");
    }
    because(
        Method::Setfit,
        format!("{a_class} rows a class, at most {FEW_A_CLASS}, and a model that was made for texts to be compared"),
    )
}

/// Rows of a class, on average.
pub(crate) fn rows_a_class(facts: &Facts) -> usize {
    facts.rows / facts.class_counts.iter().filter(|count| **count > 0).count().max(1)
}

/// Names of classes that are words say what a class is about.
pub(crate) fn label_names_as_rows(said: Option<&Said<bool>>, facts: &Facts) -> Result<Resolved<bool>, PlanError> {
    let is_possible = facts.task.kind == TargetKind::Class && !facts.has_pairs;
    if let Some(said) = said {
        if said.value && !is_possible {
            return Err(PlanError::Invalid {
                place: said.place.of("label_names_as_rows"),
                expected: "false: only classes of single texts have names that stand for rows".to_string(),
                found: "true".to_string(),
            });
        }
        // Nothing would be left of a name without a letter or a digit.
        let is_empty = |name: &&String| !name.chars().any(char::is_alphanumeric);
        if let Some(name) = facts.labels.iter().find(is_empty).filter(|_| said.value) {
            return Err(PlanError::Invalid {
                place: said.place.of("label_names_as_rows"),
                expected: format!("false: the name `{name}` of a class has no letter and no digit"),
                found: "true".to_string(),
            });
        }
        return Ok(from_said(said, said.value));
    }
    if !is_possible {
        return Ok(fixed(false, "only classes of single texts have names that stand for rows"));
    }
    if !facts.named_labels {
        return Ok(fixed(false, "not every name of a class is a word that the model knows"));
    }
    let a_class = rows_a_class(facts);
    if a_class > FEW_A_CLASS {
        return Ok(because(false, format!("{a_class} rows a class, more than {FEW_A_CLASS}, say more than its name")));
    }
    Ok(fixed(true, "few rows, and the names of the classes are words of the model"))
}

/// The steps of a contrastive training, unless epochs are said.
pub(crate) fn max_steps(method: Method, recipe: &Recipe, facts: &Facts) -> Option<Resolved<Option<usize>>> {
    let is_open = recipe.max_steps.is_none() && recipe.num_train_epochs.is_none();
    let (least, most) = STEPS;
    let steps = contrastive_steps(facts.rows);
    let reason = format!("setfit, {} rows: {least} steps, one more for every two rows, at most {most}", facts.rows);
    (method == Method::Setfit && is_open).then(|| because(Some(steps), reason))
}

/// What goes with more rows to learn from: the steps of a contrastive training, where they are those of the labelled rows. A plan that is
/// repeated says them and not that nobody did, so that steps that were said and are these too are taken for them.
pub(crate) fn learn_from_more(plan: &mut Plan, rows: usize) {
    let of_labelled = Some(contrastive_steps(plan.facts.rows));
    if plan.method.value == Method::Setfit && plan.max_steps.value == of_labelled {
        plan.max_steps.value = Some(contrastive_steps(rows));
    }
}

/// Texts without labels, which only classes are given to; and nothing that repeats the training, as it would be repeated without them.
pub(crate) fn unlabelled_file(
    recipe: &Recipe,
    facts: &Facts,
    method: Method,
    has_names: bool,
) -> Result<Resolved<Option<PathBuf>>, PlanError> {
    let expected = format!("nothing: {} has no classes to give to texts", facts.task.name);
    let choice =
        said(&recipe.unlabelled_file, "unlabelled_file").within(&expected, |_| facts.task.kind == TargetKind::Class)?;
    let Some(said) = &recipe.unlabelled_file else {
        return Ok(choice.or_absent("only rows with labels are learnt from"));
    };
    let repeats = [
        recipe.seeds.as_ref().filter(|said| said.value > 1).map(|said| said.place.of("seeds")),
        recipe.compare_seeds.as_ref().filter(|said| said.value > 0).map(|said| said.place.of("compare_seeds")),
        recipe.permuted_control.as_ref().filter(|said| said.value).map(|said| said.place.of("permuted_control")),
        folds_said(recipe).map(|said| said.place.of("folds")),
        recipe.floor.as_ref().filter(|said| said.value == FloorRule::Take).map(|said| said.place.of("floor")),
    ];
    if let Some(second) = repeats.into_iter().flatten().next() {
        return Err(PlanError::Contradiction {
            first: said.place.of("unlabelled_file"),
            second,
            reason: "expected one of them, found both: other trainings do not learn from texts without labels".into(),
            hint: "leave one of them out; --folds 0 leaves out those of a plan".into(),
        });
    }
    let smallest = most_folds(facts);
    let largest = facts.class_counts.iter().max().copied().unwrap_or(0);
    // What is left of the largest class while a part of it is left out.
    let compared = largest - largest.div_ceil(smallest.clamp(1, FOLDS));
    let needed = if smallest < 2 {
        Some(("two rows with different texts in every class".to_string(), format!("a class with {smallest}")))
    } else if facts.rows < LEAST_MEASURED {
        Some((format!("{LEAST_MEASURED} labelled rows"), facts.rows.to_string()))
    } else if method == Method::Setfit && !has_names && compared < 2 {
        let expected = "more rows of a class, as setfit compares two while others are left out".to_string();
        Some((expected, format!("{largest} of the largest class")))
    } else {
        None
    };
    match needed {
        Some((expected, found)) => Err(PlanError::Invalid {
            place: said.place.of("unlabelled_file"),
            expected: format!("{expected}, to measure how sure a model must be"),
            found,
        }),
        None => Ok(choice.or_absent("")),
    }
}

/// Nothing is compared where texts without labels are learnt from.
pub(crate) fn compare_seeds(recipe: &Recipe) -> Option<Resolved<usize>> {
    recipe.unlabelled_file.as_ref().map(|_| fixed(0, "other trainings do not learn from texts without labels"))
}

fn contrastive_steps(rows: usize) -> usize {
    let (least, most) = STEPS;
    (least + rows / 2).min(most)
}

/// The rows of a step.
pub(crate) fn batch_size(method: Method) -> Option<Resolved<usize>> {
    (method == Method::Setfit).then(|| fixed(ROWS_A_STEP, "setfit: each row of a step is compared with all others"))
}

/// The rate of a contrastive training.
pub(crate) fn learning_rate(method: Method, facts: &Facts) -> Option<Resolved<f64>> {
    let values = facts.model.layer_values();
    let (rate, size) = if values < SMALL_MODEL { (5e-4, "fewer") } else { (5e-5, "no fewer") };
    let reason =
        format!("setfit: {:.1} M values in layers, {size} than {:.0} M", values as f64 / 1e6, SMALL_MODEL as f64 / 1e6);
    (method == Method::Setfit).then(|| because(rate, reason))
}

/// Dropout while rows are compared.
pub(crate) fn dropout(method: Method) -> Option<Resolved<f32>> {
    (method == Method::Setfit).then(|| fixed(0.0, "setfit: rows are compared as they are read later"))
}

/// Epochs are compared only where the task's own loss is trained.
pub(crate) fn load_best_model_at_end(method: Method) -> Option<Resolved<bool>> {
    (method != Method::Finetune).then(|| fixed(false, "the head is fitted to the last weights"))
}

/// The plan of a linear head on the untouched model, for the same rows.
pub(crate) fn as_linear(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.method = fixed(Method::Linear, "floor take: the trained model is not better");
    plan.freeze_layers = all_frozen(&plan.facts);
    plan.label_smoothing_factor.value = 0.0;
    plan.load_best_model_at_end.value = false;
    plan.early_stopping_patience.value = None;
    if plan.compare_seeds.origin == Origin::Default {
        plan.compare_seeds.value = 0;
    }
    plan
}

/// That flags have no effect, as a head that is fitted to untouched layers takes no step.
pub(crate) fn without_effect(recipe: &Recipe, method: Method) -> Option<String> {
    let flags = [
        recipe.num_train_epochs.as_ref().map(|said| &said.place),
        recipe.learning_rate.as_ref().map(|said| &said.place),
        recipe.freeze_layers.as_ref().map(|said| &said.place),
    ];
    let is_flag = |place: &&Place| matches!(place, Place::Flag { .. });
    let named: Vec<String> = flags.into_iter().flatten().filter(is_flag).map(Place::to_string).collect();
    (method == Method::Linear && !named.is_empty())
        .then(|| format!("{}: no effect with method linear, which fits a head and trains no layer", named.join(", ")))
}

/// Layers that stay as they are.
pub(crate) fn freeze_layers(recipe: &Recipe, method: Method, facts: &Facts) -> Result<Resolved<usize>, PlanError> {
    if method == Method::Linear {
        return Ok(all_frozen(facts));
    }
    let layers = facts.model.num_hidden_layers;
    let choice = said(&recipe.freeze_layers, "freeze_layers")
        .within(&format!("0 to {layers}, the layers of the model"), |frozen| *frozen <= layers)?;
    Ok(choice.or(|| fixed(0, "everything is trained")))
}

/// Whatever was said: a linear head stands on layers as they were, however many there are.
fn all_frozen(facts: &Facts) -> Resolved<usize> {
    fixed(facts.model.num_hidden_layers, "linear: all layers stay as they are")
}
