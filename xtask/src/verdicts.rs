//! Whether verdicts are right: the sweep of `verdicts.py`, judged by where the scores really peak.
//!
//! In a group of runs that differ in the learning rate alone, both scores, on the new task and on what was known, are put on a
//! scale from the lowest to the highest of the group's rates, and added. The rate with the highest sum is right, and so is one of
//! which the seeds show that it falls short of it by no more than [`MARGIN`]. One of which they show that it does fall short is too
//! low or too high, by the side on which it lies. Of the others the scores decide nothing: that no difference is seen in five
//! seeds does not prove that there is none.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use topwork::judge::{LearningRateFinding, OverfittingFinding, Verdict};

/// Differences of the sum, which is 2 where both scores are best, that are noise whatever the spread of the seeds says.
const NOISE: f64 = 0.06;
/// A tenth of both scores' range: a rate that falls short by no more is as good.
const MARGIN: f64 = 0.2;
/// Standard errors within which a mean is known.
const ERRORS: f64 = 2.0;
/// The seed whose runs the verdict's lines were read off.
const READ_OFF: u64 = 0;

/// A run of the sweep.
struct Run {
    /// Model, set and epochs.
    group: (String, String, u64),
    seed: u64,
    rate: f64,
    accuracy: f64,
    /// The score on what was known; higher is better.
    kept: f64,
    verdict: Verdict,
    is_permuted: bool,
}

impl Run {
    fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let number = |key: &str| value[key].as_f64().with_context(|| format!("a line has no {key}"));
        let mut verdict: Verdict = serde_json::from_value(value["verdict"].clone())?;
        // By the rules at hand, not by those of the binary that ran.
        verdict.judge_again();
        let kept = match (verdict.forgetting.old_task_accuracy, verdict.forgetting.masked_lm_loss) {
            (Some(accuracy), _) => accuracy.after,
            (None, Some(loss)) => -loss.after,
            (None, None) => anyhow::bail!("a run measured nothing that was known"),
        };
        Ok(Self {
            group: (text("model"), text("set"), value["epochs"].as_u64().unwrap_or(0)),
            seed: value["seed"].as_u64().unwrap_or(0),
            rate: number("rate")?,
            accuracy: number("accuracy")?,
            kept,
            is_permuted: value["permuted"].as_bool().unwrap_or(false),
            verdict,
        })
    }
}

/// A learning rate in a group.
struct Rate<'a> {
    rate: f64,
    runs: Vec<&'a Run>,
}

impl Rate<'_> {
    fn mean(&self, of: fn(&Run) -> f64) -> f64 {
        self.runs.iter().map(|run| of(run)).sum::<f64>() / self.runs.len() as f64
    }

    /// By how much the value is below the best rate's, seed by seed: the mean, and its standard error.
    fn shortfall(&self, best: &Self, of: &dyn Fn(&Run) -> f64) -> (f64, f64) {
        let difference = |run: &&Run| {
            let other = best.runs.iter().find(|other| other.seed == run.seed)?;
            Some(of(other) - of(run))
        };
        let differences: Vec<f64> = self.runs.iter().filter_map(difference).collect();
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        (mean, (variance / count).sqrt())
    }

    /// Whether the value is below the best rate's by more than noise.
    fn falls_short(&self, best: &Self, of: &dyn Fn(&Run) -> f64, noise: f64) -> bool {
        let (mean, error) = self.shortfall(best, of);
        mean > noise.max(ERRORS * error)
    }
}

/// What the scores of a group say.
struct Truth {
    /// Of each rate, ascending; none where they do not decide.
    findings: Vec<Option<LearningRateFinding>>,
    /// Whether the new task tells the lowest rate from the best at all.
    is_told: bool,
}

fn truth(rates: &[Rate<'_>]) -> Truth {
    let scale = |of: fn(&Run) -> f64| {
        let means = || rates.iter().map(move |rate| rate.mean(of));
        let (low, high) = (means().fold(f64::MAX, f64::min), means().fold(f64::MIN, f64::max));
        move |value: f64| if high > low { (value - low) / (high - low) } else { 1.0 }
    };
    let (accuracy, kept) = (scale(|run| run.accuracy), scale(|run| run.kept));
    let sum = |run: &Run| accuracy(run.accuracy) + kept(run.kept);
    let mean = |rate: &Rate<'_>| rate.runs.iter().map(|run| sum(run)).sum::<f64>() / rate.runs.len() as f64;
    let place = |of: &dyn Fn(&Rate<'_>) -> f64| {
        (0..rates.len()).max_by(|&a, &b| of(&rates[a]).total_cmp(&of(&rates[b]))).unwrap_or(0)
    };
    let best = place(&mean);
    let finding = |(nth, rate): (usize, &Rate<'_>)| {
        let (mean, error) = rate.shortfall(&rates[best], &sum);
        match rate.falls_short(&rates[best], &sum, NOISE) {
            true if nth < best => Some(LearningRateFinding::TooLow),
            true => Some(LearningRateFinding::TooHigh),
            false => (nth == best || mean + ERRORS * error <= MARGIN).then_some(LearningRateFinding::Right),
        }
    };
    let most_accurate = place(&|rate| rate.mean(|run| run.accuracy));
    let is_told = rates[0].falls_short(&rates[most_accurate], &|run| run.accuracy, 0.02);
    Truth { findings: rates.iter().enumerate().map(finding).collect(), is_told }
}

/// Prints the tables.
#[expect(clippy::print_stdout, reason = "a table for people")]
pub(crate) fn table(results: &Path) -> Result<()> {
    let text = std::fs::read_to_string(results).with_context(|| results.display().to_string())?;
    let runs = text.lines().map(Run::parse).collect::<Result<Vec<Run>>>()?;
    let mut groups: BTreeMap<&(String, String, u64), Vec<&Run>> = BTreeMap::new();
    runs.iter().filter(|run| !run.is_permuted).for_each(|run| groups.entry(&run.group).or_default().push(run));
    println!("| model | set | epochs | rate | runs | accuracy | kept | by the scores | verdicts | agree |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let [mut decided, mut of_others, mut of_all, mut of_told] = [(); 4].map(|()| Agreement::default());
    for ((model, set, epochs), runs) in groups {
        let mut by_rate: BTreeMap<u64, Vec<&Run>> = BTreeMap::new();
        runs.iter().for_each(|run| by_rate.entry((run.rate * 1e9).round() as u64).or_default().push(run));
        let rates: Vec<Rate<'_>> = by_rate.into_values().map(|runs| Rate { rate: runs[0].rate, runs }).collect();
        let Truth { findings, is_told } = truth(&rates);
        for (rate, truth) in rates.iter().zip(findings) {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for run in &rate.runs {
                *counts.entry(run.verdict.learning_rate.finding.name()).or_default() += 1;
            }
            let found = |run: &Run| run.verdict.learning_rate.finding;
            for run in &rate.runs {
                // By the rule that takes every rate for right that is not seen to fall short.
                let agrees = found(run) == truth.unwrap_or(LearningRateFinding::Right);
                of_all.count(agrees);
                if is_told {
                    of_told.count(agrees);
                }
                if truth.is_some() {
                    decided.count(agrees);
                }
                if truth.is_some() && run.seed != READ_OFF {
                    of_others.count(agrees);
                }
            }
            let agree = match truth {
                Some(truth) => {
                    let agree = rate.runs.iter().filter(|run| found(run) == truth).count();
                    format!("{agree}/{}", rate.runs.len())
                }
                None => "–".to_string(),
            };
            let verdicts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
            println!(
                "| {model} | {set} | {epochs} | {:.0e} | {} | {:.1} | {:.2} | {}{} | {} | {agree} |",
                rate.rate,
                rate.runs.len(),
                100.0 * rate.mean(|run| run.accuracy),
                rate.mean(|run| run.kept),
                truth.map_or("not decided", LearningRateFinding::name),
                if is_told { "" } else { " (the lowest rate is as good as the best)" },
                verdicts.join(", ")
            );
        }
    }
    println!("\nThe verdict on the learning rate agrees with the scores in {decided} runs at rates that they decide;");
    println!("with seeds other than {READ_OFF}, off whose runs its lines were read, in {of_others}.");
    println!("Were every rate right that is not seen to fall short, in {of_all} of all runs,");
    println!("and in {of_told} where the new task tells the lowest rate from the best at all.");
    overfitting(&runs);
    Ok(())
}

/// How many of so many.
#[derive(Default)]
struct Agreement {
    agree: usize,
    all: usize,
}

impl Agreement {
    fn count(&mut self, agrees: bool) {
        (self.agree, self.all) = (self.agree + usize::from(agrees), self.all + 1);
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = 100.0 * self.agree as f64 / self.all.max(1) as f64;
        write!(f, "{} of {} ({share:.0} %)", self.agree, self.all)
    }
}

/// Whether runs on labels in random order are told from honest ones, as the runs themselves found.
#[expect(clippy::print_stdout, reason = "a table for people")]
fn overfitting(runs: &[Run]) {
    let (permuted, honest): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.is_permuted);
    let is_twin = |run: &&&Run| {
        let twin = |other: &&&Run| other.group == run.group && other.seed == run.seed && other.rate == run.rate;
        permuted.iter().any(|other| twin(&other))
    };
    let twins: Vec<&Run> = honest.iter().filter(is_twin).copied().collect();
    println!("\n| runs | memorised | nothing_learnt | unknown | overfits | generalises |");
    println!("|---|---|---|---|---|---|");
    for (name, runs) in
        [("labels in random order", &permuted), ("honest, same settings", &twins), ("all honest", &honest)]
    {
        let count = |finding: OverfittingFinding| {
            runs.iter().filter(|run| run.verdict.overfitting.finding == finding).count().to_string()
        };
        use OverfittingFinding::{Generalises, Memorised, NothingLearnt, Overfits, Unknown};
        let counts = [Memorised, NothingLearnt, Unknown, Overfits, Generalises].map(count).join(" | ");
        println!("| {name}: {} | {counts} |", runs.len());
    }
    println!("\nHonest runs that are said to have memorised or learnt nothing:\n");
    println!("| model | set | epochs | rate | seed | held-out accuracy | p | finding |");
    println!("|---|---|---|---|---|---|---|---|");
    for run in honest {
        let overfitting = &run.verdict.overfitting;
        if matches!(overfitting.finding, OverfittingFinding::Memorised | OverfittingFinding::NothingLearnt) {
            let (model, set, epochs) = &run.group;
            println!(
                "| {model} | {set} | {epochs} | {:.0e} | {} | {:.1} | {:.2} | {} |",
                run.rate,
                run.seed,
                100.0 * run.accuracy,
                overfitting.p_chance.unwrap_or(f64::NAN),
                overfitting.finding.name()
            );
        }
    }
}
