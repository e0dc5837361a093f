//! `topwork predict`: rows are answered as they come.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use clap::ArgMatches;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use topwork::error::Error;
use topwork::predict::Predictor;
use topwork::session::inputs::cut_warning;
use topwork::tasks::prediction::{EntitySpan, Prediction, number};
use topwork_data::{Columns, DataError, Dataset, Example, RowStream, StreamedRow, TokenizedTexts};
use topwork_models::{HubSettings, Located, locate, write_atomically};

use crate::Ended;
use crate::arguments::{column_names, label_names};

/// Rows that are answered in one go, if so many are there.
const CHUNK: usize = 256;
/// Rows that may wait to be answered.
const WAITING: usize = 2 * CHUNK;

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<Ended> {
    // An unreadable file or an empty standard input is an error before the model is read.
    let path = matches.get_one::<PathBuf>("FILE").filter(|path| path.as_path() != Path::new("-"));
    if let Some(path) = path.filter(|path| !path.exists()) {
        return Err(Error::from(topwork_data::missing_file(path)).into());
    }
    let mut predictor = load(matches)?;
    if let Some(names) = label_names(matches)? {
        predictor.rename_labels(names)?;
    }
    let said = column_names(matches);
    let choose = |header: &[String]| predictor.columns_among(&said, header);
    let rows = match path {
        Some(path) => RowStream::open_path(path, &choose),
        None => RowStream::open(Path::new("standard input"), std::io::stdin(), &choose),
    };
    let rows = rows.map_err(Error::from)?;
    for note in &rows.notes {
        writeln!(std::io::stderr(), "warning: {note}")?;
    }
    match matches.get_one::<PathBuf>("output") {
        Some(output) => {
            let mut failed = None;
            write_atomically(output, |writer| {
                let mut out = BufWriter::new(writer);
                match answer(matches, &predictor, rows, &mut out) {
                    Ok(()) => out.flush(),
                    Err(error) => {
                        failed = Some(error);
                        Err(std::io::Error::other("no predictions"))
                    }
                }
            })
            .or_else(|error| failed.map_or_else(|| Err(Error::from(error).into()), Err))?;
        }
        None => answer(matches, &predictor, rows, &mut BufWriter::new(std::io::stdout().lock()))?,
    }
    Ok(Ended::Done)
}

/// Answers every row, in order; what is there is written before more is waited for.
fn answer(matches: &ArgMatches, predictor: &Predictor, rows: RowStream, out: &mut impl Write) -> anyhow::Result<()> {
    let mut answers = Answers::new(matches, predictor, &rows);
    let encoding = rows.encoding_note();
    let (sender, receiver) = sync_channel(WAITING);
    // The thread ends with the rows, or when nobody takes them any more.
    std::thread::spawn(move || {
        for row in rows {
            if sender.send(row).is_err() {
                break;
            }
        }
    });
    // Of a file the same rows are answered together in every run, so that even the last bits are the same.
    let waits = matches.get_one::<PathBuf>("FILE").is_some_and(|path| path.is_file());
    while let Some(chunk) = next_chunk(&receiver, waits) {
        let (chunk, error) = chunk;
        answers.write(&chunk, out)?;
        out.flush()?;
        if let Some(error) = error {
            return Err(Error::from(error).into());
        }
    }
    if let Some(note) = encoding() {
        writeln!(std::io::stderr(), "warning: {note}")?;
    }
    answers.finish()
}

/// The rows that are there, at least one, or as many as are answered in one go if it `waits` for them; and the error that follows them, if one does. None at the end.
fn next_chunk(
    rows: &Receiver<Result<StreamedRow, DataError>>,
    waits: bool,
) -> Option<(Vec<StreamedRow>, Option<DataError>)> {
    let mut chunk = Vec::new();
    let mut next = rows.recv().ok();
    while let Some(row) = next.take() {
        match row {
            Ok(row) => chunk.push(row),
            Err(error) => return Some((chunk, Some(error))),
        }
        next = match () {
            () if chunk.len() == CHUNK => None,
            () if waits => rows.recv().ok(),
            () => rows.try_recv().ok(),
        };
    }
    (!chunk.is_empty()).then_some((chunk, None))
}

/// What is written of the rows, and what was seen of them so far.
struct Answers<'a> {
    predictor: &'a Predictor,
    path: PathBuf,
    columns: Columns,
    carried: Vec<String>,
    is_json: bool,
    batch_size: usize,
    has_header: bool,
    rows: usize,
    cut: usize,
    progress: Option<ProgressBar>,
    begun: Instant,
}

/// Nobody needs to see the progress of less.
const BEFORE_PROGRESS: Duration = Duration::from_secs(2);

impl<'a> Answers<'a> {
    fn new(matches: &ArgMatches, predictor: &'a Predictor, rows: &RowStream) -> Self {
        let shows =
            std::io::stderr().is_terminal() && (matches.contains_id("output") || !std::io::stdout().is_terminal());
        Self {
            predictor,
            path: rows.path.clone(),
            columns: rows.columns.clone(),
            carried: rows.carried.clone(),
            is_json: matches.get_flag("json"),
            batch_size: batch_size(matches),
            has_header: false,
            rows: 0,
            cut: 0,
            progress: shows.then(ProgressBar::new_spinner),
            begun: Instant::now(),
        }
    }

    fn write(&mut self, chunk: &[StreamedRow], out: &mut impl Write) -> anyhow::Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let mut examples: Vec<Example> = chunk.iter().map(|row| row.example.clone()).collect();
        self.predictor.prepare_rows(&self.path, &self.columns, &mut examples)?;
        let texts = self.predictor.tokenize(&examples, &self.path)?;
        self.cut += texts.truncated;
        let outputs = self.predictor.logits(&texts, self.batch_size);
        let predictions = self.predictor.predictions(&outputs, &examples);
        match self.is_json {
            true => self.write_json(out, chunk, &predictions, &outputs)?,
            false => self.write_table(out, chunk, &predictions)?,
        }
        self.rows += chunk.len();
        if let Some(bar) = self.progress.as_ref().filter(|_| self.begun.elapsed() > BEFORE_PROGRESS) {
            let rate = self.rows as f64 / self.begun.elapsed().as_secs_f64();
            bar.set_message(format!("{} rows, {rate:.0} a second", self.rows));
            bar.tick();
        }
        Ok(())
    }

    /// Says what concerns all rows.
    fn finish(self) -> anyhow::Result<()> {
        if let Some(bar) = self.progress {
            bar.finish_and_clear();
        }
        if self.cut > 0 {
            let path = self.path.display();
            let (cut, rows, length) = (self.cut, self.rows, self.predictor.max_length);
            writeln!(std::io::stderr(), "warning: {path}: {cut} of {rows} texts are cut after {length} tokens")?;
        }
        Ok(())
    }

    /// The name of a column that is carried through, which no prediction has.
    fn carried_name(&self, name: &str) -> String {
        const OWN: [&str; 12] = [
            "text",
            "text_pair",
            "label",
            "score",
            "scores",
            "logits",
            "labels",
            "value",
            "values",
            "tags",
            "tokens",
            "entities",
        ];
        if OWN.contains(&name) { format!("input_{name}") } else { name.to_owned() }
    }

    /// One object a row.
    fn write_json(
        &self,
        out: &mut impl Write,
        chunk: &[StreamedRow],
        predictions: &[Prediction],
        outputs: &[f32],
    ) -> anyhow::Result<()> {
        let names = self.predictor.labels();
        let by_name = |values: &[f64]| -> Value {
            Value::Object(names.iter().cloned().zip(values.iter().map(|value| json!(value))).collect())
        };
        let mut outputs = outputs.chunks_exact(names.len().max(1));
        for (StreamedRow { example, carried }, prediction) in chunk.iter().zip(predictions) {
            let carried =
                self.carried.iter().zip(carried).map(|(name, value)| (self.carried_name(name), value.clone()));
            let mut row: Map<String, Value> = carried.collect();
            let mut put = |key: &str, value: Value| _ = row.insert(key.into(), value);
            put("text", json!(example.text));
            if let Some(pair) = &example.text_pair {
                put("text_pair", json!(pair));
            }
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

    /// A CSV with the columns that are carried through, the texts and what is predicted.
    fn write_table(
        &mut self,
        out: &mut impl Write,
        chunk: &[StreamedRow],
        predictions: &[Prediction],
    ) -> anyhow::Result<()> {
        let is_pair = self.columns.text_pair.is_some();
        let mut table = csv::Writer::from_writer(out);
        if !self.has_header {
            self.has_header = true;
            let mut header: Vec<String> = self.carried.iter().map(|name| self.carried_name(name)).collect();
            header.push("text".to_string());
            header.extend(is_pair.then(|| "text_pair".to_string()));
            header.extend(match predictions.first() {
                Some(Prediction::Class { .. }) | None => vec!["label".to_string(), "score".to_string()],
                Some(Prediction::Labels { .. }) => vec!["labels".to_string()],
                Some(Prediction::Values { values }) if values.len() == 1 => vec!["value".to_string()],
                Some(Prediction::Values { .. }) => self.predictor.labels().to_vec(),
                Some(Prediction::Tags { .. }) => vec!["tags".to_string(), "entities".to_string()],
            });
            table.write_record(&header)?;
        }
        for (StreamedRow { example, carried }, prediction) in chunk.iter().zip(predictions) {
            let mut record: Vec<String> = carried.iter().map(cell).collect();
            record.push(example.text.clone());
            record.extend(is_pair.then(|| example.text_pair.clone().unwrap_or_default()));
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
}

/// A value as a field of a table has it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
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
