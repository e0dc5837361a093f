//! Words alone: TF-IDF of words and pairs of neighbouring words, and softmax regression on it. No network and nothing
//! pretrained; on long texts with telling words it is hard to beat.

use std::collections::{BTreeMap, HashMap};

use topwork_data::Example;

use crate::words::words;

/// Passes over all rows; the loss hardly moves any more by then.
const STEPS: usize = 200;
/// Adam's learning rate.
const LEARNING_RATE: f32 = 0.1;
/// The weight of the squared weights in the loss, against rows that are learnt by heart.
const PENALTY: f32 = 1e-4;

/// What a logit may lie below the highest; a class farther off has probability 0 (e^-46 is 1e-20). Smaller ones would lead to
/// numbers below the normal range of 32 bits, with which some processors compute a hundred times as slowly.
const FARTHEST: f32 = -46.0;

/// A row: features in ascending order, and their values.
type Row = Vec<(u32, f32)>;

/// The logits `[rows, classes]` that a model of the words of `train`, with these `labels`, gives to `rows`.
pub(crate) fn logits(train: &[Example], labels: &[u32], classes: usize, rows: &[Example]) -> Vec<f32> {
    let words = Words::of(train);
    let train: Vec<Row> = train.iter().map(|example| words.row(example)).collect();
    let model = Regression::fit(&train, labels, classes, words.idf.len());
    rows.iter().flat_map(|example| model.logits(&words.row(example))).collect()
}

/// The terms of the training rows and how much each tells: ln((1 + n) / (1 + rows with it)) + 1, as in scikit-learn.
struct Words {
    places: HashMap<String, u32>,
    idf: Vec<f32>,
}

impl Words {
    fn of(examples: &[Example]) -> Self {
        let mut rows_with: BTreeMap<String, usize> = BTreeMap::new();
        for example in examples {
            for term in counts(example).into_keys() {
                *rows_with.entry(term).or_default() += 1;
            }
        }
        let idf = |rows: &usize| ((1.0 + examples.len() as f32) / (1.0 + *rows as f32)).ln() + 1.0;
        let idf = rows_with.values().map(idf).collect();
        Self { places: rows_with.into_keys().zip(0..).collect(), idf }
    }

    /// The known terms of a text, of length 1 together.
    fn row(&self, example: &Example) -> Row {
        let known = counts(example).into_iter().filter_map(|(term, count)| {
            let place = *self.places.get(&term)?;
            Some((place, count as f32 * self.idf[place as usize]))
        });
        let mut row: Row = known.collect();
        // Before the sum, whose last digit depends on the order.
        row.sort_unstable_by_key(|(place, _)| *place);
        let norm = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, value)| *value /= norm);
        row
    }
}

/// How often each word and each pair of neighbours occurs. The second text of a pair has words of its own.
fn counts(example: &Example) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let texts = [("", Some(example.text.as_str())), ("2:", example.text_pair.as_deref())];
    for (side, text) in texts.into_iter().filter_map(|(side, text)| Some((side, text?))) {
        let text = text.to_lowercase();
        let words: Vec<&str> = words(&text).collect();
        for word in &words {
            *counts.entry(format!("{side}{word}")).or_default() += 1;
        }
        for pair in words.windows(2) {
            *counts.entry(format!("{side}{} {}", pair[0], pair[1])).or_default() += 1;
        }
    }
    counts
}

/// Softmax regression on sparse rows.
struct Regression {
    classes: usize,
    /// `[features, classes]`
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Regression {
    /// Fits by Adam on all rows at once, at a rate that falls to zero.
    fn fit(rows: &[Row], targets: &[u32], classes: usize, features: usize) -> Self {
        let mut model = Self { classes, weights: vec![0.0; features * classes], bias: vec![0.0; classes] };
        let mut adam = [Adam::new(model.weights.len()), Adam::new(classes)];
        let share = 1.0 / rows.len().max(1) as f32;
        for step in 0..STEPS {
            let mut of_weights: Vec<f32> = model.weights.iter().map(|weight| 2.0 * PENALTY * weight).collect();
            let mut of_bias = vec![0.0; classes];
            for (row, &target) in rows.iter().zip(targets) {
                let mut slopes = model.probabilities(row);
                slopes[target as usize] -= 1.0;
                for (total, slope) in of_bias.iter_mut().zip(&slopes) {
                    *total += share * slope;
                }
                for &(place, value) in row {
                    let own = &mut of_weights[place as usize * classes..(place as usize + 1) * classes];
                    own.iter_mut().zip(&slopes).for_each(|(total, slope)| *total += share * value * slope);
                }
            }
            let rate = LEARNING_RATE * (1.0 - step as f32 / STEPS as f32);
            adam[0].step(&mut model.weights, &of_weights, rate);
            adam[1].step(&mut model.bias, &of_bias, rate);
        }
        model
    }

    fn logits(&self, row: &Row) -> Vec<f32> {
        let mut logits = self.bias.clone();
        for &(place, value) in row {
            let own = &self.weights[place as usize * self.classes..(place as usize + 1) * self.classes];
            logits.iter_mut().zip(own).for_each(|(logit, weight)| *logit += value * weight);
        }
        logits
    }

    fn probabilities(&self, row: &Row) -> Vec<f32> {
        let logits = self.logits(row);
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponential = |logit: &f32| if logit - top < FARTHEST { 0.0 } else { (logit - top).exp() };
        let exponentials: Vec<f32> = logits.iter().map(exponential).collect();
        let total: f32 = exponentials.iter().sum();
        exponentials.into_iter().map(|e| e / total).collect()
    }
}

/// Adam (Kingma and Ba, 2015).
struct Adam {
    step: i32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    fn new(len: usize) -> Self {
        Self { step: 0, first: vec![0.0; len], second: vec![0.0; len] }
    }

    fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        self.step += 1;
        let (first, second) = (1.0 - 0.9f32.powi(self.step), 1.0 - 0.999f32.powi(self.step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *value -= rate * (*m / first) / ((*v / second).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(text: &str, pair: Option<&str>) -> Example {
        Example { text_pair: pair.map(str::to_string), line: 1, ..Example::from_text(text) }
    }

    #[test]
    fn words_that_tell_the_classes_apart_are_found() {
        let text = |i: usize| match i % 3 {
            0 => format!("The parcel number {i} is late"),
            1 => format!("money back for {i}, please"),
            _ => format!("number {i} money PARCEL please late"),
        };
        let examples: Vec<Example> = (0..60).map(|i| example(&text(i), None)).collect();
        let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
        let words = Words::of(&examples);
        let rows: Vec<Row> = examples.iter().map(|example| words.row(example)).collect();
        let model = Regression::fit(&rows, &labels, 3, words.idf.len());
        for i in 60..90 {
            let logits = model.logits(&words.row(&example(&text(i), None)));
            let best = (0..3).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(best, i % 3, "{}", text(i));
        }
    }

    #[test]
    fn rows_have_length_one_or_no_known_word() {
        let words = Words::of(&[example("a b a", Some("b")), example("c", None)]);
        let row = words.row(&example("A, b", Some("b")));
        assert!((row.iter().map(|(_, v)| v * v).sum::<f32>() - 1.0).abs() < 1e-6);
        // a, b, "a b", and b on the other side.
        assert_eq!(row.len(), 4);
        assert_eq!(words.row(&example("", None)), Vec::new());
        assert_eq!(words.row(&example("zebra", None)), Vec::new());
    }
}
