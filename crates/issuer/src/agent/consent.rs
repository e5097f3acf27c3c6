//! That a person lets an agent act for them.

use model::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// That a person lets an agent act for them at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConsent {
    /// The agent.
    pub agent: String,
    /// What people are shown of it.
    pub name: String,
    /// The endpoint.
    pub resource: String,
    /// The most it may have there.
    pub scopes: Vec<String>,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

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
        found.map(|scopes| read(agent, &scopes)).transpose()
    }

    /// What a person lets agents do, by agent and endpoint.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn of_user(&self, user: &str) -> Result<Vec<AgentConsent>, StorageError> {
        const LIST: &str = "SELECT agent, agents.name, resource, agent_consents.scopes, given_at,
                agent_consents.expires_at
            FROM agent_consents JOIN agents ON agents.id = agent
            WHERE user_id = $1 AND agent_consents.expires_at > $2 ORDER BY agent, resource";
        let now = self.clock.now().0;
        let rows: Vec<(String, String, String, String, i64, i64)> =
            on!(self.db, pool => sqlx::query_as(LIST).bind(user).bind(now).fetch_all(pool).await)?;
        let consent =
            |(agent, name, resource, scopes, given_at, expires_at): (String, _, _, String, _, _)| {
                let scopes = read(&agent, &scopes)?;
                let [given_at, expires_at] = [given_at, expires_at].map(Timestamp);
                Ok(AgentConsent { agent, name, resource, scopes, given_at, expires_at })
            };
        rows.into_iter().map(consent).collect()
    }

    /// A person takes it back, everywhere; the last step of [`crate::Issuer::withdraw_from_agent`]. Whether there was any.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(crate) async fn withdraw(&self, user: &str, agent: &str) -> Result<bool, StorageError> {
        const WITHDRAW: &str =
            "DELETE FROM agent_consents WHERE user_id = $1 AND agent = $2 RETURNING resource";
        let gone: Vec<String> = on!(self.db, pool => {
            sqlx::query_scalar(WITHDRAW).bind(user).bind(agent).fetch_all(pool).await
        })?;
        Ok(!gone.is_empty())
    }
}

fn read(agent: &str, scopes: &str) -> Result<Vec<String>, StorageError> {
    serde_json::from_str(scopes).map_err(|_| StorageError::Corrupt(format!("consent to {agent}")))
}

/// How long a person is not asked again.
const LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
