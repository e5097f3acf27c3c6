//! The data plane: every MCP message between a client and the servers behind the gateway.
//!
//! In: HTTP requests of MCP clients. Out: their answers, and a record of each.
//! Never here: a decision (that is `policy`), a token check (`authn`), a credential's value (`broker`),
//! a socket (`net`). Specified by MCP 2026-07-28, 2025-11-25, 2025-06-18 and 2025-03-26, and by
//! `docs/request-path.md`, which shows the stages below in the order a request meets them.

mod house;
mod pipeline;

mod endpoint;
mod wellknown;

mod admit;
mod attach;
mod authenticate;
mod authorize;
mod inspect;
mod record;
mod relay;
mod reply;
mod resolve;
mod send;

mod crowd;
mod lease;
mod revoked;
mod stop;
mod stripped;
mod trace;
mod trail;

mod continuation;
mod list;
mod listen;
mod local;
mod parked;
mod session;

mod catalog;
mod config;
mod rules;
mod upstream;
mod used_by;
mod watch;

pub use catalog::{
    Catalog, CatalogEvent, CatalogSettings, CatalogWatch, Change, Item, Kind, ServerView, Snapshot, State,
};
pub use config::server::{HttpServer, ImpactRules, StdioServer, Transport};
pub use config::{Config, ConfigFault, Endpoint, Selector, ServerConfig, Toolset};
pub use house::{House, Observer, Occupancy, Parts};
pub use reply::Reply;
pub use rules::{Current, Rules};
pub use session::{Ended, EndedError};
pub use trace::{Context, Leg, LegSink, LegTarget, Mark, Parent, Share, Traces};
pub use trail::Stage;
pub use upstream::{UpstreamSettings, Upstreams};
