//! What the record is made of: leaves, their one encoding, and the segments that hold them.
//!
//! In: facts about a call, borrowed from whoever has them; or the bytes of a segment. Out: bytes; or entries,
//! and where a segment is torn or damaged. Never here: a file, a clock, a thread, a policy.
//! An auditor links only this room and `model`. Specified in `docs/audit-record.md`.

mod decode;
mod encode;
mod leaf;
pub mod segment;

pub use decode::{DecodeError, Entry, decode};
pub use encode::{LEAF_BYTES, LIST_ITEMS, TEXT_BYTES, encode};
pub use leaf::{
    About, Arguments, Attempt, AuthnFailure, AuthnFailures, Call, Caller, Conversation, ConversationSource,
    Decision, Denial, Downstream, Effect, Event, Intent, Json, Latency, Leaf, Named, Outcome, Status, Target,
    Token, What,
};
