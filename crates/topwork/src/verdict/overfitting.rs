//! Whether a model learnt its training rows or what they have in common.

use serde::{Deserialize, Serialize};
use topwork_metrics::{p_by_chance, paired};

use super::{Answers, Estimate, HeldOut, percent, points};
use crate::trace::Trace;

/// Resamples of an interval.
const RESAMPLES: usize = 1_000;
/// Random permutations that the held-out answers are compared with.
const PERMUTATIONS: usize = 1_999;
/// With many rows fewer permutations are drawn: so many rows in all, in about a tenth of a second.
const PERMUTED_ROWS: usize = 10_000_000;
const FEWEST_PERMUTATIONS: usize = 99;
/// The chance that answers without any relation to the labels look as good, below which there is a relation. Labels in random
/// order have some relation to the right ones by luck, so one in a hundred is not enough.
pub const CONVINCING: f64 = 0.001;
/// A gap of so much accuracy is worth a word.
const WIDE_GAP: f64 = 0.05;
/// Of the room above guessing, the part that a model has learnt of its training rows when it knows them.
const KNOWN: f64 = 0.5;
/// The loss on held-out rows has turned when it ends so much above its lowest, as a part of the lowest.
const TURNED: f64 = 0.1;
/// Fewer held-out rows than this say nothing.
pub const FEWEST_ROWS: usize = 10;
/// Names the draws.
const SEED: u64 = 0;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverfittingFinding {
    /// Neither the training rows nor the held-out ones are known.
    NothingLearnt,
    /// The training rows are known, and nothing of it holds for others.
    Memorised,
    /// What was learnt holds for other rows, less well by more than chance.
    Overfits,
    /// Held-out rows are answered about as well as training rows.
    Generalises,
    /// There are no rows to compare with.
    Unknown,
}

impl OverfittingFinding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingLearnt => "nothing_learnt",
            Self::Memorised => "memorised",
            Self::Overfits => "overfits",
            Self::Generalises => "generalises",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a run memorised, and what says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overfitting {
    /// What was found.
    pub finding: OverfittingFinding,
    /// In words.
    pub sentence: String,
    /// The held-out rows: `validation` or `test`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub split: Option<String>,
    /// Accuracy on training rows less that on held-out rows, both without dropout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_gap: Option<Estimate>,
    /// Loss on held-out rows less that on training rows, in nats, both without dropout.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss_gap: Option<Estimate>,
    /// How often answers without any relation to the labels would look as good on the held-out rows: a permutation test of
    /// the mean logit of the right class, multiplied with the number of evaluations that the weights were chosen among.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p_chance: Option<f64>,
    /// Where the loss on the held-out rows was lowest, when it rose again after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub turned: Option<Turned>,
}

/// A loss on held-out rows that rose again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turned {
    /// The epoch after which it was lowest.
    pub epoch: f64,
    /// Its value then, in nats.
    pub lowest: f64,
    /// Its value after the last epoch.
    pub last: f64,
}

/// Judges a model by its answers to rows that it learnt from and to rows that it did not.
pub fn judge(classes: usize, train: Answers<'_>, held_out: Option<HeldOut<'_>>, trace: &Trace) -> Overfitting {
    let enough = held_out.filter(|held_out| held_out.answers.gold.len() >= FEWEST_ROWS);
    let Some(HeldOut { name: split, answers, chosen_among }) = enough else {
        let rows = held_out.map_or(0, |held_out| held_out.answers.gold.len());
        let sentence = match rows {
            0 => "unknown: there are no held-out rows to compare the training rows with".to_string(),
            rows => format!("unknown: {rows} held-out rows are too few to compare the training rows with"),
        };
        let finding = OverfittingFinding::Unknown;
        return Overfitting {
            finding,
            sentence,
            split: None,
            accuracy_gap: None,
            loss_gap: None,
            p_chance: None,
            turned: None,
        };
    };
    let (on_train, on_others) = (train.right(classes), answers.right(classes));
    let accuracy_gap = difference(&on_train, &on_others);
    let loss_gap = difference(&answers.losses(classes), &train.losses(classes));
    let permutations = (PERMUTED_ROWS / answers.gold.len()).clamp(FEWEST_PERMUTATIONS, PERMUTATIONS);
    let p_chance = p_by_chance(answers.logits, classes, answers.gold, permutations, SEED);
    let p_chance = (p_chance * chosen_among.max(1) as f64).min(1.0);
    let turned = turned(trace);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (known, held) = (mean(&on_train), mean(&on_others));
    let guessing = largest_share(train.gold, classes);
    let is_known = known - guessing > KNOWN * (1.0 - guessing);
    let finding = match accuracy_gap {
        _ if p_chance >= CONVINCING && is_known => OverfittingFinding::Memorised,
        _ if p_chance >= CONVINCING => OverfittingFinding::NothingLearnt,
        Some(gap) if gap.value > WIDE_GAP && gap.interval.0 > 0.0 => OverfittingFinding::Overfits,
        _ => OverfittingFinding::Generalises,
    };
    let gap = accuracy_gap.map_or(String::new(), |gap| {
        format!("{} points ({} to {})", points(gap.value), points(gap.interval.0), points(gap.interval.1))
    });
    let both = format!("{} right on training rows, {} on {split} rows", percent(known), percent(held));
    let rows = answers.gold.len();
    let mut sentence = match finding {
        OverfittingFinding::Memorised => format!(
            "it memorised: {both}, which answers without any relation to the labels would reach as well (p = {p_chance:.2}, {rows} rows)"
        ),
        OverfittingFinding::NothingLearnt => {
            format!("nothing was learnt: {both}, no better than guessing (p = {p_chance:.2}, {rows} rows)")
        }
        OverfittingFinding::Overfits => format!("it overfits: {both}, a gap of {gap}"),
        OverfittingFinding::Generalises | OverfittingFinding::Unknown if !is_known => {
            format!("little was learnt, and it holds for other rows: {both}, a gap of {gap}")
        }
        OverfittingFinding::Generalises | OverfittingFinding::Unknown => {
            format!("it generalises: {both}, a gap of {gap}")
        }
    };
    if let Some(Turned { epoch, lowest, last }) = turned {
        sentence.push_str(&format!(
            "; the loss on validation rows was lowest after epoch {epoch:.0} ({lowest:.3}) and ended at {last:.3}: what came after only made it surer"
        ));
    }
    Overfitting {
        finding,
        sentence,
        split: Some(split.to_string()),
        accuracy_gap,
        loss_gap,
        p_chance: Some(p_chance),
        turned,
    }
}

fn difference(first: &[f64], second: &[f64]) -> Option<Estimate> {
    let found = paired::difference_of_means(first, second, RESAMPLES, SEED)?;
    Some(Estimate { value: found.gap, interval: found.interval })
}

/// The share of the most frequent class.
fn largest_share(gold: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0usize; classes];
    for &class in gold {
        if let Some(count) = counts.get_mut(class as usize) {
            *count += 1;
        }
    }
    counts.into_iter().max().unwrap_or(0) as f64 / gold.len().max(1) as f64
}

/// Where the validation loss turned, when it ended clearly above its lowest.
fn turned(trace: &Trace) -> Option<Turned> {
    let last_step = trace.steps.last()?.step;
    let lowest = trace.of("validation").min_by(|a, b| a.loss.total_cmp(&b.loss))?;
    // Of the last epoch's, not of the final scoring, which may be of weights that were put back.
    let last = trace.of("validation").find(|evaluation| evaluation.step == last_step)?;
    let has_turned = last.loss > (1.0 + TURNED) * lowest.loss && lowest.step < last.step;
    has_turned.then_some(Turned { epoch: lowest.epoch, lowest: lowest.loss, last: last.loss })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::EvaluationTrace;

    /// Logits of two classes that are right for all but every `nth` row.
    fn answers(rows: usize, wrong_every: usize) -> (Vec<f32>, Vec<u32>) {
        let gold: Vec<u32> = (0..rows).map(|row| (row / 3 % 2) as u32).collect();
        let logits = gold.iter().enumerate().flat_map(|(row, &class)| {
            let said = if row % wrong_every == 0 { 1 - class } else { class };
            [2.0 * (1 - said) as f32, 2.0 * said as f32]
        });
        (logits.collect(), gold)
    }

    fn judged(train: usize, held_out: usize, chosen_among: usize) -> Overfitting {
        let (train_logits, train_gold) = answers(200, train);
        let (logits, gold) = answers(200, held_out);
        let train = Answers { logits: &train_logits, gold: &train_gold };
        let held_out = HeldOut { name: "test", answers: Answers { logits: &logits, gold: &gold }, chosen_among };
        judge(2, train, Some(held_out), &Trace::default())
    }

    #[test]
    fn known_rows_and_guessed_others_are_memory() {
        // Every second row wrong is a coin.
        assert_eq!(judged(1000, 2, 1).finding, OverfittingFinding::Memorised);
        assert_eq!(judged(2, 2, 1).finding, OverfittingFinding::NothingLearnt);
        assert_eq!(judged(1000, 4, 1).finding, OverfittingFinding::Overfits);
        let same = judged(8, 8, 1);
        assert_eq!(same.finding, OverfittingFinding::Generalises);
        let gap = same.accuracy_gap.unwrap();
        assert!(gap.value.abs() < 1e-9 && gap.interval.0 < 0.0 && gap.interval.1 > 0.0, "{gap:?}");
    }

    #[test]
    fn weights_that_were_chosen_among_many_have_to_be_better() {
        let one = judged(1000, 4, 1);
        let among = (0.01 / one.p_chance.unwrap()) as usize;
        let many = judged(1000, 4, among);
        assert!((many.p_chance.unwrap() / one.p_chance.unwrap() / among as f64 - 1.0).abs() < 1e-6);
        assert_eq!(many.finding, OverfittingFinding::Memorised);
    }

    #[test]
    fn without_rows_to_compare_with_nothing_is_said() {
        let (logits, gold) = answers(50, 3);
        let train = Answers { logits: &logits, gold: &gold };
        let few = Answers { logits: &logits[..8], gold: &gold[..4] };
        let few = Some(HeldOut { name: "validation", answers: few, chosen_among: 1 });
        for (held_out, said) in [(None, "no held-out rows"), (few, "4 held-out rows are too few")] {
            let found = judge(2, train, held_out, &Trace::default());
            assert_eq!(found.finding, OverfittingFinding::Unknown);
            assert!(found.sentence.contains(said), "{}", found.sentence);
        }
    }

    #[test]
    fn a_loss_that_rose_again_is_told() {
        let evaluation = |(step, loss): (usize, f64)| EvaluationTrace {
            step,
            epoch: step as f64,
            split: "validation".into(),
            loss,
            accuracy: 0.5,
            macro_f1: 0.5,
        };
        let step = crate::trace::StepTrace { step: 3, epoch: 3.0, loss: 0.1, learning_rate: 0.1, grad_norm: 1.0 };
        let trace = |losses: [f64; 3]| Trace {
            steps: vec![step],
            evaluations: (1..).zip(losses).map(evaluation).collect(),
            blocks: Vec::new(),
        };
        let found = turned(&trace([0.5, 0.4, 0.6])).unwrap();
        assert_eq!((found.epoch, found.lowest, found.last), (2.0, 0.4, 0.6));
        assert_eq!(turned(&trace([0.6, 0.5, 0.51])), None);
    }
}
