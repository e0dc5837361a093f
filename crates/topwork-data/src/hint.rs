//! What to do about an error in the data.

use std::path::Path;

use crate::error::DataError;
use crate::nearest::nearest;
use crate::role::Role;
use crate::wording::unknown_hint;

impl DataError {
    /// What to do about it, as one line; where it is a command or an option, it works when pasted.
    pub fn hint(&self) -> Option<String> {
        self.hint_of_file().or_else(|| self.hint_of_row())
    }

    /// Where the file as a whole, or its columns, are at fault.
    fn hint_of_file(&self) -> Option<String> {
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
            DataError::NotUtf8 { path, .. } => {
                let converted = path.with_extension(match path.extension() {
                    Some(ending) => format!("utf8.{}", ending.display()),
                    None => "utf8".into(),
                });
                let [from, to] = [path.as_path(), &converted].map(quoted);
                let convert = match path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).as_deref() {
                    Some("gz") => format!("gzip -dc {from} | iconv -f WINDOWS-1251 -t UTF-8 | gzip > {to}"),
                    Some("zst") => format!("zstd -dc {from} | iconv -f WINDOWS-1251 -t UTF-8 | zstd > {to}"),
                    _ => format!("iconv -f WINDOWS-1251 -t UTF-8 {from} > {to}"),
                };
                Some(format!("{convert} # or -f GBK, -f SHIFT-JIS: the encoding that the file has"))
            }
            DataError::UnknownPacking { path, packing } => Some(match *packing {
                "xz" => format!("xz -dk {}", quoted(path)),
                "7-Zip" => format!("7z x {}", quoted(path)),
                _ => format!("unrar x {}", quoted(path)),
            }),
            DataError::SeveralMembers { path, members } => Some(match members.first() {
                Some(first) => format!("unzip -j {} {}", quoted(path), shell_word(first)),
                None => "the archive is empty; make it again".into(),
            }),
            DataError::SplitDirectory { path, splits } => Some(match splits.first() {
                Some(first) => format!("name one of them, such as {}", quoted(&path.join(first))),
                None => "save the data set again".into(),
            }),
            DataError::LfsPointer { path } => Some(format!("git lfs pull --include {}", quoted(path))),
            DataError::WebPage { .. } => {
                Some("download the file itself: on a hub its address has /resolve/ in place of /blob/".into())
            }
            DataError::NoHeader { text, label, flag, .. } => {
                let flag = if *flag { "--no-header " } else { "" };
                let label = label.map(|label| format!(" --label-column {label}")).unwrap_or_default();
                Some(format!("{flag}--text-column {text}{label}"))
            }
            DataError::RepeatedField { .. } => Some("leave one of the two values in the row".into()),
            DataError::PythonLiteral { path, .. } => {
                let program = "import ast,json,sys;[print(json.dumps(ast.literal_eval(line))) for line in sys.stdin]";
                let (from, to) = (quoted(path), quoted(&path.with_extension("json.jsonl")));
                Some(format!("python3 -c '{program}' < {from} > {to}"))
            }
            DataError::SeveralTables { path, found } => Some(match found.first() {
                Some(first) => {
                    let program = format!("import json;print(json.dumps(json.load(open(0))[{}]))", python_word(first));
                    let (from, to) = (quoted(path), quoted(&path.with_extension(format!("{first}.json"))));
                    format!("python3 -c {} < {from} > {to}", shell_word(&program))
                }
                None => "write one object a line".into(),
            }),
            DataError::UnknownFormat { .. } => {
                Some("give the file a first line such as `text,label`, or one JSON object a line".into())
            }
            DataError::MissingColumn { role, column, found, .. } => column_hint(*role, column, found),
            DataError::DuplicateColumn { .. } => Some("rename or remove one of them in the first line".into()),
            DataError::ColumnUsedTwice { .. } => {
                Some("name them with --text-column, --text-pair-column and --label-column".into())
            }
            _ => None,
        }
    }

    /// Where a row, or what is made of the rows, is at fault.
    fn hint_of_row(&self) -> Option<String> {
        match self {
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
            DataError::MissingLabels { .. } => Some("--missing-labels drop".into()),
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
            DataError::BrokenCompression { compression, path, .. } => Some(match *compression {
                "zip" => format!("unzip -t {}", quoted(path)),
                program => format!("{program} -t {}", quoted(path)),
            }),
            DataError::BrokenFile { .. } => {
                Some("write the file again, or as JSON lines: one whole object a line".into())
            }
            DataError::NotStrings { strings, .. } => Some(match strings.first() {
                Some(name) => format!("--text-column {}", shell_word(name)),
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
            _ => None,
        }
    }
}

/// The option that names the column which was most likely meant.
fn column_hint(role: Role, wanted: &str, found: &[String]) -> Option<String> {
    let usual_label = |name: &&String| !name.trim().to_lowercase().starts_with("label");
    let near = nearest(wanted, found.iter().map(String::as_str));
    let guess = near.or_else(|| match role {
        Role::Text | Role::TextPair => found.iter().find(usual_label).map(String::as_str),
        Role::Label => found.last().map(String::as_str),
    });
    Some(match guess {
        Some(name) => format!("{} {}", role.option(), shell_word(name)),
        None => format!("name the columns in the first line, and say which one is meant with {}", role.option()),
    })
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A word as Python reads it back.
fn python_word(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `word` as a POSIX shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./,+=:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
