//! What a model lost of what pre-training, or an earlier task, gave it: fixed texts before and after.

use std::path::Path;

use serde::{Deserialize, Serialize};
use topwork_data::{ColumnNames, Dataset, Example, Labels, TokenizedTexts};
use topwork_engine::Parameters;
use topwork_metrics::similarity::{linear_cka_debiased, neighbour_agreement};
use topwork_models::{Block, ModelConfig};

use super::percent;
use crate::classifier::Classifier;
use crate::error::Error;
use crate::features::LayerFeatures;
use crate::inputs::Inputs;
use crate::masked_words::{HiddenWords, MaskedWords};
use crate::training::{Regimen, Subject};
use crate::value::Init;

/// General English, where a model does not say what it was pre-trained on.
const GENERAL_ENGLISH: &str = include_str!("../../../../assets/probe/general_english.txt");
/// Texts that are looked at, at most and at least.
const TEXTS: std::ops::RangeInclusive<usize> = 32..=512;
/// The looking may take this part of the training's work.
const PART: f64 = 0.02;
/// Tokens of a text that are looked at.
const LONGEST: usize = 128;
/// Neighbours of a text.
const NEIGHBOURS: usize = 10;
/// How often each text is asked about, with other words hidden.
const MASKINGS: u64 = 1;

// Where the line is drawn: in the sweep of `cargo xtask verdicts`, runs beyond the second of each pair lose on the earlier task
// or on hidden words without gaining on the new one.
/// CKA of the last layer, above which little is lost, and below which much is.
const LITTLE_CKA: f64 = 0.9;
const MUCH_CKA: f64 = 0.4;
/// Accuracy lost on an earlier task.
const LITTLE_ACCURACY: f64 = 0.03;
const MUCH_ACCURACY: f64 = 0.2;
/// Nats that hidden words cost more.
const LITTLE_LOSS: f64 = 0.1;
const MUCH_LOSS: f64 = 1.25;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgettingFinding {
    /// Next to nothing is lost.
    Kept,
    /// Some is.
    Changed,
    /// Most is.
    Forgot,
    /// There was nothing to lose, or nothing to measure it by.
    Unknown,
}

impl ForgettingFinding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Changed => "changed",
            Self::Forgot => "forgot",
            Self::Unknown => "unknown",
        }
    }
}

/// What a run lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forgetting {
    /// What was found.
    pub finding: ForgettingFinding,
    /// In words.
    pub sentence: String,
    /// The texts that were looked at, in words.
    pub source: String,
    /// How many.
    pub texts: usize,
    /// For the embeddings and each layer: linear CKA of the texts' mean vectors before and after, without the bias of few
    /// texts; 1 is the same up to rotation and scale.
    pub cka: Vec<Option<f64>>,
    /// The part of a text's nearest neighbours, by the last layer, that are its neighbours after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub neighbour_agreement: Option<f64>,
    /// Mean loss of hidden words, in nats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub masked_lm_loss: Option<BeforeAfter>,
    /// Accuracy on an earlier task, with its own head.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_task_accuracy: Option<BeforeAfter>,
    /// How far each block's weights moved.
    pub drift: Vec<BlockDrift>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
}

/// A measure before and after training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// Of the model that training began with.
    pub before: f64,
    /// Of the result.
    pub after: f64,
}

/// How far a block moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockDrift {
    /// The block.
    pub block: String,
    /// Whether training could change it.
    pub trained: bool,
    /// ‖θ − θ₀‖ / ‖θ₀‖ over all its values.
    pub drift: f64,
}

/// What a run should not forget.
#[derive(Clone, Debug)]
pub struct Retained {
    /// What it is, in words.
    pub source: String,
    /// The texts.
    pub examples: Vec<Example>,
    /// Their classes in the earlier task, where the model has its head.
    pub classes: Option<Vec<u32>>,
    /// What cannot be measured with them, and why.
    missing: Vec<String>,
}

impl Retained {
    /// The texts of `file`; without one, the sample in the model's own profile, or general English.
    ///
    /// # Errors
    /// When the file cannot be read or holds no text.
    pub(crate) fn read(file: Option<&Path>, source: &Path, config: &ModelConfig) -> Result<Self, Error> {
        let Some(path) = file else {
            let own = own_sample(source);
            let (texts, source) = match own {
                Some(texts) => (texts, "texts of its own pre-training".to_string()),
                None => (GENERAL_ENGLISH.lines().map(str::to_string).collect(), "texts of general English".to_string()),
            };
            let example =
                |(line, text): (usize, String)| Example { line: line + 1, text, text_pair: None, label: None };
            let examples = texts.into_iter().enumerate().map(example).collect();
            return Ok(Self { source, examples, classes: None, missing: Vec::new() });
        };
        let mut dataset = Dataset::read(path, &ColumnNames::default(), Labels::Optional)?;
        dataset.examples.retain(|example| !example.text.trim().is_empty());
        if dataset.examples.is_empty() {
            let message = format!("retain_file: {}: expected texts, found none", path.display());
            return Err(Error::run(message, "a file of texts, one a line, or the labelled file of an earlier task"));
        }
        let mut missing = Vec::new();
        let classes = match (config.labels(), dataset.columns.label.is_some()) {
            (Some(names), true) => {
                let class = |example: &Example| {
                    let label = example.label.as_ref()?;
                    names.iter().position(|name| name == label).map(|class| class as u32)
                };
                let classes: Option<Vec<u32>> = dataset.examples.iter().map(class).collect();
                if classes.is_none() {
                    missing.push(format!(
                        "the score on an earlier task: {} has labels that the model's head does not know",
                        path.display()
                    ));
                }
                classes
            }
            (None, true) => {
                missing.push("the score on an earlier task: the model has no head of one".to_string());
                None
            }
            (_, false) => None,
        };
        let source = format!("texts of {}", path.display());
        Ok(Self { source, examples: dataset.examples, classes, missing })
    }
}

/// The sample of texts in a model's profile; none when there is none.
fn own_sample(source: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(source.join(crate::pretrain::PROFILE)).ok()?;
    let profile: serde_json::Value = serde_json::from_str(&text).ok()?;
    let texts: Vec<String> =
        profile["sample"].as_array()?.iter().filter_map(|t| t.as_str().map(str::to_string)).collect();
    (texts.len() >= *TEXTS.start()).then_some(texts)
}

/// Compares a tuned model with the one that it was made from. `trained_tokens` is what training cost: looking must cost little
/// beside it.
///
/// # Errors
/// When the model cannot be loaded once more, or a text cannot be tokenized.
pub(crate) fn measure(
    inputs: &Inputs,
    retained: &Retained,
    tuned: &Parameters,
    trained_tokens: u64,
) -> Result<Forgetting, Error> {
    let untouched = Subject::load(inputs, &Regimen::planned(inputs), inputs.plan.seed.value)?;
    let drift = drift(inputs, &untouched.parameters, tuned);
    let mut missing = retained.missing.clone();
    if inputs.plan.init.value == Init::Random {
        let sentence = "nothing to forget: the weights were random".to_string();
        return Ok(Forgetting {
            finding: ForgettingFinding::Unknown,
            sentence,
            source: retained.source.clone(),
            texts: 0,
            cka: Vec::new(),
            neighbour_agreement: None,
            masked_lm_loss: None,
            old_task_accuracy: None,
            drift,
            missing,
        });
    }
    let masked = MaskedWords::load(inputs)?;
    if masked.is_none() {
        missing.push("the loss of hidden words: the model has no pretrained head for it".to_string());
    }
    if retained.classes.is_none() && retained.missing.is_empty() {
        missing.push("the score on an earlier task: none was named (--retain FILE with its labelled rows)".to_string());
    }
    let longest = LONGEST.min(inputs.plan.facts.model.longest());
    let sample = sample(inputs, retained, longest, trained_tokens, masked.is_some())?;
    let Sample { texts, rows } = &sample;
    let [before, after] = [&untouched.parameters, tuned].map(|p| LayerFeatures::of(&untouched.model, p, texts));
    let layers = before.layers.len();
    let cka: Vec<Option<f64>> = (0..layers)
        .map(|layer| linear_cka_debiased(before.layer(layer).as_ref(), after.layer(layer).as_ref()))
        .collect();
    let neighbours = NEIGHBOURS.min(texts.len() / 4);
    let neighbour_agreement = layers
        .checked_sub(1)
        .and_then(|last| neighbour_agreement(before.layer(last).as_ref(), after.layer(last).as_ref(), neighbours));
    let masked_lm_loss = masked.map(|mut masked| {
        let loss = |masked: &MaskedWords| HiddenWords::mean(&masked.losses(texts, longest, MASKINGS));
        let before = loss(&masked);
        masked.take_encoder(tuned);
        BeforeAfter { before, after: loss(&masked) }
    });
    let old_task_accuracy = match &retained.classes {
        Some(classes) => {
            let examples: Vec<Example> = rows.iter().map(|&row| retained.examples[row].clone()).collect();
            let gold: Vec<u32> = rows.iter().map(|&row| classes[row]).collect();
            Some(old_task(inputs, &examples, &gold, tuned)?)
        }
        None => None,
    };
    let mut forgetting = Forgetting {
        finding: ForgettingFinding::Unknown,
        sentence: String::new(),
        source: retained.source.clone(),
        texts: texts.len(),
        cka,
        neighbour_agreement,
        masked_lm_loss,
        old_task_accuracy,
        drift,
        missing,
    };
    forgetting.judge();
    Ok(forgetting)
}

/// The texts that are looked at.
struct Sample {
    texts: TokenizedTexts,
    /// Their places among the retained ones.
    rows: Vec<usize>,
}

/// As many texts as may be looked at, at even distances: a file may be sorted.
fn sample(
    inputs: &Inputs,
    retained: &Retained,
    longest: usize,
    trained_tokens: u64,
    has_words: bool,
) -> Result<Sample, Error> {
    let all = retained.examples.len();
    let spread = |count: usize| (0..count).map(|i| i * all / count).collect::<Vec<usize>>();
    let path = Path::new(&retained.source);
    let of = |rows: &[usize]| -> Result<TokenizedTexts, Error> {
        let examples: Vec<Example> = rows.iter().map(|&row| retained.examples[row].clone()).collect();
        Ok(TokenizedTexts::tokenize(&inputs.tokenizer, &examples, longest, path)?)
    };
    let rows = spread(all.min(*TEXTS.end()));
    let texts = of(&rows)?;
    // A training step costs three forward passes; each text takes one before and one after, and two more for its words.
    let passes = if has_words { 4.0 } else { 2.0 };
    let affordable = PART * 3.0 * trained_tokens as f64 / passes;
    let mean_tokens = texts.total_tokens() as f64 / texts.len().max(1) as f64;
    let count = ((affordable / mean_tokens.max(1.0)) as usize).max(*TEXTS.start());
    if count >= texts.len() {
        return Ok(Sample { texts, rows });
    }
    let rows = spread(count);
    Ok(Sample { texts: of(&rows)?, rows })
}

/// The accuracy of the model that training began with, and of its head on the tuned encoder.
fn old_task(inputs: &Inputs, examples: &[Example], gold: &[u32], tuned: &Parameters) -> Result<BeforeAfter, Error> {
    let mut classifier = Classifier::load(&inputs.source)?;
    let texts = classifier.tokenize(examples, &inputs.source)?;
    let batch_size = inputs.plan.per_device_eval_batch_size.value;
    let classes = classifier.labels.len();
    let accuracy = |classifier: &Classifier| {
        let logits = classifier.logits(&texts, batch_size);
        topwork_metrics::accuracy(gold, &topwork_metrics::argmax(&logits, classes))
    };
    let before = accuracy(&classifier);
    classifier.take_encoder(tuned);
    Ok(BeforeAfter { before, after: accuracy(&classifier) })
}

/// How far each block but the head, which is new, moved.
fn drift(inputs: &Inputs, before: &Parameters, after: &Parameters) -> Vec<BlockDrift> {
    let mut blocks: Vec<(Block, bool, f64, f64)> = Vec::new();
    for ((policy, (_, old)), (_, new)) in inputs.policy.parameters.iter().zip(before.iter()).zip(after.iter()) {
        if policy.block == Block::Head {
            continue;
        }
        let square = |value: f64| value * value;
        let pairs = old.values.iter().zip(new.values.iter()).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let (moved, own) = match policy.trainable {
            true => pairs.fold((0.0, 0.0), |(moved, own), (a, b)| (moved + square(b - a), own + square(a))),
            false => (0.0, 1.0),
        };
        match blocks.iter_mut().find(|(block, ..)| *block == policy.block) {
            Some((_, _, m, o)) => (*m, *o) = (*m + moved, *o + own),
            None => blocks.push((policy.block, policy.trainable, moved, own)),
        }
    }
    let drift = |(block, trained, moved, own): (Block, bool, f64, f64)| BlockDrift {
        block: block.to_string(),
        trained,
        drift: if own > 0.0 { (moved / own).sqrt() } else { 0.0 },
    };
    blocks.into_iter().map(drift).collect()
}

impl Forgetting {
    /// The farthest that a trained layer moved.
    pub fn largest_drift(&self) -> Option<f64> {
        let layers = self.drift.iter().filter(|block| block.trained && block.block.starts_with("layer"));
        layers.map(|block| block.drift).reduce(f64::max)
    }

    /// Whether most is lost, as far as is known.
    pub fn forgot(&self) -> Option<bool> {
        (self.finding != ForgettingFinding::Unknown).then_some(self.finding == ForgettingFinding::Forgot)
    }

    /// Says what the measures mean.
    pub(crate) fn judge(&mut self) {
        self.finding = self.found();
        let mut found = Vec::new();
        if let Some(BeforeAfter { before, after }) = self.old_task_accuracy {
            found.push(format!("accuracy on the earlier task {} → {}", percent(before), percent(after)));
        }
        if let Some(BeforeAfter { before, after }) = self.masked_lm_loss {
            found.push(format!("hidden words cost {before:.2} → {after:.2} nats"));
        }
        if let Some(agreement) = self.neighbour_agreement {
            found.push(format!("{} of nearest neighbours are the same", percent(agreement)));
        }
        if let Some(Some(cka)) = self.cka.last() {
            found.push(format!("CKA of the last layer {cka:.2}"));
        }
        let what = match self.finding {
            ForgettingFinding::Kept => "it kept what it knew",
            ForgettingFinding::Changed => "it gave up some of what it knew",
            ForgettingFinding::Forgot => "it forgot most of what it knew",
            ForgettingFinding::Unknown => "unknown",
        };
        let measured = if found.is_empty() { "nothing could be measured".to_string() } else { found.join(", ") };
        self.sentence = format!("{what}: {measured} (on {} {})", self.texts, self.source);
    }

    fn found(&self) -> ForgettingFinding {
        let cka = self.cka.last().copied().flatten();
        let lost = self.old_task_accuracy.map(|accuracy| accuracy.before - accuracy.after);
        let rise = self.masked_lm_loss.map(|loss| loss.after - loss.before);
        let exceeds = |value: Option<f64>, most: f64| value.is_some_and(|value| value.is_nan() || value > most);
        if cka.is_none() && lost.is_none() && rise.is_none() {
            return ForgettingFinding::Unknown;
        }
        if exceeds(cka.map(|cka| 1.0 - cka), 1.0 - MUCH_CKA) || exceeds(lost, MUCH_ACCURACY) || exceeds(rise, MUCH_LOSS)
        {
            return ForgettingFinding::Forgot;
        }
        match exceeds(cka.map(|cka| 1.0 - cka), 1.0 - LITTLE_CKA)
            || exceeds(lost, LITTLE_ACCURACY)
            || exceeds(rise, LITTLE_LOSS)
        {
            true => ForgettingFinding::Changed,
            false => ForgettingFinding::Kept,
        }
    }
}
