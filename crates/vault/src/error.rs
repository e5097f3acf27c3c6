//! What can go wrong with keys.

use model::ErrorKind;
use storage::StorageError;

/// A key or a sealed value could not be used. Names ids, never a key or a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The rows could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A sealed value does not open: it was changed, moved to another place, or sealed under a key that is gone.
    #[error("a sealed value does not open")]
    Sealed,
    /// A wrapping key does not open under any root key that is there.
    #[error("wrapping key {0} does not open: its root key is not among the key files")]
    Root(String),
    /// The root is not 32 bytes, or there is none.
    #[error("no usable root key")]
    NoRoot,
    /// There is no key that signs.
    #[error("no signing key is active")]
    NoSigningKey,
    /// There is no such signing key, or not in a state in which this can be done to it.
    #[error("no signing key {0} to which this can be done")]
    UnknownKey(String),
    /// The cryptographic provider refused.
    #[error("the cryptographic provider refused")]
    Provider,
}

impl From<sqlx::Error> for VaultError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl VaultError {
    /// Its kind, for metrics and replies.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::NoSigningKey | Self::Root(_) | Self::NoRoot => ErrorKind::Unavailable,
            Self::UnknownKey(_) => ErrorKind::NotFound,
            Self::Sealed | Self::Provider => ErrorKind::Internal,
        }
    }
}
