//! What kind of file it is, by content as well as by ending.

use std::fmt;
use std::path::Path;

use crate::columns::{ColumnNames, Labels, PAIR_NAMES, TEXT_NAMES};
use crate::conll;
use crate::error::DataError;
use crate::table::separator_line;
use crate::wording::shortened;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header and rows separated by commas, with the quoting of RFC 4180.
    Csv,
    /// As [`Format::Csv`], separated by semicolons, as spreadsheets write it where the comma is the decimal mark.
    CsvSemicolon,
    /// A header and rows separated by tabs.
    Tsv,
    /// As [`Format::Csv`], separated by vertical bars.
    CsvPipe,
    /// One JSON object a line.
    JsonLines,
    /// One JSON array of objects.
    JsonArray,
    /// JSON objects one after the other, each on several lines.
    JsonObjects,
    /// A table as one JSON value, or lists of cells.
    JsonTable,
    /// A file that has columns by itself: Parquet, Arrow, a workbook.
    Columns,
    /// One text a line, no header.
    Lines,
    /// One word a line with its tag in another column, and a blank line after each sentence.
    Conll,
    /// Rows that were handed over in memory.
    Memory,
}

impl Format {
    /// What separates the fields of a table.
    pub(crate) fn delimiter(self) -> Option<char> {
        match self {
            Format::Csv => Some(','),
            Format::CsvSemicolon => Some(';'),
            Format::CsvPipe => Some('|'),
            Format::Tsv => Some('\t'),
            _ => None,
        }
    }

    fn of_delimiter(delimiter: char) -> Option<Format> {
        [Format::Csv, Format::CsvSemicolon, Format::CsvPipe, Format::Tsv]
            .into_iter()
            .find(|format| format.delimiter() == Some(delimiter))
    }

    /// Decides what `text`, which is not blank, is. Where ending and content contradict each other, content wins.
    /// `name` is that of what the file at `path` holds.
    pub(crate) fn detect(
        name: &Path,
        path: &Path,
        text: &str,
        names: &ColumnNames,
        labels: Labels,
    ) -> Result<Format, DataError> {
        let ending = Ending::of(name);
        let text = text.trim_start_matches(['\n', '\r', ' ', '\t', '\u{feff}']);
        if let Some(format) = text.lines().next().and_then(separator_line).and_then(Format::of_delimiter) {
            return Ok(format);
        }
        let first_line = header_line(text, names);
        // A brace may be a text's first character, or a word.
        let may_be_text = matches!(ending, Ending::Text | Ending::Conll);
        if text.starts_with('{') && (!may_be_text || is_object(first_line)) {
            return Ok(Format::JsonLines);
        }
        if let Some(rest) = text.strip_prefix('[')
            && (ending == Ending::Json || rest.trim_start().starts_with(['{', '[']))
        {
            return Ok(Format::JsonArray);
        }
        if ending == Ending::Conll {
            return Ok(Format::Conll);
        }
        let by_content = separated_by(first_line);
        let has_text_column = by_content.is_some_and(|format| is_header(first_line, format, names));
        let may_be_conll = matches!(ending, Ending::Tab | Ending::Text | Ending::Other) && !has_text_column;
        if may_be_conll && conll::looks_like(text) {
            return Ok(Format::Conll);
        }
        let said = names != &ColumnNames::default();
        match ending {
            Ending::Comma => Ok(by_content.unwrap_or(Format::Csv)),
            Ending::Tab => Ok(by_content.filter(|&format| format != Format::CsvSemicolon).unwrap_or(Format::Tsv)),
            Ending::Json => Ok(by_content.filter(|_| has_text_column).unwrap_or(Format::JsonLines)),
            Ending::NoText(kind) if !has_text_column => {
                Err(DataError::BrokenFile { path: path.into(), kind, message: "it holds plain text".into() })
            }
            Ending::Text | Ending::Other | Ending::Conll | Ending::NoText(_) => match (by_content, labels) {
                (Some(format), _) if has_text_column => Ok(format),
                (Some(format), _) if ending == Ending::Other && said => Ok(format),
                (Some(format), Labels::Required) => Ok(format),
                (None, Labels::Required) => {
                    Err(DataError::UnknownFormat { path: path.into(), found: format!("`{}`", shortened(first_line)) })
                }
                (_, Labels::Optional | Labels::Ignored) => Ok(Format::Lines),
            },
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Format::Csv => "CSV",
            Format::CsvSemicolon => "CSV with semicolons",
            Format::Tsv => "TSV",
            Format::JsonLines => "JSON lines",
            Format::JsonArray => "JSON array",
            Format::CsvPipe => "CSV with vertical bars",
            Format::JsonObjects => "JSON objects",
            Format::JsonTable => "a table in JSON",
            Format::Columns => "columns",
            Format::Lines => "plain lines",
            Format::Conll => "CoNLL",
            Format::Memory => "rows in memory",
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Comma,
    Tab,
    Json,
    Text,
    Conll,
    /// Of a file that is no text, as Parquet.
    NoText(&'static str),
    Other,
}

impl Ending {
    fn of(path: &Path) -> Ending {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("csv") => Ending::Comma,
            Some("tsv" | "tab") => Ending::Tab,
            Some("jsonl" | "ndjson" | "json") => Ending::Json,
            Some("conll02" | "conll03" | "conll2003" | "conllu" | "conllx") => Ending::Conll,
            Some("bio" | "bioes" | "bmes" | "iob" | "iob2" | "iobes") => Ending::Conll,
            // The files of OntoNotes end in `.v4_gold_conll`.
            Some(ending) if ending.ends_with("conll") => Ending::Conll,
            Some("txt") => Ending::Text,
            Some("parquet") => Ending::NoText("Parquet"),
            Some("arrow" | "feather") => Ending::NoText("Arrow"),
            Some("xlsx" | "xls" | "xlsb" | "ods") => Ending::NoText("workbook"),
            _ => Ending::Other,
        }
    }
}

fn is_object(line: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}

/// The first line, or one below titles that is the header.
fn header_line<'a>(text: &'a str, names: &ColumnNames) -> &'a str {
    let is_named = |line: &&str| separated_by(line).is_some_and(|format| is_header(line, format, names));
    let first = text.lines().next().unwrap_or_default();
    text.lines().take(MOST_TITLES).find(is_named).unwrap_or(first)
}

/// A header stands below at most so many lines.
const MOST_TITLES: usize = 15;

/// The separator of a header, if one alone of tab and comma, or else the semicolon or the bar, stands outside quotes.
fn separated_by(header: &str) -> Option<Format> {
    let unquoted: String = header.split('"').step_by(2).collect();
    let has = |delimiter| unquoted.contains(delimiter);
    match (has('\t'), has(','), has(';')) {
        (true, false, _) => Some(Format::Tsv),
        (false, true, _) => Some(Format::Csv),
        (false, false, true) => Some(Format::CsvSemicolon),
        (false, false, false) if has('|') => Some(Format::CsvPipe),
        _ => None,
    }
}

/// Whether `line` names a text column, exactly: in a file of plain lines a first line may well hold a comma.
fn is_header(line: &str, format: Format, names: &ColumnNames) -> bool {
    let pairs = PAIR_NAMES.iter().map(|&(first, _)| first);
    let usual: Vec<&str> = TEXT_NAMES.into_iter().chain(pairs).chain(names.text.as_deref()).collect();
    let Some(delimiter) = format.delimiter() else { return false };
    line.split(delimiter).any(|field| usual.contains(&field.trim_matches(['"', '\r'])))
}
