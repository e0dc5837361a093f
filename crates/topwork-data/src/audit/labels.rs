//! How the labels of rows with any number of them are used.

use crate::dataset::Dataset;
use crate::example::Label;
use crate::targets::Matrix;

/// What is odd about the labels of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelUse {
    /// Rows of each label.
    pub rows: Vec<usize>,
    /// Rows without any label.
    pub without_label: Vec<usize>,
    /// Labels that no row has.
    pub never: Vec<usize>,
    /// Labels that every row has.
    pub always: Vec<usize>,
    /// Labels that stand on exactly the same rows, in groups of at least two: the model cannot tell them apart.
    pub together: Vec<Vec<usize>>,
    /// Rows whose list names a blank label, which no run would take.
    pub blank: Vec<usize>,
}

/// Looks at how the labels of `dataset` are used; `labels` are its targets `[rows, labels]`.
pub fn label_use(dataset: &Dataset, labels: &Matrix<bool>) -> LabelUse {
    let columns: Vec<Vec<bool>> = (0..labels.width()).map(|label| labels.column(label).collect()).collect();
    let rows: Vec<usize> = columns.iter().map(|column| column.iter().filter(|&&applies| applies).count()).collect();
    let mut together: Vec<Vec<usize>> = Vec::new();
    for label in (0..rows.len()).filter(|&label| rows[label] > 0) {
        match together.iter_mut().find(|group| columns[group[0]] == columns[label]) {
            Some(group) => group.push(label),
            None => together.push(vec![label]),
        }
    }
    together.retain(|group| group.len() > 1);
    let with = |count: usize| (0..rows.len()).filter(|&label| rows[label] == count).collect();
    LabelUse {
        without_label: labels.rows_without_label(),
        never: with(0),
        always: if labels.rows() == 0 { Vec::new() } else { with(labels.rows()) },
        together,
        blank: blank_labels(dataset),
        rows,
    }
}

/// Rows whose list names a blank label.
fn blank_labels(dataset: &Dataset) -> Vec<usize> {
    if dataset.columns.labels.len() > 1 {
        return Vec::new();
    }
    let is_blank =
        |label: &Label| matches!(label, Label::List(values) if values.iter().any(|value| value.trim().is_empty()));
    let labels = dataset.examples.iter().map(|example| example.label.as_ref());
    labels.enumerate().filter(|(_, label)| label.is_some_and(is_blank)).map(|(row, _)| row).collect()
}
