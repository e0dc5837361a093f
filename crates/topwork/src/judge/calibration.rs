//! Whether probabilities mean what they say, and the one number that makes them.

use serde::{Deserialize, Serialize};
use topwork_metrics::calibration::{brier, loss_at, reliability, temperature};

use super::{Answers, percent};

/// How well probabilities say how often an answer is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The rows that were looked at: `test`, or the ones that a temperature is fitted on where there are no others.
    pub split: String,
    /// How many.
    pub rows: usize,
    /// How far off the probabilities are, without a temperature; none with fewer than [`FEWEST_TO_CALIBRATE`] rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Miscalibration>,
    /// The bins of confidence, without a temperature, those with rows.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub bins: Vec<ReliabilityBin>,
    /// What logits are divided by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub temperature: Option<FittedTemperature>,
    /// Why there is no temperature.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub no_temperature: Option<String>,
}

/// How far off probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Miscalibration {
    /// Expected calibration error with 15 bins.
    pub ece: f64,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Brier score, 0 to 2.
    pub brier: f64,
}

/// A temperature that was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTemperature {
    /// What logits are divided by; above 1 where the model is too sure.
    pub value: f64,
    /// The rows that it was fitted on.
    pub fitted_on: String,
    /// How far off the probabilities are with it, on the rows that were looked at; none where there are too few.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Miscalibration>,
}

/// Rows whose confidence lies within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// How many.
    pub rows: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The part that was right.
    pub accuracy: f64,
}

/// Fewer rows than this fit a temperature, and fill bins, by chance.
pub const FEWEST_TO_CALIBRATE: usize = 30;
/// The 95 % point of the χ² distribution with one degree of freedom: twice the gain in log-likelihood beyond which a temperature
/// is told from 1 (Wilks, "The Large-Sample Distribution of the Likelihood Ratio", 1938).
const TELLING: f64 = 3.841;
/// A temperature so near to 1 changes nothing that matters.
const NEAR_ONE: f64 = 0.05;

/// The name of a split, and the answers to it.
pub type Named<'a> = (&'static str, Answers<'a>);

/// Looks at the answers to test rows, and fits a temperature on those to validation rows or left-out ones (`fitted_on`), which
/// are looked at themselves where there is no test. None where there is neither.
pub fn calibrate(classes: usize, fitted_on: Option<Named<'_>>, test: Option<Named<'_>>) -> Option<Calibration> {
    let (split, answers) = test.or(fitted_on)?;
    let fitted = fit(classes, fitted_on);
    let measured = reliability(answers.logits, classes, answers.gold, 1.0)
        .filter(|_| answers.gold.len() >= FEWEST_TO_CALIBRATE)
        .map_or(Vec::new(), |measured| measured.bins);
    let bins = measured.into_iter().map(|bin| ReliabilityBin {
        rows: bin.rows,
        confidence: bin.confidence,
        accuracy: bin.accuracy,
    });
    let (temperature, no_temperature) = match fitted {
        Ok((value, fitted_on)) => {
            let after = miscalibration(classes, answers, value);
            (Some(FittedTemperature { value, fitted_on, after }), None)
        }
        Err(reason) => (None, Some(reason)),
    };
    Some(Calibration {
        split: split.to_string(),
        rows: answers.gold.len(),
        before: miscalibration(classes, answers, 1.0),
        bins: bins.collect(),
        temperature,
        no_temperature,
    })
}

fn miscalibration(classes: usize, answers: Answers<'_>, temperature: f64) -> Option<Miscalibration> {
    let Answers { logits, gold } = answers;
    if gold.len() < FEWEST_TO_CALIBRATE {
        return None;
    }
    Some(Miscalibration {
        ece: reliability(logits, classes, gold, temperature)?.ece,
        loss: loss_at(logits, classes, gold, temperature)?,
        brier: brier(logits, classes, gold, temperature)?,
    })
}

/// A temperature and the rows that it was fitted on, or why there is none.
fn fit(classes: usize, on: Option<Named<'_>>) -> Result<(f64, String), String> {
    let Some((name, Answers { logits, gold })) = on else {
        return Err("there are no validation rows to fit it on".to_string());
    };
    let rows = gold.len();
    if rows < FEWEST_TO_CALIBRATE {
        return Err(format!("{rows} {name} rows are too few to fit it on, {FEWEST_TO_CALIBRATE} are needed"));
    }
    let Some(found) = temperature(logits, classes, gold) else {
        return Err(format!("the answers to {name} rows are no numbers"));
    };
    let gain = 2.0 * rows as f64 * (found.loss_before - found.loss_after);
    match found.at_bound {
        false if gain < TELLING => {
            Err(format!("{rows} {name} rows do not tell the one that fits them best, {:.2}, from 1", found.value))
        }
        false => Ok((found.value, name.to_string())),
        true if found.value < 1.0
            && topwork_metrics::accuracy(gold, &topwork_metrics::argmax(logits, classes)) == 1.0 =>
        {
            Err(format!("the {name} rows are all answered rightly, so that being surer is always better"))
        }
        true if found.value < 1.0 => Err(format!(
            "the answers to {name} rows are so unsure that even {:.2} does not make them sure enough",
            found.value
        )),
        true => Err(format!("the answers to {name} rows are so poor that being less sure is always better")),
    }
}

impl Calibration {
    /// Whether the model is surer than it is right; none where it is about as sure as right, or nobody knows.
    pub fn is_too_sure(&self) -> Option<bool> {
        let value = self.temperature.as_ref()?.value;
        ((value - 1.0).abs() >= NEAR_ONE).then_some(value > 1.0)
    }

    /// Whether the rows that were looked at are those that the temperature was fitted on, which flatters it.
    pub fn is_flattered(&self) -> bool {
        self.temperature.as_ref().is_some_and(|temperature| temperature.fitted_on == self.split)
    }

    /// What was found, in words.
    pub fn sentence(&self) -> String {
        let Self { split, rows, .. } = self;
        let error = match (self.before, self.temperature.as_ref().and_then(|temperature| temperature.after)) {
            (Some(before), Some(after)) => {
                format!("calibration error {} → {} on {split} rows", percent(before.ece), percent(after.ece))
            }
            (Some(before), None) => format!("calibration error {} on {split} rows", percent(before.ece)),
            (None, _) => format!("calibration error unknown, of {rows} {split} rows"),
        };
        match (&self.temperature, &self.no_temperature) {
            (Some(FittedTemperature { value, fitted_on, .. }), _) => {
                let flattered = if self.is_flattered() { ", which it was fitted on" } else { "" };
                format!("temperature {value:.2}, fitted on {fitted_on} rows: {error}{flattered}")
            }
            (None, Some(reason)) => format!("{error}; no temperature: {reason}"),
            (None, None) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes of rows, of which every `nth` is answered wrongly, and logits of so much.
    fn rows(count: usize, wrong_every: usize, logit: f32) -> (Vec<u32>, Vec<f32>) {
        let gold: Vec<u32> = (0..count).map(|row| (row % 2) as u32).collect();
        let answer = |(row, &class): (usize, &u32)| {
            let said = if (row + 1) % wrong_every == 0 { 1 - class } else { class };
            [logit * (1 - said) as f32, logit * said as f32]
        };
        let logits = gold.iter().enumerate().flat_map(answer).collect();
        (gold, logits)
    }

    fn calibrated(validation: Option<&(Vec<u32>, Vec<f32>)>, test: Option<&(Vec<u32>, Vec<f32>)>) -> Calibration {
        let named = |name| move |(gold, logits): &'_ (Vec<u32>, Vec<f32>)| (name, gold.clone(), logits.clone());
        let (validation, test) = (validation.map(named("validation")), test.map(named("test")));
        let [validation, test] = [&validation, &test]
            .map(|rows| rows.as_ref().map(|(name, gold, logits)| (*name, Answers { gold, logits })));
        calibrate(2, validation, test).unwrap()
    }

    #[test]
    fn a_sure_model_that_is_often_wrong_is_cooled_by_what_its_odds_say() {
        // Right in three of four: the odds are 3, whose logarithm the logits are divided down to.
        let validation = rows(400, 4, 6.0);
        let found = calibrated(Some(&validation), None);
        let temperature = found.temperature.clone().unwrap();
        assert!((temperature.value - 6.0 / 3.0f64.ln()).abs() < 1e-6, "{temperature:?}");
        assert!(temperature.after.unwrap().ece < 1e-6 && found.before.unwrap().ece > 0.2, "{found:?}");
        assert_eq!(found.is_too_sure(), Some(true));
        assert!(found.sentence().contains("which it was fitted on"), "{}", found.sentence());
        let tested = calibrated(Some(&validation), Some(&rows(100, 4, 6.0)));
        assert!(!tested.sentence().contains("which it was"), "{}", tested.sentence());
    }

    #[test]
    fn what_is_missing_is_said() {
        let test = rows(100, 3, 2.0);
        for (validation, said) in [
            (None, "no validation rows"),
            (Some(rows(29, 4, 2.0)), "29 validation rows are too few"),
            (Some(rows(40, 4, 1.5)), "do not tell the one that fits them best, 1.37, from 1"),
            (Some(rows(100, 1, 2.0)), "less sure is always better"),
            (Some(rows(100, 101, 2.0)), "surer is always better"),
            (Some(rows(100, 3, 0.001)), "so unsure"),
        ] {
            let found = calibrated(validation.as_ref(), Some(&test));
            assert!(found.temperature.is_none() && found.before.is_some(), "{found:?}");
            assert!(found.sentence().contains(said), "{}", found.sentence());
        }
        let unknown = calibrated(Some(&rows(29, 4, 2.0)), None);
        assert!(unknown.before.is_none() && unknown.sentence().contains("unknown, of 29"), "{}", unknown.sentence());
    }
}
