//! What several sub-schemas say together: all of them (`allOf`, `$ref` with siblings), or one of them
//! (`anyOf`, `oneOf`, a list of types).

use super::{Field, Gap, Record, Type};
use std::collections::btree_map::Entry;

/// What is known about a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    /// Its type, `null` apart.
    pub(super) ty: Known,
    /// Whether `null` is allowed.
    pub(super) nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// No statement about the type.
    Any,
    /// Only `null`.
    Null,
    /// This type.
    Type(Type),
}

impl Guess {
    pub(super) const ANY: Self = Self { ty: Known::Any, nullable: true };
    pub(super) const NULL: Self = Self { ty: Known::Null, nullable: true };

    pub(super) fn of(ty: Type) -> Self {
        Self { ty: Known::Type(ty), nullable: false }
    }
}

/// Both statements hold. `Err` says why they cannot.
pub(super) fn both(a: Guess, b: Guess, pointer: &str, gaps: &mut Vec<Gap>) -> Result<Guess, String> {
    let nullable = a.nullable && b.nullable;
    let ty = match (a.ty, b.ty) {
        (Known::Any, other) | (other, Known::Any) => other,
        (Known::Null, Known::Null) => Known::Null,
        (Known::Null, Known::Type(_)) | (Known::Type(_), Known::Null) if nullable => Known::Null,
        (Known::Null, Known::Type(_)) | (Known::Type(_), Known::Null) => {
            return Err("its parts contradict each other".to_owned());
        }
        (Known::Type(a), Known::Type(b)) => Known::Type(both_types(a, b, pointer, gaps)?),
    };
    Ok(Guess { ty, nullable })
}

fn both_types(a: Type, b: Type, pointer: &str, gaps: &mut Vec<Gap>) -> Result<Type, String> {
    match (a, b) {
        (a, b) if a == b => Ok(a),
        (Type::Long, Type::Decimal) | (Type::Decimal, Type::Long) => Ok(Type::Long),
        (Type::Set(a), Type::Set(b)) => Ok(Type::Set(Box::new(both_types(*a, *b, pointer, gaps)?))),
        (Type::Record(mut a), Type::Record(b)) => {
            for (name, right) in b {
                let at = format!("{pointer}/properties/{}", escape(&name));
                match a.entry(name) {
                    Entry::Vacant(slot) => {
                        slot.insert(right);
                    }
                    Entry::Occupied(mut slot) => {
                        let left = slot.get().clone();
                        match both_types(left.ty, right.ty, &at, gaps) {
                            Ok(ty) => {
                                slot.insert(Field {
                                    ty,
                                    required: left.required || right.required,
                                    nullable: left.nullable && right.nullable,
                                });
                            }
                            Err(reason) => {
                                slot.remove();
                                gaps.push(Gap { pointer: at, reason });
                            }
                        }
                    }
                }
            }
            Ok(Type::Record(a))
        }
        _ => Err("its parts have different types".to_owned()),
    }
}

/// One of the statements holds.
pub(super) fn either(a: Guess, b: Guess, pointer: &str, gaps: &mut Vec<Gap>) -> Result<Guess, String> {
    let nullable = a.nullable || b.nullable;
    let ty = match (a.ty, b.ty) {
        (Known::Null, other) | (other, Known::Null) => other,
        (Known::Any, _) | (_, Known::Any) => Known::Any,
        (Known::Type(a), Known::Type(b)) => Known::Type(either_type(a, b, pointer, gaps)?),
    };
    Ok(Guess { ty, nullable })
}

fn either_type(a: Type, b: Type, pointer: &str, gaps: &mut Vec<Gap>) -> Result<Type, String> {
    match (a, b) {
        (a, b) if a == b => Ok(a),
        (Type::Long, Type::Decimal) | (Type::Decimal, Type::Long) => Ok(Type::Decimal),
        (Type::Set(a), Type::Set(b)) => Ok(Type::Set(Box::new(either_type(*a, *b, pointer, gaps)?))),
        (Type::Record(a), Type::Record(b)) => Ok(Type::Record(either_record(a, b, pointer, gaps))),
        _ => Err("its alternatives have different types".to_owned()),
    }
}

/// A property that only some alternatives name may be absent; one on which they disagree is left out.
fn either_record(a: Record, mut b: Record, pointer: &str, gaps: &mut Vec<Gap>) -> Record {
    let mut out = Record::new();
    for (name, left) in a {
        let at = format!("{pointer}/properties/{}", escape(&name));
        match b.remove(&name) {
            None => {
                out.insert(name, Field { required: false, ..left });
            }
            Some(right) => match either_type(left.ty, right.ty, &at, gaps) {
                Ok(ty) => {
                    let required = left.required && right.required;
                    out.insert(name, Field { ty, required, nullable: left.nullable || right.nullable });
                }
                Err(reason) => gaps.push(Gap { pointer: at, reason }),
            },
        }
    }
    out.extend(b.into_iter().map(|(name, field)| (name, Field { required: false, ..field })));
    out
}

/// A name as one step of a JSON pointer (RFC 6901 §3).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
