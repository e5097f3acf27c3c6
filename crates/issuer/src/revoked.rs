//! Whether something was revoked: asked of the rows, since the authorization server issues and must not be a second late.

use crate::Issuer;
use crate::grant::Grant;
use model::{Digest, Timestamp};
use serde_json::{Map, Value};
use storage::{StorageError, on, sqlx};

/// What a token or a grant stands on.
#[derive(Default)]
struct Facts<'a> {
    tenant: Option<&'a str>,
    token: Option<&'a str>,
    /// SHA-256 of the token, as text.
    digest: Option<&'a str>,
    grant: Option<&'a str>,
    session: Option<&'a str>,
    user: Option<&'a str>,
    /// Whoever acts, however deep.
    agents: Vec<&'a str>,
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

/// The same without the grant itself, for the moment in which it is made of what a person agreed to at `given_at`: a second
/// redemption of its code may have ended it already, and the first is answered all the same.
pub(crate) async fn since(issuer: &Issuer, grant: &Grant, given_at: Timestamp) -> Result<bool, StorageError> {
    // Written by a replica of before: it can be no older than a device may wait.
    let since = if given_at.0 == 0 { Timestamp(issuer.now().0.saturating_sub(LONGEST_MS)) } else { given_at };
    any(issuer, &Facts { since, ..under(grant) }).await
}

fn under(grant: &Grant) -> Facts<'_> {
    Facts {
        tenant: Some(&grant.tenant),
        session: grant.session.as_deref(),
        user: grant.user.as_deref(),
        agents: grant.agent.as_deref().into_iter().collect(),
        client: Some(&grant.client),
        since: grant.created_at,
        ..Facts::default()
    }
}

/// Whether a token of these claims, which are ours, was revoked: by every name by which the view of a gateway knows it.
pub(crate) async fn token(
    issuer: &Issuer,
    token: &str,
    claims: &Map<String, Value>,
) -> Result<bool, StorageError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let digest = Digest::of(token.as_bytes()).to_string();
    let chain = std::iter::successors(claims.get("act"), |act| act.get("act"));
    let actors = chain.filter_map(|act| act.get("sub").and_then(Value::as_str));
    let issued_at = claims.get("iat").and_then(Value::as_i64).unwrap_or_default();
    let facts = Facts {
        tenant: text("tenant_id"),
        token: text("jti"),
        digest: Some(&digest),
        grant: text("grant_id"),
        session: text("sid"),
        user: text("sub"),
        agents: text("agent_id").into_iter().chain(actors).collect(),
        client: text("client_id"),
        // As an endpoint does: what was issued so soon after a revocation is taken to be issued before it.
        since: Timestamp(Timestamp::from_seconds(issued_at).0.saturating_sub(CLOCKS_MS)),
    };
    any(issuer, &facts).await
}

async fn any(issuer: &Issuer, facts: &Facts<'_>) -> Result<bool, StorageError> {
    // A row of another issuer, or of another tenant, is about somebody else of that id.
    const COUNT: &str = "SELECT COUNT(*) FROM revocations
        WHERE NOT lifts AND not_before > $1 AND (expires_at IS NULL OR expires_at > $2)
          AND (issuer IS NULL OR issuer = $3) AND (tenant IS NULL OR tenant = $4)
          AND ((kind = 'token' AND id IN ($5, $6)) OR (kind = 'grant' AND id = $7) OR (kind = 'session' AND id = $8)
            OR (kind = 'client' AND id = $9)
            OR (kind IN ('user', 'agent') AND id IN ($10, $11, $12, $13, $14, $15, $16))
            OR (kind = 'agent' AND id = $9))
          AND NOT (spares_grants AND $17)";
    // No token of ours has a longer chain: of one that has, nothing is known.
    if facts.agents.len() > ACTORS {
        return Ok(true);
    }
    let mut actors = [None; ACTORS];
    actors.iter_mut().zip(&facts.agents).for_each(|(place, actor)| *place = Some(*actor));
    let name = issuer.config().issuer.clone();
    let count: i64 = on!(issuer.db, pool => {
        let query = sqlx::query_scalar(COUNT).bind(facts.since.0).bind(issuer.now().0).bind(&name);
        let query = query.bind(facts.tenant).bind(facts.token).bind(facts.digest).bind(facts.grant);
        let query = query.bind(facts.session).bind(facts.client).bind(facts.user);
        let query = actors.iter().fold(query, |query, actor| query.bind(*actor));
        query.bind(facts.digest.is_none()).fetch_one(pool).await
    })?;
    Ok(count > 0)
}

/// The longest between a person's yes and the client's coming.
const LONGEST_MS: i64 = 600_000;
/// [`authn::revocations::CLOCKS`].
const CLOCKS_MS: i64 = 2000;
/// The most who act by one token.
const ACTORS: usize = 6;
