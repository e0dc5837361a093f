//! What numbers are like where they are to be learnt.

use serde::Serialize;
use topwork_data::audit::{DEVIATIONS, DifferingValues, constant_outputs, differing_values, outliers};
use topwork_data::{Dataset, Matrix, TargetSpace, Targets};

use super::malformed::sound;
use super::{Place, Splits, counted, excerpt};

/// The numbers of the files; of rows that are malformed, none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumbersAudit {
    /// The outputs.
    pub outputs: Vec<OutputAudit>,
    /// Numbers far from the median of their output in their file, farthest first.
    pub outliers: Vec<StandingOut>,
    /// Texts of the training file that repeat with differing numbers, widest first.
    pub differing: Vec<DifferingNumbers>,
}

/// A number that each row has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputAudit {
    /// Its name.
    pub name: String,
    /// Its range in each of the files; none where no row has numbers.
    pub ranges: Vec<Option<NumberRange>>,
    /// Whether all training rows have the same.
    pub is_constant: bool,
}

/// The range of an output in a file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NumberRange {
    /// Rows that have it.
    pub rows: usize,
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

/// A number far from the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandingOut {
    /// Where it stands.
    pub place: Place,
    /// The output.
    pub output: String,
    /// The number.
    pub value: f64,
    /// How many robust standard deviations it lies from the median.
    pub deviations: f64,
}

/// A text with differing numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferingNumbers {
    /// The beginning of the text.
    pub text: String,
    /// The lines of its rows.
    pub lines: Vec<usize>,
    /// The output.
    pub output: String,
    /// Its least number.
    pub least: f64,
    /// Its greatest number.
    pub most: f64,
}

impl NumbersAudit {
    pub(super) fn of(splits: &Splits, space: &TargetSpace) -> Self {
        let names = space.names();
        let tables: Vec<Option<(Dataset, Matrix<f64>)>> =
            splits.datasets.iter().map(|dataset| numbers_of(dataset, space)).collect();
        let train = tables.first().and_then(Option::as_ref);
        let constant = train.map_or(Vec::new(), |(_, values)| constant_outputs(values));
        let output = |(number, name): (usize, &String)| OutputAudit {
            name: name.clone(),
            ranges: tables.iter().map(|table| table.as_ref().and_then(|(_, values)| range(values, number))).collect(),
            is_constant: constant.contains(&number),
        };
        let differing = |(dataset, values): &(Dataset, Matrix<f64>)| -> Vec<DifferingNumbers> {
            let found = differing_values(dataset, values).into_iter();
            found
                .map(|DifferingValues { rows, output, least, most }| DifferingNumbers {
                    text: excerpt(&dataset.examples[rows[0]]),
                    lines: rows.iter().map(|&row| dataset.examples[row].line).collect(),
                    output: names[output].clone(),
                    least,
                    most,
                })
                .collect()
        };
        let mut far: Vec<StandingOut> = Vec::new();
        for (table, &split) in tables.iter().zip(&splits.names) {
            let Some((dataset, values)) = table else { continue };
            far.extend(outliers(values, DEVIATIONS).into_iter().map(|own| StandingOut {
                place: Place { split, line: dataset.examples[own.row].line },
                output: names[own.output].clone(),
                value: own.value,
                deviations: own.deviations,
            }));
        }
        far.sort_by(|a, b| b.deviations.total_cmp(&a.deviations));
        Self {
            outputs: names.iter().enumerate().map(output).collect(),
            outliers: far,
            differing: train.map_or(Vec::new(), differing),
        }
    }

    pub(super) fn hindrance(&self) -> Option<&'static str> {
        let lacks = |output: &OutputAudit| output.ranges.first().is_none_or(Option::is_none);
        match () {
            () if self.outputs.iter().any(lacks) => Some("no row has numbers"),
            () if self.outputs.iter().any(|output| output.is_constant) => Some("a number is the same in every row"),
            () => None,
        }
    }

    pub(super) fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for OutputAudit { name, ranges, is_constant } in &self.outputs {
            match ranges.first().copied().flatten() {
                Some(range) if *is_constant => {
                    findings
                        .push(format!("`{name}` is {} in every training row: there is nothing to learn", range.min));
                }
                Some(_) => {}
                None => findings.push(format!("no training row has a number for `{name}`")),
            }
        }
        if let Some(StandingOut { place, output, value, deviations }) = self.outliers.first() {
            findings.push(format!(
                "{} far from the others, the farthest on line {} of the {} file: `{output}` {value}, {deviations:.0} \
                 deviations from the median",
                counted(self.outliers.len(), "number lies", "numbers lie"),
                place.line,
                place.split
            ));
        }
        if let Some(DifferingNumbers { output, least, most, lines, .. }) = self.differing.first() {
            findings.push(format!(
                "{} with differing numbers, the widest from {least} to {most} (`{output}`, line {})",
                counted(self.differing.len(), "training text repeats", "training texts repeat"),
                lines[0]
            ));
        }
        findings
    }
}

fn numbers_of(dataset: &Dataset, space: &TargetSpace) -> Option<(Dataset, Matrix<f64>)> {
    match sound(dataset, space)? {
        (dataset, Targets::Values(values)) => Some((dataset, values)),
        _ => None,
    }
}

fn range(values: &Matrix<f64>, output: usize) -> Option<NumberRange> {
    let mut column: Vec<f64> = values.column(output).collect();
    column.sort_by(f64::total_cmp);
    let (rows, half) = (column.len(), column.len() / 2);
    let median = if rows % 2 == 1 { column[half] } else { 0.5 * (column[half.checked_sub(1)?] + column[half]) };
    Some(NumberRange { rows, min: *column.first()?, median, max: *column.last()? })
}
