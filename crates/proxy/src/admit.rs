//! What is asked, in which protocol: one strict frame, a known method, an era, headers that agree, a session.

pub(crate) mod era;

use crate::authenticate::{Authenticated, Caller};
use crate::house::{House, State};
use crate::session::Live;
use crate::session::conversation::{Conversation, Source};
use crate::session::replay::Place;
use crate::stop::{Edge, Refusal, Stop};
use crate::trail::{Stage, Trail};
use http::{HeaderMap, StatusCode};
use model::{Code, ErrorKind};
use protocol::meta::{LogLevel, RequestMeta};
use protocol::method::{Direction, Shape};
use protocol::{
    Called, Id, Members, Message, Method, Notification, Raw, Request, Response, Version, header, reply,
};
use std::sync::Arc;

/// What a request turned out to be.
pub(crate) enum Admitted {
    /// A request of a client.
    Call(Box<Call>),
    /// A notification of a client.
    Notice(Notice),
    /// A client's answer to a server's question.
    Answer(Answer),
    /// An older client opens its GET stream.
    Open(Opening),
    /// An older client ends its session.
    End(Opening),
}

/// One request of a client, understood.
pub(crate) struct Call {
    pub(crate) trail: Box<Trail>,
    pub(crate) state: Arc<State>,
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    pub(crate) client: Client,
    pub(crate) method: Method,
    pub(crate) id: Id,
    pub(crate) params: Option<Members>,
    pub(crate) meta: RequestMeta,
}

/// The client as it describes itself; never trusted, only passed on.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) capabilities: Raw,
    pub(crate) info: Option<Raw>,
    pub(crate) log_level: Option<LogLevel>,
    /// The session of an older client.
    pub(crate) session: Option<Arc<Live>>,
}

/// A notification of a client.
pub(crate) struct Notice {
    pub(crate) session: Option<Arc<Live>>,
    pub(crate) notification: Notification,
}

/// A client's answer to a server's question.
pub(crate) struct Answer {
    pub(crate) trail: Box<Trail>,
    pub(crate) session: Arc<Live>,
    pub(crate) response: Response,
}

/// A GET or DELETE of an older client.
pub(crate) struct Opening {
    pub(crate) trail: Box<Trail>,
    pub(crate) state: Arc<State>,
    pub(crate) caller: Caller,
    pub(crate) session: Arc<Live>,
    /// Where a stream that broke off is to be taken up.
    pub(crate) last: Option<Place>,
}

/// Admits one request.
pub(crate) fn admit(house: &House, authenticated: Authenticated) -> Result<Admitted, Stop> {
    let Authenticated { mut trail, state, method, headers, body, caller } = authenticated;
    if let Some(span) = &mut trail.span {
        span.join_headers(&headers);
    }
    if method != http::Method::POST {
        trail.verb = Some(if method == http::Method::GET { "GET" } else { "DELETE" });
        let session = match era::session(house, &trail, &headers) {
            Ok(Some(session)) => session,
            Ok(None) if method == http::Method::GET => {
                let edge = Edge { status: StatusCode::METHOD_NOT_ALLOWED, code: Code::METHOD_UNKNOWN };
                return Err(Stop::edge(trail, edge));
            }
            Ok(None) => return Err(Stop::refused(trail, era::no_session())),
            Err(refusal) => return Err(Stop::refused(trail, *refusal)),
        };
        group(&mut trail, house, &state, &session_client(&session), None);
        session.used_by(&caller.verified);
        // An id that is none of ours names nothing that could be taken up.
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(Place::parse);
        let opening = Opening { trail, state, caller, session, last };
        return Ok(if method == http::Method::GET {
            Admitted::Open(opening)
        } else {
            Admitted::End(opening)
        });
    }
    let message = match protocol::decode(body, &state.bounds) {
        Ok(message) => message,
        Err(error) => {
            trail.id = error.id().cloned();
            return Err(Stop::refused(trail, malformed(&error)));
        }
    };
    match message {
        Message::Request(request) => {
            call(house, trail, state, caller, headers, request).map(|call| Admitted::Call(Box::new(call)))
        }
        Message::Notification(notification) => {
            let session = match era::session(house, &trail, &headers) {
                Ok(session) => session,
                Err(refusal) => return Err(Stop::refused(trail, *refusal)),
            };
            session.iter().for_each(|session| session.used_by(&caller.verified));
            Ok(Admitted::Notice(Notice { session, notification }))
        }
        Message::Response(response) => match era::session(house, &trail, &headers) {
            Ok(Some(session)) => {
                // A server goes on with what it was told: an answer may have an effect like any call.
                if let Some((code, reason)) = house.unsure() {
                    return Err(Stop::fault(trail, ErrorKind::Unavailable, code, reason));
                }
                session.used_by(&caller.verified);
                Ok(Admitted::Answer(Answer { trail, session, response }))
            }
            Ok(None) => Err(Stop::refused(trail, era::no_session())),
            Err(refusal) => Err(Stop::refused(trail, *refusal)),
        },
    }
}

fn call(
    house: &House,
    mut trail: Box<Trail>,
    state: Arc<State>,
    caller: Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<Call, Stop> {
    let Request { id, method, params, .. } = request;
    trail.id = Some(id.clone());
    trail.method = method.known();
    let (client, mut meta) = match understand(house, &mut trail, &headers, &method, params.as_ref()) {
        Ok(understood) => understood,
        Err(refusal) => return Err(Stop::refused(trail, *refusal)),
    };
    client.session.iter().for_each(|session| session.used_by(&caller.verified));
    let carried = method.known().filter(|method| {
        let row = method.row();
        row.direction != Direction::ToClient
            && row.shape != Shape::Notification
            && method.in_era(client.version.era())
    });
    let Some(method) = carried else {
        let refusal = Refusal::new(
            ErrorKind::NotFound,
            Code::METHOD_UNKNOWN,
            reply::METHOD_NOT_FOUND,
            format!("Method not found: {}", clip(method.as_str())),
        );
        let status = if client.session.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        return Err(Stop::refused(trail, refusal.status(status)));
    };
    trace(&mut meta, &headers);
    group(&mut trail, house, &state, &client, Some(&meta));
    if trail.trace.is_none() {
        trail.trace = trail.span.as_ref().and_then(|span| span.own_trace());
    }
    trail.mark(house, Stage::Admit);
    Ok(Call { trail, state, caller, headers, client, method, id, params, meta })
}

/// The era, the client and the metadata of a request, with everything about them checked.
fn understand(
    house: &House,
    trail: &mut Trail,
    headers: &HeaderMap,
    method: &Called,
    params: Option<&Members>,
) -> Result<(Client, RequestMeta), Box<Refusal>> {
    let meta = RequestMeta::read(params)
        .map_err(|error| Box::new(Refusal::params(error.to_string()).status(StatusCode::BAD_REQUEST)))?;
    if let (Some(span), Some(traceparent)) = (&mut trail.span, &meta.traceparent) {
        span.join(traceparent);
    }
    let client = if era::is_stateless(headers, method, &meta) {
        era::stateless(house, trail, headers, method, params, &meta)?
    } else if *method == Called::Known(Method::Initialize) {
        era::initializing(house, trail, params)?
    } else {
        match era::session(house, trail, headers)? {
            Some(session) => session_client(&session),
            None => return Err(Box::new(era::no_session())),
        }
    };
    trail.version = Some(client.version);
    Ok((client, meta))
}

/// The client of an open session.
fn session_client(session: &Arc<Live>) -> Client {
    let facts = session.facts();
    Client {
        version: facts.version,
        capabilities: facts.capabilities.clone(),
        info: facts.client_info.clone(),
        log_level: session.log_level(),
        session: Some(Arc::clone(session)),
    }
}

/// Names the conversation and the trace of a request.
fn group(trail: &mut Trail, house: &House, state: &State, client: &Client, meta: Option<&RequestMeta>) {
    trail.trace = meta.and_then(|meta| meta.traceparent.as_deref()).and_then(trace_id);
    let declared = || {
        let key = state.config.conversation_key.as_deref()?;
        let value = meta?.members.as_ref()?.get(key)?;
        let text = value.to_str()?;
        (!text.is_empty() && text.len() <= 128).then(|| Arc::from(&*text))
    };
    let (id, source) = if let Some(session) = &client.session {
        (session.name(), Source::Session)
    } else if let Some(declared) = declared() {
        (declared, Source::Declared)
    } else if let Some(trace) = &trail.trace {
        (Arc::clone(trace), Source::Trace)
    } else {
        let (Some(key), Some(principal)) = (trail.key, &trail.principal) else { return };
        let idle = state.config.conversation_idle;
        (house.inferred.touch(principal, key.0, trail.at, idle), Source::Inferred)
    };
    trail.conversation = Some(Conversation { id, source });
}

/// The trace context of the request's headers counts where `_meta` has none (W3C Trace Context §3.2).
fn trace(meta: &mut RequestMeta, headers: &HeaderMap) {
    if meta.traceparent.is_some() {
        return;
    }
    let text =
        |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| text.len() <= 512);
    meta.traceparent = text("traceparent").map(Into::into);
    meta.tracestate = meta.traceparent.is_some().then(|| text("tracestate").map(Into::into)).flatten();
}

/// The trace id of a `traceparent` (W3C Trace Context §3.2.2): 32 hexadecimal digits, not all zero.
fn trace_id(traceparent: &str) -> Option<Arc<str>> {
    let id = traceparent.split('-').nth(1)?;
    let fits = id.len() == 32
        && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && id.bytes().any(|byte| byte != b'0');
    fits.then(|| id.into())
}

fn malformed(error: &protocol::FrameError) -> Refusal {
    let code = if error.is_over_bound() { Code::REQUEST_TOO_LARGE } else { Code::REQUEST_MALFORMED };
    let kind = if error.is_over_bound() { ErrorKind::TooMuch } else { ErrorKind::Invalid };
    Refusal::new(kind, code, error.rpc_code(), error.to_string()).status(StatusCode::BAD_REQUEST)
}

/// At most 200 characters of something a stranger wrote.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

/// The header that carries a session id.
pub(crate) const SESSION_HEADER: &http::HeaderName = &header::MCP_SESSION_ID;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_are_those_of_trace_context() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in
            ["", "00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4BF9-x-01", "00-zz-x"]
        {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
