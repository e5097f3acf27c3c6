//! Section `record`.

use super::units::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// What the record holds beyond what it always holds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecordSection {
    /// Arguments by digest only, or by value too. Default: digest.
    arguments: Arguments,
    /// The `_meta` key under which a client may declare its conversation.
    conversation_key: Option<String>,
    /// The gap after which calls of one principal and client begin another inferred conversation.
    /// Default: 30m.
    conversation_idle: Option<Span>,
}

/// How arguments are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Arguments {
    /// The digest of their canonical form (RFC 8785).
    #[default]
    Digest,
    /// The digest and the value.
    Value,
}

/// The checked record settings.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whether arguments are kept by value besides their digest.
    pub arguments: bool,
    /// The `_meta` key of a declared conversation.
    pub conversation_key: Option<String>,
    /// The gap that ends an inferred conversation.
    pub conversation_idle: Duration,
}

impl RecordSection {
    pub(super) fn check(self) -> Record {
        Record {
            arguments: self.arguments == Arguments::Value,
            conversation_key: self.conversation_key,
            conversation_idle: self.conversation_idle.map_or(Duration::from_secs(30 * 60), |span| span.0),
        }
    }
}
