//! What a run should not forget: texts, and the rows of an earlier task. They are read, tokenized and checked before training, so
//! that a file that cannot be used costs no training.

use std::path::Path;

use tokenizers::Tokenizer;
use topwork_data::{
    ColumnNames, Columns, DataError, Dataset, Example, Format, Labels, LearntRows, TargetKind, TokenizedTexts,
};
use topwork_models::{ModelConfig, Sizes};

use crate::error::Error;
use crate::network::batch::check_tokens;
use crate::plan::Plan;
use crate::plan::value::Init;
use crate::predict::Predictor;
use crate::session::profile::OwnProfile;
use crate::session::profile::PROFILE;
use crate::session::split::spread;

/// Texts below which nothing is said of them: neighbours and CKA of so few are chance.
pub(crate) const LEAST_TEXTS: usize = 10;
/// Passages of general English, one a line, where a model does not say what it was pre-trained on.
const GENERAL_ENGLISH: &str = include_str!("../../../../assets/probe/general_english.txt");
/// Texts of a model's own profile, at least: fewer tell less than general English does.
pub(crate) const LEAST_OWN: usize = 32;
/// Texts that are kept, at most.
pub(crate) const MOST: usize = 512;
/// Tokens of a text that are looked at.
const LONGEST: usize = 128;
/// Rows of an earlier task below which its accuracy says nothing: each would count for more than five points.
pub(crate) const LEAST_ROWS: usize = 20;

/// Passages of general English.
pub(crate) fn general_english() -> Vec<String> {
    GENERAL_ENGLISH.lines().map(str::to_string).collect()
}

/// What a run should not forget, ready for the model.
#[derive(Clone, Debug)]
pub struct Retained {
    /// What the texts are, in words.
    pub source: String,
    /// The texts, cut to what is looked at.
    pub texts: TokenizedTexts,
    /// Rows of the earlier task whose head the model has.
    pub earlier: Option<EarlierTask>,
    /// What cannot be measured with them, and why.
    pub missing: Vec<String>,
    /// What the user should know before training.
    pub(crate) warnings: Vec<String>,
}

/// Rows of an earlier task.
#[derive(Clone, Debug)]
pub struct EarlierTask {
    /// The texts, as long as the model reads them.
    pub texts: TokenizedTexts,
    /// Their classes, by the model's own head.
    pub classes: Vec<u32>,
}

/// The file of `retain_file`, read.
pub(crate) struct RetainedFile {
    dataset: Dataset,
    warnings: Vec<String>,
}

impl RetainedFile {
    /// Reads the columns that the user named, which are those of the training file, where the file has them, and others by
    /// their usual names.
    ///
    /// # Errors
    /// When the file cannot be read, has none of these columns or holds no text.
    pub(crate) fn read(path: &Path, said: &ColumnNames, training: &Columns, train: &Dataset) -> Result<Self, Error> {
        let (mut dataset, mut warnings) = read_columns(path, said, training)?;
        dataset.forget_words();
        dataset.examples.retain(|example| !example.text.trim().is_empty());
        let (rows, learnt) = (dataset.examples.len(), LearntRows::new(&train.examples));
        dataset.examples.retain(|example| learnt.find(example).is_none());
        let left_out = rows - dataset.examples.len();
        if left_out > 0 {
            warnings.push(format!(
                "retain_file: {}: {left_out} of {rows} texts stand in the training file too: they do not show what is forgotten, and are \
                 left out",
                path.display()
            ));
        }
        if dataset.examples.is_empty() {
            let message = format!("retain_file: {}: expected texts, found none", path.display());
            return Err(Error::run(message, "a file of texts, one a line, or the labelled file of an earlier task"));
        }
        Ok(Self { dataset, warnings })
    }

    /// SHA-256 of the file.
    pub(crate) fn sha256(&self) -> &str {
        &self.dataset.sha256
    }
}

/// The file by the columns that fit it, and what the user should know of them.
fn read_columns(path: &Path, said: &ColumnNames, training: &Columns) -> Result<(Dataset, Vec<String>), DataError> {
    let read = |names: &ColumnNames| Dataset::read(path, names, Labels::Optional);
    let alike = training.as_named();
    let texts_are_named = said.text.is_some() || said.text_pair.is_some();
    let usual = read(&ColumnNames::default());
    let header = match &usual {
        // Plain texts have no columns, unless a name that was said makes a header of their first line.
        Ok(plain) if plain.format == Format::Lines => {
            let first = plain.examples.first().map_or("", |example| example.text.as_str());
            let names_it = |cell: &str| cell.trim().trim_matches('"').eq_ignore_ascii_case(&training.text);
            let is_table = texts_are_named && first.split([',', '\t']).any(names_it);
            return if is_table { read(&alike) } else { usual }.map(|dataset| (dataset, Vec::new()));
        }
        Ok(Dataset { columns, ignored_columns, .. }) => {
            let used = [Some(&columns.text), columns.text_pair.as_ref(), columns.label()];
            used.into_iter().flatten().chain(ignored_columns).cloned().collect()
        }
        Err(DataError::MissingColumn { found, .. }) => found.clone(),
        Err(_) => return read(&alike).map(|dataset| (dataset, Vec::new())),
    };
    let folded = |name: &str| name.trim().to_lowercase();
    let has = |name: &String| header.iter().any(|column| folded(column) == folded(name));
    let lacks = |name: &&String| !has(name);
    let mut names = ColumnNames {
        labels: alike.labels.iter().filter(|name| has(name)).cloned().collect(),
        ..ColumnNames::default()
    };
    let mut instead = Vec::new();
    match [alike.text.as_ref(), alike.text_pair.as_ref()].into_iter().flatten().find(lacks) {
        None => {
            // A pair that goes by its usual names stays one, though the new task is of single texts.
            let is_pair = |usual: &Dataset| usual.is_pair() && usual.columns.text == training.text;
            if texts_are_named || alike.text_pair.is_some() || !usual.as_ref().is_ok_and(is_pair) {
                (names.text, names.text_pair) = (alike.text.clone(), alike.text_pair.clone());
            }
        }
        Some(lacking) if texts_are_named => match &usual {
            Ok(usual) => instead.push((lacking, usual.columns.text.clone())),
            // The name that was said, not a usual one, is what is missing.
            Err(_) => return read(&alike).map(|dataset| (dataset, Vec::new())),
        },
        Some(_) => {}
    }
    let dataset = read(&names)?;
    if let (Some(lacking), Some(found)) = (said.labels.first().filter(lacks), dataset.columns.label()) {
        instead.push((lacking, found.clone()));
    }
    let warning = |(lacking, found): (&String, String)| {
        format!("{}: no column `{lacking}`, as in the training file: `{found}` is read", path.display())
    };
    Ok((dataset, instead.into_iter().map(warning).collect()))
}

/// The model that texts are made ready for.
struct Reader<'a> {
    tokenizer: &'a Tokenizer,
    sizes: Sizes,
}

impl Reader<'_> {
    /// The tokens of these rows, cut after `longest`, once it is known that the model has an embedding for each.
    fn read(&self, examples: &[Example], longest: usize, path: &Path) -> Result<TokenizedTexts, Error> {
        let texts = TokenizedTexts::tokenize(self.tokenizer, examples, longest, path)?;
        check_tokens(&texts, &self.sizes, path)?;
        Ok(texts)
    }
}

impl Retained {
    /// The texts of `file`; without one, the sample in the model's own profile, or general English.
    ///
    /// # Errors
    /// When the model cannot read a text of the file.
    pub(crate) fn gather(
        file: Option<RetainedFile>,
        source: &Path,
        config: &ModelConfig,
        tokenizer: &Tokenizer,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let reader = Reader { tokenizer, sizes: config.encoder().sizes() };
        match file {
            Some(file) => Self::of_file(file, source, config, &reader, plan),
            None => Self::of_model(source, &reader, plan),
        }
    }

    fn of_file(
        file: RetainedFile,
        source: &Path,
        config: &ModelConfig,
        reader: &Reader<'_>,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let RetainedFile { dataset, mut warnings } = file;
        let (found, path) = (dataset.examples.len(), dataset.path.display());
        if found < LEAST_TEXTS {
            // Better said before the training than after it.
            warnings.push(format!(
                "retain_file: {path}: {found} texts are too few to measure by, {LEAST_TEXTS} are needed"
            ));
        }
        let rows: Vec<usize> = (0..dataset.examples.len()).collect();
        let texts = reader.read(&select(&dataset.examples, &spread(&rows, MOST)), longest(plan), &dataset.path)?;
        let mut missing = Vec::new();
        let earlier = match earlier_rows(&dataset, config, source, plan, &mut missing) {
            Some((rows, classes)) => {
                let examples = select(&dataset.examples, &rows);
                // As `Classifier` cuts them.
                Some(EarlierTask { texts: reader.read(&examples, plan.facts.model.longest(), &dataset.path)?, classes })
            }
            None => None,
        };
        Ok(Self { source: format!("texts of {}", dataset.path.display()), texts, earlier, missing, warnings })
    }

    fn of_model(source: &Path, reader: &Reader<'_>, plan: &Plan) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let mut warnings = Vec::new();
        let own = match OwnProfile::read(source) {
            Ok(own) => own.and_then(|profile| profile.sample),
            Err(message) => {
                warnings.push(format!(
                    "{message}: what the model forgets of its own pre-training is measured on general English"
                ));
                None
            }
        };
        let (texts, named) = match own {
            Some(texts) if texts.len() >= LEAST_OWN => (texts, "texts of its own pre-training"),
            own => {
                if let Some(texts) = own {
                    let few = texts.len();
                    missing.push(format!(
                        "texts of its own pre-training: {PROFILE} has {few}, and {LEAST_OWN} are needed"
                    ));
                }
                (general_english(), "texts of general English")
            }
        };
        let example = |(line, text): (usize, String)| Example { line: line + 1, ..Example::from_text(text) };
        let examples: Vec<Example> = texts.into_iter().enumerate().map(example).collect();
        let examples = select(&examples, &spread(&(0..examples.len()).collect::<Vec<_>>(), MOST));
        let path = source.join(PROFILE);
        // Nobody asked for these texts: a model that cannot read them can be trained all the same.
        let texts = match reader.read(&examples, longest(plan), &path) {
            Ok(texts) => texts,
            Err(error) => {
                missing.push(format!("{named}: the model cannot read them: {error}"));
                reader.read(&[], longest(plan), &path)?
            }
        };
        missing.push("the score on an earlier task: none was named (--retain FILE with its labelled rows)".into());
        Ok(Self { source: named.to_string(), texts, earlier: None, missing, warnings })
    }
}

/// The rows whose classes the model's own head knows, and these classes; none, and why, where they cannot be scored.
fn earlier_rows(
    dataset: &Dataset,
    config: &ModelConfig,
    source: &Path,
    plan: &Plan,
    missing: &mut Vec<String>,
) -> Option<(Vec<usize>, Vec<u32>)> {
    let path = dataset.path.display();
    let mut none = |why: String| {
        missing.push(format!("the score on an earlier task: {why}"));
        None
    };
    let Some(column) = dataset.columns.label() else { return none(format!("{path} has no column of labels")) };
    let Some(names) = config.labels() else { return none("the model has no head of one".into()) };
    let mut known: Vec<(usize, u32)> = Vec::new();
    let (mut without, mut foreign) = (0, Vec::new());
    for (row, example) in dataset.examples.iter().enumerate() {
        match example.label_text() {
            None => without += 1,
            Some(label) => match names.iter().position(|name| name == label) {
                Some(class) => known.push((row, class as u32)),
                None => foreign.push(label),
            },
        }
    }
    let mut left_out = Vec::new();
    if without > 0 {
        left_out.push(format!("{without} without a label in `{column}`"));
    }
    if let Some(first) = foreign.first() {
        let count = foreign.len();
        left_out.push(format!("{count} with labels that the model's head does not know, such as `{first}`"));
    }
    let left_out = left_out.join(" and ");
    let (all, found) = (dataset.examples.len(), known.len());
    if found < LEAST_ROWS {
        let others = if left_out.is_empty() { String::new() } else { format!(" ({left_out})") };
        return none(format!(
            "{path} has {found} rows with labels that the model's head knows, and {LEAST_ROWS} are needed{others}"
        ));
    }
    if plan.init.value == Init::Pretrained {
        match Predictor::load(source) {
            Ok(earlier) if earlier.task().kind() == TargetKind::Class => {}
            Ok(earlier) => return none(format!("the model's head is of {}", earlier.task().name())),
            Err(error) => return none(format!("the model's head of one cannot be used: {error}")),
        }
    }
    if !left_out.is_empty() {
        missing.push(format!("the score on an earlier task leaves out rows of {path}: {left_out}, of {all}"));
    }
    Some(spread(&known, MOST).into_iter().unzip())
}

/// The tokens of a text that are looked at, at most.
pub(crate) fn longest(plan: &Plan) -> usize {
    LONGEST.min(plan.facts.model.longest())
}

fn select(examples: &[Example], rows: &[usize]) -> Vec<Example> {
    rows.iter().map(|&row| examples[row].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, label: Option<&str>) -> ColumnNames {
        ColumnNames {
            text: Some(text.into()),
            labels: label.map(str::to_string).into_iter().collect(),
            ..ColumnNames::default()
        }
    }

    fn columns(text: &str, text_pair: Option<&str>, label: Option<&str>) -> Columns {
        let owned = |name: Option<&str>| name.map(str::to_string);
        Columns { text: text.into(), text_pair: owned(text_pair), labels: owned(label).into_iter().collect() }
    }

    /// The columns that are read of a file with this name and content, and how many warnings there are.
    fn read(name: &str, content: &str, said: &ColumnNames, training: &Columns) -> Result<(Columns, usize), DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_columns(&path, said, training).map(|(dataset, warnings)| (dataset.columns, warnings.len()))
    }

    #[test]
    fn columns_are_those_of_the_training_file_where_the_file_has_them() {
        let nothing = ColumnNames::default();
        let plain = columns("text", None, Some("label"));
        let sentences = columns("sentence", None, Some("labels"));
        let pairs = columns("text", Some("text_pair"), Some("label"));
        let (named, named_columns) = (names("body", Some("topic")), columns("body", None, Some("topic")));
        // File, what was said, the training file's columns, the columns that are read, warnings.
        let cases = [
            ("body,topic,text,label\na,b,c,d\n", &named, &named_columns, named_columns.clone(), 0),
            (" Body,TOPIC\na,b\n", &named, &named_columns, columns(" Body", None, Some("TOPIC")), 0),
            ("text,topic\na,b\n", &named, &named_columns, columns("text", None, Some("topic")), 1),
            ("body,label\na,b\n", &named, &named_columns, columns("body", None, Some("label")), 1),
            ("text,label\na,b\n", &named, &named_columns, plain.clone(), 2),
            ("body,other\na,b\n", &named, &named_columns, columns("body", None, None), 0),
            ("text,sentence,label,labels\na,b,c,d\n", &nothing, &sentences, sentences.clone(), 0),
            ("text,sentence,label,labels\na,b,c,d\n", &nothing, &plain, plain.clone(), 0),
            ("text,label\na,b\n", &nothing, &sentences, plain.clone(), 0),
            ("text,label\na,b\n", &nothing, &pairs, plain.clone(), 0),
            ("text,text_pair,label\na,b,c\n", &nothing, &plain, pairs.clone(), 0),
        ];
        for (content, said, training, expected, warnings) in cases {
            let found = read("old.csv", content, said, training).unwrap();
            assert_eq!(found, (expected, warnings), "{content}");
        }
    }

    #[test]
    fn a_named_column_that_nothing_stands_for_is_the_error() {
        let (named, training) = (names("body", None), columns("body", None, Some("label")));
        let error = read("old.csv", "words,label\na,b\n", &named, &training).unwrap_err();
        assert!(matches!(&error, DataError::MissingColumn { column, .. } if column == "body"), "{error}");
        let error = read("old.csv", "words,label\na,b\n", &ColumnNames::default(), &training).unwrap_err();
        assert!(matches!(&error, DataError::MissingColumn { column, .. } if column == "text"), "{error}");
    }

    #[test]
    fn plain_lines_are_texts_whatever_columns_were_named() {
        let (named, training) = (names("body", Some("topic")), columns("body", None, Some("topic")));
        for name in ["old.txt", "old", "old.log"] {
            for said in [&named, &ColumnNames::default()] {
                let found = read(name, "first, of two\nsecond\nthird, and, last\n", said, &training).unwrap();
                assert_eq!(found, (columns("text", None, None), 0), "{name}");
            }
        }
        let found = read("old.log", "body,topic\na,b\n", &named, &training).unwrap();
        assert_eq!(found.0, training, "a name that was said makes a header");
        let damaged = read("old.log", "body,topic\na,b\na,b,c\n", &named, &training).unwrap_err();
        assert!(matches!(damaged, DataError::RaggedRow { .. }), "{damaged}");
    }

    #[test]
    fn what_is_kept_lies_at_even_distances() {
        assert_eq!(spread(&[1, 2, 3], 5), [1, 2, 3]);
        assert_eq!(spread(&(0..10).collect::<Vec<_>>(), 5), [0, 2, 4, 6, 8]);
        assert!(spread::<u32>(&[], 5).is_empty());
    }
}
