//! The only two doors: `listen` lets callers in, `egress` lets the gateway out.
//!
//! In: a configured address or destination. Out: HTTP requests with their peer; HTTP answers, or an error
//! that says whether the request may have reached the other side. Never here: identity, policy, MCP, a
//! redirect that is followed, an address that its rule does not allow (design §3.9).
//! Specified in RFC 9110, 9112 and 9113; the address rules in the IANA special-purpose registries.

pub mod body;
pub mod egress;
pub mod listen;

pub use body::{Body, collect};
