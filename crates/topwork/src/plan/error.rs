//! What can be wrong with what was said about a run.

use std::io;
use std::path::PathBuf;

use crate::plan::fields::{Field, Table, flag};
use crate::plan::recipe::{FACTS, Place};

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
    #[error("{place}: expected one of the tables {}, found `{found}`", listed(tables))]
    UnknownTable {
        /// Where.
        place: Place,
        /// Its name.
        found: String,
        /// The tables there are.
        tables: Vec<Table>,
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
        nearest: Option<&'static Field>,
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
        /// The fact that was probably meant.
        nearest: Option<&'static str>,
    },
    /// An option was named that there is not.
    #[error("expected an option, found `{key}`")]
    UnknownOption {
        /// Its name.
        key: String,
        /// The option that was probably meant.
        nearest: Option<&'static Field>,
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
        /// The option whose value it describes; empty when it describes none.
        describes: &'static str,
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
    pub(crate) fn unknown_key(found: &str, table: Table, place: Place, fields: &'static [Field]) -> Self {
        Self::UnknownKey { place, table, found: found.to_string(), nearest: nearest_field(found, fields) }
    }

    pub(crate) fn unknown_option(key: &str, fields: &'static [Field]) -> Self {
        Self::UnknownOption { key: key.to_string(), nearest: nearest_field(key, fields) }
    }

    /// What to do about it, in words or as something that works when pasted.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { path, .. } => Some(format!("ls -l '{}'", path.display())),
            Self::Syntax { .. } => Some("a line is `key = value`; strings stand in double quotes".into()),
            Self::UnknownTable { found, tables, .. } => {
                let names = tables.iter().map(|table| table.name());
                Some(match nearest(found, names.chain([FACTS])) {
                    Some(name) => format!("did you mean [{name}]"),
                    None => format!("options stand in {}", listed(tables)),
                })
            }
            Self::UnknownKey { nearest: Some(field), .. } => {
                Some(format!("did you mean `{}`, in [{}]", field.key, field.table.name()))
            }
            Self::UnknownKey { nearest: None, .. } => Some("the command's --help lists every option".into()),
            Self::WrongTable { expected, .. } | Self::Untabled { expected, .. } => {
                Some(format!("move the line below [{}]", expected.name()))
            }
            Self::UnknownFact { nearest, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`"),
                None => format!("remove the line: [{FACTS}] is written by topwork"),
            }),
            Self::UnknownOption { nearest, .. } => nearest.map(|field| format!("did you mean {}", field.flag())),
            Self::Twice { .. } => Some("remove one of them".into()),
            Self::Missing { key } => Some(missing_hint(key)),
            Self::Contradiction { hint, .. } => Some(hint.clone()),
            Self::FactChanged { describes, .. } => Some(changed_hint(describes)),
            Self::Invalid { .. } | Self::Policy { .. } => {
                Some("the command's --help says what each option takes".into())
            }
        }
    }
}

fn listed(tables: &[Table]) -> String {
    tables.iter().map(|table| format!("[{}]", table.name())).collect::<Vec<_>>().join(", ")
}

fn missing_hint(key: &str) -> String {
    match key {
        "train_file" => "topwork tune train.csv".into(),
        "model_name_or_path" => "--model DIRECTORY, or a hub id: --model sentence-transformers/all-MiniLM-L6-v2".into(),
        other => format!("{} VALUE", flag(other)),
    }
}

fn changed_hint(describes: &str) -> String {
    match describes {
        "" => format!("remove [{FACTS}] from the recipe to run on what is there"),
        key => format!(
            "restore what {key} named, or name the new one with {}, or remove [{FACTS}] from the recipe to run on what is there",
            flag(key)
        ),
    }
}

/// The option that somebody who mistyped probably meant.
fn nearest_field(name: &str, fields: &'static [Field]) -> Option<&'static Field> {
    let names = fields.iter().flat_map(|field| field.aliases.iter().copied().chain([field.key]));
    let near = nearest(&name.to_lowercase().replace('-', "_"), names)?;
    Field::find_in(fields, near)
}

/// The candidate at the smallest edit distance, if that is at most a third of the name; the first among equals.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &'a str| (strsim::damerau_levenshtein(name, candidate), candidate);
    let near = |(distance, candidate): &(usize, &str)| 3 * distance <= name.len().max(candidate.len());
    candidates.into_iter().map(distance).filter(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}
