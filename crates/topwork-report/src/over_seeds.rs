//! Runs that were trained with several seeds, side by side: by how much their means differ, seed by seed.

use std::collections::BTreeMap;

use topwork::tune::finished_run::RunDirectory;
use topwork_metrics::Metric;
use topwork_metrics::paired::{PairedT, paired_t};

use crate::chance::{meaning, p_value, rows_of};
use crate::metric_text::{difference_bounds, difference_name, difference_text};
use crate::page::{Column, Table, count};

/// Differences that are as equal as this leave no spread to measure chance by.
const EQUAL: f64 = 1e-9;
/// Fewer pairs have no spread.
const FEWEST_PAIRS: usize = 2;

/// A run and the name that the page gives it, as HTML.
pub(crate) type Named<'a> = (&'a RunDirectory, &'a str);

/// Whether any of the runs was trained with several seeds.
pub(crate) fn any(runs: &[Named<'_>]) -> bool {
    runs.iter().any(|(run, _)| run.results.seeds.is_some())
}

/// Each run's metric less that of the first, over the seeds that both have. Nothing where no run has several seeds.
pub(crate) fn differences(metric: Metric, runs: &[Named<'_>]) -> String {
    let (Some((first, first_name)), true) = (runs.first(), any(runs)) else { return String::new() };
    let columns = vec![
        Column::text("run"),
        Column::number("pairs"),
        Column::number(difference_name(metric)),
        Column::number("95 % interval"),
        Column::text("what it means"),
    ];
    let label = metric.label();
    let mut table = Table::new(format!("Mean {label} over seeds, less that of {first_name}"), columns);
    for (run, name) in runs.iter().skip(1) {
        let cells = match pairs(metric, first, run) {
            Ok(pairs) => told(metric, &pairs),
            Err(why) => ["–".to_string(), "–".to_string(), "–".to_string(), why.to_string()],
        };
        table.row([name.to_string()].into_iter().chain(cells));
    }
    table.html()
        + "<p class=quiet>Trainings with the same seed are a pair (Student's test of pairs). It says whether the chance of seeds \
           makes the difference on these rows, and nothing about other rows; few pairs show only what is large.</p>\n"
}

/// The values of both with each seed that they have in common, the first run's first; or why there are none.
fn pairs(metric: Metric, first: &RunDirectory, second: &RunDirectory) -> Result<Vec<(f64, f64)>, &'static str> {
    let (Some(own), Some(others)) = (BySeed::of(metric, first), BySeed::of(metric, second)) else {
        return Err("one of the two was trained with one seed only");
    };
    if own.scored != others.scored {
        return Err("scored on other rows");
    }
    let pairs: Vec<(f64, f64)> =
        own.values.iter().filter_map(|(seed, own)| Some((*own, *others.values.get(seed)?))).collect();
    if pairs.len() < FEWEST_PAIRS {
        return Err("fewer than two seeds in common, so there are no pairs");
    }
    Ok(pairs)
}

/// A run that was trained with several seeds.
struct BySeed {
    /// The split, and what says which rows are in it.
    scored: Vec<Option<String>>,
    /// The metric's value with each seed.
    values: BTreeMap<u64, f64>,
}

impl BySeed {
    /// None for a run with one seed.
    fn of(metric: Metric, run: &RunDirectory) -> Option<Self> {
        let seeds = run.results.seeds.as_ref()?;
        let rows = rows_of(run, &seeds.split, seeds.scores.first()?.rows);
        let scored = [Some(seeds.split.clone())].into_iter().chain(rows).collect();
        let values = seeds.scores.iter().map(|scores| scores.value(metric));
        Some(Self { scored, values: seeds.numbers.iter().copied().zip(values).collect() })
    }
}

/// How many pairs, the difference, its interval, and what it means.
fn told(metric: Metric, pairs: &[(f64, f64)]) -> [String; 4] {
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let number = count(pairs.len());
    let Some(PairedT { difference, interval, p, .. }) = paired_t(&second, &first) else {
        return [number, "–".to_string(), "–".to_string(), "a score is no number".to_string()];
    };
    let difference_shown = difference_text(metric, difference);
    if interval.1 - interval.0 < EQUAL {
        let said = match difference.abs() < EQUAL {
            true => "the same with every seed",
            false => "as much with every seed, which leaves nothing to measure chance by",
        };
        return [number, difference_shown, "–".to_string(), said.to_string()];
    }
    let meaning = format!("{} ({})", meaning(metric, p, difference), p_value(p));
    [number, difference_shown, difference_bounds(metric, interval), meaning]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chance::{BETTER, EVEN, WORSE};
    use crate::sample;

    /// A run with these accuracies, the first of which is that of `seed`.
    fn run(seed: u64, accuracies: &[f64]) -> RunDirectory {
        let mut run = sample::run(3, 8, "label");
        run.results.seed = seed;
        let scores = |accuracy: &f64| json!({"rows": 1000, "loss": 0.5, "accuracy": accuracy, "macro_f1": 0.5});
        let scores: Vec<serde_json::Value> = accuracies.iter().map(scores).collect();
        let numbers: Vec<u64> = (seed..).take(accuracies.len()).collect();
        let repeated = json!({"split": "test", "scores": scores, "numbers": numbers});
        run.results.seeds = Some(serde_json::from_value(repeated).expect("these are the fields of a repetition"));
        run
    }

    fn html(first: &RunDirectory, second: &RunDirectory) -> String {
        differences(Metric::Accuracy, &[(first, "run 0"), (second, "run 1")])
    }

    #[test]
    fn trainings_are_paired_by_their_seed_and_not_by_their_place() {
        let (first, second) = (run(42, &[0.1, 0.5, 0.6, 0.7]), run(43, &[0.55, 0.64, 0.76, 0.2]));
        assert_eq!(pairs(Metric::Accuracy, &first, &second), Ok(vec![(0.5, 0.55), (0.6, 0.64), (0.7, 0.76)]));
        let cells = told(Metric::Accuracy, &pairs(Metric::Accuracy, &first, &second).unwrap_or_default());
        let Some(found) = paired_t(&[0.55, 0.64, 0.76], &[0.5, 0.6, 0.7]) else { panic!("three pairs have a spread") };
        // A training that was interrupted leaves a gap.
        let mut gap = run(42, &[0.1, 0.6, 0.7]);
        if let Some(seeds) = &mut gap.results.seeds {
            seeds.numbers = vec![42, 44, 45];
        }
        assert_eq!(pairs(Metric::Accuracy, &gap, &second), Ok(vec![(0.6, 0.64), (0.7, 0.76)]));
        assert_eq!(
            cells,
            [
                "3".into(),
                "+5.0".into(),
                difference_bounds(Metric::Accuracy, found.interval),
                format!("{BETTER} (p = {:.3})", found.p)
            ]
        );
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
        let of_test = |line: &&mut topwork::tune::finished_run::PlanLine| line.key == "test_sha256";
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
