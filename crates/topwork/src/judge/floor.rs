//! The floor under a run: what answers the same held-out rows without any training of layers, a bag of words and a linear head on the
//! untouched model. It costs seconds, and a training that does not pass it was not worth its time.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use topwork_data::TargetKind;
use topwork_metrics::Metric;
use topwork_metrics::paired::mcnemar;

use super::Answers;
use super::transfer::{Baseline, FROZEN, RANDOM, TUNED, own_name};
use crate::events::{Observer, RunEvent, number_or_nan, shown};
use crate::judge::repeats::{LEFT_OUT, Own};
use crate::plan::value::{FloorRule, Init};
use crate::session::inputs::Inputs;

/// Two results differ when chance alone makes them differ so much less often than this.
const RARE: f64 = 0.05;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FloorFinding {
    /// The run is better, by more than chance where that can be told.
    Above,
    /// The run is better, by no more than chance.
    WithinChance,
    /// The run is not better.
    NotBetter,
}

impl FloorFinding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::WithinChance => "within_chance",
            Self::NotBetter => "not_better",
        }
    }
}

/// A run beside the best of what answers without a training of layers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Floor {
    /// What was found.
    pub finding: FloorFinding,
    /// In words.
    pub sentence: String,
    /// The best of what was compared with.
    pub best: Cow<'static, str>,
    /// The metric, by its name.
    pub metric: Cow<'static, str>,
    /// Its value for the run.
    pub own: f64,
    /// Its value for the best of what was compared with.
    pub value: f64,
    /// How likely so uneven a split of the rows that one of both has right is by chance; none where rows are not right or wrong.
    pub p: Option<f64>,
}

/// What rows that are no test rows chose: the trained model, or a linear head on the untouched one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FloorChoice {
    /// Whether the linear head is kept.
    pub taken: bool,
    /// In words.
    pub sentence: String,
    /// The rows that chose: `validation`, or `left-out` of folds.
    pub split: Cow<'static, str>,
    /// How many they are.
    pub rows: usize,
    /// The metric, by its name.
    pub metric: Cow<'static, str>,
    /// Its value for the trained model; NaN, in files null, where it has none.
    #[serde(deserialize_with = "number_or_nan")]
    pub trained: f64,
    /// Its value for the linear head; NaN, in files null, where it has none.
    #[serde(deserialize_with = "number_or_nan")]
    pub linear: f64,
}

impl FloorChoice {
    /// `values` are those of the trained model and of the linear head.
    pub(crate) fn new(
        split: Cow<'static, str>,
        rows: usize,
        metric: Metric,
        taken: bool,
        (trained, linear): (f64, f64),
    ) -> Self {
        let of_rows = match &*split {
            LEFT_OUT => format!("{rows} rows that folds left out"),
            split => format!("{rows} {split} rows"),
        };
        let (own, other) = (shown(metric, trained), shown(metric, linear));
        let label = metric.label();
        let sentence = match taken {
            true => format!(
                "a linear head on the untouched model is kept in place of the trained model: {label} {other} against {own} on {of_rows}"
            ),
            false => format!(
                "the trained model is kept: {label} {own} against {other} of a linear head on the untouched model, on {of_rows}"
            ),
        };
        Self { taken, sentence, split, rows, metric: Cow::Borrowed(metric.name()), trained, linear }
    }

    /// Keeps the trained model, as the linear head could not be fitted for this reason.
    pub(crate) fn keep_trained(&mut self, why: &str) {
        self.taken = false;
        self.sentence = format!("the trained model is kept, as no linear head can be put in its place: {why}");
    }
}

impl Floor {
    /// Compares the run's outputs for its held-out rows with those of the best baseline; none without a baseline besides guessing, or
    /// where the metric is not defined.
    pub(crate) fn of(inputs: &Inputs, own: &Own<'_>, outputs: &[f32], baselines: &[Baseline]) -> Option<Self> {
        let (metric, own_value) = own.scores.headline();
        let learnt = baselines.iter().filter(|baseline| !baseline.is_guess && baseline.value(metric).is_finite());
        let best = learnt.reduce(
            |best, next| {
                if metric.better(next.value(metric), best.value(metric)) { next } else { best }
            },
        )?;
        let value = best.value(metric);
        let p = (inputs.task.kind() == TargetKind::Class).then(|| {
            let classes = inputs.labels().len();
            let right = |logits| {
                let right = Answers { logits, gold: own.split.classes() }.right(classes);
                right.into_iter().map(|right| right > 0.5).collect::<Vec<bool>>()
            };
            mcnemar(&right(outputs), &right(&best.outputs)).p
        });
        let finding = match metric.better(own_value, value) {
            false => FloorFinding::NotBetter,
            true if p.is_some_and(|p| p > RARE) => FloorFinding::WithinChance,
            true => FloorFinding::Above,
        };
        let chance = match p {
            Some(p) if p > RARE => format!(", a difference within chance (p {p:.2})"),
            Some(p) if p >= 0.001 => format!(" (p {p:.3})"),
            Some(_) => " (p below 0.001)".to_string(),
            None => String::new(),
        };
        let values = format!(
            "{} {} against {} on {} {} rows{chance}",
            metric.label(),
            shown(metric, own_value),
            shown(metric, value),
            own.split.len(),
            own.name,
        );
        let what = match own_name(inputs.plan.method.value, inputs.plan.init.value) {
            RANDOM => "the model from random weights",
            FROZEN => "the linear head on the untouched model",
            TUNED => "the fine-tuned model",
            _ => "the model",
        };
        let sentence = match (finding, best.name == FROZEN) {
            (FloorFinding::NotBetter, true) => {
                let hint = match (inputs.plan.init.value, inputs.plan.floor.value) {
                    (Init::Random, _) => "",
                    (Init::Pretrained, FloorRule::Take) => "; --method linear fits such a head",
                    (Init::Pretrained, FloorRule::Report) => {
                        "; --method linear fits such a head, --floor take lets validation rows or folds choose"
                    }
                };
                format!("{what} is not better than a linear head on the untouched model: {values}{hint}")
            }
            (FloorFinding::NotBetter, false) => {
                format!("{what} is not better than a bag of words: {values}; words alone tell as much here")
            }
            (_, is_frozen) => {
                let best = if is_frozen { "a linear head on the untouched model" } else { "a bag of words" };
                let clearly = if finding == FloorFinding::Above { "better" } else { "not clearly better" };
                format!("{clearly} than {best}: {values}")
            }
        };
        let (best, metric) = (Cow::Borrowed(best.name), Cow::Borrowed(metric.name()));
        Some(Self { finding, sentence, best, metric, own: own_value, value, p })
    }

    /// Whether the run is better than the best of them, by more than chance; none where chance alone could make it so, or was not tested.
    pub(crate) fn is_above(&self) -> Option<bool> {
        match self.finding {
            FloorFinding::Above => self.p.map(|_| true),
            FloorFinding::WithinChance => None,
            FloorFinding::NotBetter => Some(false),
        }
    }

    /// Reports what was found.
    pub(crate) fn report(&self, observer: &mut dyn Observer) {
        observer.event(&RunEvent::Verdict {
            name: "floor".to_string(),
            finding: self.finding.name().to_string(),
            sentence: self.sentence.clone(),
        });
    }
}
