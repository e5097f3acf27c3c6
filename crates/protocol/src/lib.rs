//! JSON-RPC and MCP on the wire.
//!
//! In: bytes and headers from clients and servers. Out: checked messages, typed views over untouched bytes,
//! and the bytes of replies. Never here: I/O, a clock, dice, a log, a decision about who may do what.
//! Specified by JSON-RPC 2.0, RFC 8259, RFC 8785 and the Model Context Protocol 2026-07-28, 2025-11-25,
//! 2025-06-18 and 2025-03-26 (<https://modelcontextprotocol.io/specification/2026-07-28>).
//!
//! INVARIANT: what nobody edits leaves byte for byte as it came (design §3.10), held by `tests/edits.rs`.

mod scan;

pub mod bridge;
pub mod canonical;
pub mod capability;
pub mod cursor;
pub mod frame;
pub mod header;
pub mod meta;
pub mod method;
pub mod name;
pub mod object;
pub mod raw;
pub mod reply;
pub mod sse;
pub mod version;
pub mod view;

pub use frame::{
    Bounds, Called, FrameError, Id, Message, Notification, Outcome, Request, Response, RpcError, decode,
};
pub use method::Method;
pub use object::{Edit, Members};
pub use raw::{Kind, Raw};
pub use version::{Era, Version};
