//! What `config.json` of a fine-tuned model says besides what `transformers` knows. `tune` writes it; whoever predicts with the
//! model or trains it further reads it.

use std::path::Path;

use serde_json::{Map, Value, json};
use topwork_data::{Columns, TargetKind};
use topwork_models::{HeadKind, ModelConfig, OutputScale, ProblemType};

use crate::error::Error;
use crate::tasks::{Supervised, TaskDescription, of_kind};

/// What is learnt.
pub(crate) const TASK: &str = "topwork_task";
/// The columns of the training file.
pub(crate) const COLUMNS: &str = "topwork_columns";
/// Deviation and mean of the training targets: the loss of numbers is in units of their variance.
pub(crate) const TARGET_UNIT: &str = "topwork_target_unit";
/// What logits are divided by before they become probabilities.
pub(crate) const TEMPERATURE: &str = "calibration_temperature";
/// The probabilities from which on labels apply.
pub(crate) const THRESHOLDS: &str = "label_thresholds";

/// What topwork adds to a model's configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SavedConfig {
    /// The task's name.
    pub(crate) task: Option<String>,
    /// The columns that it was trained on; none where nobody says it.
    pub(crate) columns: Option<Columns>,
    /// The unit of numbers.
    pub(crate) target_unit: Option<OutputScale>,
    /// What logits are divided by.
    pub(crate) temperature: Option<f64>,
    /// From which probability on each label applies.
    pub(crate) thresholds: Option<Vec<f64>>,
}

impl SavedConfig {
    /// Reads what is there of a model of so many outputs.
    ///
    /// # Errors
    /// When a value is none that its key can have.
    pub(crate) fn read(directory: &Path, config: &ModelConfig, outputs: usize) -> Result<Self, Error> {
        let keys = Keys { directory, config };
        let is_positive = |number: &f64| *number > 0.0 && number.is_finite();
        Ok(Self {
            task: keys.read(TASK, "the name of a task", "", |value| value.as_str().map(str::to_string))?,
            columns: keys.read(
                COLUMNS,
                "text, text_pair and labels, names of columns",
                "leave the key out: columns are then found by their usual names",
                columns,
            )?,
            target_unit: keys.read(
                TARGET_UNIT,
                &format!("deviation and mean, {outputs} numbers each"),
                "leave the key out for a loss in the unit of the data",
                |value| unit(value, outputs),
            )?,
            temperature: keys.read(
                TEMPERATURE,
                "a number above 0",
                "leave the key out for probabilities as the logits give them",
                |value| value.as_f64().filter(is_positive),
            )?,
            thresholds: keys.read(
                THRESHOLDS,
                &format!("{outputs} numbers from 0 to 1"),
                "leave the key out for one half",
                |value| numbers(value, outputs).filter(|all| all.iter().all(|one| (0.0..=1.0).contains(one))),
            )?,
        })
    }

    /// Puts all of it into a configuration, and takes out what another model left there.
    pub(crate) fn write(&self, config: &mut Map<String, Value>) {
        let unit =
            self.target_unit.as_ref().map(|OutputScale { scale, shift }| json!({"deviation": scale, "mean": shift}));
        let columns = self
            .columns
            .as_ref()
            .map(|Columns { text, text_pair, labels }| json!({"text": text, "text_pair": text_pair, "labels": labels}));
        let own: [(&str, Option<Value>); 5] = [
            (TASK, self.task.as_deref().map(Value::from)),
            (COLUMNS, columns),
            (TARGET_UNIT, unit),
            (TEMPERATURE, self.temperature.map(Value::from)),
            (THRESHOLDS, self.thresholds.as_deref().map(Value::from)),
        ];
        for (key, value) in own {
            match value {
                Some(value) => _ = config.insert(key.to_string(), value),
                None => _ = config.shift_remove(key),
            }
        }
    }
}

/// The task of a model of so many outputs, and whether `topwork_task` was of another: `transformers` keeps the key of a model
/// that it trains for something else, so its own keys count where they say otherwise.
///
/// # Errors
/// When the configuration names a task or a problem that there is not.
pub(crate) fn task_of(
    directory: &Path,
    config: &ModelConfig,
    named: Option<&str>,
    outputs: usize,
) -> Result<(&'static dyn Supervised, bool), Error> {
    let fails = |key: &str, expected: String, found: String| {
        let path = directory.join("config.json");
        let message = format!("{}: {key}: expected {expected}, found {found}", path.display());
        Err(Error::run(message, "choose a directory that `topwork tune` or `transformers` fine-tuned"))
    };
    let architectures = config.raw.get("architectures").and_then(Value::as_array);
    let is_tagger = config.encoder().architecture(HeadKind::Token { labels: outputs });
    let said = if architectures.is_some_and(|list| list.iter().any(|name| name.as_str() == Some(&is_tagger))) {
        Some(TargetKind::TokenTags)
    } else {
        match config.encoder().problem_type() {
            None => None,
            Some(name) => match ProblemType::named(name) {
                Some(ProblemType::SingleLabelClassification) => Some(TargetKind::Class),
                Some(ProblemType::MultiLabelClassification) => Some(TargetKind::Labels),
                Some(ProblemType::Regression) => Some(TargetKind::Value),
                None => {
                    let names = ProblemType::ALL.map(ProblemType::name).join(", ");
                    return fails("problem_type", names, name.to_string());
                }
            },
        }
    };
    let named = match named {
        None => None,
        Some(name) => match TaskDescription::find(name).and_then(|task| task.supervised) {
            Some(task) => Some(task),
            None => return fails(TASK, TaskDescription::supervised_names().join(", "), name.to_string()),
        },
    };
    if let Some(task) = named
        && said.is_none_or(|kind| kind == task.kind())
    {
        return Ok((task, false));
    }
    let kind = said.unwrap_or(if outputs == 1 { TargetKind::Value } else { TargetKind::Class });
    if kind == TargetKind::Class && outputs < 2 {
        return fails("id2label", "at least 2 classes".to_string(), outputs.to_string());
    }
    Ok((of_kind(kind), named.is_some()))
}

/// The keys of a model's `config.json`.
struct Keys<'a> {
    directory: &'a Path,
    config: &'a ModelConfig,
}

impl Keys<'_> {
    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        hint: &str,
        value: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(found) = self.config.raw.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        match value(found) {
            Some(value) => Ok(Some(value)),
            None => {
                let path = self.directory.join("config.json");
                let message = format!("{}: {key}: expected {expected}, found {found}", path.display());
                Err(Error::run(message, hint))
            }
        }
    }
}

fn numbers(value: &Value, count: usize) -> Option<Vec<f64>> {
    let numbers: Vec<f64> = value.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    (numbers.len() == count && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

fn columns(value: &Value) -> Option<Columns> {
    let text = |value: &Value| value.as_str().map(str::to_string);
    let text_pair = match value.get("text_pair") {
        None | Some(Value::Null) => None,
        Some(name) => Some(text(name)?),
    };
    let labels = value.get("labels")?.as_array()?.iter().map(text).collect::<Option<_>>()?;
    Some(Columns { text: text(value.get("text")?)?, text_pair, labels })
}

fn unit(value: &Value, outputs: usize) -> Option<OutputScale> {
    let of = |key: &str| -> Option<Vec<f32>> {
        Some(numbers(value.get(key)?, outputs)?.into_iter().map(|number| number as f32).collect())
    };
    let unit = OutputScale { scale: of("deviation")?, shift: of("mean")? };
    unit.scale.iter().all(|deviation| *deviation > 0.0 && deviation.is_finite()).then_some(unit)
}
