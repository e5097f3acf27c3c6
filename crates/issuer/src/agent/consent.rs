//! That a person lets an agent act for them.

use model::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// The consents of all people to agents.
#[derive(Clone)]
pub struct AgentConsents {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl AgentConsents {
    /// Those of this database.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// A person lets an agent act for them at one resource, with these scopes at most. It replaces what was.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn give(
        &self,
        user: &str,
        agent: &str,
        resource: &str,
        scopes: &[String],
    ) -> Result<(), StorageError> {
        const GIVE: &str =
            "INSERT INTO agent_consents (user_id, agent, resource, scopes, given_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (user_id, agent, resource) DO UPDATE SET scopes = excluded.scopes,
                given_at = excluded.given_at, expires_at = excluded.expires_at";
        let now = self.clock.now();
        let scopes = serde_json::json!(scopes).to_string();
        on!(self.db, pool => {
            sqlx::query(GIVE).bind(user).bind(agent).bind(resource).bind(&scopes).bind(now.0)
                .bind(now.after(LASTS).0).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// The scopes that a person lets an agent have for them at a resource; `None` without a consent.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find(
        &self,
        user: &str,
        agent: &str,
        resource: &str,
    ) -> Result<Option<Vec<String>>, StorageError> {
        const FIND: &str = "SELECT scopes FROM agent_consents
            WHERE user_id = $1 AND agent = $2 AND resource = $3 AND expires_at > $4";
        let now: Timestamp = self.clock.now();
        let found: Option<String> = on!(self.db, pool => {
            sqlx::query_scalar(FIND).bind(user).bind(agent).bind(resource).bind(now.0).fetch_optional(pool).await
        })?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|_| StorageError::Corrupt(format!("consent to {agent}")))
        };
        found.map(read).transpose()
    }

    /// A person takes it back, everywhere. Tokens that exist end with a revocation of the agent, which is the caller's to
    /// make. Whether there was any.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn withdraw(&self, user: &str, agent: &str) -> Result<bool, StorageError> {
        const WITHDRAW: &str =
            "DELETE FROM agent_consents WHERE user_id = $1 AND agent = $2 RETURNING resource";
        let gone: Vec<String> = on!(self.db, pool => {
            sqlx::query_scalar(WITHDRAW).bind(user).bind(agent).fetch_all(pool).await
        })?;
        Ok(!gone.is_empty())
    }
}

/// How long a person is not asked again.
const LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
