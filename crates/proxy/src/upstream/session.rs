//! One session with a server of the older era, over HTTP. It belongs to one principal and one client session.

use super::Inbox;
use super::askable::Askable;
use super::dialect::refusal;
use super::door::{Door, Reply, refused};
use super::ear;
use super::era::{Eras, Known};
use super::errand::Errands;
use super::fault::UpstreamError;
use super::followers::Followers;
use super::loudness::Loudness;
use super::slots::Held;
use super::{Outbound, Shared};
use arc_swap::ArcSwap;
use broker::Credential;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use model::ServerName;
use protocol::header::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use protocol::meta::LogLevel;
use protocol::{Edit, Era, Id, Members, Message, Method, Outcome, Raw, Version, frame};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The session. Dropping it tells the server that it has ended.
pub(super) struct Session {
    pub(super) door: Arc<Door>,
    /// The session id and the protocol version: on every request of the session.
    names: HeaderMap,
    /// What requests carry that belong to no call.
    credential: ArcSwap<Credential>,
    /// What was agreed (lifecycle, version negotiation).
    pub(super) version: Version,
    /// The result of `initialize`.
    pub(super) document: Members,
    loudness: Loudness,
    lost: AtomicBool,
    ear: Mutex<Ear>,
    /// What is known of the stream of unsolicited messages.
    pub(super) hearing: watch::Sender<Hearing>,
    pub(super) followers: Followers,
    pub(super) askable: Askable,
    errands: Errands,
    server: ServerName,
}

/// The stream of unsolicited messages and who hears it.
#[derive(Default)]
struct Ear {
    inbox: Option<Inbox>,
    task: Option<AbortHandle>,
}

/// Whether the server says anything unasked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hearing {
    /// Not known yet.
    Unknown,
    /// Its stream is open, or will be again.
    Open,
    /// It has none, or it failed too often.
    Never,
}

/// Opens a session: `initialize`, then `notifications/initialized`. `eras` learns what the server says.
///
/// # Errors
/// [`UpstreamError`]; not sent, as far as the call that waits for the session is concerned.
pub(super) async fn open(
    door: &Arc<Door>,
    shared: &Shared,
    out: &Outbound,
    eras: &Eras,
) -> Result<Session, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(8);
    out.beside(Some(Method::Initialize), &mut headers)?;
    let id = shared.fresh_id();
    let body = initialize(id, out);
    let (reply_headers, message) = match door.post(headers, body, false).await? {
        Reply::Json(reply, bytes) => (reply, door.decode(bytes)?),
        Reply::Stream(reply, mut events) => loop {
            let data = events.next().await?;
            let data = data.ok_or_else(|| UpstreamError::failed("it ended the stream without an answer"))?;
            if let message @ Message::Response(_) = door.decode(data)? {
                tokio::spawn(events.drain());
                break (reply, message);
            }
        },
        Reply::Accepted => return Err(UpstreamError::failed("it accepted initialize without answering it")),
        Reply::Refused(status, _) => {
            if refuses_era(status) {
                eras.note(Era::Session, Known::Refuses);
            }
            return Err(refused(status));
        }
    };
    let (version, document) = initialized(id, message, eras)?;
    let mut names = HeaderMap::with_capacity(8);
    if let Some(id) = session_id(&reply_headers)? {
        names.insert(&MCP_SESSION_ID, id);
    }
    names.insert(&MCP_PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
    let session = Session {
        door: Arc::clone(door),
        names,
        credential: ArcSwap::from_pointee(out.credential.aside()),
        version,
        loudness: Loudness::of(&document),
        document,
        lost: AtomicBool::new(false),
        ear: Mutex::default(),
        hearing: watch::Sender::new(Hearing::Unknown),
        followers: Followers::default(),
        askable: Askable::default(),
        errands: shared.errands.clone(),
        server: out.server.clone(),
    };
    session.post(frame::notification(Method::Initialized.name(), None)).await?;
    eras.note(Era::Session, Known::Speaks);
    Ok(session)
}

/// The `initialize` request for this client, in any transport.
pub(super) fn initialize(id: i64, out: &Outbound) -> Bytes {
    let version = match out.version.era() {
        Era::Session => out.version,
        Era::Stateless => Version::LATEST_SESSION,
    };
    let info = out.client_info.clone().unwrap_or_else(own_info);
    let mut edit = Edit::new();
    edit.set(&["protocolVersion"], Raw::of_str(version.as_str()));
    edit.set(&["capabilities"], out.capabilities()).set(&["clientInfo"], info);
    let params = Members::of(&Raw::empty_object()).map(|empty| edit.apply(&empty));
    frame::request(&Id::Number(id), Method::Initialize.name(), params.as_ref())
}

/// Reads the answer to `initialize`.
///
/// # Errors
/// [`UpstreamError`] when it is none, or the server wants a version that we do not speak.
pub(super) fn initialized(
    id: i64,
    message: Message,
    eras: &Eras,
) -> Result<(Version, Members), UpstreamError> {
    let Message::Response(response) = message else {
        return Err(UpstreamError::failed("it answered initialize with something else"));
    };
    if !matches!(response.id, Some(Id::Number(answered)) if answered == id) && response.id.is_some() {
        return Err(UpstreamError::failed("it answered initialize with another id"));
    }
    match response.outcome {
        Outcome::Error(error) => {
            eras.note(Era::Session, Known::Refuses);
            Err(UpstreamError::unreachable(format!("it refused initialize with error {}", error.code)))
        }
        Outcome::Result(document) => {
            let version = document.text("protocolVersion").and_then(|text| Version::of_server(&text));
            match version.filter(|version| version.era() == Era::Session) {
                Some(version) => Ok((version, document)),
                None => Err(UpstreamError::unreachable("it speaks no protocol version that we speak")),
            }
        }
    }
}

/// Who the gateway is, where no client says who it is.
pub(super) fn own_info() -> Raw {
    Raw::of_value(&serde_json::json!({ "name": "portunus", "version": env!("CARGO_PKG_VERSION") }))
}

fn session_id(headers: &HeaderMap) -> Result<Option<HeaderValue>, UpstreamError> {
    let Some(id) = headers.get(&MCP_SESSION_ID) else { return Ok(None) };
    // Visible ASCII only (2025-11-25, session management).
    if id.is_empty() || id.len() > SESSION_ID_BYTES || !id.as_bytes().iter().all(u8::is_ascii_graphic) {
        return Err(UpstreamError::failed("its session id is not visible ASCII"));
    }
    let mut id = id.clone();
    id.set_sensitive(true);
    Ok(Some(id))
}

/// Whether a status says that the server does not know this kind of request, rather than that it is ill or
/// does not like us.
pub(super) fn refuses_era(status: StatusCode) -> bool {
    let other = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    (status.is_client_error() && !other.contains(&status))
        || matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_IMPLEMENTED)
}

impl Session {
    /// What names this session: on every request of its, and no credential.
    pub(super) fn names(&self) -> &HeaderMap {
        &self.names
    }

    /// The headers of a request of this session that belongs to no call, a fresh credential included.
    ///
    /// # Errors
    /// [`UpstreamError`]; nothing may be sent then.
    pub(super) fn headers(&self, method: Option<Method>) -> Result<HeaderMap, UpstreamError> {
        let mut headers = self.names.clone();
        let applied = self.credential.load().apply(method.map(Method::name), &mut headers);
        applied.map_err(UpstreamError::credential)?;
        Ok(headers)
    }

    /// A call of the same caller comes through: what belongs to no call goes on in the name of its caller.
    pub(super) fn renew(&self, out: &Outbound) {
        if out.credential.shown().is_some() {
            self.credential.store(Arc::new(out.credential.aside()));
        }
    }

    /// The server's own `serverInfo`.
    pub(super) fn server_info(&self) -> Option<Raw> {
        self.document.get("serverInfo")
    }

    /// POSTs a notification or a response.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub(super) async fn post(&self, message: Bytes) -> Result<(), UpstreamError> {
        match self.door.post(self.headers(None)?, message, false).await? {
            Reply::Accepted | Reply::Json(..) | Reply::Stream(..) => Ok(()),
            Reply::Refused(status, _) => Err(refused(status)),
        }
    }

    /// Lets the server log as much as this call wants. A server that will not is not pressed.
    pub(super) async fn log(&self, level: Option<LogLevel>, shared: &Shared) {
        if let Some((_, request)) = self.loudness.raise(level, || shared.fresh_id())
            && let Err(error) = self.post(request).await
        {
            tracing::debug!(server = %self.server, error = %error.detail(), "it takes no log level");
        }
    }

    /// The server has forgotten the session: it is not used again, and not deleted.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.followers.end();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lets `inbox` hear what the server says unasked, from now on.
    pub(super) fn listen(self: &Arc<Self>, inbox: &Inbox) {
        self.lock().inbox = Some(inbox.clone());
        self.hear();
    }

    /// Opens the stream of what the server says unasked, unless it was.
    fn hear(self: &Arc<Self>) {
        let mut ear = self.lock();
        if ear.task.as_ref().is_none_or(AbortHandle::is_finished) && *self.hearing.borrow() != Hearing::Never
        {
            ear.task = Some(tokio::spawn(ear::run(Arc::downgrade(self))).abort_handle());
        }
    }

    /// Opens that stream and waits a moment for it, once: some servers lose what they say while nobody hears.
    pub(super) async fn hears(self: &Arc<Self>) -> Hearing {
        let known = *self.hearing.borrow();
        if known != Hearing::Unknown {
            return known;
        }
        self.hear();
        let mut hearing = self.hearing.subscribe();
        let opened = hearing.wait_for(|hearing| *hearing != Hearing::Unknown);
        if let Ok(Ok(hearing)) = tokio::time::timeout(MOMENT, opened).await {
            return *hearing;
        }
        // Some servers send the head of a stream with its first event.
        self.hearing.send_if_modified(|hearing| {
            let waits = *hearing == Hearing::Unknown;
            if waits {
                *hearing = Hearing::Open;
            }
            waits
        });
        Hearing::Open
    }

    /// Hands over a message that belongs to no call.
    pub(super) fn unsolicited(self: &Arc<Self>, message: Message) {
        if matches!(&message, Message::Notification(told) if self.followers.tell(told)) {
            return;
        }
        let inbox = self.lock().inbox.clone();
        let message = match (inbox, message) {
            (Some(inbox), message) => {
                let answer = matches!(message, Message::Request(_))
                    .then(|| super::exchange::Answering::Session(Arc::clone(self)));
                let unsolicited = super::Unsolicited { server: self.server.clone(), message, answer };
                let Err(error) = inbox.try_send(unsolicited) else { return };
                tracing::debug!(server = %self.server, "a message of the server found no room");
                error.into_inner().message
            }
            (None, Message::Request(request)) => match self.askable.ask(request) {
                Ok(()) => return,
                Err(request) => Message::Request(*request),
            },
            (None, message) => message,
        };
        self.turn_away(&message);
    }

    fn lock(&self) -> MutexGuard<'_, Ear> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request that nobody will see.
    fn turn_away(self: &Arc<Self>, message: &Message) {
        if let Message::Request(request) = message {
            self.send_later(refusal(request));
        }
    }

    /// POSTs a message without waiting for it.
    pub(super) fn send_later(self: &Arc<Self>, message: Bytes) {
        let session = Arc::clone(self);
        self.errands.send(async move {
            let _ = session.post(message).await;
        });
    }
}

impl Held for Session {
    const PAUSES: bool = false;

    fn alive(&self) -> bool {
        !self.is_lost()
    }

    fn awaited(&self) -> bool {
        self.lock().inbox.as_ref().is_some_and(|inbox| !inbox.is_closed())
    }

    fn followed(&self) -> bool {
        !self.followers.is_empty()
    }

    fn retire(&self) {
        self.followers.end();
    }

    fn kill(&self) {
        // Calls in flight end by themselves, with what they stand on; the server is told when they have.
        self.lock().inbox = None;
    }

    fn failed(&self, _: u64) -> bool {
        false
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let ear = self.ear.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = ear.task.take() {
            task.abort();
        }
        if self.names.contains_key(&MCP_SESSION_ID) && !self.lost.load(Ordering::Relaxed) {
            let (door, mut headers) = (Arc::clone(&self.door), std::mem::take(&mut self.names));
            let credential = self.credential.load_full();
            self.errands.send(async move {
                // Without a credential the server would not know who ends it; it forgets the session by itself.
                if credential.apply_to_end(&mut headers).is_ok() {
                    door.delete(headers).await;
                }
            });
        }
    }
}

/// How long the stream of unsolicited messages is waited for, the first time.
const MOMENT: Duration = Duration::from_millis(500);
/// The longest session id.
const SESSION_ID_BYTES: usize = 1024;
