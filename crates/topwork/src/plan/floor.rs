//! What is done when a trained model is not better than a linear head on the untouched one, and which rows tell: never those of the
//! test file, which judge what was chosen.

use topwork_data::TargetKind;

use crate::plan::Resolved;
use crate::plan::defaults::{SPARE, because, fixed};
use crate::plan::error::PlanError;
use crate::plan::facts::Facts;
use crate::plan::recipe::Recipe;
use crate::plan::resolve::{most_folds, said, smallest_class};
use crate::plan::value::{FloorRule, Init, Method, RecipeValue};

/// Parts of few rows that are left out in turn.
const FOLDS: usize = 5;

/// What was said, where there is a linear head besides the trained model.
pub(crate) fn rule(
    recipe: &Recipe,
    facts: &Facts,
    method: Method,
    init: Init,
) -> Result<Resolved<FloorRule>, PlanError> {
    let why_not = match (method, init) {
        (Method::Linear, _) => Some("report: method linear is that head".to_string()),
        (_, Init::Random) => Some("report: take compares with a pretrained model, and init is random".to_string()),
        _ if !facts.task.starts_from_probe => {
            Some(format!("report: {} has no linear head on the untouched model", facts.task.name))
        }
        _ => None,
    };
    let choice = said(&recipe.floor, "floor")
        .within(why_not.as_deref().unwrap_or_default(), |rule| *rule == FloorRule::Report || why_not.is_none())?;
    Ok(choice.or(|| fixed(FloorRule::Report, "the trained model is what was asked for")))
}

/// The part of the rows that is held out to choose by: none of few rows that folds can part.
pub(crate) fn validation_fraction(rule: FloorRule, recipe: &Recipe, facts: &Facts) -> Option<Resolved<f64>> {
    if rule == FloorRule::Report || recipe.validation_file.is_some() {
        return None;
    }
    // Thresholds of labels, the best epoch, and what is trained to compare with need rows that are held out.
    let compares = recipe.early_stopping_patience.is_some()
        || recipe.load_best_model_at_end.as_ref().is_some_and(|said| said.value);
    let repeats = recipe.seeds.as_ref().is_some_and(|said| said.value > 1)
        || recipe.permuted_control.as_ref().is_some_and(|said| said.value)
        || recipe.compare_seeds.as_ref().is_some_and(|said| said.value > 0);
    let needs_rows = compares || repeats && recipe.test_file.is_none() || facts.task.kind == TargetKind::Labels;
    let is_spared = !needs_rows && facts.rows < SPARE && most_folds(facts) >= 2;
    Some(match is_spared {
        true => because(
            0.0,
            format!("{} rows, fewer than {SPARE}: all are learnt from, and folds choose for floor take", facts.rows),
        ),
        false => fixed(0.1, "rows to choose by for floor take"),
    })
}

/// The parts of the rows that are left out in turn to choose by, where no rows are held out.
///
/// # Errors
/// When there are rows of neither kind.
pub(crate) fn folds(
    recipe: &Recipe,
    rule: FloorRule,
    facts: &Facts,
) -> Result<Option<Resolved<Option<usize>>>, PlanError> {
    let Some(said) = recipe.floor.as_ref().filter(|_| rule == FloorRule::Take) else { return Ok(None) };
    let most = most_folds(facts);
    if most < 2 {
        return Err(PlanError::Invalid {
            place: said.place.of("floor"),
            expected: format!("report: no rows can be spared to choose by, as {}", too_few(facts)),
            found: said.value.to_toml(),
        });
    }
    let count = FOLDS.min(most);
    Ok(Some(because(Some(count), "they choose for floor take, as no rows are held out".to_string())))
}

/// Why there are no folds.
fn too_few(facts: &Facts) -> String {
    match smallest_class(facts) {
        (Some(label), 1) => format!("class `{label}` has one row"),
        (Some(_), _) => "the rows of a class all have the same text".to_string(),
        (None, _) => "all rows have the same text".to_string(),
    }
}
