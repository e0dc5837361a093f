//! A plan: what a run will do, each value concrete, with its origin and its reason. Stored as `plan.toml`, it is a
//! recipe that repeats the run.

pub(crate) mod defaults;
pub mod error;
pub mod facts;
pub mod fields;
pub(crate) mod floor;
pub(crate) mod held_out;
pub(crate) mod layers;
pub(crate) mod method;
pub mod parameter_policy;
pub(crate) mod pooling;
pub mod recipe;
pub mod resolve;
pub mod schedule;
pub mod value;

use std::fmt;

use serde::Serialize;

pub use crate::plan::fields::Plan;
use crate::plan::fields::{Field, Table};
use crate::plan::recipe::FACTS;
use crate::plan::value::ClassWeights;

/// A value, where it comes from and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
    /// Why it is what it is: the flag, the recipe's line, the key of `config.json`, or what the default looked at.
    pub reason: String,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The command line.
    Flag,
    /// A recipe file.
    Recipe,
    /// A measurement of `advise`.
    Advice,
    /// The model's own files.
    ModelConfig,
    /// A default, which may depend on the data and the model.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Recipe => "recipe",
            Self::Advice => "advice",
            Self::ModelConfig => "model config",
            Self::Default => "default",
        })
    }
}

/// A line of a plan.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The option.
    pub field: &'static Field,
    /// The TOML text of its value; none when the option is not set.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: Origin,
    /// Why it is what it is.
    pub reason: String,
}

/// A plan as a recipe that `command` repeats: each value with a comment that gives its origin and its reason, and the
/// facts that pin the run. An option that is not set is written as a comment.
pub(crate) fn write_toml(command: &str, entries: &[Entry], pins: &[(&'static str, String)]) -> String {
    let mut text = format!("# What the run did. `topwork {command} --recipe FILE --output NEW` repeats it.\n");
    for table in Table::ALL {
        let lines: String = entries.iter().filter(|entry| entry.field.table == table).map(Entry::line).collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n[{}]\n{lines}", table.name()));
        }
    }
    text.push_str(&format!("\n[{FACTS}]\n"));
    for (name, value) in pins {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

impl Plan {
    /// Rows of one optimizer step.
    pub fn rows_per_step(&self) -> usize {
        self.per_device_train_batch_size.value * self.gradient_accumulation_steps.value
    }

    /// Optimizer steps of so many epochs, each of `steps_per_epoch`; of the plan's own without any. `max_steps` goes before both.
    pub(crate) fn steps(&self, steps_per_epoch: usize, epochs: Option<usize>) -> usize {
        let epochs = epochs.unwrap_or(self.num_train_epochs.value);
        self.max_steps.value.unwrap_or(steps_per_epoch * epochs).max(1)
    }

    /// The plan as a recipe: each value with a comment that gives its origin and its reason, and the facts that pin the
    /// run. An option that is not set is written as a comment.
    pub fn to_toml(&self) -> String {
        write_toml("tune", &self.entries(), &self.facts.pins())
    }

    /// The weight of each class in the loss, given the rows of each class that are trained on; none when every row
    /// counts the same.
    pub fn class_weight_values(&self, counts: &[usize]) -> Option<Vec<f32>> {
        match &self.class_weights.value {
            ClassWeights::None => None,
            ClassWeights::Balanced => {
                let rows: usize = counts.iter().sum();
                let classes = counts.iter().filter(|count| **count > 0).count();
                // A class that is only declared has no rows to make up for.
                let weight = |&count: &usize| match count {
                    0 => 1.0,
                    count => (rows as f64 / (classes * count) as f64) as f32,
                };
                Some(counts.iter().map(weight).collect())
            }
            ClassWeights::PerLabel(weights) => {
                let weight = |label: &String| weights.get(label).map_or(1.0, |weight| *weight as f32);
                Some(self.facts.labels.iter().map(weight).collect())
            }
        }
    }
}

impl Entry {
    /// The line of a plan file, with its comment.
    pub(crate) fn line(&self) -> String {
        let key = self.field.key;
        let reason: String = self.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let comment = if reason.is_empty() { self.origin.to_string() } else { format!("{}: {reason}", self.origin) };
        match &self.value {
            Some(value) => format!("{key} = {value} # {comment}\n"),
            None => format!("# {key} is not set # {comment}\n"),
        }
    }
}
