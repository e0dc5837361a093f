//! Texts without labels, of the same kind as the rows to learn from.

use std::collections::HashSet;
use std::path::Path;

use topwork_data::{ColumnNames, DataError, Dataset, Example, Format, Labels, TokenizedTexts, normalised};

use crate::error::Error;
use crate::session::files::Datasets;

/// The file of `unlabelled_file`, read.
pub(crate) struct UnlabelledFile {
    dataset: Dataset,
    /// Texts that were left out, as they stand among the rows to learn from or to validate on, or twice in the file.
    repeated: usize,
}

/// Texts without labels, ready for the model.
#[derive(Clone, Debug)]
pub struct Unlabelled {
    /// The texts as they were read.
    pub examples: Vec<Example>,
    /// Their tokens.
    pub texts: TokenizedTexts,
}

/// What texts have in common that count as the same.
fn key(example: &Example) -> (String, Option<String>) {
    (normalised(&example.text), example.text_pair.as_deref().map(normalised))
}

impl UnlabelledFile {
    /// Reads the columns of the training file, or a text a line. Labels that the file has are not looked at.
    ///
    /// # Errors
    /// When the file cannot be read, holds no text that is new, or a text of the test file.
    pub(crate) fn read(path: &Path, datasets: &Datasets) -> Result<Self, Error> {
        let columns = &datasets.train.columns;
        let names =
            ColumnNames { text: Some(columns.text.clone()), text_pair: columns.text_pair.clone(), labels: Vec::new() };
        let mut dataset = match Dataset::read(path, &ColumnNames::default(), Labels::Optional) {
            Ok(plain) if plain.format == Format::Lines => match columns.text_pair {
                None => plain,
                Some(_) => return Err(Error::run(pairs_expected(path), "a file with both columns of texts")),
            },
            Ok(_) | Err(DataError::MissingColumn { .. }) => Dataset::read(path, &names, Labels::Optional)?,
            Err(error) => return Err(error.into()),
        };
        dataset.forget_words();
        if let Some(test) = &datasets.test {
            refuse_test_rows(&dataset, test)?;
        }
        let known = std::iter::once(&datasets.train).chain(&datasets.validation);
        let mut seen: HashSet<_> = known.flat_map(|dataset| &dataset.examples).map(key).collect();
        let all = dataset.examples.len();
        dataset.examples.retain(|example| !example.text.trim().is_empty() && seen.insert(key(example)));
        if dataset.examples.is_empty() {
            let message =
                format!("unlabelled_file: {}: expected texts that are no training rows, found none", path.display());
            return Err(Error::run(
                message,
                "a file of other texts of the same kind, one a line or with the columns of the training file",
            ));
        }
        let repeated = all - dataset.examples.len();
        Ok(Self { dataset, repeated })
    }

    /// SHA-256 of the file.
    pub(crate) fn sha256(&self) -> &str {
        &self.dataset.sha256
    }

    /// Texts that are learnt from, if a model is sure of them.
    pub(crate) fn len(&self) -> usize {
        self.dataset.examples.len()
    }

    /// That some texts are left out.
    pub(crate) fn note(&self) -> Option<String> {
        (self.repeated > 0).then(|| {
            format!(
                "{}: {} texts are empty, repeated or training rows, and left out",
                self.dataset.path.display(),
                self.repeated
            )
        })
    }

    /// The texts, to be tokenized.
    pub(crate) fn into_dataset(self) -> Dataset {
        self.dataset
    }
}

fn pairs_expected(path: &Path) -> String {
    format!(
        "unlabelled_file: {}: expected pairs of texts, as the training file has, found a text a line",
        path.display()
    )
}

/// A model that learnt from texts of the test file would be judged by what it knows.
fn refuse_test_rows(dataset: &Dataset, test: &Dataset) -> Result<(), Error> {
    let judged: HashSet<_> = test.examples.iter().map(key).collect();
    let found: Vec<usize> =
        dataset.examples.iter().filter(|own| judged.contains(&key(own))).map(|own| own.line).collect();
    let Some(first) = found.first() else { return Ok(()) };
    let message = format!(
        "unlabelled_file: {}: line {first}: expected no text of the test file {}, found {} of them",
        dataset.path.display(),
        test.path.display(),
        found.len()
    );
    Err(Error::run(message, "remove these texts: what is learnt from cannot judge"))
}
