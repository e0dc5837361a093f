//! Which rows judge, and choose where something is to be chosen: those of a file, a part that is held out, or each part of few rows in turn.

use topwork_data::TargetKind;

use crate::plan::Resolved;
use crate::plan::defaults::{because, fixed};
use crate::plan::error::PlanError;
use crate::plan::facts::Facts;
use crate::plan::recipe::{Recipe, Said};
use crate::plan::resolve::{Choice, from_said, said};
use crate::plan::value::{FloorRule, RecipeValue};

/// A training file with fewer rows can spare none for validation: with 8 rows a class, the tenth that is held out costs about a point,
/// and is too few rows to tell anything.
const SPARE: usize = 200;
/// Parts of few rows that are left out in turn.
pub(crate) const FOLDS: usize = 5;

/// The part of the rows that is held out.
///
/// # Errors
/// When what was said is no such part.
pub(crate) fn validation_fraction(
    recipe: &Recipe,
    facts: &Facts,
    floor: FloorRule,
) -> Result<Resolved<f64>, PlanError> {
    let choice = said(&recipe.validation_fraction, "validation_fraction")
        .within("a number from 0 to below 1", |fraction| (0.0..1.0).contains(fraction))?;
    Ok(choice.or(|| by_default(recipe, facts, floor)))
}

/// A tenth, where rows can spare it and no file has others.
fn by_default(recipe: &Recipe, facts: &Facts, floor: FloorRule) -> Resolved<f64> {
    if recipe.validation_file.is_some() {
        return fixed(0.0, "validation_file is given");
    }
    if folds_said(recipe).is_some() {
        return fixed(0.0, "folds judge, and every row is learnt from");
    }
    if let Some(reason) = why_held_out(recipe, facts) {
        return fixed(0.1, reason);
    }
    let takes = floor == FloorRule::Take;
    let (rows, can_be_parted) = (facts.rows, most_folds(facts) >= 2 && recipe.folds.is_none());
    if rows >= SPARE {
        return fixed(0.1, if takes { "rows to choose by for floor take" } else { "no validation_file" });
    }
    let judge = match (takes, &recipe.test_file) {
        (true, _) if can_be_parted => "folds choose for floor take",
        (true, _) => return fixed(0.1, "rows to choose by for floor take"),
        (false, Some(_)) => "the test file judges",
        (false, None) if can_be_parted => "folds judge",
        (false, None) if recipe.folds.is_some() => return fixed(0.1, "no validation_file, and no folds"),
        (false, None) => return because(0.1, format!("no validation_file, and no folds: {}", too_few(facts))),
    };
    because(0.0, format!("{rows} rows, fewer than {SPARE}: all are learnt from, {judge}"))
}

/// What needs rows that are held out, however few there are.
fn why_held_out(recipe: &Recipe, facts: &Facts) -> Option<&'static str> {
    let is_on = |said: bool, reason| said.then_some(reason);
    let has_test = recipe.test_file.is_some();
    is_on(recipe.early_stopping_patience.is_some(), "early stopping compares epochs by them")
        .or(is_on(recipe.load_best_model_at_end.as_ref().is_some_and(|said| said.value), "epochs are compared by them"))
        .or(is_on(facts.task.kind == TargetKind::Labels, "thresholds of labels are fitted on them"))
        .or(is_on(!has_test && recipe.seeds.as_ref().is_some_and(|said| said.value > 1), "seeds are scored on them"))
        .or(is_on(
            !has_test && recipe.permuted_control.as_ref().is_some_and(|said| said.value),
            "the permuted control is scored on them",
        ))
        .or(is_on(
            !has_test && recipe.compare_seeds.as_ref().is_some_and(|said| said.value > 0),
            "what is compared with is scored on them",
        ))
        .or(is_on(!has_test && recipe.unlabelled_file.is_some(), "a training with texts without labels has no folds"))
}

/// The number of folds that was said. 0 says none, where few rows, or a plan that is repeated, would have some.
pub(crate) fn folds_said(recipe: &Recipe) -> Option<&Said<usize>> {
    recipe.folds.as_ref().filter(|said| said.value > 0)
}

/// The parts that are left out in turn: what was said, or some of few rows of which none are held out.
///
/// # Errors
/// When there are too few rows for what was said, or none to choose by for `floor take`.
pub(crate) fn folds(
    recipe: &Recipe,
    facts: &Facts,
    floor: FloorRule,
    validation_fraction: f64,
) -> Result<Resolved<Option<usize>>, PlanError> {
    let choice = choice_of_folds(recipe, facts)?;
    let takes = floor == FloorRule::Take;
    // A fraction of 0 that was said, without a test file, says that nothing is to judge.
    let is_open = recipe.validation_fraction.is_none() && recipe.validation_file.is_none();
    let judges = is_open && recipe.test_file.is_none() && recipe.unlabelled_file.is_none();
    if let Some(none) = recipe.folds.as_ref().filter(|said| said.value == 0) {
        return Ok(from_said(none, None));
    }
    let has_rows = recipe.validation_file.is_some() || validation_fraction > 0.0;
    if recipe.folds.is_some() || has_rows || !(takes || judges) {
        return Ok(choice.or_absent("each would cost a training"));
    }
    let most = most_folds(facts);
    match recipe.floor.as_ref().filter(|_| takes) {
        Some(floor) if most < 2 => Err(PlanError::Invalid {
            place: floor.place.of("floor"),
            expected: format!("report: no rows can be spared to choose by, as {}", too_few(facts)),
            found: floor.value.to_toml(),
        }),
        _ if most < 2 => Ok(fixed(None, "the rows cannot be parted")),
        Some(_) => Ok(fixed(Some(FOLDS.min(most)), "they choose for floor take, as no rows are held out")),
        None => Ok(fixed(Some(FOLDS.min(most)), "they judge, as no rows are held out")),
    }
}

/// Every class needs a row in every fold.
fn choice_of_folds<'a>(recipe: &'a Recipe, facts: &Facts) -> Result<Choice<'a, usize>, PlanError> {
    let (label, smallest) = smallest_class(facts);
    let expected = match label {
        Some(label) if smallest >= 2 => format!("2 to {smallest}, the rows of the smallest class, `{label}`"),
        Some(label) => format!("at least 2 rows in every class to part them: `{label}` has {smallest}"),
        None => format!("2 to {smallest}, the rows there are"),
    };
    let expected = format!("0 for none, or {expected}");
    said(&recipe.folds, "folds").within(&expected, |folds| *folds == 0 || (2..=smallest).contains(folds))
}

/// The class with the fewest rows, and how many they are; of all rows where they have no classes.
fn smallest_class(facts: &Facts) -> (Option<&String>, usize) {
    // A class that is declared and has no row at all is in no fold.
    match (facts.task.kind, facts.class_counts.iter().filter(|count| **count > 0).min()) {
        (TargetKind::Class, Some(&smallest)) => {
            let class = facts.class_counts.iter().position(|count| *count == smallest);
            (class.and_then(|class| facts.labels.get(class)), smallest)
        }
        _ => (None, facts.rows),
    }
}

/// Every class needs a text of its own in every fold.
pub(crate) fn most_folds(facts: &Facts) -> usize {
    smallest_class(facts).1.min(facts.fewest_texts.unwrap_or(usize::MAX))
}

/// Why there are no folds.
fn too_few(facts: &Facts) -> String {
    match smallest_class(facts) {
        (Some(label), 1) => format!("class `{label}` has one row"),
        (Some(_), _) => "the rows of a class all have the same text".to_string(),
        (None, _) => "all rows have the same text".to_string(),
    }
}
