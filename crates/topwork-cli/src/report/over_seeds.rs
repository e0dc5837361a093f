//! Runs that were trained with several seeds, side by side: by how much their means differ, seed by seed.

use std::collections::BTreeMap;

use topwork::tune::run_directory::RunDirectory;
use topwork_metrics::paired::{PairedT, paired_t};

use super::compare::{meaning, p_value, points, range, rows_of};
use crate::page::{Column, Table, count};

/// Differences that are as equal as this leave no spread to measure chance by.
const EQUAL: f64 = 1e-9;
/// Fewer pairs have no spread.
const FEWEST_PAIRS: usize = 2;

/// Whether any of the runs was trained with several seeds.
pub(super) fn any(runs: &[RunDirectory]) -> bool {
    runs.iter().any(|run| run.results.seeds.is_some())
}

/// Each run less the first, over the seeds that both have; names are HTML. Nothing where no run has several seeds.
pub(super) fn differences(runs: &[RunDirectory], names: &[String]) -> String {
    let (Some(first), Some(first_name), true) = (runs.first(), names.first(), any(runs)) else { return String::new() };
    let columns = vec![
        Column::text("run"),
        Column::number("pairs"),
        Column::number("points"),
        Column::number("95 % interval"),
        Column::text("what it means"),
    ];
    let mut table = Table::new(format!("Mean accuracy over seeds, less that of {first_name}"), columns);
    for (run, name) in runs.iter().zip(names).skip(1) {
        let cells = match pairs(first, run) {
            Ok(pairs) => told(&pairs),
            Err(why) => ["–".to_string(), "–".to_string(), "–".to_string(), why.to_string()],
        };
        table.row([name.clone()].into_iter().chain(cells));
    }
    table.html()
        + "<p class=quiet>Trainings with the same seed are a pair (Student's test of pairs). It says whether the chance of seeds \
           makes the difference on these rows, and nothing about other rows; few pairs show only what is large.</p>\n"
}

/// The accuracies of both with each seed that they have in common, the first run's first; or why there are none.
fn pairs(first: &RunDirectory, second: &RunDirectory) -> Result<Vec<(f64, f64)>, &'static str> {
    let (Some(own), Some(others)) = (BySeed::of(first), BySeed::of(second)) else {
        return Err("one of the two was trained with one seed only");
    };
    if own.scored != others.scored {
        return Err("scored on other rows");
    }
    let pairs: Vec<(f64, f64)> =
        own.accuracies.iter().filter_map(|(seed, own)| Some((*own, *others.accuracies.get(seed)?))).collect();
    if pairs.len() < FEWEST_PAIRS {
        return Err("fewer than two seeds in common, so there are no pairs");
    }
    Ok(pairs)
}

/// A run that was trained with several seeds.
struct BySeed {
    /// The split, and what says which rows are in it.
    scored: Vec<Option<String>>,
    /// The accuracy with each seed.
    accuracies: BTreeMap<u64, f64>,
}

impl BySeed {
    /// None for a run with one seed.
    fn of(run: &RunDirectory) -> Option<Self> {
        let seeds = run.results.seeds.as_ref()?;
        let rows = rows_of(run, &seeds.split, seeds.scores.first()?.rows);
        let scored = [Some(seeds.split.clone())].into_iter().chain(rows).collect();
        let accuracies = seeds.scores.iter().map(|scores| scores.accuracy);
        Some(Self { scored, accuracies: seeds.numbers.iter().copied().zip(accuracies).collect() })
    }
}

/// How many pairs, the difference in points, its interval, and what it means.
fn told(pairs: &[(f64, f64)]) -> [String; 4] {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let number = count(pairs.len());
    let Some(PairedT { difference, interval, p, .. }) = paired_t(&second, &first) else {
        return [number, "–".to_string(), "–".to_string(), "an accuracy is no number".to_string()];
    };
    if interval.1 - interval.0 < EQUAL {
        let said = match difference.abs() < EQUAL {
            true => "the same with every seed",
            false => "as much with every seed, which leaves nothing to measure chance by",
        };
        return [number, points(difference), "–".to_string(), said.to_string()];
    }
    [number, points(difference), range(interval), format!("{} ({})", meaning(p, difference), p_value(p))]
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use topwork::events::SplitScores;
    use topwork::judge::repeats::Repeated;

    use super::super::compare::{BETTER, EVEN, WORSE};
    use super::super::sample;
    use super::*;

    /// A run with these accuracies, the first of which is that of `seed`.
    fn run(seed: u64, accuracies: &[f64]) -> RunDirectory {
        let mut run = sample::run(3, 8, "label");
        let own = run.results.train;
        run.results.seed = seed;
        let means = json!({"mean": 0.5});
        let repeated = json!({"split": "test", "scores": [], "numbers": [], "accuracy": means, "macro_f1": means});
        let repeated: Repeated = serde_json::from_value(repeated).expect("these are the fields of a repetition");
        let scores = accuracies.iter().map(|&accuracy| SplitScores { accuracy, ..own }).collect();
        let numbers = (seed..).take(accuracies.len()).collect();
        run.results.seeds = Some(Repeated { scores, numbers, ..repeated });
        run
    }

    fn names(runs: &[RunDirectory]) -> Vec<String> {
        (0..runs.len()).map(|nth| format!("run {nth}")).collect()
    }

    fn html(first: &RunDirectory, second: &RunDirectory) -> String {
        let runs = [first.clone(), second.clone()];
        differences(&runs, &names(&runs))
    }

    #[test]
    fn trainings_are_paired_by_their_seed_and_not_by_their_place() {
        let (first, second) = (run(42, &[0.1, 0.5, 0.6, 0.7]), run(43, &[0.55, 0.64, 0.76, 0.2]));
        assert_eq!(pairs(&first, &second), Ok(vec![(0.5, 0.55), (0.6, 0.64), (0.7, 0.76)]));
        let cells = told(&pairs(&first, &second).unwrap_or_default());
        let Some(found) = paired_t(&[0.55, 0.64, 0.76], &[0.5, 0.6, 0.7]) else { panic!("three pairs have a spread") };
        // A training that was interrupted leaves a gap.
        let mut gap = run(42, &[0.1, 0.6, 0.7]);
        if let Some(seeds) = &mut gap.results.seeds {
            seeds.numbers = vec![42, 44, 45];
        }
        assert_eq!(pairs(&gap, &second), Ok(vec![(0.6, 0.64), (0.7, 0.76)]));
        assert_eq!(cells, ["3".into(), "+5.0".into(), range(found.interval), format!("{BETTER} (p = {:.3})", found.p)]);
    }

    #[test]
    fn an_exchange_of_two_runs_turns_the_difference_round() {
        let (first, second) = (run(1, &[0.5, 0.6, 0.7]), run(1, &[0.55, 0.64, 0.76]));
        let cells =
            |html: String| (html.contains("+5.0"), html.contains("−5.0"), html.contains(BETTER), html.contains(WORSE));
        assert_eq!(cells(html(&first, &second)), (true, false, true, false));
        assert_eq!(cells(html(&second, &first)), (false, true, false, true));
        let uneven = html(&first, &run(1, &[0.7, 0.5, 0.71]));
        assert!(uneven.contains(EVEN) && !uneven.contains(BETTER), "{uneven}");
    }

    #[test]
    fn what_cannot_be_compared_is_said_and_not_compared() {
        let first = run(42, &[0.5, 0.6, 0.7]);
        let mut other_rows = run(42, &[0.6, 0.7, 0.9]);
        let of_test = |line: &&mut topwork::tune::run_directory::PlanLine| line.key == "test_sha256";
        other_rows.plan.iter_mut().filter(of_test).for_each(|line| line.value = Some("\"11\"".into()));
        let cases = [
            (run(45, &[0.6, 0.7, 0.9]), "fewer than two seeds in common"),
            (run(44, &[0.6, 0.7, 0.9]), "fewer than two seeds in common"),
            (other_rows, "scored on other rows"),
            (sample::run(3, 8, "label"), "one seed only"),
            (first.clone(), "the same with every seed"),
            (run(42, &[0.6, 0.7, 0.8]), "nothing to measure chance by"),
            (run(42, &[0.6, f64::NAN, 0.8]), "no number"),
        ];
        for (second, said) in cases {
            let html = html(&first, &second);
            assert!(html.contains(said), "{said}: {html}");
            assert!(![BETTER, WORSE, EVEN].iter().any(|verdict| html.contains(verdict)), "{said}: {html}");
        }
        let one_seed = sample::run(3, 8, "label");
        assert_eq!(html(&one_seed, &one_seed), "", "without several seeds there is nothing to say");
    }
}
