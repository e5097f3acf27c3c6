//! How a server that trusts the gateway is told who calls: strategy `gateway_jwt`.

use http::HeaderName;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use std::time::Duration;

/// What a server's tokens are like. Every request gets a token of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `aud`: the server, and nobody else.
    pub audience: Arc<str>,
    /// The header. In `Authorization` it is a bearer token (RFC 6750 §2.1), in any other the bare JWT.
    pub header: HeaderName,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
    /// Whether the token names the digest of what was judged.
    pub request_digest: bool,
    /// Whether it names the caller's groups.
    pub groups: bool,
}

impl Assertion {
    /// The longest life of a token: as long as a server may believe one whose caller was revoked.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// The shortest: the difference of clocks would eat a shorter one.
    pub const SHORTEST: Duration = Duration::from_secs(10);

    /// What goes before the token in its header.
    pub(crate) fn prefix(&self) -> &'static str {
        if self.header == AUTHORIZATION { "Bearer " } else { "" }
    }
}
