//! What nobody will ask for any more is deleted.

use crate::Issuer;
use std::time::Duration;
use storage::{StorageError, on, sqlx};

impl Issuer {
    /// Deletes what has ended. To be called about every minute, on any number of replicas.
    ///
    /// # Errors
    /// [`StorageError`]; the next turn does it.
    pub async fn tend(&self) -> Result<(), StorageError> {
        let now = self.now().0;
        for text in [
            "DELETE FROM authorize_transactions WHERE expires_at <= $1",
            "DELETE FROM authorization_codes WHERE expires_at <= $1",
            "DELETE FROM jti_seen WHERE expires_at <= $1",
            "DELETE FROM device_codes WHERE expires_at + 600000 <= $1",
            "DELETE FROM device_guesses WHERE window_end <= $1",
            "DELETE FROM agent_consents WHERE expires_at <= $1",
            // A rotated one is kept as long as it would have lived: its reuse is to be noticed.
            "DELETE FROM refresh_tokens WHERE expires_at <= $1",
        ] {
            on!(self.db, pool => sqlx::query(text).bind(now).execute(pool).await.map(drop))?;
        }
        self.accounts.sweep().await?;
        self.sweep_vouchers().await?;
        let desk = self.desk();
        desk.sessions.sweep().await?;
        desk.federation.sweep().await?;
        // A grant outlives its tokens a little, so that one that comes late is refused for what it is.
        const GRANTS: &str = "DELETE FROM grants WHERE expires_at <= $1";
        let past = now.saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
        on!(self.db, pool => sqlx::query(GRANTS).bind(past).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// How long a grant that has ended is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
