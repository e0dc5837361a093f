//! Numbers in place of labels, and the names that they stand for.

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::example::Label;
use crate::target_error::TargetError;

impl Dataset {
    /// Puts the names in place of the numbers that stand for them, from 0: in classes, lists of labels and tags alike, as data
    /// sets of the hub keep them. A label that is one of the names stays. Without this, numbers are names.
    ///
    /// Lists of 0 and 1 for all labels become columns of these names.
    ///
    /// # Errors
    ///
    /// When a label is neither a name nor the number of one, or lists of 0 and 1 are for more or fewer labels.
    pub fn name_labels(&mut self, names: &[String]) -> Result<(), DataError> {
        if let Some(expected) = self.flags() {
            if names.len() != expected {
                let (path, column, found) = (self.path.clone(), self.columns.label_names(), names.len());
                return Err(TargetError::NameCount { path, column, expected, found }.into());
            }
            self.part_flags(names);
            return Ok(());
        }
        let column = self.columns.label_names();
        for example in &mut self.examples {
            let named = |found: &str| {
                if names.iter().any(|name| name == found) {
                    return Ok(found.to_owned());
                }
                let place = found.trim().parse::<usize>().ok();
                place.and_then(|place| names.get(place)).cloned().ok_or_else(|| {
                    DataError::from(TargetError::NoSuchName {
                        path: self.path.clone(),
                        line: example.line,
                        column: column.clone(),
                        found: found.to_owned(),
                        names: names.to_vec(),
                    })
                })
            };
            match &mut example.label {
                None => {}
                Some(Label::Text(text)) if names.contains(text) => {}
                Some(Label::Text(text)) => {
                    let parts: Result<Vec<String>, DataError> =
                        text.split(super::labels::SEPARATOR).map(named).collect();
                    *text = parts?.join(";");
                }
                Some(Label::List(values)) => {
                    *values = values.iter().map(|value| named(value)).collect::<Result<_, DataError>>()?;
                }
            }
        }
        Ok(())
    }
}
