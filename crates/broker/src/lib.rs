//! Which credential a call carries to its server: none, headers by reference, or variables by reference.
//!
//! In: a [`Plan`] from configuration, which names references and holds no secret, so that policy and record
//! may see it. Out: at [`attach()`] time, a [`Credential`] that is lent and never shown. Never here: the
//! caller's own token (design §3.2); a fallback from one credential to another; a secret in an error.
//! Specified in design §2 (resolve, attach) and §3.3.

mod attach;
mod plan;
mod reference;

pub use attach::{AttachError, Credential, attach};
pub use plan::{Plan, PlanError, Strategy};
pub use reference::{Reference, ReferenceError};
