//! Consents: what people have allowed clients. To withdraw one revokes the grants made by it.

use super::people;
use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::taken::{Asked, Ids};
use axum::Json;
use axum::extract::State;
use issuer::consent::Consent;
use model::Code;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_consents))
        .routes(routes!(withdraw_consent))
        .routes(routes!(list_own_consents))
        .routes(routes!(withdraw_own_consent))
}

/// A consent. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Consent)]
struct Shown {
    /// Its id.
    id: String,
    /// The person.
    user: String,
    /// The client.
    client: String,
    /// What it called itself then.
    client_name: String,
    /// The endpoint.
    resource: String,
    /// What it allows.
    scopes: Vec<String>,
    /// Where the browser is sent back to.
    redirect_host: String,
    /// When it was given.
    created_at: i64,
    /// When it was last gone by.
    last_used_at: i64,
    /// When it ends.
    expires_at: i64,
}

impl Shown {
    fn of(row: Consent) -> Self {
        Self {
            id: row.id,
            user: row.user,
            client: row.client,
            client_name: row.client_name,
            resource: row.resource,
            scopes: row.scopes,
            redirect_host: row.redirect_host,
            created_at: row.given_at.0,
            last_used_at: row.last_used_at.0,
            expires_at: row.expires_at.0,
        }
    }
}

/// Lists a person's consents.
#[utoipa::path(
    get, path = "/people/{person}/consents", tag = "consents",
    params(("person" = String, Path, description = "The person's id"), Paged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of consents", body = Page<Shown>))
)]
async fn list_consents(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    people::reached(&rooms, &caller, &id).await?;
    page(&rooms, &id, &asked).await
}

/// Withdraws a person's consent: the grants made by it are revoked within a second.
#[utoipa::path(
    delete, path = "/people/{person}/consents/{consent}", tag = "consents",
    params(
        ("person" = String, Path, description = "The person's id"),
        ("consent" = String, Path, description = "Its id"),
    ),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Withdrawn"))
)]
async fn withdraw_consent(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([person, id]): Ids<2>,
) -> Answer<Done> {
    people::reached(&rooms, &caller, &person).await?;
    withdraw(&rooms, &person, &id, &caller.principal.user).await
}

/// Lists the caller's own consents.
#[utoipa::path(
    get, path = "/me/consents", tag = "me", params(Paged), security(("bearer" = ["self:read"])),
    responses((status = 200, description = "A page of consents", body = Page<Shown>))
)]
async fn list_own_consents(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    page(&rooms, &people::own(&rooms, &caller).await?, &asked).await
}

/// Withdraws one of the caller's own consents.
#[utoipa::path(
    delete, path = "/me/consents/{consent}", tag = "me", params(("consent" = String, Path, description = "Its id")),
    security(("bearer" = ["self:write"])),
    responses((status = 204, description = "Withdrawn"))
)]
async fn withdraw_own_consent(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Done> {
    let user = people::own(&rooms, &caller).await?;
    withdraw(&rooms, &user, &id, &user).await
}

async fn page(rooms: &Rooms, user: &str, asked: &Paged) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let mut rows = rooms.issuer()?.consents().of_user(user).await?;
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(window.page_of_all(rows, |row| row.id.clone(), Shown::of)))
}

async fn withdraw(rooms: &Rooms, user: &str, id: &str, by: &str) -> Answer<Done> {
    let withdrawn = rooms.issuer()?.withdraw(user, id, by).await?;
    withdrawn.map(|_| Done).ok_or_else(|| Problem::of(Code::ADMIN_NOT_FOUND))
}
