//! Names and ids with their bounds.

use crate::{Dice, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A name is not what the rule allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: 1 to 32 of a-z, 0-9 and -")]
pub struct NameError(pub String);

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the rule `[a-z0-9-]{1,32}`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let fits = (1..=32).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                if fits { Ok(Self(text.into())) } else { Err(NameError(text.chars().take(64).collect())) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

short_name!(
    /// The name of a configured MCP server: `[a-z0-9-]{1,32}` (design §6).
    ServerName
);
short_name!(
    /// The name of a configured toolset: `[a-z0-9-]{1,32}` (design §6).
    ToolsetName
);

/// One call through the gateway, over all its legs. Printed as `call_` and a UUIDv7 in hexadecimal
/// (RFC 9562 §5.7), so ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u128);

impl CallId {
    /// A fresh id.
    pub fn new(now: Timestamp, dice: &dyn Dice) -> Self {
        let mut random = [0; 16];
        dice.fill(&mut random);
        let noise = u128::from_be_bytes(random);
        let milliseconds = u128::from(u64::try_from(now.0).unwrap_or(0)) & 0xFFFF_FFFF_FFFF;
        let body = noise & 0x0FFF_3FFF_FFFF_FFFF_FFFF;
        Self(milliseconds << 80 | 0x7000_8000_0000_0000_0000 | body)
    }

    /// Reads the printed form.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("call_")?;
        if hex.len() != 32 {
            return None;
        }
        u128::from_str_radix(hex, 16).ok().map(Self)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call_{:032x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for CallId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CallId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a call id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededDice;

    #[test]
    fn names_keep_their_rule() {
        for good in ["a", "git-2", "0"] {
            assert!(ServerName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Git", "a_b", "a.b", "é", "abcdefghijklmnopqrstuvwxyz0123456"] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn call_ids_sort_by_time_and_survive_their_text() {
        let dice = SeededDice::new(1);
        let (early, late) = (CallId::new(Timestamp(1000), &dice), CallId::new(Timestamp(1001), &dice));
        assert!(early < late);
        assert_eq!(CallId::parse(&early.to_string()), Some(early));
    }
}
