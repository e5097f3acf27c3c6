//! What the house is tested with: an identity provider, MCP servers, a collector and a gateway, all real processes of loopback
//! HTTP inside the test, and a client that can say anything.
//!
//! In: what a test wants to happen. Out: what happened: answers, what a server saw, what is on record.
//! Never here: a look inside the gateway, the network beyond loopback, an assertion about how long something took.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "a kit for tests: what goes wrong in it fails the test, at the place where it went wrong"
)]

mod address;
mod browser;
mod client;
mod collector;
mod gateway;
mod idp;
mod introspection;
mod patience;
mod upstream;

pub use address::free_address;
pub use browser::{Browser, parameter, path_of};
pub use client::{Caller, Era, Event, Kept, Line, Reply, Stream, raw};
pub use collector::{FakeCollector, Mood, SeenSpan};
pub use gateway::{Recorded, Setup, TestGateway, clock, read_record};
pub use idp::{FakeIdp, Key, Token};
pub use introspection::FakeLogin;
pub use patience::{eventually, soon};
pub use upstream::{Act, FakeUpstream, Seen, tool};
