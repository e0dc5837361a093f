//! `topwork tasks` and `topwork families`: what there is, from the lists.

use std::io::Write;

use clap::ArgMatches;
use serde_json::json;
use topwork::tasks::TASKS;
use topwork_models::FAMILIES;

use crate::Ended;

/// Lists the tasks.
pub(crate) fn tasks(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        let task = |task: &topwork::tasks::TaskDescription| {
            json!({
                "name": task.name,
                "aliases": task.aliases,
                "summary": task.summary,
                "data": task.data,
                "command": if task.supervised.is_some() { "tune" } else { "pretrain" },
                "metrics": task.supervised.map(|own| own.metrics().iter().map(|metric| metric.name()).collect::<Vec<_>>()),
                "not_applicable": task.supervised.map(|own| {
                    own.not_applicable().iter().map(|(part, why)| (part.name(), *why)).collect::<Vec<_>>()
                }),
            })
        };
        writeln!(out, "{:#}", serde_json::Value::Array(TASKS.iter().map(task).collect()))?;
        return Ok(Ended::Done);
    }
    for task in TASKS {
        writeln!(out, "{:<22}{}", task.name, task.summary)?;
        writeln!(out, "{:<22}data: {}", "", task.data)?;
        if let Some(own) = task.supervised {
            let metrics: Vec<&str> = own.metrics().iter().map(|metric| metric.name()).collect();
            writeln!(out, "{:<22}metrics: {}", "", metrics.join(", "))?;
        }
        if !task.aliases.is_empty() {
            writeln!(out, "{:<22}also: {}", "", task.aliases.join(", "))?;
        }
    }
    Ok(Ended::Done)
}

/// Lists the families.
pub(crate) fn families(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        let family = |family: &topwork_models::FamilyDescription| json!({ "name": family.name, "model_types": family.model_types });
        writeln!(out, "{:#}", serde_json::Value::Array(FAMILIES.iter().map(family).collect()))?;
        return Ok(Ended::Done);
    }
    for family in FAMILIES {
        writeln!(out, "{:<14}model_type: {}", family.name, family.model_types.join(", "))?;
    }
    Ok(Ended::Done)
}
