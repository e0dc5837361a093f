//! What a model lost of what pre-training, or an earlier task, gave it: fixed texts before and after.

use serde::{Deserialize, Serialize};
use topwork_data::TokenizedTexts;
use topwork_engine::Parameters;
use topwork_metrics::similarity::{linear_cka_debiased, neighbour_agreement};
use topwork_metrics::{accuracy, argmax, paired::mcnemar};
use topwork_models::Block;

use super::percent;
use crate::error::Error;
use crate::events::number_or_nan;
use crate::network::features::LayerFeatures;
use crate::plan::value::Init;
use crate::predict::Predictor;
use crate::session::inputs::Inputs;
use crate::session::masked_words::{HiddenWords, MaskedWords};
use crate::session::retained::{EarlierTask, LEAST_ROWS, LEAST_TEXTS, Retained, longest};
use crate::session::split::spread;
use crate::session::training::{LoadedModel, TrainingSetup};

/// Why what a head of the pretrained model says is not compared.
const HEAD_LEFT_OUT: &str = "its head reads layers that are left out";

/// Texts that are looked at whatever training cost.
const ALWAYS: usize = 32;
/// The looking may take this part of the training's work.
const PART: f64 = 0.02;
/// Neighbours of a text.
const NEIGHBOURS: usize = 10;
/// How often each text is asked about, with other words hidden.
const MASKINGS: u64 = 1;
/// A loss of accuracy that both models would show so often, were they as good, is no finding.
const CHANCE: f64 = 0.05;

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
    /// The rows of that task whose answers changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_task_rows: Option<ChangedRows>,
    /// How far each block's weights moved.
    pub drift: Vec<BlockDrift>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
}

/// A measure before and after training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// Of the model that training began with.
    #[serde(deserialize_with = "number_or_nan")]
    pub before: f64,
    /// Of the result.
    #[serde(deserialize_with = "number_or_nan")]
    pub after: f64,
}

/// Rows of an earlier task that are answered otherwise after training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRows {
    /// All rows.
    pub rows: usize,
    /// Rows that only the model before had right.
    pub lost: usize,
    /// Rows that only the model after has right.
    pub gained: usize,
}

impl ChangedRows {
    /// Whether more is lost than chance takes, by McNemar's exact test.
    fn is_loss(self) -> bool {
        let right = |lost: bool, gained: bool| [vec![lost; self.lost], vec![gained; self.gained]].concat();
        self.lost > self.gained && mcnemar(&right(true, false), &right(false, true)).p < CHANCE
    }
}

/// How far a block moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockDrift {
    /// The block.
    pub block: String,
    /// Whether training could change it.
    pub trained: bool,
    /// ‖θ − θ₀‖ / ‖θ₀‖ over all its values.
    #[serde(deserialize_with = "number_or_nan")]
    pub drift: f64,
}

/// Compares a tuned model with the one that it was made from. `trained_tokens` is what training cost: looking must cost little
/// beside it. What cannot be measured is missing, with the reason: a training that is done is not lost for it.
pub(crate) fn measure(inputs: &Inputs, retained: &Retained, tuned: &Parameters, trained_tokens: u64) -> Forgetting {
    let mut forgetting = Forgetting::of_nothing(retained);
    let untouched = match LoadedModel::load(inputs, &TrainingSetup::planned(inputs), inputs.plan.seed.value) {
        Ok(untouched) => untouched,
        Err(error) => {
            let why = format!("the model that training began with cannot be loaded once more: {error}");
            forgetting.sentence = format!("unknown: {why}");
            forgetting.missing.push(why);
            return forgetting;
        }
    };
    forgetting.drift = drift(inputs, &untouched.parameters, tuned);
    if inputs.plan.init.value == Init::Random {
        forgetting.sentence = "nothing to forget: the weights were random".to_string();
        return forgetting;
    }
    let has_fewer_layers = inputs.config.has_fewer_layers();
    let masked = match has_fewer_layers {
        true => forgetting.misses("the loss of hidden words", HEAD_LEFT_OUT),
        false => match MaskedWords::load(inputs) {
            Ok(Some(masked)) => Some(masked),
            Ok(None) => forgetting.misses("the loss of hidden words", "the model has no pretrained head for it"),
            Err(error) => forgetting.misses("the loss of hidden words", error),
        },
    };
    let Sample { texts, earlier } = sample(retained, trained_tokens, masked.is_some());
    forgetting.texts = texts.len();
    if texts.len() < LEAST_TEXTS {
        let why = format!("{} {} are too few, {LEAST_TEXTS} are needed", texts.len(), retained.source);
        forgetting.misses::<()>("CKA, nearest neighbours and the loss of hidden words", why);
    } else {
        forgetting.compare_views(&untouched, tuned, &texts);
        if let Some(masked) = masked {
            forgetting.compare_words(masked, tuned, &texts, longest(&inputs.plan));
        }
    }
    if has_fewer_layers && earlier.is_some() {
        forgetting.misses::<()>("the score on an earlier task", HEAD_LEFT_OUT);
    } else if let Some(earlier) = &earlier {
        match old_task(inputs, earlier, tuned) {
            Ok((accuracy, rows)) => {
                (forgetting.old_task_accuracy, forgetting.old_task_rows) = (Some(accuracy), Some(rows));
            }
            Err(error) => _ = forgetting.misses::<()>("the score on an earlier task", error),
        }
    }
    forgetting.judge();
    forgetting
}

/// What is looked at.
struct Sample {
    texts: TokenizedTexts,
    earlier: Option<EarlierTask>,
}

/// As many texts, and as many rows of an earlier task, as may be looked at, at even distances: a file may be sorted.
fn sample(retained: &Retained, trained_tokens: u64, has_words: bool) -> Sample {
    let mean = |texts: &TokenizedTexts| texts.total_tokens() as f64 / texts.len().max(1) as f64;
    let part = |texts: &TokenizedTexts, count: usize| spread(&(0..texts.len()).collect::<Vec<_>>(), count);
    // A training step costs three forward passes. A text takes one before and one after, and two more for its words; a row of an
    // earlier task takes two.
    let passes = if has_words { 4.0 } else { 2.0 };
    let earlier = retained.earlier.as_ref();
    let tokens = passes * mean(&retained.texts) + earlier.map_or(0.0, |earlier| 2.0 * mean(&earlier.texts));
    let affordable = PART * 3.0 * trained_tokens as f64;
    let count = ((affordable / tokens.max(1.0)) as usize).max(ALWAYS);
    let rows_of = |earlier: &EarlierTask| {
        let rows = part(&earlier.texts, count);
        let classes = rows.iter().map(|&row| earlier.classes[row]).collect();
        EarlierTask { texts: earlier.texts.select(&rows), classes }
    };
    Sample { texts: retained.texts.select(&part(&retained.texts, count)), earlier: earlier.map(rows_of) }
}

/// The accuracy of the model that training began with and of its head on the tuned encoder, and the rows that make the difference.
fn old_task(inputs: &Inputs, earlier: &EarlierTask, tuned: &Parameters) -> Result<(BeforeAfter, ChangedRows), Error> {
    let EarlierTask { texts, classes: gold } = earlier;
    let mut earlier_model = Predictor::load(&inputs.source)?;
    let classes = earlier_model.labels().len();
    let answers = |earlier_model: &Predictor| {
        argmax(&earlier_model.logits(texts, inputs.plan.per_device_eval_batch_size.value), classes)
    };
    let before = answers(&earlier_model);
    earlier_model.take_encoder(tuned, inputs.plan.pooling.value);
    let after = answers(&earlier_model);
    let only = |winner: &[u32], loser: &[u32]| {
        let is_only = |&row: &usize| winner[row] == gold[row] && loser[row] != gold[row];
        (0..gold.len()).filter(is_only).count()
    };
    let rows = ChangedRows { rows: gold.len(), lost: only(&before, &after), gained: only(&after, &before) };
    Ok((BeforeAfter { before: accuracy(gold, &before), after: accuracy(gold, &after) }, rows))
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
    fn of_nothing(retained: &Retained) -> Self {
        Self {
            finding: ForgettingFinding::Unknown,
            sentence: String::new(),
            source: retained.source.clone(),
            texts: 0,
            cka: Vec::new(),
            neighbour_agreement: None,
            masked_lm_loss: None,
            old_task_accuracy: None,
            old_task_rows: None,
            drift: Vec::new(),
            missing: retained.missing.clone(),
        }
    }

    /// Notes that `what` is not measured, and why.
    fn misses<T>(&mut self, what: &str, why: impl std::fmt::Display) -> Option<T> {
        self.missing.push(format!("{what}: {why}"));
        None
    }

    /// How alike the layers see the texts before and after.
    fn compare_views(&mut self, untouched: &LoadedModel, tuned: &Parameters, texts: &TokenizedTexts) {
        let [before, after] = [&untouched.parameters, tuned].map(|p| LayerFeatures::of(&untouched.model, p, texts));
        let cka = |layer| linear_cka_debiased(before.layer(layer).as_ref(), after.layer(layer).as_ref());
        self.cka = (0..before.layers.len()).map(cka).collect();
        let Some(last) = before.layers.len().checked_sub(1) else { return };
        let neighbours = NEIGHBOURS.min(texts.len() / 4);
        let (before, after) = (before.layer(last), after.layer(last));
        self.neighbour_agreement = neighbour_agreement(before.as_ref(), after.as_ref(), neighbours);
        if self.cka[last].is_none() {
            self.misses::<()>("CKA of the last layer", "it sees all texts the same, or gives no numbers");
        }
        if self.neighbour_agreement.is_none() {
            self.misses::<()>("nearest neighbours", "the last layer gives no numbers");
        }
    }

    /// What hidden words cost before and after.
    fn compare_words(&mut self, mut masked: MaskedWords, tuned: &Parameters, texts: &TokenizedTexts, longest: usize) {
        let loss = |masked: &MaskedWords| HiddenWords::mean(&masked.losses(texts, longest, MASKINGS));
        let before = loss(&masked);
        masked.take_encoder(tuned);
        self.masked_lm_loss = match before.zip(loss(&masked)) {
            Some((before, after)) => Some(BeforeAfter { before, after }),
            None => self.misses("the loss of hidden words", "the texts have no word to hide"),
        };
    }

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
        let told = self.told();
        self.finding = told.finding();
        let mut found = Vec::new();
        if let Some((BeforeAfter { before, after }, is_loss)) = told.old_task {
            let chance = if before - after > LITTLE_ACCURACY && !is_loss { ", which may be chance" } else { "" };
            found.push(format!("accuracy on the earlier task {} → {}{chance}", percent(before), percent(after)));
        }
        if let Some(BeforeAfter { before, after }) = told.masked_lm_loss {
            found.push(format!("hidden words cost {before:.2} → {after:.2} nats"));
        }
        if let Some(agreement) = told.neighbour_agreement {
            found.push(format!("{} of nearest neighbours are the same", percent(agreement)));
        }
        if let Some(cka) = told.cka {
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

    /// The measures that there are enough texts for.
    fn told(&self) -> Told {
        let is_enough = self.texts >= LEAST_TEXTS;
        let rows = self.old_task_rows.map_or(self.texts, |rows| rows.rows);
        let old_task = self
            .old_task_accuracy
            .filter(|accuracy| rows >= LEAST_ROWS && accuracy.before.is_finite() && accuracy.after.is_finite());
        let changed = |accuracy: BeforeAfter| {
            // Where the rows were not counted: the fewest that make such a difference.
            let net = ((accuracy.before - accuracy.after) * rows as f64).round().max(0.0) as usize;
            self.old_task_rows.unwrap_or(ChangedRows { rows, lost: net.min(rows), gained: 0 })
        };
        Told {
            cka: self.cka.last().copied().flatten().filter(|_| is_enough),
            neighbour_agreement: self.neighbour_agreement.filter(|_| is_enough),
            masked_lm_loss: self.masked_lm_loss.filter(|loss| is_enough && !loss.before.is_nan()),
            old_task: old_task.map(|accuracy| (accuracy, changed(accuracy).is_loss())),
        }
    }
}

/// What is judged.
struct Told {
    cka: Option<f64>,
    neighbour_agreement: Option<f64>,
    masked_lm_loss: Option<BeforeAfter>,
    /// And whether more is lost than chance takes.
    old_task: Option<(BeforeAfter, bool)>,
}

impl Told {
    fn finding(&self) -> ForgettingFinding {
        let distance = self.cka.map(|cka| 1.0 - cka);
        let lost =
            self.old_task.map(|(accuracy, is_loss)| if is_loss { accuracy.before - accuracy.after } else { 0.0 });
        let rise = self.masked_lm_loss.map(|loss| loss.after - loss.before);
        if distance.is_none() && lost.is_none() && rise.is_none() {
            return ForgettingFinding::Unknown;
        }
        let exceeds = |value: Option<f64>, most: f64| value.is_some_and(|value| value.is_nan() || value > most);
        if exceeds(distance, 1.0 - MUCH_CKA) || exceeds(lost, MUCH_ACCURACY) || exceeds(rise, MUCH_LOSS) {
            return ForgettingFinding::Forgot;
        }
        match exceeds(distance, 1.0 - LITTLE_CKA) || exceeds(lost, LITTLE_ACCURACY) || exceeds(rise, LITTLE_LOSS) {
            true => ForgettingFinding::Changed,
            false => ForgettingFinding::Kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::prefix::tests::inputs;

    /// What 32 texts tell of a model that did not move.
    fn still() -> Forgetting {
        Forgetting {
            finding: ForgettingFinding::Unknown,
            sentence: String::new(),
            source: "texts".into(),
            texts: 32,
            cka: vec![Some(1.0)],
            neighbour_agreement: Some(1.0),
            masked_lm_loss: None,
            old_task_accuracy: None,
            old_task_rows: None,
            drift: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn judged(mut forgetting: Forgetting) -> Forgetting {
        forgetting.judge();
        forgetting
    }

    /// So many of so many rows of an earlier task are lost.
    fn lost(lost: usize, gained: usize, texts: usize) -> Forgetting {
        let after = 0.875 - (lost as f64 - gained as f64) / texts as f64;
        let old_task_accuracy = Some(BeforeAfter { before: 0.875, after });
        let old_task_rows = Some(ChangedRows { rows: texts, lost, gained });
        judged(Forgetting { texts, old_task_accuracy, old_task_rows, ..still() })
    }

    #[test]
    fn accuracy_that_chance_may_have_taken_is_not_lost() {
        // One row of 32 is 3.1 points; five of them alone are a toss of 1 in 16, six of 1 in 32.
        for (count, finding) in [
            (0, ForgettingFinding::Kept),
            (1, ForgettingFinding::Kept),
            (5, ForgettingFinding::Kept),
            (6, ForgettingFinding::Changed),
            (7, ForgettingFinding::Forgot),
        ] {
            let found = lost(count, 0, 32);
            assert_eq!(found.finding, finding, "{count}: {}", found.sentence);
            let is_doubted = found.sentence.contains("may be chance");
            assert_eq!(is_doubted, (1..6).contains(&count), "{count}: {}", found.sentence);
            // A run that did not count its rows has the benefit of the fewest that make the difference.
            assert_eq!(judged(Forgetting { old_task_rows: None, ..found }).finding, finding, "{count}");
        }
        assert_eq!(lost(13, 6, 32).finding, ForgettingFinding::Kept, "seven more are lost than gained: 1 in 6");
        assert_eq!(lost(20, 0, 512).finding, ForgettingFinding::Changed, "3.9 points of many rows are no chance");
        assert_eq!(lost(0, 20, 32).finding, ForgettingFinding::Kept, "what is gained is not lost");
    }

    #[test]
    fn few_texts_tell_nothing_whatever_was_measured() {
        let ruined = |texts: usize| {
            let masked_lm_loss = Some(BeforeAfter { before: 1.0, after: 9.0 });
            judged(Forgetting { texts, masked_lm_loss, cka: vec![Some(0.0)], ..still() })
        };
        let few = ruined(LEAST_TEXTS - 1);
        assert_eq!((few.finding, few.forgot()), (ForgettingFinding::Unknown, None));
        assert!(few.sentence.starts_with("unknown: nothing could be measured"), "{}", few.sentence);
        assert_eq!(ruined(LEAST_TEXTS).finding, ForgettingFinding::Forgot);
        let rows = |rows: usize| {
            let old_task_accuracy = Some(BeforeAfter { before: 1.0, after: 0.0 });
            let old_task_rows = Some(ChangedRows { rows, lost: rows, gained: 0 });
            judged(Forgetting { old_task_accuracy, old_task_rows, cka: Vec::new(), ..still() }).finding
        };
        assert_eq!(rows(LEAST_ROWS - 1), ForgettingFinding::Unknown);
        assert_eq!(rows(LEAST_ROWS), ForgettingFinding::Forgot);
    }

    #[test]
    fn what_is_no_number_is_read_back_as_none_and_judged_as_before() {
        let broken = Forgetting {
            masked_lm_loss: Some(BeforeAfter { before: 4.0, after: f64::NAN }),
            drift: vec![BlockDrift { block: "layer 0".into(), trained: true, drift: f64::NAN }],
            ..still()
        };
        let broken = judged(broken);
        assert_eq!(broken.finding, ForgettingFinding::Forgot, "a model without numbers knows nothing");
        let text = serde_json::to_string(&broken).unwrap();
        let read: Forgetting = serde_json::from_str(&text).unwrap();
        assert!(read.masked_lm_loss.is_some_and(|loss| loss.before == 4.0 && loss.after.is_nan()), "{text}");
        assert!(read.drift[0].drift.is_nan(), "{text}");
        assert_eq!(judged(read).finding, broken.finding);
    }

    #[test]
    fn looking_costs_its_part_of_the_training_with_the_earlier_task_counted() {
        let inputs = inputs();
        let mut retained = inputs.retained.clone();
        let every: Vec<usize> = (0..retained.texts.len()).collect();
        let earlier = EarlierTask { texts: retained.texts.select(&every), classes: vec![0; every.len()] };
        let trained_tokens = 30 * retained.texts.total_tokens() as u64;
        let work = |sample: &Sample| {
            let earlier = sample.earlier.as_ref().map_or(0, |earlier| earlier.texts.total_tokens());
            (4 * sample.texts.total_tokens() + 2 * earlier) as f64
        };
        let alone = sample(&retained, trained_tokens, true);
        assert!(alone.texts.len() > ALWAYS && alone.texts.len() < every.len(), "{}", alone.texts.len());
        retained.earlier = Some(earlier);
        let both = sample(&retained, trained_tokens, true);
        assert!(both.texts.len() > ALWAYS && both.texts.len() < alone.texts.len(), "{}", both.texts.len());
        assert_eq!(both.earlier.as_ref().map(|earlier| earlier.classes.len()), Some(both.texts.len()));
        for sample in [&alone, &both] {
            let part = work(sample) / (3.0 * trained_tokens as f64);
            assert!((0.8 * PART..1.2 * PART).contains(&part), "{part}");
        }
        assert_eq!(sample(&retained, 0, true).texts.len(), ALWAYS);
        assert_eq!(sample(&retained, u64::MAX, true).texts.len(), every.len());
    }

    #[test]
    fn a_model_that_is_gone_after_training_is_unknown_and_no_error() {
        let mut inputs = inputs();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("model.safetensors");
        std::fs::copy(inputs.source.join("model.safetensors"), &copy).unwrap();
        inputs.checkpoint = topwork_models::Checkpoint::open(folder.path()).unwrap();
        // Without its `config.json` there is no earlier_model here.
        inputs.source = folder.path().to_path_buf();
        let tuned = LoadedModel::load(&inputs, &TrainingSetup::planned(&inputs), 0).unwrap().parameters;
        let there = measure(&inputs, &inputs.retained, &tuned, 1_000);
        assert_eq!((there.finding, there.texts), (ForgettingFinding::Kept, ALWAYS), "{}", there.sentence);
        // An earlier task that cannot be scored any more leaves the rest as it is.
        let mut retained = inputs.retained.clone();
        retained.earlier = Some(EarlierTask { texts: retained.texts.clone(), classes: vec![0; retained.texts.len()] });
        let partly = measure(&inputs, &retained, &tuned, 1_000);
        assert_eq!((partly.finding, partly.old_task_accuracy), (ForgettingFinding::Kept, None));
        assert_eq!(partly.missing.len(), there.missing.len() + 1, "{:?}", partly.missing);
        std::fs::remove_file(&copy).unwrap();
        let gone = measure(&inputs, &inputs.retained, &tuned, 1_000);
        assert_eq!((gone.finding, gone.texts), (ForgettingFinding::Unknown, 0));
        assert!(gone.sentence.starts_with("unknown: "), "{}", gone.sentence);
        assert!(gone.missing.iter().any(|missing| missing.contains("model.safetensors")), "{:?}", gone.missing);
    }
}
