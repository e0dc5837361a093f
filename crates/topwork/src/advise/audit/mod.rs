//! What is wrong with labelled files before anything is learnt from them.

mod doubts;
mod labels;
mod malformed;
mod names;
mod numbers;
mod repeats;
mod tags;
mod tokens;

use std::path::PathBuf;

use serde::Serialize;
use topwork_data::audit::{Repeats, RowOf, empty_rows, scripts};
use topwork_data::{Columns, Dataset, Example, TargetKind, label_variants, recognise, respelled_note};

use crate::error::Error;
use crate::plan::recipe::Recipe;
use crate::session::files::{Datasets, declared_names, said_task};
use crate::tasks::{Part, Supervised, of_kind};
use crate::words::shortened;

pub use doubts::{DoubtedLabel, LabelIssues};
pub use labels::LabelsAudit;
pub use malformed::MalformedTarget;
pub use names::{ClassRows, UnknownLabel};
pub use numbers::{DifferingNumbers, NumberRange, NumbersAudit, OutputAudit, StandingOut};
pub use repeats::{Conflict, SharedRows, TextPair};
pub use tags::{MalformedTag, TagConflict, TagsAudit};
pub use tokens::TokenAudit;

/// Letters of a text that are shown.
const EXCERPT: usize = 200;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The task that the labels are of.
    pub task: &'static str,
    /// What the task was recognised by; empty where it was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recognised_by: String,
    /// The files.
    pub splits: Vec<SplitAudit>,
    /// The classes of the training file, and their rows in each of the files; none of other tasks.
    pub classes: Vec<ClassRows>,
    /// Rows of the largest class of the training file for each of the smallest; none of other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<f64>,
    /// What the labels are like where a row has any number of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsAudit>,
    /// What the numbers are like where they are to be learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumbersAudit>,
    /// What the tags are like where each word has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagsAudit>,
    /// Rows whose label is not what the task takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub malformed: Vec<MalformedTarget>,
    /// Labels that differ only in case or space.
    pub label_variants: Vec<(String, String)>,
    /// Classes, labels or tags of the other files that the training file does not have.
    pub unknown_labels: Vec<UnknownLabel>,
    /// Texts with several labels.
    pub conflicts: Vec<Conflict>,
    /// What later files share with earlier ones.
    pub shared: Vec<SharedRows>,
    /// Pairs of texts that stand in two files, or twice, or nearly agree; leaks first.
    pub pairs: Vec<TextPair>,
    /// What the tokenizer makes of the texts; none when no model was asked.
    pub tokens: Option<TokenAudit>,
    /// Rows of the training file whose label is doubted, most doubtful first; none when no model was asked.
    pub label_issues: Option<LabelIssues>,
    /// What does not apply to the task, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_applicable: Vec<(String, String)>,
    /// What should be seen to, in a sentence each.
    pub findings: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
pub struct SplitAudit {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: usize,
    /// Lines of rows without any text.
    pub empty_lines: Vec<usize>,
    /// Lines of rows without a label.
    pub unlabelled_lines: Vec<usize>,
    /// Rows that repeat an earlier one, but for case and space.
    pub repeated_rows: usize,
    /// Pairs of different texts that nearly agree.
    pub near_pairs: usize,
    /// The scripts of the letters, and their parts.
    pub scripts: Vec<(&'static str, f64)>,
}

/// A row, by its file and line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// The line on which the row begins, from 1.
    pub line: usize,
}

const NAMES: [&str; 3] = ["train", "validation", "test"];

/// The files of an audit.
struct Splits {
    kind: TargetKind,
    /// The names of the labels, where a file declares them.
    declared: Option<Vec<String>>,
    names: Vec<&'static str>,
    datasets: Vec<Dataset>,
}

impl Splits {
    fn references(&self) -> Vec<&Dataset> {
        self.datasets.iter().collect()
    }

    fn place(&self, row: RowOf) -> Place {
        Place { split: self.names[row.split], line: self.datasets[row.split].examples[row.row].line }
    }

    fn text(&self, row: RowOf) -> String {
        excerpt(&self.datasets[row.split].examples[row.row])
    }

    /// What a row is to be answered with, in one way of writing: labels in alphabetical order, numbers as they are counted with.
    fn label(&self, row: RowOf) -> Option<String> {
        let dataset = &self.datasets[row.split];
        names::written(self.kind, &dataset.columns, &dataset.examples[row.row])
    }
}

/// The text, or both of a pair.
fn whole(example: &Example) -> String {
    match &example.text_pair {
        Some(pair) => format!("{} ‖ {pair}", example.text),
        None => example.text.clone(),
    }
}

fn excerpt(example: &Example) -> String {
    shortened(&whole(example), EXCERPT)
}

/// Looks at the files alone, without a model. Labels that are missing, unknown or malformed, which no run would take, are findings
/// here.
///
/// # Errors
/// When a file cannot be read, or the recipe names no task.
pub fn audit_files(recipe: &Recipe) -> Result<Audit, Error> {
    let said = said_task(recipe)?;
    let mut files = Datasets::read_for_audit(recipe)?;
    let (task, recognised_by) = match said {
        Some(task) => (task, String::new()),
        None => {
            let (kind, reason) = recognise(&files.train);
            (of_kind(kind), reason)
        }
    };
    let kind = task.kind();
    if kind != TargetKind::TokenTags {
        [Some(&mut files.train), files.validation.as_mut(), files.test.as_mut()]
            .into_iter()
            .flatten()
            .for_each(Dataset::forget_words);
    }
    let declared = declared_names(recipe, &files.train)?;
    let (names, datasets) = NAMES
        .into_iter()
        .zip([Some(files.train), files.validation, files.test])
        .filter_map(|(name, dataset)| Some((name, dataset?)))
        .unzip();
    let mut splits = Splits { kind, declared, names, datasets };
    // From here on a label has one spelling.
    let (known, mut notes) = (names::known(&splits), Vec::new());
    for dataset in &mut splits.datasets {
        notes.append(&mut dataset.notes);
        notes.extend(dataset.respell(kind, &known).as_deref().and_then(|found| respelled_note(found, &dataset.path)));
    }
    let mut audit = audit_of(task, recognised_by, &splits);
    audit.findings.splice(0..0, notes);
    Ok(audit)
}

fn audit_of(task: &'static dyn Supervised, recognised_by: String, splits: &Splits) -> Audit {
    let kind = splits.kind;
    let references = splits.references();
    let repeats = Repeats::find(&references);
    let known = names::known(splits);
    let space = malformed::space(splits, &known);
    let counts = names::counts(splits, &known);
    let is_class = kind == TargetKind::Class;
    // A class that is only declared is not a small one.
    let of_train = || counts.iter().map(|class| class.rows[0]).filter(|rows| *rows > 0);
    let imbalance = of_train().max().unwrap_or(0) as f64 / of_train().min().unwrap_or(1).max(1) as f64;
    let not_applicable =
        task.why_not(Part::LabelErrors).map(|why| (Part::LabelErrors.name().to_string(), why.to_string()));
    let mut audit = Audit {
        task: task.name(),
        recognised_by,
        splits: (0..references.len()).map(|split| split_audit(splits, &repeats, split)).collect(),
        imbalance: is_class.then_some(imbalance),
        labels: (kind == TargetKind::Labels).then(|| LabelsAudit::of(splits, &counts)),
        numbers: space.as_ref().filter(|_| kind == TargetKind::Value).map(|space| NumbersAudit::of(splits, space)),
        tags: (kind == TargetKind::TokenTags).then(|| TagsAudit::of(splits, &counts)),
        label_variants: match kind {
            TargetKind::Class | TargetKind::Labels => label_variants(&known),
            TargetKind::Value | TargetKind::TokenTags => Vec::new(),
        },
        unknown_labels: names::unknown(splits, space.as_ref().map_or(&known, |space| space.names())),
        malformed: space.as_ref().map_or(Vec::new(), |space| malformed::malformed(splits, space)),
        classes: if is_class { counts } else { Vec::new() },
        conflicts: repeats::conflicts(splits, &repeats),
        shared: repeats::shared(splits, &repeats),
        pairs: repeats::pairs(splits, &repeats),
        tokens: None,
        label_issues: None,
        not_applicable: not_applicable.into_iter().collect(),
        findings: Vec::new(),
    };
    audit.findings = findings(&audit, kind, splits.declared.is_some());
    audit
}

impl Audit {
    /// What keeps a run from taking the files as they are.
    pub fn hindrance(&self) -> Option<&'static str> {
        let lacks_labels = self.splits.iter().any(|split| !split.unlabelled_lines.is_empty());
        let of_task = match (&self.labels, &self.numbers, &self.tags) {
            (Some(labels), ..) => labels.hindrance(),
            (_, Some(numbers), _) => numbers.hindrance(),
            (.., Some(tags)) => tags.hindrance(),
            _ => {
                let occurring = self.classes.iter().filter(|class| class.rows[0] > 0).count();
                (occurring < 2).then_some("it takes two classes at least")
            }
        };
        match of_task {
            Some(why) => Some(why),
            None if lacks_labels => Some("labels are missing"),
            None if !self.malformed.is_empty() => Some("labels are not what the task takes"),
            None if !self.unknown_labels.is_empty() => Some("labels are unknown"),
            None => None,
        }
    }
}

/// So many rows of a file, and their verb.
fn rows_have(count: usize, split: &str) -> String {
    counted(count, &format!("{split} row has"), &format!("{split} rows have"))
}

/// So many of something, with the words for one and for any other number.
fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Whether a row may lack a label, because no label applies to it.
fn may_lack_label(kind: TargetKind, columns: &Columns) -> bool {
    kind == TargetKind::Labels && columns.labels.len() < 2
}

fn split_audit(splits: &Splits, repeats: &Repeats, split: usize) -> SplitAudit {
    let dataset = &splits.datasets[split];
    let texts = dataset.examples.iter().flat_map(|e| [Some(e.text.as_str()), e.text_pair.as_deref()]).flatten();
    let counts = scripts(texts);
    let letters: usize = counts.iter().map(|(_, count)| count).sum();
    let may_lack = may_lack_label(splits.kind, &dataset.columns);
    let lacks_label = |row: &&Example| row.label.is_none() && !may_lack;
    SplitAudit {
        name: splits.names[split],
        path: dataset.path.clone(),
        rows: dataset.examples.len(),
        unlabelled_lines: dataset.examples.iter().filter(lacks_label).map(|row| row.line).collect(),
        empty_lines: empty_rows(dataset).into_iter().map(|row| dataset.examples[row].line).collect(),
        repeated_rows: repeats.repeated_rows(split),
        near_pairs: repeats.near_pairs_within(split),
        scripts: counts.into_iter().map(|(script, count)| (script, count as f64 / letters as f64)).collect(),
    }
}

fn findings(audit: &Audit, kind: TargetKind, are_declared: bool) -> Vec<String> {
    let mut findings = Vec::new();
    for shared in audit.shared.iter().filter(|shared| shared.rows + shared.near_rows > 0) {
        let rows = audit.splits.iter().find(|split| split.name == shared.later).map_or(1, |split| split.rows.max(1));
        findings.push(format!(
            "{} of {rows} {} rows stand in the {} file too ({:.1} %), {} more nearly: scores on them flatter",
            shared.rows,
            shared.later,
            shared.earlier,
            100.0 * shared.rows as f64 / rows as f64,
            shared.near_rows
        ));
    }
    for split in &audit.splits {
        if split.repeated_rows > 0 {
            findings
                .push(format!("{} of {} {} rows repeat an earlier one", split.repeated_rows, split.rows, split.name));
        }
        if let Some(line) = split.empty_lines.first() {
            let count = split.empty_lines.len();
            findings.push(format!("{} no text, the first on line {line}", rows_have(count, split.name)));
        }
        if let Some(line) = split.unlabelled_lines.first() {
            let count = split.unlabelled_lines.len();
            findings.push(format!("{} no label, the first on line {line}", rows_have(count, split.name)));
        }
    }
    if !audit.conflicts.is_empty() {
        let differ = match kind {
            TargetKind::Class => ["has several labels", "have several labels"],
            TargetKind::Labels => ["stands with other labels in other rows", "stand with other labels in other rows"],
            TargetKind::Value => ["stands with other numbers in other rows", "stand with other numbers in other rows"],
            TargetKind::TokenTags => ["is tagged differently in other rows", "are tagged differently in other rows"],
        };
        let [one, more] = differ;
        findings.push(counted(audit.conflicts.len(), &format!("text {one}"), &format!("texts {more}")));
    }
    findings.extend(malformed::finding(&audit.malformed));
    findings.extend(names::findings(audit, kind, are_declared));
    findings.extend(audit.labels.iter().flat_map(LabelsAudit::findings));
    findings.extend(audit.numbers.iter().flat_map(NumbersAudit::findings));
    findings.extend(audit.tags.iter().flat_map(TagsAudit::findings));
    findings
}
