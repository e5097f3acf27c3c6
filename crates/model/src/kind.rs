//! The ten kinds of failure.

/// What an error means to whoever meets it: the metric label, the record's outcome, the status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller is not known (401).
    Unauthenticated,
    /// The caller is known and may not (403, or as an unknown thing).
    Denied,
    /// The request is malformed (400).
    Invalid,
    /// There is no such thing for this caller (404, -32602).
    NotFound,
    /// A bound was met: size, depth, rate, streams (413, 429, 503).
    TooMuch,
    /// The other side took too long (504).
    TimedOut,
    /// The caller went away or withdrew the call.
    Cancelled,
    /// The MCP server failed or answered nonsense (502).
    Upstream,
    /// Something we depend on is down: the record, an issuer, a key (503).
    Unavailable,
    /// A bug of ours (500).
    Internal,
}

impl ErrorKind {
    /// The label used in metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::TooMuch => "too_much",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Upstream => "upstream",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}
