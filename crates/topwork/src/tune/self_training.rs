//! Self-training (Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised Methods", 1995; Lee, "Pseudo-Label", 2013): a model
//! that was trained on the labelled rows labels texts without labels, and the model that is kept learns from those of which it is sure as
//! well. How sure it must be is measured on labelled rows that folds leave out.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use topwork_data::{Strata, Targets};
use topwork_metrics::{argmax, softmax};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::judge::repeats;
use crate::plan::method::{self, rows_a_class};
use crate::run::output_directory::{OutputDirectory, PSEUDO_LABELS};
use crate::session::folds::fewest_texts;
use crate::session::inputs::{Inputs, Split};
use crate::session::training::{TrainingRows, TrainingSetup, train_and_predict};
use crate::session::unlabelled::Unlabelled;

/// Parts of the labelled rows that are left out in turn.
const FOLDS: usize = 5;
/// For each labelled row of a class, so many texts with a label of a model, at most.
const A_ROW: usize = 4;
/// Of the texts that are given a class, the surest of so many: a rare class is given to many texts of others, of which no model is as sure.
const A_PART: usize = 3;
/// Left-out rows at least, of which a threshold is measured.
const LEAST: usize = 5;

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
        let strata = Strata::new(&inputs.scoring.space, &inputs.train.targets);
        let fewest = fewest_texts(&inputs.train.examples, &strata, &inputs.scoring.space);
        let count = fewest.map_or(2, |(_, texts)| texts.clamp(2, FOLDS));
        let folds = repeats::cross_validate(inputs, count, observer, interrupt)?;
        if interrupt.load(Ordering::Relaxed) {
            return Ok(Labelled::Interrupted);
        }
        let folds = folds.ok_or_else(|| lost(inputs, "every fold"))?;
        let (sure, classes) = (Sure::of(&folds.logits, inputs.labels().len()), folds.answered.classes());
        let right: Vec<bool> = sure.iter().zip(classes).map(|(own, gold)| own.class == *gold).collect();
        let (accuracy, threshold) = threshold(&sure, &right);

        let mut taken = Vec::new();
        if let Some((least, _)) = threshold {
            let (setup, seed) = (TrainingSetup::planned(inputs), inputs.plan.seed.value);
            let teacher =
                train_and_predict(inputs, &setup, TrainingRows::planned(inputs), seed, &unlabelled.texts, interrupt)?;
            let Some(teacher) = teacher else { return Ok(Labelled::Interrupted) };
            let outputs = teacher.logits.ok_or_else(|| lost(inputs, "the training on labelled rows"))?;
            taken = chosen(&Sure::of(&outputs, inputs.labels().len()), least, A_ROW * rows_a_class(&inputs.plan.facts));
        }
        let found = PseudoLabels::new(inputs, unlabelled.examples.len(), &taken, accuracy, threshold);
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

/// That nothing can label the texts.
fn lost(inputs: &Inputs, what: &str) -> Error {
    let lower = inputs.plan.learning_rate.value / 10.0;
    let message = format!("unlabelled_file: {what} diverged, so that nothing labels the texts");
    Error::run(message, format!("--learning-rate {lower:e}, or no --unlabelled"))
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

/// The part of the rows that is right, and the lowest probability above which no more than half as many are wrong, with the part that is right
/// there. None where there is no such probability.
fn threshold(sure: &[Sure], right: &[bool]) -> (f64, Option<(f64, f64)>) {
    let accuracy = right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64;
    let wanted = 0.5 * (1.0 + accuracy);
    let mut order: Vec<usize> = (0..sure.len()).collect();
    order.sort_by(|&a, &b| sure[b].probability.total_cmp(&sure[a].probability));
    let (mut found, mut count) = (None, 0);
    for (number, &row) in order.iter().enumerate() {
        count += usize::from(right[row]);
        let part = count as f64 / (number + 1) as f64;
        // Rows that are equally sure are above a threshold together.
        let is_last = order.get(number + 1).is_none_or(|&next| sure[next].probability < sure[row].probability);
        if is_last && number + 1 >= LEAST && part >= wanted {
            found = Some((sure[row].probability, part));
        }
    }
    (accuracy, found)
}

/// The rows from `least` on: the surest part of those that were given a class, and `most` at most; in the order of the rows.
fn chosen(sure: &[Sure], least: f64, most: usize) -> Vec<(usize, Sure)> {
    let mut given: BTreeMap<u32, usize> = BTreeMap::new();
    sure.iter().for_each(|sure| *given.entry(sure.class).or_default() += 1);
    let mut left: BTreeMap<u32, usize> =
        given.into_iter().map(|(class, count)| (class, count.div_ceil(A_PART).min(most))).collect();
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
        accuracy: f64,
        threshold: Option<(f64, f64)>,
    ) -> Self {
        let mut by_label = BTreeMap::new();
        for (_, sure) in taken {
            *by_label.entry(inputs.labels()[sure.class as usize].clone()).or_default() += 1;
        }
        let of_labelled = format!("{:.0} % of the labelled rows that folds left out are right", 100.0 * accuracy);
        let sentence = match threshold {
            Some((least, part)) => format!(
                "{} of {texts} texts without labels were learnt from, with a model's label that has a probability of at least {least:.2}: \
                 {of_labelled}, {:.0} % of those from that probability on",
                taken.len(),
                100.0 * part
            ),
            None => format!(
                "none of {texts} texts without labels was learnt from: {of_labelled}, and no probability parts right from wrong labels"
            ),
        };
        Self {
            texts,
            taken: taken.len(),
            by_label,
            threshold: threshold.map(|(least, _)| least),
            accuracy,
            accuracy_above: threshold.map(|(_, part)| part),
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
        let (accuracy, found) = threshold(&sure(&probabilities), &right);
        assert_eq!(accuracy, 0.6);
        let (least, part) = found.unwrap();
        // Five of six are right from the sixth on, five of seven from the seventh on.
        assert!((least - 0.7).abs() < 1e-12 && (part - 5.0 / 6.0).abs() < 1e-12, "{least} {part}");
        let turned: Vec<bool> = right.iter().rev().copied().collect();
        assert_eq!(threshold(&sure(&probabilities), &turned).1, None, "the surest are the wrong ones");
        // Equal probabilities are above a threshold together: here four of six are right.
        let equal = sure(&[(0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9)]);
        assert_eq!(threshold(&equal, &[true, true, true, true, false, false]).1, None);
        assert_eq!(threshold(&equal, &[true; 6]).1, Some((0.9, 1.0)));
        assert_eq!(threshold(&equal[..4], &[true; 4]).1, None, "too few to measure by");
    }

    #[test]
    fn of_each_class_the_surest_are_chosen() {
        let rows = sure(&[(0, 0.6), (1, 0.9), (0, 0.8), (0, 0.7), (1, 0.4), (0, 0.9), (0, 0.5)]);
        let numbers = |least, most| chosen(&rows, least, most).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
        // A third of five, and of two, is begun.
        assert_eq!(numbers(0.5, 9), [1, 2, 5]);
        assert_eq!(numbers(0.5, 1), [1, 5]);
        assert_eq!(numbers(0.85, 9), [1, 5]);
        assert_eq!(numbers(0.95, 9), Vec::<usize>::new());
    }
}
