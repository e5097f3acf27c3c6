//! What was read of the arguments, before anything of Cedar's is made of it.

use super::decimal;
use cedar_policy_core::ast::Value;
use std::borrow::Cow;

/// One argument, exactly as its declared type has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Datum<'a> {
    /// It is there; nobody asks for more.
    Present,
    Boolean(bool),
    Long(i64),
    /// In ten-thousandths.
    Decimal(i64),
    Text(Cow<'a, str>),
    Set(Vec<Datum<'a>>),
    Record(Record<'a>),
}

/// Attributes by name, in the order they came; no name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record<'a>(pub(crate) Vec<(&'a str, Datum<'a>)>);

impl<'a> Record<'a> {
    /// The attribute of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Datum<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, datum)| datum)
    }

    /// The same as Cedar has it; nothing if Cedar refuses one of its values.
    pub(super) fn value(&self) -> Option<Value> {
        let fields: Option<Vec<(&str, Value)>> =
            self.0.iter().map(|(name, datum)| Some((*name, datum.value()?))).collect();
        fields.map(super::record)
    }
}

impl Datum<'_> {
    fn value(&self) -> Option<Value> {
        Some(match self {
            Self::Present => Value::from(true),
            Self::Boolean(value) => Value::from(*value),
            Self::Long(value) => Value::from(*value),
            Self::Decimal(ten_thousandths) => decimal(*ten_thousandths)?,
            Self::Text(text) => Value::from(text.as_ref()),
            Self::Set(items) => {
                let items: Option<Vec<Value>> = items.iter().map(Self::value).collect();
                Value::set(items?, None)
            }
            Self::Record(record) => record.value()?,
        })
    }
}
