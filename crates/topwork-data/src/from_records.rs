//! Rows with columns as examples: which columns are read, and what may stand in them.

use serde_json::Value;

use crate::columns::{Columns, Labels, Places};
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::headerless::{HeaderlessColumns, headerless};
use crate::json;
use crate::list_text::{scalar, unfold};
use crate::parts::{Parts, Source};
use crate::records::{Cell, Records, numbered};
use crate::same_label::is_blank;
use crate::table::TableRecords;

/// Rows that are looked at to tell whether the first of them is one, where columns have no usual names.
const HEAD: usize = 200;

impl Source<'_> {
    /// The rows of a table of text, which may have no header.
    pub(crate) fn table(&self, table: &mut TableRecords<'_>) -> Result<Parts, DataError> {
        let headerless = self.refuse_row_as_header(table)?;
        let mut parts = self.records(table)?;
        if headerless.is_some() && self.names.text.is_some() && !self.names.no_header {
            let path = self.path.display();
            parts.notes.push(format!(
                "{path}: the first line is read as column names, but looks like a row; --no-header reads it as one"
            ));
        }
        Ok(parts)
    }

    /// What the columns are if the first record of a table looks like a row; an error if its columns were not found either.
    pub(crate) fn refuse_row_as_header(
        &self,
        table: &TableRecords<'_>,
    ) -> Result<Option<HeaderlessColumns>, DataError> {
        let headerless = table.without_header();
        let places = Places::find(self.path, table.header(), &[], self.names, self.labels);
        match (places, headerless) {
            (Err(DataError::MissingColumn { .. }), Some(columns)) => Err(self.no_header(table.header(), columns, true)),
            _ => Ok(headerless),
        }
    }

    /// The rows of what has columns.
    pub(crate) fn records(&self, records: &mut (impl Records + ?Sized)) -> Result<Parts, DataError> {
        let header = records.header().to_vec();
        let places = match Places::find(self.path, &header, records.is_list(), self.names, self.labels) {
            Ok(places) => places,
            Err(error @ DataError::MissingColumn { .. }) if header == numbered(header.len()) => {
                return Err(self.numbered_columns(records)?.unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        let columns = places.columns(&header);
        let wanted: Vec<usize> = places.used().collect();
        let class_names =
            columns.label().filter(|_| columns.labels.len() == 1).and_then(|name| records.class_names(name));
        let mut examples = Vec::new();
        records.rows(&wanted, &mut |line, cells| {
            let example = self.example(line, cells, &places, &columns, &header)?;
            examples.push(self.checked(example, &columns)?);
            Ok(())
        })?;
        unfold(self.path, &columns, &mut examples)?;
        let ignored_columns = places.ignored(&header);
        Ok(Parts { columns, ignored_columns, examples, class_names, notes: records.notes() })
    }

    /// The error of rows whose columns have numbers in place of names.
    fn numbered_columns(&self, records: &mut (impl Records + ?Sized)) -> Result<Option<DataError>, DataError> {
        let header = records.header().to_vec();
        let all: Vec<usize> = (0..header.len()).collect();
        let mut head: Vec<Vec<String>> = Vec::new();
        records.rows(&all, &mut |_, cells| {
            if head.len() < HEAD {
                let text = |cell: Cell| cell.as_ref().and_then(scalar).unwrap_or_default();
                head.push(cells.into_iter().map(text).collect());
            }
            Ok(())
        })?;
        let first: Vec<String> = head.first().cloned().unwrap_or_default();
        Ok(headerless(&head).map(|columns| self.no_header(&first, columns, self.names.no_header)))
    }

    fn no_header(&self, first: &[String], columns: HeaderlessColumns, said: bool) -> DataError {
        let label = columns.label.filter(|_| self.labels == Labels::Required);
        DataError::NoHeader { path: self.path.into(), found: first.to_vec(), text: columns.text, label, flag: said }
    }

    /// A row of the cells of these places, in their order.
    pub(crate) fn example(
        &self,
        line: usize,
        cells: Vec<Cell>,
        places: &Places,
        columns: &Columns,
        header: &[String],
    ) -> Result<Example, DataError> {
        let mut cells = cells.into_iter();
        let text = cells.next().flatten();
        let mut example = match places.words {
            true => self.words(line, text, &columns.text, header)?,
            false => Example::from_text(self.string(line, text, &columns.text, header)?),
        };
        if let Some(column) = &columns.text_pair {
            example.text_pair = Some(self.second_text(line, cells.next().flatten(), column, header)?);
        }
        example.label = self.label(line, cells.collect(), &columns.labels)?;
        example.line = line;
        Ok(example)
    }

    fn checked(&self, example: Example, columns: &Columns) -> Result<Example, DataError> {
        match (&columns.text_pair, example.text_pair.as_deref()) {
            (Some(column), Some("")) => Err(self.missing_pair(example.line, column, "nothing")),
            _ => Ok(example),
        }
    }

    fn second_text(&self, line: usize, cell: Cell, column: &str, header: &[String]) -> Result<String, DataError> {
        match cell {
            None => Err(self.missing_pair(line, column, "no such field")),
            Some(Value::Null) => Err(self.missing_pair(line, column, "null")),
            cell => self.string(line, cell, column, header),
        }
    }

    fn missing_pair(&self, line: usize, column: &str, found: &'static str) -> DataError {
        DataError::MissingPair { path: self.path.into(), line, column: column.to_owned(), found }
    }

    fn words(&self, line: usize, cell: Cell, column: &str, header: &[String]) -> Result<Example, DataError> {
        let expected = "a list of strings";
        let words = match &cell {
            Some(Value::Array(words)) => words,
            Some(other) => return Err(self.wrong_type(line, column, expected, json::kind(other))),
            None => return Err(self.missing_field(line, column, header)),
        };
        if words.is_empty() {
            return Err(DataError::EmptySentence { path: self.path.into(), line, column: column.to_owned() });
        }
        let mut found = Vec::with_capacity(words.len());
        for word in words {
            let wrong = || self.wrong_type(line, column, expected, json::kind_in_list(word));
            found.push(word.as_str().ok_or_else(wrong)?);
        }
        Ok(Example::from_words(found))
    }

    /// A text. That of a row without one is empty.
    fn string(&self, line: usize, cell: Cell, column: &str, header: &[String]) -> Result<String, DataError> {
        match cell {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null) => Ok(String::new()),
            Some(other) => Err(self.wrong_type(line, column, "a string", json::kind(&other))),
            None => Err(self.missing_field(line, column, header)),
        }
    }

    fn missing_field(&self, line: usize, column: &str, header: &[String]) -> DataError {
        let found = header.iter().filter(|name| *name != column).cloned().collect();
        DataError::MissingField { path: self.path.into(), line, column: column.to_owned(), found }
    }

    fn label(&self, line: usize, cells: Vec<Cell>, columns: &[String]) -> Result<Option<Label>, DataError> {
        if let ([Some(Value::Array(values))], [column]) = (&cells[..], columns) {
            let value = |value| match scalar(value) {
                Some(text) => Ok(text),
                None => Err(self.wrong_type(line, column, LIST_OF_LABELS, json::kind_in_list(value))),
            };
            return values.iter().map(value).collect::<Result<_, _>>().map(|values| Some(Label::List(values)));
        }
        let mut values = Vec::with_capacity(columns.len());
        for (cell, column) in cells.into_iter().zip(columns) {
            values.push(match cell {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(value) => scalar(&value)
                    .ok_or_else(|| self.wrong_type(line, column, "a string or a number", json::kind(&value)))?,
            });
        }
        Ok(label_of(values))
    }

    fn wrong_type(&self, line: usize, column: &str, expected: &'static str, found: &'static str) -> DataError {
        DataError::WrongType { path: self.path.into(), line, column: column.to_owned(), expected, found }
    }
}

const LIST_OF_LABELS: &str = "a list of strings or numbers";

/// The label that stands in these columns; none where there is nothing but space in all of them.
fn label_of(mut values: Vec<String>) -> Option<Label> {
    match values.len() {
        _ if values.iter().all(|value| is_blank(value)) => None,
        1 => values.pop().map(Label::Text),
        _ => Some(Label::List(values)),
    }
}
