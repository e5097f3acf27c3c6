//! What is no longer good: revoked, contained, signed out.
//!
//! In: rows of the table `revocations`, written by whoever has the right to, and a file that the operator edits. Out:
//! for every request whether anything of it was revoked, and how old that knowledge is. A row is known to every replica
//! within a second of its commit: it is announced, and looked for four times a second besides.
//! Described in docs/revocation.md.

mod key;
pub(crate) mod list;
pub(crate) mod marks;
mod read;
mod row;
mod table;
mod view;
mod write;

pub use key::{KeyError, revoke_key};
pub use row::{Kind, Listed, Revocation};
pub use table::CLOCKS;
pub use view::{Ages, Freshness, News, View};
pub use write::{Page, Revoke, lift, page, prune, revocation, revocations, revoke};

/// The channel on which it is said that a row was written.
pub const CHANNEL: &str = "revocations";

#[cfg(test)]
mod tests;
