//! Success or failure becomes bytes, here only.

use crate::house::House;
use crate::stop::{Denied, Fault, Refusal, Stop, Why};
use crate::trail::Trail;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use model::{Code, ErrorKind};
use net::Body;
use net::body::Abort;
use protocol::{Era, Id, Method, Version, reply};
use serde_json::{Map, Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What goes back to the client.
pub type Reply = Response<Body>;

/// A JSON-RPC result.
pub(crate) fn result(id: &Id, result: &[u8]) -> Reply {
    json(StatusCode::OK, reply::result(id, result))
}

/// A whole JSON body.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Reply {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A stream of server-sent events.
pub(crate) fn events(body: Body) -> Reply {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Reverse proxies must not hold events back (MCP 2026-07-28, streamable HTTP).
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// A stream of server-sent events that come from `reader`. `work`, if given, is driven by whoever reads the
/// body and ends with it.
pub(crate) fn stream(work: Option<BoxFuture<'static, ()>>, reader: mpsc::Receiver<Bytes>) -> Reply {
    events(Body::stream(Driven { work, reader }))
}

struct Driven {
    work: Option<BoxFuture<'static, ()>>,
    reader: mpsc::Receiver<Bytes>,
}

impl Stream for Driven {
    type Item = Result<Bytes, Abort>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        self.reader.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// The client's answer to a question, under the id by which its server asked.
pub(crate) fn with_id(response: &protocol::Response, id: Id) -> protocol::Response {
    let bytes = match &response.outcome {
        protocol::Outcome::Result(result) => reply::result(&id, result.raw().as_bytes()),
        protocol::Outcome::Error(error) => {
            let data = error.data.as_ref().map(protocol::Raw::as_bytes);
            reply::error(Some(&id), error.code, &error.message, data)
        }
    };
    protocol::Response { id: Some(id), outcome: response.outcome.clone(), bytes }
}

/// The answer to a question that no client can be asked.
pub(crate) fn cannot_ask(id: &Id) -> protocol::Response {
    let (code, message) = (reply::INTERNAL_ERROR, "the client cannot be asked");
    let bytes = reply::error(Some(id), code, message, None);
    let raw = protocol::Raw::of_value(&json!({"code": code, "message": message}));
    let error = protocol::RpcError { code, message: message.into(), data: None, raw };
    protocol::Response { id: Some(id.clone()), outcome: protocol::Outcome::Error(error), bytes }
}

/// 202 for a notification or a response.
pub(crate) fn accepted() -> Reply {
    status(StatusCode::ACCEPTED)
}

/// A status without a body.
pub(crate) fn status(status: StatusCode) -> Reply {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A failure about which nothing but its code is known.
pub(crate) fn fault(kind: ErrorKind, code: Code) -> Reply {
    let message = code.row().map_or("fault", |row| row.title);
    json(status_of(kind, code), reply::error(None, i64::from(code.0), message, None))
}

/// The reply of a request that ended early.
pub(crate) fn stop(house: &House, stop: Stop) -> Reply {
    let body = stop_in_stream(&stop);
    let Stop { trail, why, .. } = stop;
    match why {
        Why::Challenge(error) => {
            let mut response = json(error.status(), body);
            let state = house.state();
            let challenge =
                state.resources.get(&trail.endpoint).and_then(|resource| authn::challenge(error, resource));
            if let Some(challenge) = challenge {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            later(&mut response);
            response
        }
        Why::Edge(edge) => {
            let mut response = json(edge.status, body);
            if edge.status == StatusCode::METHOD_NOT_ALLOWED {
                response
                    .headers_mut()
                    .insert(http::header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            }
            response
        }
        Why::Refused(Refusal { status, .. }) => json(status, body),
        Why::Denied(_) | Why::AskFirst(_) => json(StatusCode::OK, body),
        Why::Busy => {
            let mut response = json(StatusCode::SERVICE_UNAVAILABLE, body);
            later(&mut response);
            response
        }
        Why::Fault(Fault { kind, code, .. }) => {
            let mut response = json(status_of(kind, code), body);
            later(&mut response);
            response
        }
    }
}

/// Whoever is turned away for now is told when to come again (RFC 9110 §10.2.3).
fn later(response: &mut Reply) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

/// The JSON-RPC message of a stop: the body of its reply, or the last of a stream.
pub(crate) fn stop_in_stream(stop: &Stop) -> Bytes {
    let trail = &stop.trail;
    match &stop.why {
        Why::Challenge(error) => {
            error_body(trail, i64::from(error.code().0), &error.to_string(), error.code(), Vec::new())
        }
        Why::Edge(edge) => {
            let message = edge.code.row().map_or("refused", |row| row.title);
            error_body(trail, i64::from(edge.code.0), message, edge.code, Vec::new())
        }
        Why::Refused(Refusal { code, rpc, message, data, .. }) => {
            error_body(trail, *rpc, message, *code, data.clone())
        }
        Why::Denied(Denied { message, .. }) => denied(trail, message, Code::DENIED, &[]),
        Why::AskFirst(obligations) => {
            let message = format!("this call needs {} first", obligations.join(", "));
            denied(trail, &message, Code::OBLIGATION_UNMET, obligations)
        }
        Why::Busy => error_body(trail, i64::from(Code::BUSY.0), "too many at once", Code::BUSY, Vec::new()),
        Why::Fault(Fault { code, .. }) => {
            let row = code.row();
            let message = row.map_or("fault", |row| row.title);
            let data = row.map(|row| vec![("fix", json!(row.fix))]).unwrap_or_default();
            error_body(trail, i64::from(code.0), message, *code, data)
        }
    }
}

/// A visible tool that was refused: a result the model can read, so that it stops trying (design §9).
fn denied(trail: &Trail, message: &str, code: Code, obligations: &[Arc<str>]) -> Bytes {
    let (Some(Method::ToolsCall), Some(id)) = (trail.method, &trail.id) else {
        return error_body(trail, i64::from(code.0), message, code, Vec::new());
    };
    let call = trail.call.to_string();
    let text = format!("Denied ({code}): {message}. Don't retry the same call. Reference: {call}");
    let mut facts = Map::new();
    facts.insert("code".to_owned(), json!(code.to_string()));
    facts.insert("reference".to_owned(), json!(call));
    if !obligations.is_empty() {
        facts.insert("obligations".to_owned(), json!(obligations));
    }
    let mut result = json!({
        "content": [{"type": "text", "text": text}],
        "isError": true,
        "_meta": {"portunus/decision": Value::Object(facts)},
    });
    if trail.version.map(Version::era) == Some(Era::Stateless)
        && let Some(members) = result.as_object_mut()
    {
        members.insert("resultType".to_owned(), json!("complete"));
    }
    reply::result(id, result.to_string().as_bytes())
}

/// A JSON-RPC error: its data holds the stable code and the reference to the record.
fn error_body(trail: &Trail, rpc: i64, message: &str, code: Code, more: Vec<(&'static str, Value)>) -> Bytes {
    let mut data = Map::new();
    data.insert("code".to_owned(), json!(code.to_string()));
    data.insert("reference".to_owned(), json!(trail.call.to_string()));
    for (key, value) in more {
        data.insert(key.to_owned(), value);
    }
    reply::error(trail.id.as_ref(), rpc, message, Some(Value::Object(data).to_string().as_bytes()))
}

/// What the transport is told. A server's failure is an answer about the call; what the gateway itself cannot
/// do is not.
fn status_of(kind: ErrorKind, code: Code) -> StatusCode {
    match (kind, code) {
        (_, Code::RECORD_UNAVAILABLE | Code::RECORD_OUTCOME | Code::DRAINING | Code::SERVER_CONTAINED) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (
            _,
            Code::UPSTREAM_UNREACHABLE | Code::UPSTREAM_FAILED | Code::UPSTREAM_TIMEOUT | Code::ERA_UNBRIDGED,
        ) => StatusCode::OK,
        (ErrorKind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
        (ErrorKind::TooMuch | ErrorKind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}
