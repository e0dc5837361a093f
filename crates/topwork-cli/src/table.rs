//! Tables for people.

use std::fmt::Write;
use std::path::Path;

use topwork::events::{SplitScores, shown};
use topwork::judge::repeats::{Mean, Repeated};
use topwork::judge::transfer::{Contender, Transfer};
use topwork::pretrain::results::PretrainResults;
use topwork::run::proofs::Proofs;
use topwork::session::inputs::Inputs;
use topwork::tune::results::Results;
use topwork_metrics::Metric;

/// What a run measured.
pub(crate) fn results(output_dir: &Path, results: &Results) -> String {
    let splits =
        [("train", Some(&results.train)), ("validation", results.validation.as_ref()), ("test", results.test.as_ref())];
    let splits: Vec<_> = splits.into_iter().filter_map(|(name, scores)| Some((name, scores?))).collect();
    let mut text = scores(&splits);
    let _ = write!(
        text,
        "\n{} steps and {} tokens in {:.1} s, {:.1} s in all ({:.0} tokens/s",
        results.steps, results.tokens, results.seconds.train, results.seconds.total, results.tokens_per_second,
    );
    if let Some(megabytes) = results.peak_rss_mb {
        let _ = write!(text, ", {megabytes:.0} MB at most");
    }
    text.push_str(")\n");
    if let Some(best) = &results.best {
        let _ = writeln!(text, "kept: the weights of step {}, with the best validation {}", best.step, best.metric);
    }
    proved_and_saved(&mut text, &results.proofs, output_dir);
    if let Some(transfer) = &results.transfer {
        text.push_str(&bought(transfer));
    }
    text.push_str(&repeated(results));
    text.push_str(&verdict(results));
    text
}

/// Letters of a line, where a sentence is broken.
const LINE: usize = 108;
/// Where sentences begin.
const INDENT: usize = 15;

/// What the run says of itself.
fn verdict(results: &Results) -> String {
    let mut text = String::from("\n");
    for leaked in &results.leaks {
        text.push_str(&said("leaked rows", &leaked.sentence));
    }
    if let Some(labels) = &results.pseudo_labels {
        text.push_str(&said("unlabelled", &labels.sentence));
    }
    if let Some(choice) = &results.floor_choice {
        text.push_str(&said("kept", &choice.sentence));
    }
    if let Some(floor) = &results.floor {
        text.push_str(&said("floor", &floor.sentence));
    }
    for (name, _, sentence) in results.verdict.parts() {
        text.push_str(&said(&name.replace('_', " "), sentence));
    }
    if let Some(calibration) = &results.calibration {
        text.push_str(&said("confidence", &calibration.sentence()));
    }
    if !results.not_applicable.is_empty() {
        let parts: Vec<&str> = results.not_applicable.iter().map(|(part, _)| part.as_ref()).collect();
        text.push_str(&said("left out", &format!("{}; the report says why", parts.join(", "))));
    }
    text
}

/// A name, and beside it a sentence on as many lines as it takes.
fn said(name: &str, sentence: &str) -> String {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut().filter(|_| last == 0 || INDENT + last + 1 + word.chars().count() <= LINE) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_string()),
        }
    }
    let name = std::iter::once(name).chain(std::iter::repeat(""));
    name.zip(lines).map(|(name, line)| format!("{name:<INDENT$}{line}\n")).collect()
}

/// The same training again: with other seeds, on folds, on labels in random order.
fn repeated(results: &Results) -> String {
    let with_interval = |metric: Metric, mean: &Mean| match mean.interval {
        Some((low, high)) => {
            let bound = |value: f64| shown(metric, value).trim_end_matches(" %").to_string();
            format!("{} {} ({} to {})", metric.label(), shown(metric, mean.mean), bound(low), bound(high))
        }
        None => format!("{} {}", metric.label(), shown(metric, mean.mean)),
    };
    let mut text = String::new();
    let mut line = |what: String, repeated: &Repeated| {
        let metrics = repeated.metrics().into_iter().take(2);
        let means: Vec<String> = metrics.map(|metric| with_interval(metric, &repeated.mean(metric))).collect();
        let _ = writeln!(text, "{what}: {} on {} rows", means.join(", "), repeated.split);
    };
    if let Some(seeds) = &results.seeds {
        line(format!("{} seeds", seeds.scores.len()), seeds);
    }
    if let Some(folds) = &results.folds {
        line(format!("{} folds", folds.repeated.scores.len()), &folds.repeated);
    }
    if let Some(control) = &results.permuted_control {
        let (metric, value) = control.headline();
        let _ = writeln!(text, "labels in random order: {} {}", metric.label(), shown(metric, value));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// What transfer bought.
fn bought(transfer: &Transfer) -> String {
    let metrics: Vec<Metric> = transfer.contenders.first().map_or(Vec::new(), Contender::metrics);
    let metrics = &metrics[..metrics.len().min(2)];
    let heads: String = metrics.iter().map(|metric| format!("{:>20}", metric.label())).collect();
    let mut text = format!("\n{:<22}{heads}  seeds\n", format!("on the {} rows", transfer.split));
    for contender in &transfer.contenders {
        let with_spread = |metric: &Metric| {
            let mean = shown(*metric, contender.mean(*metric));
            match contender.deviation(*metric) {
                Some(spread) if metric.is_share() => {
                    format!("{} ± {:.1} %", mean.trim_end_matches(" %"), 100.0 * spread)
                }
                Some(spread) => format!("{mean} ± {spread:.3}"),
                None => mean,
            }
        };
        let values: String = metrics.iter().map(|metric| format!("{:>20}", with_spread(metric))).collect();
        let _ = writeln!(text, "{:<22}{values}{:>7}", contender.name, contender.scores.len());
    }
    text
}

/// What pre-training measured.
pub(crate) fn pretraining(output_dir: &Path, results: &PretrainResults) -> String {
    let mut text =
        format!("{:<12}{:>11}{:>9}{:>12}{:>10}\n", "held out", "questions", "loss", "perplexity", "accuracy");
    for scores in results.held_out.iter().chain(&results.baselines) {
        let (loss, accuracy) = (scores.loss, format!("{:.1} %", 100.0 * scores.accuracy));
        let _ = writeln!(
            text,
            "{:<12}{:>11}{loss:>9.4}{:>12.1}{accuracy:>10}",
            scores.objective,
            scores.questions,
            loss.exp()
        );
    }
    let _ = write!(
        text,
        "\n{} steps and {} tokens ({:.1} times the corpus) in {:.0} s, {:.0} s in all ({:.0} tokens/s",
        results.steps,
        results.tokens,
        results.epochs,
        results.seconds.train,
        results.seconds.total,
        results.tokens_per_second,
    );
    if let Some(megabytes) = results.peak_rss_mb {
        let _ = write!(text, ", {megabytes:.0} MB at most");
    }
    text.push_str(")\n");
    proved_and_saved(&mut text, &results.proofs, output_dir);
    text
}

fn proved_and_saved(text: &mut String, proofs: &Proofs, output_dir: &Path) {
    let proofs: Vec<String> = proofs.details().into_iter().map(|(_, detail)| detail).collect();
    let _ = writeln!(text, "proved: {}", proofs.join("; "));
    let _ = writeln!(text, "saved: {}", output_dir.display());
}

/// Scores of splits, one a line.
pub(crate) fn scores(splits: &[(&str, &SplitScores)]) -> String {
    let metrics: Vec<Metric> =
        splits.first().map_or(Vec::new(), |(_, scores)| scores.scores.iter().map(|(metric, _)| metric).collect());
    let width = |metric: &Metric| 2 + metric.label().chars().count().max(7);
    let heads: String =
        metrics.iter().map(|metric| format!("{:>width$}", metric.label(), width = width(metric))).collect();
    let mut text = format!("{:<12}{:>7}{heads}\n", "", "rows");
    for (name, scores) in splits {
        let value = |metric: &Metric| {
            let value = scores.value(*metric);
            let value = if *metric == Metric::Loss { format!("{value:.4}") } else { shown(*metric, value) };
            format!("{value:>width$}", width = width(metric))
        };
        let values: String = metrics.iter().map(value).collect();
        let _ = writeln!(text, "{name:<12}{:>7}{values}", scores.rows);
    }
    text
}

/// How well one class, label or kind of entity is found.
pub(crate) struct Line {
    pub(crate) name: String,
    /// How many have it.
    pub(crate) rows: u64,
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
}

impl Line {
    /// From how many are right, how many there are, and how many were given.
    pub(crate) fn of_counts(name: &str, right: usize, gold: usize, given: usize) -> Self {
        let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Self {
            name: name.to_string(),
            rows: gold as u64,
            precision: share(right, given),
            recall: share(right, gold),
            f1: share(2 * right, gold + given),
        }
    }

    /// Of each class, from a confusion matrix `[gold, predicted]`.
    pub(crate) fn of_confusion(names: &[String], confusion: &[u64]) -> Vec<Self> {
        let classes = names.len();
        let line = |(class, name): (usize, &String)| {
            let right = confusion[class * classes + class];
            let gold: u64 = confusion[class * classes..(class + 1) * classes].iter().sum();
            let given: u64 = (0..classes).map(|gold| confusion[gold * classes + class]).sum();
            Self::of_counts(name, right as usize, gold as usize, given as usize)
        };
        names.iter().enumerate().map(line).collect()
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "rows": self.rows, "precision": self.precision, "recall": self.recall, "f1": self.f1 })
    }
}

/// Precision and recall of each class, label or kind of entity.
pub(crate) fn by_label(what: &str, lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).clamp(10, 40);
    let mut text = format!("{:<width$}  {:>7}{:>11}{:>8}{:>8}\n", what, "rows", "precision", "recall", "F1");
    for Line { name, rows, precision, recall, f1 } in lines {
        let name: String = name.chars().take(width).collect();
        let _ = writeln!(text, "{name:<width$}  {rows:>7}{precision:>11.3}{recall:>8.3}{f1:>8.3}");
    }
    text
}

/// What is done with each block of the model.
pub(crate) fn policy(inputs: &Inputs) -> String {
    let mut text = format!(
        "{:<12}{:>8}{:>10}  {:<8}{:>14}{:>14}  why\n",
        "# block", "tensors", "values", "", "learning rate", "weight decay"
    );
    for block in inputs.policy.by_block(&inputs.plan) {
        let state = if block.trainable { "trained" } else { "frozen" };
        let (name, values) = (format!("# {}", block.block), format!("{:.2} M", block.values as f64 / 1e6));
        let _ = writeln!(
            text,
            "{name:<12}{:>8}{values:>10}  {state:<8}{:>14.2e}{:>14}  {}",
            block.tensors, block.learning_rate, block.weight_decay, block.why
        );
    }
    text.push_str("# biases and layer norms have no weight decay\n");
    text
}
