//! Whether answers have anything to do with labels.

use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::factorial::ln_factorial;

use crate::bootstrap::Draws;
use crate::classification::softmax;

/// How easily answers come about by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// The chance that answers without any relation to the labels look as good.
    pub p: f64,
    /// The smallest that this chance can be for any answers: one in the number of ways to put the labels in order. With few rows,
    /// or few of all classes but one, it is too large to prove anything.
    pub least: f64,
}

/// The tail of the normal distribution is trusted where no row alone makes more of the sum's deviation than this, as a part of its
/// standard deviation. With a rare class it would be too thin by orders of magnitude, and a bound takes its place.
const LARGEST_PART: f64 = 0.25;

/// The chance that answers without any relation to the labels look as good as `logits` `[rows, classes]` do for the classes
/// `gold`: a permutation test of the mean probability of the right class, in which no sure and wrong answer outweighs others.
/// Where none of `permutations` random orders of the labels looks as good, the chance is smaller than they can tell, and comes from
/// the normal distribution that the sum over permutations tends to (Hoeffding, "A Combinatorial Central Limit Theorem", 1951) or,
/// where few rows decide, from Bennett's bound ("Probability Inequalities for the Sum of Independent Random Variables", 1962), which
/// holds for draws without replacement as well (Hoeffding, 1963). None for what is no table of classified rows, or a logit that is
/// no number.
pub fn by_chance(logits: &[f32], classes: usize, gold: &[u32], permutations: usize, seed: u64) -> Option<Chance> {
    let rows = gold.len();
    let is_table = classes > 0
        && rows.checked_mul(classes) == Some(logits.len())
        && gold.iter().all(|&class| (class as usize) < classes)
        && logits.iter().all(|logit| logit.is_finite());
    if rows == 0 || !is_table {
        return None;
    }
    let scores = softmax(logits, classes);
    let score = |row: usize, class: u32| f64::from(scores[row * classes + class as usize]);
    let own: f64 = (0..rows).map(|row| score(row, gold[row])).sum();
    let mut draws = Draws::new(seed);
    let mut is_as_good = |_: &usize| {
        let order = draws.permutation(rows);
        let other: f64 = (0..rows).map(|row| score(row, gold[order[row]])).sum();
        // Sums in another order differ by rounding.
        other >= own - 1e-9 * own.abs()
    };
    let as_good = (0..permutations).filter(&mut is_as_good).count();
    let counted = (1 + as_good) as f64 / (1 + permutations) as f64;
    let score = if as_good == 0 { standard_score(&scores, classes, gold, own) } else { None };
    let p = score.map_or(counted, |score| counted.min(score.tail()));
    let least = least_chance(gold, classes)?;
    Some(Chance { p: p.max(least), least })
}

/// The chance that predictions without any relation to the targets of `rows` rows have as good a score: a permutation test
/// of any score of which more is better. `statistic` gives the score when the prediction of each row `r` is put beside the
/// target of row `order[r]`; the own score is that of the rows in their order. One is added to both counts (Phipson and
/// Smyth, "Permutation P-values Should Never Be Zero", 2010), so that the chance is never below 1 / (1 + `permutations`).
/// A score that is no number counts as good, against the predictions. None without rows, or when the own score is NaN.
pub fn by_permutation(
    rows: usize,
    permutations: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Option<f64> {
    let own = statistic(&(0..rows).collect::<Vec<usize>>());
    if rows == 0 || own.is_nan() {
        return None;
    }
    let mut draws = Draws::new(seed);
    // Sums in another order differ by rounding.
    let least = own - 1e-9 * own.abs();
    let as_good = (0..permutations)
        .filter(|_| {
            let other = statistic(&draws.permutation(rows));
            other >= least || other.is_nan()
        })
        .count();
    Some((1 + as_good) as f64 / (1 + permutations) as f64)
}

/// As [`Chance::least`]; none when a class is not below `classes`.
pub fn least_chance(gold: &[u32], classes: usize) -> Option<f64> {
    if gold.iter().any(|&class| class as usize >= classes) {
        return None;
    }
    let orders = ln_factorial(gold.len() as u64) - counts(gold, classes).into_iter().map(ln_factorial).sum::<f64>();
    Some((-orders).exp())
}

fn counts(gold: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    gold.iter().for_each(|&class| counts[class as usize] += 1);
    counts
}

/// Where a sum lies among those over all permutations.
struct StandardScore {
    /// How many standard deviations it lies above their mean.
    z: f64,
    /// The most that a single row adds to the deviation of any of them, as a part of the standard deviation.
    largest_part: f64,
}

impl StandardScore {
    /// The part of the sums that lie as high, or a bound of it.
    fn tail(&self) -> f64 {
        let Self { z, largest_part } = *self;
        if largest_part <= LARGEST_PART {
            return upper_tail(z);
        }
        let reach = (largest_part * z).max(0.0);
        (-((1.0 + reach) * reach.ln_1p() - reach) / largest_part.powi(2)).exp()
    }
}

/// None where the sum does not vary.
fn standard_score(scores: &[f32], classes: usize, gold: &[u32], own: f64) -> Option<StandardScore> {
    let rows = gold.len() as f64;
    let counts: Vec<f64> = counts(gold, classes).into_iter().map(|count| count as f64).collect();
    let mean_of = |products: &mut dyn Iterator<Item = f64>| products.sum::<f64>() / rows;
    let weighted = |row: &[f32]| mean_of(&mut row.iter().zip(&counts).map(|(score, count)| f64::from(*score) * count));
    let row_means: Vec<f64> = scores.chunks_exact(classes).map(weighted).collect();
    let mut class_means = vec![0.0; classes];
    for row in scores.chunks_exact(classes) {
        class_means.iter_mut().zip(row).for_each(|(mean, score)| *mean += f64::from(*score) / rows);
    }
    let grand = mean_of(&mut class_means.iter().zip(&counts).map(|(mean, count)| mean * count));
    let mut largest = 0.0f64;
    let deviation = |(row, mean): (&[f32], &f64)| -> f64 {
        let mut one = |class: usize| {
            let deviation = f64::from(row[class]) - mean - class_means[class] + grand;
            // A class without rows is never put beside one.
            largest = largest.max(if counts[class] > 0.0 { deviation.abs() } else { 0.0 });
            counts[class] * deviation.powi(2)
        };
        (0..classes).map(&mut one).sum()
    };
    let variance = scores.chunks_exact(classes).zip(&row_means).map(deviation).sum::<f64>() / (rows - 1.0);
    let deviation = variance.sqrt();
    (variance > 0.0).then(|| StandardScore { z: (own - rows * grand) / deviation, largest_part: largest / deviation })
}

/// How many times as much as that of the held-out rows the variance is, by as many training rows, that the luck of their labels'
/// order adds: labels in random order have some relation to the right ones. Measured: 0.3 to 2.4 (docs/experiments.md).
const ORDER_LUCK: f64 = 2.5;

/// The chance `p` of a relation to the labels of so many held-out rows, when the labels of the training rows may have been put in
/// random order: that order has a relation of its own, which no test of the held-out rows alone sees, and which shows the more
/// clearly the more of them there are.
pub fn after_order_luck(p: f64, held_out_rows: usize, train_rows: usize) -> f64 {
    if p <= f64::MIN_POSITIVE {
        return 0.0;
    }
    let z = std::f64::consts::SQRT_2 * erfc_inv(2.0 * p.min(1.0));
    upper_tail(z / (1.0 + ORDER_LUCK * held_out_rows as f64 / train_rows.max(1) as f64).sqrt())
}

fn upper_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits that lean to the right class by `lean`, in noise.
    fn answers(rows: usize, lean: f32, seed: u64) -> (Vec<f32>, Vec<u32>) {
        let mut draws = Draws::new(seed);
        let gold: Vec<u32> = (0..rows).map(|_| draws.below(3) as u32).collect();
        let logits = gold.iter().flat_map(|&class| {
            let noise = [0; 3].map(|_| draws.below(1000) as f32 / 500.0);
            (0..3).map(|c| noise[c] + if c == class as usize { lean } else { 0.0 }).collect::<Vec<f32>>()
        });
        let logits = logits.collect();
        (logits, gold)
    }

    fn p(logits: &[f32], gold: &[u32], permutations: usize, seed: u64) -> f64 {
        by_chance(logits, 3, gold, permutations, seed).unwrap().p
    }

    #[test]
    fn answers_without_relation_are_convicted_as_often_as_said() {
        let small = (0..200).filter(|&seed| {
            let (logits, gold) = answers(60, 0.0, seed);
            p(&logits, &gold, 199, seed) < 0.05
        });
        let count = small.count();
        assert!((2..=20).contains(&count), "{count} of 200");
    }

    #[test]
    fn the_normal_tail_goes_on_where_permutations_end() {
        let (logits, gold) = answers(300, 0.25, 5);
        let (few, many) = (p(&logits, &gold, 9, 1), p(&logits, &gold, 20_000, 1));
        assert!(few < 0.1 && many < 0.001, "{few} {many}");
        // Of the same size, which a wrong variance would not give.
        let tail = upper_tail(standard_score_of(&logits, &gold));
        assert!((0.3..3.0).contains(&(tail / many)), "{tail} {many}");
        let (sure, gold) = answers(300, 3.0, 6);
        assert!(p(&sure, &gold, 99, 1) < 1e-12);
    }

    fn standard_score_of(logits: &[f32], gold: &[u32]) -> f64 {
        let scores = softmax(logits, 3);
        let own = gold.iter().enumerate().map(|(row, &class)| f64::from(scores[row * 3 + class as usize])).sum();
        standard_score(&scores, 3, gold, own).unwrap().z
    }

    #[test]
    fn a_rare_class_that_is_caught_by_luck_is_no_proof() {
        // Of 2,000 rows 10 are rare; 20 are taken for rare, and two of these are: one in 250 such answers is as good (hypergeometric),
        // where the normal tail would say 1e-9.
        let gold: Vec<u32> = (0..2000).map(|row| u32::from(row < 10)).collect();
        let logits: Vec<f32> =
            (0..2000).flat_map(|row| [0.0, if row < 2 || (500..518).contains(&row) { 2.0 } else { -3.0 }]).collect();
        let found = |permutations: usize| by_chance(&logits, 2, &gold, permutations, 1).unwrap().p;
        assert!((1e-3..1e-2).contains(&found(9_999)), "{}", found(9_999));
        assert!(found(9) > 4e-3, "where no permutation is as good, the bound is none too low: {}", found(9));
    }

    #[test]
    fn a_rare_class_that_is_caught_is_proved_without_many_permutations() {
        // Nine of ten of a class of one in a hundred, with as many false alarms as misses.
        let gold: Vec<u32> = (0..5000u32).map(|row| u32::from(row.is_multiple_of(100))).collect();
        let is_taken = |row: u32| !row.is_multiple_of(1000) && (row.is_multiple_of(100) || row % 1000 == 1);
        let logits: Vec<f32> = (0..5000u32).flat_map(|row| [0.0, if is_taken(row) { 2.0 } else { -3.0 }]).collect();
        assert!(by_chance(&logits, 2, &gold, 99, 1).unwrap().p < 1e-20);
    }

    #[test]
    fn the_luck_of_an_order_leaves_less_of_a_proof_the_more_rows_are_looked_at() {
        assert!((after_order_luck(0.5, 300, 160) - 0.5).abs() < 1e-9);
        let p = 1e-12;
        let found = [10, 300, 3000].map(|rows| after_order_luck(p, rows, 160));
        assert!(found.is_sorted() && found[0] < 1e-9 && found[2] > 0.1, "{found:?}");
        assert!(after_order_luck(p, 300, 1_000_000) < 2.0 * p, "many rows to learn from leave little to luck");
        assert_eq!(after_order_luck(0.0, 300, 160), 0.0);
    }

    #[test]
    fn a_sure_and_wrong_answer_does_not_outweigh_others() {
        let (mut logits, gold) = answers(300, 1.0, 7);
        let before = p(&logits, &gold, 999, 1);
        // Ten rows of three hundred, wrong with a probability next to 1.
        for (row, &class) in gold.iter().enumerate().take(10) {
            logits[3 * row + class as usize] = -40.0;
        }
        let after = p(&logits, &gold, 999, 1);
        assert!(before < 1e-6 && after < 1e-4, "{before} {after}");
    }

    #[test]
    fn few_rows_or_one_class_prove_nothing() {
        // Right in every row, of 5 and 5: one in 252 orders.
        let gold = [0, 1].repeat(5);
        let logits: Vec<f32> = gold.iter().flat_map(|&class| [9.0 * (1 - class) as f32, 9.0 * class as f32]).collect();
        let found = by_chance(&logits, 2, &gold, 1999, 1).unwrap();
        assert!((found.least - 1.0 / 252.0).abs() < 1e-12 && found.p >= found.least, "{found:?}");
        let alone = by_chance(&[5.0, 0.0].repeat(40), 2, &[0; 40], 99, 1).unwrap();
        assert_eq!((alone.p, alone.least), (1.0, 1.0));
    }

    #[test]
    fn equal_answers_to_all_rows_prove_nothing() {
        let gold = [0, 1, 0, 1, 0, 0];
        assert_eq!(by_chance(&[1.0, 0.0].repeat(6), 2, &gold, 99, 1).unwrap().p, 1.0);
    }

    #[test]
    fn a_permutation_test_of_any_score_convicts_as_often_as_it_says() {
        let p = |seed: u64, lean: f64| {
            let mut draws = Draws::new(seed);
            let gold: Vec<f64> = (0..40).map(|_| draws.below(1000) as f64).collect();
            let predicted: Vec<f64> = gold.iter().map(|gold| lean * gold + draws.below(1000) as f64).collect();
            let score = |order: &[usize]| {
                let permuted: Vec<f64> = order.iter().map(|&row| gold[row]).collect();
                crate::regression::pearson(&predicted, &permuted)
            };
            by_permutation(gold.len(), 99, seed, score).unwrap()
        };
        let count = (0..200).filter(|&seed| p(seed, 0.0) <= 0.05).count();
        assert!((2..=20).contains(&count), "{count} of 200");
        assert_eq!(p(1, 3.0), 0.01);
        assert_eq!(by_permutation(3, 9, 1, |_| 0.5), Some(1.0));
        assert_eq!(by_permutation(0, 9, 1, |_| 0.5), None);
        assert_eq!(by_permutation(3, 9, 1, |_| f64::NAN), None);
        assert_eq!(by_permutation(3, 9, 1, |order| if order == [0, 1, 2] { 1.0 } else { f64::NAN }), Some(1.0));
    }

    #[test]
    fn what_is_no_table_has_no_chance() {
        for (logits, gold) in
            [(vec![], vec![]), (vec![1.0], vec![0]), (vec![1.0, f32::NAN], vec![0]), (vec![1.0; 2], vec![2])]
        {
            assert_eq!(by_chance(&logits, 2, &gold, 9, 1), None);
        }
    }
}
