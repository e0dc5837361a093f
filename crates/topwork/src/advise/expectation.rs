//! What to expect of the advised run: its score, what more rows would bring, and how long it takes.

use serde::Serialize;
use topwork_metrics::learning_curve::PowerLaw;

/// What a score on rows held out differs by from the one of the whole run, besides chance: another sample of the task,
/// another seed, a whole training. Measured: see docs/experiments.md.
const MODEL_ERROR: f64 = 0.035;
/// A fine-tuned model's error as a part of a probe's, and the deviation of its logarithm. Measured on trainings of 480 rows at tune's
/// own length; of 60 advised ones, most of them longer, 49 were within the interval (docs/experiments.md).
const TUNED_ERROR: f64 = 0.75;
const TUNED_SPREAD: f64 = 0.4;
/// Standard errors of an interval that is to hold in four of five cases, with room.
const WIDTH: f64 = 1.5;

/// Standard errors by which a probe's error has to fall before it tells what more rows would bring: chance does so in one of ten
/// cases.
const FALLS: f64 = 1.28;
/// Fewer rows than these say nothing of what a run would score.
const FEWEST_ASKED: usize = 16;

/// The expectation.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// The accuracy on rows like the training rows.
    pub accuracy: f64,
    /// Where it probably lies; none where too few rows were held out to tell.
    pub interval: Option<(f64, f64)>,
    /// What it is taken from.
    pub from: String,
    /// How the error of a probe falls with the rows, when it does.
    pub law: Option<Law>,
    /// Labelled rows to add for a point more; none where the curve tells nothing.
    pub rows_for_a_point: Option<usize>,
    /// Seconds of `topwork tune` without comparisons.
    pub seconds: f64,
    /// One sentence.
    pub sentence: String,
}

/// error = a · rows^−b
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Law {
    /// The error at one row.
    pub a: f64,
    /// How fast it falls.
    pub b: f64,
}

/// Who was asked about rows held out.
pub(crate) enum Asked<'a> {
    /// The race's winner: for each row whether it was right, and the rows that it had learnt from.
    Race { right: &'a [bool], rows_learnt: usize },
    /// A probe, in folds of so many rows.
    Probe { accuracy: f64, rows: usize },
}

/// What was measured.
pub(crate) struct Measured<'a> {
    pub(crate) asked: Asked<'a>,
    /// Rows that the run will learn from.
    pub(crate) rows: usize,
    /// The errors of a probe by the rows it was fitted to, fewer first.
    pub(crate) curve: &'a [CurvePoint],
    /// Rows that probe and words were measured on, in folds.
    pub(crate) looked_at: usize,
    /// The accuracy of words alone, in those folds.
    pub(crate) bag_of_words: f64,
    /// The accuracy of the most frequent class.
    pub(crate) majority: f64,
    pub(crate) model: &'a str,
    pub(crate) seconds: f64,
}

/// A probe's error on rows that it was not fitted to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurvePoint {
    /// Rows that it was fitted to.
    pub(crate) rows: f64,
    /// The part that was wrong.
    pub(crate) error: f64,
    /// Rows that it was asked about.
    pub(crate) asked: usize,
}

/// Whether the error falls by more than chance may do: by more than the standard error of the logarithm of two errors, times
/// [`FALLS`].
fn falls(curve: &[CurvePoint]) -> bool {
    let [few, many] = curve else { return false };
    let variance = |point: &CurvePoint| (1.0 - point.error) / (point.error * point.asked as f64);
    let fall = (few.error / many.error).ln() / (variance(few) + variance(many)).sqrt();
    fall.is_finite() && fall >= FALLS
}

pub(crate) fn expect(measured: &Measured<'_>) -> Expectation {
    let points: Vec<(f64, f64)> = measured.curve.iter().map(|point| (point.rows, point.error)).collect();
    let law = PowerLaw::fit(&points);
    // With more rows than were learnt from the error falls as the probe's does, which is not taken for more than it is; with fewer it
    // rises.
    let fall = |learnt: f64| {
        law.map_or(1.0, |law| law.error(measured.rows as f64) / law.error(learnt.max(1.0))).clamp(0.5, 2.0)
    };
    // One more right and one more wrong, so that no sample is sure of itself.
    let chance = |accuracy: f64, rows: f64| {
        let smoothed = (accuracy * rows + 1.0) / (rows + 2.0);
        smoothed * (1.0 - smoothed) / rows
    };
    let (error, interval, from) = match measured.asked {
        Asked::Race { right, rows_learnt } => {
            let asked = right.len().max(1) as f64;
            let held_out = right.iter().filter(|right| **right).count() as f64 / asked;
            let error = (1.0 - held_out) * fall(rows_learnt as f64);
            let spread = WIDTH * (chance(held_out, asked) + MODEL_ERROR.powi(2)).sqrt();
            let from = format!(
                "{:.1} % of {asked} rows held out in the race, learnt from {rows_learnt} rows",
                100.0 * held_out
            );
            (error, (error - spread, error + spread), from)
        }
        Asked::Probe { accuracy, rows } => {
            // One more wrong: a sample without an error is not sure of itself.
            let wrong = ((1.0 - accuracy) * rows as f64 + 1.0) / (rows as f64 + 1.0);
            let probe = wrong * fall(0.8 * rows as f64);
            let error = TUNED_ERROR * probe;
            let spread =
                WIDTH * (TUNED_SPREAD.powi(2) + chance(accuracy, rows as f64) / probe.max(0.01).powi(2)).sqrt();
            let from = format!(
                "a probe's {:.1} % in folds of {rows} rows; fine-tuning leaves {:.0} % of its error",
                100.0 * accuracy,
                100.0 * TUNED_ERROR
            );
            (error, (error * (-spread).exp(), error * spread.exp()), from)
        }
    };
    let accuracy = 1.0 - error;
    let asked = match measured.asked {
        Asked::Race { right, .. } => right.len(),
        Asked::Probe { rows, .. } => rows,
    };
    let interval = (asked >= FEWEST_ASKED).then(|| ((1.0 - interval.1).max(0.0), (1.0 - interval.0).min(1.0)));
    // Words gain from more rows as well: as the probe does, for want of better.
    let words = 1.0 - (1.0 - measured.bag_of_words) * fall(0.8 * measured.looked_at as f64);
    let rows_for_a_point = law.filter(|_| error > 0.02 && falls(measured.curve)).and_then(|law| {
        // Along a law of the same exponent through the expected error.
        let factor = (error / (error - 0.01)).powf(1.0 / law.b);
        let more = measured.rows as f64 * (factor - 1.0);
        (more.is_finite() && more < 1e7).then(|| more.ceil() as usize)
    });
    let sentence = match interval {
        Some(interval) => sentence(measured, words, accuracy, interval, rows_for_a_point),
        None => format!("what to expect is not known: {asked} rows held out tell too little"),
    };
    Expectation {
        accuracy,
        interval,
        from,
        law: law.map(|law| Law { a: law.a, b: law.b }),
        rows_for_a_point,
        seconds: measured.seconds,
        sentence,
    }
}

fn sentence(
    measured: &Measured<'_>,
    words: f64,
    accuracy: f64,
    interval: (f64, f64),
    rows_for_a_point: Option<usize>,
) -> String {
    let model = measured.model;
    let verdict = if interval.1 <= measured.majority.max(1e-9) || accuracy <= measured.majority {
        format!("nothing here beats the most frequent class yet ({:.1} %)", 100.0 * measured.majority)
    } else if interval.0 > words {
        format!("transfer from {model}: words alone would get {:.1} %", 100.0 * words)
    } else if 0.5 * (accuracy + interval.0) > words {
        format!("{model} is probably better than words alone, which would get {:.1} %", 100.0 * words)
    } else if interval.1 < words {
        format!("a bag of words would be better ({:.1} %): another model is needed", 100.0 * words)
    } else {
        format!(
            "{model} and a bag of words, which would get {:.1} %, cannot be told apart on so few rows",
            100.0 * words
        )
    };
    match rows_for_a_point {
        Some(rows) => format!("{verdict}; roughly {rows} more labelled rows would bring the next point"),
        None => format!("{verdict}; how much more rows would bring is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured<'a>(right: &'a [bool], curve: &'a [CurvePoint], words: f64) -> Measured<'a> {
        Measured {
            asked: Asked::Race { right, rows_learnt: 300 },
            rows: 400,
            curve,
            looked_at: 400,
            bag_of_words: words,
            majority: 0.3,
            model: "m",
            seconds: 1.0,
        }
    }

    #[test]
    fn a_falling_curve_gives_a_better_score_and_the_rows_for_a_point() {
        let right: Vec<bool> = (0..200).map(|row| row % 5 != 0).collect();
        let law = PowerLaw { a: 1.0, b: 0.3 };
        let curve = [150.0, 300.0].map(|rows| CurvePoint { rows, error: law.error(rows), asked: 20 * rows as usize });
        let found = expect(&measured(&right, &curve, 0.5));
        let (low, high) = found.interval.unwrap();
        assert!(found.accuracy > 0.8 && low < 0.8 && high > found.accuracy);
        let rows = found.rows_for_a_point.unwrap();
        let error = |rows: f64| (1.0 - found.accuracy) * (rows / 400.0f64).powf(-0.3);
        assert!((error(400.0 + rows as f64) - (1.0 - found.accuracy - 0.01)).abs() < 1e-3);
        assert!(found.sentence.starts_with("transfer from m"), "{}", found.sentence);
        // The same fall on few rows may be chance.
        let few = curve.map(|point| CurvePoint { asked: 20, ..point });
        assert_eq!(expect(&measured(&right, &few, 0.5)).rows_for_a_point, None);
    }

    #[test]
    fn few_rows_tell_nothing() {
        let found = expect(&measured(&[true; 8], &[], 0.5));
        assert_eq!(found.interval, None);
        assert!(found.sentence.contains("not known"), "{}", found.sentence);
    }

    #[test]
    fn a_probe_alone_gives_a_wider_interval_than_a_race() {
        let right: Vec<bool> = (0..400).map(|row| row % 4 != 0).collect();
        let race = expect(&measured(&right, &[], 0.5));
        let asked = Asked::Probe { accuracy: 0.75, rows: 400 };
        let probe = expect(&Measured { asked, ..measured(&right, &[], 0.5) });
        let width = |found: &Expectation| found.interval.map(|(low, high)| high - low).unwrap();
        assert!(width(&probe) > width(&race));
        assert!(probe.accuracy > 0.75 && probe.interval.unwrap().0 < 0.75, "{:?}", probe.interval);
        let asked = Asked::Probe { accuracy: 1.0, rows: 40 };
        let perfect = expect(&Measured { asked, ..measured(&right, &[], 0.5) });
        assert!(width(&perfect) > 0.01, "{:?}", perfect.interval);
    }

    #[test]
    fn fewer_rows_than_were_looked_at_score_less() {
        let right: Vec<bool> = (0..200).map(|row| row % 5 != 0).collect();
        let law = PowerLaw { a: 1.0, b: 0.3 };
        let curve = [150.0, 300.0].map(|rows| CurvePoint { rows, error: law.error(rows), asked: 4000 });
        let expected = |rows: usize| expect(&Measured { rows, ..measured(&right, &curve, 0.5) }).accuracy;
        assert!(expected(150) < expected(300) && expected(300) < expected(600));
        assert!((expected(300) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let right: Vec<bool> = (0..20).map(|row| row % 2 == 0).collect();
        let flat = [10.0, 20.0].map(|rows| CurvePoint { rows, error: 0.5, asked: 20 });
        let found = expect(&measured(&right, &flat, 0.5));
        assert_eq!(found.rows_for_a_point, None);
        assert!(
            found.sentence.contains("cannot be told apart") && found.sentence.contains("not known"),
            "{}",
            found.sentence
        );
        let hopeless = expect(&measured(&[false; 40], &[], 0.5));
        assert!(hopeless.sentence.contains("most frequent class"), "{}", hopeless.sentence);
    }
}
