//! The registry of agents. One is disabled and never deleted: the record names it.

use crate::admin::Rooms;
use crate::answer::{About, Answer, Created, Tagged};
use crate::caller::Caller;
use crate::journal;
use crate::page::{Page, TenantPaged};
use crate::problem::Problem;
use crate::tag::{self, IfMatch};
use crate::taken::{Asked, Ids, Taken};
use axum::Json;
use axum::extract::State;
use issuer::agent::{Agent, AgentError, Change, Delegation, MayActFor, NewAgent, Status, Trust};
use ledger::What;
use model::{Code, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_agents, create_agent))
        .routes(routes!(show_agent, change_agent))
        .routes(routes!(disable_agent))
        .routes(routes!(enable_agent))
}

/// A registered agent. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(super) struct Shown {
    /// The subject of its own tokens.
    id: String,
    /// The tenant it belongs to.
    tenant: String,
    /// What people are shown.
    name: String,
    /// The person who answers for it.
    owner: String,
    /// `low`, `medium` or `high`; policy reads it.
    #[schema(value_type = String)]
    trust: Trust,
    /// `active`, `disabled`, or `owner_disabled` as long as its owner is.
    #[schema(value_type = String)]
    status: Status,
    /// The servers it may use; absent: all that policy permits.
    servers: Option<Vec<String>>,
    /// The most scopes its tokens have.
    scopes: Vec<String>,
    /// For whom it may act without that person's consent: `{"who": "nobody" | "owner" | "groups" | "tenant"}`.
    #[schema(value_type = Object)]
    may_act_for: MayActFor,
    /// How far acting for somebody goes: `{"depth": 1, "scopes": [...]}`.
    #[schema(value_type = Object)]
    delegation: Delegation,
    /// When it was registered.
    created_at: i64,
    /// When it was last changed.
    changed_at: i64,
    /// When it ends.
    expires_at: Option<i64>,
    /// When it last proved who it is, to the minute.
    last_used_at: Option<i64>,
}

impl Shown {
    fn of(row: Agent) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            name: row.name,
            owner: row.owner,
            trust: row.trust,
            status: row.status,
            servers: row.servers,
            scopes: row.scopes,
            may_act_for: row.may_act_for,
            delegation: row.delegation,
            created_at: row.created_at.0,
            changed_at: row.changed_at.0,
            expires_at: row.expires_at.map(|at| at.0),
            last_used_at: row.last_used_at.map(|at| at.0),
        }
    }
}

/// The state that a change is a change of; being used changes nothing of it.
fn state(agent: &Agent) -> (String, i64, Status) {
    (agent.id.clone(), agent.changed_at.0, agent.status)
}

fn tagged(agent: Agent) -> Tagged<Shown> {
    Tagged { tag: tag::of(&state(&agent)), row: Shown::of(agent) }
}

/// The agent of that id, if it is within reach.
pub(super) async fn reached(rooms: &Rooms, caller: &Caller, id: &str) -> Result<Agent, Problem> {
    let found = rooms.issuer()?.agents().find(id).await?;
    caller.reached(found, |agent| &agent.tenant)
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Unknown => Self::of(Code::ADMIN_NOT_FOUND),
            AgentError::Owner | AgentError::Invalid(_) => Self::invalid(error.to_string()),
            AgentError::Storage(error) => error.into(),
        }
    }
}

/// Lists a tenant's agents, in the order of their ids.
#[utoipa::path(
    get, path = "/agents", tag = "agents", params(TenantPaged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of agents", body = Page<Shown>))
)]
async fn list_agents(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<TenantPaged>,
) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let tenant = caller.home(asked.tenant.as_deref())?;
    let after = window.after.as_deref().unwrap_or_default();
    let rows = rooms.issuer()?.agents().list(&tenant, after, window.count()).await?;
    Ok(Json(window.page(rows, |row| row.id.clone(), Shown::of)))
}

/// An agent to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAgentBody {
    /// Its tenant. Default: the caller's own.
    tenant: Option<String>,
    /// The person who answers for it: an active one of the same tenant.
    owner: String,
    /// What people are shown: 1 to 128 characters.
    name: String,
    /// `low`, `medium` or `high`. Default: `low`.
    #[schema(value_type = Option<String>)]
    trust: Option<Trust>,
    /// The servers it may use. Default: all that policy permits.
    servers: Option<Vec<String>>,
    /// The most scopes its tokens have.
    #[serde(default)]
    scopes: Vec<String>,
    /// For whom it may act without that person's consent. Default: nobody.
    #[schema(value_type = Option<Object>)]
    may_act_for: Option<MayActFor>,
    /// How far acting for somebody goes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    delegation: Delegation,
    /// When it ends, in milliseconds since the epoch.
    expires_at: Option<i64>,
}

/// Registers an agent. It has no credentials yet.
#[utoipa::path(
    post, path = "/agents", tag = "agents", request_body = NewAgentBody, security(("bearer" = ["admin:write"])),
    responses((status = 201, description = "Registered", body = Shown))
)]
async fn create_agent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<NewAgentBody>,
) -> Answer<Created<Shown>> {
    let new = NewAgent {
        tenant: caller.home(body.tenant.as_deref())?.to_string(),
        owner: body.owner,
        change: Change {
            name: body.name,
            trust: body.trust.unwrap_or(Trust::Low),
            servers: body.servers,
            scopes: body.scopes,
            may_act_for: body.may_act_for.unwrap_or(MayActFor::Nobody),
            delegation: body.delegation,
            expires_at: body.expires_at.map(Timestamp),
        },
    };
    let agent = rooms.issuer()?.agents().register(&new).await?;
    journal::happened(&rooms, &caller, What::AgentChanged, ("agent", &agent.id), "registered").await?;
    let about = About { kind: "agent", id: agent.id.clone() };
    let path = format!("/agents/{}", agent.id);
    let Tagged { row, tag } = tagged(agent);
    Ok(Created { about, path, row, tag })
}

/// One agent.
#[utoipa::path(
    get, path = "/agents/{agent}", tag = "agents", params(("agent" = String, Path, description = "Its id")),
    security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "The agent", body = Shown))
)]
async fn show_agent(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Tagged<Shown>> {
    Ok(tagged(reached(&rooms, &caller, &id).await?))
}

/// What is to be another at an agent (RFC 7396): what is absent stays, what is null is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentChange {
    /// What people are shown.
    name: Option<String>,
    /// The person who answers for it from now on: an active one of its tenant. One that stopped because its owner was
    /// disabled goes on.
    owner: Option<String>,
    /// `low`, `medium` or `high`.
    #[schema(value_type = Option<String>)]
    trust: Option<Trust>,
    /// The servers it may use; null: all that policy permits.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    servers: Option<Option<Vec<String>>>,
    /// The most scopes its tokens have.
    scopes: Option<Vec<String>>,
    /// For whom it may act without that person's consent.
    #[schema(value_type = Option<Object>)]
    may_act_for: Option<MayActFor>,
    /// How far acting for somebody goes.
    #[schema(value_type = Option<Object>)]
    delegation: Option<Delegation>,
    /// When it ends, in milliseconds since the epoch; null: never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Option<i64>>,
}

/// Tells null from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(reader: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(reader).map(Some)
}

/// Changes an agent. Tokens that say what it was before are refused within a second.
#[utoipa::path(
    patch, path = "/agents/{agent}", tag = "agents", params(("agent" = String, Path, description = "Its id")),
    request_body = AgentChange, security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The agent as it is now", body = Shown))
)]
async fn change_agent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    seen: IfMatch,
    Taken(body): Taken<AgentChange>,
) -> Answer<Tagged<Shown>> {
    let now = reached(&rooms, &caller, &id).await?;
    seen.check(&state(&now))?;
    let change = Change {
        name: body.name.unwrap_or(now.name),
        trust: body.trust.unwrap_or(now.trust),
        servers: body.servers.unwrap_or(now.servers),
        scopes: body.scopes.unwrap_or(now.scopes),
        may_act_for: body.may_act_for.unwrap_or(now.may_act_for),
        delegation: body.delegation.unwrap_or(now.delegation),
        expires_at: body.expires_at.map_or(now.expires_at, |at| at.map(Timestamp)),
    };
    let (agents, by) = (rooms.issuer()?.agents(), &caller.principal.user);
    let agent = agents.change_owned(&id, &change, body.owner.as_deref(), by).await?;
    let what = match &body.owner {
        None => "changed".to_owned(),
        Some(owner) => format!("changed, and handed over to {owner}"),
    };
    journal::happened(&rooms, &caller, What::AgentChanged, ("agent", &id), &what).await?;
    Ok(tagged(agent))
}

/// Stops an agent: every token that it holds is refused within a second.
#[utoipa::path(
    post, path = "/agents/{agent}/disable", tag = "agents", params(("agent" = String, Path, description = "Its id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The agent as it is now", body = Shown))
)]
async fn disable_agent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
) -> Answer<Tagged<Shown>> {
    set_active(&rooms, &caller, &id, false).await
}

/// Lets a stopped agent go on, unless its owner is disabled.
#[utoipa::path(
    post, path = "/agents/{agent}/enable", tag = "agents", params(("agent" = String, Path, description = "Its id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 200, description = "The agent as it is now", body = Shown))
)]
async fn enable_agent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
) -> Answer<Tagged<Shown>> {
    set_active(&rooms, &caller, &id, true).await
}

async fn set_active(rooms: &Rooms, caller: &Caller, id: &str, active: bool) -> Answer<Tagged<Shown>> {
    reached(rooms, caller, id).await?;
    let agent = rooms.issuer()?.agents().set_active(id, active, &caller.principal.user).await?;
    let what = if active { "enabled" } else { "disabled" };
    journal::happened(rooms, caller, What::AgentChanged, ("agent", id), what).await?;
    Ok(tagged(agent))
}
