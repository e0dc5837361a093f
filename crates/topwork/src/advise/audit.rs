//! What is wrong with labelled files before anything is learnt from them.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;
use tokenizers::Tokenizer;
use topwork_data::audit::{Repeats, RowOf, Shared, empty_rows, scripts};
use topwork_data::{Dataset, Label, LabelSet, Labels, TokenizedTexts, label_variants, without_case};
use topwork_metrics::Matrix;
use topwork_metrics::label_errors::label_issues;
use topwork_metrics::transferability::CrossValidation;

use crate::error::Error;
use crate::plan::recipe::Recipe;
use crate::session::files::Datasets;
use crate::session::inputs::Inputs;
use crate::words::words;

/// Pairs and rows of each kind that are kept to be shown.
const SHOWN: usize = 1_000;
/// Letters of a text that are shown.
const EXCERPT: usize = 200;
/// A tokenizer whose vocabulary has fewer letters of a script than this part does not know it.
const KNOWN_SCRIPT: f64 = 0.02;
/// More unknown tokens than this part are a sign of another language.
const MANY_UNKNOWN: f64 = 0.02;
/// So many tokens a word are a sign of another language: English texts have 1.6 to 2.0 with the carried tokenizer, Finnish 3.2
/// (docs/experiments.md).
const MANY_PIECES: f64 = 2.5;
/// A probe that is right less often doubts mostly what is hard: where 5 % of the labels were made wrong, at most half of the
/// rows that such a probe doubted were among them (docs/experiments.md).
const SURE: f64 = 0.8;
/// Classes more unequal than this are worth a word.
const UNEQUAL: f64 = 10.0;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The files.
    pub splits: Vec<SplitAudit>,
    /// The classes of the training file, and their rows in each of the files.
    pub classes: Vec<ClassRows>,
    /// Rows of the largest class of the training file for each of the smallest.
    pub imbalance: f64,
    /// Labels that differ only in case or space.
    pub label_variants: Vec<(String, String)>,
    /// Labels of the other files that the training file does not have.
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

/// A class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassRows {
    /// Its label.
    pub label: String,
    /// Its rows in each of the files.
    pub rows: Vec<usize>,
}

/// A label that no training row has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownLabel {
    /// `validation` or `test`.
    pub split: &'static str,
    /// The label.
    pub label: String,
    /// The rows that have it.
    pub rows: usize,
    /// The line of the first of them, from 1.
    pub line: usize,
    /// A training label that differs only in case or space.
    pub variant_of: Option<String>,
}

/// A text with several labels.
#[derive(Clone, Debug, Serialize)]
pub struct Conflict {
    /// The beginning of the text.
    pub text: String,
    /// Rows of each label.
    pub labels: BTreeMap<String, usize>,
    /// Where they stand.
    pub rows: Vec<Place>,
}

/// A row, by its file and line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `train`, `validation` or `test`.
    pub split: &'static str,
    /// The line on which the row begins, from 1.
    pub line: usize,
}

/// What two files share.
#[derive(Clone, Debug, Serialize)]
pub struct SharedRows {
    /// The file that comes first.
    pub earlier: &'static str,
    /// The other one.
    pub later: &'static str,
    /// Different texts that stand in both, letter for letter.
    pub identical_texts: usize,
    /// Different texts that stand in both but for case and space; those letter for letter among them.
    pub texts: usize,
    /// Rows of the later file whose text stands in the earlier one, but for case and space.
    pub rows: usize,
    /// More rows of the later file whose text nearly agrees with one of the earlier.
    pub near_rows: usize,
}

/// Two rows whose texts agree or nearly agree.
#[derive(Clone, Debug, Serialize)]
pub struct TextPair {
    /// The row that comes first.
    pub first: Place,
    /// The other one.
    pub second: Place,
    /// The part of their runs of five letters that both have; 1 for texts that differ in case and space at most.
    pub resemblance: f64,
    /// The beginning of the first text.
    pub first_text: String,
    /// The beginning of the second text.
    pub second_text: String,
    /// Whether both have the same label.
    pub same_label: bool,
}

/// What a tokenizer makes of the texts.
#[derive(Clone, Debug, Serialize)]
pub struct TokenAudit {
    /// The model, as it was named.
    pub model: String,
    /// Tokens after which a text is cut.
    pub max_seq_length: usize,
    /// The part of the rows that are cut.
    pub truncated: f64,
    /// The part of the tokens that the tokenizer does not know.
    pub unknown: f64,
    /// Tokens of a word, without special tokens.
    pub pieces_per_word: f64,
    /// The part of the words of the test file (or the validation file) that no training row has; none without one.
    pub unseen_words: Option<f64>,
    /// The part of the vocabulary's letters that are of the texts' main script.
    pub script_in_vocabulary: f64,
}

/// Rows whose label is doubted.
#[derive(Clone, Debug, Serialize)]
pub struct LabelIssues {
    /// Rows that were looked at.
    pub rows: usize,
    /// Those of them whose class no other row has that could tell of it.
    pub not_judged: usize,
    /// The rows, most doubtful first.
    pub issues: Vec<DoubtedLabel>,
}

/// A row whose label is doubted.
#[derive(Clone, Debug, Serialize)]
pub struct DoubtedLabel {
    /// The line on which the row begins, from 1.
    pub line: usize,
    /// The label that it has.
    pub given: String,
    /// The label that it seems to have.
    pub suggested: String,
    /// The probability of the given label.
    pub given_probability: f64,
    /// The probability of the suggested label.
    pub suggested_probability: f64,
    /// The text.
    pub text: String,
}

const NAMES: [&str; 3] = ["train", "validation", "test"];

/// The files of an audit.
struct Splits {
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

    fn label(&self, row: RowOf) -> Option<&Label> {
        self.datasets[row.split].examples[row.row].label.as_ref()
    }
}

/// The text, or both of a pair.
fn whole(example: &topwork_data::Example) -> String {
    match &example.text_pair {
        Some(pair) => format!("{} ‖ {pair}", example.text),
        None => example.text.clone(),
    }
}

fn excerpt(example: &topwork_data::Example) -> String {
    let text = whole(example);
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(EXCERPT).collect();
    if letters.next().is_some() { start + "…" } else { start }
}

/// Looks at the files alone, without a model. Labels that are missing or unknown, which no run would take, are findings here.
///
/// # Errors
/// When a file cannot be read.
pub fn audit_files(recipe: &Recipe) -> Result<Audit, Error> {
    let Datasets { train, validation, test } = Datasets::read(recipe, Labels::Optional)?;
    let labels = LabelSet::ordered(rows_by_label(&train).into_keys().collect());
    let (names, datasets) = NAMES
        .into_iter()
        .zip([Some(train), validation, test])
        .filter_map(|(name, dataset)| Some((name, dataset?)))
        .unzip();
    let splits = Splits { names, datasets };
    let references = splits.references();
    let repeats = Repeats::find(&references);
    let counts: Vec<BTreeMap<&str, usize>> = references.iter().map(|dataset| rows_by_label(dataset)).collect();
    let class_rows = |label: &String| ClassRows {
        label: label.clone(),
        rows: counts.iter().map(|counts| counts.get(label.as_str()).copied().unwrap_or(0)).collect(),
    };
    let classes: Vec<ClassRows> = labels.names().iter().map(class_rows).collect();
    let of_train = || classes.iter().map(|class| class.rows[0]);
    let imbalance = of_train().max().unwrap_or(0) as f64 / of_train().min().unwrap_or(1).max(1) as f64;
    let mut audit = Audit {
        splits: (0..references.len()).map(|split| split_audit(&splits, &repeats, split)).collect(),
        classes,
        imbalance,
        label_variants: label_variants(labels.names()),
        unknown_labels: (1..references.len()).flat_map(|split| unknown_labels(&splits, split, &labels)).collect(),
        conflicts: conflicts(&splits, &repeats),
        shared: shared(&splits, &repeats),
        pairs: pairs(&splits, &repeats),
        tokens: None,
        label_issues: None,
        findings: Vec::new(),
    };
    audit.findings = findings(&audit);
    Ok(audit)
}

fn rows_by_label(dataset: &Dataset) -> BTreeMap<&str, usize> {
    let mut rows = BTreeMap::new();
    for label in dataset.examples.iter().filter_map(|example| example.label_text()) {
        *rows.entry(label).or_default() += 1;
    }
    rows
}

fn unknown_labels(splits: &Splits, split: usize, labels: &LabelSet) -> Vec<UnknownLabel> {
    let dataset = &splits.datasets[split];
    let unknown =
        rows_by_label(dataset).into_iter().filter(|(label, _)| !labels.names().iter().any(|own| own == label));
    unknown
        .map(|(label, rows)| UnknownLabel {
            split: splits.names[split],
            label: label.to_string(),
            rows,
            line: dataset.examples.iter().find(|row| row.label_text() == Some(label)).map_or(0, |row| row.line),
            variant_of: labels.names().iter().find(|own| without_case(own) == without_case(label)).cloned(),
        })
        .collect()
}

impl Audit {
    /// What keeps a run from taking the files as they are.
    pub fn hindrance(&self) -> Option<&'static str> {
        let lacks_labels = self.splits.iter().any(|split| !split.unlabelled_lines.is_empty());
        match self.classes.len() {
            0 | 1 => Some("it takes two classes at least"),
            _ if lacks_labels => Some("labels are missing"),
            _ if !self.unknown_labels.is_empty() => Some("labels are unknown"),
            _ => None,
        }
    }

    /// Adds what the model's tokenizer makes of the texts; `inputs` have all training rows.
    pub fn look_at_tokens(&mut self, inputs: &Inputs) {
        let own = TokenAudit::of(inputs, self.splits.first().and_then(|split| split.scripts.first()).map(|s| s.0));
        self.findings.extend(own.findings());
        self.tokens = Some(own);
    }

    /// Adds the rows whose label a cross-validated probe doubts: `rows` are the numbers of the training rows that it was
    /// asked about.
    pub fn look_at_labels(&mut self, inputs: &Inputs, rows: &[usize], probe: &CrossValidation) {
        let given: Vec<u32> = rows.iter().map(|&row| inputs.train.classes()[row]).collect();
        let probabilities: Matrix<'_> = probe.probabilities.as_ref();
        let name = |class: u32| inputs.labels()[class as usize].clone();
        let doubted = |issue: topwork_metrics::label_errors::LabelIssue| {
            let example = &inputs.train.examples[rows[issue.row]];
            DoubtedLabel {
                line: example.line,
                given: name(issue.given),
                suggested: name(issue.suggested),
                given_probability: issue.given_probability,
                suggested_probability: issue.suggested_probability,
                text: whole(example),
            }
        };
        let found = label_issues(probabilities, &given).into_iter().filter(|issue| probe.knew_class[issue.row]);
        let issues: Vec<DoubtedLabel> = found.map(doubted).collect();
        let not_judged = probe.knew_class.iter().filter(|knew| !**knew).count();
        if not_judged > 0 {
            self.findings.push(format!(
                "the labels of {not_judged} of {} training rows cannot be judged: no other row, or only ones like them, has the same",
                rows.len()
            ));
        }
        if !issues.is_empty() {
            let (doubted, accuracy) = (issues.len(), probe.accuracy(&given));
            // A probe that errs often finds rows hard, whatever their label.
            let caution = if accuracy < SURE { ": most are hard, not wrong" } else { "" };
            self.findings.push(format!(
                "{doubted} of {} training labels are doubted by a probe that is right in {:.0} %{caution}",
                rows.len(),
                100.0 * accuracy
            ));
        }
        self.label_issues = Some(LabelIssues { rows: rows.len(), not_judged, issues });
    }
}

fn split_audit(splits: &Splits, repeats: &Repeats, split: usize) -> SplitAudit {
    let dataset = &splits.datasets[split];
    let texts = dataset.examples.iter().flat_map(|e| [Some(e.text.as_str()), e.text_pair.as_deref()]).flatten();
    let counts = scripts(texts);
    let letters: usize = counts.iter().map(|(_, count)| count).sum();
    SplitAudit {
        name: splits.names[split],
        path: dataset.path.clone(),
        rows: dataset.examples.len(),
        unlabelled_lines: dataset.examples.iter().filter(|row| row.label.is_none()).map(|row| row.line).collect(),
        empty_lines: empty_rows(dataset).into_iter().map(|row| dataset.examples[row].line).collect(),
        repeated_rows: repeats.repeated_rows(split),
        near_pairs: repeats.near_pairs_within(split),
        scripts: counts.into_iter().map(|(script, count)| (script, count as f64 / letters as f64)).collect(),
    }
}

fn conflicts(splits: &Splits, repeats: &Repeats) -> Vec<Conflict> {
    let found = repeats.conflicts(&splits.references());
    let conflict = |(place, labels): (usize, BTreeMap<String, usize>)| {
        let rows = &repeats.texts[place];
        let places = rows.iter().map(|&row| splits.place(row)).collect();
        Conflict { text: splits.text(rows[0]), labels, rows: places }
    };
    found.into_iter().map(conflict).collect()
}

fn shared(splits: &Splits, repeats: &Repeats) -> Vec<SharedRows> {
    let count = splits.datasets.len();
    let combinations = (0..count).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    combinations
        .map(|(earlier, later)| {
            let Shared { identical_texts, texts, rows, near_rows } =
                repeats.shared(&splits.references(), earlier, later);
            let (earlier, later) = (splits.names[earlier], splits.names[later]);
            SharedRows { earlier, later, identical_texts, texts, rows, near_rows }
        })
        .collect()
}

/// Pairs across files first, then within; the same text before nearly the same.
fn pairs(splits: &Splits, repeats: &Repeats) -> Vec<TextPair> {
    let pair = |first: RowOf, second: RowOf, resemblance: f64| TextPair {
        first: splits.place(first),
        second: splits.place(second),
        resemblance,
        first_text: splits.text(first),
        second_text: splits.text(second),
        same_label: splits.label(first) == splits.label(second),
    };
    let mut across: Vec<(RowOf, RowOf, f64)> = Vec::new();
    let mut within: Vec<(RowOf, RowOf, f64)> = Vec::new();
    for rows in &repeats.texts {
        for &row in rows.iter().skip(1) {
            let place = if row.split == rows[0].split { &mut within } else { &mut across };
            place.push((rows[0], row, 1.0));
        }
    }
    for near in &repeats.near {
        let (first, second) = (&repeats.texts[near.first], &repeats.texts[near.second]);
        let other = second.iter().find(|row| row.split != first[0].split);
        match other {
            Some(&other) => across.push((first[0], other, near.resemblance)),
            None => within.push((first[0], second[0], near.resemblance)),
        }
    }
    across.into_iter().chain(within).take(SHOWN).map(|(a, b, resemblance)| pair(a, b, resemblance)).collect()
}

fn findings(audit: &Audit) -> Vec<String> {
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
            findings.push(format!("{count} {} rows have no text, the first on line {line}", split.name));
        }
        if let Some(line) = split.unlabelled_lines.first() {
            let count = split.unlabelled_lines.len();
            findings.push(format!("{count} {} rows have no label, the first on line {line}", split.name));
        }
    }
    if !audit.conflicts.is_empty() {
        findings.push(format!("{} texts have several labels", audit.conflicts.len()));
    }
    for unknown in &audit.unknown_labels {
        let UnknownLabel { split, label, rows, line, variant_of } = unknown;
        let alike = variant_of.as_ref().map_or(String::new(), |own| format!("; `{own}` differs only in case or space"));
        findings.push(format!(
            "{rows} {split} rows have the label `{label}`, which no training row has (line {line}){alike}"
        ));
    }
    if let [only] = audit.classes.as_slice() {
        findings.push(format!("all training rows that have a label have the same, `{}`", only.label));
    }
    for (first, second) in &audit.label_variants {
        findings.push(format!("labels `{first}` and `{second}` differ only in case or space"));
    }
    if audit.imbalance >= UNEQUAL {
        let largest = audit.classes.iter().max_by_key(|class| class.rows[0]);
        let smallest = audit.classes.iter().min_by_key(|class| class.rows[0]);
        if let (Some(largest), Some(smallest)) = (largest, smallest) {
            findings.push(format!(
                "classes are unequal: {} rows of `{}`, {} of `{}`",
                largest.rows[0], largest.label, smallest.rows[0], smallest.label
            ));
        }
    }
    findings
}

impl TokenAudit {
    fn of(inputs: &Inputs, main_script: Option<&str>) -> Self {
        let texts = &inputs.train.texts;
        let rows = texts.len().max(1) as f64;
        let special = special_tokens(&inputs.tokenizer, inputs.train.examples.iter().any(|e| e.text_pair.is_some()));
        let word_count: usize = inputs.train.examples.iter().map(|example| words_of(example).count()).sum();
        let tokens = whole_tokens(inputs, texts).saturating_sub(special * texts.len());
        let held_out = inputs.test.as_ref().or(inputs.validation.as_ref());
        let unseen_words = held_out.map(|split| {
            let seen: HashSet<String> = inputs.train.examples.iter().flat_map(words_of).collect();
            let (mut unseen, mut all) = (0usize, 0usize);
            for word in split.examples.iter().flat_map(words_of) {
                all += 1;
                unseen += usize::from(!seen.contains(&word));
            }
            unseen as f64 / all.max(1) as f64
        });
        Self {
            model: inputs.plan.model_name_or_path.value.clone(),
            max_seq_length: inputs.plan.max_seq_length.value,
            truncated: texts.truncated as f64 / rows,
            unknown: texts.unknown as f64 / texts.total_tokens().max(1) as f64,
            pieces_per_word: tokens as f64 / word_count.max(1) as f64,
            unseen_words,
            script_in_vocabulary: main_script.map_or(1.0, |script| vocabulary_share(&inputs.tokenizer, script)),
        }
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.truncated > 0.0 {
            let (part, length) = (100.0 * self.truncated, self.max_seq_length);
            findings.push(format!("{part:.1} % of the training rows are cut after {length} tokens"));
        }
        if self.unknown > MANY_UNKNOWN || self.script_in_vocabulary < KNOWN_SCRIPT {
            findings.push(format!(
                "the texts are of a script or language that {}'s tokenizer hardly knows: {:.1} % of the tokens are unknown, \
                 {:.1} % of its vocabulary is of their script",
                self.model,
                100.0 * self.unknown,
                100.0 * self.script_in_vocabulary
            ));
        } else if self.pieces_per_word > MANY_PIECES {
            findings.push(format!(
                "{}'s tokenizer cuts a word into {:.1} pieces on average: the texts may be of a language that it does not know",
                self.model, self.pieces_per_word
            ));
        }
        findings
    }
}

/// Tokens of the rows before any is cut, as the plan's facts know them; of the rows as they are when none is cut.
fn whole_tokens(inputs: &Inputs, texts: &TokenizedTexts) -> usize {
    match texts.truncated {
        0 => texts.total_tokens(),
        _ => inputs.plan.facts.total_tokens,
    }
}

fn special_tokens(tokenizer: &Tokenizer, pair: bool) -> usize {
    use tokenizers::PostProcessor;
    tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
}

/// The words of a row, in lower case.
fn words_of(example: &topwork_data::Example) -> impl Iterator<Item = String> + '_ {
    let texts = [Some(example.text.as_str()), example.text_pair.as_deref()];
    texts.into_iter().flatten().flat_map(|text| words(text).map(str::to_lowercase))
}

/// The part of the letters of a tokenizer's vocabulary that are of a script.
fn vocabulary_share(tokenizer: &Tokenizer, script: &str) -> f64 {
    let vocabulary = tokenizer.get_vocab(true);
    let counts = scripts(vocabulary.keys().map(String::as_str));
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let own = counts.iter().find(|(name, _)| *name == script).map_or(0, |(_, count)| *count);
    own as f64 / all.max(1) as f64
}
