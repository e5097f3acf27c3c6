//! The rows of agents.

use super::row::{Agent, COLUMNS, Delegation, MayActFor, Row, Trust};
use authn::revocations::{Kind, Revocation, Revoke as _};
use model::{Clock, Dice, ServerName, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx, transaction};

/// The agents of all tenants.
#[derive(Clone)]
pub struct Agents {
    db: Db,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

/// An agent to be registered.
#[derive(Clone, Debug)]
pub struct NewAgent {
    /// Its tenant.
    pub tenant: String,
    /// The person who answers for it: an active one of the same tenant.
    pub owner: String,
    /// Everything else.
    pub change: Change,
}

/// What can be said of an agent, all of it at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What people are shown: 1 to 128 characters.
    pub name: String,
    /// How far it is trusted.
    pub trust: Trust,
    /// The servers it may use; `None`: all that policy permits. At most 64.
    #[serde(default)]
    pub servers: Option<Vec<String>>,
    /// The most scopes its tokens have. At most 64.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For whom it may act.
    pub may_act_for: MayActFor,
    /// How far that goes.
    #[serde(default)]
    pub delegation: Delegation,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// An agent could not be registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no such agent.
    #[error("no such agent")]
    Unknown,
    /// Nobody of that id who could answer for it: unknown, disabled, or of another tenant.
    #[error("the owner is not an active person of the tenant")]
    Owner,
    /// Something said of it cannot be.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for AgentError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl Agents {
    /// The agents of this database.
    pub fn new(db: Db, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { db, clock, dice }
    }

    /// Registers an agent.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn register(&self, new: &NewAgent) -> Result<Agent, AgentError> {
        const INSERT: &str =
            "INSERT INTO agents (id, tenant, name, owner, trust, status, servers, scopes, may_act_for,
            delegation, created_at, changed_at, expires_at)
            SELECT $1, $2, $3, users.id, $5, 'active', $6, $7, $8, $9, $10, $10, $11 FROM users
            WHERE users.id = $4 AND users.tenant = $2 AND users.status = 'active'
            RETURNING id, tenant, name, owner, trust, status, servers, scopes, may_act_for, delegation,
                created_at, changed_at, expires_at, last_used_at";
        let said = new.change.written()?;
        let id = crate::secret_text::id("agt_", self.dice.as_ref());
        let now = self.clock.now().0;
        let row: Option<Row> = on!(self.db, pool => {
            sqlx::query_as(INSERT).bind(&id).bind(&new.tenant).bind(&new.change.name).bind(&new.owner)
                .bind(new.change.trust.as_str()).bind(&said.servers).bind(&said.scopes).bind(&said.may_act_for)
                .bind(&said.delegation).bind(now).bind(new.change.expires_at.map(|end| end.0))
                .fetch_optional(pool).await
        })?;
        Ok(row.ok_or(AgentError::Owner)?.try_into()?)
    }

    /// The agent of that id.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn find(&self, id: &str) -> Result<Option<Agent>, StorageError> {
        let find = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM agents WHERE id = $1"));
        let row: Option<Row> =
            on!(self.db, pool => sqlx::query_as(find).bind(id).fetch_optional(pool).await)?;
        row.map(Agent::try_from).transpose()
    }

    /// The agents of a tenant in the order of their ids, from behind `after` on, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, tenant: &str, after: &str, limit: u32) -> Result<Vec<Agent>, StorageError> {
        let list = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM agents WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3"
        ));
        let rows: Vec<Row> = on!(self.db, pool => {
            sqlx::query_as(list).bind(tenant).bind(after).bind(i64::from(limit)).fetch_all(pool).await
        })?;
        rows.into_iter().map(Agent::try_from).collect()
    }

    /// Says anew what an agent is and may do. Tokens that carry what it was before end.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn change(&self, id: &str, change: &Change, by: &str) -> Result<Agent, AgentError> {
        self.change_owned(id, change, None, by).await
    }

    /// [`Agents::change`], and hands the agent over to another owner, if one is named: an active person of its tenant. One
    /// that stopped because its owner was disabled goes on.
    ///
    /// # Errors
    /// [`AgentError`]; [`AgentError::Owner`] for an agent that is not there, too.
    pub async fn change_owned(
        &self,
        id: &str,
        change: &Change,
        owner: Option<&str>,
        by: &str,
    ) -> Result<Agent, AgentError> {
        // SECURITY: nobody of another tenant, and nobody who is disabled, answers for an agent (test:
        // `an_agent_is_handed_over_to_an_active_person_of_its_tenant_and_goes_on`).
        const FITS: &str = "SELECT COUNT(*) FROM users, agents WHERE agents.id = $1 AND users.id = $2
            AND users.tenant = agents.tenant AND users.status = 'active'";
        const SET: &str =
            "UPDATE agents SET name = $2, trust = $3, servers = $4, scopes = $5, may_act_for = $6,
            delegation = $7, changed_at = $8, expires_at = $9, owner = COALESCE($10, owner),
            status = CASE WHEN $10 IS NOT NULL AND status = 'owner_disabled' THEN 'active' ELSE status END
            WHERE id = $1
            RETURNING id, tenant, name, owner, trust, status, servers, scopes, may_act_for, delegation,
                created_at, changed_at, expires_at, last_used_at";
        let said = change.written()?;
        let now = self.clock.now();
        let agent: Result<Agent, AgentError> = transaction!(self.db, tx => {
            if let Some(owner) = owner {
                let fits: i64 = sqlx::query_scalar(FITS).bind(id).bind(owner).fetch_one(&mut **tx).await?;
                if fits == 0 {
                    return Err(AgentError::Owner);
                }
            }
            let row: Option<Row> = sqlx::query_as(SET).bind(id).bind(&change.name).bind(change.trust.as_str())
                .bind(&said.servers).bind(&said.scopes).bind(&said.may_act_for).bind(&said.delegation).bind(now.0)
                .bind(change.expires_at.map(|end| end.0)).bind(owner).fetch_optional(&mut **tx).await?;
            let agent = Agent::try_from(row.ok_or(AgentError::Unknown)?)?;
            // SECURITY: tokens say what the registry said (test: `what_an_agent_may_use_is_narrowed_within_a_second`).
            let row = ended(&agent.id, "the agent was changed", by, now).sparing_grants();
            tx.revoke(&row, now).await?;
            Ok(agent)
        });
        self.said().await;
        agent
    }

    /// Stops an agent, or lets it go on. One whose owner is disabled stays stopped until the owner comes back.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn set_active(&self, id: &str, is_active: bool, by: &str) -> Result<Agent, AgentError> {
        const SET: &str =
            "UPDATE agents SET changed_at = $3, status = CASE WHEN $2 = 'disabled' THEN 'disabled'
                WHEN EXISTS (SELECT 1 FROM users WHERE users.id = agents.owner AND users.status = 'active')
                THEN 'active' ELSE 'owner_disabled' END WHERE id = $1
            RETURNING id, tenant, name, owner, trust, status, servers, scopes, may_act_for, delegation,
                created_at, changed_at, expires_at, last_used_at";
        let now = self.clock.now();
        let status = if is_active { "active" } else { "disabled" };
        let agent: Result<Agent, AgentError> = transaction!(self.db, tx => {
            let row: Option<Row> =
                sqlx::query_as(SET).bind(id).bind(status).bind(now.0).fetch_optional(&mut **tx).await?;
            let agent = Agent::try_from(row.ok_or(AgentError::Unknown)?)?;
            if !is_active {
                tx.revoke(&ended(&agent.id, "the agent was disabled", by, now), now).await?;
            }
            Ok(agent)
        });
        self.said().await;
        agent
    }

    /// Follows the owner: agents of a person who was disabled stop, with all they hold; those that stopped for that
    /// reason go on once the person is back. Returns their ids. Call it whenever a person's standing has changed.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn follow_owner(&self, owner: &str, by: &str) -> Result<Vec<String>, AgentError> {
        const STOP: &str = "UPDATE agents SET status = 'owner_disabled', changed_at = $2
            WHERE owner = $1 AND status = 'active'
              AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND users.status = 'active') RETURNING id";
        const GO_ON: &str = "UPDATE agents SET status = 'active', changed_at = $2
            WHERE owner = $1 AND status = 'owner_disabled'
              AND EXISTS (SELECT 1 FROM users WHERE users.id = $1 AND users.status = 'active') RETURNING id";
        let now = self.clock.now();
        let done: Result<Vec<String>, AgentError> = transaction!(self.db, tx => {
            let mut ids: Vec<String> =
                sqlx::query_scalar(STOP).bind(owner).bind(now.0).fetch_all(&mut **tx).await?;
            for id in &ids {
                tx.revoke(&ended(id, "the agent's owner was disabled", by, now), now).await?;
            }
            ids.extend(
                sqlx::query_scalar::<_, String>(GO_ON).bind(owner).bind(now.0).fetch_all(&mut **tx).await?,
            );
            Ok(ids)
        });
        self.said().await;
        done
    }

    /// Notes that an agent proved who it is; a row is written once a minute at most.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn used(&self, id: &str) -> Result<(), StorageError> {
        const USED: &str = "UPDATE agents SET last_used_at = $2
            WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)";
        let now = self.clock.now().0;
        on!(self.db, pool => {
            sqlx::query(USED).bind(id).bind(now).bind(now - MINUTE).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    async fn said(&self) {
        // The views look by themselves within a quarter of a second.
        drop(self.db.say(authn::revocations::CHANNEL).await);
    }
}

/// Everything that an agent held until now.
pub(super) fn ended(id: &str, reason: &str, by: &str, now: Timestamp) -> Revocation {
    Revocation::new(Kind::Agent, id, by).issued_before(now).until(now.after(LONGEST_TOKEN)).because(reason)
}

struct Written {
    servers: Option<String>,
    scopes: String,
    may_act_for: String,
    delegation: String,
}

impl Change {
    /// Checked, and as it stands in the row.
    fn written(&self) -> Result<Written, AgentError> {
        let bad = |why| Err(AgentError::Invalid(why));
        if self.name.trim().is_empty()
            || self.name.chars().count() > 128
            || self.name.chars().any(char::is_control)
        {
            return bad("a name has 1 to 128 characters");
        }
        if self.servers.iter().flatten().any(|name| ServerName::new(name).is_err()) {
            return bad("a server's name is 1 to 32 of a-z, 0-9 and -");
        }
        let groups: &[String] = match &self.may_act_for {
            MayActFor::Groups { groups } => groups,
            MayActFor::Nobody | MayActFor::Owner | MayActFor::Tenant => &[],
        };
        let delegated = self.delegation.scopes.as_deref().unwrap_or_default();
        let lists = [self.servers.as_deref().unwrap_or_default(), &self.scopes, delegated, groups];
        if lists.iter().any(|list| list.len() > MOST) {
            return bad("at most 64 servers, scopes or groups");
        }
        if self.scopes.iter().chain(delegated).any(|scope| !is_scope(scope)) {
            return bad("a scope is 1 to 128 printable characters without spaces and quotes");
        }
        if groups.iter().any(|group| group.is_empty() || group.len() > 512) {
            return bad("a group has 1 to 512 bytes");
        }
        if !(1..=DEEPEST).contains(&self.delegation.depth) {
            return bad("a chain has 1 to 4 actors");
        }
        let sorted = |list: &[String]| serde_json::json!(list.iter().collect::<BTreeSet<_>>()).to_string();
        let may_act_for = serde_json::to_string(&self.may_act_for).unwrap_or_default();
        let delegation = serde_json::to_string(&self.delegation).unwrap_or_default();
        Ok(Written {
            servers: self.servers.as_deref().map(sorted),
            scopes: sorted(&self.scopes),
            may_act_for,
            delegation,
        })
    }
}

/// A scope token (RFC 6749 §3.3).
fn is_scope(scope: &str) -> bool {
    (1..=128).contains(&scope.len())
        && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// The most servers, scopes or groups: they are in tokens.
const MOST: usize = 64;
/// The most actors in a chain.
pub(crate) const DEEPEST: u8 = 4;
/// No access token lives longer, clocks of replicas included.
const LONGEST_TOKEN: Duration = Duration::from_secs(3600 + 60);
/// Milliseconds.
const MINUTE: i64 = 60_000;
