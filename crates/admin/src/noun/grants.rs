//! Grants: what people and agents let clients do, until it ends or is revoked.

use super::people;
use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Paged, Window};
use crate::problem::Problem;
use crate::taken::{Asked, Ids};
use axum::Json;
use axum::extract::State;
use issuer::grant::{self, Filter, Grant, Why};
use model::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_grants))
        .routes(routes!(revoke_grant))
        .routes(routes!(list_own_grants))
        .routes(routes!(revoke_own_grant))
}

/// A grant that is good. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
struct Shown {
    /// Its id: `grant_id` of its tokens.
    id: String,
    /// The tenant.
    tenant: String,
    /// The person who gave it.
    user: Option<String>,
    /// The agent that acts by it.
    agent: Option<String>,
    /// The client it was given to.
    client: String,
    /// The endpoint it is for.
    resource: String,
    /// What it allows.
    scopes: Vec<String>,
    /// The browser session in which it was given.
    session: Option<String>,
    /// When it was given.
    created_at: i64,
    /// When a token was last issued under it.
    used_at: i64,
    /// When it ends.
    expires_at: i64,
}

impl Shown {
    fn of(row: Grant) -> Self {
        Self {
            id: row.id,
            tenant: row.tenant,
            user: row.user,
            agent: row.agent,
            client: row.client,
            resource: row.resource,
            scopes: row.scopes,
            session: row.session,
            created_at: row.created_at.0,
            used_at: row.used_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListGrants {
    /// The tenant. Default: the caller's own.
    tenant: Option<String>,
    /// Only of this person.
    user: Option<String>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only to this client.
    client: Option<String>,
    /// The most rows, 1 to 200.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists a tenant's grants that are good, the newest first.
#[utoipa::path(
    get, path = "/grants", tag = "grants", params(ListGrants), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of grants", body = Page<Shown>))
)]
async fn list_grants(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<ListGrants>,
) -> Answer<Json<Page<Shown>>> {
    let window = Window::read(asked.limit, asked.cursor.as_deref())?;
    let filter = Filter {
        tenant: caller.home(asked.tenant.as_deref())?.to_string(),
        user: asked.user,
        agent: asked.agent,
        client: asked.client,
        ..Filter::default()
    };
    page(&rooms, &window, &filter).await
}

/// Revokes a grant: every token under it is refused within a second.
#[utoipa::path(
    delete, path = "/grants/{grant}", tag = "grants", params(("grant" = String, Path, description = "Its id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Revoked"))
)]
async fn revoke_grant(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Done> {
    let found = grant::find(rooms.issuer()?, &id).await?;
    caller.reached(found, |grant| &grant.tenant)?;
    revoke(&rooms, &caller, &id).await
}

/// Lists the caller's own grants that are good, the newest first.
#[utoipa::path(
    get, path = "/me/grants", tag = "me", params(Paged), security(("bearer" = ["self:read"])),
    responses((status = 200, description = "A page of grants", body = Page<Shown>))
)]
async fn list_own_grants(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let filter = Filter {
        tenant: caller.principal.tenant.to_string(),
        user: Some(people::own(&rooms, &caller).await?),
        ..Filter::default()
    };
    page(&rooms, &window, &filter).await
}

/// Revokes one of the caller's own grants.
#[utoipa::path(
    delete, path = "/me/grants/{grant}", tag = "me", params(("grant" = String, Path, description = "Its id")),
    security(("bearer" = ["self:write"])),
    responses((status = 204, description = "Revoked"))
)]
async fn revoke_own_grant(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Done> {
    let found = grant::find(rooms.issuer()?, &id).await?;
    let user = people::own(&rooms, &caller).await?;
    let own = found.filter(|grant| grant.user.as_ref() == Some(&user));
    caller.reached(own, |grant| &grant.tenant)?;
    revoke(&rooms, &caller, &id).await
}

async fn page(rooms: &Rooms, window: &Window, filter: &Filter) -> Answer<Json<Page<Shown>>> {
    let rows = grant::list(rooms.issuer()?, filter, MOST).await?;
    // The moment counts down, so that its text sorts the newest first.
    let place = |row: &Grant| format!("{:020} {}", i64::MAX - row.created_at.0, row.id);
    Ok(Json(window.page_of_all(rows, place, Shown::of)))
}

async fn revoke(rooms: &Rooms, caller: &Caller, id: &str) -> Answer<Done> {
    let why = Why { by: &caller.principal.user, reason: "by the admin API" };
    if grant::revoke(rooms.issuer()?, id, why).await? {
        Ok(Done)
    } else {
        Err(Problem::of(Code::ADMIN_NOT_FOUND))
    }
}

/// The most grants that are listed.
const MOST: i64 = 10_000;
