//! The models to choose among: each is read and run over the rows once, and scored by what comes out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};
use topwork_data::{DataError, Example, Strata, normalised};
use topwork_metrics::select_rows;
use topwork_metrics::transferability::{CrossValidation, FOLDS, cross_validate, folds};
use topwork_models::HubSettings;

use super::expectation::CurvePoint;
use super::transferability::{Baselines, Scored, score};
use super::{interrupted, linear_probe, sample};
use crate::error::Error;
use crate::events::{NoObserver, Observer, RunEvent};
use crate::judge::transfer::bag_of_words;
use crate::network::features::LayerFeatures;
use crate::plan::recipe::{Options, Recipe};
use crate::plan::value::Init;
use crate::plan::value::Method;
use crate::session::files::counts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{LoadedModel, TrainingSetup};
use crate::tasks::Part;

/// A candidate that was looked at.
pub(super) struct Examined {
    pub(super) inputs: Inputs,
    /// The numbers of the training rows that were looked at.
    pub(super) numbers: Vec<usize>,
    /// Their keys, which part them.
    pub(super) keys: Vec<u64>,
    pub(super) features: LayerFeatures,
    pub(super) scored: Scored,
    /// Tokens a second of a forward pass.
    pub(super) speed: f64,
}

/// A model that could not be looked at.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// The model, as it was named.
    pub model: String,
    /// What happened.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The names of the models, each once.
pub(super) fn different(models: &[String]) -> Result<Vec<&str>, Error> {
    let mut names: Vec<&str> = Vec::new();
    for name in models.iter().map(|name| name.trim()) {
        if name.is_empty() {
            let message =
                format!("--models {}: expected names with commas between, found an empty one", models.join(","));
            return Err(Error::run(message, "--models seedling,DIR"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Every model that can be looked at; an error when there is none.
pub(super) fn look_at_all(
    recipe: &Recipe,
    models: &[&str],
    hub: &HubSettings,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(Vec<Examined>, Vec<Failure>), Error> {
    let (mut looked, mut failures) = (Vec::new(), Vec::new());
    let mut last = None;
    for model in models {
        if interrupt.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        observer.event(&RunEvent::Note { message: format!("looking at {model}") });
        // What there is to say of the rows is said once.
        let is_first = looked.is_empty() && failures.is_empty();
        match look(recipe, model, hub, observer, is_first) {
            Ok(own) => looked.push(own),
            Err(error) if is_of_the_rows(&error) => return Err(error),
            Err(error) => {
                observer.event(&RunEvent::warning(format!("{model} is left out: {error}")));
                failures.push(Failure { model: model.to_string(), error: error.to_string(), hint: error.hint() });
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if looked.is_empty() => Err(error),
        None if looked.is_empty() => Err(Error::run("expected a model, found none", "--models seedling")),
        _ => Ok((looked, failures)),
    }
}

/// Whether every model would fail: the files are at fault, not what a tokenizer makes of them.
pub(super) fn is_of_the_rows(error: &Error) -> bool {
    use DataError::{MaximumLengthTooSmall, NoTokens, Tokenizer};
    match error {
        Error::Data(error) => !matches!(error, Tokenizer { .. } | NoTokens { .. } | MaximumLengthTooSmall { .. }),
        _ => false,
    }
}

/// A number for each row that its texts decide, whatever the model: by it rows are drawn and parted.
pub(super) fn keys(examples: &[Example]) -> Vec<u64> {
    /// What no normalised text holds.
    const END: &str = " \n";
    let key = |example: &Example| {
        let texts = [Some(example.text.as_str()), example.text_pair.as_deref()];
        let ended: String = texts.into_iter().flatten().map(|text| normalised(text) + END).collect();
        u64::from_le_bytes(Sha256::digest(ended).first_chunk().copied().unwrap_or_default())
    };
    examples.iter().map(key).collect()
}

/// The candidates after the first whose probe is right in about as many rows as the first one's, each at its best layer: McNemar's
/// test (1947) on the rows of which only one is right.
pub(super) fn not_told_apart(looked: &[Examined], labels: &[u32]) -> Vec<String> {
    /// Standard deviations of what chance alone does in one of twenty cases.
    const TOLD: f64 = 1.96;
    let best = looked.split_first().map(|(best, others)| (best.scored.best_predictions.as_ref(), others));
    let Some((Some(best), others)) = best else { return Vec::new() };
    let is_as_good = |other: &&Examined| {
        let Some(own) = &other.scored.best_predictions else { return false };
        let right = |said: &[u32], row: usize| said[row] == labels[row];
        let only =
            |a: &[u32], b: &[u32]| (0..labels.len()).filter(|&row| right(a, row) && !right(b, row)).count() as f64;
        let (better, worse) = (only(best, own), only(own, best));
        better - worse < TOLD * (better + worse).sqrt().max(1.0)
    };
    others.iter().filter(is_as_good).map(|other| other.scored.candidate.model.clone()).collect()
}

/// Reads a model and the data, runs the rows through it and scores what comes out.
fn look(
    recipe: &Recipe,
    model: &str,
    hub: &HubSettings,
    observer: &mut dyn Observer,
    is_first: bool,
) -> Result<Examined, Error> {
    let own = every_row(recipe, model)?;
    let mut silent = NoObserver;
    let inputs = Inputs::read(&own, hub, if is_first { &mut *observer } else { &mut silent })?;
    let numbers = sample_of(&inputs);
    let rows = inputs.train.select(&numbers);
    let subject = LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), inputs.plan.seed.value)?;
    observer.event(&RunEvent::phase("encode"));
    let began = Instant::now();
    let features = LayerFeatures::of(&subject.model, &subject.parameters, &rows.texts);
    let speed = rows.texts.total_tokens() as f64 / began.elapsed().as_secs_f64();
    observer.event(&RunEvent::phase("score"));
    let parameters = inputs.policy.parameters.iter().map(|parameter| parameter.values).sum();
    let keys = keys(&rows.examples);
    let scored = match inputs.task.why_not(Part::Transferability) {
        None => score(model, parameters, &features, rows.classes(), &keys),
        Some(_) => linear_probe::score(model, parameters, &inputs, &rows, &features),
    };
    Ok(Examined { inputs, numbers, keys, features, scored, speed })
}

/// The numbers of the training rows that are looked at: of each class, label or range of numbers its part.
pub(super) fn sample_of(inputs: &Inputs) -> Vec<usize> {
    let strata = Strata::new(&inputs.scoring.space, &inputs.train.targets);
    sample::sample(&strata.of, strata.count, inputs.plan.seed.value)
}

/// The recipe with this model, and no row held out.
pub(crate) fn every_row(recipe: &Recipe, model: &str) -> Result<Recipe, Error> {
    let mut own = Recipe::default();
    own.say("model_name_or_path", model, "--models")?;
    own.say("method", Method::Finetune.name(), "--method")?;
    if recipe.validation_file.is_none() {
        own.say("validation_fraction", "0", "--validation-fraction")?;
        own.say("load_best_model_at_end", "false", "--load-best-model-at-end")?;
    }
    // What takes rows held out says nothing of a model.
    let mut recipe = recipe.clone();
    (recipe.early_stopping_patience, recipe.seeds, recipe.permuted_control) = (None, None, None);
    (recipe.folds, recipe.floor, recipe.unlabelled_file) = (None, None, None);
    Ok(recipe.overridden_by(own))
}

/// What needs no pretrained model, in the same folds as the probe; none of a task without bags of words.
pub(super) fn baselines(best: &Examined, rows: &Split) -> Result<Option<Baselines>, Error> {
    if best.inputs.task.why_not(Part::BagOfWords).is_some() {
        return Ok(None);
    }
    let (labels, count) = (rows.classes(), best.inputs.labels().len());
    let counts = counts(&rows.targets, count);
    let majority = counts.iter().max().copied().unwrap_or(0) as f64 / labels.len().max(1) as f64;
    let fold_of = folds(best.features.layer_mean().as_ref(), labels, &best.keys, FOLDS);
    let (mut right, mut asked) = (0, 0);
    for fold in 0..FOLDS {
        let (held_out, fitted): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&row| fold_of[row] == fold);
        if held_out.is_empty() || fitted.is_empty() {
            continue;
        }
        let (train, test) = (rows.select(&fitted), rows.select(&held_out));
        let logits = bag_of_words::logits(&train.examples, train.classes(), count, &test.examples);
        let predicted = topwork_metrics::argmax(&logits, count);
        right += predicted.iter().zip(test.classes()).filter(|(predicted, gold)| predicted == gold).count();
        asked += test.len();
    }
    // Where all rows are alike none can be held out, and words tell no more than how frequent each class is.
    let bag_of_words = if asked == 0 { majority } else { right as f64 / asked as f64 };
    let mut setup = TrainingSetup::planned(&best.inputs);
    setup.plan.init.value = Init::Random;
    let random = LoadedModel::load(&best.inputs, &setup, best.inputs.plan.seed.value)?;
    let features = LayerFeatures::of(&random.model, &random.parameters, &rows.texts);
    let probe = cross_validate(features.layer_mean().as_ref(), labels, &best.keys);
    let random_weights = probe.map_or(majority, |probe| probe.accuracy(labels));
    Ok(Some(Baselines { majority, bag_of_words, random_weights }))
}

/// The errors of a probe fitted to a half and to all of the rows but a fold.
pub(super) fn probe_curve(best: &Examined, labels: &[u32]) -> Vec<CurvePoint> {
    let share = (FOLDS - 1) as f64 / FOLDS as f64;
    let mean = best.features.layer_mean();
    let parts = folds(mean.as_ref(), labels, &best.keys, 2);
    let half: Vec<usize> = (0..labels.len()).filter(|&row| parts[row] == 0).collect();
    let (of_half, keys): (Vec<u32>, Vec<u64>) = half.iter().map(|&row| (labels[row], best.keys[row])).unzip();
    let error = |probe: &CrossValidation, labels: &[u32]| 1.0 - probe.accuracy(labels);
    let first = cross_validate(select_rows(mean.as_ref(), &half).as_ref(), &of_half, &keys);
    let points = [
        first.map(|probe| CurvePoint {
            rows: share * half.len() as f64,
            error: error(&probe, &of_half),
            asked: half.len(),
        }),
        best.scored.probe.as_ref().map(|probe| CurvePoint {
            rows: share * labels.len() as f64,
            error: error(probe, labels),
            asked: labels.len(),
        }),
    ];
    points.into_iter().flatten().collect()
}
