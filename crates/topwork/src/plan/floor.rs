//! What is done when a trained model is not better than a linear head on the untouched one.

use crate::plan::Resolved;
use crate::plan::defaults::fixed;
use crate::plan::error::PlanError;
use crate::plan::facts::Facts;
use crate::plan::recipe::Recipe;
use crate::plan::resolve::said;
use crate::plan::value::{FloorRule, Init, Method};

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
