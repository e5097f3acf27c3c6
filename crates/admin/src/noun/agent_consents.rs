//! Which agents people let act for them. To take that back revokes the grants made by it.

use super::people;
use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::taken::{Asked, Ids};
use axum::Json;
use axum::extract::State;
use issuer::agent::AgentConsent;
use model::Code;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_agent_consents))
        .routes(routes!(withdraw_agent_consent))
        .routes(routes!(list_own_agent_consents))
        .routes(routes!(withdraw_own_agent_consent))
}

/// An agent that may act for a person.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentConsent)]
struct Shown {
    /// The agent's id.
    agent: String,
    /// Its name.
    name: String,
    /// Where it may.
    places: Vec<Place>,
}

/// One endpoint at which an agent may act for a person. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentConsentPlace)]
struct Place {
    /// The endpoint.
    resource: String,
    /// The most it may have there.
    scopes: Vec<String>,
    /// When the person allowed it.
    created_at: i64,
    /// When they are asked again.
    expires_at: i64,
}

/// Lists the agents that a person lets act for them.
#[utoipa::path(
    get, path = "/people/{person}/agent-consents", tag = "consents",
    params(("person" = String, Path, description = "The person's id"), Paged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of agents", body = Page<Shown>))
)]
async fn list_agent_consents(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    people::reached(&rooms, &caller, &id).await?;
    page(&rooms, &id, &asked).await
}

/// Takes back that an agent may act for a person: the grants made by it are revoked within a second.
#[utoipa::path(
    delete, path = "/people/{person}/agent-consents/{agent}", tag = "consents",
    params(
        ("person" = String, Path, description = "The person's id"),
        ("agent" = String, Path, description = "The agent's id"),
    ),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Withdrawn"))
)]
async fn withdraw_agent_consent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id, agent]): Ids<2>,
) -> Answer<Done> {
    let person = people::reached(&rooms, &caller, &id).await?;
    withdraw(&rooms, &person.tenant, &id, &agent, &caller.principal.user).await
}

/// Lists the agents that the caller lets act for them.
#[utoipa::path(
    get, path = "/me/agent-consents", tag = "me", params(Paged), security(("bearer" = ["self:read"])),
    responses((status = 200, description = "A page of agents", body = Page<Shown>))
)]
async fn list_own_agent_consents(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    page(&rooms, &people::own(&rooms, &caller).await?, &asked).await
}

/// Takes back that an agent may act for the caller.
#[utoipa::path(
    delete, path = "/me/agent-consents/{agent}", tag = "me",
    params(("agent" = String, Path, description = "The agent's id")),
    security(("bearer" = ["self:write"])),
    responses((status = 204, description = "Withdrawn"))
)]
async fn withdraw_own_agent_consent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([agent]): Ids<1>,
) -> Answer<Done> {
    let user = people::own(&rooms, &caller).await?;
    withdraw(&rooms, &caller.principal.tenant, &user, &agent, &user).await
}

async fn page(rooms: &Rooms, user: &str, asked: &Paged) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let mut agents: BTreeMap<String, Vec<AgentConsent>> = BTreeMap::new();
    for consent in rooms.issuer()?.agent_consents().of_user(user).await? {
        agents.entry(consent.agent.clone()).or_default().push(consent);
    }
    Ok(Json(window.page_of_all(agents.into_iter().collect(), |(agent, _)| agent.clone(), shown)))
}

fn shown((agent, consents): (String, Vec<AgentConsent>)) -> Shown {
    let name = consents.first().map(|consent| consent.name.clone()).unwrap_or_default();
    let place = |consent: AgentConsent| Place {
        resource: consent.resource,
        scopes: consent.scopes,
        created_at: consent.given_at.0,
        expires_at: consent.expires_at.0,
    };
    Shown { agent, name, places: consents.into_iter().map(place).collect() }
}

async fn withdraw(rooms: &Rooms, tenant: &str, user: &str, agent: &str, by: &str) -> Answer<Done> {
    let any = rooms.issuer()?.withdraw_from_agent(tenant, user, agent, by).await?;
    if any { Ok(Done) } else { Err(Problem::of(Code::ADMIN_NOT_FOUND)) }
}
