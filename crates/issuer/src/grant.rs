//! What was granted: to whom, through which client, for which resource. Tokens name their grant, so that it can be
//! revoked as a whole.

pub(crate) mod refresh;

use crate::{Issuer, OauthError};
use authn::revocations::{CHANNEL, Kind, Revocation, Revoke as _};
use model::Timestamp;
use std::time::Duration;
use storage::{StorageError, on, sqlx, transaction};

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Grant {
    /// `grt_…`; `grant_id` of its tokens.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The person, if there is one.
    pub user: Option<String>,
    /// The agent, if it was granted to one.
    pub agent: Option<String>,
    /// The client.
    pub client: String,
    /// The one resource.
    pub resource: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// The browser session in which it was given.
    pub session: Option<String>,
    /// When the person had last proved who they are.
    pub auth_time: Option<Timestamp>,
    /// The person's roles as they were last read.
    pub roles: Vec<String>,
    /// The person's groups, likewise.
    pub groups: Vec<String>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When a token was last issued under it.
    pub used_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// The columns of [`Row`].
macro_rules! columns {
    () => {
        "id, tenant, user_id, agent, client, resource, scopes, session, auth_time, role_names, group_names, \
         created_at, used_at, expires_at, revoked_at"
    };
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    id: String,
    tenant: String,
    user_id: Option<String>,
    agent: Option<String>,
    client: String,
    resource: String,
    scopes: String,
    session: Option<String>,
    auth_time: Option<i64>,
    role_names: String,
    group_names: String,
    created_at: i64,
    used_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl Row {
    pub(crate) fn read(self) -> Result<Grant, StorageError> {
        let list = |text: &str| {
            serde_json::from_str(text).map_err(|error| StorageError::Corrupt(format!("a grant: {error}")))
        };
        Ok(Grant {
            scopes: list(&self.scopes)?,
            roles: list(&self.role_names)?,
            groups: list(&self.group_names)?,
            id: self.id,
            tenant: self.tenant,
            user: self.user_id,
            agent: self.agent,
            client: self.client,
            resource: self.resource,
            session: self.session,
            auth_time: self.auth_time.map(Timestamp),
            created_at: Timestamp(self.created_at),
            used_at: Timestamp(self.used_at),
            expires_at: Timestamp(self.expires_at),
            revoked_at: self.revoked_at.map(Timestamp),
        })
    }
}

/// Which grants a list is of; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The tenant; a list is always of one.
    pub tenant: String,
    /// Of this person.
    pub user: Option<String>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Through this client.
    pub client: Option<String>,
    /// For this resource.
    pub resource: Option<String>,
    /// Given in this browser session.
    pub session: Option<String>,
}

pub(crate) const INSERT: &str =
    "INSERT INTO grants (id, tenant, user_id, agent, client, resource, scopes, session,
    auth_time, role_names, group_names, created_at, used_at, expires_at, code)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/// The insertion of a grant, to be run on a pool or in a transaction. `code`: the digest of the code it came from.
macro_rules! insert {
    ($grant:expr, $code:expr) => {{
        let (grant, code): (&$crate::grant::Grant, Option<&str>) = ($grant, $code);
        let list = |items: &[String]| serde_json::to_string(items).unwrap_or_default();
        sqlx::query($crate::grant::INSERT)
            .bind(&grant.id)
            .bind(&grant.tenant)
            .bind(&grant.user)
            .bind(&grant.agent)
            .bind(&grant.client)
            .bind(&grant.resource)
            .bind(list(&grant.scopes))
            .bind(&grant.session)
            .bind(grant.auth_time.map(|moment| moment.0))
            .bind(list(&grant.roles))
            .bind(list(&grant.groups))
            .bind(grant.created_at.0)
            .bind(grant.used_at.0)
            .bind(grant.expires_at.0)
            .bind(code)
    }};
}
pub(crate) use insert;

/// The grant of that id.
///
/// # Errors
/// [`StorageError`].
pub async fn find(issuer: &Issuer, id: &str) -> Result<Option<Grant>, StorageError> {
    const FIND: &str = concat!("SELECT ", columns!(), " FROM grants WHERE id = $1");
    let row: Option<Row> = on!(issuer.db, pool => sqlx::query_as(FIND).bind(id).fetch_optional(pool).await)?;
    row.map(Row::read).transpose()
}

/// The grants that are good now, the newest first, at most `most`.
///
/// # Errors
/// [`StorageError`].
pub async fn list(issuer: &Issuer, filter: &Filter, most: i64) -> Result<Vec<Grant>, StorageError> {
    const LIST: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM grants
        WHERE tenant = $1 AND revoked_at IS NULL AND expires_at > $2
          AND ($3 IS NULL OR user_id = $3) AND ($4 IS NULL OR agent = $4) AND ($5 IS NULL OR client = $5)
          AND ($6 IS NULL OR resource = $6) AND ($7 IS NULL OR session = $7)
        ORDER BY created_at DESC, id LIMIT $8"
    );
    let now = issuer.now().0;
    let rows: Vec<Row> = on!(issuer.db, pool => {
        let query = sqlx::query_as(LIST).bind(&filter.tenant).bind(now).bind(&filter.user).bind(&filter.agent);
        query.bind(&filter.client).bind(&filter.resource).bind(&filter.session).bind(most).fetch_all(pool).await
    })?;
    rows.into_iter().map(Row::read).collect()
}

/// A client that was given something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenClient {
    /// Its id.
    pub client: String,
    /// How many grants there are, those that ended a while ago apart.
    pub grants: i64,
    /// When a token was last issued under one.
    pub used_at: Timestamp,
}

/// The clients of a tenant's grants, or of all tenants', in the order of their ids, at most `most`.
///
/// # Errors
/// [`StorageError`].
pub async fn clients(
    issuer: &Issuer,
    tenant: Option<&str>,
    most: i64,
) -> Result<Vec<SeenClient>, StorageError> {
    const SEEN: &str = "SELECT client, COUNT(*), MAX(used_at) FROM grants
        WHERE ($1 IS NULL OR tenant = $1) GROUP BY client ORDER BY client LIMIT $2";
    let rows: Vec<(String, i64, i64)> =
        on!(issuer.db, pool => sqlx::query_as(SEEN).bind(tenant).bind(most).fetch_all(pool).await)?;
    let seen = |(client, grants, used_at)| SeenClient { client, grants, used_at: Timestamp(used_at) };
    Ok(rows.into_iter().map(seen).collect())
}

/// Who revokes, and why.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// Who: the id of a person or an agent, `operator`, or `portunus`.
    pub by: &'a str,
    /// A sentence for operators.
    pub reason: &'a str,
}

/// Revokes a grant: no token is issued under it any more, and those that were are refused within a second. `false` if
/// there is none that is good.
///
/// # Errors
/// [`StorageError`]; then it may or may not be revoked, and has to be tried again.
pub async fn revoke(issuer: &Issuer, id: &str, why: Why<'_>) -> Result<bool, StorageError> {
    const REVOKE: &str = "UPDATE grants SET revoked_at = $1, revoked_why = $2
        WHERE id = $3 AND revoked_at IS NULL";
    let now = issuer.now();
    // Whoever checks a token learns it from here, and puts it on record.
    let row = Revocation::new(Kind::Grant, id, why.by).because(why.reason).until(now.after(TOKENS));
    let revoked: Result<bool, StorageError> = transaction!(issuer.db, tx => {
        let revoke = sqlx::query(REVOKE).bind(now.0).bind(why.reason).bind(id);
        let is_first = revoke.execute(&mut **tx).await?.rows_affected() == 1;
        if is_first {
            tx.revoke(&row, now).await?;
        }
        Ok(is_first)
    });
    let revoked = revoked?;
    if revoked && let Err(error) = issuer.db.say(CHANNEL).await {
        // A hint that is lost: the views look by themselves.
        tracing::debug!(%error, "a revocation could not be announced");
    }
    Ok(revoked)
}

/// Revokes all grants of a list, such as a person's for one client when the consent is withdrawn; says how many.
///
/// # Errors
/// [`StorageError`].
pub async fn revoke_all(issuer: &Issuer, filter: &Filter, why: Why<'_>) -> Result<usize, StorageError> {
    let mut revoked = 0;
    loop {
        let grants = list(issuer, filter, PAGE).await?;
        if grants.is_empty() {
            return Ok(revoked);
        }
        for grant in grants {
            revoked += usize::from(revoke(issuer, &grant.id, why).await?);
        }
    }
}

impl Grant {
    /// Whether tokens may be issued under it.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(crate) fn stands(&self, now: Timestamp) -> Result<(), OauthError> {
        if self.revoked_at.is_some() {
            return Err(OauthError::invalid_grant("the grant is revoked"));
        }
        if self.expires_at <= now {
            return Err(OauthError::invalid_grant("the grant has ended; sign in again"));
        }
        Ok(())
    }
}

/// When the last access token of a grant has expired, however long the operator lets them live.
const TOKENS: Duration = Duration::from_secs(3700);
/// Grants revoked at a time.
const PAGE: i64 = 200;
