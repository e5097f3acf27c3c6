//! Content inspection: what goes out to a server (arguments) and what comes back (results).
//!
//! In: checked JSON values. Out: nothing, or a [`Finding`] that stops the call. Never here: I/O, a decision
//! about who may do what, a change to what is inspected. One detector, one file.
//! Specified in design §2 (inspect) and §3.5.

mod bounds;
mod forms;

pub use bounds::Bounds;

use protocol::{Members, Method, Raw};

/// What a detector found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detector}: {message} at {pointer:?}")]
pub struct Finding {
    /// The detector's name, stable, for records and metrics.
    pub detector: &'static str,
    /// Where: a JSON pointer (RFC 6901) into what was inspected, cut off at 256 bytes.
    pub pointer: String,
    /// What, in words that hold nothing of the content.
    pub message: String,
}

/// Inspects the arguments of a call before it is recorded and sent.
///
/// # Errors
/// The first [`Finding`].
pub fn request(arguments: &Raw, bounds: &Bounds) -> Result<(), Finding> {
    bounds.check(arguments)
}

/// Inspects the result of a call before it is recorded and released.
///
/// # Errors
/// The first [`Finding`].
pub fn answer(result: &Raw, bounds: &Bounds) -> Result<(), Finding> {
    bounds.check(result)
}

/// Inspects a server's question before it is put to a client.
///
/// # Errors
/// The first [`Finding`].
pub fn question(method: Method, params: &Members) -> Result<(), Finding> {
    if method == Method::ElicitationCreate { forms::check(params) } else { Ok(()) }
}
