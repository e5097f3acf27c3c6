//! The Cedar context of one call: built from the argument bytes and the facts of the moment, and only as far as
//! the policies at hand read it.
//!
//! INVARIANT: an attribute is in the context with exactly the value of its declared type, or absent, or the
//! call is denied ([`Unrepresentable`]). Nothing is rounded, coerced or guessed.

mod arguments;
mod datum;
#[cfg(test)]
mod tests;

pub(crate) use datum::{Datum, Record as Arguments};

use crate::condition::Reads;
use crate::constants::Constants;
use crate::environment::Clockwork;
use crate::number::decimal_text;
use crate::schema::{Record, Type};
use crate::subject::Subject;
use crate::{Environment, Zone};
use cedar_policy::RestrictedExpression;
use cedar_policy_core::ast::{Context, Value, ValueKind};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;
use std::net::IpAddr;

/// What to put into the context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    args: Option<Vec<(Box<str>, Want)>>,
    time: Option<Vec<TimeField>>,
    network: bool,
    plan: bool,
    conversation: bool,
    granted: bool,
    /// Constants of the conditions.
    constants: Constants,
}

/// What to read of one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Want {
    kind: Kind,
    nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Only whether it is there.
    Presence,
    Boolean,
    Long,
    Decimal,
    Text,
    Set(Box<Want>),
    Record(Vec<(Box<str>, Want)>),
}

/// An address as Cedar sees it.
pub(crate) fn address(ip: IpAddr) -> Result<Value, Unrepresentable> {
    extension(RestrictedExpression::new_ip(ip.to_string()), "/network/ip")
}

/// An argument that a rule reads has no exact value of its declared type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unrepresentable {
    /// JSON pointer into the arguments.
    pub(crate) pointer: String,
    pub(crate) reason: &'static str,
}

impl Wanted {
    /// What `reads` needs of a call whose arguments have these types.
    pub(crate) fn of(reads: &Reads, arguments: &Record) -> Self {
        let has = |name: &str| reads.whole || reads.inner.contains_key(name);
        Self {
            args: match (reads.whole, reads.inner.get("args")) {
                (true, _) => Some(fields(&Reads { whole: true, ..Reads::default() }, arguments)),
                (false, Some(args)) => Some(fields(args, arguments)),
                (false, None) => None,
            },
            time: match (reads.whole, reads.inner.get("time")) {
                (true, _) => Some(TimeField::ALL.to_vec()),
                (false, Some(time)) if time.whole => Some(TimeField::ALL.to_vec()),
                (false, Some(time)) => Some(
                    TimeField::ALL
                        .into_iter()
                        .filter(|field| time.inner.contains_key(field.name()))
                        .collect(),
                ),
                (false, None) => None,
            },
            network: has("network"),
            plan: has("plan"),
            conversation: has("conversation"),
            granted: has("granted"),
            constants: Constants::default(),
        }
    }

    /// The same with constants on top.
    pub(crate) fn with(self, constants: Constants) -> Self {
        Self { constants, ..self }
    }

    /// Reads what is wanted of the arguments.
    pub(crate) fn read<'a>(&'a self, arguments: &'a [u8]) -> Result<Arguments<'a>, Unrepresentable> {
        match &self.args {
            // Nothing to read needs no parsing.
            Some(fields) if !fields.is_empty() => arguments::read(arguments, fields),
            _ => Ok(Arguments::default()),
        }
    }

    /// Builds the context around arguments that were read.
    pub(crate) fn context(
        &self,
        arguments: &Arguments<'_>,
        environment: &Environment<'_>,
        zone: &Zone,
        subject: &Subject,
    ) -> Result<Context, Unrepresentable> {
        let mut root: Vec<(&str, Value)> = Vec::with_capacity(8);
        root.extend(self.constants.iter());
        if self.args.is_some() {
            root.push(("args", arguments.value().ok_or_else(|| no_such_value("/args"))?));
        }
        if let Some(fields) = &self.time {
            let time = Clockwork::at(environment.now, zone);
            let mut values = Vec::with_capacity(fields.len());
            for field in fields {
                values.push((field.name(), time.value(*field)?));
            }
            root.push(("time", record(values)));
        }
        if self.network {
            root.push(("network", record([("ip", subject.address(environment.ip)?)])));
        }
        if self.plan {
            let mut plan = vec![("strategy", Value::from(environment.plan.strategy))];
            plan.extend(environment.plan.account.map(|account| ("account", Value::from(account))));
            plan.extend(environment.plan.audience.map(|audience| ("audience", Value::from(audience))));
            root.push(("plan", record(plan)));
        }
        if self.conversation {
            root.push(("conversation", record([("source", Value::from(environment.conversation_source))])));
        }
        if self.granted {
            let granted = environment.granted.iter().map(|name| Value::from(name.as_ref()));
            root.push(("granted", Value::set(granted, None)));
        }
        match record(root).value {
            ValueKind::Record(fields) => Ok(Context::Value(fields)),
            ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::ExtensionValue(_) => Ok(Context::empty()),
        }
    }
}

/// One attribute of `context.time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeField {
    Now,
    Hour,
    Minute,
    Weekday,
    Date,
    Zone,
}

impl TimeField {
    const ALL: [Self; 6] = [Self::Now, Self::Hour, Self::Minute, Self::Weekday, Self::Date, Self::Zone];

    fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Weekday => "weekday",
            Self::Date => "date",
            Self::Zone => "zone",
        }
    }
}

impl Clockwork<'_> {
    fn value(&self, field: TimeField) -> Result<Value, Unrepresentable> {
        Ok(match field {
            TimeField::Now => extension(RestrictedExpression::new_datetime(self.instant()), "/time/now")?,
            TimeField::Hour => Value::from(self.hour()),
            TimeField::Minute => Value::from(self.minute()),
            TimeField::Weekday => Value::from(self.weekday()),
            TimeField::Date => Value::from(self.date()),
            TimeField::Zone => Value::from(self.zone),
        })
    }
}

fn fields(reads: &Reads, types: &Record) -> Vec<(Box<str>, Want)> {
    let whole = Reads { whole: true, ..Reads::default() };
    types
        .iter()
        .filter_map(|(name, field)| {
            let reads = if reads.whole { &whole } else { reads.inner.get(name.as_str())? };
            Some((name.as_str().into(), Want { kind: kind(reads, &field.ty), nullable: field.nullable }))
        })
        .collect()
}

fn kind(reads: &Reads, ty: &Type) -> Kind {
    if let Type::Record(types) = ty {
        return Kind::Record(fields(reads, types));
    }
    if !reads.whole && reads.inner.is_empty() {
        return Kind::Presence;
    }
    match ty {
        Type::Boolean => Kind::Boolean,
        Type::Long => Kind::Long,
        Type::Decimal => Kind::Decimal,
        Type::Text => Kind::Text,
        Type::Set(element) => {
            let whole = Reads { whole: true, ..Reads::default() };
            Kind::Set(Box::new(Want { kind: kind(&whole, element), nullable: false }))
        }
        Type::Record(_) => Kind::Presence,
    }
}

fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::record(fields, None)
}

fn decimal(ten_thousandths: i64) -> Option<Value> {
    let text = RestrictedExpression::new_decimal(decimal_text(ten_thousandths));
    value(text)
}

/// Has Cedar make one of its own values; `None` if it refuses.
pub(crate) fn value(expression: RestrictedExpression) -> Option<Value> {
    let expression: &cedar_policy_core::ast::RestrictedExpr = expression.as_ref();
    RestrictedEvaluator::new(Extensions::all_available()).interpret(expression.as_borrowed()).ok()
}

/// Cedar refuses no value that this crate writes; if it did, the call is denied.
fn extension(expression: RestrictedExpression, pointer: &str) -> Result<Value, Unrepresentable> {
    value(expression).ok_or_else(|| no_such_value(pointer))
}

fn no_such_value(pointer: &str) -> Unrepresentable {
    Unrepresentable { pointer: pointer.to_owned(), reason: "Cedar has no such value" }
}
