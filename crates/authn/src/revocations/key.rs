//! A signing key of ours that somebody else may have.

use super::{Kind, Revocation, revoke};
use model::Timestamp;
use storage::{Db, StorageError};
use vault::{SigningKeys, VaultError};

/// A key could not be revoked, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its tokens are still good: the row could not be written.
    #[error("its tokens could not be revoked")]
    Row(#[source] StorageError),
    /// Its tokens are refused, but it is still published, or not ours.
    #[error("its tokens are refused here, but it could not be taken out of the key set")]
    KeySet(#[source] VaultError),
}

/// Takes a key of ours out of use at once: every replica refuses what it signed within a second, the key set no longer
/// has it, and the next key signs.
///
/// # Errors
/// [`KeyError`]. To try again is always right.
pub async fn revoke_key(
    db: &Db,
    keys: &SigningKeys,
    revocation: Revocation,
    now: Timestamp,
) -> Result<(), KeyError> {
    let row = Revocation { kind: Kind::Key, not_before: None, ..revocation };
    revoke(db, &row, now).await.map_err(KeyError::Row)?;
    match keys.revoke(&row.id).await {
        // The second time, or at its end already.
        Err(VaultError::UnknownKey(_)) => Ok(()),
        done => done.map_err(KeyError::KeySet),
    }
}
