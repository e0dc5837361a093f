//! How far the labelled texts lie from what the model was pre-trained on, as files or the model's profile show it, or from general
//! English: a small panel, each value between a floor (two halves of the source) and a ceiling (the labelled texts enciphered, which
//! is a language that the model does not know).

mod source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use topwork_data::{ColumnNames, Dataset, Example, LabelSet, Labels, Stream, TargetKind, TokenizedTexts};
use topwork_metrics::bootstrap::interval;
use topwork_metrics::similarity::{
    KernelSample, LabelledRows, coverage, frechet_of_components, otdd_of_components, two_sample, vocabulary_overlap,
};
use topwork_metrics::{Mat, select_rows};

use crate::error::Error;
use crate::network::features::LayerFeatures;
use crate::plan::value::Init;
use crate::session::inputs::{Inputs, Split};
use crate::session::masked_words::{HiddenWords, MaskedWords};
use crate::session::training::{LoadedModel, TrainingSetup};
use crate::words::words;
use source::{Halves, Source};

/// Texts of each side.
const TEXTS: usize = 300;
/// Most frequent words that are compared.
const WORDS: usize = 10_000;
/// Resamples of an interval, and random divisions of a test.
const RESAMPLES: usize = 200;
/// Resamples of the Fréchet distance, each of which takes an eigenvalue problem.
const FEW_RESAMPLES: usize = 50;
/// How often each text is masked anew.
const MASKINGS: u64 = 4;
/// Rows that are listed as least covered.
const LISTED: usize = 20;
/// Names the draws.
const SEED: u64 = 0;
/// Measures of which more is nearer.
const MORE_IS_NEARER: [&str; 2] = ["vocabulary_overlap", "coverage"];

/// The panel.
#[derive(Clone, Debug, Serialize)]
pub struct Similarity {
    /// What the labelled texts were compared with.
    pub source: String,
    /// Labelled texts that were compared.
    pub texts: usize,
    /// Texts of each half of the source; 0 where it has too few.
    pub source_texts: usize,
    /// The measures.
    pub measures: Vec<Measure>,
    /// The rows farthest from the source, farthest first.
    pub least_covered: Vec<FarRow>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
}

/// A measure.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Where it lies in 95 % of the resamples of the labelled texts (those of the source stay as they were drawn); of words and the
    /// Fréchet distance, which resamples move, the width of that around the value. None for OTDD.
    pub interval: Option<(f64, f64)>,
    /// The value of two halves of the source.
    pub floor: Option<f64>,
    /// The value of the labelled texts enciphered.
    pub ceiling: Option<f64>,
    /// Where the value lies between floor (0) and ceiling (1). None where the floor is not nearer than the ceiling.
    pub place: Option<f64>,
    /// What else there is to know.
    pub note: String,
}

impl Measure {
    fn new(name: &'static str, value: f64, floor: Option<f64>, ceiling: Option<f64>) -> Self {
        let sign = if MORE_IS_NEARER.contains(&name) { -1.0 } else { 1.0 };
        let place = floor.zip(ceiling).and_then(|(floor, ceiling)| {
            let place = (value - floor) / (ceiling - floor);
            (sign * (ceiling - floor) > 0.0 && place.is_finite()).then(|| place.clamp(0.0, 1.0))
        });
        Self { name, value, interval: None, floor, ceiling, place, note: String::new() }
    }

    fn within(mut self, interval: Option<(f64, f64)>) -> Self {
        self.interval = interval;
        self
    }

    /// As [`Measure::within`], with the interval's width around the value: a resample has fewer different texts, which moves
    /// some measures.
    fn within_width_of(self, interval: Option<(f64, f64)>) -> Self {
        let half = interval.map(|(low, high)| 0.5 * (high - low));
        let interval = half.map(|half| (self.value - half, self.value + half));
        self.within(interval)
    }

    fn with(mut self, note: String) -> Self {
        self.note = note;
        self
    }
}

/// A row far from the source.
#[derive(Clone, Debug, Serialize)]
pub struct FarRow {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its distance in radii of the source's neighbourhood.
    pub distance: f64,
    /// The text.
    pub text: String,
}

/// Compares the labelled `rows` with the texts of `source` files or, without any, with the model's own profile or, where it has none,
/// with general English.
///
/// `known` are the features of the rows.
pub(crate) fn compare(
    inputs: &Inputs,
    rows: &Split,
    known: &LayerFeatures,
    source: &[PathBuf],
    source_labels: Option<&Path>,
) -> Result<Similarity, Error> {
    let numbers = distinct(rows);
    let target = rows.select(&numbers);
    // The source has single texts, so both texts of a pair are one here: otherwise the form alone would tell them apart.
    let own: Vec<Example> = target.examples.iter().map(|row| example(joined(row))).collect();
    let enciphered: Vec<Example> = own.iter().map(|example| enciphered(example, SEED)).collect();
    let mut panel = Similarity {
        source: "nothing".to_string(),
        texts: own.len(),
        source_texts: 0,
        measures: Vec::new(),
        least_covered: Vec::new(),
        missing: Vec::new(),
    };
    if own.len() < 2 {
        panel.missing.push("anything: it takes at least two different texts".to_string());
        return Ok(panel);
    }
    let Source { name, halves, counts, counted } = match source {
        [] => Source::known(inputs, &own, &mut panel.missing)?,
        files => Source::read(files, &own)?,
    };
    panel.source = name;
    panel.source_texts = halves.as_ref().map_or(0, |halves| halves.first.len());
    vocabulary(&mut panel, &own, &enciphered, (&counts, counted), halves.as_ref());
    match &halves {
        Some(halves) => {
            // Rows of words were read word by word, and the source's texts are not.
            let is_plain = |example: &Example| example.text_pair.is_none() && example.words.is_empty();
            let known = (inputs.train.examples.iter().all(is_plain))
                .then(|| select_rows(known.layer_mean().as_ref(), &numbers));
            features(&mut panel, inputs, &target, (&own, known), &enciphered, halves)?;
        }
        None => panel.missing.push(
            "distances of features and coverage: they need more of the source's texts (--source-text FILE)".to_string(),
        ),
    }
    if let Some(path) = source_labels.filter(|_| inputs.task.kind() != TargetKind::Class) {
        let what = format!(
            "the distance to {}: OTDD is of classes, and here rows have {}",
            path.display(),
            inputs.task.kind()
        );
        panel.missing.push(what);
    } else if let Some(path) = source_labels {
        match labelled(inputs, (&own, target.classes()), &enciphered, path)? {
            Some(measure) => panel.measures.push(measure),
            None => panel.missing.push(format!("the distance to {}: too few rows, here or there", path.display())),
        }
    }
    let masked = match inputs.plan.init.value {
        Init::Pretrained => MaskedWords::load(inputs)?,
        Init::Random => None,
    };
    match masked {
        Some(masked) => {
            let losses = |examples: &[Example]| -> Result<Vec<HiddenWords>, Error> {
                Ok(masked.losses(&tokenize(inputs, examples)?, inputs.plan.max_seq_length.value, MASKINGS))
            };
            let of_source = halves.as_ref().map(|halves| losses(&halves.first)).transpose()?;
            let floor = of_source.and_then(|losses| HiddenWords::mean(&losses));
            let own = losses(&own)?;
            match HiddenWords::mean(&own) {
                Some(mean) => {
                    let ceiling = HiddenWords::mean(&losses(&enciphered)?);
                    let of_rows = |rows: &[usize]| HiddenWords::mean(rows.iter().map(|&row| &own[row]));
                    let interval = interval(own.len(), RESAMPLES, SEED, |rows| of_rows(rows).unwrap_or(f64::NAN));
                    panel.measures.push(Measure::new("masked_lm_loss", mean, floor, ceiling).within(interval));
                }
                None => panel.missing.push("the loss of hidden words: the texts have no word to hide".to_string()),
            }
        }
        None => panel.missing.push("the loss of hidden words: the model has no pretrained head for it".to_string()),
    }
    if enciphered == own {
        panel.missing.push("the ceiling: the texts have no letters to encipher".to_string());
        for measure in &mut panel.measures {
            (measure.ceiling, measure.place) = (None, None);
        }
    }
    for measure in panel.measures.iter().filter(|measure| measure.place.is_none()) {
        if measure.floor.is_some() && measure.ceiling.is_some() {
            let name = measure.name.replace('_', " ");
            panel.missing.push(format!("where the {name} lies: the source itself is as far as texts in cipher"));
        }
    }
    Ok(panel)
}

/// At most [`TEXTS`] rows with different texts, drawn.
fn distinct(rows: &Split) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let mut numbers: Vec<usize> = (0..rows.examples.len())
        .filter(|&row| {
            let example = &rows.examples[row];
            !joined(example).trim().is_empty() && seen.insert((&example.text, &example.text_pair))
        })
        .collect();
    Stream::named("similarity", SEED).shuffle(&mut numbers);
    numbers.truncate(TEXTS);
    numbers
}

fn example(text: String) -> Example {
    Example::from_text(text)
}

fn joined(example: &Example) -> String {
    match &example.text_pair {
        Some(pair) => format!("{} {pair}", example.text),
        None => example.text.clone(),
    }
}

fn count_words(text: &str, counts: &mut HashMap<String, u64>) {
    for word in words(text) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
}

fn counts_of(examples: &[Example]) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    examples.iter().for_each(|example| count_words(&example.text, &mut counts));
    counts
}

/// The words that both have. Where the source has texts, as many are compared on every side: more texts have more words.
fn vocabulary(
    panel: &mut Similarity,
    own: &[Example],
    enciphered: &[Example],
    (source, counted): (&HashMap<String, u64>, &str),
    halves: Option<&Halves>,
) {
    let count = halves.map_or(own.len(), |halves| own.len().min(halves.first.len()));
    let sample = halves.map(|halves| counts_of(&halves.first[..count]));
    let against = sample.as_ref().unwrap_or(source);
    let overlap =
        |examples: &[Example]| vocabulary_overlap(against, &counts_of(examples), WORDS).map(|found| found.overlap);
    let Some(value) = overlap(&own[..count]) else {
        panel.missing.push("the overlap of vocabularies: there is no word".to_string());
        return;
    };
    let floor = halves.and_then(|halves| overlap(&halves.second[..count]));
    let interval = interval(count, FEW_RESAMPLES, SEED, |rows| {
        overlap(&rows.iter().map(|&row| own[row].clone()).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    });
    let mut measure =
        Measure::new("vocabulary_overlap", value, floor, overlap(&enciphered[..count])).within_width_of(interval);
    if let Some(found) = vocabulary_overlap(source, &counts_of(own), WORDS) {
        measure = measure.with(format!("{counted} has {:.1} % of the words", 100.0 * found.known));
    }
    panel.measures.push(measure);
}

/// The distances of features, and which rows the source covers.
fn features(
    panel: &mut Similarity,
    inputs: &Inputs,
    target: &Split,
    (own, known): (&[Example], Option<Mat<f64>>),
    enciphered: &[Example],
    halves: &Halves,
) -> Result<(), Error> {
    let subject = LoadedModel::load(inputs, &TrainingSetup::planned(inputs), inputs.plan.seed.value)?;
    let encode = |examples: &[Example]| -> Result<Mat<f64>, Error> {
        let texts = tokenize(inputs, examples)?;
        Ok(LayerFeatures::of(&subject.model, &subject.parameters, &texts).layer_mean())
    };
    let known = known.map_or_else(|| encode(own), Ok)?;
    let (first, second, unknown) = (encode(&halves.first)?, encode(&halves.second)?, encode(enciphered)?);
    let (a, b, floor, ceiling) = (first.as_ref(), known.as_ref(), second.as_ref(), unknown.as_ref());

    // The labelled texts, the floor and the ceiling, side by side.
    let sides = [b, floor, ceiling];
    let told: Vec<_> = sides.par_iter().map(|other| two_sample(a, *other, RESAMPLES, SEED)).collect();
    if let Some(value) = told[0] {
        let bound = |side: usize| told[side].map(|found| found.distance);
        panel.measures.push(
            Measure::new("proxy_a_distance", value.distance, bound(1), bound(2))
                .within(Some(value.interval))
                .with(format!("told apart in {:.1} % of the cases, {:.1} σ", 100.0 * value.accuracy, value.sigmas)),
        );
    } else {
        panel.missing.push("the proxy A-distance: too few texts".to_string());
    }
    // As many of each, since the kernel's width, the Fréchet distance and its components depend on how many there are.
    let count = a.nrows().min(b.nrows());
    let part = |side| -> Mat<f64> { select_rows(side, &(0..count).collect::<Vec<_>>()) };
    let [a_part, b_part, floor_part, ceiling_part] = [a, b, floor, ceiling].map(part);
    let kernels: Vec<_> = [&b_part, &floor_part, &ceiling_part]
        .par_iter()
        .map(|other| Some(KernelSample::new(a_part.as_ref(), other.as_ref())?.compare(RESAMPLES, SEED)))
        .collect();
    if let Some(value) = kernels[0] {
        let bound = |side: usize| kernels[side].map(|found| found.mmd2);
        panel.measures.push(
            Measure::new("mmd2", value.mmd2, bound(1), bound(2))
                .within(Some(value.interval))
                .with(format!("p = {:.3}", value.p_value)),
        );
    } else {
        panel.missing.push("MMD²: too few texts, or all are the same to the model".to_string());
    }
    if let Some(value) = frechet_of_components(a_part.as_ref(), b_part.as_ref()) {
        let bound = |other: &Mat<f64>| frechet_of_components(a_part.as_ref(), other.as_ref());
        let interval = interval(count, FEW_RESAMPLES, SEED, |rows| {
            frechet_of_components(a_part.as_ref(), select_rows(b_part.as_ref(), rows).as_ref()).unwrap_or(f64::NAN)
        });
        let (floor, ceiling) = (bound(&floor_part), bound(&ceiling_part));
        panel.measures.push(Measure::new("frechet", value, floor, ceiling).within_width_of(interval));
    } else {
        panel.missing.push("the Fréchet distance: too few texts, or all are the same to the model".to_string());
    }
    if let Some(value) = coverage(a, b) {
        let bound = |other| coverage(a, other).map(|found| found.covered);
        let inside = |row: usize| f64::from(value.distances[row] <= 1.0);
        let interval = interval(b.nrows(), RESAMPLES, SEED, |rows| {
            rows.iter().map(|&row| inside(row)).sum::<f64>() / rows.len() as f64
        });
        panel.measures.push(Measure::new("coverage", value.covered, bound(floor), bound(ceiling)).within(interval));
        let mut order: Vec<usize> = (0..value.distances.len()).collect();
        order.sort_by(|&x, &y| value.distances[y].total_cmp(&value.distances[x]));
        let far = |&row: &usize| FarRow {
            line: target.examples[row].line,
            distance: value.distances[row],
            text: own[row].text.clone(),
        };
        panel.least_covered = order.iter().take(LISTED).map(far).collect();
    } else {
        panel.missing.push("coverage: too few texts, or all are the same to the model".to_string());
    }
    Ok(())
}

/// The distance to another labelled file, texts and classes together.
fn labelled(
    inputs: &Inputs,
    (own, classes_of_own): (&[Example], &[u32]),
    enciphered: &[Example],
    path: &Path,
) -> Result<Option<Measure>, Error> {
    let dataset = Dataset::read(path, &ColumnNames::default(), Labels::Required)?;
    let labels = LabelSet::from_training(&dataset)?;
    let classes = labels.encode(&dataset)?;
    let mut rows: Vec<usize> = (0..classes.len()).collect();
    Stream::named("labelled source", SEED).shuffle(&mut rows);
    rows.truncate(2 * TEXTS);
    let subject = LoadedModel::load(inputs, &TrainingSetup::planned(inputs), inputs.plan.seed.value)?;
    let encode = |examples: &[Example]| -> Result<Mat<f64>, Error> {
        Ok(LayerFeatures::of(&subject.model, &subject.parameters, &tokenize(inputs, examples)?).layer_mean())
    };
    let side = |rows: &[usize]| -> Result<(Mat<f64>, Vec<u32>), Error> {
        let examples: Vec<Example> = rows.iter().map(|&row| example(joined(&dataset.examples[row]))).collect();
        Ok((encode(&examples)?, rows.iter().map(|&row| classes[row]).collect()))
    };
    let (first, second) = rows.split_at(rows.len() / 2);
    let (first, second) = (side(first)?, side(second)?);
    let own = (encode(own)?, classes_of_own.to_vec());
    let unknown = (encode(enciphered)?, classes_of_own.to_vec());
    let distance = |(features, classes): &(Mat<f64>, Vec<u32>)| {
        let source = LabelledRows { features: first.0.as_ref(), classes: &first.1 };
        otdd_of_components(source, LabelledRows { features: features.as_ref(), classes })
    };
    let note = format!("to the {} classes of {}", labels.len(), path.display());
    Ok(distance(&own).map(|value| Measure::new("otdd", value, distance(&second), distance(&unknown)).with(note)))
}

fn tokenize(inputs: &Inputs, examples: &[Example]) -> Result<TokenizedTexts, Error> {
    let path = &inputs.plan.train_file.value;
    Ok(TokenizedTexts::tokenize(&inputs.tokenizer, examples, inputs.plan.max_seq_length.value, path)?)
}

/// The text with every letter replaced by another of its alphabet, always the same: the look of a language, and no word of
/// one that is known.
fn enciphered(example: &Example, seed: u64) -> Example {
    let mut alphabet: Vec<char> = ('a'..='z').collect();
    Stream::named("cipher", seed).shuffle(&mut alphabet);
    let letter = |letter: char| match letter {
        'a'..='z' => alphabet[letter as usize - 'a' as usize],
        'A'..='Z' => alphabet[letter as usize - 'A' as usize].to_ascii_uppercase(),
        // Letters of other alphabets are moved within their block of 64.
        other if other.is_alphabetic() => char::from_u32(u32::from(other) ^ 0x2B).unwrap_or(other),
        other => other,
    };
    Example {
        text: example.text.chars().map(letter).collect(),
        text_pair: example.text_pair.as_ref().map(|text| text.chars().map(letter).collect()),
        ..example.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cipher_keeps_the_look_and_no_word() {
        let text = "The parcel, that I ordered on Monday, has not arrived!";
        let other = enciphered(&example(text.to_string()), SEED).text;
        assert_eq!(text.chars().count(), other.chars().count());
        assert_eq!(text.matches([' ', ',', '!']).count(), other.matches([' ', ',', '!']).count());
        let shared = text.split(' ').filter(|word| word.len() > 2 && other.split(' ').any(|own| own == *word));
        assert_eq!(shared.count(), 0);
    }

    #[test]
    fn a_place_lies_between_floor_and_ceiling() {
        assert_eq!(Measure::new("m", 0.5, Some(0.0), Some(2.0)).place, Some(0.25));
        assert_eq!(Measure::new("m", -1.0, Some(0.0), Some(2.0)).place, Some(0.0));
        // Also where more is nearer, and not at all where both are the same.
        assert_eq!(Measure::new("coverage", 0.5, Some(1.0), Some(0.0)).place, Some(0.5));
        // What the model finds stranger than a cipher is no floor.
        assert_eq!(Measure::new("m", 0.5, Some(1.0), Some(0.0)).place, None);
        assert_eq!(Measure::new("coverage", 0.5, Some(0.0), Some(1.0)).place, None);
        assert_eq!(Measure::new("m", 0.5, Some(1.0), Some(1.0)).place, None);
        let moved = Measure::new("m", 0.5, None, None).within_width_of(Some((0.25, 0.5)));
        assert_eq!(moved.interval, Some((0.375, 0.625)));
    }
}
