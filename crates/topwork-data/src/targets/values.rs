//! One number a row or several: a field, a column for each, or a list.

use super::Matrix;
use super::space::places_of;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::target_error::TargetError;

/// Models compute with 24 bits: numbers that differ by less than so small a part of their size are hardly told apart.
const CLOSEST: f64 = 100.0 * f32::EPSILON as f64;

/// The names of the outputs: their columns; for a list in one column, that column and a number.
pub(super) fn from_training(dataset: &Dataset) -> Result<Vec<String>, DataError> {
    let columns = &dataset.columns.labels;
    let first = dataset.examples.iter().find_map(|example| example.label.as_ref());
    let names = match (&columns[..], first) {
        ([column], Some(Label::List(values))) => {
            (1..=values.len().max(1)).map(|number| format!("{column} {number}")).collect()
        }
        ([], _) => vec![dataset.columns.label_names()],
        _ => columns.clone(),
    };
    let values = encode(&names, dataset)?;
    for (place, name) in names.iter().enumerate() {
        let first = values.row(0)[place];
        if values.column(place).all(|value| value == first) {
            let (path, column) = (dataset.path.clone(), name.clone());
            return Err(TargetError::ConstantValue { path, column, value: first }.into());
        }
        let least = values.column(place).fold(f64::INFINITY, f64::min);
        let most = values.column(place).fold(f64::NEG_INFINITY, f64::max);
        if most - least < CLOSEST * least.abs().max(most.abs()) {
            let (path, column) = (dataset.path.clone(), name.clone());
            return Err(TargetError::CloseValues { path, column, least, most }.into());
        }
    }
    Ok(names)
}

/// The numbers of each row `[rows, outputs]`.
pub(super) fn encode(names: &[String], dataset: &Dataset) -> Result<Matrix<f64>, DataError> {
    let columns = &dataset.columns.labels;
    let places = if columns.len() > 1 { places_of(names, dataset)? } else { (0..names.len()).collect() };
    let mut values = Vec::with_capacity(dataset.examples.len() * names.len());
    for example in &dataset.examples {
        let fields = fields(dataset, example)?;
        if fields.len() != names.len() {
            return Err(TargetError::NumberCount {
                path: dataset.path.clone(),
                line: example.line,
                column: dataset.columns.label_names(),
                expected: names.len(),
                found: fields.len(),
            }
            .into());
        }
        for &place in &places {
            values.push(number(&fields[place]).filter(|&number| fits(number)).ok_or_else(|| {
                TargetError::NotANumber {
                    path: dataset.path.clone(),
                    line: example.line,
                    column: if columns.len() > 1 { columns[place].clone() } else { dataset.columns.label_names() },
                    found: fields[place].clone(),
                }
            })?);
        }
    }
    Ok(Matrix::new(names.len().max(1), values))
}

fn fields<'a>(dataset: &Dataset, example: &'a Example) -> Result<&'a [String], DataError> {
    let values = example.label.as_ref().map(Label::values);
    values.ok_or_else(|| dataset.missing_labels(vec![(example.line, String::new())]))
}

/// Whether a model can give that number.
fn fits(number: f64) -> bool {
    (number as f32).is_finite()
}

/// The finite number that `field` is.
pub(super) fn number(field: &str) -> Option<f64> {
    field.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// The finite number that `field` is, be its decimal mark a point or a comma.
pub(super) fn decimal(field: &str) -> Option<f64> {
    let with_comma = field.matches(',').count() == 1 && !field.contains('.');
    if with_comma { number(&field.replacen(',', ".", 1)) } else { number(field) }
}
