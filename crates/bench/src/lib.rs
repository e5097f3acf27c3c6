//! What `cargo xtask bench` measures with: a load generator, a token issuer, simulated MCP servers, and the floor,
//! which is the least a proxy with our record can do.
//!
//! In: addresses, a number of connections, a span of time. Out: one line of JSON with what was measured.
//! Never here: anything the gateway links, or a decision that depends on what is measured.
//! Specified in `docs/performance.md`.

pub mod fixture;
pub mod floor;
pub mod identity;
pub mod issuer;
pub mod load;
pub mod usage;
