use super::*;
use topwork_metrics::TaskScores;

use crate::events::MetricScores;
use crate::events::trace::EvaluationTrace;

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
    judge(2, train, 200, Some(held_out), &Trace::default())
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
fn a_relation_that_gets_no_more_rows_right_than_guessing_may_be_luck() {
    let accuracies = Accuracies {
        train: 1.0,
        held_out: 0.3,
        train_rows: 160,
        held_out_rows: 300,
        chosen_among: 1,
        train_by_guessing: 0.3,
        held_out_by_guessing: 0.28,
    };
    let found = |accuracies: Accuracies, p: f64| {
        let mut overfitting = Overfitting { accuracies: Some(accuracies), p_chance: Some(p), ..unknown(String::new()) };
        overfitting.judge();
        overfitting.finding
    };
    assert_eq!(found(accuracies, 0.1), OverfittingFinding::Memorised);
    assert_eq!(found(accuracies, 1e-6), OverfittingFinding::Unknown);
    assert_eq!(found(accuracies, 1e-20), OverfittingFinding::Generalises);
    // More rows show the luck of an order more clearly, and it stays luck.
    assert_eq!(found(Accuracies { held_out_rows: 3000, ..accuracies }, 1e-20), OverfittingFinding::Unknown);
    assert_eq!(
        found(Accuracies { held_out_rows: 3000, held_out: 0.31, ..accuracies }, 1e-20),
        OverfittingFinding::Unknown
    );
    let right = Accuracies { held_out: 0.45, ..accuracies };
    assert_eq!(found(right, 1e-6), OverfittingFinding::Generalises);
    assert_eq!(found(right, 0.01), OverfittingFinding::Unknown);
    // The best of twenty looks at these rows.
    assert_eq!(found(Accuracies { held_out: 0.42, chosen_among: 20, ..accuracies }, 1e-6), OverfittingFinding::Unknown);
    let still = Accuracies { train: 0.32, held_out: 0.28, ..accuracies };
    assert_eq!(found(still, 0.5), OverfittingFinding::NothingLearnt);
    // Half known is not known.
    let half = Accuracies { train: 0.5, ..accuracies };
    assert_eq!(found(half, 0.5), OverfittingFinding::Unknown);
}

#[test]
fn few_rows_without_a_sign_accuse_nobody() {
    // Seven of ten are right, of twenty and of two hundred: chance is not ruled out by the first.
    let few = judged_with(20, |row| row % 10 < 3);
    assert_eq!(few.finding, OverfittingFinding::Unknown, "{}", few.sentence);
    assert!(few.p_chance.unwrap() > UNCONVINCING, "{}", few.sentence);
    assert_eq!(judged_with(200, |row| row % 10 < 3).finding, OverfittingFinding::Overfits);
    assert_eq!(judged_with(200, |row| row % 10 < 5).finding, OverfittingFinding::Memorised);
}

/// A model that knows its training rows, and so many held-out rows of which these are wrong.
fn judged_with(rows: usize, is_wrong: fn(usize) -> bool) -> Overfitting {
    let (train_logits, train_gold) = answers(200, 1000);
    let gold: Vec<u32> = (0..rows).map(|row| (row / 10 % 2) as u32).collect();
    let logits: Vec<f32> = gold
        .iter()
        .enumerate()
        .flat_map(|(row, &class)| {
            let said = if is_wrong(row) { 1 - class } else { class };
            [2.0 * (1 - said) as f32, 2.0 * said as f32]
        })
        .collect();
    let train = Answers { logits: &train_logits, gold: &train_gold };
    let held_out = HeldOut { name: "test", answers: Answers { logits: &logits, gold: &gold }, chosen_among: 1 };
    judge(2, train, 200, Some(held_out), &Trace::default())
}

#[test]
fn weights_that_were_chosen_among_many_have_to_be_better() {
    let one = judged(1000, 4, 1);
    assert_eq!(one.finding, OverfittingFinding::Overfits);
    for p in [0.01, 0.1] {
        let among = (p / one.p_chance.unwrap()) as usize;
        let many = judged(1000, 4, among);
        assert!((many.p_chance.unwrap() / one.p_chance.unwrap() / among as f64 - 1.0).abs() < 1e-6);
        // Three of four are right, which is too much of what was learnt to call it memory.
        assert_eq!(many.finding, OverfittingFinding::Unknown);
    }
}

#[test]
fn rows_that_cannot_prove_anything_accuse_nobody() {
    let (logits, gold) = answers(200, 1000);
    let train = Answers { logits: &logits, gold: &gold };
    let right = |gold: &[u32]| -> Vec<f32> {
        gold.iter().flat_map(|&class| [9.0 * (1 - class) as f32, 9.0 * class as f32]).collect()
    };
    let found = |gold: &[u32], chosen_among: usize| {
        let logits = right(gold);
        let answers = Answers { logits: &logits, gold };
        judge(2, train, 200, Some(HeldOut { name: "validation", answers, chosen_among }), &Trace::default())
    };
    let few = found(&[0, 1].repeat(5), 1);
    assert_eq!(few.finding, OverfittingFinding::Unknown);
    assert!(few.sentence.contains("10 validation rows are too few"), "{}", few.sentence);
    let alone = found(&[1; 50], 1);
    assert!(alone.sentence.contains("50 validation rows are of one class"), "{}", alone.sentence);
    // Seven and seven have 3,432 orders: enough for one look at them, not for four.
    assert_eq!(
        found(&[0, 1].repeat(7), 1).finding,
        OverfittingFinding::Generalises,
        "{:?}",
        found(&[0, 1].repeat(7), 1)
    );
    assert_eq!(found(&[0, 1].repeat(7), 4).finding, OverfittingFinding::Unknown);
}

#[test]
fn without_rows_to_compare_with_nothing_is_said() {
    let (logits, gold) = answers(50, 3);
    let train = Answers { logits: &logits, gold: &gold };
    let few = Answers { logits: &logits[..8], gold: &gold[..4] };
    let few = Some(HeldOut { name: "validation", answers: few, chosen_among: 1 });
    for (held_out, said) in [(None, "no answers to held-out rows"), (few, "4 validation rows are too few")] {
        let found = judge(2, train, 200, held_out, &Trace::default());
        assert_eq!(found.finding, OverfittingFinding::Unknown);
        assert!(found.sentence.contains(said), "{}", found.sentence);
    }
}

#[test]
fn a_loss_that_rose_again_is_told() {
    let evaluation = |rise: f64| {
        move |(step, loss): (usize, f64)| EvaluationTrace {
            step,
            epoch: step as f64,
            split: "validation".into(),
            scores: MetricScores(TaskScores {
                loss,
                values: vec![(Metric::Accuracy, 0.5 + rise * step as f64), (Metric::MacroF1, 0.5)],
            }),
        }
    };
    let step = crate::events::trace::StepTrace { step: 3, epoch: 3.0, loss: 0.1, learning_rate: 0.1, grad_norm: 1.0 };
    let trace = |losses: [f64; 3], rise: f64| Trace {
        steps: vec![step],
        evaluations: (1..).zip(losses).map(evaluation(rise)).collect(),
        blocks: Vec::new(),
    };
    let found = turned(&trace([0.5, 0.4, 0.6], 0.0)).unwrap();
    assert_eq!((found.epoch, found.lowest, found.last), (2.0, 0.4, 0.6));
    assert!(found.sentence().contains("only made it surer"));
    let risen = turned(&trace([0.5, 0.4, 0.6], 0.1)).unwrap();
    assert!(risen.sentence().contains("(70.0 % → 80.0 %)"), "{}", risen.sentence());
    assert_eq!(turned(&trace([0.6, 0.5, 0.51], 0.0)), None);
}

#[test]
fn of_a_score_only_what_a_guess_does_not_get_counts() {
    let gap = |value: f64| Estimate { value, interval: (value - 0.02, value + 0.02) };
    let score = |train: f64, held_out: f64, guessing: f64| ScoreGap {
        metric: Metric::MicroF1,
        train,
        held_out,
        rows: 200,
        train_by_guessing: guessing,
        held_out_by_guessing: guessing,
        gap: gap(train - held_out),
    };
    // One label for everything has a good score where half of the rows have it, on all rows alike.
    assert_eq!(found_by_score(&score(0.6, 0.6, 0.6), 1.0), OverfittingFinding::NothingLearnt);
    assert_eq!(found_by_score(&score(0.6, 0.6, 0.0), 1.0), OverfittingFinding::Unknown, "no gap is no memory");
    assert_eq!(found_by_score(&score(0.98, 0.6, 0.6), 0.4), OverfittingFinding::Memorised);
    assert_eq!(found_by_score(&score(0.98, 0.9, 0.6), 1e-6), OverfittingFinding::Overfits);
    assert_eq!(found_by_score(&score(0.92, 0.9, 0.6), 1e-6), OverfittingFinding::Generalises);
    assert_eq!(found_by_score(&score(0.05, 0.0, 0.0), 0.5), OverfittingFinding::NothingLearnt);
}
