//! The door of the API: who asks, whether they may, and that it is on record, before an operation sees the request.

use crate::admin::{Rooms, Source};
use crate::answer::About;
use crate::bootstrap;
use crate::caller::Caller;
use crate::idempotency::{self, Turn};
use crate::journal;
use crate::need::Need;
use crate::problem::Problem;
use crate::taken::BODY_BYTES;
use authn::revocations::Freshness;
use authn::{AuthnError, Verified};
use axum::body::Body;
use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use model::{CallId, Code};
use std::time::Duration;

/// Lets a request through to its operation, or says why not.
pub(crate) async fn pass(State(rooms): State<Rooms>, request: Request, next: Next) -> Response {
    let reference = CallId::new(rooms.parts.clock.now(), rooms.parts.dice.as_ref());
    let response = match judge(&rooms, request, reference).await {
        Ok(passed) => run(&rooms, passed, next).await,
        Err(problem) => problem.into_response(),
    };
    finish(&rooms, response, reference)
}

/// A request that may be answered.
struct Passed {
    caller: Caller,
    /// The operation's name.
    name: String,
    writes: bool,
    /// What its path names.
    about: Option<(String, String)>,
    parts: Parts,
    body: Bytes,
}

async fn judge(rooms: &Rooms, request: Request, reference: CallId) -> Result<Passed, Problem> {
    let (mut parts, body) = request.into_parts();
    let matched = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let known = matched.as_deref().and_then(|path| rooms.needs.find(&parts.method, path)).cloned();
    let (caller, name, writes) = match known {
        Some(known) if known.need == Need::Nothing => {
            let principal = std::sync::Arc::new(model::Principal::service());
            (Caller { principal, reach: crate::caller::Reach::Own, reference }, known.name, false)
        }
        // What is not there is not there for those alone who showed who they are.
        known => {
            let verified = authenticate(rooms, &parts).await?;
            let Some(known) = known else { return Err(missing(matched.is_some())) };
            // SECURITY: who was revoked a moment ago changes nothing while this replica may not know it.
            if known.need.writes() && rooms.parts.authn.freshness() != Freshness::Fresh {
                return Err(Problem::of(Code::REVOCATIONS_STALE).with_status(StatusCode::SERVICE_UNAVAILABLE));
            }
            let config = rooms.config.load();
            let about = about(&mut parts, rooms).await;
            let judged = Caller::judge(&verified.principal, known.need, &config, reference);
            let caller = judged.inspect_err(|problem| {
                journal::refused(
                    rooms,
                    &verified.principal,
                    reference,
                    &known.name,
                    about.as_ref(),
                    problem.code,
                );
            })?;
            if *caller.principal.client == *bootstrap::CLIENT {
                bootstrap::put_on_record(rooms)
                    .await
                    .map_err(|error| Problem::of(Code::RECORD_UNAVAILABLE).because(error))?;
            }
            (caller, known.name, known.need.writes())
        }
    };
    // SECURITY: the caller's token goes no further than this.
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(header::COOKIE);
    let about = about(&mut parts, rooms).await;
    let body = read(body).await?;
    Ok(Passed { caller, name, writes, about, parts, body })
}

/// A token for this resource, in the header, of somebody: nobody is anonymous here, whatever the data plane allows.
async fn authenticate(rooms: &Rooms, parts: &Parts) -> Result<Verified, Problem> {
    let source = parts.extensions.get::<Source>().copied();
    let verified = if parts.headers.contains_key(header::AUTHORIZATION) {
        // SECURITY: `a_token_bound_to_a_certificate_is_good_with_it_at_the_admin_api_too`.
        let certificate = source.and_then(|source| source.certificate);
        let authn = &rooms.parts.authn;
        authn.authenticate_over(&parts.headers, &parts.uri, &rooms.resource, certificate).await
    } else {
        Err(AuthnError::Missing.into())
    };
    verified.map_err(|rejection| {
        let error = rejection.error;
        if let Some(source) = source {
            rooms.parts.failures.count(source.address, error.code(), None);
        }
        Problem { challenge: authn::challenge(error, &rooms.resource), ..Problem::of(error.code()) }
            .with_status(error.status())
            .with_detail(error.to_string())
    })
}

/// What the last id in the path is, and of what kind: `/agents/{agent}` is about an agent.
async fn about(parts: &mut Parts, rooms: &Rooms) -> Option<(String, String)> {
    let params = RawPathParams::from_request_parts(parts, rooms).await.ok()?;
    let (kind, id) = params.iter().last()?;
    Some((kind.to_owned(), id.chars().take(512).collect()))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let whole = axum::body::to_bytes(body, BODY_BYTES);
    match tokio::time::timeout(BODY_TIME, whole).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_too_long(&error) => {
            let detail = format!("the body is longer than {BODY_BYTES} bytes");
            Err(Problem::invalid(detail).with_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Ok(Err(_)) => Err(Problem::invalid("the body broke off")),
        Err(_) => {
            Err(Problem::invalid("the body did not come in time").with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

async fn run(rooms: &Rooms, passed: Passed, next: Next) -> Response {
    let Passed { caller, name, writes, about, mut parts, body } = passed;
    let turn = match idempotency::take(rooms, &caller, &parts, &body).await {
        Ok(turn) => turn,
        Err(problem) => return problem.into_response(),
    };
    let ticket = match turn {
        Turn::Again(response) => return response,
        Turn::First(ticket) => Some(ticket),
        Turn::Unkept => None,
    };
    parts.extensions.insert(caller.clone());
    let request = Request::from_parts(parts, Body::from(body));
    if !writes {
        return next.run(request).await;
    }
    // A caller who goes away does not leave a change half on record: the rest runs by itself.
    let rooms = rooms.clone();
    let done = tokio::spawn(async move {
        // INVARIANT: no change without its intent on record: `what_cannot_be_recorded_is_not_changed`.
        if let Err(problem) = journal::intended(&rooms, &caller, &name, about.as_ref()).await {
            idempotency::give_back(&rooms, ticket).await;
            return problem.into_response();
        }
        let response = next.run(request).await;
        let response = journal::ended(&rooms, &caller, &name, about.as_ref(), response).await;
        idempotency::keep(&rooms, &caller, ticket, response).await
    });
    done.await.unwrap_or_else(|_| Problem::of(Code::INTERNAL).into_response())
}

/// Gives a problem its bytes, and every answer its headers.
fn finish(rooms: &Rooms, mut response: Response, reference: CallId) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if problem.status.is_server_error() {
            let error = problem.source.as_deref().map(|error| error as &dyn std::error::Error);
            tracing::error!(%reference, code = %problem.code, error, "an operation of the admin API failed");
        }
        response = problem.render(reference);
        let challenge = match problem.scope {
            Some(scope) => Some(authn::insufficient_scope(&[scope.to_owned()], &rooms.resource)),
            None => problem.challenge,
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response.extensions_mut().remove::<About>();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The answer at a path that is none.
pub(crate) async fn nothing_here() -> Problem {
    missing(false)
}

/// The answer to a method that a path does not have.
pub(crate) async fn not_so() -> Problem {
    missing(true)
}

fn missing(is_path: bool) -> Problem {
    if is_path {
        Problem::of(Code::ADMIN_NOT_FOUND)
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_detail("this path does not have this method")
    } else {
        Problem::of(Code::ADMIN_NOT_FOUND)
    }
}

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(20);
