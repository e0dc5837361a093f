//! Rows of held-out files that are learnt from, taken out before anything is judged by them.

use serde::{Deserialize, Serialize};
use topwork_data::{Dataset, Learnt, LearntRows};

use crate::error::Error;
use crate::session::files::Datasets;

/// The rows of a file that judge nothing, since the model learns from them, or is chosen by them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakedRows {
    /// `validation` or `test`.
    pub split: String,
    /// The rows of the file.
    pub rows: usize,
    /// Rows with the words of a row that is learnt from.
    pub same: usize,
    /// Rows with nearly the words of such a row.
    pub near: usize,
    /// The lines of the first of them.
    pub lines: Vec<usize>,
    /// That they are left out, in a sentence.
    pub sentence: String,
}

/// Lines that are worth listing.
const LISTED: usize = 20;

/// Takes out of the validation and the test file what stands in the training file, and of the validation file what stands in the test file.
/// A test file without any other rows is no test file.
///
/// # Errors
/// When no validation row is left: what it was to decide would be decided by nothing.
pub(crate) fn take_out(datasets: &mut Datasets) -> Result<Vec<LeakedRows>, Error> {
    if datasets.validation.is_none() && datasets.test.is_none() {
        return Ok(Vec::new());
    }
    let learnt = LearntRows::new(&datasets.train.examples);
    let mut leaked = Vec::new();
    if let Some(validation) = &mut datasets.validation {
        let path = validation.path.display().to_string();
        let test = datasets.test.as_ref().map(|test| LearntRows::new(&test.examples));
        leaked.extend(take_out_of(validation, "validation", "the training file", &learnt));
        if let Some(test) = test {
            leaked.extend(take_out_of(validation, "validation", "the test file", &test));
        }
        if validation.examples.is_empty() {
            let message =
                format!("{path}: expected rows that stand in neither the training nor the test file, found none");
            return Err(Error::run(message, "leave --validation out: rows of the training file are held out then"));
        }
    }
    if let Some(test) = &mut datasets.test {
        leaked.extend(take_out_of(test, "test", "the training file", &learnt));
    }
    datasets.test.take_if(|test| test.examples.is_empty());
    Ok(leaked)
}

fn take_out_of(dataset: &mut Dataset, split: &str, other: &str, learnt: &LearntRows) -> Option<LeakedRows> {
    let rows = dataset.examples.len();
    let mut leaked =
        LeakedRows { split: split.into(), rows, same: 0, near: 0, lines: Vec::new(), sentence: String::new() };
    dataset.examples.retain(|example| {
        match learnt.find(example) {
            None => return true,
            Some(Learnt::Same) => leaked.same += 1,
            Some(Learnt::Near) => leaked.near += 1,
        }
        if leaked.lines.len() < LISTED {
            leaked.lines.push(example.line);
        }
        false
    });
    let count = leaked.same + leaked.near;
    if count == 0 {
        return None;
    }
    let path = dataset.path.display();
    let near =
        if leaked.near > 0 { format!(", {} of them with a word or so changed", leaked.near) } else { String::new() };
    let rest = match rows - count {
        0 => "no row is left, so nothing is claimed of new texts".to_string(),
        left => format!("they judge nothing, {left} rows are left"),
    };
    let first = leaked.lines[0];
    leaked.sentence =
        format!("{path}: {count} of {rows} rows stand in {other} too{near} (the first on line {first}): {rest}");
    Some(leaked)
}
