//! OAuth clients: those written down in the configuration, and those that were seen because somebody gave them a grant.

use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Window};
use crate::problem::Problem;
use crate::taken::{Asked, Taken, is_id};
use authn::revocations::{self, Kind, Revocation};
use axum::Json;
use axum::extract::State;
use issuer::grant;
use model::Code;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_clients))
        .routes(routes!(block_client))
        .routes(routes!(unblock_client))
}

/// A client. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
struct Client {
    /// Its id: a name, a URL of its own document, or one that carries its registration.
    id: String,
    /// `configured`, `document`, `registered`, or `agent`.
    kind: &'static str,
    /// Its name, if the configuration has one.
    name: Option<String>,
    /// How many grants there are, those that ended a while ago apart.
    grants: i64,
    /// When a token was last issued to it.
    last_used_at: Option<i64>,
    /// Whether it is blocked.
    blocked: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListClients {
    /// Only as seen in this tenant.
    tenant: Option<String>,
    /// The most rows, 1 to 200.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists clients: configured ones, and those that people of the tenant let do something.
#[utoipa::path(
    get, path = "/clients", tag = "clients", params(ListClients), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of clients", body = Page<Client>))
)]
async fn list_clients(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<ListClients>,
) -> Answer<Json<Page<Client>>> {
    let window = Window::read(asked.limit, asked.cursor.as_deref())?;
    let tenant = caller.tenant(asked.tenant.as_deref())?;
    let issuer = rooms.issuer()?;
    let of = revocations::Page { kind: Some(Kind::Client), ..revocations::Page::default() };
    let rows = revocations::page(&rooms.parts.db, &of, rooms.parts.clock.now(), MOST).await?;
    let is_blocked = |row: &revocations::Listed| row.tenant.is_none() && row.not_before.is_none();
    let blocked: BTreeSet<String> = rows.into_iter().filter(is_blocked).map(|row| row.id).collect();
    let mut clients = BTreeMap::new();
    for (id, client) in &issuer.config().clients {
        let name = Some(client.name.clone());
        let row = Client {
            id: id.clone(),
            kind: "configured",
            name,
            grants: 0,
            last_used_at: None,
            blocked: false,
        };
        clients.insert(id.clone(), row);
    }
    for seen in grant::clients(issuer, tenant.as_deref(), MOST).await? {
        let id = seen.client.clone();
        let kind = kind(&id);
        let row = clients.entry(id.clone()).or_insert(Client {
            id,
            kind,
            name: None,
            grants: 0,
            last_used_at: None,
            blocked: false,
        });
        row.grants = seen.grants;
        row.last_used_at = Some(seen.used_at.0);
    }
    let rows =
        clients.into_values().map(|row| Client { blocked: blocked.contains(&row.id), ..row }).collect();
    Ok(Json(window.page_of_all(rows, |row: &Client| row.id.clone(), |row| row)))
}

fn kind(id: &str) -> &'static str {
    if id.contains("://") {
        "document"
    } else if id.starts_with("agt_") {
        "agent"
    } else {
        "registered"
    }
}

/// A client.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Its id.
    client: String,
    /// Why, for the record.
    #[serde(default)]
    reason: String,
}

/// Blocks a client for everybody: it begins nothing and gets nothing more, and its tokens are refused within a second.
#[utoipa::path(
    post, path = "/clients/block", tag = "clients", request_body = Which, security(("bearer" = ["operator:write"])),
    responses((status = 204, description = "Blocked"))
)]
async fn block_client(State(rooms): State<Rooms>, caller: Caller, Taken(body): Taken<Which>) -> Answer<Done> {
    let row = revocation(&caller, body)?;
    revocations::revoke(&rooms.parts.db, &row, rooms.parts.clock.now()).await?;
    Ok(Done)
}

/// Lets a blocked client begin again. What had ended does not come back.
#[utoipa::path(
    post, path = "/clients/unblock", tag = "clients", request_body = Which, security(("bearer" = ["operator:write"])),
    responses((status = 204, description = "Not blocked any more"))
)]
async fn unblock_client(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(body): Taken<Which>,
) -> Answer<Done> {
    let row = revocation(&caller, body)?;
    let lifted = revocations::lift(&rooms.parts.db, &row, rooms.parts.clock.now()).await?;
    if lifted { Ok(Done) } else { Err(Problem::of(Code::ADMIN_NOT_FOUND)) }
}

fn revocation(caller: &Caller, body: Which) -> Result<Revocation, Problem> {
    if !is_id(&body.client) {
        return Err(Problem::invalid("`client` is not 1 to 512 visible ASCII characters"));
    }
    Ok(Revocation::new(Kind::Client, body.client, caller.principal.user.as_ref()).because(body.reason))
}

/// The most rows that are looked at.
const MOST: i64 = 10_000;
