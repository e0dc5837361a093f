//! What can be wrong with the labels of a file for the task that they are to teach.

use std::path::PathBuf;

use crate::wording::{label_hint, listed, shortened, unknown_hint};

/// An error in the labels, as [`crate::DataError`] says it: file, line and column, what was expected and what was found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A row has several labels where the task takes one.
    #[error("{}: line {line}: column `{column}`: expected one label, found a list of {found}", path.display())]
    SeveralLabels {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
        /// How many there are.
        found: usize,
    },
    /// A row names a label twice.
    #[error("{}: line {line}: column `{column}`: expected each label once, found `{}` twice", path.display(), shortened(label))]
    RepeatedLabel {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
        /// The label.
        label: String,
    },
    /// A list of labels holds a blank one.
    #[error("{}: line {line}: column `{column}`: expected names of labels, found a blank one in the list", path.display())]
    BlankLabel {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
    },
    /// A label in brackets is no list, though the labels of all rows stand in brackets.
    #[error("{}: line {line}: column `{column}`: expected a list of quoted names or of numbers, as all labels are in brackets, found `{}`", path.display(), shortened(found))]
    BrokenList {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
        /// What stands there.
        found: String,
    },
    /// A column that is a label holds something else than yes or no.
    #[error("{}: line {line}: column `{column}`: expected 0 or 1, found {}", path.display(), quoted(found))]
    NotBinary {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label's column.
        column: String,
        /// What stands there.
        found: String,
    },
    /// A column that is a label says the same of every row.
    #[error("{}: column `{column}`: expected 0 in some rows and 1 in others, found only `{value}`", path.display())]
    OneValueColumn {
        /// The file.
        path: PathBuf,
        /// The label's column.
        column: String,
        /// The only value.
        value: u8,
    },
    /// No row has a label.
    #[error("{}: column `{column}`: expected labels, found none in any row", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
    },
    /// All rows have the same labels.
    #[error("{}: column `{column}`: expected labels that some rows have and others have not, found {} on every row", path.display(), listed(labels))]
    SameLabels {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// The labels.
        labels: Vec<String>,
    },
    /// There are more or fewer names than lists of 0 and 1 have places.
    #[error("{}: column `{column}`: expected a name for each of the {expected} labels that the lists of 0 and 1 have, found {found}", path.display())]
    NameCount {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// Places of a list.
        expected: usize,
        /// Names.
        found: usize,
    },
    /// Names were given that are not those of the columns, of which each is a label.
    #[error("{}: expected the names of the label columns, {}, found {}", path.display(), listed(columns), listed(names))]
    NamesOfColumns {
        /// The file.
        path: PathBuf,
        /// The label columns.
        columns: Vec<String>,
        /// The names.
        names: Vec<String>,
    },
    /// What should be a number is none, or not a finite one.
    #[error("{}: line {line}: column `{column}`: expected a number, found {}", path.display(), quoted(found))]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
    },
    /// A row has more or fewer numbers than the others.
    #[error("{}: line {line}: column `{column}`: expected {expected} numbers as in the training data, found {found}", path.display())]
    NumberCount {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: String,
        /// Numbers of a row.
        expected: usize,
        /// Numbers of this row.
        found: usize,
    },
    /// A number is the same in every row.
    #[error("{}: column `{column}`: expected different numbers, found only {value}", path.display())]
    ConstantValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The only number.
        value: f64,
    },
    /// Numbers differ by so small a part of their size that a model does not tell them apart.
    #[error("{}: column `{column}`: expected numbers that differ by more than a hundred-thousandth of their size, found only some from {least} to {most}", path.display())]
    CloseValues {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The smallest number.
        least: f64,
        /// The largest number.
        most: f64,
    },
    /// A row to be tagged is plain text.
    #[error("{}: line {line}: column `{column}`: expected a list of words with a tag for each, found {found}", path.display())]
    NoWords {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The text's column, or the label's.
        column: String,
        /// What stands there.
        found: &'static str,
    },
    /// A row has more or fewer tags than words.
    #[error("{}: line {line}: column `{column}`: expected a tag for each of {words} words, found {tags} tags", path.display())]
    TagCount {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The tags' column.
        column: String,
        /// Words of the row.
        words: usize,
        /// Tags of the row.
        tags: usize,
    },
    /// A tag does not follow from the one before it, or does not fit with the other tags of the file.
    #[error("{}: line {}: token {} (`{}`): expected {expected}, found {}", place.path.display(), place.line, place.token, shortened(&place.word), quoted(found))]
    TagSequence {
        /// The word.
        place: WordPlace,
        /// What could stand there.
        expected: String,
        /// The tag.
        found: String,
        /// What to do.
        hint: String,
    },
    /// A tag is not one of the model's.
    #[error("{}: line {}: token {} (`{}`): expected one of the {} training tags, found {}", place.path.display(), place.line, place.token, shortened(&place.word), known.len(), quoted(found))]
    UnknownTag {
        /// The word.
        place: WordPlace,
        /// The tag.
        found: String,
        /// The tags of the training data.
        known: Vec<String>,
    },
    /// A label is neither one of the names that were given nor the number of one.
    #[error("{}: line {line}: column `{column}`: expected one of the {} names or a number from 0 to {}, found {}", path.display(), names.len(), names.len().saturating_sub(1), quoted(found))]
    NoSuchName {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
        /// What stands there.
        found: String,
        /// The names, from 0.
        names: Vec<String>,
    },
    /// A file lacks the column of a label or of a number that the training data had, or has another.
    #[error("{}: expected a column for each of {}, found only {}", path.display(), listed(expected), listed(found))]
    LabelColumns {
        /// The file.
        path: PathBuf,
        /// The names of the training data.
        expected: Vec<String>,
        /// The columns of this file.
        found: Vec<String>,
    },
}

/// A word of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordPlace {
    /// The file.
    pub path: PathBuf,
    /// The line of the word, where each word has its own; else that of the row.
    pub line: usize,
    /// The word's place in its sentence, from 1.
    pub token: usize,
    /// The word.
    pub word: String,
}

impl TargetError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            TargetError::SeveralLabels { .. } => {
                "name one column with --label-column, or a task that takes any number of labels a row".into()
            }
            TargetError::RepeatedLabel { column, .. } => {
                format!("a list in `{column}` names each label that applies once; for labels as 0 and 1, give each a column of its own, or write a list of as many in every row")
            }
            TargetError::BlankLabel { .. } => "a row without any label is written [] or left empty".into(),
            TargetError::BrokenList { .. } => {
                "write ['joy', 'anger'], [\"joy\", \"anger\"] or [2, 5]; where brackets belong to the names of classes, leave them out".into()
            }
            TargetError::NotBinary { .. } => {
                "with several label columns, each is a label: 1 where it applies to the row, 0 where it does not".into()
            }
            TargetError::OneValueColumn { column, .. } => {
                format!("there is nothing to learn from `{column}`: leave it out of --label-column, or add rows")
            }
            TargetError::NoLabels { .. } => {
                "separate the labels of a row by `;`, or write them as a JSON list, or name another column with --label-column".into()
            }
            TargetError::SameLabels { .. } => {
                "there is nothing to learn from labels that all rows have: name another column with --label-column, or add rows".into()
            }
            TargetError::NameCount { .. } => {
                "--label-names-file has a name a line, in the order of the lists; without it the names are LABEL_0, LABEL_1 and so on".into()
            }
            TargetError::NamesOfColumns { .. } => {
                "where each label has a column, --label-names-file has the names of the columns, in any order: correct it, or leave it out".into()
            }
            TargetError::NotANumber { found, .. } => number_hint(found),
            TargetError::NumberCount { .. } => "write as many numbers in every row".into(),
            TargetError::ConstantValue { .. } => "name another column with --label-column, or add rows".into(),
            TargetError::CloseValues { least, .. } => format!("subtract {least} from each of them"),
            TargetError::NoWords { .. } => {
                "write {\"tokens\": [\"…\"], \"ner_tags\": [\"…\"]} a line, or a word and its tag a line in a .conll file".into()
            }
            TargetError::TagCount { .. } => "both lists of a row are equally long: a word that is nothing has the tag O".into(),
            TargetError::TagSequence { hint, .. } => hint.clone(),
            TargetError::UnknownTag { found, known, .. } => unknown_hint(found, known),
            TargetError::NoSuchName { found, names, .. } => match found.trim().strip_suffix(".0") {
                Some(whole) if whole.parse::<usize>().is_ok_and(|number| number < names.len()) => {
                    format!("write {whole}, without a decimal point")
                }
                _ => label_hint(found, names),
            },
            TargetError::LabelColumns { expected, .. } => format!("--label-column {}", expected.join(",")),
        })
    }
}

fn number_hint(found: &str) -> String {
    let found = found.trim();
    let with_point = found.replacen(',', ".", 1);
    if found.contains(',') && with_point.parse::<f64>().is_ok_and(f64::is_finite) {
        return format!("write {with_point} with a decimal point, if the comma is a decimal mark; {AS_CLASSES}");
    }
    if found.parse::<f64>().is_ok_and(f64::is_finite) {
        return format!("models give numbers up to {:e}: write them in a larger unit, or remove the row", f32::MAX);
    }
    if found.parse::<f64>().is_ok() {
        return "write a finite number, or remove the row".into();
    }
    format!("write a number such as 3.5 there, or remove the row; {AS_CLASSES}")
}

const AS_CLASSES: &str = "--task classification takes the labels as classes";

fn quoted(found: &str) -> String {
    if found.is_empty() { "nothing".into() } else { format!("`{}`", shortened(found)) }
}
