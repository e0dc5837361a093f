//! `topwork plan`

use std::io::Write;

use clap::ArgMatches;
use serde_json::{Value, json};
use topwork::session::inputs::Inputs;
use topwork_models::HubSettings;

use crate::Ended;
use crate::arguments::recipe;
use crate::progress::Progress;
use crate::table;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let recipe = recipe(matches)?;
    let mut progress = Progress::new();
    let inputs = Inputs::read(&recipe, &HubSettings::from_env(), &mut progress)?;
    progress.clear();
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        serde_json::to_writer_pretty(&mut out, &as_json(&inputs))?;
        writeln!(out)?;
    } else {
        write!(out, "{}\n{}", inputs.plan.to_toml(), table::policy(&inputs))?;
    }
    Ok(Ended::Done)
}

fn as_json(inputs: &Inputs) -> Value {
    let entries = inputs.plan.entries();
    let options: serde_json::Map<String, Value> = entries
        .iter()
        .map(|entry| {
            let value = json!({
                "value": entry.value,
                "origin": entry.origin.to_string(),
                "reason": entry.reason,
            });
            (entry.field.key.to_string(), value)
        })
        .collect();
    let parameters: Vec<Value> = inputs
        .policy
        .parameters
        .iter()
        .map(|p| {
            json!({
                "name": p.name,
                "block": p.block.to_string(),
                "values": p.values,
                "trainable": p.trainable,
                "learning_rate": inputs.plan.learning_rate.value * p.lr_scale,
                "weight_decay": p.weight_decay,
                "why": p.why,
            })
        })
        .collect();
    json!({ "options": options, "parameters": parameters, "warnings": inputs.plan.warnings })
}
