//! Rows whose label is probably wrong (Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels",
//! JAIR 2021).

use crate::matrix::Matrix;

/// A row whose label is doubted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelIssue {
    /// The row.
    pub row: usize,
    /// The class that it has.
    pub given: u32,
    /// The class that it seems to have.
    pub suggested: u32,
    /// The probability of the given class.
    pub given_probability: f64,
    /// The probability of the suggested class.
    pub suggested_probability: f64,
}

/// Rows that another class claims, most doubtful first: the probability of that class reaches what rows of it have on
/// average, and it is more probable than the class given. `probabilities` `[rows, classes]` come from models that did not
/// see the row.
pub fn label_issues(probabilities: Matrix<'_>, given: &[u32]) -> Vec<LabelIssue> {
    let classes = probabilities.ncols();
    let thresholds: Vec<f64> = (0..classes)
        .map(|class| {
            let own: Vec<f64> = (0..given.len())
                .filter(|&row| given[row] as usize == class)
                .map(|row| probabilities[(row, class)])
                .collect();
            // A class without rows claims nothing.
            if own.is_empty() { f64::INFINITY } else { own.iter().sum::<f64>() / own.len() as f64 }
        })
        .collect();
    let issue = |(row, &class): (usize, &u32)| {
        let claims = (0..classes).filter(|&other| probabilities[(row, other)] >= thresholds[other]);
        let suggested = claims.max_by(|&a, &b| probabilities[(row, a)].total_cmp(&probabilities[(row, b)]))?;
        let (own, other) = (probabilities[(row, class as usize)], probabilities[(row, suggested)]);
        (suggested != class as usize && other > own).then_some(LabelIssue {
            row,
            given: class,
            suggested: suggested as u32,
            given_probability: own,
            suggested_probability: other,
        })
    };
    let mut issues: Vec<LabelIssue> = given.iter().enumerate().filter_map(issue).collect();
    let margin = |issue: &LabelIssue| issue.given_probability - issue.suggested_probability;
    issues.sort_by(|a, b| margin(a).total_cmp(&margin(b)).then(a.row.cmp(&b.row)));
    issues
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;

    #[test]
    fn a_row_that_another_class_claims_is_doubted() {
        let sure = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95], [0.45, 0.55]];
        let probabilities = Mat::from_fn(6, 2, |row, class| sure[row][class]);
        // The fifth is sure to be of the other class; the last leans there, but less than rows of it do.
        let issues = label_issues(probabilities.as_ref(), &[0, 0, 1, 1, 0, 0]);
        assert_eq!(issues.iter().map(|issue| (issue.row, issue.suggested)).collect::<Vec<_>>(), [(4, 1)]);
    }
}
