//! Tables for people.

use std::fmt::Write;
use std::path::Path;

use topwork::events::SplitScores;
use topwork::judge::repeats::{Mean, Repeated};
use topwork::judge::transfer::Transfer;
use topwork::pretrain::results::PretrainResults;
use topwork::run::proofs::Proofs;
use topwork::session::inputs::Inputs;
use topwork::tune::results::Results;

/// What a run measured.
pub(crate) fn results(output_dir: &Path, results: &Results) -> String {
    let splits = [("train", Some(results.train)), ("validation", results.validation), ("test", results.test)];
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
    for (name, _, sentence) in results.verdict.parts() {
        text.push_str(&said(&name.replace('_', " "), sentence));
    }
    if let Some(calibration) = &results.calibration {
        text.push_str(&said("confidence", &calibration.sentence()));
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
    let with_interval = |mean: &Mean| match mean.interval {
        Some((low, high)) => format!("{:.1} % ({:.1} to {:.1})", 100.0 * mean.mean, 100.0 * low, 100.0 * high),
        None => format!("{:.1} %", 100.0 * mean.mean),
    };
    let mut text = String::new();
    let mut line = |what: String, repeated: &Repeated| {
        let (accuracy, macro_f1) = (with_interval(&repeated.accuracy), with_interval(&repeated.macro_f1));
        let _ = writeln!(text, "{what}: accuracy {accuracy}, macro-F1 {macro_f1} on {} rows", repeated.split);
    };
    if let Some(seeds) = &results.seeds {
        line(format!("{} seeds", seeds.scores.len()), seeds);
    }
    if let Some(folds) = &results.folds {
        line(format!("{} folds", folds.repeated.scores.len()), &folds.repeated);
    }
    if let Some(control) = &results.permuted_control {
        let _ = writeln!(text, "labels in random order: accuracy {:.1} %", 100.0 * control.accuracy);
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// What transfer bought.
fn bought(transfer: &Transfer) -> String {
    let mut text =
        format!("\n{:<22}{:>20}{:>20}  seeds\n", format!("on the {} rows", transfer.split), "accuracy", "macro-F1");
    for contender in &transfer.contenders {
        let with_spread = |mean: f64, spread: Option<f64>| match spread {
            Some(spread) => format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * spread),
            None => format!("{:.1} %", 100.0 * mean),
        };
        let accuracy = with_spread(contender.accuracy, contender.accuracy_std);
        let macro_f1 = with_spread(contender.macro_f1, contender.macro_f1_std);
        let _ = writeln!(text, "{:<22}{accuracy:>20}{macro_f1:>20}{:>7}", contender.name, contender.scores.len());
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
pub(crate) fn scores(splits: &[(&str, SplitScores)]) -> String {
    let mut text = format!("{:<12}{:>7}{:>9}{:>10}{:>10}{:>8}\n", "", "rows", "loss", "accuracy", "macro-F1", "MCC");
    for (name, scores) in splits {
        let SplitScores { rows, loss, accuracy, macro_f1, mcc } = scores;
        let accuracy = format!("{:.1} %", 100.0 * accuracy);
        let _ = writeln!(text, "{name:<12}{rows:>7}{loss:>9.4}{accuracy:>10}{macro_f1:>10.3}{mcc:>8.3}");
    }
    text
}

/// Precision and recall of each class, from a confusion matrix `[gold, predicted]`.
pub(crate) fn by_class(names: &[String], confusion: &[u64]) -> String {
    let classes = names.len();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(10, 40);
    let mut text = format!("{:<width$}  {:>7}{:>11}{:>8}{:>8}\n", "class", "rows", "precision", "recall", "F1");
    for (class, name) in names.iter().enumerate() {
        let right = confusion[class * classes + class];
        let gold: u64 = confusion[class * classes..(class + 1) * classes].iter().sum();
        let predicted: u64 = (0..classes).map(|gold| confusion[gold * classes + class]).sum();
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let name: String = name.chars().take(width).collect();
        let _ = writeln!(
            text,
            "{name:<width$}  {gold:>7}{:>11.3}{:>8.3}{:>8.3}",
            share(right, predicted),
            share(right, gold),
            share(2 * right, gold + predicted),
        );
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
