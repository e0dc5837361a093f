//! `topwork evaluate`

use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::{Value, json};
use topwork::error::Error;
use topwork::events::SplitScores;
use topwork::predict::Predictor;
use topwork_data::{Dataset, Labels, TargetKind, Targets};
use topwork_metrics::tagging::{Tagging, entity_report};
use topwork_metrics::{argmax, confusion, multi_label};

use super::predict::{batch_size, load, tokenize};
use crate::Ended;
use crate::arguments::{column_names, label_names, missing_labels};
use crate::table::{self, Line};

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let path = matches.get_one::<PathBuf>("FILE").cloned().unwrap_or_default();
    let path = if path.as_os_str() == "-" { PathBuf::from("/dev/stdin") } else { path };
    let mut predictor = load(matches)?;
    if let Some(names) = label_names(matches)? {
        predictor.rename_labels(names)?;
    }
    let mut dataset = predictor.read(&path, &column_names(matches), Labels::Required)?;
    for note in predictor.settle_labels(&mut dataset, missing_labels(matches))? {
        writeln!(std::io::stderr(), "warning: {note}")?;
    }
    if predictor.task().kind() != TargetKind::TokenTags {
        predictor.prepare(&mut dataset)?;
    }
    let targets = predictor.scoring.space.encode(&dataset).map_err(Error::from)?;
    let texts = tokenize(&predictor, &dataset)?;
    let outputs = predictor.logits(&texts, batch_size(matches));
    let scores = predictor.evaluate(&outputs, &dataset)?;
    let unseen = unseen(&predictor, &dataset, batch_size(matches))?;
    let mut out = std::io::stdout().lock();
    let lines = by_label(&predictor, &outputs, &targets, &dataset);
    if matches.get_flag("json") {
        let mut value = serde_json::to_value(&scores)?;
        if let Some(unseen) = &unseen {
            value["learnt_rows"] = json!(unseen.learnt);
            value["not_learnt_from"] = serde_json::to_value(&unseen.scores)?;
        }
        value["task"] = json!(predictor.task().name());
        value["labels"] = json!(predictor.labels());
        if let Some(counts) = confusion_of(&predictor, &outputs, &targets) {
            value["confusion"] = json!(counts.chunks_exact(predictor.labels().len()).collect::<Vec<_>>());
        }
        if !lines.is_empty() {
            value["by_label"] = Value::Object(lines.iter().map(|line| (line.name.clone(), line.to_json())).collect());
        }
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
    } else {
        let others = unseen.as_ref().and_then(|unseen| unseen.scores.as_ref()).map(|scores| ("unseen", scores));
        let splits: Vec<_> = std::iter::once(("test", &scores)).chain(others).collect();
        write!(out, "{}", table::scores(&splits))?;
        if !lines.is_empty() {
            let what = match predictor.task().kind() {
                TargetKind::Class => "class",
                TargetKind::Labels => "label",
                TargetKind::Value => "number",
                TargetKind::TokenTags => "entity",
            };
            write!(out, "\n{}", table::by_label(what, &lines))?;
        }
    }
    Ok(Ended::Done)
}

/// What a file says whose rows are partly those that the model learnt from.
struct Unseen {
    /// Rows with the words of one that was learnt from.
    learnt: usize,
    /// The scores of the others, if there are any.
    scores: Option<SplitScores>,
}

/// The scores of the rows that the model did not learn from, if it learnt from others.
fn unseen(predictor: &Predictor, dataset: &Dataset, batch_size: usize) -> anyhow::Result<Option<Unseen>> {
    let mut others = dataset.clone();
    others.examples.retain(|row| !predictor.has_learnt(row));
    let (rows, learnt) = (dataset.examples.len(), dataset.examples.len() - others.examples.len());
    if learnt == 0 {
        return Ok(None);
    }
    let what = match rows - learnt {
        0 => "the scores say nothing of new texts",
        _ => "the line `unseen` has the scores of the others",
    };
    let path = dataset.path.display();
    writeln!(std::io::stderr(), "warning: {path}: the model learnt from {learnt} of {rows} rows: {what}")?;
    if others.examples.is_empty() {
        return Ok(Some(Unseen { learnt, scores: None }));
    }
    let texts = predictor.tokenize(&others.examples, &others.path)?;
    let scores = predictor.evaluate(&predictor.logits(&texts, batch_size), &others)?;
    Ok(Some(Unseen { learnt, scores: Some(scores) }))
}

/// How often each class was given for each `[gold, predicted]`; none of tasks without classes of rows.
fn confusion_of(predictor: &Predictor, outputs: &[f32], targets: &Targets) -> Option<Vec<u64>> {
    let Targets::Class(gold) = targets else { return None };
    let classes = predictor.labels().len();
    Some(confusion(gold, &argmax(outputs, classes), classes))
}

/// Precision and recall of each class, label or kind of entity.
fn by_label(predictor: &Predictor, outputs: &[f32], targets: &Targets, dataset: &Dataset) -> Vec<Line> {
    let names = predictor.labels();
    match targets {
        Targets::Class(_) => {
            let counts = confusion_of(predictor, outputs, targets).unwrap_or_default();
            Line::of_confusion(names, &counts)
        }
        Targets::Labels(labels) => {
            let thresholds = predictor.scoring.thresholds.as_deref();
            let predicted = multi_label::predictions(outputs, labels.width(), thresholds);
            let line = |(label, name): (usize, &String)| {
                let given = || predicted.iter().skip(label).step_by(labels.width()).copied();
                let right = labels.column(label).zip(given()).filter(|(gold, given)| *gold && *given).count();
                let (gold, given) =
                    (labels.column(label).filter(|gold| *gold).count(), given().filter(|own| *own).count());
                Line::of_counts(name, right, gold, given)
            };
            names.iter().enumerate().map(line).collect()
        }
        Targets::Values(_) => Vec::new(),
        Targets::Tags(tags) => {
            let tagging = Tagging::new(names);
            if !tagging.has_entities() {
                return Vec::new();
            }
            let predicted = predictor.task().predict(outputs, &dataset.examples, &predictor.scoring);
            let ids: Vec<Vec<u32>> = predicted.iter().map(|row| row.tag_ids(names)).collect();
            let report = entity_report(&tagging, (0..tags.rows()).map(|row| (tags.row(row), ids[row].as_slice())));
            let line = |(name, scores): (String, topwork_metrics::tagging::EntityScores)| Line {
                name,
                rows: scores.support as u64,
                precision: scores.precision,
                recall: scores.recall,
                f1: scores.f1,
            };
            report.by_type.into_iter().map(line).collect()
        }
    }
}
