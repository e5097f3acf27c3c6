//! Whether something was revoked: asked of the rows, since the authorization server issues and must not be a second late.

use crate::Issuer;
use crate::grant::Grant;
use model::Timestamp;
use serde_json::{Map, Value};
use storage::{StorageError, on, sqlx};

/// What a token or a grant stands on.
#[derive(Default)]
struct Facts<'a> {
    tenant: Option<&'a str>,
    token: Option<&'a str>,
    grant: Option<&'a str>,
    session: Option<&'a str>,
    user: Option<&'a str>,
    agents: [Option<&'a str>; 2],
    client: Option<&'a str>,
    since: Timestamp,
}

/// Whether a client was taken out of use.
pub(crate) async fn client(issuer: &Issuer, id: &str) -> Result<bool, StorageError> {
    any(issuer, &Facts { client: Some(id), since: issuer.now(), ..Facts::default() }).await
}

/// Whether a grant, or anything that it stands on, was revoked after it was given: its person, agent, client or session.
pub(crate) async fn grant(issuer: &Issuer, grant: &Grant) -> Result<bool, StorageError> {
    any(issuer, &Facts { grant: Some(&grant.id), ..under(grant) }).await
}

/// The same without the grant itself, for the moment in which it is made: a second redemption of its code may have
/// ended it already, and the first is answered all the same.
pub(crate) async fn before(issuer: &Issuer, grant: &Grant) -> Result<bool, StorageError> {
    any(issuer, &under(grant)).await
}

fn under(grant: &Grant) -> Facts<'_> {
    Facts {
        tenant: Some(&grant.tenant),
        session: grant.session.as_deref(),
        user: grant.user.as_deref(),
        agents: [grant.agent.as_deref(), None],
        client: Some(&grant.client),
        since: grant.created_at,
        ..Facts::default()
    }
}

/// Whether a token of these claims, which are ours, was revoked.
pub(crate) async fn token(issuer: &Issuer, claims: &Map<String, Value>) -> Result<bool, StorageError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let facts = Facts {
        tenant: text("tenant_id"),
        token: text("jti"),
        grant: text("grant_id"),
        session: text("sid"),
        user: text("sub"),
        agents: [text("agent_id"), claims.get("act").and_then(|act| act.get("sub")).and_then(Value::as_str)],
        client: text("client_id"),
        since: Timestamp::from_seconds(claims.get("iat").and_then(Value::as_i64).unwrap_or_default()),
    };
    any(issuer, &facts).await
}

async fn any(issuer: &Issuer, facts: &Facts<'_>) -> Result<bool, StorageError> {
    // A row of another issuer, or of another tenant, is about somebody else of that id.
    const COUNT: &str = "SELECT COUNT(*) FROM revocations
        WHERE NOT lifts AND not_before > $1 AND (expires_at IS NULL OR expires_at > $2)
          AND (issuer IS NULL OR issuer = $3) AND (tenant IS NULL OR tenant = $4)
          AND ((kind = 'token' AND id = $5) OR (kind = 'grant' AND id = $6) OR (kind = 'session' AND id = $7)
            OR (kind = 'user' AND id = $8) OR (kind = 'agent' AND id IN ($9, $10, $11, $8))
            OR (kind = 'client' AND id = $11))";
    let name = issuer.config().issuer.clone();
    let [agent, actor] = facts.agents;
    let count: i64 = on!(issuer.db, pool => {
        let query = sqlx::query_scalar(COUNT).bind(facts.since.0).bind(issuer.now().0).bind(&name);
        let query = query.bind(facts.tenant).bind(facts.token).bind(facts.grant).bind(facts.session);
        query.bind(facts.user).bind(agent).bind(actor).bind(facts.client).fetch_one(pool).await
    })?;
    Ok(count > 0)
}
