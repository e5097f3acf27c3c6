//! Assertions that may be used once: their ids are remembered until they expire, on all replicas.

use crate::{Issuer, secret_text};
use model::Timestamp;
use storage::{StorageError, on, sqlx};

/// Whether this is the first time that `issuer` (whoever signed) used `jti`. Of many at once one is the first.
///
/// # Errors
/// [`StorageError`]; then nobody knows, and the assertion is refused.
pub(crate) async fn is_first(
    house: &Issuer,
    issuer: &str,
    jti: &str,
    expires_at: Timestamp,
) -> Result<bool, StorageError> {
    const INSERT: &str =
        "INSERT INTO jti_seen (issuer, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let jti = secret_text::digest(jti);
    let inserted = on!(house.db, pool => {
        let insert = sqlx::query(INSERT).bind(issuer).bind(&jti).bind(expires_at.0);
        insert.execute(pool).await.map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}
