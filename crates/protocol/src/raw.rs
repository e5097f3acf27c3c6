//! A JSON value as the bytes it came in.

use crate::frame::{Bounds, Fault, FrameError};
use crate::object::Members;
use crate::scan::{self, Scan, Span};
use bytes::Bytes;
use std::borrow::Cow;

/// One JSON value: exactly the bytes that were received, already checked by the strict pass (RFC 8259, no
/// repeated keys, no lone surrogates). Cloning counts a reference.
///
/// Equality is of bytes, not of meaning: `1` and `1.0` differ.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Raw(Bytes);

/// What kind of JSON value it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

impl Raw {
    /// Reads one JSON value, with the strictness and bounds of [`crate::decode`].
    pub fn parse(bytes: Bytes, bounds: &Bounds) -> Result<Self, FrameError> {
        if bytes.len() > bounds.bytes {
            return Err(Fault::TooLarge { limit: bounds.bytes }.into());
        }
        let mut scan =
            Scan::new(&bytes, bounds.depth, bounds.items, false).map_err(|at| Fault::NotUtf8 { at })?;
        let span = scan.document().map_err(|refusal| Fault::of(refusal, bounds))?;
        Ok(Self(bytes.slice(span.start..span.end)))
    }

    /// The compact text of a value of ours.
    pub fn of_value(value: &serde_json::Value) -> Self {
        Self(Bytes::from(value.to_string()))
    }

    /// A JSON string.
    pub fn of_str(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() + 2);
        write_string(text, &mut out);
        Self(Bytes::from(out))
    }

    /// An integer.
    pub fn of_i64(value: i64) -> Self {
        Self(Bytes::copy_from_slice(itoa::Buffer::new().format(value).as_bytes()))
    }

    /// `{}`
    pub fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// Bytes that are known to be one JSON value: a part of a checked one, or built here.
    pub(crate) fn checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The part at `span`, which was found in these bytes.
    pub(crate) fn part(&self, span: Span) -> Self {
        Self(self.0.slice(span.start..span.end))
    }

    /// The bytes, without whitespace around them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as text.
    pub fn as_json(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes, shared.
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The kind, from the first byte.
    pub fn kind(&self) -> Kind {
        match self.0.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The text of a string; borrowed unless it has escapes.
    pub fn to_str(&self) -> Option<Cow<'_, str>> {
        let inside = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(scan::unescape(inside, memchr::memchr(b'\\', inside).is_some()))
    }

    /// An integer written without fraction and exponent that fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.as_json().parse().ok()
    }

    /// A boolean.
    pub fn to_bool(&self) -> Option<bool> {
        match self.as_bytes() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value as a tree. Fails for a number outside the range of a double.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        self.read()
    }

    /// Reads a type of the caller's.
    pub fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The members of an object.
    pub fn members(&self) -> Option<Members> {
        Members::of(self)
    }

    /// The elements of an array.
    pub fn elements(&self) -> Option<Vec<Self>> {
        let spans = scan::elements(&self.0)?;
        Some(spans.into_iter().map(|span| self.part(span)).collect())
    }
}

/// Writes `text` as a JSON string, quotes included.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let count = scan::plain(rest);
        let (clean, tail) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        out.extend_from_slice(clean);
        let Some((byte, tail)) = tail.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            control => {
                const HEX: [u8; 16] = *b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend(
                    [control >> 4, control & 15].map(|n| HEX.get(usize::from(n)).copied().unwrap_or(b'0')),
                );
            }
        }
        rest = tail;
    }
    out.push(b'"');
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_json())
    }
}

impl serde::Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = self.read().map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}
