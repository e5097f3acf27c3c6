//! Which credential a call carries to its server: none, headers by reference, variables by reference, or a token of ours
//! that says who calls.
//!
//! In: a [`Plan`] from configuration, which names references and holds no secret, so that policy and record
//! may see it; a [`Minter`] that signs. Out: at [`attach()`] time, a [`Credential`] that is lent and never shown.
//! Never here: the caller's own token (design §3.2); a fallback from one credential to another; a secret in an error; a
//! token that serves two requests. Specified in design §2 (resolve, attach) and §3.3, RFC 9068, RFC 8693 §4.1.

mod assertion;
mod attach;
mod mint;
mod plan;
mod reference;

pub use assertion::Assertion;
pub use attach::{AttachError, Carried, Credential, Mint, Shown, attach};
pub use mint::{Asked, Kind, Minter, Sign, SignError, Signed, Whose};
pub use plan::{Plan, PlanError, Strategy};
pub use reference::{Reference, ReferenceError};
