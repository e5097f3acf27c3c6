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
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::header::{self, HeaderParam, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION};
use protocol::method::Names;
use protocol::{Id, Message, Method, Outcome, Request, Response, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// A call under way. Dropping it closes its connection and, in a session, withdraws it.
pub(super) struct HttpCall {
    door: Arc<Door>,
    session: Option<Held>,
    /// The id of the request.
    id: i64,
    /// Whether to withdraw the request when nobody waits for its answer any more (session era).
    withdraw: bool,
    state: State,
    /// Attempts to resume the stream since its last event.
    tries: u32,
    /// Questions that can only be this call's, although they came on no call's stream.
    questions: Option<mpsc::Receiver<Request>>,
    /// The first of them, if it came before the head of the answer.
    early: Option<Box<Request>>,
}

enum State {
    /// Nothing has come yet.
    Sending,
    /// Nothing but a question has come yet.
    Posting(BoxFuture<'static, Result<Reply, UpstreamError>>),
    /// The whole answer.
    Whole(Message),
    /// Messages as they come.
    Stream(Box<Events>),
    /// The stream broke off and is being taken up again.
    Broken(Box<Events>, BoxFuture<'static, Result<Reply, UpstreamError>>),
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
        Some(held) => session_headers(held, dialect, out)?,
        None => stateless_headers(dialect, out, tool_headers)?,
    };
    if let Some(held) = &session {
        // Some servers ask on the stream of unsolicited messages whatever was declared, lose what nobody hears, and wait.
        held.session.hears().await;
    }
    let asked = session.as_ref().filter(|_| dialect.asks_newer());
    let questions = asked.map(|held| held.session.askable.enter(dialect.id));
    let (door, id, withdraw) = (Arc::clone(door), dialect.id, session.is_some());
    let (state, early) = (State::Sending, None);
    let mut call = HttpCall { door, session, id, withdraw, state, tries: 0, questions, early };
    let listening = out.method == Method::SubscriptionsListen;
    let body = dialect.request(out);
    sent.store(true, Ordering::Relaxed);
    let reply = match &mut call.questions {
        None => call.door.post(headers, body, listening).await,
        Some(questions) => {
            let door = Arc::clone(&call.door);
            let mut posting = async move { door.post(headers, body, listening).await }.boxed();
            tokio::select! {
                biased;
                reply = &mut posting => reply,
                Some(question) = questions.recv() => {
                    (call.early, call.state) = (Some(Box::new(question)), State::Posting(posting));
                    return Ok(call);
                }
            }
        }
    };
    call.replied(reply)?;
    Ok(call)
}

fn session_headers(held: &Held, dialect: &Dialect, out: &Outbound) -> Result<HeaderMap, UpstreamError> {
    let mut headers = held.session.names().clone();
    out.authorize(Some(dialect.method), &mut headers)?;
    out.trace.apply(&mut headers);
    Ok(headers)
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
    out.authorize(Some(dialect.method), &mut headers)?;
    out.trace.apply(&mut headers);
    Ok(headers)
}

impl HttpCall {
    /// A call whose answer is known.
    pub(super) fn whole(door: &Arc<Door>, response: Response) -> Self {
        let (door, state) = (Arc::clone(door), State::Whole(Message::Response(response)));
        let (session, questions, early) = (None, None, None);
        Self { door, session, id: 0, withdraw: false, state, tries: 0, questions, early }
    }

    /// Takes the head of the answer, or the whole of it.
    fn replied(&mut self, reply: Result<Reply, UpstreamError>) -> Result<(), Refusal> {
        match reply {
            Err(error) => {
                if error.sent == Sent::NotSent {
                    self.withdraw = false;
                }
                Err(error.into())
            }
            Ok(Reply::Json(_, bytes)) => {
                self.withdraw = false;
                match self.door.decode(bytes)? {
                    message @ Message::Response(_) => {
                        self.state = State::Whole(message);
                        Ok(())
                    }
                    Message::Request(_) | Message::Notification(_) => {
                        Err(UpstreamError::failed("its answer is no response").into())
                    }
                }
            }
            Ok(Reply::Stream(_, events)) => {
                self.state = State::Stream(events);
                Ok(())
            }
            Ok(Reply::Accepted) => {
                Err(UpstreamError::failed("it accepted a request without answering it").into())
            }
            Ok(Reply::Refused(status, body)) => {
                self.withdraw = false;
                self.state = State::Whole(self.refused(status, body)?);
                Ok(())
            }
        }
    }

    /// An error status: an answer to the call if it says so, else a reason to begin anew or to give up.
    fn refused(&self, status: StatusCode, body: Bytes) -> Result<Message, Refusal> {
        let said = match self.door.decode(body) {
            Ok(Message::Response(response)) if matches!(response.outcome, Outcome::Error(_)) => {
                Some(response)
            }
            Ok(_) | Err(_) => None,
        };
        let ours = said.as_ref().is_some_and(|said| said.id == Some(Id::Number(self.id)));
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
        if let Some(question) = self.early.take() {
            return Ok(Message::Request(*question));
        }
        loop {
            match &mut self.state {
                State::Whole(_) => {
                    if let State::Whole(message) = std::mem::replace(&mut self.state, State::Over) {
                        return Ok(message);
                    }
                }
                State::Posting(posting) => {
                    let reply = tokio::select! {
                        biased;
                        reply = posting => reply,
                        question = question(&mut self.questions) => return Ok(Message::Request(question)),
                    };
                    self.state = State::Over;
                    self.replied(reply).map_err(|refusal| refusal.into_error().with_sent(Sent::Unknown))?;
                }
                State::Stream(events) => {
                    let event = tokio::select! {
                        biased;
                        event = events.next() => event,
                        question = question(&mut self.questions) => return Ok(Message::Request(question)),
                    };
                    match event {
                        Ok(Some(data)) => {
                            self.tries = 0;
                            return self.heard(data);
                        }
                        Ok(None) => {
                            self.broke(UpstreamError::failed("it ended the stream without an answer"))?;
                        }
                        Err(error) => self.broke(error)?,
                    }
                }
                State::Broken(_, resuming) => {
                    let reply = tokio::select! {
                        biased;
                        reply = resuming => reply,
                        question = question(&mut self.questions) => return Ok(Message::Request(question)),
                    };
                    self.resumed(reply)?;
                }
                State::Sending | State::Over => {
                    return Err(UpstreamError::failed("there is no answer to wait for"));
                }
            }
        }
    }

    fn heard(&mut self, data: Bytes) -> Result<Message, UpstreamError> {
        let message = self.door.decode(data)?;
        if matches!(message, Message::Response(_)) {
            self.withdraw = false;
            if let State::Stream(events) = std::mem::replace(&mut self.state, State::Over) {
                // Most servers end the stream at once; then its connection serves the next call.
                tokio::spawn(events.drain());
            }
        }
        Ok(message)
    }

    /// In a session, a stream whose events have ids may be taken up again (2025-11-25, resumability).
    fn broke(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        match (std::mem::replace(&mut self.state, State::Over), &self.session) {
            (State::Stream(events), Some(held)) if events.last_id.is_some() && self.tries < RESUMES => {
                self.tries += 1;
                let pause = events.retry.map_or(RESUME_PAUSE, Duration::from_millis);
                let session = Arc::clone(&held.session);
                let last_id = events.last_id.clone();
                // Kept, so that whoever waits for a message in turns does not begin anew each time.
                let resuming = async move {
                    tokio::time::sleep(pause).await;
                    let mut headers = session.headers(None)?;
                    headers.extend(last_id.map(|id| (LAST_EVENT_ID, id)));
                    session.door.get(headers).await
                };
                self.state = State::Broken(events, resuming.boxed());
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn resumed(&mut self, reply: Result<Reply, UpstreamError>) -> Result<(), UpstreamError> {
        let State::Broken(earlier, _) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        match reply {
            Ok(Reply::Stream(_, events)) => {
                self.state = State::Stream(Box::new(events.after(&earlier)));
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

/// The next question that can only be of this call; never, where none can be.
async fn question(questions: &mut Option<mpsc::Receiver<Request>>) -> Request {
    if let Some(questions) = questions
        && let Some(question) = questions.recv().await
    {
        return question;
    }
    std::future::pending().await
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        if let (Some(_), Some(held)) = (&self.questions, &self.session) {
            held.session.askable.leave(self.id);
        }
        if let Some(held) = self.session.as_ref().filter(|_| self.withdraw) {
            held.session.send_later(cancelled(self.id));
        }
    }
}

/// Attempts to resume a stream without an event in between.
const RESUMES: u32 = 3;
/// The pause before resuming, unless the server asks for another.
const RESUME_PAUSE: Duration = Duration::from_millis(500);
