//! `Idempotency-Key`: a request that is sent again because its answer was lost is not done again.
//!
//! A key is its caller's, for one method and path. The first request takes it with one conditional write; while it runs,
//! and where nobody knows how it ended, others are told so (409). When it succeeded its answer is kept for an hour, sealed,
//! since it may hold a credential that is shown once, and given again. One that was refused leaves the key free.

use crate::admin::Rooms;
use crate::caller::Caller;
use crate::problem::Problem;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use model::{Code, Digest, Timestamp};
use std::time::Duration;
use storage::{Db, StorageError, on, sqlx};

/// Whose turn it is.
pub(crate) enum Turn {
    /// There is no key; nothing is kept.
    Unkept,
    /// The first with this key.
    First(Ticket),
    /// It was done; this is its answer.
    Again(Response),
}

/// A key that was taken.
pub(crate) struct Ticket(String);

/// Takes the key of a request, if it has one.
///
/// # Errors
/// A key of the wrong shape, one whose request still runs or ended nobody knows how, one that was used for another body.
pub(crate) async fn take(
    rooms: &Rooms,
    caller: &Caller,
    parts: &Parts,
    body: &Bytes,
) -> Result<Turn, Problem> {
    let Some(key) = key_of(&parts.headers)? else { return Ok(Turn::Unkept) };
    if parts.method != Method::POST {
        return Ok(Turn::Unkept);
    }
    let who = &caller.principal;
    let whose =
        [&*who.issuer, &*who.tenant, &*who.user, &*who.client, who.agent.as_deref().unwrap_or_default()];
    let what = [parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default(), key];
    let id = Digest::of(&serde_json::to_vec(&(whose, what)).unwrap_or_default()).to_string();
    let request = Digest::of(body).to_string();
    match begin(&rooms.parts.db, &id, &request, rooms.parts.clock.now()).await? {
        Found::Nothing => Ok(Turn::First(Ticket(id))),
        Found::Another => Err(Problem::of(Code::ADMIN_REPEATED)
            .with_status(StatusCode::UNPROCESSABLE_ENTITY)
            .with_detail("this `Idempotency-Key` was used for another body")),
        Found::Running => Err(Problem::of(Code::ADMIN_REPEATED)),
        Found::Answered(sealed) => {
            let plain = rooms.parts.keyring.unseal(&who.tenant, &belongs_to(&id), &sealed).await?;
            let kept = plain.lend(|plain| serde_json::from_slice::<Kept>(plain));
            Ok(Turn::Again(kept.map_err(|error| Problem::of(Code::INTERNAL).because(error))?.response()))
        }
    }
}

/// Keeps the answer of a request that succeeded; frees the key of one that was refused.
pub(crate) async fn keep(
    rooms: &Rooms,
    caller: &Caller,
    ticket: Option<Ticket>,
    response: Response,
) -> Response {
    let Some(ticket) = ticket else { return response };
    if response.status().is_client_error() {
        give_back(rooms, Some(ticket)).await;
        return response;
    }
    if !response.status().is_success() {
        // Nobody knows how far it came: the key stays taken.
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, ANSWER_BYTES).await else {
        return Problem::of(Code::INTERNAL).into_response();
    };
    let kept = Kept::of(parts.status, &parts.headers, &body);
    let plain = serde_json::to_vec(&kept).unwrap_or_default();
    let tenant = &caller.principal.tenant;
    let sealed = rooms.parts.keyring.seal(tenant, &belongs_to(&ticket.0), &plain).await;
    let stored = match sealed {
        Ok(sealed) => finish(&rooms.parts.db, &ticket.0, &sealed).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    if let Err(error) = stored {
        // It is done and its caller learns so; one that asks again is told that nobody knows.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "an answer was not kept for its idempotency key"
        );
    }
    Response::from_parts(parts, Body::from(body))
}

/// Frees a key: nothing was done under it.
pub(crate) async fn give_back(rooms: &Rooms, ticket: Option<Ticket>) {
    const FREE: &str = "DELETE FROM admin_answers WHERE id = $1 AND answer IS NULL";
    let Some(Ticket(id)) = ticket else { return };
    let freed = on!(rooms.parts.db, pool => sqlx::query(FREE).bind(&id).execute(pool).await.map(drop));
    if let Err(error) = freed {
        tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key was not freed");
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let (first, second) = (given.next(), given.next());
    let Some(key) = first else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| second.is_none() && (1..=128).contains(&text.len()));
    text.map(Some)
        .ok_or_else(|| Problem::invalid("`Idempotency-Key` is not one of 1 to 128 visible characters"))
}

/// An answer, as it is kept.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Kept {
    fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let kept = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];
        let text = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
        Self {
            status: status.as_u16(),
            headers: kept.iter().filter_map(text).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), value.parse()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Running,
    Another,
    Answered(Vec<u8>),
}

async fn begin(db: &Db, id: &str, request: &str, now: Timestamp) -> Result<Found, StorageError> {
    const OVER: &str = "DELETE FROM admin_answers WHERE id = $1 AND expires_at <= $2";
    const TAKE: &str = "INSERT INTO admin_answers (id, request, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO NOTHING RETURNING id";
    const LOOK: &str = "SELECT request, answer FROM admin_answers WHERE id = $1";
    on!(db, pool => sqlx::query(OVER).bind(id).bind(now.0).execute(pool).await.map(drop))?;
    let until = now.after(KEPT).0;
    let taken: Option<String> = on!(db, pool => {
        sqlx::query_scalar(TAKE).bind(id).bind(request).bind(until).fetch_optional(pool).await
    })?;
    if taken.is_some() {
        return Ok(Found::Nothing);
    }
    let found: Option<(String, Option<Vec<u8>>)> =
        on!(db, pool => sqlx::query_as(LOOK).bind(id).fetch_optional(pool).await)?;
    Ok(match found {
        Some((kept, _)) if kept != request => Found::Another,
        Some((_, Some(answer))) => Found::Answered(answer),
        // Gone in between: its request was refused just now.
        Some((_, None)) | None => Found::Running,
    })
}

async fn finish(db: &Db, id: &str, sealed: &[u8]) -> Result<(), StorageError> {
    const KEEP: &str = "UPDATE admin_answers SET answer = $2 WHERE id = $1";
    Ok(on!(db, pool => sqlx::query(KEEP).bind(id).bind(sealed).execute(pool).await.map(drop))?)
}

/// Forgets what was kept long enough.
pub(crate) async fn forget_old(db: &Db, now: Timestamp) -> Result<(), StorageError> {
    const OLD: &str = "DELETE FROM admin_answers WHERE expires_at <= $1";
    Ok(on!(db, pool => sqlx::query(OLD).bind(now.0).execute(pool).await.map(drop))?)
}

fn belongs_to(id: &str) -> String {
    format!("admin-answer|{id}")
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long an answer is given again.
const KEPT: Duration = Duration::from_secs(3600);
/// The largest answer that is kept.
const ANSWER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use testdb::TestDb;

    #[tokio::test]
    async fn a_key_is_taken_once_and_answers_again_until_it_is_over() {
        for test in TestDb::each().await {
            let (db, now) = (&test.db, Timestamp(1_000));
            assert_eq!(begin(db, "k", "r", now).await.unwrap(), Found::Nothing);
            assert_eq!(begin(db, "k", "r", now).await.unwrap(), Found::Running);
            assert_eq!(begin(db, "k", "other", now).await.unwrap(), Found::Another);
            finish(db, "k", b"sealed").await.unwrap();
            assert_eq!(begin(db, "k", "r", now).await.unwrap(), Found::Answered(b"sealed".to_vec()));
            let later = now.after(KEPT);
            assert_eq!(begin(db, "k", "r", later).await.unwrap(), Found::Nothing);
            forget_old(db, later.after(KEPT)).await.unwrap();
            assert_eq!(begin(db, "k", "other", later).await.unwrap(), Found::Nothing);
        }
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_first() {
        for test in TestDb::each().await {
            let mut turns = Vec::new();
            for _ in 0..20 {
                let db = test.db.clone();
                turns.push(tokio::spawn(async move { begin(&db, "k", "r", Timestamp(1)).await.unwrap() }));
            }
            let mut first = 0;
            for turn in turns {
                first += usize::from(turn.await.unwrap() == Found::Nothing);
            }
            assert_eq!(first, 1);
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, "/api/v1/agents/a".parse().unwrap());
        headers.insert(header::SET_COOKIE, "x=y".parse().unwrap());
        let kept = serde_json::to_vec(&Kept::of(StatusCode::CREATED, &headers, b"{}")).unwrap();
        let again = serde_json::from_slice::<Kept>(&kept).unwrap().response();
        assert_eq!(again.status(), 201);
        assert_eq!(again.headers()[header::LOCATION], "/api/v1/agents/a");
        assert!(!again.headers().contains_key(header::SET_COOKIE));
    }
}
