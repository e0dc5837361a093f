//! `topwork predict`

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::{Map, Value, json};
use topwork::error::Error;
use topwork::predict::Predictor;
use topwork::session::inputs::cut_warning;
use topwork::tasks::prediction::{EntitySpan, Prediction, number};
use topwork_data::{Dataset, Example, Labels, TokenizedTexts};
use topwork_models::{HubSettings, Located, locate};

use crate::Ended;
use crate::arguments::column_names;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    // An empty standard input is an error before the model is read.
    let lines = lines(matches)?;
    let predictor = load(matches)?;
    let mut dataset = match (lines, matches.get_one::<PathBuf>("FILE")) {
        (Some(lines), _) => lines,
        (None, path) => {
            let path = path.cloned().unwrap_or_default();
            predictor.read(&path, &column_names(matches), Labels::Optional)?
        }
    };
    for note in &dataset.notes {
        writeln!(std::io::stderr(), "warning: {note}")?;
    }
    predictor.prepare(&mut dataset)?;
    let texts = tokenize(&predictor, &dataset)?;
    let outputs = predictor.logits(&texts, batch_size(matches));
    let predictions = predictor.predictions(&outputs, &dataset.examples);
    let mut out = BufWriter::new(std::io::stdout().lock());
    match matches.get_flag("json") {
        true => write_json(&mut out, &predictor, &dataset, &predictions, &outputs)?,
        false => write_table(&mut out, &predictor, &dataset, &predictions)?,
    }
    out.flush()?;
    Ok(Ended::Done)
}

/// One object a row.
fn write_json(
    out: &mut impl Write,
    predictor: &Predictor,
    dataset: &Dataset,
    predictions: &[Prediction],
    outputs: &[f32],
) -> anyhow::Result<()> {
    let names = predictor.labels();
    let by_name = |values: &[f64]| -> Value {
        Value::Object(names.iter().cloned().zip(values.iter().map(|value| json!(value))).collect())
    };
    let mut outputs = outputs.chunks_exact(names.len().max(1));
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let mut row = texts_of(example);
        let mut put = |key: &str, value: Value| _ = row.insert(key.into(), value);
        match prediction {
            Prediction::Class { label, score, probabilities } => {
                put("label", json!(label));
                put("score", json!(score));
                put("scores", by_name(probabilities));
                put("logits", json!(outputs.next()));
            }
            Prediction::Labels { labels, probabilities } => {
                put("labels", json!(labels));
                put("scores", by_name(probabilities));
                put("logits", json!(outputs.next()));
            }
            Prediction::Values { values } => match values.as_slice() {
                [value] => put("value", json!(value)),
                values => put("values", by_name(values)),
            },
            Prediction::Tags { tokens, tags, entities } => {
                put("tokens", json!(tokens));
                put("tags", json!(tags));
                put("entities", json!(entities));
            }
        }
        writeln!(out, "{}", Value::Object(row))?;
    }
    Ok(())
}

/// A CSV with the texts and what is predicted.
fn write_table(
    out: &mut impl Write,
    predictor: &Predictor,
    dataset: &Dataset,
    predictions: &[Prediction],
) -> anyhow::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    let mut header = vec!["text".to_string()];
    header.extend(dataset.is_pair().then(|| "text_pair".to_string()));
    header.extend(match predictions.first() {
        Some(Prediction::Class { .. }) | None => vec!["label".to_string(), "score".to_string()],
        Some(Prediction::Labels { .. }) => vec!["labels".to_string()],
        Some(Prediction::Values { values }) if values.len() == 1 => vec!["value".to_string()],
        Some(Prediction::Values { .. }) => predictor.labels().to_vec(),
        Some(Prediction::Tags { .. }) => vec!["tags".to_string(), "entities".to_string()],
    });
    table.write_record(&header)?;
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let mut record = vec![example.text.clone()];
        record.extend(dataset.is_pair().then(|| example.text_pair.clone().unwrap_or_default()));
        match prediction {
            Prediction::Class { label, score, .. } => record.extend([label.clone(), format!("{score:.4}")]),
            Prediction::Labels { labels, .. } => record.push(labels.join(";")),
            Prediction::Values { values } => record.extend(values.iter().map(|value| number(*value))),
            Prediction::Tags { tags, entities, .. } => {
                let entity =
                    |EntitySpan { kind, word, start, end }: &EntitySpan| format!("{kind} {start}-{end} {word}");
                record.extend([tags.join(" "), entities.iter().map(entity).collect::<Vec<_>>().join("; ")]);
            }
        }
        table.write_record(&record)?;
    }
    table.flush()?;
    Ok(())
}

/// The texts of standard input, where no file is named.
fn lines(matches: &ArgMatches) -> Result<Option<Dataset>, Error> {
    match matches.get_one::<PathBuf>("FILE").filter(|path| path.as_path() != Path::new("-")) {
        Some(_) => Ok(None),
        None => Ok(Some(Dataset::from_lines(std::io::stdin().lock(), "standard input")?)),
    }
}

/// The model that the command names.
pub(crate) fn load(matches: &ArgMatches) -> anyhow::Result<Predictor> {
    let model = matches.get_one::<String>("MODEL").map_or("", String::as_str);
    let Located { directory, notes } = locate(model, &HubSettings::from_env()).map_err(Error::from)?;
    for note in &notes {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    let predictor = Predictor::load(&directory)?;
    for warning in &predictor.warnings {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    for note in &predictor.notes {
        writeln!(std::io::stderr(), "note: {note}")?;
    }
    Ok(predictor)
}

/// The tokens of the rows; warns when some are cut.
pub(crate) fn tokenize(predictor: &Predictor, dataset: &Dataset) -> anyhow::Result<TokenizedTexts> {
    let texts = predictor.tokenize(&dataset.examples, &dataset.path)?;
    if let Some(warning) = cut_warning(&texts, &dataset.path, predictor.max_length) {
        writeln!(std::io::stderr(), "warning: {warning}")?;
    }
    Ok(texts)
}

/// Rows of one forward pass.
pub(crate) fn batch_size(matches: &ArgMatches) -> usize {
    matches.get_one::<u32>("batch-size").map_or(32, |&rows| rows as usize)
}

fn texts_of(example: &Example) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("text".into(), json!(example.text));
    if let Some(pair) = &example.text_pair {
        row.insert("text_pair".into(), json!(pair));
    }
    row
}
