//! Rows with named columns, whatever file they stand in.

use serde_json::Value;

use crate::error::DataError;

/// What a row has in a column; none where it has no such field at all.
pub(crate) type Cell = Option<Value>;

/// Rows of a file with columns. Only the columns that are wanted are read.
pub(crate) trait Records {
    /// The names of the columns, in their order.
    fn header(&self) -> &[String];

    /// Whether each column holds lists; as long as the header, or empty where no column can.
    fn is_list(&self) -> &[bool] {
        &[]
    }

    /// The names of the classes that stand as numbers in a column, if the file says them.
    fn class_names(&self, _column: &str) -> Option<Vec<String>> {
        None
    }

    /// What is to be said of the rows once they were read.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Hands the cells at `places` of each row to `each`, with the line, or the row, of the file on which it begins.
    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError>;
}

/// Rows that are held in memory.
#[derive(Debug, Default)]
pub(crate) struct HeldRecords {
    pub(crate) header: Vec<String>,
    pub(crate) is_list: Vec<bool>,
    /// Each with its line.
    pub(crate) rows: Vec<(usize, Vec<Cell>)>,
}

impl Records for HeldRecords {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn is_list(&self) -> &[bool] {
        &self.is_list
    }

    fn rows(
        &mut self,
        places: &[usize],
        each: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        for (line, cells) in &mut self.rows {
            each(*line, places.iter().map(|&place| cells.get_mut(place).and_then(Option::take)).collect())?;
        }
        Ok(())
    }
}

/// The names of columns that have none: their places, from 1.
pub(crate) fn numbered(columns: usize) -> Vec<String> {
    (1..=columns).map(|place| place.to_string()).collect()
}
