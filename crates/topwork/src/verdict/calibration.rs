//! Whether probabilities mean what they say, and the one number that makes them.

use serde::{Deserialize, Serialize};
use topwork_metrics::calibration::{reliability, temperature};

use super::Scored;

/// How well probabilities say how often an answer is right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// The rows that the temperature was fitted on.
    pub fitted_on: String,
    /// What logits are divided by; above 1 where the model is too sure.
    pub temperature: f64,
    /// The rows that were looked at: `test`, or the ones fitted on where there are no others.
    pub split: String,
    /// Expected calibration error with 15 bins, before and after.
    pub ece: (f64, f64),
    /// Mean cross-entropy in nats, before and after.
    pub loss: (f64, f64),
    /// The bins of confidence before, those with rows.
    pub bins: Vec<ReliabilityBin>,
}

/// Rows whose confidence lies within bounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// How many.
    pub rows: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The part that was right.
    pub accuracy: f64,
}

/// Fewer rows than this fit a temperature to chance.
pub const FEWEST_TO_CALIBRATE: usize = 30;

/// Fits a temperature on the answers to validation rows or left-out ones, and looks at those to test rows when there are some. None where there
/// are too few rows, or all of them are right: then no temperature is best.
pub fn calibrate(classes: usize, fitted_on: &Scored<'_>, test: Option<&Scored<'_>>) -> Option<Calibration> {
    let validation = fitted_on.answers();
    if validation.gold.len() < FEWEST_TO_CALIBRATE {
        return None;
    }
    let found = temperature(validation.logits, classes, validation.gold)?;
    if found.at_bound {
        return None;
    }
    let split = test.unwrap_or(fitted_on);
    let looked_at = split.answers();
    let at = |divisor: f64| reliability(looked_at.logits, classes, looked_at.gold, divisor);
    let cooled: Vec<f32> = looked_at.logits.iter().map(|logit| (f64::from(*logit) / found.value) as f32).collect();
    let (before, after) = (at(1.0)?, at(found.value)?);
    let loss = |logits: &[f32]| topwork_metrics::cross_entropy(logits, classes, looked_at.gold);
    let bins = before.bins.iter().filter(|bin| bin.rows > 0);
    Some(Calibration {
        fitted_on: fitted_on.name.to_string(),
        temperature: found.value,
        split: split.name.to_string(),
        ece: (before.ece, after.ece),
        loss: (loss(looked_at.logits), loss(&cooled)),
        bins: bins
            .map(|bin| ReliabilityBin { rows: bin.rows, confidence: bin.confidence, accuracy: bin.accuracy })
            .collect(),
    })
}
