//! Lists that stand as text in a field: `["a", "b"]` of JSON, `['a', 'b']` of Python, `[2 5]` of NumPy.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use crate::columns::Columns;
use crate::error::DataError;
use crate::example::{Example, Label};
use crate::target_error::TargetError;

/// Makes lists of the labels in one column, if each of them begins with `[` and ends with `]`.
pub(crate) fn unfold(path: &std::path::Path, columns: &Columns, examples: &mut [Example]) -> Result<(), DataError> {
    let [column] = &columns.labels[..] else { return Ok(()) };
    let mut labels = examples.iter().filter_map(|example| example.label.as_ref()).peekable();
    if labels.peek().is_none() || !labels.all(|label| label.text().is_some_and(is_bracketed)) {
        return Ok(());
    }
    for example in examples {
        let Some(Label::Text(text)) = &example.label else { continue };
        let values = parse(text).ok_or_else(|| TargetError::BrokenList {
            path: path.into(),
            line: example.line,
            column: column.clone(),
            found: text.clone(),
        })?;
        example.label = Some(Label::List(values));
    }
    Ok(())
}

fn is_bracketed(text: &str) -> bool {
    let text = text.trim();
    text.len() > 1 && text.starts_with('[') && text.ends_with(']')
}

/// The strings and numbers of such a list; none where it is no such list.
fn parse(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if let Ok(values) = serde_json::from_str::<Vec<Value>>(text) {
        return values.iter().map(scalar).collect();
    }
    let mut letters = text.strip_prefix('[')?.strip_suffix(']')?.chars().peekable();
    let mut values = Vec::new();
    let mut may_be_comma = false;
    while let Some(&letter) = letters.peek() {
        match letter {
            ',' if may_be_comma => {
                letters.next();
                may_be_comma = false;
            }
            letter if letter.is_whitespace() => {
                letters.next();
            }
            '\'' | '"' => {
                values.push(quoted(&mut letters)?);
                // Another value, without anything between, would be a quote that was not escaped.
                if letters.peek().is_some_and(|next| *next != ',' && !next.is_whitespace()) {
                    return None;
                }
                may_be_comma = true;
            }
            _ => {
                values.push(bare(&mut letters)?);
                may_be_comma = true;
            }
        }
    }
    Some(values)
}

/// A string as it is; a number or a boolean as JSON writes it.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A string of Python, up to the quote with which it began.
fn quoted(letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quote = letters.next()?;
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\\' => match letters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                plain @ ('\\' | '\'' | '"') => text.push(plain),
                // As Python does with what it does not know.
                other => text.extend(['\\', other]),
            },
            letter if letter == quote => return Some(text),
            letter => text.push(letter),
        }
    }
}

/// A finite number, or one of Python's booleans.
fn bare(letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    while let Some(letter) = letters.next_if(|letter| *letter != ',' && !letter.is_whitespace()) {
        text.push(letter);
    }
    match text.as_str() {
        "True" => return Some("true".into()),
        "False" => return Some("false".into()),
        _ => {}
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    // NumPy leaves out the digit after the point.
    if text.ends_with('.') {
        text.push('0');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_json_python_and_numpy_are_parsed() {
        let cases: [(&str, &[&str]); 12] = [
            ("[\"a\",\"b c\"]", &["a", "b c"]),
            ("['joy', 'anger']", &["joy", "anger"]),
            ("['joy' 'anger'\n 'fear']", &["joy", "anger", "fear"]),
            ("[\"it's\", 'a, \"b\"', 'd\\'e']", &["it's", "a, \"b\"", "d'e"]),
            ("[27]", &["27"]),
            (" [2 5] ", &["2", "5"]),
            ("[ 0.5 -1e3 ]", &["0.5", "-1e3"]),
            ("[0. 1.]", &["0.0", "1.0"]),
            ("[True, False]", &["true", "false"]),
            ("[1, 'b',]", &["1", "b"]),
            ("[]", &[]),
            ("[ ]", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_or_else(|| panic!("{text}")), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_strings_and_numbers_is_none() {
        for text in
            ["[joy]", "['a]", "['a'b']", "[nan]", "[1,,2]", "[,]", "[None]", "[[1], [2]]", "[null]", "['a", "[", "]"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
