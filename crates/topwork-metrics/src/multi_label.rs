//! Scores of classifiers that may give a row any number of labels.
//!
//! The definitions are scikit-learn's for indicator matrices. Logits are row-major `[rows, labels]`, one independent
//! decision each: a label is given when its probability `1 / (1 + e^−logit)` is at least the label's threshold, which is
//! 0.5 unless another was fitted. What a wrong length leaves over is not counted; an undefined score is NaN or as
//! documented, and nothing panics on a value.

use crate::metric::{Metric, TaskScores};

/// The threshold of a label's probability without a better one.
pub const THRESHOLD: f64 = 0.5;

/// The fewest rows that have a label, and the fewest that lack it, from which [`fit_thresholds`] moves its threshold: of
/// fewer, a threshold says where a handful of rows happen to lie.
pub const LEAST_ROWS_OF_EACH: usize = 10;

/// All scores of `logits` `[rows, labels]` against `gold` `[rows, labels]`, with a threshold for each label or none.
pub fn evaluate(logits: &[f32], gold: &[bool], labels: usize, thresholds: Option<&[f64]>) -> TaskScores {
    let predicted = predictions(logits, labels, thresholds);
    TaskScores {
        loss: binary_cross_entropy(logits, gold),
        values: vec![
            (Metric::MicroF1, micro_f1(gold, &predicted)),
            (Metric::MacroF1, macro_f1(gold, &predicted, labels)),
            (Metric::MeanAveragePrecision, mean_average_precision(logits, gold, labels)),
            (Metric::SubsetAccuracy, subset_accuracy(gold, &predicted, labels)),
        ],
    }
}

/// The probability of a logit.
pub fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// Which labels each row is given, `[rows, labels]`: those whose probability is at least the label's threshold. A label
/// that `thresholds` has none for has [`THRESHOLD`]; NaN is never given.
pub fn predictions(logits: &[f32], labels: usize, thresholds: Option<&[f64]>) -> Vec<bool> {
    let threshold = |label: usize| thresholds.and_then(|own| own.get(label)).copied().unwrap_or(THRESHOLD);
    let row = |row: &[f32]| {
        row.iter().enumerate().map(|(label, &logit)| sigmoid(logit) >= threshold(label)).collect::<Vec<bool>>()
    };
    logits.chunks_exact(labels.max(1)).flat_map(row).collect()
}

/// Mean over all decisions of `−ln(probability of what is true)`, in nats, as torch's `BCEWithLogitsLoss`. NaN without
/// rows or for a logit that is NaN.
pub fn binary_cross_entropy(logits: &[f32], gold: &[bool]) -> f64 {
    let loss = |(&logit, &gold): (&f32, &bool)| {
        let away = if gold { -f64::from(logit) } else { f64::from(logit) };
        away.max(0.0) + (-away.abs()).exp().ln_1p()
    };
    mean(logits.iter().zip(gold).map(loss))
}

/// F1 of all decisions together, as scikit-learn's `f1_score(average="micro")`; 0 when no label is true and none given.
pub fn micro_f1(gold: &[bool], predicted: &[bool]) -> f64 {
    Counts::of(gold.iter().zip(predicted)).f1()
}

/// Unweighted mean of the F1 of all labels, as scikit-learn's `f1_score(average="macro")`: a label that no row has and
/// none is given counts as 0. NaN without labels.
pub fn macro_f1(gold: &[bool], predicted: &[bool], labels: usize) -> f64 {
    mean(f1_by_label(gold, predicted, labels).into_iter())
}

/// The F1 of each label; 0 for one that no row has and none is given.
pub fn f1_by_label(gold: &[bool], predicted: &[bool], labels: usize) -> Vec<f64> {
    let step = labels.max(1);
    let of_label = |label: usize| {
        let (gold, predicted) = (gold.iter().skip(label).step_by(step), predicted.iter().skip(label).step_by(step));
        Counts::of(gold.zip(predicted)).f1()
    };
    (0..labels).map(of_label).collect()
}

/// The part of the rows with every label right, as scikit-learn's `accuracy_score`; NaN without rows.
pub fn subset_accuracy(gold: &[bool], predicted: &[bool], labels: usize) -> f64 {
    let step = labels.max(1);
    mean(gold.chunks_exact(step).zip(predicted.chunks_exact(step)).map(|(a, b)| f64::from(u8::from(a == b))))
}

/// The part of all decisions that are wrong, as scikit-learn's `hamming_loss`; NaN without rows.
pub fn hamming_loss(gold: &[bool], predicted: &[bool]) -> f64 {
    mean(gold.iter().zip(predicted).map(|(a, b)| f64::from(u8::from(a != b))))
}

/// Mean over the labels of [`average_precision`]. A label that no row has is left out, where scikit-learn's
/// `average_precision_score(average="macro")` counts 0 and warns. NaN when no label is left.
pub fn mean_average_precision(logits: &[f32], gold: &[bool], labels: usize) -> f64 {
    let of_label = |label| {
        let (logits, gold) = label_of(logits, gold, labels, label);
        gold.contains(&true).then(|| average_precision(&logits, &gold))
    };
    mean((0..labels).filter_map(of_label))
}

/// The sum over thresholds of the gain in recall times the precision there, without interpolation, as scikit-learn's
/// `average_precision_score`; rows with equal scores pass a threshold together. NaN when no row is true or a score is NaN.
pub fn average_precision(scores: &[f32], gold: &[bool]) -> f64 {
    let mut rows: Vec<(f32, bool)> = scores.iter().copied().zip(gold.iter().copied()).collect();
    let all = rows.iter().filter(|(_, is_true)| *is_true).count();
    if all == 0 || rows.iter().any(|(score, _)| score.is_nan()) {
        return f64::NAN;
    }
    rows.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)));
    let (mut found, mut taken, mut sum) = (0_usize, 0_usize, 0.0);
    for equal in rows.chunk_by(|a, b| a.0 == b.0) {
        let gained = equal.iter().filter(|(_, is_true)| *is_true).count();
        found += gained;
        taken += equal.len();
        sum += gained as f64 / all as f64 * (found as f64 / taken as f64);
    }
    sum
}

/// A threshold for each label that makes its F1 on these rows largest.
///
/// Rows to fit on should not have been trained on. Against fitting to chance: a label with fewer than
/// [`LEAST_ROWS_OF_EACH`] rows that have it, or that lack it, or with a logit that is NaN, keeps [`THRESHOLD`]; so does one
/// whose F1 is largest there already. Else, of all intervals between two probabilities that give the largest F1, the one
/// nearest to [`THRESHOLD`] is taken, and of it the middle.
pub fn fit_thresholds(logits: &[f32], gold: &[bool], labels: usize) -> Vec<f64> {
    let of_label = |label| {
        let (logits, gold) = label_of(logits, gold, labels, label);
        fit_threshold(&logits, &gold)
    };
    (0..labels).map(of_label).collect()
}

fn fit_threshold(logits: &[f32], gold: &[bool]) -> f64 {
    let mut rows: Vec<(f64, bool)> = logits.iter().map(|&logit| sigmoid(logit)).zip(gold.iter().copied()).collect();
    let all = rows.iter().filter(|(_, is_true)| *is_true).count();
    let is_number = rows.iter().all(|(probability, _)| !probability.is_nan());
    if all.min(rows.len() - all) < LEAST_ROWS_OF_EACH || !is_number {
        return THRESHOLD;
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let groups: Vec<&[(f64, bool)]> = rows.chunk_by(|a, b| a.0 == b.0).collect();
    let mut counts = Counts { right: 0, gold: all, predicted: 0 };
    let mut best: Option<(f64, f64)> = None;
    for (place, group) in groups.iter().enumerate() {
        counts.right += group.iter().filter(|(_, is_true)| *is_true).count();
        counts.predicted += group.len();
        // A threshold in (low, high] gives these rows the label.
        let (low, high) = (groups.get(place + 1).map_or(0.0, |next| next[0].0), group[0].0);
        let middle = if low < THRESHOLD && THRESHOLD <= high { THRESHOLD } else { 0.5 * (low + high) };
        let f1 = counts.f1();
        let is_better = best.is_none_or(|(best_f1, threshold)| {
            f1 > best_f1 || (f1 == best_f1 && (middle - THRESHOLD).abs() < (threshold - THRESHOLD).abs())
        });
        if is_better {
            best = Some((f1, middle));
        }
    }
    best.map_or(THRESHOLD, |(_, threshold)| threshold)
}

/// Rows that are right, that have a label, and that were given it.
#[derive(Clone, Copy, Default)]
struct Counts {
    right: usize,
    gold: usize,
    predicted: usize,
}

impl Counts {
    fn of<'a>(pairs: impl Iterator<Item = (&'a bool, &'a bool)>) -> Self {
        pairs.fold(Self::default(), |counts, (&gold, &predicted)| Self {
            right: counts.right + usize::from(gold && predicted),
            gold: counts.gold + usize::from(gold),
            predicted: counts.predicted + usize::from(predicted),
        })
    }

    fn f1(self) -> f64 {
        let both = self.gold + self.predicted;
        if both == 0 { 0.0 } else { 2.0 * self.right as f64 / both as f64 }
    }
}

/// The column of a label.
fn label_of(logits: &[f32], gold: &[bool], labels: usize, label: usize) -> (Vec<f32>, Vec<bool>) {
    let step = labels.max(1);
    let pairs = logits.iter().skip(label).step_by(step).zip(gold.iter().skip(label).step_by(step));
    pairs.map(|(&logit, &gold)| (logit, gold)).unzip()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bootstrap::Draws;
    use crate::oracle::{fixture, near, numbers};

    fn table(case: &Value) -> (Vec<f32>, Vec<bool>, usize) {
        let logits = numbers(&case["logits"]).into_iter().map(|logit| logit as f32).collect();
        let gold = numbers(&case["gold"]).into_iter().map(|value| value == 1.0).collect();
        (logits, gold, case["labels"].as_u64().unwrap() as usize)
    }

    #[test]
    fn values_are_those_that_scikit_learn_computed() {
        for case in fixture("metrics.json")["multi_label"].as_array().unwrap() {
            let (logits, gold, labels) = table(case);
            let thresholds = case["thresholds"].is_array().then(|| numbers(&case["thresholds"]));
            let found = evaluate(&logits, &gold, labels, thresholds.as_deref());
            for (metric, value) in found.iter() {
                near(value, &case[metric.name()], 1e-12);
            }
            let predicted = predictions(&logits, labels, thresholds.as_deref());
            near(hamming_loss(&gold, &predicted), &case["hamming_loss"], 1e-12);
        }
    }

    /// One label of 200 rows, a third of them true, with logits that lie too low.
    fn one_label(seed: u64, lean: f32) -> (Vec<f32>, Vec<bool>) {
        let mut draws = Draws::new(seed);
        let gold: Vec<bool> = (0..200).map(|_| draws.below(3) == 0).collect();
        let noise = |is_true: bool, draws: &mut Draws| {
            (draws.below(4000) as f32 / 1000.0) - 5.0 + if is_true { lean } else { 0.0 }
        };
        let logits = gold.iter().map(|&is_true| noise(is_true, &mut draws)).collect();
        (logits, gold)
    }

    #[test]
    fn no_other_threshold_has_a_larger_f1() {
        for seed in 0..20 {
            let (logits, gold) = one_label(seed, 2.0);
            let fitted = fit_thresholds(&logits, &gold, 1);
            let f1 = |threshold: f64| micro_f1(&gold, &predictions(&logits, 1, Some(&[threshold])));
            let best = f1(fitted[0]);
            assert!(best > f1(0.5), "{best}");
            let tried = logits.iter().map(|&logit| f1(sigmoid(logit))).fold(0.0, f64::max);
            assert_eq!(best, tried);
        }
    }

    #[test]
    fn few_rows_of_a_label_and_a_threshold_that_is_good_already_move_nothing() {
        let few: Vec<f32> = (0..40).map(|row| if row < 9 { -1.0 } else { -2.0 }).collect();
        let has = |count: usize| (0..40).map(|row| row < count).collect::<Vec<bool>>();
        assert_eq!(fit_thresholds(&few, &has(9), 1), [THRESHOLD]);
        assert_eq!(fit_thresholds(&few, &has(31), 1), [THRESHOLD]);
        let ten: Vec<f32> = (0..40).map(|row| if row < 10 { -1.0 } else { -2.0 }).collect();
        assert_eq!(fit_thresholds(&ten, &has(10), 1), [0.5 * (sigmoid(-1.0) + sigmoid(-2.0))]);
        let apart: Vec<f32> = (0..40).map(|row| if row < 20 { 3.0 } else { -1.0 }).collect();
        assert_eq!(fit_thresholds(&apart, &has(20), 1), [THRESHOLD]);
        assert_eq!(fit_thresholds(&[f32::NAN; 40], &has(20), 1), [THRESHOLD]);
        assert!(fit_thresholds(&[], &[], 0).is_empty());
        assert_eq!(fit_thresholds(&[], &[], 2), [THRESHOLD; 2]);
    }

    #[test]
    fn what_is_undefined_is_no_number() {
        assert!(mean_average_precision(&[1.0, 2.0], &[false, false], 1).is_nan());
        assert!(average_precision(&[f32::NAN, 2.0], &[true, false]).is_nan());
        assert!(evaluate(&[], &[], 3, None).loss.is_nan());
        assert!(evaluate(&[], &[], 0, None).get(Metric::MacroF1).unwrap().is_nan());
        assert_eq!(micro_f1(&[false], &[false]), 0.0);
        assert!(binary_cross_entropy(&[f32::NAN], &[true]).is_nan());
        assert_eq!(predictions(&[f32::NAN, 0.0], 1, None), [false, true]);
        // Sure and wrong by so much that the probability is 0.
        assert!((binary_cross_entropy(&[-800.0], &[true]) - 800.0).abs() < 1e-9);
    }
}
