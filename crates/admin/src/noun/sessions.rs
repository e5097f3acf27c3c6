//! Sessions of browsers.

use super::people;
use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::taken::{Asked, Ids};
use axum::Json;
use axum::extract::State;
use issuer::grant::Why;
use issuer::session::Session;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_sessions))
        .routes(routes!(end_session))
        .routes(routes!(list_own_sessions))
        .routes(routes!(end_own_session))
}

/// A browser's session. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct Shown {
    /// Its id: `sid` of tokens.
    id: String,
    /// The person.
    user: String,
    /// The tenant.
    tenant: String,
    /// Who vouched for them; absent for a local account.
    issuer: Option<String>,
    /// When they showed who they are.
    authenticated_at: i64,
    /// How.
    amr: Vec<String>,
    /// When it ends, whatever happens.
    expires_at: i64,
}

impl Shown {
    fn of(row: Session) -> Self {
        Self {
            id: row.id,
            user: row.user,
            tenant: row.tenant,
            issuer: row.issuer,
            authenticated_at: row.auth_time.0,
            amr: row.amr,
            expires_at: row.expires_at.0,
        }
    }
}

/// Lists a person's open sessions, the latest 100 of them.
#[utoipa::path(
    get, path = "/people/{person}/sessions", tag = "sessions",
    params(("person" = String, Path, description = "The person's id"), Paged), security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of sessions", body = Page<Shown>))
)]
async fn list_sessions(
    State(rooms): State<Rooms>,
    caller: Caller,
    Ids([id]): Ids<1>,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    people::reached(&rooms, &caller, &id).await?;
    page(&rooms, &id, &asked).await
}

/// Ends a session, and with it every token that came from it.
#[utoipa::path(
    delete, path = "/sessions/{session}", tag = "sessions", params(("session" = String, Path, description = "Its id")),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Ended"))
)]
async fn end_session(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Done> {
    let found = rooms.issuer()?.sessions().by_id(&id).await?;
    let session = caller.reached(found, |session| &session.tenant)?;
    end(&rooms, &session, &caller.principal.user).await
}

/// Lists the caller's own open sessions.
#[utoipa::path(
    get, path = "/me/sessions", tag = "me", params(Paged), security(("bearer" = ["self:read"])),
    responses((status = 200, description = "A page of sessions", body = Page<Shown>))
)]
async fn list_own_sessions(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<Paged>,
) -> Answer<Json<Page<Shown>>> {
    page(&rooms, &people::own(&rooms, &caller).await?, &asked).await
}

/// Ends one of the caller's own sessions.
#[utoipa::path(
    delete, path = "/me/sessions/{session}", tag = "me", params(("session" = String, Path, description = "Its id")),
    security(("bearer" = ["self:write"])),
    responses((status = 204, description = "Ended"))
)]
async fn end_own_session(State(rooms): State<Rooms>, caller: Caller, Ids([id]): Ids<1>) -> Answer<Done> {
    let found = rooms.issuer()?.sessions().by_id(&id).await?;
    let user = people::own(&rooms, &caller).await?;
    let own = found.filter(|session| session.user == user);
    let session = caller.reached(own, |session| &session.tenant)?;
    end(&rooms, &session, &user).await
}

async fn page(rooms: &Rooms, user: &str, asked: &Paged) -> Answer<Json<Page<Shown>>> {
    let window = asked.window()?;
    let mut rows = rooms.issuer()?.sessions().of_user(user).await?;
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Json(window.page_of_all(rows, |row| row.id.clone(), Shown::of)))
}

async fn end(rooms: &Rooms, session: &Session, by: &str) -> Answer<Done> {
    rooms.issuer()?.end_session(session, Why { by, reason: "by the admin API" }).await?;
    Ok(Done)
}
