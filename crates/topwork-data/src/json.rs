//! Rows of JSON files: one object a line, or one array of objects.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::DataError;

/// A JSON object and the line on which it begins.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) line: usize,
    pub(crate) fields: Map<String, Value>,
}

/// The objects of a file with one on each line; blank lines are skipped.
pub(crate) fn read_lines(path: &Path, text: &str) -> Result<Vec<Object>, DataError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, text)| read_line(path, number + 1, text)).collect()
}

/// The object that is `text`, which begins on `line`.
pub(crate) fn read_line(path: &Path, line: usize, text: &str) -> Result<Object, DataError> {
    let value = serde_json::from_str(text).map_err(|error| broken(path, line, &error))?;
    object(path, line, value)
}

/// The objects of a file that is one array.
pub(crate) fn read_array(path: &Path, text: &str) -> Result<Vec<Object>, DataError> {
    let mut objects = Vec::new();
    let mut cursor = Cursor { path, text, at: 0, line: 1, line_start: 0 };
    cursor.expect(&['['])?;
    if cursor.peek() == Some(']') {
        cursor.expect(&[']'])?;
    } else {
        loop {
            let (line, value) = cursor.value()?;
            objects.push(object(path, line, value)?);
            if cursor.expect(&[',', ']'])? == ']' {
                break;
            }
        }
    }
    match cursor.peek() {
        None => Ok(objects),
        Some(_) => Err(cursor.unexpected("expected the end of the file")),
    }
}

/// What kind of value it is, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What kind of value it is that stands in a list.
pub(crate) fn kind_in_list(value: &Value) -> &'static str {
    match value {
        Value::Null => "null in the list",
        Value::Bool(_) => "a boolean in the list",
        Value::Number(_) => "a number in the list",
        Value::String(_) => "a string in the list",
        Value::Array(_) => "a list in the list",
        Value::Object(_) => "an object in the list",
    }
}

fn object(path: &Path, line: usize, value: Value) -> Result<Object, DataError> {
    match value {
        Value::Object(fields) => Ok(Object { line, fields }),
        other => Err(DataError::NotAnObject { path: path.into(), line, found: kind(&other) }),
    }
}

/// `error` in a text that begins at the start of `line`.
fn broken(path: &Path, line: usize, error: &serde_json::Error) -> DataError {
    let line = line + error.line().saturating_sub(1);
    DataError::BrokenJson { path: path.into(), line, column: error.column(), message: plain_message(error) }
}

/// The parser's message without the place, which is said apart.
fn plain_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    }
}

/// A place in the text of an array.
struct Cursor<'a> {
    path: &'a Path,
    text: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
}

impl Cursor<'_> {
    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.advance(space);
        self.text[self.at..].chars().next()
    }

    /// Takes the next character, which must be one of `wanted`.
    fn expect(&mut self, wanted: &[char]) -> Result<char, DataError> {
        match self.peek() {
            Some(found) if wanted.contains(&found) => {
                self.advance(found.len_utf8());
                Ok(found)
            }
            _ => {
                let wanted: Vec<String> = wanted.iter().map(|wanted| format!("`{wanted}`")).collect();
                Err(self.unexpected(&format!("expected {}", wanted.join(" or "))))
            }
        }
    }

    /// Takes the next value; also says on which line it begins.
    fn value(&mut self) -> Result<(usize, Value), DataError> {
        if self.peek().is_none() {
            return Err(self.unexpected("expected an object"));
        }
        let line = self.line;
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let length = values.byte_offset();
                self.advance(length);
                Ok((line, value))
            }
            Some(Err(error)) => {
                let before = if error.line() <= 1 { self.at - self.line_start } else { 0 };
                let line = line + error.line().saturating_sub(1);
                let (column, message) = (before + error.column(), plain_message(&error));
                Err(DataError::BrokenJson { path: self.path.into(), line, column, message })
            }
            None => Err(self.unexpected("expected an object")),
        }
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        self.line += passed.matches('\n').count();
        if let Some(last) = passed.rfind('\n') {
            self.line_start = self.at + last + 1;
        }
        self.at += length;
    }

    fn unexpected(&self, wanted: &str) -> DataError {
        let found = match self.text[self.at..].chars().next() {
            Some(found) => format!("`{found}`"),
            None => "the end of the file".into(),
        };
        DataError::BrokenJson {
            path: self.path.into(),
            line: self.line,
            column: self.at - self.line_start + 1,
            message: format!("{wanted}, found {found}"),
        }
    }
}
