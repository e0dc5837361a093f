//! The fields of objects: which there are, and what stands in those that are wanted. The others are passed over.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::broken::{as_error, mended};
use super::{Slice, kind};
use crate::error::DataError;
use crate::records::Cell;

/// Objects within objects are followed this deep.
const DEEPEST: usize = 4;

/// The fields of some objects, in the order in which they were seen first.
#[derive(Default)]
pub(super) struct Found {
    places: HashMap<String, usize>,
    names: Vec<String>,
    /// What stands in each, as the first value says that is neither null nor an object.
    kinds: Vec<Seen>,
}

impl Found {
    /// Looks at objects, each on its line.
    pub(super) fn scan(path: &Path, rows: &[Slice<'_>]) -> Result<Found, DataError> {
        let mut found = Found::default();
        for (line, text) in rows {
            parsed(path, *line, text, |text| {
                let mut reader = serde_json::Deserializer::from_str(text);
                let is_object = Names { found: &mut found, prefix: "", depth: 0 }.deserialize(&mut reader)?;
                reader.end().map(|()| is_object)
            })?;
        }
        Ok(found)
    }

    /// Adds what was found in later rows.
    pub(super) fn merge(&mut self, later: Found) {
        for (name, kind) in later.names.into_iter().zip(later.kinds) {
            let place = self.place(&name);
            self.note(place, kind);
        }
    }

    /// The names, and which of them are of lists. An object whose fields have names is no column itself.
    pub(super) fn columns(self) -> (Vec<String>, Vec<bool>) {
        let columns = self.names.into_iter().zip(self.kinds).filter(|(_, kind)| *kind != Seen::Object);
        columns.map(|(name, kind)| (name, kind == Seen::List)).unzip()
    }

    fn note(&mut self, place: usize, kind: Seen) {
        let known = &mut self.kinds[place];
        if matches!((*known, kind), (Seen::Null, _) | (Seen::Object, Seen::Scalar | Seen::List)) {
            *known = kind;
        }
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.kinds.push(Seen::Null);
        self.names.len() - 1
    }
}

/// Whether `read` says that `text`, or `text` mended, is an object; else an error.
fn parsed(
    path: &Path,
    line: usize,
    text: &str,
    mut read: impl FnMut(&str) -> serde_json::Result<bool>,
) -> Result<(), DataError> {
    let is_object = match read(text) {
        Ok(is_object) => is_object,
        Err(error) => match mended(text).map(|mended| read(&mended)) {
            Some(Ok(is_object)) => is_object,
            _ => return Err(as_error(path, line, text, &error)),
        },
    };
    if is_object {
        return Ok(());
    }
    let found = serde_json::from_str(text).map_or("another value", |value| kind(&value));
    Err(DataError::NotAnObject { path: path.into(), line, found })
}

/// Notes the names of an object's fields; false where it is no object.
struct Names<'f> {
    found: &'f mut Found,
    prefix: &'f str,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The visitors pass over every value that is neither an object nor a list.
macro_rules! passes_over_scalars {
    ($value:expr) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a value of JSON")
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = bool;

    passes_over_scalars!(false);

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        while let Some(place) = fields.next_key_seed(Place { found: self.found, prefix: self.prefix })? {
            let kind = fields.next_value_seed(Kind { found: self.found, place, depth: self.depth })?;
            self.found.note(place, kind);
        }
        Ok(true)
    }
}

/// The place of a field, whose name stands behind that of the object it is in.
struct Place<'f> {
    found: &'f mut Found,
    prefix: &'f str,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(if self.prefix.is_empty() {
            self.found.place(name)
        } else {
            self.found.place(&format!("{}.{name}", self.prefix))
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Null,
    Scalar,
    List,
    /// One with fields, which were noted.
    Object,
}

/// Notes the names within a value.
struct Kind<'f> {
    found: &'f mut Found,
    place: usize,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Kind<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kind<'_> {
    type Value = Seen;

    passes_over_scalars!(Seen::Scalar);

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seen, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Seen::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Seen, A::Error> {
        if self.depth + 1 < DEEPEST {
            let prefix = self.found.names[self.place].clone();
            Names { found: self.found, prefix: &prefix, depth: self.depth + 1 }.visit_map(fields)?;
            return Ok(Seen::Object);
        }
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Seen::Scalar)
    }
}

/// The fields that are read.
pub(super) struct Wanted<'w> {
    names: &'w [&'w str],
}

impl<'w> Wanted<'w> {
    pub(super) fn new(names: &'w [&'w str]) -> Self {
        Wanted { names }
    }

    /// What the object `text` has in the wanted fields.
    pub(super) fn cells(&self, path: &Path, line: usize, text: &str) -> Result<Vec<Cell>, DataError> {
        let mut cells = Vec::new();
        let mut repeated = None;
        parsed(path, line, text, |text| {
            (cells, repeated) = (vec![None; self.names.len()], None);
            let mut reader = serde_json::Deserializer::from_str(text);
            let fill = Fill { names: self.names, prefix: "", cells: &mut cells, repeated: &mut repeated };
            fill.deserialize(&mut reader).map(|()| true)
        })?;
        match repeated {
            None => Ok(cells),
            Some(place) => {
                let column = self.names[place].to_owned();
                Err(DataError::RepeatedField { path: path.into(), line, column })
            }
        }
    }
}

/// Puts the values of the wanted fields in their places.
struct Fill<'f> {
    names: &'f [&'f str],
    prefix: &'f str,
    cells: &'f mut [Cell],
    /// A field that an object has twice, with two values.
    repeated: &'f mut Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    passes_over_scalars!(());

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key_seed(Match { names: self.names, prefix: self.prefix })? {
            match field {
                Field::Wanted(place) => {
                    let value: Value = fields.next_value()?;
                    if self.cells[place].as_ref().is_some_and(|earlier| *earlier != value) {
                        self.repeated.get_or_insert(place);
                    }
                    self.cells[place] = Some(value);
                }
                Field::Leads(prefix) => fields.next_value_seed(Fill {
                    names: self.names,
                    prefix: &prefix,
                    cells: self.cells,
                    repeated: self.repeated,
                })?,
                Field::Other => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

enum Field {
    Wanted(usize),
    /// A wanted field stands within it.
    Leads(String),
    Other,
}

struct Match<'f> {
    names: &'f [&'f str],
    prefix: &'f str,
}

impl<'de> DeserializeSeed<'de> for Match<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Match<'_> {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        let behind = |wanted: &'_ str| -> Option<usize> {
            let rest = match self.prefix {
                "" => wanted,
                prefix => wanted.strip_prefix(prefix)?.strip_prefix('.')?,
            };
            rest.starts_with(name).then_some(wanted.len() - rest.len() + name.len())
        };
        let mut leads = None;
        for (place, wanted) in self.names.iter().enumerate() {
            match behind(wanted) {
                Some(end) if end == wanted.len() => return Ok(Field::Wanted(place)),
                Some(end) if wanted[end..].starts_with('.') => leads = leads.or(Some(wanted[..end].to_owned())),
                _ => {}
            }
        }
        Ok(leads.map_or(Field::Other, Field::Leads))
    }
}
