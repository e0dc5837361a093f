//! Whether a classifier is right as often as it says, and the temperature that makes it so (Guo et al., "On Calibration of
//! Modern Neural Networks", ICML 2017).
//!
//! Logits are row-major `[rows, classes]`, divided by a temperature before the softmax; 1 leaves them as they are. A
//! temperature changes no prediction. All sums are f64. What is no table of classified rows is none: no row, a length that
//! is not `gold.len() * classes`, a logit that is not finite, a gold class beyond `classes`.

use crate::classification::argmax;

/// How many bins the confidences are put into, as Guo et al. do.
const BINS: usize = 15;
/// The temperature is sought between this and its inverse.
const HOTTEST: f64 = 20.0;
/// Most steps of the search; it needs about ten.
const STEPS: usize = 200;

/// Accuracy by confidence: a reliability diagram and its summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// The bins that have rows, the least confident first.
    pub bins: Vec<Bin>,
    /// Expected calibration error: the mean over the rows of the distance between confidence and accuracy of their bin, in
    /// `[0, 1]` (Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015).
    pub ece: f64,
    /// Maximum calibration error: the largest of these distances, however few rows the bin has.
    pub mce: f64,
}

/// The rows whose confidence lies in `(low, high]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The confidence that every row exceeds.
    pub low: f64,
    /// The confidence that no row exceeds.
    pub high: f64,
    /// How many rows; at least one.
    pub rows: usize,
    /// Mean probability of the predicted class.
    pub confidence: f64,
    /// The part of the rows whose prediction is right.
    pub accuracy: f64,
}

/// The temperature that fits rows best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// What to divide logits by: above 1 when the classifier is too sure of itself.
    pub value: f64,
    /// Whether the best temperature is not between 1/20 and 20, so that `value` is the nearer of the two.
    pub at_bound: bool,
    /// Mean cross-entropy of the logits as they are, in nats.
    pub loss_before: f64,
    /// The same of the logits divided by `value`; not more than before.
    pub loss_after: f64,
}

/// Compares confidence with accuracy in 15 bins of equal width. The confidence of a row is the probability of its predicted
/// class, the first among equals. None for what is no table, or a temperature that is not a positive number.
pub fn reliability(logits: &[f32], classes: usize, gold: &[u32], temperature: f64) -> Option<Reliability> {
    let table = Table::new(logits, classes, gold)?;
    let sharpness = sharpness(temperature)?;
    let mut sums = [Sums::default(); BINS];
    for ((row, &gold), predicted) in table.rows().zip(gold).zip(argmax(logits, classes)) {
        // The predicted class has weight 1 among the weights.
        let confidence = 1.0 / weights(row, sharpness).sum::<f64>();
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let sums = &mut sums[bin];
        sums.rows += 1;
        sums.confidence += confidence;
        sums.right += usize::from(predicted == gold);
    }
    let bin = |(place, sums): (usize, &Sums)| Bin {
        low: place as f64 / BINS as f64,
        high: (place + 1) as f64 / BINS as f64,
        rows: sums.rows,
        confidence: sums.confidence / sums.rows as f64,
        accuracy: sums.right as f64 / sums.rows as f64,
    };
    let bins: Vec<Bin> = sums.iter().enumerate().filter(|(_, sums)| sums.rows > 0).map(bin).collect();
    let error = |bin: &Bin| (bin.confidence - bin.accuracy).abs();
    let ece = bins.iter().map(|bin| bin.rows as f64 * error(bin)).sum::<f64>() / gold.len() as f64;
    let mce = bins.iter().map(error).fold(0.0, f64::max);
    Some(Reliability { bins, ece, mce })
}

/// The temperature with the least mean cross-entropy, sought from 1/20 to 20. None for what is no table.
///
/// When every row is right there is no such temperature, because sharper is always better: the value is 1/20 and
/// [`Temperature::at_bound`] says so. When flatter is always better, it is 20. It is 1 when the temperature changes nothing,
/// as with logits that are all equal.
pub fn temperature(logits: &[f32], classes: usize, gold: &[u32]) -> Option<Temperature> {
    let table = Table::new(logits, classes, gold)?;
    let (flattest, sharpest) = (1.0 / HOTTEST, HOTTEST);
    let (at_flattest, at_sharpest) = (table.loss(flattest), table.loss(sharpest));
    // The loss is convex in the inverse of the temperature, so the slopes at both ends say where its minimum is.
    let (value, at_bound) = if at_flattest.slope == 0.0 && at_sharpest.slope == 0.0 {
        (1.0, false)
    } else if at_sharpest.slope <= 0.0 {
        (1.0 / sharpest, true)
    } else if at_flattest.slope >= 0.0 {
        (1.0 / flattest, true)
    } else {
        (1.0 / table.stationary(flattest, sharpest), false)
    };
    let loss = |temperature: f64| table.loss(1.0 / temperature).value;
    Some(Temperature { value, at_bound, loss_before: loss(1.0), loss_after: loss(value) })
}

/// Mean cross-entropy of the logits divided by `temperature`, in nats. None for what is no table, or a temperature that is not a
/// positive number.
pub fn loss_at(logits: &[f32], classes: usize, gold: &[u32], temperature: f64) -> Option<f64> {
    Some(Table::new(logits, classes, gold)?.loss(sharpness(temperature)?).value)
}

/// Mean over the rows of the squared distance between their probabilities and the one-hot row of their class, 0 to 2 (Brier,
/// "Verification of Forecasts Expressed in Terms of Probability", 1950): scikit-learn's `brier_score_loss` with
/// `scale_by_half=False`. None for what is no table, or a temperature that is not a positive number.
pub fn brier(logits: &[f32], classes: usize, gold: &[u32], temperature: f64) -> Option<f64> {
    let table = Table::new(logits, classes, gold)?;
    let sharpness = sharpness(temperature)?;
    let distance = |(row, &gold): (&[f32], &u32)| {
        let total: f64 = weights(row, sharpness).sum();
        let one_hot = |class: usize| f64::from(u8::from(class == gold as usize));
        weights(row, sharpness)
            .enumerate()
            .map(|(class, weight)| (weight / total - one_hot(class)).powi(2))
            .sum::<f64>()
    };
    Some(table.rows().zip(gold).map(distance).sum::<f64>() / gold.len() as f64)
}

/// The sums of a bin.
#[derive(Clone, Copy, Default)]
struct Sums {
    rows: usize,
    confidence: f64,
    right: usize,
}

/// Finite logits with a gold class in each row.
#[derive(Clone, Copy)]
struct Table<'a> {
    logits: &'a [f32],
    classes: usize,
    gold: &'a [u32],
}

/// The mean cross-entropy and its derivatives with respect to the inverse of the temperature.
struct Loss {
    value: f64,
    slope: f64,
    curvature: f64,
}

impl<'a> Table<'a> {
    fn new(logits: &'a [f32], classes: usize, gold: &'a [u32]) -> Option<Self> {
        let is_table = !gold.is_empty()
            && gold.len().checked_mul(classes) == Some(logits.len())
            && gold.iter().all(|&class| (class as usize) < classes)
            && logits.iter().all(|logit| logit.is_finite());
        is_table.then_some(Self { logits, classes, gold })
    }

    fn rows(self) -> impl Iterator<Item = &'a [f32]> {
        self.logits.chunks_exact(self.classes)
    }

    fn loss(self, sharpness: f64) -> Loss {
        let mut sums = Loss { value: 0.0, slope: 0.0, curvature: 0.0 };
        for (row, &gold) in self.rows().zip(self.gold) {
            let own = f64::from(row[gold as usize]);
            let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
            for (weight, &logit) in weights(row, sharpness).zip(row) {
                // Differences to the gold class, so that a slope near zero keeps its digits.
                let above = f64::from(logit) - own;
                total += weight;
                first += weight * above;
                second += weight * above * above;
            }
            let mean = first / total;
            sums.value += total.ln() + sharpness * (largest(row) - own);
            sums.slope += mean;
            sums.curvature += second / total - mean * mean;
        }
        let rows = self.gold.len() as f64;
        Loss { value: sums.value / rows, slope: sums.slope / rows, curvature: sums.curvature / rows }
    }

    /// Where the slope, negative at `low` and positive at `high`, is zero: Newton's steps, and halves of the bracket on a
    /// logarithmic scale where such a step leaves it or the last one gained little.
    fn stationary(self, mut low: f64, mut high: f64) -> f64 {
        let mut sharpness = 1.0;
        let mut before = f64::INFINITY;
        for _ in 0..STEPS {
            let Loss { slope, curvature, .. } = self.loss(sharpness);
            let step = -slope / curvature;
            let gained = slope.abs() <= 0.5 * before;
            // Next to the minimum, a slope that shrinks no more is rounding.
            if slope == 0.0 || step.abs() <= if gained { 1e-14 } else { 1e-9 } * sharpness {
                break;
            }
            if slope < 0.0 {
                low = sharpness
            } else {
                high = sharpness
            }
            let newton = sharpness + step;
            sharpness = if gained && low < newton && newton < high { newton } else { (low * high).sqrt() };
            before = slope.abs();
        }
        sharpness
    }
}

/// The inverse of a temperature.
fn sharpness(temperature: f64) -> Option<f64> {
    (temperature > 0.0 && temperature.is_finite()).then(|| 1.0 / temperature)
}

/// The probabilities of a row as multiples of the largest.
fn weights(row: &[f32], sharpness: f64) -> impl Iterator<Item = f64> {
    let most = largest(row);
    row.iter().map(move |&logit| (sharpness * (f64::from(logit) - most)).exp())
}

fn largest(row: &[f32]) -> f64 {
    f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bootstrap::Draws;
    use crate::classification::cross_entropy;

    fn fixture() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/calibration.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn numbers(values: &Value) -> Vec<f64> {
        values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    /// Two classes, confidences of 0.6 to 0.9, and of 100 rows of each as many right as it says.
    fn calibrated() -> (Vec<f32>, Vec<u32>) {
        let right = [60_u32, 70, 80, 90];
        let rows = right.iter().flat_map(|&right| (0..100).map(move |row| (right, row)));
        rows.map(|(right, row)| {
            let odds = f64::from(right) / f64::from(100 - right);
            ([odds.ln() as f32, 0.0], u32::from(row >= right))
        })
        .fold((Vec::new(), Vec::new()), |(mut logits, mut gold), (row, class)| {
            logits.extend(row);
            gold.push(class);
            (logits, gold)
        })
    }

    /// Noise that leans to the gold class.
    fn leaning(rows: usize, classes: usize) -> (Vec<f32>, Vec<u32>) {
        let mut draws = Draws::new(11);
        let gold: Vec<u32> = (0..rows).map(|_| draws.below(classes) as u32).collect();
        let mut logits = Vec::new();
        for &gold in &gold {
            for class in 0..classes {
                logits.push(draws.below(4000) as f32 / 1000.0 + f32::from(u8::from(class == gold as usize)));
            }
        }
        (logits, gold)
    }

    fn scaled(logits: &[f32], factor: f32) -> Vec<f32> {
        logits.iter().map(|logit| factor * logit).collect()
    }

    #[test]
    fn values_are_those_that_others_computed() {
        let fixture = fixture();
        let logits: Vec<f32> = numbers(&fixture["logits"]).into_iter().map(|logit| logit as f32).collect();
        let gold: Vec<u32> = numbers(&fixture["gold"]).into_iter().map(|class| class as u32).collect();
        let near = |value: f64, expected: &Value, tolerance: f64| {
            let expected = expected.as_f64().unwrap();
            assert!((value - expected).abs() < tolerance, "{value}, not {expected}");
        };
        for case in fixture["reliability"].as_array().unwrap() {
            let heat = case["temperature"].as_f64().unwrap();
            let found = reliability(&logits, 4, &gold, heat).unwrap();
            near(found.ece, &case["ece"], 1e-12);
            near(found.mce, &case["mce"], 1e-12);
            near(brier(&logits, 4, &gold, heat).unwrap(), &case["brier"], 1e-12);
            let expected = case["bins"].as_array().unwrap();
            assert_eq!(found.bins.len(), expected.len());
            for (bin, expected) in found.bins.iter().zip(expected) {
                assert_eq!(bin.rows as u64, expected["rows"].as_u64().unwrap());
                near(bin.confidence, &expected["confidence"], 1e-12);
                near(bin.accuracy, &expected["accuracy"], 1e-12);
            }
        }
        let found = temperature(&logits, 4, &gold).unwrap();
        assert!(!found.at_bound);
        near(found.value, &fixture["temperature"], 1e-6);
        near(found.loss_before, &fixture["loss_before"], 1e-12);
        near(found.loss_after, &fixture["loss_after"], 1e-12);
    }

    #[test]
    fn a_classifier_that_is_right_as_often_as_it_says_has_no_error() {
        let (logits, gold) = calibrated();
        let own = reliability(&logits, 2, &gold, 1.0).unwrap();
        assert!(own.ece < 1e-7 && own.mce < 1e-7, "{own:?}");
        assert_eq!(own.bins.iter().map(|bin| bin.rows).sum::<usize>(), gold.len());
        let found = temperature(&logits, 2, &gold).unwrap();
        assert!((found.value - 1.0).abs() < 1e-6, "{found:?}");
        for (factor, sign) in [(3.0, 1.0), (1.0 / 3.0, -1.0)] {
            let wrong = reliability(&scaled(&logits, factor), 2, &gold, 1.0).unwrap();
            assert!(wrong.ece > 0.1 && wrong.mce >= wrong.ece, "{wrong:?}");
            assert!(wrong.bins.iter().all(|bin| sign * (bin.confidence - bin.accuracy) > 0.0), "{wrong:?}");
            // The temperature takes the factor back.
            let back = reliability(&scaled(&logits, factor), 2, &gold, f64::from(factor)).unwrap();
            assert!(back.ece < 1e-6, "{back:?}");
        }
    }

    #[test]
    fn a_bin_holds_its_upper_edge() {
        // Equal logits of two classes are a confidence of exactly 1/2, those of one class of 1, of five classes of 3/15.
        let edges = |classes: usize| {
            let found = reliability(&vec![0.0; classes], classes, &[0], 1.0).unwrap();
            (found.bins[0].low * 15.0, found.bins[0].high * 15.0, found.bins[0].accuracy)
        };
        assert_eq!(edges(1), (14.0, 15.0, 1.0));
        assert_eq!(edges(2), (7.0, 8.0, 1.0));
        let (low, high, _) = edges(5);
        assert!((low - 2.0).abs() < 1e-12 && (high - 3.0).abs() < 1e-12, "{low} to {high}");
    }

    #[test]
    fn the_temperature_follows_the_scale_of_the_logits() {
        let (logits, gold) = leaning(300, 3);
        let own = temperature(&logits, 3, &gold).unwrap();
        assert!((0.7..2.0).contains(&own.value), "{own:?}");
        // Powers of two, so that nothing is rounded.
        for factor in [0.0625, 0.125, 0.25, 0.5, 2.0, 4.0, 8.0] {
            let other = temperature(&scaled(&logits, factor), 3, &gold).unwrap();
            assert!((other.value / own.value - f64::from(factor)).abs() < 1e-12, "{own:?} and {other:?}");
            assert!((other.loss_after - own.loss_after).abs() < 1e-12);
        }
        let three = temperature(&scaled(&logits, 3.0), 3, &gold).unwrap();
        assert!((three.value / own.value - 3.0).abs() < 1e-6);
    }

    #[test]
    fn no_other_temperature_loses_less() {
        let (logits, gold) = leaning(300, 3);
        let own = temperature(&logits, 3, &gold).unwrap();
        assert!(!own.at_bound && own.loss_after < own.loss_before, "{own:?}");
        assert!((own.loss_before - cross_entropy(&logits, 3, &gold)).abs() < 1e-12);
        let table = Table::new(&logits, 3, &gold).unwrap();
        for factor in [0.05, 0.9, 0.999, 1.001, 1.1, 20.0] {
            assert!(table.loss(1.0 / (factor * own.value)).value > own.loss_after, "{factor}");
        }
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        let (logits, gold) = leaning(50, 3);
        let table = Table::new(&logits, 3, &gold).unwrap();
        for sharpness in [0.1, 1.0, 5.0] {
            let step = 1e-5 * sharpness;
            let (less, here, more) =
                (table.loss(sharpness - step), table.loss(sharpness), table.loss(sharpness + step));
            assert!(((more.value - less.value) / (2.0 * step) - here.slope).abs() < 1e-8);
            assert!(((more.slope - less.slope) / (2.0 * step) - here.curvature).abs() < 1e-8);
        }
    }

    #[test]
    fn without_a_best_temperature_the_bound_is_told() {
        let at = |logits: &[f32], gold: &[u32]| {
            let found = temperature(logits, 2, gold).unwrap();
            assert!(found.loss_after <= found.loss_before, "{found:?}");
            (found.value, found.at_bound)
        };
        assert_eq!(at(&[2.0, 0.0, 0.0, 1.0], &[0, 1]), (0.05, true));
        // So sure that the probabilities of the others are no numbers any more.
        assert_eq!(at(&[900.0, 0.0, 0.0, 900.0], &[0, 1]), (0.05, true));
        assert_eq!(at(&[2.0, 0.0, 0.0, 1.0], &[1, 0]), (20.0, true));
        assert_eq!(at(&[2.0, 2.0, 1.0, 1.0], &[1, 0]), (1.0, false));
        let huge = at(&[f32::MAX, f32::MIN, f32::MAX, f32::MIN], &[0, 1]);
        assert_eq!(huge, (20.0, true));
    }

    #[test]
    fn the_brier_score_is_zero_for_the_sure_and_right_and_two_for_the_sure_and_wrong() {
        let sure = [1000.0, 0.0, 0.0];
        assert!(brier(&sure, 3, &[0], 1.0).unwrap().abs() < 1e-12);
        assert!((brier(&sure, 3, &[1], 1.0).unwrap() - 2.0).abs() < 1e-12);
        assert!((brier(&[0.0; 3], 3, &[1], 1.0).unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_table_is_none() {
        let none = |logits: &[f32], classes: usize, gold: &[u32]| {
            assert_eq!(reliability(logits, classes, gold, 1.0), None);
            assert_eq!(temperature(logits, classes, gold), None);
            assert_eq!(brier(logits, classes, gold, 1.0), None);
        };
        none(&[], 2, &[]);
        none(&[], 0, &[0]);
        none(&[1.0, 2.0, 3.0], 2, &[0]);
        none(&[1.0, 2.0], 2, &[2]);
        none(&[1.0, f32::NAN], 2, &[0]);
        none(&[1.0, f32::NEG_INFINITY], 2, &[0]);
        for heat in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(reliability(&[1.0, 2.0], 2, &[0], heat), None);
            assert_eq!(brier(&[1.0, 2.0], 2, &[0], heat), None);
        }
    }
}
