//! How many of the pretrained model's layers there are: all, as many as were said, or those after which a linear head predicts the rows best.

use topwork_models::Pooling;

use crate::plan::defaults::because;
use crate::plan::error::PlanError;
use crate::plan::facts::{Facts, LayerProbe};
use crate::plan::recipe::Recipe;
use crate::plan::resolve::{from_said, said};
use crate::plan::value::{Method, OrAuto};
use crate::plan::{Plan, Resolved};

/// Rows from which on they can tell layers apart.
const LEAST: usize = 16;
const ALL: &str = "all layers of the model";

/// The number that was said.
pub(crate) fn said_layers(recipe: &Recipe) -> Option<usize> {
    match recipe.num_hidden_layers.as_ref()?.value {
        OrAuto::Chosen(layers) => Some(layers),
        OrAuto::Auto => None,
    }
}

/// Whether the rows choose.
pub(crate) fn is_open(recipe: &Recipe, plan: &Plan) -> bool {
    let why_all = why_all(&plan.facts, plan.method.value, plan.pooling.value);
    said_layers(recipe).is_none() && why_all.is_none() && plan.facts.layer_probe.is_none()
}

/// Why the rows do not choose. They do where layers stay as they are, and the head reads the mean of the tokens, which each layer has: a
/// vector of the first token is made by the last layer alone.
fn why_all(facts: &Facts, method: Method, pooling: Pooling) -> Option<String> {
    let why = if method != Method::Linear {
        format!("method {} trains them", method.name())
    } else if pooling != Pooling::MeanTokens {
        format!("the last one makes what {} reads", pooling.name())
    } else if facts.rows < LEAST {
        format!("{} rows, fewer than {LEAST}, cannot tell them apart", facts.rows)
    } else {
        return None;
    };
    Some(format!("{ALL}: {why}"))
}

/// That so many layers are there.
///
/// # Errors
/// When others were said.
pub(crate) fn check(recipe: &Recipe, layers: usize) -> Result<(), PlanError> {
    let expected = format!("auto, or 1 to {layers}, the layers of the model");
    said(&recipe.num_hidden_layers, "num_hidden_layers").within(&expected, |said| match said {
        OrAuto::Chosen(said) => (1..=layers).contains(said),
        OrAuto::Auto => true,
    })?;
    Ok(())
}

/// How many layers there are. The facts of the model are those of these layers.
pub(crate) fn num_hidden_layers(
    recipe: &Recipe,
    facts: &Facts,
    method: Method,
    pooling: Pooling,
) -> Result<Resolved<usize>, PlanError> {
    let own = facts.model.num_hidden_layers;
    check(recipe, own)?;
    Ok(match (&recipe.num_hidden_layers, said_layers(recipe), &facts.layer_probe) {
        (Some(said), Some(layers), _) => from_said(said, layers),
        (_, _, Some(probe)) => by_probe(probe, own),
        _ => because(own, why_all(facts, method, pooling).unwrap_or_else(|| ALL.to_string())),
    })
}

fn by_probe(probe: &LayerProbe, layers: usize) -> Resolved<usize> {
    let LayerProbe { rows, explained } = probe;
    if explained.is_empty() {
        return because(layers, format!("{ALL}: {rows} rows cannot tell them apart"));
    }
    let found: Vec<String> = explained.iter().map(|(layers, part)| format!("{layers} {part:.2}")).collect();
    let found =
        format!("leave-one-out R² of ridge regression on {rows} rows after so many layers: {}", found.join(", "));
    match explained.iter().any(|(_, part)| *part > 0.0) {
        true => because(layers, found),
        false => because(layers, format!("{ALL}, as none predicts the rows: {found}")),
    }
}

impl LayerProbe {
    /// The layers after which a linear head tells most; more of them among equals, and `all` where none tells anything.
    pub(crate) fn best(&self, all: usize) -> usize {
        let telling = self.explained.iter().filter(|(_, part)| *part > 0.0);
        telling.fold((all, 0.0), |best, &(layers, part)| if part >= best.1 { (layers, part) } else { best }).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_that_tell_most_are_kept_and_all_where_none_tells_anything() {
        let best = |explained: &[(usize, f64)]| LayerProbe { rows: 64, explained: explained.to_vec() }.best(6);
        assert_eq!(best(&[(3, 0.2), (4, 0.5), (5, 0.4), (6, 0.3)]), 4);
        assert_eq!(best(&[(3, 0.2), (4, 0.5), (5, 0.5), (6, 0.3)]), 5, "more layers among equals");
        assert_eq!(best(&[(3, -0.2), (4, -0.1), (5, -0.5), (6, -0.3)]), 6);
        assert_eq!(best(&[]), 6);
    }
}
