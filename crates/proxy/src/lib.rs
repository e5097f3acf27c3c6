//! The data plane: every MCP message between a client and the servers behind the gateway.
//!
//! In: HTTP requests of MCP clients. Out: their answers, and a record of each.
//! Never here: a decision (that is `policy`), a token check (`authn`), a credential's value (`broker`),
//! a socket (`net`). Specified by MCP 2026-07-28, 2025-11-25, 2025-06-18 and 2025-03-26, and by
//! `docs/request-path.md`, which shows the stages below in the order a request meets them.

mod house;
mod pipeline;

mod endpoint;

mod authenticate;
mod admit;
mod resolve;
mod authorize;
mod inspect;
mod record;
mod attach;
mod send;
mod relay;
mod reply;

mod trail;
mod stop;

mod session;
mod local;
mod list;
mod listen;

mod catalog;
mod config;
mod upstream;

pub use config::{Config, ConfigFault, Endpoint, Selector, ServerConfig, Toolset};
pub use house::{House, Observer, Parts};
