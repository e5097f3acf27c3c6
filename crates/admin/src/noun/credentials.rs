//! The credentials of agents. What proves one is shown once, where it is made, and kept nowhere.

use super::agents::reached;
use crate::admin::Rooms;
use crate::answer::{About, Answer, Created, Done};
use crate::caller::Caller;
use crate::journal;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::tag;
use crate::taken::{Asked, Ids, Taken};
use axum::Json;
use axum::extract::State;
use issuer::agent::{Credential, CredentialError, NewCredential, Proof};
use ledger::What;
use model::{Code, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_credentials, create_credential))
        .routes(routes!(revoke_credential))
}

/// A credential, without what proves it. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
struct Shown {
    /// Its id.
    id: String,
    /// The agent.
    agent: String,
    /// `jwk`, `x509`, `spiffe`, `secret` or `api_key`.
    kind: &'static str,
    /// What proofs are held against: a public key, or the names in a certificate.
    #[schema(value_type = Option<Object>)]
    proof: Option<Proof>,
    /// Of an API key: the most scopes it has; absent: its agent's.
    scopes: Option<Vec<String>>,
    /// From when on it is good.
    not_before: i64,
    /// Until when.
    expires_at: Option<i64>,
    /// When it was added.
    created_at: i64,
    /// When it was revoked.
    revoked_at: Option<i64>,
    /// When it was last used, to the minute.
    last_used_at: Option<i64>,
    /// The secret or API key that was made: here and now only.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Shown {
    fn of(row: Credential) -> Self {
        Self {
            id: row.id,
            agent: row.agent,
            kind: row.kind,
            proof: row.proof,
            scopes: row.scopes,
            not_before: row.not_before.0,
            expires_at: row.not_after.map(|at| at.0),
            created_at: row.created_at.0,
            revoked_at: row.revoked_at.map(|at| at.0),
            last_used_at: row.last_used_at.map(|at| at.0),
            secret: None,
        }
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Unknown => Self::of(Code::ADMIN_NOT_FOUND),
            CredentialError::Invalid(_) => Self::invalid(error.to_string()),
            CredentialError::Many | CredentialError::Secrets => Self::conflict(error.to_string()),
            CredentialError::Storage(error) => error.into(),
        }
    }
}

/// Lists an agent's credentials, revoked ones included, in the order of their ids.
#[utoipa::path(
    get, path = "/agents/{agent}/credentials", tag = "credentials",
    params(("agent" = String, Path, description = "The agent's id"), Paged),
    security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of credentials", body = Page<Shown>))
)]
async fn list_credentials(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([agent]): Ids<1>,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    reached(&rooms, &caller, &agent).await?;
    let mut rows = rooms.issuer()?.agent_credentials().list(&agent).await?;
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(window.page_of_all(rows, |row| row.id.clone(), Shown::of)))
}

/// A credential to be added: a proof of the agent's own, or one that is made here.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredentialBody {
    /// What proofs are held against, one of: `{"jwk": {…}}` a public key, `{"certificate": "<SHA-256>"}`,
    /// `{"san_dns": "…"}`, `{"san_uri": "…"}`, `{"spiffe": "spiffe://…"}`.
    #[schema(value_type = Option<Object>)]
    proof: Option<Proof>,
    /// `secret`, where the tenant allows it, or `api_key`: made here and shown once.
    #[schema(value_type = Option<String>)]
    make: Option<Make>,
    /// Of an API key: the most scopes it has.
    scopes: Option<Vec<String>>,
    /// From when on it is good, in milliseconds since the epoch. Default: now.
    not_before: Option<i64>,
    /// Until when, in milliseconds since the epoch.
    expires_at: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Make {
    Secret,
    ApiKey,
}

/// Adds a credential. Two or more may be good at once, so that one takes over from another.
#[utoipa::path(
    post, path = "/agents/{agent}/credentials", tag = "credentials",
    params(("agent" = String, Path, description = "The agent's id")), request_body = NewCredentialBody,
    security(("bearer" = ["admin:write"])),
    responses((status = 201, description = "Added; a secret that was made is in this answer and nowhere else", body = Shown))
)]
async fn create_credential(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    Taken(body): Taken<NewCredentialBody>,
) -> Answer<Created<Shown>> {
    let agent = reached(&rooms, &caller, &id).await?;
    if body.scopes.is_some() && body.make != Some(Make::ApiKey) {
        return Err(Problem::invalid("only an API key has `scopes` of its own"));
    }
    let new = match (body.proof, body.make) {
        (Some(proof), None) => NewCredential::Proof(proof),
        (None, Some(Make::Secret)) => NewCredential::Secret,
        (None, Some(Make::ApiKey)) => NewCredential::ApiKey { scopes: body.scopes },
        _ => return Err(Problem::invalid("either `proof` or `make`")),
    };
    let issuer = rooms.issuer()?;
    let allowed = issuer.allows_secrets(&agent.tenant);
    let (from, until) = (body.not_before.map(Timestamp), body.expires_at.map(Timestamp));
    let fresh = issuer.agent_credentials().add(&id, &new, from, until, allowed).await?;
    let about = ("credential", fresh.credential.id.as_str());
    let detail = format!("{} added to {id}", fresh.credential.kind);
    journal::happened(&rooms, &caller, What::CredentialChanged, about, &detail).await?;
    let about = About { kind: "credential", id: fresh.credential.id.clone() };
    let path = format!("/agents/{id}/credentials/{}", fresh.credential.id);
    let tag = tag::of(&fresh.credential.id);
    Ok(Created { about, path, row: Shown { secret: fresh.secret, ..Shown::of(fresh.credential) }, tag })
}

/// Revokes a credential. Every token that its agent holds is refused within a second; its other credentials get new ones.
#[utoipa::path(
    delete, path = "/agents/{agent}/credentials/{credential}", tag = "credentials",
    params(
        ("agent" = String, Path, description = "The agent's id"),
        ("credential" = String, Path, description = "Its id"),
    ),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Revoked"))
)]
async fn revoke_credential(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([agent, id]): Ids<2>,
) -> Answer<Done> {
    reached(&rooms, &caller, &agent).await?;
    rooms.issuer()?.agent_credentials().revoke(&agent, &id, &caller.principal.user).await?;
    journal::happened(&rooms, &caller, What::CredentialChanged, ("credential", &id), "revoked").await?;
    Ok(Done)
}
