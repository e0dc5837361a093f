//! A recipe: what was said about a run, on the command line and in a TOML file, and where.
//!
//! Nothing here has a default; [`crate::plan::resolve`] turns a recipe into a plan. The options are listed once, in
//! [`crate::plan::fields`]; recipe, plan, flags and help all come from that list.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table as TomlTable, TableLike, Value};

use crate::plan::error::{PlanError, nearest};
pub use crate::plan::fields::{FIELDS, Field, Recipe, Table};

/// A value, and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<T> {
    /// The value.
    pub value: T,
    /// Where it was said.
    pub place: Place,
}

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line.
    Flag {
        /// The flag, with its dashes, or the argument's name.
        name: String,
    },
    /// Nowhere: it was measured before the run.
    Advice {
        /// What was measured.
        measurement: String,
    },
    /// In a recipe file.
    Recipe {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl Place {
    /// The place and, in a file, the key.
    pub(crate) fn of(&self, key: &str) -> String {
        match self {
            Self::Flag { name } => name.clone(),
            Self::Advice { .. } => format!("advice: {key}"),
            Self::Recipe { .. } => format!("{self}: {key}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name } => f.write_str(name),
            Self::Advice { measurement } => f.write_str(measurement),
            Self::Recipe { path, line } => write!(f, "{}: line {line}", path.display()),
        }
    }
}

/// The facts that a plan pins: `[facts]` of a recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pins {
    /// The TOML text of each pinned fact.
    pub(crate) values: BTreeMap<String, Said<String>>,
}

/// The table of pinned facts.
pub(crate) const FACTS: &str = "facts";

/// What recipes of every kind of run have in common.
pub trait Options: Default {
    /// Every option.
    const FIELDS: &'static [Field];
    /// Every fact that a plan pins, and the option whose value it describes.
    const PINNED: &'static [(&'static str, &'static str)];

    /// Says the value of an option.
    ///
    /// # Errors
    /// When there is no such option, it was said before, or the value is not of its type.
    fn set(&mut self, key: &str, written: Written<'_>, place: Place) -> Result<(), PlanError>;

    /// Whether the option of this key was said.
    fn said(&self, key: &str) -> bool;

    /// The path, or the name of a model, that the option of this key says.
    fn path(&self, key: &str) -> Option<PathBuf>;

    /// This recipe with what `flags` say of where files lie. Pinned facts stay: a file that lies elsewhere has the same hash.
    fn relocated_by(self, flags: Self) -> Self {
        self.merge(flags, &mut Vec::new())
    }

    /// Takes what `over` says in place of what is said here, and notes the options whose value changed.
    fn merge(self, over: Self, changed: &mut Vec<&'static str>) -> Self;

    /// The facts that a plan pins.
    fn pins(&mut self) -> &mut Pins;

    /// Reads a recipe file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a recipe.
    fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlanError::Unreadable { path: path.to_path_buf(), source })?;
        Self::from_toml(&text, path)
    }

    /// Reads the text of a recipe; `path` is for errors.
    ///
    /// # Errors
    /// When it is not TOML, has a table or a key that there is not, says something twice, or has a value of another
    /// type. Each error names the line.
    fn from_toml(text: &str, path: &Path) -> Result<Self, PlanError> {
        let source = Source { path, text };
        let document = Document::parse(text).map_err(|error| PlanError::Syntax {
            path: path.to_path_buf(),
            line: source.line(error.span().map(|span| span.start)),
            message: error.message().lines().collect::<Vec<_>>().join("; "),
        })?;
        let mut recipe = Self::default();
        for (name, item) in document.as_table().iter() {
            let place = source.place(document.as_table(), name);
            match (Table::find(name), item.as_table_like()) {
                (Some(table), Some(content)) => source.fill(&mut recipe, table, content)?,
                (None, Some(content)) if name == FACTS => source.pin(&mut recipe, content)?,
                _ => return Err(source.unknown_table::<Self>(name, place)),
            }
        }
        Ok(recipe)
    }

    /// Says the value of an option as a flag does.
    ///
    /// # Errors
    /// When there is no such option, or the text is not a value of its type.
    fn say(&mut self, key: &str, text: &str, flag: &str) -> Result<(), PlanError> {
        self.set(key, Written::Text(text), Place::Flag { name: flag.to_string() })
    }

    /// Says the value of an option because of what was measured.
    ///
    /// # Errors
    /// As [`Options::say`].
    fn advise(&mut self, key: &str, value: &Value, measurement: &str) -> Result<(), PlanError> {
        self.set(key, Written::Toml(value), Place::Advice { measurement: measurement.to_string() })
    }

    /// This recipe with what `flags` say in place of its own. A pinned fact is dropped when flags say another value for
    /// the option it describes: another file has another hash.
    fn overridden_by(self, flags: Self) -> Self {
        let mut changed = Vec::new();
        let mut merged = self.merge(flags, &mut changed);
        merged.pins().values.retain(|name, _| {
            let describes = Self::PINNED.iter().find(|(pin, _)| pin == name).map(|(_, key)| *key);
            !changed.iter().any(|key| Some(*key) == describes)
        });
        merged
    }
}

/// A value as it was written.
pub enum Written<'a> {
    /// On the command line.
    Text(&'a str),
    /// In TOML.
    Toml(&'a Value),
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Toml(value) => f.write_str(value.to_string().trim()),
        }
    }
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn fill<R: Options>(&self, recipe: &mut R, table: Table, content: &dyn TableLike) -> Result<(), PlanError> {
        for (name, item) in content.iter() {
            let place = self.place_in(content, name);
            let Some(field) = Field::find_in(R::FIELDS, name) else {
                return Err(PlanError::unknown_key(name, table, place, R::FIELDS));
            };
            if field.table != table {
                let (expected, found) = (field.table, table);
                return Err(PlanError::WrongTable { place, key: name.to_string(), expected, found });
            }
            let value = item.clone().into_value();
            let Ok(value) = value else {
                let found = "an array of tables".to_string();
                return Err(PlanError::Invalid { place: place.of(field.key), expected: field.expected.into(), found });
            };
            recipe.set(field.key, Written::Toml(&value), place)?;
        }
        Ok(())
    }

    fn pin<R: Options>(&self, recipe: &mut R, content: &dyn TableLike) -> Result<(), PlanError> {
        for (name, item) in content.iter() {
            let place = self.place_in(content, name);
            let value = item.as_value();
            let (Some(value), true) = (value, R::PINNED.iter().any(|(pin, _)| *pin == name)) else {
                let nearest = nearest(name, R::PINNED.iter().map(|(pin, _)| *pin));
                return Err(PlanError::UnknownFact { place, found: name.to_string(), nearest });
            };
            let text = value.clone().decorated("", "").to_string();
            recipe.pins().values.insert(name.to_string(), Said { value: text, place });
        }
        Ok(())
    }

    fn unknown_table<R: Options>(&self, name: &str, place: Place) -> PlanError {
        match Field::find_in(R::FIELDS, name) {
            Some(field) => PlanError::Untabled { place, key: name.to_string(), expected: field.table },
            None => {
                let has_options = |table: &Table| R::FIELDS.iter().any(|field| field.table == *table);
                let tables = Table::ALL.into_iter().filter(has_options).collect();
                PlanError::UnknownTable { place, found: name.to_string(), tables }
            }
        }
    }

    fn place(&self, table: &TomlTable, name: &str) -> Place {
        self.place_in(table, name)
    }

    fn place_in(&self, table: &dyn TableLike, name: &str) -> Place {
        let entry = table.get_key_value(name);
        let span = entry.and_then(|(key, item): (_, &Item)| key.span().or_else(|| item.span()));
        Place::Recipe { path: self.path.to_path_buf(), line: self.line(span.map(|span| span.start)) }
    }

    fn line(&self, offset: Option<usize>) -> usize {
        let before = self.text.get(..offset.unwrap_or(0)).unwrap_or(self.text);
        1 + before.matches('\n').count()
    }
}
