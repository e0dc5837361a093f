//! The advised recipe: each value with the measurement that chose it.

use std::path::Path;

use serde::Serialize;
use toml_edit::Value;

use super::Advice;
use super::depth::DepthProposal;
use super::length::LengthProposal;
use super::rate_proposal::LearningRate;
use super::transferability::Of;
use crate::error::Error;
use crate::events::shown;
use crate::plan::fields::Table;
use crate::plan::recipe::{Field, Options, Recipe};
use crate::plan::value::{Method, RecipeValue};
use crate::plan::{Entry, Origin, Plan, Resolved};

/// What `tune` is to do.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisedRecipe {
    /// The values, in the order of the options.
    pub values: Vec<AdvisedValue>,
}

/// A value of the recipe.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisedValue {
    /// The option.
    pub key: &'static str,
    /// The TOML text of its value.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What chose it.
    pub reason: String,
}

impl AdvisedRecipe {
    /// What was said, what was measured (model, depth, epochs, learning rate), and the sequence length and layer decay that go
    /// with it as `planned`.
    pub(super) fn of(
        recipe: &Recipe,
        advice: &Advice,
        planned: &Plan,
        depth: &DepthProposal,
        length: &LengthProposal,
        found: &LearningRate,
    ) -> Self {
        let winner = &found.setting;
        let model = of_model(advice, planned);
        let freeze = if winner.freeze_layers == depth.freeze_layers {
            format!("{}; {}", depth.why, found.why)
        } else {
            format!("{} layers were proposed ({}); {}", depth.freeze_layers, depth.why, found.why)
        };
        let epochs = if winner.num_train_epochs == length.num_train_epochs {
            length.why.clone()
        } else {
            format!("another length was proposed ({}); {}", length.why, found.why)
        };
        let range = |rate: Option<f64>| rate.map_or("none".to_string(), |rate| format!("{rate:.1e}"));
        let tested =
            format!("range test with {} frozen: valley {}", found.tested_freeze_layers, range(found.range_test.valley));
        let mut measured = vec![
            ("model_name_or_path", toml_string(&advice.model), model),
            ("freeze_layers", winner.freeze_layers.to_string(), freeze),
            ("learning_rate", winner.learning_rate.to_toml(), format!("{}: {}; {tested}", winner.from, found.why)),
        ];
        let of_method = "depth, length and learning rate were measured of it".to_string();
        measured.push(("method", toml_string(Method::Finetune.name()), of_method));
        // Tune's own length follows the rows, should they become more.
        if let Some(own) = winner.num_train_epochs.filter(|own| *own != planned.num_train_epochs.value) {
            measured.push(("num_train_epochs", own.to_string(), epochs));
        }
        Self::assembled(recipe, planned, &measured)
    }

    /// What was said, the model that was measured, and the method that suits the rows, whose other values are tune's own.
    pub(super) fn of_method(recipe: &Recipe, advice: &Advice, planned: &Plan) -> Self {
        let Resolved { value: method, reason, .. } = &planned.method;
        let measured = [
            ("model_name_or_path", toml_string(&advice.model), of_model(advice, planned)),
            ("method", toml_string(method.name()), reason.clone()),
        ];
        Self::assembled(recipe, planned, &measured)
    }

    /// The values that were said or measured, and those of the plan that go with them.
    fn assembled(recipe: &Recipe, planned: &Plan, measured: &[(&'static str, String, String)]) -> Self {
        let entries = planned.entries();
        let values = Recipe::FIELDS.iter().filter_map(|field| {
            let was_said = recipe.said(field.key);
            let own = measured.iter().find(|(key, ..)| *key == field.key && !was_said);
            if let Some((key, value, reason)) = own {
                let (value, reason) = (value.clone(), reason.clone());
                return Some(AdvisedValue { key, value, origin: Origin::Advice, reason });
            }
            let entry = entries.iter().find(|entry| entry.field.key == field.key)?;
            let goes_with = ["max_seq_length", "layer_decay"].contains(&field.key);
            let (origin, reason) = (entry.origin, entry.reason.clone());
            let value = entry.value.clone().filter(|_| was_said || goes_with)?;
            Some(AdvisedValue { key: field.key, value, origin, reason })
        });
        Self { values: values.collect() }
    }

    /// The recipe as TOML: each value with a comment that says what chose it.
    pub fn to_toml(&self, path: &Path) -> String {
        let mut text = format!(
            "# What `topwork advise` measured. `topwork tune --recipe '{}'` runs it; what is not here has tune's defaults, which\n\
             # `topwork plan --recipe '{}'` shows.\n",
            path.display(),
            path.display()
        );
        for table in Table::ALL {
            let lines: String = self
                .values
                .iter()
                .filter_map(|value| {
                    let field = Field::find(value.key).filter(|field| field.table == table)?;
                    let (origin, reason) = (value.origin, value.reason.clone());
                    Some(Entry { field, value: Some(value.value.clone()), origin, reason }.line())
                })
                .collect();
            if !lines.is_empty() {
                text.push_str(&format!("\n[{}]\n{lines}", table.name()));
            }
        }
        text
    }

    /// Says every measured value in a recipe, for a run that follows at once.
    ///
    /// # Errors
    /// When a value is not of its option's type, which would be a fault of the advice.
    pub fn apply(&self, recipe: &Recipe) -> Result<Recipe, Error> {
        let mut recipe = recipe.clone();
        for value in self.values.iter().filter(|value| value.origin == Origin::Advice) {
            let toml: Value =
                value.value.parse().map_err(|_| Error::run(format!("{}: no TOML", value.key), "report this"))?;
            if !recipe.said(value.key) {
                recipe.advise(value.key, &toml, &value.reason)?;
            }
        }
        Ok(recipe)
    }
}

/// What chose the model.
fn of_model(advice: &Advice, planned: &Plan) -> String {
    let candidates = advice.transferability.candidates.len();
    let by = &advice.transferability.candidates[0];
    let score = |name: &str, of: Of| by.score(name, of).unwrap_or(f64::NAN);
    let place = if candidates > 1 { "first" } else { "the only one" };
    let is_ranked = advice.transferability.ranked_by.is_some();
    let metric = planned.facts.task.headline;
    match by.score(metric.name(), Of::Best) {
        Some(value) if is_ranked => format!(
            "{place} of {candidates}: {} {} of a linear head on rows that it was not fitted to",
            metric.label(),
            shown(metric, value)
        ),
        None if is_ranked => format!("{place} of {candidates}: too few rows for a linear head to tell"),
        _ if advice.transferability.baselines.is_none() => {
            format!("{place} of {candidates} that were named: they are not ranked")
        }
        _ => format!(
            "{place} of {candidates}: probe {:.1} % and PARC {:.1} at their best layer, nearest rows {:.1} % on the mean of all layers",
            100.0 * score("linear_probe", Of::Best),
            score("parc", Of::Best),
            100.0 * score("knn", Of::Mean)
        ),
    }
}

fn toml_string(text: &str) -> String {
    crate::plan::value::on_one_line(text)
}
