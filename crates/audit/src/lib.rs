//! The writer of the record, and its reader.
//!
//! In: leaves (`ledger`). Out: tickets that say when a leaf is written and when it is durable; health; answers
//! to an auditor's questions. Never here: a decision, a caller's token, a wait on the caller's thread.
//! Specified in `docs/audit-record.md`.

mod disk;
mod failures;
pub mod query;
mod recover;
mod writer;

pub use failures::{Failures, FailuresConfig};
pub use recover::OpenError;
pub use writer::{AppendError, Config, Health, State, Ticket, Writer};
