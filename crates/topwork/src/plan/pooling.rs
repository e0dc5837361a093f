//! What the head reads of the tokens of a text: what was said, what the model's files name, or what tells most of the rows.

use topwork_data::TargetKind;
use topwork_models::{Pooling, StatedPooling};

use crate::plan::defaults::{because, fixed};
use crate::plan::error::PlanError;
use crate::plan::facts::{Facts, PoolingProbe};
use crate::plan::recipe::Recipe;
use crate::plan::resolve::{from_said, said};
use crate::plan::value::{Init, OrAuto};
use crate::plan::{Origin, Resolved};

/// Rows up to which they are asked. What a head reads matters most where there is little to train it on; the first token costs less.
const FEW: usize = 1_000;

/// Whether nobody said which pooling, and the model's files name none that there is: then rows are to choose, where they are few.
pub(crate) fn is_open(recipe: &Recipe, facts: &Facts) -> bool {
    let is_said = recipe.pooling.as_ref().is_some_and(|said| said.value != OrAuto::Auto);
    let is_stated = facts.model.pooling.as_ref().is_some_and(|stated| stated.pooling.is_some());
    let is_random = recipe.init.as_ref().is_some_and(|said| said.value == Init::Random);
    let has_features = facts.task.kind != TargetKind::TokenTags && !facts.model.has_own_head && !is_random;
    !is_said && !is_stated && has_features && facts.rows <= FEW
}

/// What the head reads of a text.
pub(crate) fn pooling(recipe: &Recipe, facts: &Facts) -> Result<Resolved<Pooling>, PlanError> {
    let is_of_words = facts.task.kind == TargetKind::TokenTags;
    said(&recipe.pooling, "pooling").within("first_token: a tagger reads each word", |pooling| {
        !is_of_words || *pooling != OrAuto::Chosen(Pooling::MeanTokens)
    })?;
    if let Some(said) = &recipe.pooling
        && let OrAuto::Chosen(pooling) = said.value
    {
        return Ok(from_said(said, pooling));
    }
    let stated = facts.model.pooling.as_ref().filter(|_| !is_of_words);
    if let Some(StatedPooling { pooling: Some(value), mode, file }) = stated {
        return Ok(Resolved { value: *value, origin: Origin::ModelConfig, reason: format!("{mode} in {file}") });
    }
    if let Some(probe) = facts.pooling_probe.as_ref().filter(|_| is_open(recipe, facts)) {
        return Ok(by_probe(probe));
    }
    if let Some(StatedPooling { mode, file, .. }) = stated {
        return Ok(because(Pooling::FirstToken, format!("{file} says {mode}, which is no pooling here")));
    }
    if facts.rows > FEW && !is_of_words {
        return Ok(because(
            Pooling::FirstToken,
            format!("as the heads of transformers do; {} rows, more than {FEW}", facts.rows),
        ));
    }
    Ok(fixed(Pooling::FirstToken, "as the heads of transformers do"))
}

/// The pooling of which a linear head tells most. The first token, which costs less, among equals, and where neither tells anything.
fn by_probe(probe: &PoolingProbe) -> Resolved<Pooling> {
    let rows = probe.rows;
    if probe.explained.is_empty() {
        let reason = format!("{rows} rows cannot tell poolings apart: as the heads of transformers do");
        return because(Pooling::FirstToken, reason);
    }
    let found: Vec<String> =
        probe.explained.iter().map(|(pooling, part)| format!("{} {part:.2}", pooling.name())).collect();
    let found = format!("leave-one-out R² of ridge regression on {rows} rows: {}", found.join(", "));
    let telling = probe.explained.iter().copied().filter(|(_, part)| *part > 0.0);
    match telling.reduce(|best, next| if next.1 > best.1 { next } else { best }) {
        Some((pooling, _)) => because(pooling, found),
        None => because(
            Pooling::FirstToken,
            format!("as the heads of transformers do, as neither predicts the rows: {found}"),
        ),
    }
}

/// A sentence encoder that was trained on another vector than there is here.
pub(crate) fn unknown_pooling(recipe: &Recipe, facts: &Facts) -> Option<String> {
    let is_unsaid = recipe.pooling.as_ref().is_none_or(|said| said.value == OrAuto::Auto);
    let is_read = is_unsaid && facts.task.kind != TargetKind::TokenTags && facts.pooling_probe.is_none();
    let stated = facts.model.pooling.as_ref().filter(|stated| is_read && stated.pooling.is_none())?;
    Some(format!(
        "{}: the model was trained to read {} of the tokens, which topwork cannot: the head reads the first token. --pooling mean may be better",
        stated.file, stated.mode
    ))
}
