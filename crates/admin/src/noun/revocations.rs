//! What is revoked: on every replica, for every request, within a second.

use crate::admin::Rooms;
use crate::answer::{About, Answer, Created, Done};
use crate::caller::{Caller, Reach};
use crate::page::{Page, Window};
use crate::problem::Problem;
use crate::tag;
use crate::taken::{Asked, Ids, Taken, is_id};
use authn::revocations::{self, Kind, Listed, Revocation};
use axum::Json;
use axum::extract::State;
use model::{Code, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_revocations, create_revocation))
        .routes(routes!(lift_revocation))
        .routes(routes!(show_view))
}

/// A revocation that is not over. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
#[schema(as = Revocation)]
struct Shown {
    /// Its number.
    number: i64,
    /// `token`, `grant`, `session`, `user`, `agent`, `client`, `key` or `server`.
    #[schema(value_type = String, example = "session")]
    kind: Kind,
    /// Which one.
    id: String,
    /// Of this tenant only.
    tenant: Option<String>,
    /// Of this issuer only.
    issuer: Option<String>,
    /// Only what was issued before; absent: everything.
    issued_before: Option<i64>,
    /// When it is over; absent: never.
    expires_at: Option<i64>,
    /// Why.
    reason: String,
    /// Who revoked it.
    by: String,
    /// When.
    created_at: i64,
}

impl Shown {
    fn of(row: Listed) -> Self {
        Self {
            number: row.seq,
            kind: row.kind,
            id: row.id,
            tenant: row.tenant,
            issuer: row.issuer,
            issued_before: row.not_before.map(|at| at.0),
            expires_at: row.expires_at.map(|at| at.0),
            reason: row.reason,
            by: row.by,
            created_at: row.created_at.0,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListRevocations {
    /// Only this kind.
    kind: Option<String>,
    /// Only of this tenant.
    tenant: Option<String>,
    /// The most rows, 1 to 200.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists what is revoked and not over, the newest first.
#[utoipa::path(
    get, path = "/revocations", tag = "revocations", params(ListRevocations),
    security(("bearer" = ["admin:read"])),
    responses((status = 200, description = "A page of revocations", body = Page<Shown>))
)]
async fn list_revocations(
    State(rooms): State<Rooms>,
    caller: Caller,
    Asked(asked): Asked<ListRevocations>,
) -> Answer<Json<Page<Shown>>> {
    let window = Window::read(asked.limit, asked.cursor.as_deref())?;
    let before = match &window.after {
        None => None,
        Some(after) => {
            Some(after.parse().map_err(|_| Problem::invalid("`cursor` is none that this list gave out"))?)
        }
    };
    let tenant = caller.tenant(asked.tenant.as_deref())?;
    let kind = asked.kind.as_deref().map(kind).transpose()?;
    let page = revocations::Page { kind, tenant: tenant.as_deref(), before };
    let now = rooms.parts.clock.now();
    let rows = revocations::page(&rooms.parts.db, &page, now, window.rows()).await?;
    Ok(Json(window.page(rows, |row| row.seq.to_string(), Shown::of)))
}

/// What is to be revoked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRevocation {
    /// `token`, `grant`, `session`, `user`, `agent`, `client`, `key` or `server`. The last two are an operator's.
    kind: String,
    /// Which one: an id; of a token its `jti` or the SHA-256 of it in hexadecimal; of a server its name.
    id: String,
    /// Of this tenant only. An administrator's own tenant, unless an operator says otherwise.
    tenant: Option<String>,
    /// Of this issuer only: external issuers may use the same ids as we do.
    issuer: Option<String>,
    /// Only what was issued until now: whoever it is may sign in again.
    #[serde(default)]
    issued_until_now: bool,
    /// When it is over, in milliseconds since the epoch; absent: never.
    expires_at: Option<i64>,
    /// Why, for the record. No token, no secret, no e-mail address.
    #[serde(default)]
    reason: String,
}

/// Revokes something. When this is answered, every replica that reaches the database refuses within a second.
#[utoipa::path(
    post, path = "/revocations", tag = "revocations", request_body = NewRevocation,
    security(("bearer" = ["admin:write"])),
    responses((status = 201, description = "Revoked", body = Shown))
)]
async fn create_revocation(
    State(rooms): State<Rooms>,
    caller: Caller,
    Taken(new): Taken<NewRevocation>,
) -> Answer<Created<Shown>> {
    let kind = kind(&new.kind)?;
    // SECURITY: what reaches beyond a tenant is an operator's: `a_tenants_admin_revokes_in_the_tenant_and_nowhere_else`.
    if matches!(kind, Kind::Key | Kind::Server) && caller.reach != Reach::House {
        return Err(Problem::of(Code::ADMIN_ROLE));
    }
    if !is_id(&new.id) {
        return Err(Problem::invalid("`id` is not 1 to 512 visible ASCII characters"));
    }
    let now = rooms.parts.clock.now();
    if new.expires_at.is_some_and(|at| at <= now.0) {
        return Err(Problem::invalid("`expires_at` is past"));
    }
    let revocation = Revocation {
        tenant: caller.tenant(new.tenant.as_deref())?.map(|tenant| tenant.to_string()),
        issuer: new.issuer,
        not_before: new.issued_until_now.then_some(now),
        expires_at: new.expires_at.map(Timestamp),
        reason: new.reason,
        ..Revocation::new(kind, new.id, caller.principal.user.as_ref())
    };
    if kind == Kind::Key {
        // Its private half goes too, and it leaves the key set. One that is not ours is revoked by its row alone.
        match rooms.parts.keys.revoke(&revocation.id).await {
            Ok(()) | Err(vault::VaultError::UnknownKey(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let number = revocations::revoke(&rooms.parts.db, &revocation, now).await?;
    let row = Shown {
        number,
        kind,
        id: revocation.id.clone(),
        tenant: revocation.tenant,
        issuer: revocation.issuer,
        issued_before: revocation.not_before.map(|at| at.0),
        expires_at: revocation.expires_at.map(|at| at.0),
        reason: revocation.reason,
        by: revocation.by,
        created_at: now.0,
    };
    let about = About { kind: kind.as_str(), id: revocation.id };
    let tag = tag::of(&row);
    Ok(Created { about, path: format!("/revocations/{number}"), row, tag })
}

/// Takes a revocation back, and every other one of the same thing. What had ended by then does not come back.
#[utoipa::path(
    delete, path = "/revocations/{revocation}", tag = "revocations",
    params(("revocation" = i64, Path, description = "Its number")),
    security(("bearer" = ["admin:write"])),
    responses((status = 204, description = "Taken back"))
)]
async fn lift_revocation(State(rooms): State<Rooms>, caller: Caller, Ids([number]): Ids<1>) -> Answer<Done> {
    let number = number.parse().map_err(|_| Problem::of(Code::ADMIN_NOT_FOUND))?;
    let now = rooms.parts.clock.now();
    let found = revocations::revocation(&rooms.parts.db, number, now).await?;
    let row = caller.reached(found, |row| row.tenant.as_deref().unwrap_or_default())?;
    let lifted = Revocation {
        tenant: row.tenant,
        issuer: row.issuer,
        ..Revocation::new(row.kind, row.id, caller.principal.user.as_ref())
    };
    if revocations::lift(&rooms.parts.db, &lifted, now).await? {
        Ok(Done)
    } else {
        Err(Problem::of(Code::ADMIN_NOT_FOUND))
    }
}

/// What the replica that answers knows of revocations.
#[derive(Serialize, ToSchema)]
struct View {
    /// `fresh`: good for everything; `stale`: for plain reads; `lost`: for nothing.
    freshness: &'static str,
    /// How long ago it last knew everything, in milliseconds.
    age_ms: u64,
    /// How many revocations it goes by.
    rows: u64,
}

/// How fresh the knowledge of the replica that answers is.
#[utoipa::path(
    get, path = "/revocation-view", tag = "revocations", security(("bearer" = ["operator:read"])),
    responses((status = 200, description = "Of this replica", body = View))
)]
async fn show_view(State(rooms): State<Rooms>) -> Json<View> {
    let (age, rows) = rooms.parts.authn.revocation_view().unwrap_or_default();
    Json(View {
        freshness: rooms.parts.authn.freshness().as_str(),
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        rows: u64::try_from(rows).unwrap_or(u64::MAX),
    })
}

fn kind(word: &str) -> Result<Kind, Problem> {
    Kind::parse(word).ok_or_else(|| {
        let words: Vec<&str> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        Problem::invalid(format!("`kind` is not one of {}", words.join(", ")))
    })
}
