//! What a run reports while it goes on. `events.jsonl` is the record from which everything shown later is made.

mod scores;
pub mod tensorboard;
pub mod trace;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use topwork_metrics::TaskScores;

use crate::error::Error;

pub(crate) use scores::metric_name;
pub use scores::{MetricScores, SplitScores, shown};

/// What a step did with a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockMotion {
    /// The block, such as `embeddings`, `layer 0` or `head`.
    pub block: String,
    /// The norm of the block's gradient before clipping.
    pub grad_norm: f64,
    /// ‖Δw‖ / ‖w‖ of the block's largest matrix: how far the step moved it. None where the block has nothing but
    /// embedding tables.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub update_ratio: Option<f64>,
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// A part of the run begins, such as `load`, `tokenize`, `train`, `evaluate` or `save`.
    Phase {
        /// The part's name.
        name: String,
    },
    /// Training begins.
    Started {
        /// Optimizer steps of the run.
        total_steps: usize,
        /// Times that the training rows are gone through.
        epochs: usize,
        /// What is counted: `rows`, or `documents` of a corpus.
        unit: String,
        /// So many are trained on.
        rows: usize,
        /// So many are looked at along the way.
        validation_rows: usize,
        /// Values of the whole model.
        parameters: usize,
        /// Values that training may change.
        trainable_parameters: usize,
    },
    /// An optimizer step was taken.
    Step {
        /// Steps taken, this one included.
        step: usize,
        /// Optimizer steps of the run.
        total_steps: usize,
        /// Epochs done, as a fraction.
        epoch: f64,
        /// Mean loss over the step's rows, in nats.
        #[serde(deserialize_with = "number_or_nan")]
        loss: f64,
        /// The learning rate of this step.
        learning_rate: f64,
        /// The norm of the gradient before clipping.
        #[serde(deserialize_with = "number_or_nan")]
        grad_norm: f64,
        /// Real tokens trained on so far.
        tokens: u64,
        /// Real tokens per second of training.
        tokens_per_second: f64,
        /// Seconds of training so far.
        seconds: f64,
    },
    /// What the step before did with each block that is trained; reported now and then.
    Blocks {
        /// Steps taken.
        step: usize,
        /// Epochs done, as a fraction.
        epoch: f64,
        /// From the input to the output.
        blocks: Vec<BlockMotion>,
    },
    /// The model was scored.
    Evaluated {
        /// Steps taken.
        step: usize,
        /// Epochs done, as a fraction.
        epoch: f64,
        /// `train`, `validation` or `test`.
        split: String,
        /// The loss and the metrics of the task.
        #[serde(flatten)]
        scores: MetricScores,
    },
    /// The model answered the questions of a pre-training objective.
    Predicted {
        /// Steps taken.
        step: usize,
        /// Epochs done, as a fraction.
        epoch: f64,
        /// Real tokens trained on so far.
        tokens: u64,
        /// The passages that were asked about.
        split: String,
        /// The objective: `mlm`, `nsp`, `sop` or `contrastive`.
        objective: String,
        /// Mean cross-entropy in nats.
        #[serde(deserialize_with = "number_or_nan")]
        loss: f64,
        /// The part that was right.
        #[serde(deserialize_with = "number_or_nan")]
        accuracy: f64,
        /// How many questions there were.
        questions: usize,
    },
    /// An evaluation was better than all before it.
    NewBest {
        /// Steps taken.
        step: usize,
        /// The metric that says what is better.
        metric: String,
        /// Its value.
        #[serde(deserialize_with = "number_or_nan")]
        value: f64,
    },
    /// Something that the user may want to know.
    Note {
        /// One line.
        message: String,
    },
    /// Something that the user should know.
    Warning {
        /// One line.
        message: String,
    },
    /// The state of the run is about to be saved; what the log holds of the steps so far is on disk.
    Checkpoint {
        /// Steps taken.
        step: usize,
    },
    /// Training ended before its last step.
    Stopped {
        /// Steps taken.
        step: usize,
        /// Why.
        reason: String,
    },
    /// A proof was given.
    ProofPassed {
        /// Its name.
        name: String,
        /// What was compared.
        detail: String,
    },
    /// What a run says of itself.
    Verdict {
        /// What is judged: `overfitting`, `forgetting` or `learning_rate`.
        name: String,
        /// What was found, such as `overfits` or `too_high`.
        finding: String,
        /// In a sentence.
        sentence: String,
    },
    /// The run is over and its result is saved.
    Finished {
        /// Where the result is.
        output_dir: PathBuf,
        /// Seconds from beginning to end.
        seconds: f64,
    },
}

impl RunEvent {
    /// The scores of a split after so many steps.
    pub fn evaluated(step: usize, epoch: f64, split: &str, scores: &TaskScores) -> Self {
        Self::Evaluated { step, epoch, split: split.to_string(), scores: MetricScores(scores.clone()) }
    }

    /// Something that the user should know.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::Warning { message: message.into() }
    }

    /// A part of the run begins.
    pub fn phase(name: &str) -> Self {
        Self::Phase { name: name.to_string() }
    }
}

/// JSON has no NaN: it is written as `null`, and read back here.
pub(crate) fn number_or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Sees what a run reports. It gets no access to the run, so it cannot alter training.
pub trait Observer {
    /// Takes note of an event.
    fn event(&mut self, event: &RunEvent);
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&mut self, _: &RunEvent) {}
}

/// Passes each event on to several observers, in order.
pub struct Observers<'a, 'b>(pub &'a mut [&'b mut dyn Observer]);

impl Observer for Observers<'_, '_> {
    fn event(&mut self, event: &RunEvent) {
        for observer in self.0.iter_mut() {
            observer.event(event);
        }
    }
}

/// Keeps all events in memory.
#[derive(Clone, Debug, Default)]
pub struct RecordedEvents {
    /// The events so far.
    pub events: Vec<RunEvent>,
}

impl Observer for RecordedEvents {
    fn event(&mut self, event: &RunEvent) {
        self.events.push(event.clone());
    }
}

/// Writes one JSON object a line.
#[derive(Debug)]
pub struct JsonlObserver<W: Write> {
    writer: W,
    path: PathBuf,
    failure: Option<io::Error>,
}

impl JsonlObserver<BufWriter<File>> {
    /// Writes to a new file.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|source| Error::write(path, source))?;
        Ok(Self::new(BufWriter::new(file), path))
    }
}

impl JsonlObserver<BufWriter<File>> {
    /// Writes after what the file holds of the first `step` steps: a process that was killed may have gone further than
    /// its last checkpoint, and may have left half a line.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn resume(path: &Path, step: usize) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::read(path, error)),
        };
        let is_before = |line: &&str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(event) => event["step"].as_u64().is_none_or(|at| at <= step as u64),
            Err(_) => false,
        };
        let kept: Vec<&str> = text.lines().take_while(is_before).collect();
        if kept.len() < text.lines().count() {
            let kept: String = kept.iter().flat_map(|line| [line, "\n"]).collect();
            std::fs::write(path, kept).map_err(|source| Error::write(path, source))?;
        }
        let file = File::options().append(true).create(true).open(path).map_err(|source| Error::write(path, source))?;
        Ok(Self::new(BufWriter::new(file), path))
    }
}

impl<W: Write> JsonlObserver<W> {
    /// Writes to `writer`; `path` is for errors.
    pub fn new(writer: W, path: &Path) -> Self {
        Self { writer, path: path.to_path_buf(), failure: None }
    }

    /// Writes what is left; the first failure on the way, if there was one, is reported here.
    ///
    /// # Errors
    /// When a line could not be written.
    pub fn finish(mut self) -> Result<(), Error> {
        match self.failure.take().map_or_else(|| self.writer.flush(), Err) {
            Ok(()) => Ok(()),
            Err(source) => Err(Error::write(&self.path, source)),
        }
    }

    fn write(&mut self, event: &RunEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        // Steps are many; everything else is worth having on disk should the process be killed.
        if matches!(event, RunEvent::Step { .. }) { Ok(()) } else { self.writer.flush() }
    }
}

impl<W: Write> Observer for JsonlObserver<W> {
    fn event(&mut self, event: &RunEvent) {
        if self.failure.is_none() {
            self.failure = self.write(event).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(loss: f64) -> RunEvent {
        RunEvent::Step {
            step: 1,
            total_steps: 2,
            epoch: 0.5,
            loss,
            learning_rate: 5e-5,
            grad_norm: 1.5,
            tokens: 100,
            tokens_per_second: 50.0,
            seconds: 2.0,
        }
    }

    #[test]
    fn a_line_is_one_tagged_object_and_reads_back() {
        let mut bytes = Vec::new();
        let mut observer = JsonlObserver::new(&mut bytes, Path::new("events.jsonl"));
        let scores = topwork_metrics::Scores { loss: 0.5, accuracy: 0.75, macro_f1: 0.7, mcc: 0.6 }.into();
        let events = [RunEvent::phase("train"), step(0.25), RunEvent::evaluated(2, 1.0, "validation", &scores)];
        events.iter().for_each(|event| observer.event(event));
        observer.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let read: Vec<RunEvent> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events);
        assert!(text.starts_with(r#"{"event":"phase","name":"train"}"#), "{text}");
    }

    #[test]
    fn a_loss_that_is_not_a_number_survives_the_file() {
        let line = serde_json::to_string(&step(f64::NAN)).unwrap();
        assert!(line.contains(r#""loss":null"#), "{line}");
        let RunEvent::Step { loss, .. } = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        assert!(loss.is_nan());
    }

    #[test]
    fn a_full_disk_is_reported_once_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("no space left"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut observer = JsonlObserver::new(Full, Path::new("events.jsonl"));
        observer.event(&step(1.0));
        observer.event(&step(1.0));
        let error = observer.finish().unwrap_err().to_string();
        assert_eq!(error, "events.jsonl: cannot be written: no space left");
    }
}
