//! One call over HTTP, in either era: the headers and body that go out, the messages that come back.

use super::Outbound;
use super::dialect::Dialect;
use super::door::{Door, Events, Reply, refused};
use super::ear::LAST_EVENT_ID;
use super::era::{self, Probed};
use super::fault::{Sent, UpstreamError};
use super::link::cancelled;
use super::session::{Session, refuses_era};
use super::slots::Slot;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::header::{self, HeaderParam, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION};
use protocol::method::Names;
use protocol::{Id, Message, Method, Outcome, Response, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A call under way. Dropping it closes its connection and, in a session, withdraws it.
pub(super) struct HttpCall {
    door: Arc<Door>,
    session: Option<Held>,
    /// The request to withdraw when nobody waits for its answer any more (session era).
    withdraw: Option<i64>,
    state: State,
    /// Attempts to resume the stream since its last event.
    resumed: u32,
}

enum State {
    /// Nothing has come yet.
    Sending,
    /// The whole answer.
    Whole(Message),
    /// Messages as they come.
    Stream(Box<Events>),
    /// The stream broke off and can be resumed.
    Broken(Box<Events>),
    Over,
}

/// A session, and the place that keeps it from being reaped.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) session: Arc<Session>,
    pub(super) slot: Arc<Slot<Session>>,
}

/// Why a call did not open.
pub(super) enum Refusal {
    /// The session is gone; the call was not taken.
    SessionLost(Box<UpstreamError>),
    /// The server does not speak this era after all; the call was not taken.
    Era(Probed, Box<UpstreamError>),
    /// The mirrored headers do not fit the tool's definition any more (-32020); the call was not taken.
    Headers(Box<Response>),
    /// Anything else.
    Fault(Box<UpstreamError>),
}

impl Refusal {
    /// The error of a call that is not tried in another way.
    pub(super) fn into_error(self) -> UpstreamError {
        match self {
            Self::SessionLost(error) | Self::Era(_, error) | Self::Fault(error) => *error,
            Self::Headers(_) => UpstreamError::failed("it asks for stateless headers"),
        }
    }
}

impl From<UpstreamError> for Refusal {
    fn from(error: UpstreamError) -> Self {
        Self::Fault(Box::new(error))
    }
}

/// Sends the call and waits for the head of its answer; a whole JSON answer is read here.
pub(super) async fn send(
    door: &Arc<Door>,
    session: Option<Held>,
    dialect: &Dialect,
    out: &Outbound,
    tool_headers: &[HeaderParam],
    sent: &AtomicBool,
) -> Result<HttpCall, Refusal> {
    let headers = match &session {
        Some(held) => session_headers(held, out),
        None => stateless_headers(dialect, out, tool_headers)?,
    };
    let withdraw = session.is_some().then_some(dialect.id);
    let mut call = HttpCall { door: Arc::clone(door), session, withdraw, state: State::Sending, resumed: 0 };
    let listening = out.method == Method::SubscriptionsListen;
    let body = dialect.request(out);
    sent.store(true, Ordering::Relaxed);
    let reply = door.post(headers, body, listening).await.inspect_err(|error| {
        if error.sent == Sent::NotSent {
            call.withdraw = None;
        }
    })?;
    match reply {
        Reply::Json(_, bytes) => {
            call.withdraw = None;
            match door.decode(bytes)? {
                message @ Message::Response(_) => call.state = State::Whole(message),
                Message::Request(_) | Message::Notification(_) => {
                    return Err(UpstreamError::failed("its answer is no response").into());
                }
            }
        }
        Reply::Stream(_, events) => call.state = State::Stream(events),
        Reply::Accepted => {
            return Err(UpstreamError::failed("it accepted a request without answering it").into());
        }
        Reply::Refused(status, body) => {
            call.withdraw = None;
            call.state = State::Whole(call.refused(status, body, dialect)?);
        }
    }
    Ok(call)
}

fn session_headers(held: &Held, out: &Outbound) -> HeaderMap {
    let mut headers = held.session.headers().clone();
    out.credential.apply(&mut headers);
    out.trace.apply(&mut headers);
    headers
}

/// The headers of a stateless POST, all from the judged body (2026-07-28, request metadata).
fn stateless_headers(
    dialect: &Dialect,
    out: &Outbound,
    params: &[HeaderParam],
) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(12);
    headers.extend(out.unknown_headers.iter().cloned());
    let key = match dialect.method.row().names {
        Names::Tool | Names::Prompt => Some("name"),
        Names::ResourceUri => Some("uri"),
        Names::Completion | Names::Nothing => None,
    };
    let name = key.zip(out.params.as_ref()).and_then(|(key, params)| params.text(key));
    let (version, method) = (dialect.server.as_str(), dialect.method.name());
    if params.is_empty() {
        // What `build` would say, without copying what never changes.
        headers.insert(&MCP_PROTOCOL_VERSION, HeaderValue::from_static(version));
        headers.insert(&MCP_METHOD, HeaderValue::from_static(method));
        if let Some(name) = name {
            headers.insert(&MCP_NAME, header::encode(&name));
        }
    } else {
        let arguments = out.params.as_ref().and_then(|params| params.get("arguments"));
        let built = header::build(version, method, name.as_deref(), params, arguments.as_ref());
        headers.extend(built.map_err(|error| {
            UpstreamError::internal("the call's headers cannot be built from its body").because(error)
        })?);
    }
    out.credential.apply(&mut headers);
    out.trace.apply(&mut headers);
    Ok(headers)
}

impl HttpCall {
    /// A call whose answer is known.
    pub(super) fn whole(door: &Arc<Door>, response: Response) -> Self {
        let state = State::Whole(Message::Response(response));
        Self { door: Arc::clone(door), session: None, withdraw: None, state, resumed: 0 }
    }

    /// An error status: an answer to the call if it says so, else a reason to begin anew or to give up.
    fn refused(&self, status: StatusCode, body: Bytes, dialect: &Dialect) -> Result<Message, Refusal> {
        let said = match self.door.decode(body) {
            Ok(Message::Response(response)) if matches!(response.outcome, Outcome::Error(_)) => {
                Some(response)
            }
            Ok(_) | Err(_) => None,
        };
        let ours = said.as_ref().is_some_and(|said| said.id == Some(Id::Number(dialect.id)));
        if self.session.is_some() {
            // 404 ends the session (2025-11-25, session management); many servers say 400 to an id that they
            // do not know, and then cannot name the request.
            let lost = status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST;
            return match said {
                Some(response) if ours => Ok(Message::Response(response)),
                _ if lost => Err(Refusal::SessionLost(Box::new(refused(status)))),
                _ => Err(refused(status).into()),
            };
        }
        let Some(response) = said else {
            return Err(if refuses_era(status) && !status.is_server_error() {
                Refusal::Era(Probed::Session, Box::new(refused(status)))
            } else {
                refused(status).into()
            });
        };
        if let Outcome::Error(error) = &response.outcome {
            if error.code == reply::HEADER_MISMATCH {
                return Err(Refusal::Headers(Box::new(response)));
            }
            if error.code == reply::UNSUPPORTED_VERSION {
                return Err(Refusal::Era(era::refused(error), Box::new(refused(status))));
            }
        }
        // An older server that lost its stateless half cannot name the request either, or makes an id up.
        if !ours && status == StatusCode::BAD_REQUEST {
            return Err(Refusal::Era(Probed::Session, Box::new(refused(status))));
        }
        Ok(Message::Response(response))
    }

    /// The next message of this call. Cancel safe. After the answer it is not called again.
    ///
    /// # Errors
    /// Failed: the stream broke off, or held what is not MCP.
    pub(super) async fn next(&mut self) -> Result<Message, UpstreamError> {
        loop {
            match &mut self.state {
                State::Whole(_) => {
                    if let State::Whole(message) = std::mem::replace(&mut self.state, State::Over) {
                        return Ok(message);
                    }
                }
                State::Stream(events) => match events.next().await {
                    Ok(Some(data)) => {
                        self.resumed = 0;
                        return self.heard(data);
                    }
                    Ok(None) => self.broke(UpstreamError::failed("it ended the stream without an answer"))?,
                    Err(error) => self.broke(error)?,
                },
                State::Broken(_) => self.resume().await?,
                State::Sending | State::Over => {
                    return Err(UpstreamError::failed("there is no answer to wait for"));
                }
            }
        }
    }

    fn heard(&mut self, data: Bytes) -> Result<Message, UpstreamError> {
        let message = self.door.decode(data)?;
        if matches!(message, Message::Response(_)) {
            self.withdraw = None;
            if let State::Stream(events) = std::mem::replace(&mut self.state, State::Over) {
                // Most servers end the stream at once; then its connection serves the next call.
                tokio::spawn(events.drain());
            }
        }
        Ok(message)
    }

    /// In a session, a stream whose events have ids may be taken up again (2025-11-25, resumability).
    fn broke(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Stream(events)
                if self.session.is_some() && events.last_id.is_some() && self.resumed < RESUMES =>
            {
                self.resumed += 1;
                self.state = State::Broken(events);
                Ok(())
            }
            _ => Err(error),
        }
    }

    async fn resume(&mut self) -> Result<(), UpstreamError> {
        let (State::Broken(events), Some(held)) = (&self.state, &self.session) else { return Ok(()) };
        let pause = events.retry.map_or(RESUME_PAUSE, Duration::from_millis);
        let mut headers = held.session.headers().clone();
        if let Some(id) = &events.last_id {
            headers.insert(LAST_EVENT_ID, id.clone());
        }
        tokio::time::sleep(pause).await;
        match self.door.get(headers).await {
            Ok(Reply::Stream(_, resumed)) => {
                let resumed = match &self.state {
                    State::Broken(events) => resumed.after(events),
                    _ => *resumed,
                };
                self.state = State::Stream(Box::new(resumed));
                Ok(())
            }
            Ok(Reply::Refused(status, _)) => Err(refused(status).with_sent(Sent::Unknown)),
            Ok(Reply::Accepted | Reply::Json(..)) => {
                Err(UpstreamError::failed("it ended the stream without an answer"))
            }
            Err(error) => Err(error.with_sent(Sent::Unknown)),
        }
    }

    /// The session, if the call is of one.
    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref().map(|held| &held.session)
    }
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        if let Some((id, held)) = self.withdraw.zip(self.session.as_ref()) {
            held.session.send_later(cancelled(id));
        }
    }
}

/// Attempts to resume a stream without an event in between.
const RESUMES: u32 = 3;
/// The pause before resuming, unless the server asks for another.
const RESUME_PAUSE: Duration = Duration::from_millis(500);
