//! The headers that mirror the body (2026-07-28, streamable HTTP "Request Metadata").
//!
//! SECURITY: headers are never believed, only compared; what is judged and sent on is the body, and headers
//! upstream are built from it anew. Held by `header::tests` and `tests/corpus.rs`.

mod check;
mod param;
mod sentinel;

pub use check::{HeaderMismatch, build, check_params, check_standard, unknown_params};
pub use param::{HeaderParam, HeaderParamError, params_of};
pub use sentinel::{decode, encode};

use http::HeaderName;

/// The version of the request.
pub static MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method of the request.
pub static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// What the request names: `params.name` or `params.uri`.
pub static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The session, in the session era.
pub static MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// What the names of headers that mirror a tool's arguments begin with.
pub(crate) const MCP_PARAM: &str = "mcp-param-";

#[cfg(test)]
mod tests;
