//! The keys that sign our tokens.

use crate::admin::Rooms;
use crate::answer::{Answer, Done};
use crate::caller::Caller;
use crate::page::{Page, Paged};
use crate::problem::Problem;
use crate::taken::{Asked, Ids};
use authn::revocations::{self, KeyError, Kind, Revocation};
use axum::Json;
use axum::extract::State;
use model::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vault::{KeyState, SigningKeyRow, SigningKeys};

pub(super) fn routes() -> OpenApiRouter<Rooms> {
    OpenApiRouter::default()
        .routes(routes!(list_keys))
        .routes(routes!(rotate_keys))
        .routes(routes!(revoke_key))
}

/// A key that signs, signed or will sign. Its private half is never shown. Times are milliseconds since the epoch.
#[derive(Serialize, ToSchema)]
struct Key {
    /// Its id: the thumbprint of RFC 7638.
    id: String,
    /// `next`, `active`, `retiring`, `removed` or `revoked`.
    #[schema(value_type = String, example = "active")]
    state: KeyState,
    /// When it was made.
    created_at: i64,
    /// Since when it signs.
    activated_at: Option<i64>,
    /// Since when it no longer signs.
    retired_at: Option<i64>,
    /// Since when it is no longer published.
    ended_at: Option<i64>,
}

impl Key {
    fn of(row: SigningKeyRow) -> Self {
        Self {
            id: row.kid,
            state: row.state,
            created_at: row.created_at.0,
            activated_at: row.activated_at.map(|at| at.0),
            retired_at: row.retired_at.map(|at| at.0),
            ended_at: row.ended_at.map(|at| at.0),
        }
    }
}

/// Lists the keys, newest first.
#[utoipa::path(
    get, path = "/keys", tag = "keys", params(Paged), security(("bearer" = ["operator:read"])),
    responses((status = 200, description = "A page of keys", body = Page<Key>))
)]
async fn list_keys(State(rooms): State<Rooms>, Asked(asked): Asked<Paged>) -> Answer<Json<Page<Key>>> {
    let window = asked.window()?;
    let mut rows = rooms.parts.keys.list().await?;
    // The moment counts down, so that its text sorts the newest first.
    let place = |row: &SigningKeyRow| format!("{:020} {}", i64::MAX - row.created_at.0, row.kid);
    rows.sort_by_key(place);
    Ok(Json(window.page_of_all(rows, place, Key::of)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct RotateKeys {
    /// Even if the next key was published so lately that who keeps a copy of the key set may not know it.
    force: Option<bool>,
}

/// Lets the next key sign from now on. The one that signed stays published as long as its tokens may live.
#[utoipa::path(
    post, path = "/keys/rotate", tag = "keys", params(RotateKeys), security(("bearer" = ["operator:write"])),
    responses((status = 204, description = "Rotated"))
)]
async fn rotate_keys(State(rooms): State<Rooms>, Asked(asked): Asked<RotateKeys>) -> Answer<Done> {
    let rows = rooms.parts.keys.list().await?;
    if asked.force != Some(true) && !SigningKeys::next_is_known(&rows, rooms.parts.clock.now()) {
        let detail =
            "the next key was published so lately that who keeps a copy of the key set may not know it";
        return Err(Problem::conflict(detail));
    }
    rooms.parts.keys.rotate().await?;
    Ok(Done)
}

/// Takes a key out of use at once: every token it signed is refused within a second, on every replica.
#[utoipa::path(
    post, path = "/keys/{key}/revoke", tag = "keys", params(("key" = String, Path, description = "Its id")),
    security(("bearer" = ["operator:write"])),
    responses((status = 204, description = "Revoked"))
)]
async fn revoke_key(State(rooms): State<Rooms>, caller: Caller, Ids([kid]): Ids<1>) -> Answer<Done> {
    let parts = &rooms.parts;
    if !parts.keys.list().await?.iter().any(|row| row.kid == kid) {
        return Err(Problem::of(Code::ADMIN_NOT_FOUND));
    }
    let revocation =
        Revocation::new(Kind::Key, kid, caller.principal.user.as_ref()).because("by the admin API");
    match revocations::revoke_key(&parts.db, &parts.keys, revocation, parts.clock.now()).await {
        Ok(()) => Ok(Done),
        Err(KeyError::Row(error)) => Err(error.into()),
        Err(KeyError::KeySet(error)) => Err(error.into()),
    }
}
