//! Values with their unit: `30s`, `4MiB`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::time::Duration;

/// A length of time in configuration: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes in configuration: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

/// One name, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

const SPANS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// What is accepted for a [`Span`], for messages.
pub(crate) const SPAN_ACCEPTS: &str = "a whole number and a unit: ms, s, m, h or d (\"30s\")";
/// What is accepted for a [`Size`], for messages.
pub(crate) const SIZE_ACCEPTS: &str = "a whole number and a unit: B, KiB, MiB or GiB (\"4MiB\")";
/// The pattern of a [`Span`] in the schema.
pub(crate) const SPAN_PATTERN: &str = "^[0-9]{1,9}(ms|s|m|h|d)$";
/// The pattern of a [`Size`] in the schema.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]{1,9}(B|KiB|MiB|GiB)$";

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.strip_prefix(digits)?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Reads a length of time.
pub(super) fn span(text: &str) -> Option<Duration> {
    scaled(text, SPANS).map(Duration::from_millis)
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        span(&text).map(Self).ok_or_else(|| serde::de::Error::custom(SPAN_ACCEPTS))
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = scaled(&text, SIZES).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom(SIZE_ACCEPTS))
    }
}

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E>(self, text: &str) -> Result<Names, E> {
                Ok(Names(vec![text.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = access.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"], "items": { "type": "string" } })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SPAN_PATTERN })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SIZE_PATTERN })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_need_their_unit() {
        for (text, ms) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1d", 86_400_000)] {
            assert_eq!(scaled(text, SPANS), Some(ms), "{text}");
        }
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("4MiB", 4 << 20)] {
            assert_eq!(scaled(text, SIZES), Some(bytes), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "30 s", "1w", "9999999999s"] {
            assert_eq!(scaled(text, SPANS), None, "{text}");
        }
    }
}
