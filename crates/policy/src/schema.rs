//! The types policies see: arguments as Cedar types, and the Cedar schema around them.
//!
//! A tool's `inputSchema` is JSON Schema; Cedar has booleans, 64-bit integers, decimals with four places, strings,
//! sets and records. What has no counterpart is left out and reported, so a policy cannot name it. The type only
//! says what a policy may read: the value itself is checked when it is read (`context`), so a type that is wider
//! or narrower than the JSON Schema never turns into a wrong decision.

mod cedar;
mod infer;
mod merge;
#[cfg(test)]
mod tests;

pub(crate) use cedar::{Declared, context_type, schema_json};
pub(crate) use infer::arguments_of;
pub(crate) use merge::escape;

use std::collections::BTreeMap;

/// The Cedar type of a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    /// `true`, `false`.
    Boolean,
    /// An integer within 64 bits.
    Long,
    /// A number with at most four decimals.
    Decimal,
    /// A string.
    Text,
    /// An array; order and repeats are lost.
    Set(Box<Type>),
    /// An object, as far as its properties are named.
    Record(Record),
}

/// Properties by name: any text.
pub(crate) type Record = BTreeMap<String, Field>;

/// One property.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    pub(crate) ty: Type,
    /// Whether the definition requires it.
    pub(crate) required: bool,
    /// Whether `null` is allowed; it then counts as absent.
    pub(crate) nullable: bool,
}

impl Field {
    /// Whether a policy may read it without `has`.
    pub(crate) fn always_there(&self) -> bool {
        self.required && !self.nullable
    }
}

/// What a definition says about its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The typed ones.
    pub(crate) record: Record,
    /// What was left out.
    pub(crate) gaps: Vec<Gap>,
}

impl Arguments {
    /// Of a schema that cannot be read at all, such as one nested deeper than the parser goes.
    pub(crate) fn unreadable() -> Self {
        let gap = Gap { pointer: String::new(), reason: "the schema cannot be read".to_owned() };
        Self { record: Record::new(), gaps: vec![gap] }
    }
}

/// A part of a definition that no policy can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// JSON pointer into the definition.
    pub(crate) pointer: String,
    /// Why, lower case.
    pub(crate) reason: String,
}
