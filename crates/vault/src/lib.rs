//! Keys: those that wrap, those that sign, and what is sealed under them.
//!
//! In: the root keys from files, rows of the database. Out: a [`Keyring`] that seals values so that a row copied to
//! another place does not open, and [`SigningKeys`] that sign our tokens and say which keys verify them. Never here: a
//! key in a log or an error; a value in the clear at rest; a signature by a key that was not published before.
//!
//! Envelope: a fresh data key for each value (AES-256-GCM), under its tenant's wrapping key, under the root. Deleting
//! a tenant's wrapping keys is deleting everything that was ever sealed for it. Specified in NIST SP 800-38D, RFC 7515,
//! RFC 7517, RFC 7518 §3.4.

mod envelope;
mod error;
mod files;
mod jwk;
mod keyring;
mod root;
mod signing;

pub use error::VaultError;
pub use files::{KeyFile, KeyFileError, key_files};
pub use jwk::PublicKey;
pub use keyring::Keyring;
pub use root::Root;
pub use signing::{KeyState, Lifecycle, SignedBy, SigningKeyRow, SigningKeys};
