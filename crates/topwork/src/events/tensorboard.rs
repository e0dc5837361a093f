//! What a run reports, as an event file that TensorBoard shows.
//!
//! An event file is a row of `TFRecord`s, and each holds one `Event` of TensorBoard's protocol buffers. A run has scalars
//! only, which take a handful of their fields, so they are encoded here. The tags are those of the Hugging Face Trainer,
//! so that runs of both lie in one chart. Nothing is read back: `events.jsonl` stays the record of a run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::events::{Observer, RunEvent};

/// TensorBoard takes every file whose name contains this for an event file.
const FILE_NAME: &str = "events.out.tfevents.";
/// What the first event of a file says.
const FILE_VERSION: &[u8] = b"brain.Event:2";

/// Writes the scalars of a run as TensorBoard reads them.
///
/// A tag has one value a step, the first: scoring the best weights once more when training is over adds no second point
/// to the curve of the last step.
#[derive(Debug)]
pub struct TensorBoardObserver<W: Write> {
    writer: W,
    path: PathBuf,
    failure: Option<io::Error>,
    /// The step of each tag's last value.
    last: BTreeMap<String, usize>,
}

impl TensorBoardObserver<BufWriter<File>> {
    /// Writes to a new file `events.out.tfevents.<seconds>.topwork` in `directory`, which is created where it is missing.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(|source| Error::write(directory, source))?;
        let path = unused_file(directory)?;
        let file = File::create_new(&path).map_err(|source| Error::write(&path, source))?;
        Ok(Self::new(BufWriter::new(file), &path))
    }

    /// Goes on after the first `step` steps, in a further file of `directory`. It begins by telling TensorBoard to forget
    /// later steps: a process that was killed may have gone further than its last checkpoint.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn resume(directory: &Path, step: usize) -> Result<Self, Error> {
        let mut observer = Self::create(directory)?;
        observer.attempt(|observer| observer.record(step + 1, &Content::Start));
        Ok(observer)
    }
}

impl<W: Write> TensorBoardObserver<W> {
    /// Writes to `writer`; `path` is for errors.
    pub fn new(writer: W, path: &Path) -> Self {
        let mut observer = Self { writer, path: path.to_path_buf(), failure: None, last: BTreeMap::new() };
        observer.attempt(|observer| observer.record(0, &Content::Version));
        observer
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is left; the first failure on the way, if there was one, is reported here.
    ///
    /// # Errors
    /// When an event could not be written.
    pub fn finish(mut self) -> Result<(), Error> {
        match self.failure.take().map_or_else(|| self.writer.flush(), Err) {
            Ok(()) => Ok(()),
            Err(source) => Err(Error::write(&self.path, source)),
        }
    }

    /// Keeps the first failure, and does nothing after it.
    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = action(self).err();
        }
    }

    fn write(&mut self, event: &RunEvent) -> io::Result<()> {
        match event {
            RunEvent::Step { step, loss, learning_rate, grad_norm, .. } => {
                // Steps are many: they wait in the buffer for the next event of another kind.
                let scalars = [("loss", *loss), ("learning_rate", *learning_rate), ("grad_norm", *grad_norm)];
                return self.scalars(*step, "train", &scalars);
            }
            RunEvent::Evaluated { step, split, scores, .. } => {
                let scalars: Vec<(&str, f64)> = scores.iter().map(|(metric, value)| (metric.name(), value)).collect();
                self.scalars(*step, group(split), &scalars)?;
            }
            RunEvent::Predicted { step, split, objective, loss, accuracy, .. } => {
                let (loss_tag, accuracy_tag) = (format!("{objective}_loss"), format!("{objective}_accuracy"));
                self.scalars(*step, group(split), &[(&loss_tag, *loss), (&accuracy_tag, *accuracy)])?;
            }
            _ => {}
        }
        self.writer.flush()
    }

    /// Writes the values that are new at this step as one event.
    fn scalars(&mut self, step: usize, group: &str, scalars: &[(&str, f64)]) -> io::Result<()> {
        let mut new = Vec::with_capacity(scalars.len());
        for (name, value) in scalars {
            let tag = format!("{group}/{name}");
            if self.last.insert(tag.clone(), step) != Some(step) {
                new.push((tag, *value as f32));
            }
        }
        if new.is_empty() { Ok(()) } else { self.record(step, &Content::Scalars(new)) }
    }

    fn record(&mut self, step: usize, content: &Content) -> io::Result<()> {
        self.writer.write_all(&record(&content.event(unix_seconds(), step)))
    }
}

impl<W: Write> Observer for TensorBoardObserver<W> {
    fn event(&mut self, event: &RunEvent) {
        self.attempt(|observer| observer.write(event));
    }
}

/// What an event says.
enum Content {
    /// The version of the file.
    Version,
    /// The run starts anew: what was written of this step and later ones does not count.
    Start,
    /// Values under their tags.
    Scalars(Vec<(String, f32)>),
}

impl Content {
    /// The `Event` message of TensorBoard's `event.proto`.
    fn event(&self, wall_time: f64, step: usize) -> Vec<u8> {
        let mut event = Vec::new();
        put_key(&mut event, 1, Wire::Fixed64);
        event.extend(wall_time.to_le_bytes());
        put_key(&mut event, 2, Wire::Varint);
        put_varint(&mut event, step as u64);
        match self {
            Self::Version => put_bytes(&mut event, 3, FILE_VERSION),
            Self::Start => {
                let mut session_log = Vec::new();
                put_key(&mut session_log, 1, Wire::Varint);
                // `SessionStatus::START`.
                put_varint(&mut session_log, 1);
                put_bytes(&mut event, 7, &session_log);
            }
            Self::Scalars(scalars) => {
                let mut summary = Vec::new();
                for (tag, simple_value) in scalars {
                    let mut value = Vec::new();
                    put_bytes(&mut value, 1, tag.as_bytes());
                    put_key(&mut value, 2, Wire::Fixed32);
                    value.extend(simple_value.to_le_bytes());
                    put_bytes(&mut summary, 1, &value);
                }
                put_bytes(&mut event, 5, &summary);
            }
        }
        event
    }
}

/// The group of a split's tags, as the Hugging Face Trainer names them; `train` is the group of the steps themselves.
fn group(split: &str) -> &str {
    match split {
        "validation" | "held-out" => "eval",
        "train" => "train_eval",
        other => other,
    }
}

/// A name that sorts after all event files of `directory`, since TensorBoard reads them in the order of their names.
fn unused_file(directory: &Path) -> Result<PathBuf, Error> {
    let mut seconds = unix_seconds() as u64;
    for entry in fs::read_dir(directory).map_err(|source| Error::read(directory, source))? {
        let name = entry.map_err(|source| Error::read(directory, source))?.file_name();
        let stamp = name.to_str().and_then(|name| name.strip_prefix(FILE_NAME)?.split('.').next()?.parse::<u64>().ok());
        if let Some(taken) = stamp {
            seconds = seconds.max(taken.saturating_add(1));
        }
    }
    Ok(directory.join(format!("{FILE_NAME}{seconds}.topwork")))
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// How a protocol buffer lays out a field.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

fn put_key(into: &mut Vec<u8>, field: u64, wire: Wire) {
    put_varint(into, field << 3 | wire as u64);
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn put_bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(into, field, Wire::Bytes);
    put_varint(into, bytes.len() as u64);
    into.extend(bytes);
}

/// A `TFRecord`: the length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// A checksum is stored masked, because one of data that contain checksums would be weak.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, bits reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| CRC_OF_BYTE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

const CRC_OF_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use topwork_metrics::{Metric, TaskScores};

    use super::*;

    fn scores(loss: f64) -> TaskScores {
        TaskScores { loss, values: vec![(Metric::Accuracy, 0.75), (Metric::MacroF1, 0.625), (Metric::Mcc, 0.25)] }
    }

    fn step(step: usize, loss: f64) -> RunEvent {
        RunEvent::Step {
            step,
            total_steps: 1000,
            epoch: 0.5,
            loss,
            learning_rate: 0.125,
            grad_norm: 1.5,
            tokens: 100,
            tokens_per_second: 50.0,
            seconds: 2.0,
        }
    }

    fn predicted(step: usize, objective: &str) -> RunEvent {
        RunEvent::Predicted {
            step,
            epoch: 0.5,
            tokens: 100,
            split: "held-out".to_string(),
            objective: objective.to_string(),
            loss: 4.5,
            accuracy: 0.25,
            questions: 8,
        }
    }

    fn written(events: &[RunEvent]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut observer = TensorBoardObserver::new(&mut bytes, Path::new("events"));
        events.iter().for_each(|event| observer.event(event));
        observer.finish().unwrap();
        bytes
    }

    /// The data of each record, or `None` where a checksum is wrong or the end is missing.
    fn records(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let (length_crc, rest) = rest.split_first_chunk::<4>()?;
            let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            let (data_crc, rest) = rest.split_first_chunk::<4>()?;
            let is_intact = masked(crc32c(length)) == u32::from_le_bytes(*length_crc)
                && masked(crc32c(data)) == u32::from_le_bytes(*data_crc);
            if !is_intact {
                return None;
            }
            records.push(data);
            bytes = rest;
        }
        Some(records)
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (digits, rest) = bytes.split_at(end);
        *bytes = rest;
        digits.iter().rev().fold(0, |value, digit| value << 7 | u64::from(digit & 0x7f))
    }

    /// The fields of a message, in order: number and content, a varint as eight bytes.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    fields.push((key >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("no such wire type: {other}"),
            };
            let (content, rest) = bytes.split_at(length);
            fields.push((key >> 3, content.to_vec()));
            bytes = rest;
        }
        fields
    }

    /// One line an event: the step, and what it says.
    fn shown(bytes: &[u8]) -> Vec<String> {
        let number = |content: &[u8]| u64::from_le_bytes(content.try_into().unwrap());
        let mut lines = Vec::new();
        for data in records(bytes).unwrap() {
            let [(1, wall_time), (2, step), (field, content)] = &fields(data)[..] else { panic!("{data:?}") };
            assert!(f64::from_le_bytes(wall_time[..].try_into().unwrap()) > 1.7e9);
            let said = match field {
                3 => String::from_utf8(content.clone()).unwrap(),
                7 => format!("session {}", number(&fields(content)[0].1)),
                5 => fields(content)
                    .iter()
                    .map(|(_, value)| {
                        let [(1, tag), (2, value)] = &fields(value)[..] else { panic!("{value:?}") };
                        let value = f32::from_le_bytes(value[..].try_into().unwrap());
                        format!("{} {value}", String::from_utf8_lossy(tag))
                    })
                    .collect::<Vec<_>>()
                    .join(", "),
                other => panic!("no such field: {other}"),
            };
            lines.push(format!("{} {said}", number(step)));
        }
        lines
    }

    #[test]
    fn the_checksum_is_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_record_is_read_back_and_a_damaged_one_is_noticed() {
        let mut bytes = [record(b"first"), record(b""), record(&[7; 300])].concat();
        assert_eq!(records(&bytes).unwrap(), [&b"first"[..], b"", &[7; 300]]);
        assert_eq!(bytes[..8], [5, 0, 0, 0, 0, 0, 0, 0]);
        assert!(records(&bytes[..bytes.len() - 1]).is_none());
        bytes[12] ^= 1;
        assert!(records(&bytes).is_none());
    }

    #[test]
    fn an_event_has_the_bytes_that_protocol_buffers_prescribe() {
        let event = Content::Scalars(vec![("a".to_string(), 1.0)]).event(2.0, 300);
        let expected = b"\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01a\x15\0\0\x80\x3f";
        assert_eq!(event, expected);
    }

    #[test]
    fn scalars_come_in_order_under_the_trainers_tags() {
        let bytes = written(&[
            RunEvent::phase("train"),
            step(1, 0.75),
            step(200, 0.5),
            RunEvent::evaluated(200, 1.0, "validation", &scores(0.5)),
            RunEvent::evaluated(200, 1.0, "train", &scores(0.5)),
            RunEvent::evaluated(200, 1.0, "test", &scores(0.5)),
            predicted(200, "mlm"),
            predicted(200, "nsp"),
        ]);
        let expected = [
            "0 brain.Event:2",
            "1 train/loss 0.75, train/learning_rate 0.125, train/grad_norm 1.5",
            "200 train/loss 0.5, train/learning_rate 0.125, train/grad_norm 1.5",
            "200 eval/loss 0.5, eval/accuracy 0.75, eval/macro_f1 0.625, eval/mcc 0.25",
            "200 train_eval/loss 0.5, train_eval/accuracy 0.75, train_eval/macro_f1 0.625, train_eval/mcc 0.25",
            "200 test/loss 0.5, test/accuracy 0.75, test/macro_f1 0.625, test/mcc 0.25",
            "200 eval/mlm_loss 4.5, eval/mlm_accuracy 0.25",
            "200 eval/nsp_loss 4.5, eval/nsp_accuracy 0.25",
        ];
        assert_eq!(shown(&bytes), expected);
    }

    #[test]
    fn a_split_scored_again_at_the_last_step_keeps_its_first_value() {
        let best = scores(0.25);
        let evaluated = |step, scores| RunEvent::evaluated(step, 1.0, "validation", scores);
        let events =
            [evaluated(4, &scores(0.5)), evaluated(8, &scores(0.5)), RunEvent::phase("evaluate"), evaluated(8, &best)];
        assert_eq!(written(&events).len(), written(&events[..2]).len());
        assert_eq!(shown(&written(&events)).len(), 3);
    }

    #[test]
    fn a_value_that_is_not_finite_is_written_as_it_is() {
        let lines = shown(&written(&[step(1, f64::NAN), step(2, f64::INFINITY)]));
        assert!(lines[1].starts_with("1 train/loss NaN,"), "{lines:?}");
        assert!(lines[2].starts_with("2 train/loss inf,"), "{lines:?}");
    }

    #[test]
    fn a_resumed_run_writes_a_later_file_that_takes_later_steps_back() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("logs");
        let mut first = TensorBoardObserver::create(&directory).unwrap();
        (1..=3).for_each(|at| first.event(&step(at, 1.0)));
        let first_path = first.path().to_path_buf();
        first.finish().unwrap();
        let before = fs::read(&first_path).unwrap();

        let mut second = TensorBoardObserver::resume(&directory, 2).unwrap();
        second.event(&step(3, 0.5));
        let second_path = second.path().to_path_buf();
        second.finish().unwrap();

        assert!(second_path.file_name() > first_path.file_name());
        assert_eq!(fs::read(&first_path).unwrap(), before);
        let lines = shown(&fs::read(&second_path).unwrap());
        assert_eq!(lines[..2], ["0 brain.Event:2", "3 session 1"]);
        assert!(lines[2].starts_with("3 train/loss 0.5,"), "{lines:?}");
        let name = second_path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with(FILE_NAME) && name.ends_with(".topwork"), "{name}");
    }

    #[test]
    fn an_evaluation_brings_the_steps_before_it_to_disk() {
        let directory = tempfile::tempdir().unwrap();
        let mut observer = TensorBoardObserver::create(directory.path()).unwrap();
        observer.event(&step(1, 1.0));
        let path = observer.path().to_path_buf();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        observer.event(&RunEvent::evaluated(1, 1.0, "validation", &scores(0.5)));
        assert_eq!(shown(&fs::read(&path).unwrap()).len(), 3);
        observer.finish().unwrap();
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
        let mut observer = TensorBoardObserver::new(Full, Path::new("events"));
        observer.event(&step(1, 1.0));
        let error = observer.finish().unwrap_err().to_string();
        assert_eq!(error, "events: cannot be written: no space left");
    }
}
