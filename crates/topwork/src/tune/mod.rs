//! Fine-tuning from plan to proven result: [`tune`] reads top to bottom, and its paragraphs are the files beside.

mod choice;
mod extras;
pub mod finished_run;
mod model_card;
pub mod results;
pub mod self_training;
mod train;
mod write_model;

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use topwork_data::Targets;
use topwork_engine::Parameters;

use crate::error::Error;
use crate::events::tensorboard::TensorBoardObserver;
use crate::events::trace::Trace;
use crate::events::{JsonlObserver, Observer, Observers, RunEvent, SplitScores};
use crate::fit::{Best, Progress};
use crate::judge::floor::{Floor, FloorChoice};
use crate::judge::hard_rows::{HARD_ROWS, HardRows};
use crate::judge::overfitting::can_tell;
use crate::judge::repeats::{CrossValidated, LEFT_OUT, Own};
use crate::judge::{Calibration, FinishedRun, Scored, Verdict, calibrate};
use crate::network::batch::{Output, infer};
use crate::plan::facts::VERSION;
use crate::predict::Predictor;
use crate::run::checkpoint;
use crate::run::output_directory::{EVENTS, OutputDirectory, PLAN, TENSORBOARD};
use crate::run::peak_rss_mb;
use crate::run::proofs::{Proofs, ReloadProof, prove_frozen, prove_gradients, prove_reload, prove_tokens};
use crate::run::{Outcome, RunContext, announce, lap, thread_pool};
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingSetup, starts_from_probe};
use crate::tasks::{Part, Scoring, Supervised};
use choice::{Choice, Linear};
use extras::{ExtraTrainings, Extras};
use results::{BestResult, Confusion, Folds, Results, Seconds};
use self_training::{Labelled, PseudoLabels, SelfTraining};
use train::{Trained, diverged, give_up, train};

/// The training split is scored on at most so many rows: enough to see a gap to the validation rows.
pub const TRAIN_ROWS_SCORED: usize = 1000;
/// The saved model is compared with the one in memory on at most so many rows.
const ROWS_PROVED: usize = 256;

/// Fine-tunes a model as `inputs.plan` says, and saves it.
///
/// # Errors
/// When the output directory is taken, training diverges, a proof fails or a file cannot be written.
pub fn tune(
    inputs: &Inputs,
    context: &RunContext<'_>,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome<Results>, Error> {
    let path = &inputs.plan.output_dir.value;
    thread_pool(inputs.plan.threads.value)?.install(|| run(inputs, path, context, observer))
}

fn run(
    inputs: &Inputs,
    path: &Path,
    context: &RunContext<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome<Results>, Error> {
    let mut seconds = Seconds { load: inputs.load_seconds, tokenize: inputs.tokenize_seconds, ..Seconds::default() };
    let mut timer = Instant::now();
    let setup = TrainingSetup::planned(inputs);
    let mut loaded = LoadedModel::load(inputs, &setup, inputs.plan.seed.value)?;
    let Opened { output, mut log, trace, mut board, progress } = Opened::open(inputs, path, context, &mut loaded)?;
    let from_probe = progress.step == 0 && starts_from_probe(&inputs.plan, &loaded);
    let mut curves = &trace;
    let observer: &mut dyn Observer = &mut Observers(&mut [observer, &mut log, &mut curves, &mut board]);
    announce(context.resume && progress.step == 0, &loaded.report, observer);
    seconds.load += lap(&mut timer);

    let labelled = match SelfTraining::of(inputs, &output, context.interrupt, observer) {
        Ok(Labelled::Interrupted) => {
            stop(&output, &loaded.parameters, &progress, observer)?;
            log.finish()?;
            let (step, total_steps) = (progress.step, inputs.plan.max_steps.value.unwrap_or(progress.step));
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step, total_steps });
        }
        Ok(Labelled::Nothing) => None,
        Ok(Labelled::Texts(labelled)) => Some(*labelled),
        Err(error) => return Err(discard(error, board, log, &output, context)?),
    };
    let (pseudo_labels, more) = labelled.map_or((None, None), |labelled| (Some(labelled.found), labelled.inputs));
    seconds.repeat += lap(&mut timer);

    observer.event(&RunEvent::phase("train"));
    let learnt = more.as_ref().unwrap_or(inputs);
    let setup = TrainingSetup::planned(learnt);
    let ended =
        train(learnt, &setup, &mut loaded, progress, from_probe, Some(&output), context, &mut seconds, observer)?;
    let trained = match ended {
        Trained::Interrupted { progress, total_steps } => {
            stop(&output, &loaded.parameters, &progress, observer)?;
            log.finish()?;
            let step = progress.step;
            return Ok(Outcome::Interrupted { output_dir: path.to_path_buf(), step, total_steps });
        }
        Trained::Lost(error) => return Err(discard(error, board, log, &output, context)?),
        Trained::Finished(finished) => finished,
    };
    let mut extra = ExtraTrainings::new(context.interrupt);
    let Choice { found, folds, linear } = Choice::of(inputs, &loaded, &mut extra, context, observer, &mut seconds);
    let recording = Recording { output: &output, trace: &trace, context };
    let ended = match linear {
        None => {
            let kept = Kept { loaded, trained, folds, choice: found, pseudo_labels };
            prove_and_judge(inputs, kept, recording, extra, seconds, observer)?
        }
        Some(Linear { inputs, loaded: of_linear, trained: fitted }) => {
            // What is not kept takes as much memory as what is.
            drop((loaded, trained, folds));
            let (loaded, trained) = (of_linear, fitted);
            let kept = Kept { loaded, trained, folds: None, choice: found, pseudo_labels };
            prove_and_judge(&inputs, kept, recording, extra, seconds, observer)?
        }
    };
    let results = match ended {
        Ended::Nothing(error) => return Err(discard(error, board, log, &output, context)?),
        Ended::Saved(results) => results,
    };
    checkpoint::remove(&output)?;
    observer.event(&RunEvent::Finished { output_dir: path.to_path_buf(), seconds: results.seconds.total });
    board.finish()?;
    log.finish()?;
    Ok(Outcome::Finished { output_dir: path.to_path_buf(), results })
}

/// Saves the state of a run that is interrupted. Before the first step there is none: such a run starts again.
fn stop(
    output: &OutputDirectory,
    parameters: &Parameters,
    progress: &Progress,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    observer.event(&RunEvent::Stopped { step: progress.step, reason: "interrupted".to_string() });
    if progress.step == 0 {
        return Ok(());
    }
    checkpoint::save(output, parameters, progress)
}

/// A model with the weights that are kept.
struct Kept<'a> {
    loaded: LoadedModel,
    trained: train::Finished,
    /// The folds of that training, where they chose it; none inside where they came to nothing.
    folds: Option<Option<CrossValidated<'a>>>,
    /// What was chosen of a linear head and it.
    choice: Option<FloorChoice>,
    /// What came of texts without labels.
    pseudo_labels: Option<PseudoLabels>,
}

/// Where a run is recorded.
struct Recording<'a> {
    output: &'a OutputDirectory,
    trace: &'a RefCell<Trace>,
    context: &'a RunContext<'a>,
}

/// How a run ended whose training is over.
enum Ended {
    /// The weights give no numbers for some rows.
    Nothing(Error),
    Saved(Box<Results>),
}

/// Scores a model, saves it, proves what was saved, trains beside it what the plan asks for, and judges it.
fn prove_and_judge(
    inputs: &Inputs,
    kept: Kept<'_>,
    Recording { output, trace, context }: Recording<'_>,
    mut extra: ExtraTrainings<'_>,
    mut seconds: Seconds,
    observer: &mut dyn Observer,
) -> Result<Ended, Error> {
    let Kept { loaded, trained, folds, choice, pseudo_labels } = kept;
    let mut timer = Instant::now();
    observer.event(&RunEvent::phase("evaluate"));
    let evaluated = Evaluated::of(inputs, &loaded, &trained, observer);
    if !evaluated.train.0.loss().is_finite() {
        // What was kept gives no numbers for some rows.
        let (step, error) = (trained.progress.step, diverged(inputs, trained.progress.step));
        return Ok(Ended::Nothing(give_up(error, step, observer)));
    }
    evaluated.one_prediction_only(inputs).iter().for_each(|warning| observer.event(&RunEvent::warning(warning)));
    seconds.evaluate += lap(&mut timer);

    // What follows takes time and can be killed: the model is saved before.
    observer.event(&RunEvent::phase("save"));
    write_model::write_model(output, inputs, &loaded.parameters, evaluated.scoring.thresholds.as_deref())?;
    let proofs = prove(inputs, &loaded, &trained, &evaluated, output)?;
    proofs.report(observer);
    seconds.save = lap(&mut timer);

    let folds = folds.unwrap_or_else(|| extra.folds(inputs, observer));
    seconds.repeat += lap(&mut timer);

    observer.event(&RunEvent::phase("verdict"));
    let own = evaluated.own(inputs, trained.has_diverged());
    let (baselines, floor) = extra.floor(inputs, own.as_ref(), folds.as_ref(), observer);
    let left_out = folds.as_ref().map(|folds| Scored { name: LEFT_OUT, split: &folds.answered, logits: &folds.logits });
    let of_floor = (floor.as_ref(), choice.as_ref());
    let judged = Judged::of(inputs, &loaded.parameters, &trained, &evaluated, left_out, of_floor, &trace.borrow());
    judged.verdict.report(observer);
    judged.save(inputs, output, evaluated.scoring.thresholds.as_deref())?;
    seconds.verdict += lap(&mut timer);

    let Extras { seeds, permuted_control, transfer } =
        extra.run(inputs, own.map(|(own, _)| own), &baselines, observer, &mut seconds, &mut timer);
    seconds.total = context.started.elapsed().as_secs_f64();
    let progress = &trained.progress;
    let results = Results {
        task: inputs.task.name().to_string(),
        train: evaluated.train.0,
        validation: scores_of(&evaluated.validation),
        test: scores_of(&evaluated.test),
        thresholds: evaluated.scoring.thresholds,
        seconds,
        peak_rss_mb: peak_rss_mb(),
        steps: progress.step,
        tokens: progress.tokens,
        tokens_per_second: progress.tokens_per_second(),
        seed: inputs.plan.seed.value,
        best: trained.best.as_ref().map(|best| best_result(inputs, best)),
        stopped: trained.stopped(),
        leaks: inputs.leaks.clone(),
        pseudo_labels,
        floor_choice: choice,
        floor,
        verdict: judged.verdict,
        calibration: judged.calibration,
        confusion: judged.confusion,
        seeds,
        folds: folds.map(|folds| Folds { together: folds.together, repeated: folds.repeated }),
        permuted_control,
        transfer,
        unfinished: extra.unfinished,
        not_applicable: not_applicable(inputs.task),
        proofs,
        topwork_version: VERSION.into(),
    };
    write_model::write_results(output, inputs, &results)?;
    Ok(Ended::Saved(Box::new(results)))
}

fn scores_of(split: &Option<(SplitScores, Vec<f32>)>) -> Option<SplitScores> {
    split.as_ref().map(|(scores, _)| scores.clone())
}

/// Which evaluation the weights were kept of.
fn best_result(inputs: &Inputs, best: &Best) -> BestResult {
    let metric = inputs.plan.metric_for_best_model.value.name().into();
    BestResult { step: best.step, metric, value: best.value }
}

/// The parts of a run that the task has not, and why.
fn not_applicable(task: &dyn Supervised) -> Vec<(String, String)> {
    task.not_applicable().iter().map(|(part, why)| (part.name().into(), (*why).into())).collect()
}

type Log = JsonlObserver<std::io::BufWriter<std::fs::File>>;
type Board = TensorBoardObserver<std::io::BufWriter<std::fs::File>>;

/// The output directory of a run that begins or goes on, and what records it.
struct Opened {
    output: OutputDirectory,
    log: Log,
    trace: RefCell<Trace>,
    board: Board,
    progress: Progress,
}

impl Opened {
    fn open(inputs: &Inputs, path: &Path, context: &RunContext<'_>, loaded: &mut LoadedModel) -> Result<Self, Error> {
        if context.resume {
            let progress = checkpoint::load(path, &mut loaded.parameters)?.unwrap_or_default();
            let output = OutputDirectory::existing(path);
            let log = JsonlObserver::resume(&output.file(EVENTS), progress.step)?;
            let trace = RefCell::new(Trace::read(&output.file(EVENTS))?);
            let board = TensorBoardObserver::resume(&output.file(TENSORBOARD), progress.step)?;
            return Ok(Self { output, log, trace, board, progress });
        }
        let output = OutputDirectory::create(path)?;
        output.write(PLAN, &inputs.plan.to_toml())?;
        let mut log = JsonlObserver::create(&output.file(EVENTS))?;
        inputs.events.iter().for_each(|event| log.event(event));
        let board = TensorBoardObserver::create(&output.file(TENSORBOARD))?;
        Ok(Self { output, log, trace: RefCell::default(), board, progress: Progress::default() })
    }
}

/// Takes back what a run wrote that came to nothing, unless it went on with an earlier one.
fn discard(
    error: Error,
    board: Board,
    log: Log,
    output: &OutputDirectory,
    context: &RunContext<'_>,
) -> Result<Error, Error> {
    drop(board);
    log.finish()?;
    if !context.resume {
        checkpoint::remove(output)?;
        output.discard()?;
    }
    Ok(error)
}

/// The scores and the outputs of each split, of the weights that are kept.
struct Evaluated {
    /// How outputs are scored: with thresholds that were fitted on validation rows, where the task has them.
    scoring: Scoring,
    /// Some of the training rows.
    sample: Split,
    train: (SplitScores, Vec<f32>),
    validation: Option<(SplitScores, Vec<f32>)>,
    test: Option<(SplitScores, Vec<f32>)>,
}

impl Evaluated {
    fn of(inputs: &Inputs, loaded: &LoadedModel, trained: &train::Finished, observer: &mut dyn Observer) -> Self {
        let batch_size = inputs.plan.per_device_eval_batch_size.value;
        let outputs =
            |split: &Split| infer(&loaded.model, &loaded.parameters, &split.texts, batch_size, Output::Logits);
        let mut scoring = inputs.scoring.clone();
        let of_validation = inputs.validation.as_ref().map(|split| (split, outputs(split)));
        if let Some((split, outputs)) = &of_validation {
            scoring = scoring.with_thresholds(outputs, &split.targets);
        }
        let mut scored = |name: &str, split: &Split, outputs: Vec<f32>| {
            let scores = inputs.task.evaluate(&outputs, &split.targets, &scoring);
            observer.event(&RunEvent::evaluated(trained.progress.step, trained.epoch, name, &scores));
            (SplitScores::new(split.len(), scores), outputs)
        };
        let sample = inputs.train.spread(TRAIN_ROWS_SCORED);
        // A head that was fitted has answered the rows by then. Where no others prove the saved model, they are run through it.
        let known = trained.fitted.as_ref().filter(|_| inputs.validation.is_some() || inputs.test.is_some());
        let of_sample = match known.filter(|_| scoring.scale.is_none()) {
            Some(fitted) => {
                let width = scoring.outputs();
                let row = |row: usize| &fitted.outputs[row * width..(row + 1) * width];
                inputs.train.spread_rows(TRAIN_ROWS_SCORED).into_iter().flat_map(row).copied().collect()
            }
            None => outputs(&sample),
        };
        let train = scored("train", &sample, of_sample);
        let validation = of_validation.map(|(split, outputs)| scored("validation", split, outputs));
        let test = match train.0.loss().is_finite() {
            true => inputs.test.as_ref().map(|split| scored("test", split, outputs(split))),
            false => None,
        };
        Self { scoring, sample, train, validation, test }
    }

    /// The held-out rows that the run is told by, and its scores on them: test rows, or validation rows where there are none.
    fn own<'a>(&self, inputs: &'a Inputs, has_diverged: bool) -> Option<(Own<'a>, &[f32])> {
        let of_test = inputs.test.as_ref().zip(self.test.as_ref()).map(|own| ("test", own));
        let of_validation = inputs.validation.as_ref().zip(self.validation.as_ref()).map(|own| ("validation", own));
        let (name, (split, (_, outputs))) = of_test.or(of_validation)?;
        // Other trainings have no thresholds of their own.
        let scores = inputs.evaluate(outputs, split);
        Some((Own { name, split, scores, has_diverged }, outputs))
    }

    /// A classifier that gives every row the same class has learnt nothing, and its accuracy hides it.
    fn one_prediction_only(&self, inputs: &Inputs) -> Option<String> {
        let Targets::Class(_) = inputs.train.targets else { return None };
        let (_, logits) = self.test.as_ref().or(self.validation.as_ref())?;
        let predicted = topwork_metrics::argmax(logits, inputs.labels().len());
        let first = *predicted.first()?;
        if predicted.len() < 20 || predicted.iter().any(|&class| class != first) {
            return None;
        }
        let label = inputs.labels().get(first as usize)?;
        Some(format!(
            "the model gives every row the label `{label}`: it has learnt nothing that tells the classes apart"
        ))
    }
}

fn prove(
    inputs: &Inputs,
    loaded: &LoadedModel,
    trained: &train::Finished,
    evaluated: &Evaluated,
    output: &OutputDirectory,
) -> Result<Proofs, Error> {
    let of_validation = Scored::of("validation", inputs.validation.as_ref(), evaluated.validation.as_ref());
    let of_test = Scored::of("test", inputs.test.as_ref(), evaluated.test.as_ref());
    let of_train = Scored { name: "train", split: &evaluated.sample, logits: &evaluated.train.1 };
    let rows = of_validation.or(of_test).unwrap_or(of_train);
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let LoadedModel { parameters, .. } = loaded;
    let fitted = trained.fitted.as_ref().map_or(&[][..], |fitted| &fitted.parameters);
    Ok(Proofs {
        frozen_unchanged: prove_frozen(&trained.frozen, parameters)?,
        trained_received_gradient: prove_gradients(parameters, &trained.progress.gradient_seen, fitted)?,
        reloaded_same_logits: reload(output, rows, batch_size)?,
    })
}

/// Reads the saved directory afresh and compares its tokens of the texts, and its outputs, with those that were scored.
///
/// Both sides run the same rows in the same batches: a matrix product may round otherwise for another number of rows.
fn reload(output: &OutputDirectory, scored: Scored<'_>, batch_size: usize) -> Result<ReloadProof, Error> {
    let rows = match scored.split.len() {
        few if few <= ROWS_PROVED => few,
        many => ROWS_PROVED.next_multiple_of(batch_size).min(many),
    };
    let reloaded = Predictor::load(output.path())?;
    let texts = reloaded.tokenize(&scored.split.examples[..rows], output.path())?;
    let tokens = prove_tokens((0..rows).map(|row| (scored.split.texts.row(row), texts.row(row))), scored.name)?;
    let outputs = reloaded.logits(&texts, batch_size);
    let in_memory = scored.logits.get(..outputs.len()).unwrap_or(scored.logits);
    prove_reload(in_memory, &outputs, rows, scored.name, tokens)
}

/// What a run says of itself.
struct Judged {
    verdict: Verdict,
    calibration: Option<Calibration>,
    confusion: Option<Confusion>,
    hard_rows: Option<HardRows>,
}

impl Judged {
    fn of(
        inputs: &Inputs,
        parameters: &Parameters,
        trained: &train::Finished,
        evaluated: &Evaluated,
        left_out: Option<Scored<'_>>,
        (floor, choice): (Option<&Floor>, Option<&FloorChoice>),
        trace: &Trace,
    ) -> Self {
        let on_validation = Scored::of("validation", inputs.validation.as_ref(), evaluated.validation.as_ref());
        let on_test = Scored::of("test", inputs.test.as_ref(), evaluated.test.as_ref());
        // Test rows, unless they can say nothing and there are others.
        let classes = inputs.labels().len();
        let says_something = |scored: &Scored<'_>| match scored.split.targets {
            Targets::Class(_) => can_tell(classes, scored.split.classes(), 1),
            _ => true,
        };
        let held_out = on_test.filter(says_something).or(on_validation).or(left_out).or(on_test);
        let run = FinishedRun {
            is_chosen_by_validation: choice.is_some_and(|choice| choice.split != LEFT_OUT),
            floor,
            inputs,
            parameters,
            scoring: &evaluated.scoring,
            train: Scored { name: "train", split: &evaluated.sample, logits: &evaluated.train.1 },
            held_out,
            trace,
            tokens: trained.progress.tokens,
            diverged_at: trained.diverged_at,
        };
        let applies = |part: Part| inputs.task.why_not(part).is_none();
        let calibration = applies(Part::Calibration)
            .then(|| calibrate(classes, on_validation.or(left_out).map(Scored::named), on_test.map(Scored::named)))
            .flatten();
        Self {
            verdict: run.verdict(),
            calibration,
            confusion: held_out
                .filter(|_| applies(Part::Confusion))
                .and_then(|held_out| Confusion::of(&held_out, inputs.labels())),
            hard_rows: held_out.map(|held_out| HardRows::find(inputs, &held_out, &evaluated.scoring)),
        }
    }

    fn save(&self, inputs: &Inputs, output: &OutputDirectory, thresholds: Option<&[f64]>) -> Result<(), Error> {
        if let Some(temperature) = self.calibration.as_ref().and_then(|calibration| calibration.temperature.as_ref()) {
            write_model::write_config(output, inputs, Some(temperature.value), thresholds)?;
        }
        match &self.hard_rows {
            Some(rows) => output.write_json(HARD_ROWS, rows),
            None => Ok(()),
        }
    }
}
