//! Numbers in place of labels, and the names that they stand for.

use std::collections::BTreeSet;

use super::labels::parts_of_text;
use super::{TargetKind, TargetSpace};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Label;
use crate::same_label::{Classes, Respelled, label_key};
use crate::target_error::TargetError;

impl Dataset {
    /// Puts the names in place of the numbers that stand for them, from 0: in classes, lists of labels and tags alike, as data
    /// sets of the hub keep them. A label that is one of the names stays. Without this, numbers are names. Where each label has
    /// a column, the names are those of the columns; lists of 0 and 1 for all labels are for [`Dataset::name_flags`].
    ///
    /// # Errors
    ///
    /// When a label is neither a name nor the number of one, or columns have other names.
    pub fn name_labels(&mut self, names: &[String]) -> Result<(), DataError> {
        self.put_names(names, false)
    }

    /// As [`Dataset::name_labels`], for an audit: a label that is neither a name nor the number of one stays as it is.
    ///
    /// # Errors
    ///
    /// When columns have other names.
    pub fn name_known_labels(&mut self, names: &[String]) -> Result<(), DataError> {
        self.put_names(names, true)
    }

    fn put_names(&mut self, names: &[String], keeps_others: bool) -> Result<(), DataError> {
        if self.columns.labels.len() > 1 {
            return self.expect_columns(names);
        }
        let column = self.columns.label_names();
        let classes = Classes::new(names);
        for example in &mut self.examples {
            let named = |found: &str| {
                if let Some(class) = classes.of(found) {
                    return Ok(names[class as usize].clone());
                }
                let place = label_key(found).parse::<usize>().ok();
                let other = keeps_others.then(|| found.to_owned());
                place.and_then(|place| names.get(place)).cloned().or(other).ok_or_else(|| {
                    DataError::from(TargetError::NoSuchName {
                        path: self.path.clone(),
                        line: example.line,
                        column: column.clone(),
                        found: found.to_owned(),
                        names: names.to_vec(),
                    })
                })
            };
            example.label = match example.label.take() {
                None => None,
                Some(Label::Text(text)) if names.contains(&text) => Some(Label::Text(text)),
                Some(Label::Text(text)) => {
                    let parts: Vec<String> = parts_of_text(&text).into_iter().map(named).collect::<Result<_, _>>()?;
                    (!parts.is_empty()).then(|| Label::Text(parts.join(";")))
                }
                Some(Label::List(values)) => {
                    Some(Label::List(values.iter().map(|value| named(value)).collect::<Result<_, DataError>>()?))
                }
            };
        }
        Ok(())
    }

    /// Writes every label as one of `names`, if it is the same as one; returns those that were written otherwise. None where labels are no
    /// names, as numbers, tags of words and columns.
    pub fn respell(&mut self, kind: TargetKind, names: &[String]) -> Option<Vec<Respelled>> {
        let is_named = matches!(kind, TargetKind::Class | TargetKind::Labels) && self.columns.labels.len() == 1;
        let space = TargetSpace::from_names(kind, names.to_vec()).ok().filter(|_| is_named)?;
        let found = space.respelled(self);
        let classes = Classes::new(names);
        let spelt =
            |label: &str| classes.of(label).map_or_else(|| label.to_owned(), |class| names[class as usize].clone());
        for label in self.examples.iter_mut().filter_map(|example| example.label.as_mut()) {
            *label = match label {
                Label::Text(text) if kind == TargetKind::Class => Label::Text(spelt(text)),
                Label::Text(text) => {
                    let parts: Vec<String> = parts_of_text(text).into_iter().map(spelt).collect();
                    if parts.is_empty() { continue } else { Label::Text(parts.join(";")) }
                }
                Label::List(values) => Label::List(values.iter().map(|value| spelt(value)).collect()),
            };
        }
        Some(found)
    }

    /// As [`Dataset::part_flags`], of a training file: whether another file has such lists is for the training file to say.
    ///
    /// # Errors
    ///
    /// When the lists are for more or fewer labels.
    pub fn name_flags(&mut self, names: &[String]) -> Result<(), DataError> {
        let found = names.len();
        if let Some(expected) = self.flags().filter(|expected| *expected != found) {
            let (path, column) = (self.path.clone(), self.columns.label_names());
            return Err(TargetError::NameCount { path, column, expected, found }.into());
        }
        self.part_flags(names);
        Ok(())
    }

    /// The fields of columns say which label applies, not which one it is: numbers in them stand for no names.
    fn expect_columns(&self, names: &[String]) -> Result<(), DataError> {
        let columns: BTreeSet<&String> = self.columns.labels.iter().collect();
        if names.len() == columns.len() && names.iter().collect::<BTreeSet<_>>() == columns {
            return Ok(());
        }
        let (path, columns, names) = (self.path.clone(), self.columns.labels.clone(), names.to_vec());
        Err(TargetError::NamesOfColumns { path, columns, names }.into())
    }
}
