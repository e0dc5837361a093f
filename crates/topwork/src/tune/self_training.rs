//! Self-training (Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised Methods", 1995; Lee, "Pseudo-Label", 2013): a model
//! that was trained on the labelled rows labels texts without labels, and the model that is kept learns from those of which it is sure as
//! well. How sure it must be is measured on labelled rows that folds leave out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use topwork_data::{Strata, Stream, Targets};
use topwork_metrics::{argmax, softmax};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::judge::repeats;
use crate::plan::held_out::FOLDS;
use crate::plan::method::{self, LEAST_MEASURED};
use crate::run::output_directory::{OutputDirectory, PSEUDO_LABELS};
use crate::session::folds::fewest_texts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{Trained, TrainingRows, TrainingSetup, train_and_predict};
use crate::session::unlabelled::Unlabelled;

/// For each labelled row of a class, so many texts with a label of a model, at most.
const A_ROW: usize = 4;
/// Of the texts that are given a class, the surest of so many: a rare class is given to many texts of others, of which no model is as sure.
const A_PART: usize = 3;
/// So often the left-out rows that are right are put in random order.
const SHUFFLED: u64 = 199;
/// The part of these orders that may give a threshold as good, at most.
const BY_CHANCE: f64 = 0.1;

/// What came of texts without labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PseudoLabels {
    /// Texts of the file that are no labelled rows.
    pub texts: usize,
    /// How many of them were learnt from.
    pub taken: usize,
    /// The same by the label that they were given.
    pub by_label: BTreeMap<String, usize>,
    /// The probability from which on a label is taken; none where no threshold is good enough.
    pub threshold: Option<f64>,
    /// The part of the left-out labelled rows that is right.
    pub accuracy: f64,
    /// The same of those at or above the threshold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy_above: Option<f64>,
    /// In words.
    pub sentence: String,
}

/// The texts that are learnt from besides the labelled rows.
pub(super) struct SelfTraining {
    pub(super) found: PseudoLabels,
    /// The rows and the plan of the training that is kept; none where no text is sure enough.
    pub(super) inputs: Option<Inputs>,
}

/// How the labelling of texts ended.
pub(super) enum Labelled {
    /// There are no texts without labels.
    Nothing,
    /// The user interrupted it.
    Interrupted,
    /// Some are learnt from, or none.
    Texts(Box<SelfTraining>),
}

impl SelfTraining {
    /// Labels the texts of `unlabelled_file`, and chooses those to learn from.
    ///
    /// # Errors
    /// When a training fails, or the labels cannot be written.
    pub(super) fn of(
        inputs: &Inputs,
        output: &OutputDirectory,
        interrupt: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Labelled, Error> {
        let Some(unlabelled) = &inputs.unlabelled else { return Ok(Labelled::Nothing) };
        observer.event(&RunEvent::phase("label"));
        let Some(measured) = Measured::by_folds(inputs, observer, interrupt)? else {
            return Ok(Labelled::Interrupted);
        };
        let mut taken = Ok(Vec::new());
        if let Ok(threshold) = &measured.threshold {
            let (setup, seed) = (TrainingSetup::planned(inputs), inputs.plan.seed.value);
            let teacher =
                train_and_predict(inputs, &setup, TrainingRows::planned(inputs), seed, &unlabelled.texts, interrupt)?;
            taken = match teacher {
                None => return Ok(Labelled::Interrupted),
                Some(Trained { diverged: Some(step), .. }) => {
                    Err(format!("the training on the labelled rows diverged at step {step}"))
                }
                Some(Trained { logits, .. }) => {
                    let sure = Sure::of(&logits.unwrap_or_default(), inputs.labels().len());
                    Ok(chosen(&sure, threshold.least, &most_of_each(inputs)))
                }
            };
        }
        let (taken, why_none) = match (taken, &measured.threshold) {
            (Ok(taken), Ok(_)) => (taken, None),
            (Err(why), _) => (Vec::new(), Some(why)),
            (Ok(_), Err(why)) => (Vec::new(), Some(why.clone())),
        };
        let found = PseudoLabels::new(inputs, unlabelled.examples.len(), &taken, &measured, why_none);
        observer.event(&RunEvent::Note { message: found.sentence.clone() });
        write(output, inputs, unlabelled, &taken)?;
        let rows: Vec<usize> = taken.iter().map(|(row, _)| *row).collect();
        let pseudo = Split {
            examples: rows.iter().map(|&row| unlabelled.examples[row].clone()).collect(),
            targets: Targets::Class(taken.iter().map(|(_, sure)| sure.class).collect()),
            texts: unlabelled.texts.select(&rows),
        };
        let inputs = (!pseudo.is_empty()).then(|| learning_from(inputs, pseudo));
        Ok(Labelled::Texts(Box::new(Self { found, inputs })))
    }
}

/// How right models are that have not seen a row, and how sure they must be.
struct Measured {
    /// The part of the left-out labelled rows that is right.
    accuracy: f64,
    /// From which probability on a label is taken; why there is none.
    threshold: Result<Threshold, String>,
}

/// A probability from which on labels are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Threshold {
    least: f64,
    /// Left-out rows at or above it.
    rows: usize,
    /// The part of them that is right.
    accuracy: f64,
}

impl Measured {
    /// By labelled rows that folds leave out; none when interrupted.
    fn by_folds(inputs: &Inputs, observer: &mut dyn Observer, interrupt: &AtomicBool) -> Result<Option<Self>, Error> {
        let (space, rows) = (&inputs.scoring.space, &inputs.train);
        let fewest = fewest_texts(&rows.examples, &Strata::new(space, &rows.targets), space);
        let count = fewest.map_or(0, |(_, texts)| texts.min(FOLDS));
        if count < 2 {
            let name = fewest.and_then(|(class, _)| inputs.labels().get(class)).map_or("", String::as_str);
            let message = format!(
                "unlabelled_file: expected two different texts of every class that are learnt from, found {count} of `{name}`"
            );
            return Err(Error::run(
                message,
                "more rows of that class, or a --validation or --test file, so that none are held out",
            ));
        }
        let folds = repeats::cross_validate(inputs, count, observer, interrupt)?;
        if interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(folds) = folds else {
            let lower = inputs.plan.learning_rate.value / 10.0;
            let message = "unlabelled_file: every fold diverged, so that nothing labels the texts";
            return Err(Error::run(message, format!("--learning-rate {lower:e}, or no --unlabelled")));
        };
        let sure = Sure::of(&folds.logits, inputs.labels().len());
        let right: Vec<bool> =
            sure.iter().zip(folds.answered.classes()).map(|(own, gold)| own.class == *gold).collect();
        let accuracy = part_right(&right);
        let lost = rows.len() - folds.answered.len();
        let threshold = match threshold(&sure, &right) {
            _ if lost > 0 => Err(format!("a training diverged, so that {lost} labelled rows have no prediction")),
            None => Err("no probability parts right from wrong labels".to_string()),
            Some(found) if is_by_chance(&sure, &right, found, inputs.plan.seed.value) => {
                Err("probabilities part right from wrong labels no better than chance".to_string())
            }
            Some(found) => Ok(found),
        };
        Ok(Some(Self { accuracy, threshold }))
    }
}

fn part_right(right: &[bool]) -> f64 {
    right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
}

/// The most texts of each class that are learnt from.
fn most_of_each(inputs: &Inputs) -> Vec<usize> {
    let mut most = vec![0; inputs.labels().len()];
    inputs.train.classes().iter().for_each(|class| most[*class as usize] += A_ROW);
    most
}

/// The class that a model is surest of, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sure {
    class: u32,
    probability: f64,
}

impl Sure {
    /// Of logits `[rows, classes]`.
    fn of(logits: &[f32], classes: usize) -> Vec<Self> {
        let of =
            |(row, class): (&[f32], u32)| Self { class, probability: f64::from(softmax(row, classes)[class as usize]) };
        logits.chunks_exact(classes.max(1)).zip(argmax(logits, classes)).map(of).collect()
    }
}

/// The lowest probability above which the part that is wrong is no more than half of what it is in all.
fn threshold(sure: &[Sure], right: &[bool]) -> Option<Threshold> {
    let wanted = 0.5 * (1.0 + part_right(right));
    let mut order: Vec<usize> = (0..sure.len()).collect();
    order.sort_by(|&a, &b| sure[b].probability.total_cmp(&sure[a].probability));
    let (mut found, mut count) = (None, 0);
    for (number, &row) in order.iter().enumerate() {
        count += usize::from(right[row]);
        let (rows, least) = (number + 1, sure[row].probability);
        let accuracy = count as f64 / rows as f64;
        // Rows that are equally sure are above a threshold together.
        let is_last = order.get(rows).is_none_or(|&next| sure[next].probability < least);
        if is_last && rows >= LEAST_MEASURED && accuracy >= wanted {
            found = Some(Threshold { least, rows, accuracy });
        }
    }
    found
}

/// Whether a threshold is no better than what is found where probabilities have nothing to do with being right: the lowest of many has
/// some luck. Where nothing is wrong there is nothing to part.
fn is_by_chance(sure: &[Sure], right: &[bool], found: Threshold, seed: u64) -> bool {
    if right.iter().all(|right| *right) {
        return false;
    }
    let stream = Stream::named("thresholds by chance", seed);
    let is_as_good = |number: &u64| {
        let mut shuffled = right.to_vec();
        stream.nth(*number).shuffle(&mut shuffled);
        threshold(sure, &shuffled).is_some_and(|other| other.rows >= found.rows)
    };
    let as_good = (0..SHUFFLED).filter(is_as_good).count();
    (1 + as_good) as f64 / (1 + SHUFFLED) as f64 > BY_CHANCE
}

/// The rows from `least` on: the surest part of those that were given a class, and `most` of it at most; in the order of the rows.
fn chosen(sure: &[Sure], least: f64, most: &[usize]) -> Vec<(usize, Sure)> {
    let mut given: BTreeMap<u32, usize> = BTreeMap::new();
    sure.iter().for_each(|sure| *given.entry(sure.class).or_default() += 1);
    let mut left: BTreeMap<u32, usize> =
        given.into_iter().map(|(class, count)| (class, count.div_ceil(A_PART).min(most[class as usize]))).collect();
    let mut order: Vec<usize> = (0..sure.len()).filter(|&row| sure[row].probability >= least).collect();
    order.sort_by(|&a, &b| sure[b].probability.total_cmp(&sure[a].probability));
    order.retain(|&row| {
        let left = left.entry(sure[row].class).or_default();
        let is_taken = *left > 0;
        *left = left.saturating_sub(1);
        is_taken
    });
    order.sort_unstable();
    order.into_iter().map(|row| (row, sure[row])).collect()
}

/// The same run, learning from these rows as well.
fn learning_from(inputs: &Inputs, pseudo: Split) -> Inputs {
    let mut setup = TrainingSetup::planned(inputs);
    let rows = inputs.train.len() + pseudo.len();
    method::learn_from_more(&mut setup.plan, rows);
    let added = inputs.added.as_ref().map_or_else(|| pseudo.clone(), |names| names.followed_by(&pseudo));
    let mut inputs = inputs.under(&setup);
    inputs.added = Some(added);
    inputs
}

/// A line for each text that is learnt from.
fn write(output: &OutputDirectory, inputs: &Inputs, texts: &Unlabelled, taken: &[(usize, Sure)]) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (row, sure) in taken {
        let example = &texts.examples[*row];
        let mut line =
            json!({ "text": example.text, "label": inputs.labels()[sure.class as usize], "score": sure.probability });
        if let Some(pair) = &example.text_pair {
            line["text_pair"] = json!(pair);
        }
        writeln!(lines, "{line}").map_err(|source| Error::write(&output.file(PSEUDO_LABELS), source))?;
    }
    output.write(PSEUDO_LABELS, &String::from_utf8_lossy(&lines))
}

impl PseudoLabels {
    fn new(
        inputs: &Inputs,
        texts: usize,
        taken: &[(usize, Sure)],
        measured: &Measured,
        why_none: Option<String>,
    ) -> Self {
        let mut by_label = BTreeMap::new();
        for (_, sure) in taken {
            *by_label.entry(inputs.labels()[sure.class as usize].clone()).or_default() += 1;
        }
        let threshold = measured.threshold.as_ref().ok();
        let of_labelled =
            format!("{:.0} % of the labelled rows are right when they are left out", 100.0 * measured.accuracy);
        let above = threshold.map_or(String::new(), |found| {
            // Rounded down, as what is taken has no less.
            let least = (1_000.0 * found.least).floor() / 1_000.0;
            format!(
                "a probability of at least {least:.3}: {of_labelled}, {:.0} % of those from that probability on",
                100.0 * found.accuracy
            )
        });
        let sentence = match (why_none, taken.len()) {
            (Some(why), _) => format!("none of {texts} texts without labels was learnt from: {of_labelled}, and {why}"),
            (None, 0) => format!("none of {texts} texts without labels was learnt from, as no label has {above}"),
            (None, taken) => {
                let were = if taken == 1 { "was" } else { "were" };
                format!(
                    "{taken} of {texts} texts without labels {were} learnt from, with a model's label that has {above}"
                )
            }
        };
        Self {
            texts,
            taken: taken.len(),
            by_label,
            threshold: threshold.map(|found| found.least),
            accuracy: measured.accuracy,
            accuracy_above: threshold.map(|found| found.accuracy),
            sentence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(rows: &[(u32, f64)]) -> Vec<Sure> {
        rows.iter().map(|&(class, probability)| Sure { class, probability }).collect()
    }

    #[test]
    fn a_threshold_halves_the_errors_or_there_is_none() {
        // Ten rows, six right: from 0.7 on eight of ten must be.
        let probabilities: Vec<(u32, f64)> = (0..10).map(|row| (0, 0.95 - 0.05 * row as f64)).collect();
        let right = [true, true, true, true, true, false, false, false, true, false];
        assert_eq!(part_right(&right), 0.6);
        let found = threshold(&sure(&probabilities), &right).unwrap();
        // Five of six are right from the sixth on, five of seven from the seventh on.
        assert!((found.least - 0.7).abs() < 1e-12 && (found.accuracy - 5.0 / 6.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.rows, 6);
        let turned: Vec<bool> = right.iter().rev().copied().collect();
        assert_eq!(threshold(&sure(&probabilities), &turned), None, "the surest are the wrong ones");
        // Equal probabilities are above a threshold together: here four of six are right.
        let equal = sure(&[(0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9)]);
        assert_eq!(threshold(&equal, &[true, true, true, true, false, false]), None);
        assert_eq!(threshold(&equal, &[true; 6]), Some(Threshold { least: 0.9, rows: 6, accuracy: 1.0 }));
        assert_eq!(threshold(&equal[..4], &[true; 4]), None, "too few to measure by");
    }

    #[test]
    fn a_threshold_that_luck_finds_is_none() {
        let probabilities: Vec<(u32, f64)> = (0..16).map(|row| (0, 0.95 - 0.05 * row as f64)).collect();
        let sure = sure(&probabilities);
        // The surest ten of sixteen are right: one order of 8,008 does that.
        let parted: Vec<bool> = (0..16).map(|row| row < 10).collect();
        assert!(!is_by_chance(&sure, &parted, threshold(&sure, &parted).unwrap(), 0));
        // In random order a threshold is found now and then, and one in ten of all orders passes at most.
        let passes = |seed: &u64| {
            let mut right = parted.clone();
            Stream::named("rows", *seed).shuffle(&mut right);
            threshold(&sure, &right).is_some_and(|found| !is_by_chance(&sure, &right, found, *seed))
        };
        let found = |seed: &u64| {
            let mut right = parted.clone();
            Stream::named("rows", *seed).shuffle(&mut right);
            threshold(&sure, &right).is_some()
        };
        let (passed, found) = ((0..400).filter(passes).count(), (0..400).filter(found).count());
        // The standard error of a tenth of 400 is 6.
        assert!(passed <= 40 + 12 && found > passed, "{passed}, {found}");
        assert!(!is_by_chance(&sure, &[true; 16], threshold(&sure, &[true; 16]).unwrap(), 0), "nothing is wrong");
    }

    #[test]
    fn of_each_class_the_surest_are_chosen() {
        let rows = sure(&[(0, 0.6), (1, 0.9), (0, 0.8), (0, 0.7), (1, 0.4), (0, 0.9), (0, 0.5)]);
        let numbers =
            |least, most| chosen(&rows, least, &[most, most]).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
        // A third of five, and of two, is begun.
        assert_eq!(numbers(0.5, 9), [1, 2, 5]);
        assert_eq!(numbers(0.5, 1), [1, 5]);
        assert_eq!(numbers(0.85, 9), [1, 5]);
        assert_eq!(numbers(0.95, 9), Vec::<usize>::new());
        let own = |most: &[usize]| chosen(&rows, 0.5, most).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
        assert_eq!(own(&[2, 0]), [2, 5], "each class has its own most");
    }
}
