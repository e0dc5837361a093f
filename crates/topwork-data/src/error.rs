//! What can be wrong with a data file, said so that it can be put right.

use std::io;
use std::path::{Path, PathBuf};

use crate::role::Role;
use crate::target_error::TargetError;
use crate::wording::{listed, listed_names, listed_rows, shortened};

/// An error in the data. The text is one line that names the file, the line and the column, what was expected and what
/// was found; [`DataError::hint`] says what to do. A line is where the record starts, counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file does not exist.
    #[error("{}: there is no such file", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
        /// The file of the nearest name in the same directory.
        nearest: Option<PathBuf>,
    },
    /// The path leads to a directory.
    #[error("{}: expected a file, found a directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("{}: cannot be read ({source})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds no row.
    #[error("{}: expected at least one row, found {}", path.display(), if *header { "only a header" } else { "an empty file" })]
    Empty {
        /// The file.
        path: PathBuf,
        /// Whether there is a header.
        header: bool,
    },
    /// A byte is not UTF-8.
    #[error("{}: line {line}: expected UTF-8 text, found byte 0x{byte:02x} at offset {offset} of the file", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the byte.
        line: usize,
        /// The byte's offset in the file.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// The file is packed in a way that is not read.
    #[error("{}: expected a file that is plain or packed with gzip, zstd, bzip2 or zip, found {packing}", path.display())]
    UnknownPacking {
        /// The file.
        path: PathBuf,
        /// How it is packed.
        packing: &'static str,
    },
    /// An archive has not one file in it.
    #[error("{}: expected an archive with one file in it, found {}", path.display(), listed(members))]
    SeveralMembers {
        /// The archive.
        path: PathBuf,
        /// The files in it.
        members: Vec<String>,
    },
    /// The directory holds several parts of a data set.
    #[error("{}: expected one part of a data set, found {}", path.display(), listed(splits))]
    SplitDirectory {
        /// The directory.
        path: PathBuf,
        /// The parts.
        splits: Vec<String>,
    },
    /// The file is what Git keeps in place of a large one.
    #[error("{}: expected rows, found a Git LFS pointer: the file itself was not fetched", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The file is a page for a browser.
    #[error("{}: expected rows, found a web page (HTML)", path.display())]
    WebPage {
        /// The file.
        path: PathBuf,
    },
    /// The first line of a table is a row.
    #[error("{}: expected column names in line 1, found a row: {}", path.display(), listed(found))]
    NoHeader {
        /// The file.
        path: PathBuf,
        /// The fields of the first line.
        found: Vec<String>,
        /// The column that looks like the text, from 1.
        text: usize,
        /// The column that looks like the label.
        label: Option<usize>,
        /// Whether --no-header is to be said.
        flag: bool,
    },
    /// An object has a field twice, with two values.
    #[error("{}: line {line}: expected the field `{column}` once, found it twice with different values", path.display())]
    RepeatedField {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The field.
        column: String,
    },
    /// A line is an object as Python prints it.
    #[error("{}: line {line}: expected JSON, found an object as Python prints it, with single quotes", path.display())]
    PythonLiteral {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An object holds several tables.
    #[error("{}: expected one list of rows, found {}", path.display(), listed(found))]
    SeveralTables {
        /// The file.
        path: PathBuf,
        /// The fields that hold lists of rows.
        found: Vec<String>,
    },
    /// What the rows are cannot be told, or they cannot hold labels.
    #[error("{}: line 1: expected a header with column names or a JSON object, found {found}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The beginning of the file, quoted.
        found: String,
    },
    /// A column is not there.
    #[error("{}: {}expected a column `{column}`, found {}", path.display(), header_line(path), listed(found))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// What the column is for.
        role: Role,
        /// The name that was looked for.
        column: String,
        /// The columns there are.
        found: Vec<String>,
    },
    /// Two columns have the name of one that is needed.
    #[error("{}: line 1: expected one column `{column}`, found more than one", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// One column was named for two purposes.
    #[error("{}: expected different columns for texts and label, found `{column}` named twice", path.display())]
    ColumnUsedTwice {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A row of a table has too many or too few fields.
    #[error("{}: line {line}: expected {expected} fields as in the header, found {found}", path.display())]
    RaggedRow {
        /// The file.
        path: PathBuf,
        /// The line where the row starts.
        line: usize,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
        /// What separates fields.
        delimiter: char,
    },
    /// A quoted field does not end, or ends in the middle of another row.
    #[error("{}: line {line}: expected the quoted field that begins here to be closed by a quote before a `{delimiter}` or the end of a line, found {found}", path.display())]
    BrokenQuote {
        /// The file.
        path: PathBuf,
        /// The line where the field starts.
        line: usize,
        /// What separates fields.
        delimiter: char,
        /// What stands there instead.
        found: &'static str,
    },
    /// A line or an item is not JSON.
    #[error("{}: line {line}: expected a JSON object, found broken JSON at column {column} ({message})", path.display())]
    BrokenJson {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column in the line.
        column: usize,
        /// What the parser said.
        message: String,
    },
    /// A line or an item is JSON, but not an object.
    #[error("{}: line {line}: expected a JSON object, found {found}", path.display())]
    NotAnObject {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What it is instead.
        found: &'static str,
    },
    /// A JSON object lacks a field.
    #[error("{}: line {line}: expected a field `{column}`, found {}", path.display(), listed(found))]
    MissingField {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The field's name.
        column: String,
        /// The fields there are.
        found: Vec<String>,
    },
    /// A JSON field is not of the right type.
    #[error("{}: line {line}: column `{column}`: expected {expected}, found {found}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The field's name.
        column: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// Rows have no label although they need one.
    #[error("{}: column `{column}`: expected a label in every row, found none in {} of {rows}: {}", path.display(), lines.len(), listed_rows(lines))]
    MissingLabels {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// The rows of the file.
        rows: usize,
        /// The lines of the rows without a label, and what stands there.
        lines: Vec<(usize, String)>,
    },
    /// A pair lacks its second text.
    #[error("{}: line {line}: column `{column}`: expected the second text of the pair, found {found}", path.display())]
    MissingPair {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The second text's column.
        column: String,
        /// What stands there.
        found: &'static str,
    },
    /// A row is to have words, and has none.
    #[error("{}: line {line}: column `{column}`: expected at least one word, found an empty sentence", path.display())]
    EmptySentence {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column of words.
        column: String,
    },
    /// A line with a word has too many or too few columns.
    #[error("{}: line {line}: expected {expected} columns, of which the first is a word and the last its tag, found {found}", path.display())]
    RaggedWord {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Columns of the first line, or the fewest there may be.
        expected: usize,
        /// Columns of this line.
        found: usize,
    },
    /// A row that was handed over in memory contradicts itself or the others.
    #[error("{}: row {row}: expected {expected}, found {found}", path.display())]
    MemoryRow {
        /// The name of the rows.
        path: PathBuf,
        /// The row, from 1.
        row: usize,
        /// What it must have.
        expected: &'static str,
        /// What it has.
        found: String,
    },
    /// What stands in the file as labels is not what the task takes.
    #[error(transparent)]
    Target(Box<TargetError>),
    /// A label is not one of the model's.
    #[error("{}: line {line}: column `{column}`: expected one of the {} training labels, found `{}`", path.display(), known.len(), shortened(found))]
    UnknownLabel {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
        /// The label.
        found: String,
        /// The labels of the training data.
        known: Vec<String>,
    },
    /// All rows have the same label.
    #[error("{}: column `{column}`: expected at least two different labels, found only `{}`", path.display(), shortened(label))]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// The only label.
        label: String,
    },
    /// A list of labels names one twice.
    #[error("labels: expected different names, found `{label}` twice")]
    DuplicateLabel {
        /// The name.
        label: String,
    },
    /// No text would fit between the special tokens.
    #[error("maximum length: expected at least {least} tokens, found {max_length}")]
    MaximumLengthTooSmall {
        /// The length that was asked for.
        max_length: usize,
        /// The special tokens of a row and one token of each text.
        least: usize,
    },
    /// The tokenizer failed on a text.
    #[error("{}: line {line}: the tokenizer could not encode the text ({message})", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The line of the row.
        line: usize,
        /// What the tokenizer said.
        message: String,
    },
    /// The tokenizer made no token of a row, not even a special one.
    #[error("{}: line {line}: expected at least one token, found none", path.display())]
    NoTokens {
        /// The file.
        path: PathBuf,
        /// The line of the row.
        line: usize,
    },
    /// A byte is zero, which text does not have.
    #[error("{}: line {line}: expected text, found a zero byte at offset {offset}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// The line of the byte.
        line: usize,
        /// The byte's offset in the file, or in what it holds compressed.
        offset: u64,
    },
    /// A line is too long to be one.
    #[error("{}: line {line}: expected a line of at most {} MiB, found a longer one", path.display(), limit >> 20)]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The longest line there may be, in bytes.
        limit: usize,
    },
    /// A compressed file is damaged.
    #[error("{}: expected a whole {compression} file, found a broken one ({source})", path.display())]
    BrokenCompression {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        compression: &'static str,
        /// What the decoder said.
        source: io::Error,
    },
    /// A file that is not text is damaged, or uses what is not supported.
    #[error("{}: expected a whole {kind} file, found one that cannot be read ({message})", path.display())]
    BrokenFile {
        /// The file.
        path: PathBuf,
        /// What kind of file it is.
        kind: &'static str,
        /// What the reader said.
        message: String,
    },
    /// A column of a Parquet file does not hold texts.
    #[error("{}: column `{column}`: expected strings, found {found}", path.display())]
    NotStrings {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The type of its values.
        found: String,
        /// The columns of strings there are.
        strings: Vec<String>,
    },
    /// A corpus holds no document.
    #[error("expected at least one document, found none in {}", listed_paths(paths))]
    EmptyCorpus {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// A temporary file cannot be made, written or read.
    #[error("{}: a temporary file in this directory failed ({source})", path.display())]
    Temporary {
        /// The directory of temporary files.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The tokenizer failed on a line of a document.
    #[error("document {document} of the corpus: the tokenizer could not encode `{}` ({message})", shortened(text))]
    DocumentTokenizer {
        /// The document, counted from 1 among those of its part.
        document: u64,
        /// The line.
        text: String,
        /// What the tokenizer said.
        message: String,
    },
}

impl From<TargetError> for DataError {
    fn from(error: TargetError) -> DataError {
        DataError::Target(Box::new(error))
    }
}

fn listed_paths(paths: &[PathBuf]) -> String {
    listed_names(paths.iter().map(|path| path.display().to_string()).collect(), paths.len())
}

/// Where a file's columns are named, if it has lines.
fn header_line(path: &Path) -> &'static str {
    let has_none = ["parquet", "arrow", "feather"];
    let is_one = |ending: &std::ffi::OsStr| has_none.iter().any(|known| ending.eq_ignore_ascii_case(known));
    if path.extension().is_some_and(is_one) || path.is_dir() { "" } else { "line 1: " }
}
