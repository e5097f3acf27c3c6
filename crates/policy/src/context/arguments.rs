//! One pass over the argument bytes that keeps what is wanted and skips the rest.
//!
//! The bytes were checked by `protocol::decode` before; this reader trusts none of that.

use super::datum::{Datum, Record};
use super::{Kind, Unrepresentable, Want};
use crate::number;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

type Fields = [(Box<str>, Want)];

/// The record of `fields` in the object `bytes`.
pub(super) fn read<'a>(bytes: &'a [u8], fields: &'a Fields) -> Result<Record<'a>, Unrepresentable> {
    let mut trail = Trail { reason: None, path: Vec::new() };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let result = Object { fields, trail: &mut trail }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    result.map_err(|_| {
        trail.path.reverse();
        let pointer = trail.path.iter().flat_map(|step| ["/", step]).collect();
        Unrepresentable { pointer, reason: trail.reason.unwrap_or("not a JSON object") }
    })
}

/// Why and where reading stopped; the path grows from the inside out.
struct Trail {
    reason: Option<&'static str>,
    path: Vec<String>,
}

impl Trail {
    fn stop<E: Error>(&mut self, reason: &'static str) -> E {
        self.reason.get_or_insert(reason);
        E::custom(reason)
    }
}

/// One wanted value; `None` stands for an allowed `null`.
struct One<'f, 't> {
    want: &'f Want,
    trail: &'t mut Trail,
}

impl<'de, 'f: 'de> DeserializeSeed<'de> for One<'f, '_> {
    type Value = Option<Datum<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let Self { want, trail } = self;
        match &want.kind {
            Kind::Long | Kind::Decimal => {
                let raw: &RawValue = serde::Deserialize::deserialize(deserializer)?;
                let text = raw.get();
                if text == "null" && want.nullable {
                    return Ok(None);
                }
                let datum = match want.kind {
                    Kind::Decimal => number::decimal(text).map(Datum::Decimal),
                    _ => number::long(text).map(Datum::Long),
                };
                datum.map(Some).ok_or_else(|| trail.stop(want.kind.expected()))
            }
            Kind::Presence | Kind::Boolean | Kind::Text | Kind::Set(_) | Kind::Record(_) => {
                let expected = want.kind.expected();
                let result = deserializer.deserialize_any(Typed { want, trail: &mut *trail });
                result.inspect_err(|_| {
                    trail.reason.get_or_insert(expected);
                })
            }
        }
    }
}

impl Kind {
    fn expected(&self) -> &'static str {
        match self {
            Self::Presence => "not a value",
            Self::Boolean => "not true or false",
            Self::Long => "not an integer within 64 bits",
            Self::Decimal => "not a number with at most four decimals",
            Self::Text => "not a string",
            Self::Set(_) => "not an array",
            Self::Record(_) => "not an object",
        }
    }
}

struct Typed<'f, 't> {
    want: &'f Want,
    trail: &'t mut Trail,
}

impl Typed<'_, '_> {
    fn present<'de, E: Error>(self) -> Result<Option<Datum<'de>>, E> {
        match self.want.kind {
            // Only `has` looks at it.
            Kind::Presence => Ok(Some(Datum::Present)),
            _ => Err(self.trail.stop(self.want.kind.expected())),
        }
    }
}

impl<'de, 'f: 'de> Visitor<'de> for Typed<'f, '_> {
    type Value = Option<Datum<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the declared type")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if self.want.nullable { Ok(None) } else { Err(self.trail.stop("null is not allowed here")) }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        if self.want.kind == Kind::Boolean { Ok(Some(Datum::Boolean(value))) } else { self.present() }
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        if self.want.kind == Kind::Text {
            Ok(Some(Datum::Text(Cow::Borrowed(value))))
        } else {
            self.present()
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let owned = || Datum::Text(Cow::Owned(value.to_owned()));
        if self.want.kind == Kind::Text { Ok(Some(owned())) } else { self.present() }
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.present()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.present()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.present()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Kind::Set(element) = &self.want.kind else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return self.present();
        };
        let mut values = Vec::new();
        loop {
            match items.next_element_seed(One { want: element, trail: &mut *self.trail }) {
                Ok(Some(value)) => values.extend(value),
                Ok(None) => return Ok(Some(Datum::Set(values))),
                Err(error) => {
                    self.trail.path.push(values.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        if let Kind::Record(fields) = &self.want.kind {
            let inner = Object { fields, trail: self.trail }.visit_map(members);
            return inner.map(|record| Some(Datum::Record(record)));
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.present()
    }
}

struct Object<'f, 't> {
    fields: &'f Fields,
    trail: &'t mut Trail,
}

impl<'de, 'f: 'de> DeserializeSeed<'de> for Object<'f, '_> {
    type Value = Record<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, 'f: 'de> Visitor<'de> for Object<'f, '_> {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found: Vec<(&str, Datum<'de>)> = Vec::with_capacity(self.fields.len());
        // `null` counts as absent, and a second member of that name is still a repeat.
        let mut absent: Vec<&str> = Vec::new();
        while let Some(field) = members.next_key_seed(Key { fields: self.fields })? {
            let Some((name, want)) = field else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let name: &str = name;
            if found.iter().any(|(seen, _)| *seen == name) || absent.contains(&name) {
                self.trail.path.push(step(name));
                return Err(self.trail.stop("a repeated name"));
            }
            match members.next_value_seed(One { want, trail: &mut *self.trail }) {
                Ok(Some(value)) => found.push((name, value)),
                Ok(None) => absent.push(name),
                Err(error) => {
                    self.trail.path.push(step(name));
                    return Err(error);
                }
            }
        }
        Ok(Record(found))
    }
}

fn step(name: &str) -> String {
    crate::schema::escape(name)
}

/// Finds the wanted field of a member's name.
struct Key<'a> {
    fields: &'a Fields,
}

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a (Box<str>, Want)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a (Box<str>, Want)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        // Fields are sorted by name: they come from an ordered map.
        let at = self.fields.binary_search_by(|(field, _)| field.as_ref().cmp(name));
        Ok(at.ok().and_then(|at| self.fields.get(at)))
    }
}
