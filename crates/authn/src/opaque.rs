//! Opaque tokens: whom to ask what one means (RFC 7662), and what is remembered of the answer.
//!
//! In: a token that is no JWT, and the resource it was presented at. Out: the claims its issuer tells. Never here: a
//! token sent to anybody but the one endpoint that its route names; an answer believed for more than 30 seconds.

mod answer;
mod ask;
mod credential;
mod hold;
mod route;

pub(crate) use answer::Meaning;
pub use credential::{ClientAuth, SecretSource};
pub(crate) use hold::Hold;
pub(crate) use route::Routes;
pub use route::{OpaqueConfig, OpaqueFault};
