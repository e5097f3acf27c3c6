//! The canonical form of JSON (RFC 8785) and its digest: what two spellings of the same arguments share.
//!
//! Numbers are doubles there (ECMAScript). A number whose canonical form would be another number (2⁵³+1, 1e999,
//! thirty digits of π) has no canonical form: it is an error, never a digest of something else. So no two
//! documents of different meaning share a form.

mod number;

use crate::object::Members;
use crate::raw::{Kind, Raw, write_string};
use model::Digest;
use std::cmp::Ordering;

/// A number that a double does not hold as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number is not exactly representable")]
pub struct CanonicalError {
    /// The number as written; never shown with arguments that are not recorded.
    pub number: Box<str>,
}

/// The canonical form.
pub fn canonicalize(value: &Raw) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(value.as_bytes().len());
    write(value, &mut out)?;
    Ok(out)
}

/// SHA-256 of the canonical form.
pub fn digest(value: &Raw) -> Result<Digest, CanonicalError> {
    canonicalize(value).map(|form| Digest::of(&form))
}

/// Recurses as deep as the strict pass let the value nest.
fn write(value: &Raw, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value.kind() {
        Kind::Null | Kind::Bool => out.extend_from_slice(value.as_bytes()),
        Kind::Number => number::write(value.as_json(), out)?,
        Kind::String if memchr::memchr(b'\\', value.as_bytes()).is_none() => {
            out.extend_from_slice(value.as_bytes());
        }
        Kind::String => write_string(&value.to_str().unwrap_or_default(), out),
        Kind::Array => {
            out.push(b'[');
            for (index, element) in value.elements().unwrap_or_default().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(element, out)?;
            }
            out.push(b']');
        }
        Kind::Object => {
            let members = value.members().unwrap_or_else(Members::empty);
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|left, right| by_utf16(&left.0, &right.0));
            out.push(b'{');
            for (index, (key, value)) in sorted.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// RFC 8785 §3.2.3: by UTF-16 code units, which differs from bytes only beyond U+FFFF.
fn by_utf16(left: &str, right: &str) -> Ordering {
    if left.is_ascii() && right.is_ascii() {
        return left.cmp(right);
    }
    left.encode_utf16().cmp(right.encode_utf16())
}

#[cfg(test)]
mod tests;
