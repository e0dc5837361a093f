//! Scores of a classifier: loss, accuracy, macro-F1 and the Matthews correlation.
//!
//! The definitions are scikit-learn's, so that a number printed here can be compared with a number printed by a Python
//! stack. Logits are row-major `[rows, classes]`; classes are numbered from zero. Counting is exact, sums are f64.
//!
//! Preconditions are the caller's: `gold` and `predicted` are equally long, `logits` holds `gold.len() * classes`
//! values. What a wrong length leaves over is not counted, and an undefined score is NaN or as documented; nothing
//! panics on a value.

/// The scores of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean cross-entropy in nats; NaN when a logit is NaN.
    pub loss: f64,
    /// The part of the rows that were right, in `[0, 1]`.
    pub accuracy: f64,
    /// Unweighted mean of the classes' F1, in `[0, 1]`.
    pub macro_f1: f64,
    /// Matthews correlation coefficient, in `[-1, 1]`.
    pub mcc: f64,
}

/// All scores of `logits` `[rows, classes]` against the classes `gold` `[rows]`.
pub fn evaluate(logits: &[f32], classes: usize, gold: &[u32]) -> Scores {
    let predicted = argmax(logits, classes);
    Scores {
        loss: cross_entropy(logits, classes, gold),
        accuracy: accuracy(gold, &predicted),
        macro_f1: macro_f1(gold, &predicted),
        mcc: matthews_correlation(gold, &predicted),
    }
}

/// The class with the largest logit of each row of `[rows, classes]`: the first among equals. NaN is never the largest;
/// a row of nothing but NaN is class 0.
pub fn argmax(logits: &[f32], classes: usize) -> Vec<u32> {
    rows(logits, classes).map(|row| largest(row) as u32).collect()
}

/// Probabilities `[rows, classes]` of the logits, computed in f64 from differences to each row's maximum.
pub fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    rows(logits, classes)
        .flat_map(|row| {
            let normaliser = log_sum_exp(row);
            row.iter().map(move |&logit| (f64::from(logit) - normaliser).exp() as f32)
        })
        .collect()
}

/// Mean over the rows of `log Σ exp(logits) − logit of the gold class`, in nats. NaN when there is no row, when a logit
/// is NaN, or when a gold class has no logit.
pub fn cross_entropy(logits: &[f32], classes: usize, gold: &[u32]) -> f64 {
    let sum: f64 = rows(logits, classes)
        .zip(gold)
        .map(|(row, &class)| row.get(class as usize).map_or(f64::NAN, |&logit| log_sum_exp(row) - f64::from(logit)))
        .sum();
    sum / gold.len() as f64
}

/// The part of the rows whose class was predicted; NaN when there is no row.
pub fn accuracy(gold: &[u32], predicted: &[u32]) -> f64 {
    let right = gold.iter().zip(predicted).filter(|(gold, predicted)| gold == predicted).count();
    right as f64 / gold.len() as f64
}

/// Unweighted mean of the F1 of the classes that occur in `gold` or in `predicted`, as scikit-learn's
/// `f1_score(average="macro")`; NaN when there is no row.
pub fn macro_f1(gold: &[u32], predicted: &[u32]) -> f64 {
    let Margins { right, gold, predicted } = margins(gold, predicted);
    let mut sum = 0.0;
    let mut occurring = 0_usize;
    for ((&right, &gold), &predicted) in right.iter().zip(&gold).zip(&predicted) {
        if gold + predicted > 0 {
            // 2 · precision · recall / (precision + recall), written without a division by zero.
            sum += 2.0 * right as f64 / (gold + predicted) as f64;
            occurring += 1;
        }
    }
    sum / occurring as f64
}

/// Matthews correlation for any number of classes: R_K of Gorodkin, "Comparing two K-category assignments by a
/// K-category correlation coefficient" (2004), as scikit-learn's `matthews_corrcoef`. Zero where it is undefined, which
/// is when all rows have one gold class or were given one class.
pub fn matthews_correlation(gold: &[u32], predicted: &[u32]) -> f64 {
    let rows = gold.len().min(predicted.len()) as f64;
    let Margins { right, gold, predicted } = margins(gold, predicted);
    let dot = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum::<f64>();
    let covariance = right.iter().sum::<u64>() as f64 * rows - dot(&gold, &predicted);
    let gold_variance = rows * rows - dot(&gold, &gold);
    let predicted_variance = rows * rows - dot(&predicted, &predicted);
    if gold_variance <= 0.0 || predicted_variance <= 0.0 {
        return 0.0;
    }
    covariance / (gold_variance.sqrt() * predicted_variance.sqrt())
}

/// How often gold class `i` was given class `j`, at `i * classes + j`: row-major `[classes, classes]`. A pair with a
/// class beyond `classes` is not counted.
pub fn confusion(gold: &[u32], predicted: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes * classes];
    for (&gold, &predicted) in gold.iter().zip(predicted) {
        let (gold, predicted) = (gold as usize, predicted as usize);
        if gold < classes && predicted < classes {
            counts[gold * classes + predicted] += 1;
        }
    }
    counts
}

/// Per class: rows that were right, rows that have it, rows that were given it.
struct Margins {
    right: Vec<u64>,
    gold: Vec<u64>,
    predicted: Vec<u64>,
}

fn margins(gold: &[u32], predicted: &[u32]) -> Margins {
    let classes = gold.iter().chain(predicted).max().map_or(0, |&class| class as usize + 1);
    let mut margins = Margins { right: vec![0; classes], gold: vec![0; classes], predicted: vec![0; classes] };
    for (&gold, &predicted) in gold.iter().zip(predicted) {
        margins.gold[gold as usize] += 1;
        margins.predicted[predicted as usize] += 1;
        if gold == predicted {
            margins.right[gold as usize] += 1;
        }
    }
    margins
}

/// The whole rows of a row-major matrix; none when it has no columns.
fn rows(logits: &[f32], classes: usize) -> impl Iterator<Item = &[f32]> {
    let whole = if classes == 0 { &[] } else { logits };
    whole.chunks_exact(classes.max(1))
}

fn largest(row: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &logit) in row.iter().enumerate() {
        if logit > best.1 {
            best = (class, logit);
        }
    }
    best.0
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let maximum = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    // An infinite maximum has no finite differences; the sum below would turn −∞ − −∞ into NaN anyway.
    maximum + row.iter().map(|&logit| (f64::from(logit) - maximum).exp()).sum::<f64>().ln()
}
