//! What can be wrong with a data file, said so that it can be put right.

use std::io;
use std::path::{Path, PathBuf};

use crate::nearest::nearest;
use crate::role::Role;
use crate::target_error::TargetError;
use crate::wording::{listed, listed_names, shortened, unknown_hint};

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
        /// The encoding that the file's first bytes announce.
        announced: Option<&'static str>,
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
    /// A row has no label although it needs one.
    #[error("{}: line {line}: column `{column}`: expected a label, found nothing", path.display())]
    MissingLabel {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The label column.
        column: String,
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
    /// A Parquet file is damaged, or uses what is not supported.
    #[error("{}: expected a Parquet file, found one that cannot be read ({message})", path.display())]
    BrokenParquet {
        /// The file.
        path: PathBuf,
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

impl DataError {
    /// What to do about it, as one line; where it is a command or an option, it works when pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            DataError::NotFound { nearest, .. } => Some(match nearest {
                Some(near) => format!("did you mean {}", shell_word(&near.display().to_string())),
                None => "a relative path starts at the current directory; see it with `pwd`".into(),
            }),
            DataError::Directory { path } => {
                Some(format!("name one file in it; see them with `ls {}`", shell_word(&path.display().to_string())))
            }
            DataError::Unreadable { path, .. } => {
                Some(format!("see who may read it with `ls -l {}`", shell_word(&path.display().to_string())))
            }
            DataError::Empty { .. } => Some("the first line holds the column names, such as `text,label`".into()),
            DataError::NotUtf8 { path, announced, .. } => {
                let converted = path.with_extension(match path.extension() {
                    Some(ending) => format!("utf8.{}", ending.display()),
                    None => "utf8".into(),
                });
                let [from, to] = [path, &converted].map(|path| shell_word(&path.display().to_string()));
                let encoding = announced.unwrap_or("WINDOWS-1252");
                let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
                Some(match ending.as_deref() {
                    Some("gz") => format!("gzip -dc {from} | iconv -f {encoding} -t UTF-8 | gzip > {to}"),
                    Some("zst") => format!("zstd -dc {from} | iconv -f {encoding} -t UTF-8 | zstd > {to}"),
                    _ => format!("iconv -f {encoding} -t UTF-8 {from} > {to}"),
                })
            }
            DataError::UnknownFormat { .. } => {
                Some("give the file a first line such as `text,label`, or one JSON object a line".into())
            }
            DataError::MissingColumn { role, column, found, .. } => Some(column_hint(*role, column, found)),
            DataError::DuplicateColumn { .. } => Some("rename or remove one of them in the first line".into()),
            DataError::ColumnUsedTwice { .. } => {
                Some("name them with --text-column, --text-pair-column and --label-column".into())
            }
            DataError::RaggedRow { delimiter, .. } => {
                let delimiter = if *delimiter == '\t' { "a tab".into() } else { format!("`{delimiter}`") };
                Some(format!("put a field that holds {delimiter} or a line break in double quotes"))
            }
            DataError::BrokenQuote { .. } => {
                Some("write a quote inside a quoted field twice, as in \"she said \"\"no\"\"\"".into())
            }
            DataError::BrokenJson { .. } | DataError::NotAnObject { .. } => {
                Some("write one whole object a line, such as {\"text\": \"…\", \"label\": \"…\"}".into())
            }
            DataError::MissingField { .. } | DataError::WrongType { .. } => {
                Some("every row needs this field; an empty text is written \"\"".into())
            }
            DataError::MissingLabel { .. } => Some("write a label there, or remove the row".into()),
            DataError::MissingPair { .. } => Some("write the second text there, or remove the row".into()),
            DataError::EmptySentence { .. } => Some("remove the row: there is nothing to tag in it".into()),
            DataError::RaggedWord { .. } => {
                Some("write a word and its tag on each line, with one tab or space between, and a blank line after each sentence".into())
            }
            DataError::MemoryRow { .. } => {
                Some("make rows with Example::from_text or Example::from_words, all of one kind".into())
            }
            DataError::Target(error) => error.hint(),
            DataError::UnknownLabel { found, known, .. } => Some(unknown_hint(found, known)),
            DataError::OneClass { .. } => Some("name another column with --label-column, or add rows".into()),
            DataError::MaximumLengthTooSmall { least, .. } => Some(format!("--max-length {}", (*least).max(128))),
            DataError::Binary { path, .. } => Some(format!(
                "this looks like a binary file; name files of text, plain or as .gz or .zst, or see what it is with `file {}`",
                shell_word(&path.display().to_string())
            )),
            DataError::LineTooLong { .. } => Some("break the text into lines, a paragraph a line".into()),
            DataError::BrokenCompression { compression, path, .. } => Some(format!(
                "it is damaged or cut short; fetch it again, and test it with `{} -t {}`",
                if *compression == "zstd" { "zstd" } else { "gzip" },
                shell_word(&path.display().to_string())
            )),
            DataError::BrokenParquet { .. } => {
                Some("write it again, uncompressed or with snappy, gzip or zstd, or as JSON lines".into())
            }
            DataError::NotStrings { strings, .. } => Some(match strings.first() {
                Some(name) => {
                    format!("--text-column {} (columns of strings: {})", shell_word(name), strings.join(", "))
                }
                None => "no column of this file holds strings".into(),
            }),
            DataError::EmptyCorpus { .. } => {
                Some("name files that hold text; a document is one line or more, and blank lines part documents".into())
            }
            DataError::Temporary { path, .. } => Some(format!(
                "see the space left with `df -h {}`, or set TMPDIR to a directory with more",
                shell_word(&path.display().to_string())
            )),
            DataError::DuplicateLabel { .. } => {
                Some("id2label in config.json gives each class a name of its own".into())
            }
            DataError::Tokenizer { .. } | DataError::DocumentTokenizer { .. } => {
                Some("the vocabulary in tokenizer.json should have its unk_token; fetch the tokenizer again".into())
            }
            DataError::NoTokens { .. } => {
                Some("the tokenizer's post_processor should put special tokens around a text, such as [CLS]".into())
            }
        }
    }
}

fn column_hint(role: Role, wanted: &str, found: &[String]) -> String {
    let usual_label = |name: &&String| !name.trim().to_lowercase().starts_with("label");
    let near = nearest(wanted, found.iter().map(String::as_str));
    let guess = near.or_else(|| match role {
        Role::Text | Role::TextPair => found.iter().find(usual_label).map(String::as_str),
        Role::Label => found.last().map(String::as_str),
    });
    let option = role.option();
    match guess {
        Some(name) => {
            let several = match role == Role::Label && near.is_none() && found.len() > 2 {
                true => "; of several columns of 0 and 1: --label-column A,B,C",
                false => "",
            };
            format!("{option} {} (columns found: {}){several}", shell_word(name), found.join(", "))
        }
        None => format!("{option} NAME"),
    }
}

fn listed_paths(paths: &[PathBuf]) -> String {
    listed_names(paths.iter().map(|path| path.display().to_string()).collect(), paths.len())
}

/// Where a file's columns are named, if it has lines.
fn header_line(path: &Path) -> &'static str {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) { "" } else { "line 1: " }
}

/// `word` as a POSIX shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./,+=:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
