//! `topwork predict`

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::{Map, Value, json};
use topwork::error::Error;
use topwork::predict::Classifier;
use topwork::session::inputs::cut_warning;
use topwork_data::{Dataset, Example, Labels, TokenizedTexts};
use topwork_metrics::argmax;
use topwork_models::{HubSettings, locate};

use crate::Ended;
use crate::arguments::column_names;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let dataset = read(matches)?;
    let classifier = load(matches)?;
    let texts = tokenize(&classifier, &dataset)?;
    let logits = classifier.logits(&texts, batch_size(matches));
    let classes = classifier.labels.len();
    let (predicted, probabilities) = (argmax(&logits, classes), classifier.probabilities(&logits));
    let names = classifier.labels.names();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let rows = dataset.examples.iter().zip(&predicted).zip(probabilities.chunks_exact(classes));
    let logits = logits.chunks_exact(classes);
    if matches.get_flag("json") {
        for (((example, &class), probabilities), logits) in rows.zip(logits) {
            let scores: Map<String, Value> =
                names.iter().cloned().zip(probabilities.iter().map(|p| json!(p))).collect();
            let mut row = texts_of(example);
            row.insert("label".into(), json!(names[class as usize]));
            row.insert("score".into(), json!(probabilities[class as usize]));
            row.insert("scores".into(), Value::Object(scores));
            row.insert("logits".into(), json!(logits));
            writeln!(out, "{}", Value::Object(row))?;
        }
    } else {
        let mut table = csv::Writer::from_writer(&mut out);
        let is_pair = dataset.is_pair();
        table.write_record(if is_pair {
            &["text", "text_pair", "label", "score"][..]
        } else {
            &["text", "label", "score"]
        })?;
        for ((example, &class), probabilities) in rows {
            let score = format!("{:.4}", probabilities[class as usize]);
            let pair = example.text_pair.as_deref().filter(|_| is_pair);
            let texts = [Some(example.text.as_str()), pair].into_iter().flatten();
            table.write_record(texts.chain([names[class as usize].as_str(), score.as_str()]))?;
        }
        table.flush()?;
    }
    out.flush()?;
    Ok(Ended::Done)
}

/// The rows of the file, or of standard input.
fn read(matches: &ArgMatches) -> Result<Dataset, Error> {
    Ok(match matches.get_one::<PathBuf>("FILE").filter(|path| path.as_path() != Path::new("-")) {
        Some(path) => Dataset::read(path, &column_names(matches), Labels::Optional)?,
        None => Dataset::from_lines(std::io::stdin().lock(), "standard input")?,
    })
}

/// The model that the command names.
pub(crate) fn load(matches: &ArgMatches) -> Result<Classifier, Error> {
    let model = matches.get_one::<String>("MODEL").map_or("", String::as_str);
    Classifier::load(&locate(model, &HubSettings::from_env())?)
}

/// The tokens of the rows; warns when some are cut.
pub(crate) fn tokenize(classifier: &Classifier, dataset: &Dataset) -> anyhow::Result<TokenizedTexts> {
    let texts = classifier.tokenize(&dataset.examples, &dataset.path)?;
    if let Some(warning) = cut_warning(&texts, &dataset.path, classifier.max_length) {
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
