//! The data files of a run, read and checked: which task they are of, and their targets.

use std::path::{Path, PathBuf};

use topwork_data::{
    ColumnNames, Columns, Dataset, Labels, MissingLabels, TargetKind, TargetSpace, Targets, flag_names, label_variants,
    recognise, respelled_note,
};

use crate::error::Error;
use crate::events::{Observer, RunEvent};
use crate::plan::error::PlanError;
use crate::plan::facts::TaskFacts;
use crate::plan::recipe::{Recipe, Said};
use crate::session::leaks::{LeakedRows, take_out};
use crate::session::retained::RetainedFile;
use crate::session::unlabelled::UnlabelledFile;
use crate::tasks::{Supervised, TaskDescription, of_kind};

/// The data files of a run.
pub(crate) struct Files {
    pub(crate) datasets: Datasets,
    pub(crate) task: &'static dyn Supervised,
    /// What the task was recognised by, where nobody said it.
    pub(crate) recognised_by: String,
    pub(crate) space: TargetSpace,
    /// The columns of the training file, as it has them.
    pub(crate) columns: Columns,
    /// What is to be said of how the files were read.
    notes: Vec<String>,
    /// Rows of the other files that judge nothing.
    pub(crate) leaks: Vec<LeakedRows>,
}

/// The rows of a run, whatever their labels are: read from files, or handed over by a library's user
/// ([`Dataset::from_rows`]).
pub struct Datasets {
    /// Those to learn from.
    pub train: Dataset,
    /// Those to look at after each epoch.
    pub validation: Option<Dataset>,
    /// Those to score once, at the end.
    pub test: Option<Dataset>,
}

impl Datasets {
    /// Reads the files for an audit, to which labels that no run would take are findings.
    pub(crate) fn read_for_audit(recipe: &Recipe) -> Result<Self, Error> {
        let mut datasets = Self::read(recipe)?;
        datasets.name_labels(recipe, true)?;
        Ok(datasets)
    }

    /// Reads the files. A row without a label has none; that there are labels, is checked.
    fn read(recipe: &Recipe) -> Result<Self, Error> {
        let (names, file) = (said_columns(recipe), required(&recipe.train_file, "train_file")?);
        let train = Dataset::read(file, &names, Labels::Required)?;
        // The other files have the columns of the training file, not whichever they would be read by on their own.
        let names = ColumnNames {
            text: Some(train.columns.text.clone()),
            text_pair: train.columns.text_pair.clone(),
            labels: train.columns.labels.clone(),
            ..names
        };
        let other = |file: &Option<Said<PathBuf>>| {
            file.as_ref().map(|file| Dataset::read(&file.value, &names, Labels::Required)).transpose()
        };
        let mut datasets = Self { validation: other(&recipe.validation_file)?, test: other(&recipe.test_file)?, train };
        if missing_labels(recipe) != MissingLabels::Keep {
            datasets.all_mut().for_each(Dataset::find_missing);
        }
        Ok(datasets)
    }

    /// Puts names in place of numbers, where a file has them, and names where lists of 0 and 1 have none.
    fn name_labels(&mut self, recipe: &Recipe, keeps_others: bool) -> Result<(), Error> {
        if label_names(recipe)?.is_some() {
            let is_value = |task: &'static dyn Supervised| task.kind() == TargetKind::Value;
            if said_task(recipe)?.map_or_else(|| recognise(&self.train).0 == TargetKind::Value, is_value) {
                return Err(Error::run(
                    "--label-names-file: expected nothing: the labels are numbers, which have no names",
                    "leave it out, or say --task classification where the numbers are classes",
                ));
            }
        }
        let label_names = declared_names(recipe, &self.train)?;
        let may_be_flags = said_task(recipe)?.is_none_or(|task| task.kind() == TargetKind::Labels);
        match (self.train.flags().filter(|_| may_be_flags), label_names) {
            (Some(width), names) => self.part_flags(width, names)?,
            (None, Some(names)) => self.all_mut().try_for_each(|dataset| match keeps_others {
                true => dataset.name_known_labels(&names),
                false => dataset.name_labels(&names),
            })?,
            (None, None) => {}
        }
        Ok(())
    }

    /// Whether the other rows have the columns of those to learn from, as files would be read with them.
    fn check_columns(&self) -> Result<(), Error> {
        let listed = |columns: &Columns| {
            let names: Vec<&str> = [Some(&columns.text), columns.text_pair.as_ref()]
                .into_iter()
                .flatten()
                .chain(&columns.labels)
                .map(String::as_str)
                .collect();
            names.join(", ")
        };
        let (train, expected) = (&self.train, &self.train.columns);
        match self.others().find(|other| other.columns != *expected) {
            None => Ok(()),
            Some(other) => Err(Error::run(
                format!(
                    "{}: expected the columns of {}, {}, found {}",
                    other.path.display(),
                    train.path.display(),
                    listed(expected),
                    listed(&other.columns)
                ),
                "give all rows the same columns",
            )),
        }
    }

    /// Lists of 0 and 1 in the training file are what they are in the others, whatever those look like.
    fn part_flags(&mut self, width: usize, names: Option<Vec<String>>) -> Result<(), Error> {
        let names = names.unwrap_or_else(|| flag_names(width));
        self.train.name_flags(&names)?;
        [&mut self.validation, &mut self.test].into_iter().flatten().for_each(|dataset| dataset.part_flags(&names));
        Ok(())
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Dataset> {
        std::iter::once(&mut self.train).chain(&mut self.validation).chain(&mut self.test)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &Dataset> {
        [&self.validation, &self.test].into_iter().flatten()
    }
}

/// The names of labels: those of the file of names, else those that the training file itself says.
pub(crate) fn declared_names(recipe: &Recipe, train: &Dataset) -> Result<Option<Vec<String>>, Error> {
    Ok(label_names(recipe)?.or_else(|| train.class_names.clone()))
}

/// What becomes of rows without a label.
fn missing_labels(recipe: &Recipe) -> MissingLabels {
    recipe.missing_labels.as_ref().map_or(MissingLabels::default(), |said| said.value)
}

/// The names of labels that a file gives, one a line; none where no file does.
pub(crate) fn label_names(recipe: &Recipe) -> Result<Option<Vec<String>>, Error> {
    recipe.label_names_file.as_ref().map(|said| label_names_in(&said.value)).transpose()
}

/// The names of labels in a file, one a line.
///
/// # Errors
/// When the file cannot be read, or has none.
pub fn label_names_in(path: &Path) -> Result<Vec<String>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::read(path, source))?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect();
    match names.is_empty() {
        true => Err(Error::run(
            format!("{}: expected a name a line, found none", path.display()),
            "the names of the labels, that of 0 first",
        )),
        false => Ok(names),
    }
}

/// The task that the recipe names; none where it names none.
///
/// # Errors
/// When there is no such task, or it learns from plain text.
pub(crate) fn said_task(recipe: &Recipe) -> Result<Option<&'static dyn Supervised>, PlanError> {
    let Some(said) = &recipe.task else { return Ok(None) };
    let invalid = |expected: String| {
        Err(PlanError::Invalid { place: said.place.of("task"), expected, found: format!("{:?}", said.value) })
    };
    match TaskDescription::find(&said.value) {
        Some(TaskDescription { supervised: Some(task), .. }) => Ok(Some(*task)),
        Some(found) => invalid(format!(
            "{}: {} learns from plain text, with `topwork pretrain`",
            TaskDescription::supervised_names().join(", "),
            found.name
        )),
        None => invalid(TaskDescription::supervised_names().join(", ")),
    }
}

impl Files {
    /// The rows that a library's user hands over, and what is made of them.
    pub(crate) fn of_rows(recipe: &Recipe, mut datasets: Datasets) -> Result<Self, Error> {
        datasets.check_columns()?;
        let columns = datasets.train.columns.clone();
        if missing_labels(recipe) != MissingLabels::Keep {
            datasets.all_mut().for_each(Dataset::find_missing);
        }
        datasets.name_labels(recipe, false)?;
        let (task, recognised_by) = task_of(recipe, &datasets)?;
        Self::understood(recipe, datasets, columns, task, recognised_by)
    }

    pub(crate) fn read(recipe: &Recipe) -> Result<Self, Error> {
        let mut datasets = Datasets::read(recipe)?;
        let columns = datasets.train.columns.clone();
        datasets.name_labels(recipe, false)?;
        let (task, recognised_by) = task_of(recipe, &datasets)?;
        Self::understood(recipe, datasets, columns, task, recognised_by)
    }

    fn understood(
        recipe: &Recipe,
        mut datasets: Datasets,
        columns: Columns,
        task: &'static dyn Supervised,
        recognised_by: String,
    ) -> Result<Self, Error> {
        match task.kind() {
            TargetKind::TokenTags => datasets.all_mut().try_for_each(|dataset| expect_words(dataset))?,
            TargetKind::Class | TargetKind::Labels | TargetKind::Value => {
                datasets.all_mut().for_each(|dataset| dataset.forget_words());
            }
        }
        let mut notes: Vec<String> =
            datasets.all_mut().flat_map(|dataset| std::mem::take(&mut dataset.notes)).collect();
        for dataset in datasets.all_mut() {
            notes.extend(dataset.settle_missing(missing_labels(recipe), task.kind())?);
        }
        let learnt = TargetSpace::from_training(task.kind(), &datasets.train)?;
        let names = declared_names(recipe, &datasets.train)?.filter(|_| task.kind() != TargetKind::Value);
        let space = match names {
            Some(names) => declared(task.kind(), names, learnt, &datasets.train)?,
            None => learnt,
        };
        for dataset in datasets.others() {
            space.encode(dataset)?;
        }
        notes.extend(datasets.all_mut().filter_map(|dataset| respelled_note(&space.respelled(dataset), &dataset.path)));
        let leaks = take_out(&mut datasets)?;
        Ok(Self { datasets, task, recognised_by, space, columns, notes, leaks })
    }

    /// The file of what should not be forgotten, if there is one.
    pub(crate) fn retained(&self, recipe: &Recipe) -> Result<Option<RetainedFile>, Error> {
        let Some(file) = &recipe.retain_file else { return Ok(None) };
        RetainedFile::read(&file.value, &said_columns(recipe), &self.columns, &self.datasets.train).map(Some)
    }

    /// The file of texts without labels, if there is one.
    pub(crate) fn unlabelled(
        &self,
        recipe: &Recipe,
        observer: &mut dyn Observer,
    ) -> Result<Option<UnlabelledFile>, Error> {
        let Some(file) = &recipe.unlabelled_file else { return Ok(None) };
        let file = UnlabelledFile::read(&file.value, &self.datasets)?;
        file.note().into_iter().for_each(|message| observer.event(&RunEvent::Note { message }));
        Ok(Some(file))
    }

    pub(crate) fn task_facts(&self) -> TaskFacts {
        TaskFacts {
            name: self.task.name(),
            kind: self.task.kind(),
            metrics: self.task.metrics(),
            headline: self.task.headline_of(&self.space),
            starts_from_probe: self.task.starts_from_probe(),
            recognised_by: self.recognised_by.clone(),
        }
    }

    /// Rows of each class, or of each label, words of each tag; none of numbers.
    pub(crate) fn counts(&self, targets: &Targets) -> Vec<usize> {
        counts(targets, self.space.names().len())
    }

    pub(crate) fn warn(&self, observer: &mut dyn Observer) {
        let leaks = self.leaks.iter().map(|leaked| &leaked.sentence);
        self.notes.iter().chain(leaks).for_each(|note| observer.event(&RunEvent::warning(note.clone())));
        if !self.recognised_by.is_empty() && self.task.kind() != TargetKind::Class {
            let message = format!("task {}: {} (--task says another)", self.task.name(), self.recognised_by);
            observer.event(&RunEvent::Note { message });
        }
        if let TargetSpace::Tags { from_iob1: true, .. } = self.space {
            let message =
                "the tags are IOB1 (`I-` begins a span): they are learnt as IOB2 (`B-` begins one)".to_string();
            observer.event(&RunEvent::Note { message });
        }
        let names = match &self.space {
            TargetSpace::Class(labels) | TargetSpace::Labels(labels) => labels.names(),
            TargetSpace::Values { .. } | TargetSpace::Tags { .. } => &[],
        };
        for (a, b) in label_variants(names) {
            let message =
                format!("labels `{a}` and `{b}` are alike but for case or similar letters: they count as two classes");
            observer.event(&RunEvent::warning(message));
        }
        let train = &self.datasets.train;
        if !train.ignored_columns.is_empty() {
            let shown: Vec<&str> = train.ignored_columns.iter().take(8).map(String::as_str).collect();
            let more = if train.ignored_columns.len() > 8 { ", …" } else { "" };
            let message = format!("{}: columns not used: {}{more}", train.path.display(), shown.join(", "));
            observer.event(&RunEvent::warning(message));
        }
    }
}

/// The task that was said, or the one that the labels look like, with the reason.
fn task_of(recipe: &Recipe, datasets: &Datasets) -> Result<(&'static dyn Supervised, String), Error> {
    Ok(match said_task(recipe)? {
        Some(task) => (task, String::new()),
        None => {
            let (kind, reason) = recognise(&datasets.train);
            (of_kind(kind), reason)
        }
    })
}

/// The targets that a file of names declares: also those that no training row has, in the file's order.
fn declared(kind: TargetKind, names: Vec<String>, learnt: TargetSpace, train: &Dataset) -> Result<TargetSpace, Error> {
    let space = match (TargetSpace::from_names(kind, names)?, learnt) {
        (TargetSpace::Tags { labels, scheme, .. }, TargetSpace::Tags { from_iob1, .. }) => {
            TargetSpace::Tags { labels, scheme, from_iob1 }
        }
        (space, _) => space,
    };
    space.encode(train)?;
    Ok(space)
}

/// Rows of each class, or of each label, words of each tag, of so many; none of numbers.
pub(crate) fn counts(targets: &Targets, outputs: usize) -> Vec<usize> {
    let of_ids = |ids: &[u32]| {
        let mut counts = vec![0; outputs];
        ids.iter().for_each(|&id| counts[id as usize] += 1);
        counts
    };
    match targets {
        Targets::Class(classes) => of_ids(classes),
        Targets::Tags(tags) => of_ids(tags.ids()),
        Targets::Labels(labels) => {
            (0..labels.width()).map(|label| labels.column(label).filter(|applies| *applies).count()).collect()
        }
        Targets::Values(_) => Vec::new(),
    }
}

/// Plain texts have no words to tag.
fn expect_words(dataset: &Dataset) -> Result<(), Error> {
    match dataset.has_words() {
        true => Ok(()),
        false => Err(Error::run(
            format!(
                "{}: task token_classification: expected rows of words with a tag each, found plain texts in `{}`",
                dataset.path.display(),
                dataset.columns.text
            ),
            "JSON lines with `tokens` and `tags`, or a CoNLL file",
        )),
    }
}

/// The columns that were named.
fn said_columns(recipe: &Recipe) -> ColumnNames {
    let said = |name: &Option<Said<String>>| name.as_ref().map(|said| said.value.clone());
    ColumnNames {
        text: said(&recipe.text_column),
        text_pair: said(&recipe.text_pair_column),
        labels: said(&recipe.label_column).into_iter().collect(),
        no_header: recipe.no_header.as_ref().is_some_and(|said| said.value),
    }
}

pub(crate) fn required<'a, T>(said: &'a Option<Said<T>>, key: &'static str) -> Result<&'a T, PlanError> {
    said.as_ref().map(|said| &said.value).ok_or(PlanError::Missing { key })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::plan::recipe::Place;

    /// What is made of a training file, a test file and names of labels, each a name and a content.
    fn read(train: [&str; 2], test: [&str; 2], names: Option<&str>) -> Result<Files, Error> {
        let folder = tempfile::tempdir().unwrap();
        let write = |[name, content]: [&str; 2]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            Some(Said { value: path, place: Place::Flag { name: name.to_string() } })
        };
        let label_names_file = names.and_then(|names| write(["names.txt", names]));
        Files::read(&Recipe { train_file: write(train), test_file: write(test), label_names_file, ..Recipe::default() })
    }

    const FLAGS: [&str; 2] =
        ["train.jsonl", "{\"text\": \"x\", \"labels\": [0, 1]}\n{\"text\": \"y\", \"labels\": [1, 0]}\n"];

    #[test]
    fn a_test_file_has_lists_of_0_and_1_where_the_training_file_has() {
        let test = ["test.jsonl", "{\"text\": \"z\", \"labels\": [1.0, 1.0]}\n"];
        for (names, expected) in [(None, ["LABEL_0", "LABEL_1"]), (Some("a\nb\n"), ["a", "b"])] {
            let files = read(FLAGS, test, names).unwrap();
            assert_eq!((files.task.kind(), files.space.names()), (TargetKind::Labels, &expected.map(String::from)[..]));
            assert_eq!(files.columns.labels, ["labels"], "the file has the columns that it has");
            let Targets::Labels(found) = files.space.encode(files.datasets.test.as_ref().unwrap()).unwrap() else {
                panic!("labels")
            };
            assert_eq!(found.row(0), [true, true]);
        }
        let short = ["test.jsonl", "{\"text\": \"z\", \"labels\": [1]}\n"];
        assert!(read(FLAGS, short, None).err().unwrap().to_string().contains("test.jsonl: line 1"));
        assert!(read(FLAGS, test, Some("a\n")).err().unwrap().to_string().contains("found 1"));
    }

    #[test]
    fn numbers_have_no_names() {
        let rows = ["train.csv", "text,label\nx,0.5\ny,1\n"];
        assert_eq!(read(rows, rows, None).unwrap().task.kind(), TargetKind::Value);
        let error = read(rows, rows, Some("a\nb\n")).err().unwrap().to_string();
        assert!(error.contains("--label-names-file: expected nothing"), "{error}");
    }
}
