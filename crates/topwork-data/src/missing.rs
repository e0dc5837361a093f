//! Rows without a label: found, and reported, left out or kept.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Label;
use crate::same_label::is_missing;
use crate::targets::TargetKind;
use crate::wording::listed_rows;

/// What becomes of rows without a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingLabels {
    /// They are an error.
    #[default]
    Error,
    /// They are left out, and counted.
    Drop,
    /// A word for a missing label, such as `nan`, is a label; an empty field is an error.
    Keep,
}

impl Dataset {
    /// Takes words for a missing label, such as `nan` or `None`, for what they are: the row then has no label. Of several columns a row
    /// lacks its label if one of them is empty or such a word.
    pub fn find_missing(&mut self) {
        let several = self.columns.labels.len() > 1;
        for (row, example) in self.examples.iter_mut().enumerate() {
            let word = match &example.label {
                Some(Label::Text(text)) if is_missing(text) => Some(text.clone()),
                Some(Label::List(values)) if several => {
                    values.iter().find(|value| value.trim().is_empty() || is_missing(value)).cloned()
                }
                _ => None,
            };
            if let Some(word) = word {
                example.label = None;
                self.missing.push((row, word));
            }
        }
    }

    /// Settles what becomes of rows without a label, for targets of this kind, and says what was done. An empty field is no missing label
    /// where any number of labels may apply.
    ///
    /// # Errors
    ///
    /// When there are such rows and they are to be an error, or no others are left.
    pub fn settle_missing(&mut self, rule: MissingLabels, kind: TargetKind) -> Result<Option<String>, DataError> {
        let word = |row: usize| self.missing.iter().find(|(missing, _)| *missing == row).map(|(_, word)| word.clone());
        let rows = self.examples.iter().enumerate().filter(|(_, example)| example.label.is_none());
        let missing: Vec<(usize, String)> = rows
            .filter_map(|(row, _)| match word(row) {
                Some(word) => Some((row, word)),
                None => (kind != TargetKind::Labels).then(|| (row, String::new())),
            })
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let lines = missing.iter().map(|(row, word)| (self.examples[*row].line, word.clone())).collect();
        if rule != MissingLabels::Drop || missing.len() == self.examples.len() {
            return Err(self.missing_labels(lines));
        }
        let rows = self.examples.len();
        let note = format!(
            "{}: {} of {rows} rows have no label and are left out: {}",
            self.path.display(),
            missing.len(),
            listed_rows(&lines)
        );
        let mut left_out = missing.iter().map(|(row, _)| *row).peekable();
        let mut row = 0;
        self.examples.retain(|_| {
            let is_kept = left_out.next_if_eq(&row).is_none();
            row += 1;
            is_kept
        });
        self.missing.clear();
        Ok(Some(note))
    }
}
