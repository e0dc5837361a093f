//! Texts without labels, of the same kind as the rows to learn from.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use topwork_data::{ColumnNames, Columns, DataError, Dataset, Example, Format, Labels, TokenizedTexts, text_hash};

use crate::error::Error;
use crate::session::files::Datasets;

/// Lines that an error names.
const LINES_SHOWN: usize = 5;

/// The file of `unlabelled_file`, read.
pub(crate) struct UnlabelledFile {
    dataset: Dataset,
    left_out: LeftOut,
}

/// Texts that are not learnt from, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeftOut {
    empty: usize,
    of_training: usize,
    of_validation: usize,
    repeated: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.empty, "empty"),
            (self.of_training, "in the training file"),
            (self.of_validation, "in the validation file"),
            (self.repeated, "repeated"),
        ];
        let named: Vec<String> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        formatter.write_str(&named.join(", "))
    }
}

/// Texts without labels, ready for the model.
#[derive(Clone, Debug)]
pub struct Unlabelled {
    /// The texts as they were read.
    pub examples: Vec<Example>,
    /// Their tokens.
    pub texts: TokenizedTexts,
}

impl UnlabelledFile {
    /// Reads the columns of texts that the training file has, or a text a line. Other columns are not looked at.
    ///
    /// # Errors
    /// When the file cannot be read, holds no text that is new, or a text of the test file.
    pub(crate) fn read(path: &Path, datasets: &Datasets) -> Result<Self, Error> {
        let mut dataset = read_texts(path, &datasets.train.columns)?;
        dataset.forget_words();
        let read = dataset.examples.len();
        dataset.examples.retain(|example| !example.text.trim().is_empty());
        let empty = read - dataset.examples.len();
        if let Some(test) = &datasets.test {
            refuse_test_rows(&dataset, test)?;
        }
        let labelled: HashSet<_> = datasets.train.examples.iter().map(text_hash).collect();
        let validated: HashSet<_> = datasets.validation.iter().flat_map(|own| &own.examples).map(text_hash).collect();
        let mut left_out = LeftOut { empty, ..LeftOut::default() };
        let mut seen = HashSet::new();
        dataset.examples.retain(|example| {
            let key = text_hash(example);
            let counted = match () {
                () if labelled.contains(&key) => &mut left_out.of_training,
                () if validated.contains(&key) => &mut left_out.of_validation,
                () if !seen.insert(key) => &mut left_out.repeated,
                () => return true,
            };
            *counted += 1;
            false
        });
        if dataset.examples.is_empty() {
            let message = format!(
                "unlabelled_file: {}: expected texts besides the rows with labels, found none among {read}: {left_out}",
                path.display()
            );
            return Err(Error::run(
                message,
                "a file of other texts of the same kind, one a line or with the columns of the training file",
            ));
        }
        Ok(Self { dataset, left_out })
    }

    /// SHA-256 of the file.
    pub(crate) fn sha256(&self) -> &str {
        &self.dataset.sha256
    }

    /// That some texts are left out.
    pub(crate) fn note(&self) -> Option<String> {
        let Self { dataset, left_out } = self;
        let is_any = *left_out != LeftOut::default();
        is_any.then(|| format!("{}: texts that are not learnt from: {left_out}", dataset.path.display()))
    }

    /// The texts, to be tokenized.
    pub(crate) fn into_dataset(self) -> Dataset {
        self.dataset
    }
}

/// The file by the columns of texts that the training file has; plain texts, where it has neither them nor others by a usual name.
fn read_texts(path: &Path, training: &Columns) -> Result<Dataset, Error> {
    let names = ColumnNames { labels: Vec::new(), ..training.as_named() };
    let by_name = Dataset::read(path, &names, Labels::Ignored);
    let plain = match &by_name {
        Ok(dataset) if dataset.format != Format::Lines => None,
        Ok(_) | Err(DataError::MissingColumn { .. }) => {
            let usual = Dataset::read(path, &ColumnNames::default(), Labels::Ignored);
            usual.ok().filter(|usual| usual.format == Format::Lines)
        }
        Err(_) => None,
    };
    match plain {
        Some(plain) if training.text_pair.is_none() => Ok(plain),
        Some(_) => {
            let expected = "expected pairs of texts, as the training file has, found a text a line";
            let message = format!("unlabelled_file: {}: {expected}", path.display());
            Err(Error::run(message, "a file with both columns of texts"))
        }
        None => Ok(by_name?),
    }
}

/// A model that learnt from texts of the test file would be judged by what it knows.
fn refuse_test_rows(dataset: &Dataset, test: &Dataset) -> Result<(), Error> {
    let judged: HashSet<_> = test.examples.iter().map(text_hash).collect();
    let found: Vec<usize> =
        dataset.examples.iter().filter(|own| judged.contains(&text_hash(own))).map(|own| own.line).collect();
    if found.is_empty() {
        return Ok(());
    }
    let lines = if found.len() == 1 { "line" } else { "lines" };
    let shown: Vec<String> = found.iter().take(LINES_SHOWN).map(usize::to_string).collect();
    let more = if found.len() > LINES_SHOWN { ", …" } else { "" };
    let message = format!(
        "unlabelled_file: {}: {lines} {}{more}: expected no text of the test file {}, found {}",
        dataset.path.display(),
        shown.join(", "),
        test.path.display(),
        found.len()
    );
    Err(Error::run(message, "remove these texts: a model must not learn from the texts that test it"))
}
