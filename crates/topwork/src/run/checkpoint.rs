//! The state of a run, on disk, so that it can go on to the bit.
//!
//! The tensors of a step are a file of their own, and the state names it. The state is replaced last, in one go, so what
//! is on disk is whole whenever the process is killed or the disk is full: the new state or the one before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use topwork_engine::{AdamWState, MomentsState, Parameter, Parameters};
use topwork_models::{Checkpoint, ModelError, TensorView, write_safetensors};

use crate::error::Error;
use crate::events::number_or_nan;
use crate::fit::{Best, Progress};
use crate::run::output_directory::{OutputDirectory, PLAN, RESULTS};

/// The folder of a run's state within its output directory.
pub const FOLDER: &str = "checkpoint";
const STATE: &str = "trainer_state.json";

/// What is kept besides tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    step: usize,
    /// The file with the tensors, in the same folder.
    tensors: String,
    tokens: u64,
    seconds: f64,
    elapsed: f64,
    gradient_seen: Vec<bool>,
    evaluations_without_gain: usize,
    best: Option<BestState>,
    #[serde(default)]
    lowest_training_loss: Option<BestState>,
    #[serde(default)]
    unproven: Option<BestState>,
    #[serde(default)]
    losses: (f64, usize),
    optimizer_steps: i32,
    /// Where the run's relative paths begin.
    #[serde(default)]
    working_directory: Option<PathBuf>,
    /// For each embedding table: the rows that have had a gradient, and the decay that the others are owed.
    tables: BTreeMap<String, (Vec<u32>, f64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct BestState {
    step: usize,
    #[serde(deserialize_with = "number_or_nan")]
    value: f64,
}

impl BestState {
    fn of(best: &Best) -> Self {
        Self { step: best.step, value: best.value }
    }
}

/// Kinds of tensors: the best weights by the metric, and by the training loss, and those that may yet be so.
const BEST: &str = "best";
const LOWEST: &str = "lowest_training_loss";
const UNPROVEN: &str = "unproven";

/// The key of a tensor of a parameter: its weights, its moments (by PyTorch's names) or its best weights.
fn key(kind: &str, parameter: &Parameter) -> String {
    format!("{kind}/{}", parameter.name)
}

/// The directory in which the run that left a state in `output` was started, if it did.
pub fn working_directory(output: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(output.join(FOLDER).join(STATE)).ok()?;
    serde_json::from_str::<State>(&text).ok()?.working_directory
}

/// Writes the state of a run between two steps, in place of an earlier one.
///
/// # Errors
/// When a file cannot be written.
pub fn save(output: &OutputDirectory, parameters: &Parameters, progress: &Progress) -> Result<(), Error> {
    let folder = output.file(FOLDER);
    // A run that goes on elsewhere has its paths from where it began.
    let begun_in = working_directory(&output.file(".")).or_else(|| std::env::current_dir().ok());
    fs::create_dir_all(&folder).map_err(|source| Error::write(&folder, source))?;
    let optimizer = progress.optimizer.as_ref();
    let mut tensors: Vec<(String, &[usize], &[f32])> = Vec::new();
    let mut tables = BTreeMap::new();
    for (_, parameter) in parameters.iter() {
        tensors.push((key("weights", parameter), &parameter.shape, &parameter.values));
    }
    let moments = optimizer.map_or(&[][..], |optimizer| &optimizer.moments);
    for ((_, parameter), moments) in parameters.iter().zip(moments) {
        let Some(MomentsState { first, second, table }) = moments else { continue };
        tensors.push((key("exp_avg", parameter), &parameter.shape, first));
        tensors.push((key("exp_avg_sq", parameter), &parameter.shape, second));
        if let Some(table) = table {
            tables.insert(parameter.name.clone(), table.clone());
        }
    }
    for (kind, kept) in
        [(BEST, &progress.best), (LOWEST, &progress.lowest_training_loss), (UNPROVEN, &progress.unproven)]
    {
        let kept = kept.iter().flat_map(|kept| &kept.weights);
        for ((_, parameter), weights) in parameters.iter().filter(|(_, p)| p.trainable).zip(kept) {
            tensors.push((key(kind, parameter), &parameter.shape, weights));
        }
    }
    let views: Vec<TensorView<'_>> =
        tensors.iter().map(|(name, shape, data)| TensorView { name, shape, data }).collect();
    let file = format!("step-{}.safetensors", progress.step);
    write_safetensors(&folder.join(&file), &views)?;
    let state = State {
        step: progress.step,
        tensors: file.clone(),
        tokens: progress.tokens,
        seconds: progress.seconds,
        elapsed: progress.elapsed,
        gradient_seen: progress.gradient_seen.clone(),
        evaluations_without_gain: progress.evaluations_without_gain,
        best: progress.best.as_ref().map(BestState::of),
        lowest_training_loss: progress.lowest_training_loss.as_ref().map(BestState::of),
        unproven: progress.unproven.as_ref().map(BestState::of),
        losses: progress.losses,
        optimizer_steps: optimizer.map_or(0, |optimizer| optimizer.steps),
        working_directory: begun_in,
        tables,
    };
    let text = serde_json::to_string_pretty(&state).map_err(|error| Error::write(&folder, error.into()))?;
    output.write(&format!("{FOLDER}/{STATE}"), &text)?;
    remove_others(&folder, &file)
}

/// Removes the tensors of earlier steps.
fn remove_others(folder: &Path, file: &str) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|source| Error::read(folder, source))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_other = |path: &PathBuf| path.file_name().is_some_and(|name| name != file && name != STATE);
    for path in paths.filter(is_other) {
        fs::remove_file(&path).map_err(|source| Error::write(&path, source))?;
    }
    Ok(())
}

/// Reads the state that [`save`] wrote into `directory`, and puts the weights back into `parameters`; none when the run
/// was killed before it had saved one.
///
/// # Errors
/// When the run is over or there never was one, the state is damaged, or it is of another model.
pub fn load(directory: &Path, parameters: &mut Parameters) -> Result<Option<Progress>, Error> {
    let folder = directory.join(FOLDER);
    if !folder.join(STATE).exists() {
        if directory.join(PLAN).exists() && !directory.join(RESULTS).exists() {
            return Ok(None);
        }
        let message = format!("{}: expected the state of an interrupted run, found none", folder.display());
        return Err(Error::run(message, "a run that is over is repeated with --recipe DIR/plan.toml --output NEW"));
    }
    let path = folder.join(STATE);
    let text = fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
    let state: State = serde_json::from_str(&text).map_err(|error| Error::read(&path, error.into()))?;
    let tensors = Checkpoint::open_file(&folder.join(&state.tensors))?;
    for (_, parameter) in parameters.iter_mut() {
        let values = read(&tensors, &key("weights", parameter), parameter)?;
        parameter.values.copy_from_slice(&values);
    }
    let mut optimizer = AdamWState { steps: state.optimizer_steps, moments: Vec::new() };
    for (_, parameter) in parameters.iter() {
        optimizer.moments.push(if parameter.trainable {
            Some(MomentsState {
                first: read(&tensors, &key("exp_avg", parameter), parameter)?,
                second: read(&tensors, &key("exp_avg_sq", parameter), parameter)?,
                table: state.tables.get(&parameter.name).cloned(),
            })
        } else {
            None
        });
    }
    let kept = |kind: &str, state: Option<BestState>| -> Result<Option<Best>, Error> {
        let Some(BestState { step, value }) = state else { return Ok(None) };
        let trainable = parameters.iter().filter(|(_, parameter)| parameter.trainable);
        let weights = trainable.map(|(_, parameter)| read(&tensors, &key(kind, parameter), parameter));
        Ok(Some(Best { step, value, weights: weights.collect::<Result<_, _>>()? }))
    };
    let (best, lowest_training_loss) = (kept(BEST, state.best)?, kept(LOWEST, state.lowest_training_loss)?);
    let unproven = kept(UNPROVEN, state.unproven)?;
    Ok(Some(Progress {
        step: state.step,
        tokens: state.tokens,
        seconds: state.seconds,
        log_seconds: 0.0,
        elapsed: state.elapsed,
        optimizer: Some(optimizer),
        gradient_seen: state.gradient_seen,
        best,
        lowest_training_loss,
        unproven,
        losses: state.losses,
        evaluations_without_gain: state.evaluations_without_gain,
    }))
}

fn read(tensors: &Checkpoint, key: &str, parameter: &Parameter) -> Result<Vec<f32>, ModelError> {
    let values = tensors.read_f32(key)?;
    if values.len() == parameter.values.len() {
        return Ok(values);
    }
    Err(ModelError::WrongValueCount {
        path: tensors.path().to_path_buf(),
        name: key.to_string(),
        expected: parameter.values.len(),
        found: values.len(),
    })
}

/// Removes the state of a run that is over.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(output: &OutputDirectory) -> Result<(), Error> {
    let folder = output.file(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(value: f32) -> Parameters {
        let mut parameters = Parameters::new();
        parameters.add("weight", &[2], &[value, -value]);
        parameters
    }

    fn progress(step: usize) -> Progress {
        let moments = Some(MomentsState { first: vec![step as f32; 2], second: vec![1.0; 2], table: None });
        let optimizer = Some(AdamWState { steps: step as i32, moments: vec![moments] });
        Progress { step, optimizer, gradient_seen: vec![true], ..Progress::default() }
    }

    fn loaded(directory: &Path) -> (usize, f32, f32) {
        let mut parameters = parameters(0.0);
        let progress = load(directory, &mut parameters).unwrap().unwrap();
        let moments = progress.optimizer.unwrap().moments[0].clone().unwrap();
        let (_, weight) = parameters.iter().next().unwrap();
        (progress.step, weight.values[0], moments.first[0])
    }

    #[test]
    fn a_checkpoint_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputDirectory::existing(folder.path());
        for step in 1..4 {
            save(&output, &parameters(step as f32 / 2.0), &progress(step)).unwrap();
            assert_eq!(loaded(folder.path()), (step, step as f32 / 2.0, step as f32));
        }
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 2, "earlier tensors are gone");
    }

    /// The best of evaluations that have no value, as the correlation of numbers that are all alike, is the first of them.
    #[test]
    fn a_best_evaluation_without_a_value_is_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let best = Best { step: 1, value: f64::NAN, weights: vec![vec![0.25, 0.5]] };
        let progress = Progress { best: Some(best), ..progress(2) };
        save(&OutputDirectory::existing(folder.path()), &parameters(0.5), &progress).unwrap();
        let read = load(folder.path(), &mut parameters(0.0)).unwrap().unwrap().best.unwrap();
        assert!(read.step == 1 && read.value.is_nan() && read.weights == [[0.25, 0.5]]);
    }

    /// As when the disk is full: a checkpoint that cannot be written does not harm the one before.
    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputDirectory::existing(folder.path());
        save(&output, &parameters(0.5), &progress(1)).unwrap();
        // A folder in the way of the tensors.
        let tensors = folder.path().join(FOLDER).join("step-2.safetensors");
        fs::create_dir_all(tensors.join("in the way")).unwrap();
        assert!(save(&output, &parameters(1.0), &progress(2)).is_err());
        assert_eq!(loaded(folder.path()), (1, 0.5, 1.0));
    }
}
