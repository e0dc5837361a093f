//! What a run says of itself: did it memorise, did it forget, was the learning rate right. Each part is measured, judged by a
//! pure function, and said in a sentence.

pub mod calibration;
pub mod curve;
pub mod floor;
pub mod forgetting;
pub mod hard_rows;
pub mod overfitting;
pub mod rate_verdict;
pub mod repeats;
pub mod transfer;

use serde::{Deserialize, Serialize};
use topwork_data::TargetKind;
use topwork_engine::Parameters;
use topwork_metrics::{Metric, argmax};

use crate::events::SplitScores;
use crate::events::trace::Trace;
use crate::events::{Observer, RunEvent};
use crate::plan::value::{Init, Method};
use crate::session::inputs::{Inputs, Split};
use crate::tasks::Scoring;
use floor::Floor;
use rate_verdict::Signs;

pub use calibration::{Calibration, calibrate};
pub use forgetting::{Forgetting, ForgettingFinding};
pub use overfitting::{Overfitting, OverfittingFinding};
pub use rate_verdict::{LearningRate, LearningRateFinding};

/// The verdict on a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it memorised.
    pub overfitting: Overfitting,
    /// Whether it forgot what pre-training gave it.
    pub forgetting: Forgetting,
    /// Whether the learning rate was right.
    pub learning_rate: LearningRate,
}

/// A split and the answers to it.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// The rows.
    pub split: &'a Split,
    /// `[rows, classes]`.
    pub logits: &'a [f32],
}

impl<'a> Scored<'a> {
    /// A split and what came of scoring it; none where there is no such split.
    pub(crate) fn of(
        name: &'static str,
        split: Option<&'a Split>,
        scored: Option<&'a (SplitScores, Vec<f32>)>,
    ) -> Option<Self> {
        let (split, (_, logits)) = split.zip(scored)?;
        Some(Self { name, split, logits })
    }

    /// The name and the answers.
    pub fn named(self) -> calibration::Named<'a> {
        (self.name, self.answers())
    }

    /// The answers alone.
    pub fn answers(&self) -> Answers<'a> {
        Answers { logits: self.logits, gold: self.split.classes() }
    }
}

/// A run that is over: what its verdict is made from.
pub(crate) struct FinishedRun<'a> {
    pub(crate) inputs: &'a Inputs,
    /// The result.
    pub(crate) parameters: &'a Parameters,
    /// How its outputs are scored.
    pub(crate) scoring: &'a Scoring,
    /// Rows that were learnt from.
    pub(crate) train: Scored<'a>,
    /// Rows that were not: test rows, or validation rows where there are none.
    pub(crate) held_out: Option<Scored<'a>>,
    pub(crate) trace: &'a Trace,
    /// Tokens that were trained on.
    pub(crate) tokens: u64,
    /// The step at which the loss was no number any more.
    pub(crate) diverged_at: Option<usize>,
    /// Whether validation rows chose between the trained model and a linear head.
    pub(crate) is_chosen_by_validation: bool,
    /// The run beside what answers without a training of layers, where that was measured.
    pub(crate) floor: Option<&'a Floor>,
}

impl FinishedRun<'_> {
    /// Measures what is still to be measured, and judges.
    pub(crate) fn verdict(&self) -> Verdict {
        let (inputs, trace) = (self.inputs, self.trace);
        // The last scoring is not one that weights were chosen by. A run that diverged goes back to the best as well.
        let has_kept_best = inputs.plan.load_best_model_at_end.value || self.diverged_at.is_some();
        let epochs = if has_kept_best { trace.of("validation").count().saturating_sub(1).max(1) } else { 1 };
        let chosen_among = |held_out: &Scored<'_>| match held_out.name == "validation" {
            true => epochs + usize::from(self.is_chosen_by_validation),
            false => 1,
        };
        let overfitting = match inputs.task.kind() {
            TargetKind::Class => {
                let held_out = self.held_out.map(|held_out| HeldOut {
                    name: held_out.name,
                    answers: held_out.answers(),
                    chosen_among: chosen_among(&held_out),
                });
                let classes = inputs.labels().len();
                overfitting::judge(classes, self.train.answers(), inputs.train.len(), held_out, trace)
            }
            TargetKind::Labels | TargetKind::Value | TargetKind::TokenTags => {
                let held_out = self.held_out.map(|held_out| (held_out, chosen_among(&held_out)));
                overfitting::judge_scores(inputs, self.scoring, self.train, held_out, trace)
            }
        };
        let forgetting = forgetting::measure(inputs, &inputs.retained, self.parameters, self.tokens);
        let of_train = &self.train.split.targets;
        let scores = inputs.task.evaluate(self.train.logits, of_train, self.scoring);
        let guess = inputs.task.guess(&inputs.train.targets, &inputs.train.targets, self.scoring);
        let signs = Signs {
            train_loss: scores.loss,
            train_accuracy: scores.get(Metric::Accuracy),
            label_entropy: match inputs.task.kind() {
                TargetKind::Class => entropy(inputs.train.classes(), inputs.labels().len()),
                _ => inputs.task.evaluate(&guess, &inputs.train.targets, self.scoring).loss,
            },
            // Random weights have farther to go than the lines that are drawn know.
            drift: forgetting.largest_drift().filter(|_| inputs.plan.init.value == Init::Pretrained),
            cka: forgetting.cka.last().copied().flatten(),
            forgot: forgetting.forgot(),
            diverged_at: self.diverged_at,
            has_fitted_head: inputs.plan.method.value != Method::Finetune,
            above_floor: self.floor.and_then(Floor::is_above),
            has_retained: inputs.plan.retain_file.value.is_some(),
            ..Signs::of(inputs.plan.learning_rate.value, trace)
        };
        Verdict { overfitting, forgetting, learning_rate: rate_verdict::judge(signs) }
    }
}

/// The entropy of the classes, in nats.
fn entropy(labels: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0usize; classes];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    let share = |count: usize| count as f64 / labels.len() as f64;
    -counts.into_iter().filter(|&count| count > 0).map(|count| share(count) * share(count).ln()).sum::<f64>()
}

/// Answers to rows that were not learnt from.
#[derive(Clone, Copy, Debug)]
pub struct HeldOut<'a> {
    /// `validation` or `test`.
    pub name: &'static str,
    /// The answers.
    pub answers: Answers<'a>,
    /// How many evaluations the weights were chosen among by these very rows; 1 where they were not.
    pub chosen_among: usize,
}

/// The answers to rows of a split.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// `[rows, classes]`.
    pub logits: &'a [f32],
    /// The classes of the rows.
    pub gold: &'a [u32],
}

impl Answers<'_> {
    /// 1 for each row that is right, 0 for each other.
    pub(crate) fn right(&self, classes: usize) -> Vec<f64> {
        let predicted = argmax(self.logits, classes);
        self.gold.iter().zip(predicted).map(|(gold, class)| f64::from(u8::from(*gold == class))).collect()
    }

    /// The cross-entropy of each row, in nats.
    pub(crate) fn losses(&self, classes: usize) -> Vec<f64> {
        let row = |(logits, gold): (&[f32], &u32)| topwork_metrics::cross_entropy(logits, classes, &[*gold]);
        self.logits.chunks_exact(classes.max(1)).zip(self.gold).map(row).collect()
    }
}

/// A value with the interval that holds the truth in 95 of 100 samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its bounds.
    pub interval: (f64, f64),
}

impl Verdict {
    /// What is judged, what was found and the sentence, part by part.
    pub fn parts(&self) -> [(&'static str, &'static str, &str); 3] {
        [
            ("overfitting", self.overfitting.finding.name(), &self.overfitting.sentence),
            ("forgetting", self.forgetting.finding.name(), &self.forgetting.sentence),
            ("learning_rate", self.learning_rate.finding.name(), &self.learning_rate.sentence),
        ]
    }

    /// Judges what was measured once more: the verdict of a run that an earlier version made.
    pub fn judge_again(&mut self) {
        self.overfitting.judge();
        self.forgetting.judge();
        let forgot = self.forgetting.forgot();
        self.learning_rate = rate_verdict::judge(Signs { forgot, ..self.learning_rate.signs.clone() });
    }

    /// Reports every part.
    pub(crate) fn report(&self, observer: &mut dyn Observer) {
        for (name, finding, sentence) in self.parts() {
            let [name, finding, sentence] = [name, finding, sentence].map(str::to_string);
            observer.event(&RunEvent::Verdict { name, finding, sentence });
        }
    }
}

/// A part of 1 as people write it.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// A difference of two parts of 1, in points.
pub(crate) fn points(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}
