//! JSON that is not quite JSON: where it breaks, and what Python writes that other readers refuse.

use std::path::Path;

use serde_json::value::RawValue;

use super::Slice;
use crate::error::DataError;

/// `error` in a text that begins at the start of `line`.
pub(super) fn as_error(path: &Path, line: usize, text: &str, error: &serde_json::Error) -> DataError {
    if is_python(text) {
        return DataError::PythonLiteral { path: path.into(), line };
    }
    let line = line + error.line().saturating_sub(1);
    DataError::BrokenJson { path: path.into(), line, column: error.column(), message: plain_message(error) }
}

/// Whether it is an object as Python prints it, `{'text': …`.
fn is_python(text: &str) -> bool {
    let inner = text.trim_start().trim_start_matches(['{', '[', ' ', '\n', '\r', '\t']);
    text.trim_start().starts_with(['{', '[']) && inner.starts_with('\'')
}

/// The parser's message without the place, which is said apart.
fn plain_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => message,
    }
}

/// `text` with null for the numbers that JSON has not (`NaN`, `Infinity`), and the replacement character for half a surrogate pair;
/// none where there is neither.
pub(super) fn mended(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let mut changed = false;
    let mut rest = text;
    let mut in_string = false;
    while let Some(letter) = rest.chars().next() {
        let mut taken = letter.len_utf8();
        let mut instead = None;
        match letter {
            '"' => in_string = !in_string,
            '\\' if in_string => {
                let pair = rest.get(..12).filter(|pair| is_high(pair) && is_low(&pair[6..]));
                if let Some(pair) = pair {
                    taken = pair.len();
                } else if rest.get(..6).is_some_and(|escape| is_high(escape) || is_low(escape)) {
                    (taken, instead) = (6, Some("\u{fffd}"));
                } else {
                    taken += rest[1..].chars().next().map_or(0, char::len_utf8);
                }
            }
            _ if !in_string => {
                const NO_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
                if let Some(word) = NO_NUMBERS.iter().find(|word| rest.starts_with(**word)) {
                    (taken, instead) = (word.len(), Some("null"));
                }
            }
            _ => {}
        }
        changed |= instead.is_some();
        mended.push_str(instead.unwrap_or(&rest[..taken]));
        rest = &rest[taken..];
    }
    changed.then_some(mended)
}

/// Whether `text` holds half of a surrogate pair.
pub(super) fn has_half_pair(text: &str) -> bool {
    (text.contains("\\ud") || text.contains("\\uD")) && mended(text).is_some_and(|mended| mended.contains('\u{fffd}'))
}

/// Whether an escape is the first half of a surrogate pair.
fn is_high(escape: &str) -> bool {
    surrogate(escape).is_some_and(|unit| (0xd800..0xdc00).contains(&unit))
}

fn is_low(escape: &str) -> bool {
    surrogate(escape).is_some_and(|unit| (0xdc00..0xe000).contains(&unit))
}

fn surrogate(escape: &str) -> Option<u32> {
    u32::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// A place in a text of JSON values.
pub(super) struct Cursor<'p, 'a> {
    path: &'p Path,
    text: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'p, 'a> Cursor<'p, 'a> {
    pub(super) fn new(path: &'p Path, text: &'a str) -> Self {
        Cursor { path, text, at: 0, line: 1, line_start: 0 }
    }

    /// The values of a text that is one array.
    pub(super) fn array(mut self) -> Result<Vec<Slice<'a>>, DataError> {
        let mut values = Vec::new();
        self.expect(&['['])?;
        if self.peek() == Some(']') {
            self.expect(&[']'])?;
        } else {
            loop {
                values.push(self.value()?);
                if self.expect(&[',', ']'])? == ']' {
                    break;
                }
            }
        }
        match self.peek() {
            None => Ok(values),
            Some(_) => Err(self.unexpected("expected the end of the file")),
        }
    }

    /// The values of a text that holds one after the other.
    pub(super) fn values(mut self) -> Result<Vec<Slice<'a>>, DataError> {
        let mut values = Vec::new();
        while self.peek().is_some() {
            values.push(self.value()?);
        }
        Ok(values)
    }

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
    fn value(&mut self) -> Result<Slice<'a>, DataError> {
        if self.peek().is_none() {
            return Err(self.unexpected("expected an object"));
        }
        let (line, rest) = (self.line, &self.text[self.at..]);
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let error = match values.next() {
            Some(Ok(_)) => {
                let length = values.byte_offset();
                self.advance(length);
                return Ok((line, &rest[..length]));
            }
            Some(Err(error)) => error,
            None => return Err(self.unexpected("expected an object")),
        };
        // What Python writes for no number is mended later; here it is enough to find the end.
        if let Some(length) = end_of_value(rest)
            && mended(&rest[..length]).is_some_and(|mended| serde_json::from_str::<&RawValue>(&mended).is_ok())
        {
            self.advance(length);
            return Ok((line, &rest[..length]));
        }
        if is_python(rest) {
            return Err(DataError::PythonLiteral { path: self.path.into(), line });
        }
        let before = if error.line() <= 1 { self.at - self.line_start } else { 0 };
        Err(DataError::BrokenJson {
            path: self.path.into(),
            line: line + error.line().saturating_sub(1),
            column: before + error.column(),
            message: plain_message(&error),
        })
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

/// Where the object or array that `text` begins with is closed.
fn end_of_value(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_is_mended_and_nothing_else() {
        for (text, expected) in [
            (r#"{"a": NaN, "b": [-Infinity, Infinity]}"#, r#"{"a": null, "b": [null, null]}"#),
            (r#"{"a": "x \ud83d y"}"#, "{\"a\": \"x \u{fffd} y\"}"),
            (r#"{"a": "\ude00"}"#, "{\"a\": \"\u{fffd}\"}"),
        ] {
            assert_eq!(mended(text).as_deref(), Some(expected));
        }
        for text in
            [r#"{"a": "NaN \"Infinity"}"#, r#"{"a": "\ud83d\ude00 \\ud83d"}"#, r#"{"a": 1}"#, "{\"a\": \"\\", "\"é"]
        {
            assert_eq!(mended(text), None, "{text}");
        }
    }
}
