//! What labels are like where a row has any number of them.

use serde::Serialize;
use topwork_data::Matrix;
use topwork_data::audit::{LabelUse, label_use};

use super::names::{ClassRows, named};
use super::{Splits, may_lack_label};

/// The labels of the training file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelsAudit {
    /// The labels, and their rows in each of the files.
    pub rows: Vec<ClassRows>,
    /// Rows without any label, in each of the files.
    pub without_label: Vec<usize>,
    /// Labels that no training row has.
    pub never: Vec<String>,
    /// Labels that every training row has.
    pub always: Vec<String>,
    /// Labels that stand on exactly the same training rows: a model cannot tell them apart.
    pub together: Vec<Vec<String>>,
    /// Whether each label has a column, which has to hold both 0 and 1.
    pub in_columns: bool,
}

impl LabelsAudit {
    pub(super) fn of(splits: &Splits, counts: &[ClassRows]) -> Self {
        let train = &splits.datasets[0];
        let of_row = |example| {
            let own = named(splits.kind, &train.columns, example);
            counts.iter().map(move |class| own.contains(&class.label.as_str()))
        };
        let applies: Vec<bool> = train.examples.iter().flat_map(of_row).collect();
        let used = match counts.len() {
            0 => LabelUse::default(),
            labels => label_use(train, &Matrix::new(labels, applies)),
        };
        let name = |&label: &usize| counts[label].label.clone();
        let without = |dataset: &topwork_data::Dataset| {
            let lacks = |example: &&topwork_data::Example| named(splits.kind, &dataset.columns, example).is_empty();
            dataset.examples.iter().filter(lacks).count()
        };
        Self {
            rows: counts.to_vec(),
            without_label: splits.datasets.iter().map(without).collect(),
            never: used.never.iter().map(name).collect(),
            always: used.always.iter().map(name).collect(),
            together: used.together.iter().map(|group| group.iter().map(name).collect()).collect(),
            in_columns: !may_lack_label(splits.kind, &train.columns),
        }
    }

    pub(super) fn hindrance(&self) -> Option<&'static str> {
        match self.rows.iter().filter(|label| label.rows[0] > 0).count() {
            0 => Some("no row has a label"),
            1 if self.always.len() == 1 => Some("the only label applies to every row"),
            occurring if self.always.len() == occurring => Some("every row has the same labels"),
            _ if self.in_columns && !self.never.is_empty() => Some("a label applies to no row"),
            _ if self.in_columns && !self.always.is_empty() => Some("a label applies to every row"),
            _ => None,
        }
    }

    pub(super) fn findings(&self) -> Vec<String> {
        let quoted = |labels: &[String]| labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let mut findings = Vec::new();
        if self.rows.iter().all(|label| label.rows[0] == 0) {
            findings.push("no training row has a label".to_string());
        }
        if !self.never.is_empty() {
            findings.push(format!("no training row has {}: there is nothing to learn of it", quoted(&self.never)));
        }
        if !self.always.is_empty() {
            findings.push(format!("every training row has {}: there is nothing to learn of it", quoted(&self.always)));
        }
        for group in &self.together {
            findings.push(format!("{} stand on the same training rows: they cannot be told apart", quoted(group)));
        }
        findings
    }
}
