//! Reading hostile JSON objects member by member.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

/// The members of one JSON object that its reader knows, as they stand in the text.
///
/// Unknown members are skipped unread. Values stay raw, so that a reader can say which member is
/// wrong without repeating what is in it.
pub(crate) struct Members<'a> {
    known: Vec<(&'static str, &'a RawValue)>,
}

/// Why a text is not one JSON object with each known member at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectError {
    /// Not JSON, or JSON but not an object.
    NotAnObject {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in bytes, from 1; 0 before the first.
        column: usize,
    },
    /// A known member stands in the object twice.
    Duplicate(&'static str),
}

/// The value of a member is not a string of Unicode scalar values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAString;

impl<'a> Members<'a> {
    /// Reads the members called `names` from `text`, which is one object and nothing else.
    pub(crate) fn parse(
        text: &'a str,
        names: &'static [&'static str],
    ) -> Result<Self, ObjectError> {
        let mut members = MembersVisitor {
            names,
            known: Vec::with_capacity(names.len()),
            twice: None,
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        reader
            .deserialize_map(&mut members)
            .and_then(|()| reader.end())
            .map_err(|error| ObjectError::NotAnObject {
                line: error.line(),
                column: error.column(),
            })?;
        match members.twice {
            Some(name) => Err(ObjectError::Duplicate(name)),
            None => Ok(Self {
                known: members.known,
            }),
        }
    }

    /// The member as it stands in the text, `null` included.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.known
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// The member as a string; none when it is absent.
    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, NotAString> {
        self.raw(name).map(string).transpose()
    }
}

/// Reads a JSON string; one with a lone surrogate escape is refused.
pub(crate) fn string(value: &RawValue) -> Result<String, NotAString> {
    serde_json::from_str(value.get()).map_err(|_| NotAString)
}

/// Whether every part of a JSON text has a value: no lone surrogate escape, no number beyond
/// double precision's range, no nesting deeper than 127 levels.
pub(crate) fn has_value(text: &RawValue) -> bool {
    serde_json::from_str::<Value>(text.get()).is_ok()
}

struct MembersVisitor<'a> {
    names: &'static [&'static str],
    known: Vec<(&'static str, &'a RawValue)>,
    twice: Option<&'static str>,
}

impl<'a> Visitor<'a> for &mut MembersVisitor<'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(KnownName(self.names))? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if self.known.iter().any(|(known, _)| *known == name) {
                self.twice = Some(name);
            }
            self.known.push((name, map.next_value()?));
        }
        Ok(())
    }
}

/// Reads a member's name as one of the known ones, or as none.
#[derive(Clone, Copy)]
struct KnownName(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for KnownName {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for KnownName {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| *known == name))
    }
}
