//! The words every room shares: who calls, what a thing is called, how time and dice are handed in.
//!
//! In: nothing. Out: plain values. Never here: I/O, logging, a policy, a wire format.
//! A type enters when two rooms need it. Words are defined in `docs/glossary.md`.

mod clock;
mod code;
mod dice;
mod digest;
mod ids;
mod kind;
mod limits;
mod principal;
mod sealer;
mod secret;

pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use code::{Code, CodeRow};
pub use dice::{Dice, SeededDice, SystemDice};
pub use digest::Digest;
pub use ids::{CallId, NameError, ServerName, ToolsetName};
pub use kind::ErrorKind;
pub use limits::Limits;
pub use principal::{Impact, Principal, PrincipalKey, Registered};
pub use sealer::{SealError, Sealer, SealingKey};
pub use secret::Secret;
