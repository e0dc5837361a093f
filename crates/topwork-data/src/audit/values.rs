//! What is odd about numbers before anything is learnt from them.

use std::collections::BTreeMap;

use super::fold;
use crate::dataset::Dataset;
use crate::targets::Matrix;

/// A number farther than so many robust standard deviations from the median stands out.
pub const DEVIATIONS: f64 = 5.0;

/// A number that stands out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// The row.
    pub row: usize,
    /// The output.
    pub output: usize,
    /// The number.
    pub value: f64,
    /// How many robust standard deviations it lies from the median.
    pub deviations: f64,
}

/// Numbers more than `most` robust standard deviations from the median of their output, farthest first. The deviation is 1.4826
/// times the median distance from the median; where more than half of the numbers are the same, so that this is zero, 1.2533
/// times the mean distance (Iglewicz and Hoaglin, "How to detect and handle outliers", 1993). Both are the standard deviation
/// where numbers are normally distributed.
pub fn outliers(values: &Matrix<f64>, most: f64) -> Vec<Outlier> {
    let mut found = Vec::new();
    for output in 0..values.width() {
        let column: Vec<f64> = values.column(output).collect();
        let middle = median(column.clone());
        let distances: Vec<f64> = column.iter().map(|value| (value - middle).abs()).collect();
        let mean = distances.iter().sum::<f64>() / distances.len().max(1) as f64;
        let by_median = 1.4826 * median(distances.clone());
        let deviation = if by_median > 0.0 { by_median } else { 1.2533 * mean };
        for (row, (&value, distance)) in column.iter().zip(distances).enumerate() {
            if distance > most * deviation {
                found.push(Outlier { row, output, value, deviations: distance / deviation });
            }
        }
    }
    found.sort_by(|a, b| b.deviations.total_cmp(&a.deviations).then((a.row, a.output).cmp(&(b.row, b.output))));
    found
}

/// Outputs that are the same in every row.
pub fn constant_outputs(values: &Matrix<f64>) -> Vec<usize> {
    let is_constant = |output: &usize| {
        let mut column = values.column(*output);
        column.next().is_some_and(|first| column.all(|value| value == first))
    };
    (0..values.width()).filter(is_constant).collect()
}

/// A text that repeats with differing numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct DifferingValues {
    /// The rows that have the text, but for case and space.
    pub rows: Vec<usize>,
    /// The output.
    pub output: usize,
    /// Its least number.
    pub least: f64,
    /// Its greatest number.
    pub most: f64,
}

/// Texts that repeat within `dataset` with differing numbers, widest first; `values` are its targets.
pub fn differing_values(dataset: &Dataset, values: &Matrix<f64>) -> Vec<DifferingValues> {
    let mut rows_of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, example) in dataset.examples.iter().enumerate() {
        rows_of.entry(fold(example)).or_default().push(row);
    }
    let mut found = Vec::new();
    for rows in rows_of.into_values().filter(|rows| rows.len() > 1) {
        for output in 0..values.width() {
            let of = || rows.iter().map(|&row| values.row(row)[output]);
            let (least, most) = (of().fold(f64::INFINITY, f64::min), of().fold(f64::NEG_INFINITY, f64::max));
            if least < most {
                found.push(DifferingValues { rows: rows.clone(), output, least, most });
            }
        }
    }
    found.sort_by(|a, b| (b.most - b.least).total_cmp(&(a.most - a.least)).then(a.rows.cmp(&b.rows)));
    found
}

/// The middle value; the mean of the two in the middle of an even number; zero of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}
