//! What can be wrong with what was said about a run.

use std::io;
use std::path::PathBuf;

use crate::fields::{FIELDS, Field, Table};
use crate::recipe::{FACTS, PINNED, Place};

/// Why what was said makes no plan. [`PlanError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A recipe cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The recipe.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A recipe is not TOML.
    #[error("{}: line {line}: expected TOML, found an error: {message}", path.display())]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// A recipe has a table that there is not.
    #[error("{place}: expected one of the tables {}, found `{found}`", tables())]
    UnknownTable {
        /// Where.
        place: Place,
        /// Its name.
        found: String,
    },
    /// A recipe has a key that there is not.
    #[error("{place}: expected a key of [{}], found `{found}`", table.name())]
    UnknownKey {
        /// Where.
        place: Place,
        /// The table it stands in.
        table: Table,
        /// The key.
        found: String,
        /// The option that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A key stands in another table than its own.
    #[error("{place}: expected `{key}` in [{}], found it in [{}]", expected.name(), found.name())]
    WrongTable {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Its table.
        expected: Table,
        /// Where it stands.
        found: Table,
    },
    /// A key stands above all tables.
    #[error("{place}: expected `{key}` in [{}], found it outside of all tables", expected.name())]
    Untabled {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// Its table.
        expected: Table,
    },
    /// `[facts]` has a key that there is not.
    #[error("{place}: expected a fact that a plan pins, found `{found}`")]
    UnknownFact {
        /// Where.
        place: Place,
        /// The key.
        found: String,
    },
    /// An option was named that there is not.
    #[error("expected an option, found `{key}`")]
    UnknownOption {
        /// Its name.
        key: String,
    },
    /// An option was said twice, perhaps under two names.
    #[error("{place}: expected {key} once, found it again: it stands in {first} already")]
    Twice {
        /// Where.
        place: Place,
        /// The option.
        key: &'static str,
        /// Where it was said first.
        first: Place,
    },
    /// A value is not of the right type or not in its range.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// The flag, or the file, the line and the key.
        place: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something that has no default was not said.
    #[error("expected {}, found nothing", flag(key))]
    Missing {
        /// The option.
        key: &'static str,
    },
    /// Two things were said that cannot both be done.
    #[error("{first} and {second}: {reason}")]
    Contradiction {
        /// One, and where it was said.
        first: String,
        /// The other.
        second: String,
        /// Why not both.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// The recipe pins a fact, and it is another one now.
    #[error("{place}: {fact}: expected {expected}, as when this plan was made, found {found}")]
    FactChanged {
        /// Where it is pinned.
        place: Place,
        /// The fact.
        fact: String,
        /// What the recipe says.
        expected: String,
        /// What is found.
        found: String,
    },
    /// A rule for parameters cannot be applied to the model.
    #[error("{message}")]
    Policy {
        /// The rule, and what is wrong.
        message: String,
    },
}

impl PlanError {
    pub(crate) fn unknown_key(found: &str, table: Table, place: Place) -> Self {
        Self::UnknownKey { place, table, found: found.to_string(), nearest: nearest_key(found) }
    }

    /// What to do about it, in words or as something that works when pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { path, .. } => Some(format!("ls -l '{}'", path.display())),
            Self::Syntax { .. } => Some("a line is `key = value`; strings stand in double quotes".into()),
            Self::UnknownTable { found, .. } => {
                let names = Table::ALL.map(Table::name);
                Some(match nearest(found, names.into_iter().chain([FACTS])) {
                    Some(name) => format!("did you mean [{name}]"),
                    None => format!("options stand in {}", tables()),
                })
            }
            Self::UnknownKey { nearest: Some(key), .. } => {
                let table = Field::find(key).map_or("", |field| field.table.name());
                Some(format!("did you mean `{key}`, in [{table}]"))
            }
            Self::UnknownKey { nearest: None, .. } => Some("topwork tune --help lists every option".into()),
            Self::WrongTable { expected, .. } | Self::Untabled { expected, .. } => {
                Some(format!("move the line below [{}]", expected.name()))
            }
            Self::UnknownFact { found, .. } => Some(match nearest(found, PINNED.iter().map(|(pin, _)| *pin)) {
                Some(name) => format!("did you mean `{name}`"),
                None => format!("remove the line: [{FACTS}] is written by topwork"),
            }),
            Self::UnknownOption { key } => nearest_key(key).map(|key| format!("did you mean {}", flag(key))),
            Self::Twice { .. } => Some("remove one of them".into()),
            Self::Missing { key } => Some(missing_hint(key)),
            Self::Contradiction { hint, .. } => Some(hint.clone()),
            Self::FactChanged { fact, .. } => Some(changed_hint(fact)),
            Self::Invalid { .. } | Self::Policy { .. } => {
                Some("topwork tune --help says what each option takes".into())
            }
        }
    }
}

fn tables() -> String {
    Table::ALL.map(|table| format!("[{}]", table.name())).join(", ")
}

fn flag(key: &str) -> String {
    Field::find(key).map_or_else(|| key.to_string(), Field::flag)
}

fn missing_hint(key: &str) -> String {
    match key {
        "train_file" => "topwork tune train.csv".into(),
        "model_name_or_path" => "--model DIRECTORY, or a hub id: --model sentence-transformers/all-MiniLM-L6-v2".into(),
        "output_dir" => "--output out".into(),
        other => format!("{} VALUE", flag(other)),
    }
}

fn changed_hint(fact: &str) -> String {
    match PINNED.iter().find(|(pin, _)| *pin == fact) {
        Some((_, key)) if !key.is_empty() => format!(
            "restore what {key} named, or name the new one with {}, or remove [{FACTS}] from the recipe to run on what is there",
            flag(key)
        ),
        _ => format!("remove [{FACTS}] from the recipe to run on what is there"),
    }
}

/// The option that somebody who mistyped probably meant.
pub(crate) fn nearest_key(name: &str) -> Option<&'static str> {
    let names = FIELDS.iter().flat_map(|field| field.aliases.iter().copied().chain([field.key]));
    nearest(&name.to_lowercase().replace('-', "_"), names).and_then(Field::find).map(|field| field.key)
}

/// The candidate at the smallest edit distance, if that is at most a third of the name; the first among equals.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &'a str| (strsim::damerau_levenshtein(name, candidate), candidate);
    let near = |(distance, candidate): &(usize, &str)| 3 * distance <= name.len().max(candidate.len());
    candidates.into_iter().map(distance).filter(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}
