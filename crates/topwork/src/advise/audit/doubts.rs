//! Rows whose label a probe doubts.

use serde::Serialize;
use topwork_metrics::Matrix;
use topwork_metrics::label_errors::label_issues;
use topwork_metrics::transferability::CrossValidation;

use super::{Audit, whole};
use crate::session::inputs::Inputs;

/// A probe that is right less often doubts mostly what is hard: where 5 % of the labels were made wrong, at most half of the
/// rows that such a probe doubted were among them (docs/experiments.md).
const SURE: f64 = 0.8;

/// Rows whose label is doubted.
#[derive(Clone, Debug, Serialize)]
pub struct LabelIssues {
    /// Rows that were looked at.
    pub rows: usize,
    /// Those of them whose class no other row has that could tell of it.
    pub not_judged: usize,
    /// The rows, most doubtful first.
    pub issues: Vec<DoubtedLabel>,
}

/// A row whose label is doubted.
#[derive(Clone, Debug, Serialize)]
pub struct DoubtedLabel {
    /// The line on which the row begins, from 1.
    pub line: usize,
    /// The label that it has.
    pub given: String,
    /// The label that it seems to have.
    pub suggested: String,
    /// The probability of the given label.
    pub given_probability: f64,
    /// The probability of the suggested label.
    pub suggested_probability: f64,
    /// The text.
    pub text: String,
}

impl Audit {
    /// Adds the rows whose label a cross-validated probe of classes doubts: `rows` are the numbers of the training rows
    /// that it was asked about.
    pub fn look_at_labels(&mut self, inputs: &Inputs, rows: &[usize], probe: &CrossValidation) {
        let given: Vec<u32> = rows.iter().map(|&row| inputs.train.classes()[row]).collect();
        let probabilities: Matrix<'_> = probe.probabilities.as_ref();
        let name = |class: u32| inputs.labels()[class as usize].clone();
        let doubted = |issue: topwork_metrics::label_errors::LabelIssue| {
            let example = &inputs.train.examples[rows[issue.row]];
            DoubtedLabel {
                line: example.line,
                given: name(issue.given),
                suggested: name(issue.suggested),
                given_probability: issue.given_probability,
                suggested_probability: issue.suggested_probability,
                text: whole(example),
            }
        };
        let found = label_issues(probabilities, &given).into_iter().filter(|issue| probe.knew_class[issue.row]);
        let issues: Vec<DoubtedLabel> = found.map(doubted).collect();
        let not_judged = probe.knew_class.iter().filter(|knew| !**knew).count();
        if not_judged > 0 {
            self.findings.push(format!(
                "the labels of {not_judged} of {} training rows cannot be judged: no other row, or only ones like them, has the same",
                rows.len()
            ));
        }
        if !issues.is_empty() {
            let (doubted, accuracy) = (issues.len(), probe.accuracy(&given));
            // A probe that errs often finds rows hard, whatever their label.
            let caution = if accuracy < SURE { ": most are hard, not wrong" } else { "" };
            self.findings.push(format!(
                "{doubted} of {} training labels are doubted by a probe that is right in {:.0} %{caution}",
                rows.len(),
                100.0 * accuracy
            ));
        }
        self.label_issues = Some(LabelIssues { rows: rows.len(), not_judged, issues });
    }
}
