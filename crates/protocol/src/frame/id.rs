//! Ids of requests; progress tokens and subscription ids have the same form.

use crate::raw::{Kind, Raw, write_string};
use std::sync::Arc;

/// A request's id: a string, or an integer of 64 bits. Never null, never a fraction.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// A string.
    Text(Arc<str>),
}

impl Id {
    /// Reads one.
    pub fn of(raw: &Raw) -> Option<Self> {
        match raw.kind() {
            Kind::Number => raw.to_i64().map(Self::Number),
            Kind::String => raw.to_str().map(|text| Self::Text(text.as_ref().into())),
            Kind::Object | Kind::Array | Kind::Bool | Kind::Null => None,
        }
    }

    /// Appends its JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Self::Text(text) => write_string(text, out),
        }
    }

    /// Its JSON.
    pub fn to_raw(&self) -> Raw {
        match self {
            Self::Number(number) => Raw::of_i64(*number),
            Self::Text(text) => Raw::of_str(text),
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
