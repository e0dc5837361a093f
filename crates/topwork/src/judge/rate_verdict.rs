//! Whether the learning rate was right: too high forgets what was known, too low never arrives.

use serde::{Deserialize, Serialize};

use super::percent;
use crate::events::trace::Trace;

// Where the lines are drawn was read off the sweep of `cargo xtask verdicts`: MiniLM and the carried model on few rows.
/// A layer that moved less, as a part of its size, has learnt next to nothing.
const HARDLY_MOVED: f64 = 0.012;
/// The same where rows were compared: the default rate moves layers by about 0.008.
const STILL: f64 = 0.001;
/// Where layers have moved so far, a rate is not too low.
const MOVED: f64 = 0.04;
/// A layer that moved farther is another one.
const UPROOTED: f64 = 0.12;
/// The training loss, as a part of guessing's, above which there is much left to learn.
const UNLEARNT: f64 = 0.15;
/// The same of a model that answers as if it had learnt nothing.
const GUESSING: f64 = 0.9;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningRateFinding {
    /// The model hardly moved.
    TooLow,
    /// Neither.
    Right,
    /// Training broke what was known, or never settled.
    TooHigh,
    /// No pretrained layer was trained, or there is one class only: nothing to tell it by.
    Unknown,
}

impl LearningRateFinding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLow => "too_low",
            Self::Right => "right",
            Self::TooHigh => "too_high",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether the learning rate was right, and what says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearningRate {
    /// What was found.
    pub finding: LearningRateFinding,
    /// In words.
    pub sentence: String,
    /// The signs.
    pub signs: Signs,
}

/// What is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signs {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Mean training loss of the first tenth of the steps, in nats, with dropout.
    pub first_loss: Option<f64>,
    /// Of the last tenth.
    pub last_loss: Option<f64>,
    /// Loss on training rows without dropout, at the end.
    pub train_loss: f64,
    /// Accuracy on training rows without dropout, at the end; none where the task has none.
    pub train_accuracy: Option<f64>,
    /// The entropy of the classes in the training rows, in nats: the loss of a model that has learnt nothing but them.
    /// Of other tasks, the loss of predicting what is most usual.
    pub label_entropy: f64,
    /// The middle of the looked-at steps' largest update-to-weight ratio among layers.
    pub update_ratio: Option<f64>,
    /// The norm of the strongest gradient of the second half over the middle one.
    pub gradient_spike: Option<f64>,
    /// ‖θ − θ₀‖ / ‖θ₀‖ of the pretrained layer that moved farthest; none where none was trained.
    pub drift: Option<f64>,
    /// Linear CKA of the last layer.
    pub cka: Option<f64>,
    /// Whether what the model knew is gone, as far as is known.
    #[serde(default)]
    pub forgot: Option<bool>,
    /// The step at which the loss was no number any more.
    pub diverged_at: Option<usize>,
    /// Whether the head was fitted after the layers were trained on another loss: its own loss says nothing of the rate.
    #[serde(default)]
    pub has_fitted_head: bool,
    /// Whether the held-out rows are predicted better, by more than chance, than without a training of layers; none where that was not
    /// measured, or cannot be told.
    #[serde(default)]
    pub above_floor: Option<bool>,
    /// Whether the run was told what is not to be forgotten.
    #[serde(default)]
    pub has_retained: bool,
}

impl Signs {
    /// What the curves of a run at that highest learning rate say.
    pub(crate) fn of(learning_rate: f64, trace: &Trace) -> Self {
        let ratios = trace.blocks.iter().filter_map(|look| {
            let layers = look.blocks.iter().filter(|motion| motion.block.starts_with("layer"));
            layers.filter_map(|motion| motion.update_ratio).reduce(f64::max)
        });
        let update_ratio = median(ratios.collect());
        let later = &trace.steps[trace.steps.len() / 2..];
        let middle = median(later.iter().map(|step| step.grad_norm).collect());
        let largest = later.iter().map(|step| step.grad_norm).reduce(f64::max);
        let spike = largest.zip(middle).filter(|(_, middle)| *middle > 0.0).map(|(largest, middle)| largest / middle);
        Self {
            learning_rate,
            first_loss: trace.mean_loss(0.0..0.1),
            last_loss: trace.mean_loss(0.9..1.0),
            update_ratio,
            gradient_spike: spike,
            ..Self::default()
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Judges the signs.
pub fn judge(signs: Signs) -> LearningRate {
    let finding = signs.found();
    LearningRate { finding, sentence: signs.sentence(finding), signs }
}

impl Signs {
    /// The loss on training rows as a part of that of a model which knows nothing but how frequent the classes are.
    fn left(&self) -> Option<f64> {
        (self.label_entropy > 0.0 && !self.has_fitted_head).then(|| self.train_loss / self.label_entropy)
    }

    fn found(&self) -> LearningRateFinding {
        if self.diverged_at.is_some() {
            return LearningRateFinding::TooHigh;
        }
        if let (Some(drift), true) = (self.drift, self.has_fitted_head) {
            return match drift {
                _ if drift > UPROOTED && !self.paid_off() || self.forgot_for_nothing() => LearningRateFinding::TooHigh,
                _ if drift < STILL => LearningRateFinding::TooLow,
                _ => LearningRateFinding::Right,
            };
        }
        let (Some(drift), Some(left)) = (self.drift, self.left()) else { return LearningRateFinding::Unknown };
        let is_uprooted = drift > UPROOTED && !self.paid_off();
        if is_uprooted || self.forgot_for_nothing() || left > GUESSING && drift > MOVED {
            return LearningRateFinding::TooHigh;
        }
        let has_paid = self.forgot == Some(true) && self.paid_off();
        if !has_paid && (drift < HARDLY_MOVED || left > UNLEARNT && drift < MOVED) {
            return LearningRateFinding::TooLow;
        }
        LearningRateFinding::Right
    }

    /// Whether the task alone counts, and held-out rows show that training paid for it.
    fn paid_off(&self) -> bool {
        !self.has_retained && self.above_floor == Some(true)
    }

    fn forgot_for_nothing(&self) -> bool {
        self.forgot == Some(true) && !self.paid_off()
    }

    /// What became of the score for which much was forgotten.
    fn of_the_score(&self) -> &'static str {
        match self.above_floor {
            Some(true) => "; the held-out score is better than without training of layers all the same",
            Some(false) => "; nor is the held-out score better than without training of layers",
            None => "; whether the held-out score gained by it cannot be told",
        }
    }

    fn sentence(&self, finding: LearningRateFinding) -> String {
        let [rate, lower, higher] = [1.0, 0.5, 2.0].map(|times| as_rate(times * self.learning_rate));
        let moved = format!("layers moved by up to {}", percent(self.drift.unwrap_or(0.0)));
        let left = self
            .left()
            .map_or(String::new(), |left| format!(", the training loss is {} of that of guessing", percent(left)));
        match (finding, self.diverged_at) {
            (LearningRateFinding::TooHigh, Some(step)) => {
                format!("{rate} is too high: the loss was no number any more at step {step}; try {lower}")
            }
            (LearningRateFinding::TooHigh, None) if self.forgot == Some(true) => {
                let score = self.of_the_score();
                format!(
                    "{rate} is too high: most of what the model knew is forgotten, {moved}{left}{score}; try {lower}"
                )
            }
            (LearningRateFinding::TooHigh, None) => {
                let score = self.of_the_score();
                format!("{rate} is too high: {moved}{left}{score}; try {lower}")
            }
            (LearningRateFinding::Right, _) if self.forgot == Some(true) => format!(
                "{rate} is right for the task: {moved}{left}; most of what the model knew is forgotten, {lower} keeps more of it"
            ),
            (LearningRateFinding::TooLow, _) => format!("{rate} is too low: {moved}{left}; try {higher}"),
            (LearningRateFinding::Right, _) => format!("{rate} is right: {moved}{left}"),
            (LearningRateFinding::Unknown, _) if self.drift.is_none() => {
                format!("unknown: no pretrained layer was trained{left}")
            }
            (LearningRateFinding::Unknown, _) => format!("unknown: the training rows are all of one kind, {moved}"),
        }
    }
}

/// A learning rate as people write it, with two digits where it has them: `1e-4`, `1.5e-4`.
fn as_rate(rate: f64) -> String {
    let text = format!("{rate:.1e}");
    text.replacen(".0e", "e", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::trace::StepTrace;

    #[test]
    fn rates_keep_two_digits() {
        assert_eq!([1e-4, 1.5e-4, 3e-3].map(as_rate), ["1e-4", "1.5e-4", "3e-3"]);
    }

    fn signs(drift: f64, left: f64) -> Signs {
        Signs { learning_rate: 1e-4, drift: Some(drift), train_loss: left, label_entropy: 1.0, ..Signs::default() }
    }

    #[test]
    fn farther_and_farther_goes_from_too_low_to_too_high() {
        let found = |drift, left| judge(signs(drift, left)).finding;
        assert_eq!(found(0.001, 0.8), LearningRateFinding::TooLow);
        assert_eq!(found(0.02, 0.6), LearningRateFinding::TooLow);
        assert_eq!(found(0.02, 0.05), LearningRateFinding::Right);
        assert_eq!(found(0.2, 0.05), LearningRateFinding::TooHigh);
        assert_eq!(found(0.08, 1.0), LearningRateFinding::TooHigh);
        let forgot = judge(Signs { forgot: Some(true), ..signs(0.02, 0.05) });
        assert_eq!(forgot.finding, LearningRateFinding::TooHigh);
        assert!(forgot.sentence.contains("forgotten"), "{}", forgot.sentence);
        assert_eq!(judge(Signs { drift: None, ..signs(0.02, 0.05) }).finding, LearningRateFinding::Unknown);
    }

    #[test]
    fn what_was_forgotten_counts_where_it_was_to_be_kept_or_bought_nothing() {
        let of = |above_floor, has_retained| {
            judge(Signs { forgot: Some(true), above_floor, has_retained, ..signs(0.2, 0.05) })
        };
        for (above_floor, has_retained, finding, said) in [
            (Some(true), false, LearningRateFinding::Right, "right for the task"),
            (Some(true), true, LearningRateFinding::TooHigh, "all the same"),
            (Some(false), false, LearningRateFinding::TooHigh, "nor is the held-out score better"),
            (Some(false), true, LearningRateFinding::TooHigh, "nor is the held-out score better"),
            (None, false, LearningRateFinding::TooHigh, "cannot be told"),
        ] {
            let judged = of(above_floor, has_retained);
            assert_eq!(judged.finding, finding, "{}", judged.sentence);
            assert!(judged.sentence.contains("forgotten") && judged.sentence.contains(said), "{}", judged.sentence);
        }
        // A rate by which much was forgotten is not too low.
        let early = Signs { forgot: Some(true), above_floor: Some(true), ..signs(0.02, 0.6) };
        assert_eq!(judge(early).finding, LearningRateFinding::Right);
        // What broke is broken.
        let broken = Signs { above_floor: Some(true), ..signs(0.2, 1.0) };
        assert_eq!(judge(broken).finding, LearningRateFinding::TooHigh);
    }

    #[test]
    fn the_loss_of_a_fitted_head_says_nothing_of_the_rate() {
        let found = |drift, left| judge(Signs { has_fitted_head: true, ..signs(drift, left) }).finding;
        assert_eq!(found(0.0001, 0.8), LearningRateFinding::TooLow);
        assert_eq!(found(0.008, 0.8), LearningRateFinding::Right);
        assert_eq!(found(0.008, 0.01), LearningRateFinding::Right);
        assert_eq!(found(0.2, 0.01), LearningRateFinding::TooHigh);
    }

    #[test]
    fn a_divergence_is_too_high_whatever_else_is_known() {
        let judged = judge(Signs { diverged_at: Some(7), drift: None, ..signs(0.0, 0.0) });
        assert_eq!(judged.finding, LearningRateFinding::TooHigh);
        assert!(judged.sentence.contains("step 7") && judged.sentence.contains("5e-5"), "{}", judged.sentence);
    }

    #[test]
    fn curves_are_read_where_they_begin_and_end() {
        let step = |step: usize| StepTrace {
            step,
            epoch: 0.0,
            loss: 10.0 - step as f64 / 10.0,
            learning_rate: 1e-4,
            grad_norm: if step == 90 { 8.0 } else { 2.0 },
        };
        let trace = Trace { steps: (1..=100).map(step).collect(), ..Trace::default() };
        let signs = Signs::of(1e-4, &trace);
        assert!((signs.first_loss.unwrap() - 9.45).abs() < 1e-9 && (signs.last_loss.unwrap() - 0.45).abs() < 1e-9);
        assert_eq!(signs.gradient_spike, Some(4.0));
    }
}
