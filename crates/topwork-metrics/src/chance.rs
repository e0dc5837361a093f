//! Whether answers have anything to do with labels.

use statrs::function::erf::erfc;

use crate::bootstrap::Draws;
use crate::classification::softmax;

/// The least probability that counts: a sure answer that is wrong would outweigh all others.
const LEAST: f64 = 1e-9;

/// The chance that answers without any relation to the labels look as good as `logits` `[rows, classes]` do for the classes
/// `gold`: a permutation test of the mean log-probability of the right class. Where none of `permutations` random orders of the
/// labels looks as good, the chance is smaller than they can tell, and comes from the normal distribution that the sum over
/// permutations tends to (Hoeffding, "A Combinatorial Central Limit Theorem", 1951). 1 where there are fewer than two rows.
pub fn p_by_chance(logits: &[f32], classes: usize, gold: &[u32], permutations: usize, seed: u64) -> f64 {
    let rows = gold.len();
    if rows < 2 || classes == 0 || logits.len() < rows * classes || gold.iter().any(|&class| class as usize >= classes)
    {
        return 1.0;
    }
    let scores: Vec<f64> = softmax(logits, classes).iter().map(|p| f64::from(*p).max(LEAST).ln()).collect();
    let score = |row: usize, class: u32| scores[row * classes + class as usize];
    let own: f64 = (0..rows).map(|row| score(row, gold[row])).sum();
    let mut draws = Draws::new(seed);
    let as_good = (0..permutations)
        .filter(|_| {
            let order = draws.permutation(rows);
            let other: f64 = (0..rows).map(|row| score(row, gold[order[row]])).sum();
            // Sums in another order differ by rounding.
            other >= own - 1e-9 * own.abs()
        })
        .count();
    let counted = (1 + as_good) as f64 / (1 + permutations) as f64;
    match as_good {
        0 => standard_score(&scores, classes, gold, own).map_or(counted, |z| counted.min(upper_tail(z))),
        _ => counted,
    }
}

/// How many standard deviations the sum lies above its mean over all permutations; none where it does not vary.
fn standard_score(scores: &[f64], classes: usize, gold: &[u32], own: f64) -> Option<f64> {
    let rows = gold.len() as f64;
    let mut counts = vec![0.0; classes];
    gold.iter().for_each(|&class| counts[class as usize] += 1.0);
    let weighted = |row: &[f64]| row.iter().zip(&counts).map(|(score, count)| score * count).sum::<f64>() / rows;
    let row_means: Vec<f64> = scores.chunks_exact(classes).map(weighted).collect();
    let mut class_means = vec![0.0; classes];
    for row in scores.chunks_exact(classes) {
        class_means.iter_mut().zip(row).for_each(|(mean, score)| *mean += score / rows);
    }
    let grand = weighted(&class_means);
    let deviation = |(row, mean): (&[f64], &f64)| -> f64 {
        let one = |class: usize| counts[class] * (row[class] - mean - class_means[class] + grand).powi(2);
        (0..classes).map(one).sum()
    };
    let variance = scores.chunks_exact(classes).zip(&row_means).map(deviation).sum::<f64>() / (rows - 1.0);
    (variance > 0.0).then(|| (own - rows * grand) / variance.sqrt())
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

    #[test]
    fn answers_without_relation_are_convicted_as_often_as_said() {
        let small = (0..200).filter(|&seed| {
            let (logits, gold) = answers(60, 0.0, seed);
            p_by_chance(&logits, 3, &gold, 199, seed) < 0.05
        });
        let count = small.count();
        assert!((2..=20).contains(&count), "{count} of 200");
    }

    #[test]
    fn the_normal_tail_goes_on_where_permutations_end() {
        let (logits, gold) = answers(300, 0.25, 5);
        let (few, many) = (p_by_chance(&logits, 3, &gold, 9, 1), p_by_chance(&logits, 3, &gold, 20_000, 1));
        assert!(few < 0.1 && many < 0.001, "{few} {many}");
        // Of the same size, which a wrong variance would not give.
        let ratio = standard_score_of(&logits, &gold);
        assert!((0.3..3.0).contains(&(upper_tail(ratio) / many)), "{} {many}", upper_tail(ratio));
        let (sure, gold) = answers(300, 3.0, 6);
        assert!(p_by_chance(&sure, 3, &gold, 99, 1) < 1e-12);
    }

    fn standard_score_of(logits: &[f32], gold: &[u32]) -> f64 {
        let scores: Vec<f64> = softmax(logits, 3).iter().map(|p| f64::from(*p).ln()).collect();
        let own = gold.iter().enumerate().map(|(row, &class)| scores[row * 3 + class as usize]).sum();
        standard_score(&scores, 3, gold, own).unwrap()
    }

    #[test]
    fn equal_answers_to_all_rows_prove_nothing() {
        let gold = [0, 1, 0, 1, 0, 0];
        assert_eq!(p_by_chance(&[1.0, 0.0].repeat(6), 2, &gold, 99, 1), 1.0);
        assert_eq!(p_by_chance(&[], 2, &[], 99, 1), 1.0);
    }
}
