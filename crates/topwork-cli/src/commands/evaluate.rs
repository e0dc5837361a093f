//! `topwork evaluate`

use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::json;
use topwork::error::Error;
use topwork::events::SplitScores;
use topwork_data::{Dataset, Labels};
use topwork_metrics::{argmax, confusion};

use super::predict::{batch_size, load, tokenize};
use crate::Ended;
use crate::arguments::column_names;
use crate::table;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    let path = matches.get_one::<PathBuf>("FILE").cloned().unwrap_or_default();
    let dataset = Dataset::read(&path, &column_names(matches), Labels::Required).map_err(Error::from)?;
    let classifier = load(matches)?;
    let gold = classifier.labels.encode(&dataset).map_err(Error::from)?;
    let texts = tokenize(&classifier, &dataset)?;
    let logits = classifier.logits(&texts, batch_size(matches));
    let classes = classifier.labels.len();
    let scores = SplitScores::new(gold.len(), &topwork_metrics::evaluate(&logits, classes, &gold));
    let counts = confusion(&gold, &argmax(&logits, classes), classes);
    let mut out = std::io::stdout().lock();
    if matches.get_flag("json") {
        let mut value = serde_json::to_value(scores)?;
        value["labels"] = json!(classifier.labels.names());
        value["confusion"] = json!(counts.chunks_exact(classes).collect::<Vec<_>>());
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
    } else {
        write!(out, "{}\n{}", table::scores(&[("test", scores)]), table::by_class(classifier.labels.names(), &counts))?;
    }
    Ok(Ended::Done)
}
