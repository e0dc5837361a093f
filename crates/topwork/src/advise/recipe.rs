//! The advised recipe: each value with the measurement that chose it.

use std::path::Path;

use serde::Serialize;

use super::Advice;
use super::depth::DepthProposal;
use super::race::Race;
use crate::error::Error;
use crate::fields::Table;
use crate::inputs::Inputs;
use crate::plan::{Entry, Origin};
use crate::recipe::{Field, Options, Recipe};
use crate::value::RecipeValue;

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
    /// Whether it was measured; otherwise it was said.
    pub is_measured: bool,
    /// What chose it.
    pub reason: String,
}

impl AdvisedRecipe {
    /// What was said, and the model, length, depth and learning rate that were measured.
    pub(super) fn of(recipe: &Recipe, advice: &Advice, inputs: &Inputs, depth: &DepthProposal, race: &Race) -> Self {
        let winner = &race.entrants[race.winner];
        let candidates = advice.transferability.candidates.len();
        let by = &advice.transferability.candidates[0];
        let score = |name: &str| by.scores.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
        let model = format!(
            "{} of {candidates}: probe {:.1} %, LogME {:.3} on the mean of all layers",
            if candidates > 1 { "first" } else { "the only one" },
            100.0 * score("linear_probe"),
            score("logme")
        );
        let freeze = if winner.freeze_layers == depth.freeze_layers {
            format!("{}; {}", depth.why, race.why)
        } else {
            format!("{} layers were proposed ({}); {}", depth.freeze_layers, depth.why, race.why)
        };
        let decay = match winner.freeze_layers {
            0 => "no layer is frozen, so the lower ones move less".to_string(),
            frozen => format!("the {frozen} lowest layers do not move at all, the others the less the lower"),
        };
        let range = |rate: Option<f64>| rate.map_or("none".to_string(), |rate| format!("{rate:.1e}"));
        let tested = advice
            .learning_rate
            .as_ref()
            .map_or(String::new(), |found| format!("; range test: valley {}", range(found.range_test.valley)));
        let measured = [
            ("model_name_or_path", toml_string(&advice.model), model),
            ("freeze_layers", winner.freeze_layers.to_string(), freeze),
            ("max_seq_length", inputs.plan.max_seq_length.value.to_string(), inputs.plan.max_seq_length.reason.clone()),
            ("learning_rate", winner.learning_rate.to_toml(), format!("{}: {}{tested}", winner.from, race.why)),
            ("layer_decay", inputs.plan.layer_decay.value.to_toml(), decay),
        ];
        let said = inputs.plan.entries();
        let values = Recipe::FIELDS.iter().filter_map(|field| {
            let was_said = recipe.said(field.key);
            let own = measured.iter().find(|(key, ..)| *key == field.key && !was_said);
            if let Some((key, value, reason)) = own {
                return Some(AdvisedValue { key, value: value.clone(), is_measured: true, reason: reason.clone() });
            }
            let entry = said.iter().find(|entry| entry.field.key == field.key && was_said)?;
            let (key, reason) = (field.key, entry.reason.clone());
            Some(AdvisedValue { key, value: entry.value.clone()?, is_measured: false, reason })
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
                    let origin = if value.is_measured { Origin::Advice } else { Origin::Flag };
                    let (value, reason) = (Some(value.value.clone()), value.reason.clone());
                    Some(Entry { field, value, origin, reason }.line())
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
        for value in self.values.iter().filter(|value| value.is_measured) {
            // Text on a flag has no quotes.
            let text = value.value.trim_matches('"');
            if !recipe.said(value.key) {
                recipe.advise(value.key, text, &value.reason)?;
            }
        }
        Ok(recipe)
    }
}

fn toml_string(text: &str) -> String {
    crate::value::on_one_line(text)
}
