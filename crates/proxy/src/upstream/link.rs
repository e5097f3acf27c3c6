//! A server whose words all come on one stream, and the calls that share it: a child with its pipes, or a pair of an event
//! stream and an endpoint.

use super::call::Refusal;
use super::child;
use super::era::{self, Eras, Known, Probed};
use super::fault::{Sent, UpstreamError};
use super::loudness::Loudness;
use super::pipes;
use super::ring::Ring;
use super::route::{Calls, Heard};
use super::session::{initialize, initialized, own_info};
use super::slots::Held;
use super::way::{Back, Going, Way};
use super::{Outbound, Shared, envelope};
use crate::config::server::StdioServer;
use bytes::Bytes;
use http::HeaderMap;
use protocol::{Bounds, Era, Members, Message, Method, Raw, Response, Version, frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The open link. Dropping the last hold on it ends the child, or the stream, in good order.
pub(super) struct Link {
    way: Way,
    pub(super) calls: Arc<Calls>,
    pub(super) version: Version,
    /// The result of `server/discover` or `initialize`.
    pub(super) document: Members,
    loudness: Loudness,
    started: u64,
}

/// One call on a link. Dropping it withdraws the call.
pub(super) struct LinkCall {
    link: Arc<Link>,
    id: i64,
    heard: Heard,
    /// The request, if the server has not taken it yet.
    going: Option<Going>,
    /// What came before it had.
    early: Option<Box<Message>>,
}

/// Starts the child and opens the conversation in `era`. `eras` learns what the server says.
///
/// # Errors
/// [`UpstreamError`]; not sent, as far as the call that waits for the child is concerned.
pub(super) async fn open(
    server: &StdioServer,
    shared: &Shared,
    out: &Outbound,
    era: Era,
    eras: &Eras,
) -> Result<Link, UpstreamError> {
    let stderr = Arc::new(Ring::default());
    let settings = &shared.settings;
    let child = child::spawn(server, &settings.environment, &out.credential, &stderr)
        .map_err(|error| UpstreamError::unreachable("its process did not start").because(error))?;
    let (sender, receiver) = mpsc::channel(pipes::QUEUED);
    let calls = Arc::new(Calls::new(era, server.shared, out.server.clone()));
    let limits = &settings.limits;
    let bounds = Bounds { bytes: limits.answer_bytes, depth: limits.json_depth, items: limits.json_items };
    let back = Back::Pipes(sender.downgrade());
    shared.children.spawn(pipes::run(child, receiver, Arc::clone(&calls), back, bounds));
    let pipe = Pipe { way: Way::Pipes(sender), calls };
    let opened = match era {
        Era::Stateless => discover(pipe, shared, out, eras).await,
        Era::Session => begin(pipe, shared, out, eras).await,
    };
    // Before its first call a child has seen no arguments, so its last words are safe to show.
    opened.map_err(|error| match stderr.last_line() {
        Some(words) => error.because(Words(words)),
        None => error,
    })
}

#[derive(Debug, thiserror::Error)]
#[error("its last words were: {0}")]
struct Words(String);

/// The link before it is known what is spoken.
pub(super) struct Pipe {
    pub(super) way: Way,
    pub(super) calls: Arc<Calls>,
}

impl Pipe {
    async fn ask(
        &self,
        id: i64,
        request: Bytes,
        headers: HeaderMap,
    ) -> Result<oneshot::Receiver<Response>, UpstreamError> {
        let heard = self.calls.enter(id).map_err(|reason| UpstreamError::unreachable(reason.to_string()))?;
        self.tell(request, headers).await?;
        Ok(heard.answer)
    }

    async fn tell(&self, message: Bytes, headers: HeaderMap) -> Result<(), UpstreamError> {
        let going = self.way.send(message, headers).await.ok_or_else(|| self.gone())?;
        going.await.map_err(Refusal::into_error)
    }

    fn opened(self, version: Version, document: Members, shared: &Shared) -> Link {
        let Self { way, calls } = self;
        let (loudness, started) = (Loudness::of(&document), shared.settings.clock.ticks());
        Link { way, calls, version, document, loudness, started }
    }

    fn gone(&self) -> UpstreamError {
        let reason = self.calls.closed();
        UpstreamError::unreachable(reason.map_or("it is gone".to_owned(), |reason| reason.to_string()))
    }
}

/// Stateless: `server/discover` first (2026-07-28, stdio, backward compatibility). A server that stays silent
/// gets `initialize` too; a slow one answers in order, an older one answers the second only.
async fn discover(pipe: Pipe, shared: &Shared, out: &Outbound, eras: &Eras) -> Result<Link, UpstreamError> {
    let (probe, second) = (shared.fresh_id(), shared.fresh_id());
    let request = stateless_request(probe, Method::ServerDiscover, None, out);
    let mut probed = pipe.ask(probe, request, HeaderMap::new()).await?;
    let answer = match tokio::time::timeout(SILENCE, &mut probed).await {
        Ok(answer) => answer,
        Err(_) => {
            let initialized = pipe.ask(second, initialize(second, out), HeaderMap::new()).await?;
            tokio::select! {
                biased;
                answer = &mut probed => answer,
                answer = initialized => {
                    if answer.is_ok() {
                        eras.note_probe(&Probed::Session);
                    }
                    return Err(UpstreamError::unreachable("it does not answer server/discover"));
                }
            }
        }
    };
    let Ok(response) = answer else {
        // Some older servers end at the first thing they do not know.
        eras.note_probe(&Probed::Session);
        return Err(pipe.gone());
    };
    let probed = era::probed(&response.outcome);
    eras.note_probe(&probed);
    match (probed, response.outcome) {
        (Probed::Stateless { .. }, protocol::Outcome::Result(document)) => {
            Ok(pipe.opened(Version::V2026_07_28, document, shared))
        }
        (Probed::Stateless { .. }, protocol::Outcome::Error(error)) => {
            Err(UpstreamError::unreachable(format!("it refused server/discover with error {}", error.code)))
        }
        (Probed::Session | Probed::Neither, _) => {
            Err(UpstreamError::unreachable("it does not speak 2026-07-28"))
        }
    }
}

/// A stateless request of the gateway's own, in any transport.
pub(super) fn stateless_request(id: i64, method: Method, params: Option<&Members>, out: &Outbound) -> Bytes {
    // The gateway asks for itself: nothing that the client can do is needed.
    let told = envelope::Told {
        version: Version::V2026_07_28,
        capabilities: &Raw::empty_object(),
        info: Some(&out.client_info.clone().unwrap_or_else(own_info)),
        log_level: None,
        progress: false,
    };
    envelope::stateless(id, method, params, &told)
}

/// Session: `initialize`, then `notifications/initialized`.
pub(super) async fn begin(
    pipe: Pipe,
    shared: &Shared,
    out: &Outbound,
    eras: &Eras,
) -> Result<Link, UpstreamError> {
    let mut headers = HeaderMap::new();
    out.beside(Some(Method::Initialize), &mut headers)?;
    let id = shared.fresh_id();
    let answer = pipe.ask(id, initialize(id, out), headers).await?;
    let response = answer.await.map_err(|_| pipe.gone())?;
    let (version, document) = initialized(id, Message::Response(response), eras)?;
    let mut headers = HeaderMap::new();
    out.beside(None, &mut headers)?;
    pipe.tell(frame::notification(Method::Initialized.name(), None), headers).await?;
    eras.note(Era::Session, Known::Speaks);
    Ok(pipe.opened(version, document, shared))
}

impl Link {
    /// Sends a call, and waits until the server has taken it or says something. Cancel safe: before it is sent nothing
    /// has left, afterwards it is withdrawn.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) async fn call(
        self: &Arc<Self>,
        id: i64,
        request: Bytes,
        headers: HeaderMap,
    ) -> Result<LinkCall, Refusal> {
        let gone = |reason: Arc<str>| UpstreamError::unreachable(reason.to_string());
        let heard = self.calls.enter(id).map_err(gone)?;
        let mut call = LinkCall { link: Arc::clone(self), id, heard, going: None, early: None };
        let Some(mut going) = self.way.send(request, headers).await else {
            return Err(gone(self.calls.closed().unwrap_or_else(|| "it is gone".into())).into());
        };
        tokio::select! {
            biased;
            taken = &mut going => match taken {
                Ok(()) => {}
                Err(refusal) => {
                    self.calls.forget(id);
                    return Err(refusal);
                }
            },
            message = call.heard.next(&self.calls) => {
                call.early = Some(Box::new(message?));
                call.going = Some(going);
            }
        }
        Ok(call)
    }

    /// Lets the server log as much as this call wants. A server that will not is not pressed.
    pub(super) async fn log(self: &Arc<Self>, out: &Outbound, shared: &Shared) {
        let mut headers = HeaderMap::new();
        if let Some((id, request)) = self.loudness.raise(out.log_level, || shared.fresh_id())
            && out.beside(Some(Method::LoggingSetLevel), &mut headers).is_ok()
            && let Ok(mut asked) = self.call(id, request, headers).await
        {
            let _ = tokio::time::timeout(SILENCE, asked.next()).await;
        }
    }

    /// A call of the same caller comes through.
    pub(super) fn renew(&self, out: &Outbound) {
        if let Way::Pair(pair) = &self.way {
            pair.renew(out);
        }
    }

    /// The server's own `serverInfo`, as a session server says it.
    pub(super) fn server_info(&self) -> Option<Raw> {
        self.document.get("serverInfo")
    }

    /// Sends a notification or a response, if there is room.
    pub(super) fn say(&self, message: Bytes) {
        self.way.say(message);
    }

    /// Sends a request whose answer nobody waits for.
    pub(super) fn ask_later(&self, id: i64, request: Bytes) {
        if self.calls.enter(id).is_ok() {
            self.calls.leave(id);
            self.way.say(request);
        }
    }
}

impl LinkCall {
    /// The next message of this call. Cancel safe.
    ///
    /// # Errors
    /// Failed: the server is gone, and the call may have taken effect.
    pub(super) async fn next(&mut self) -> Result<Message, UpstreamError> {
        if let Some(early) = self.early.take() {
            return Ok(*early);
        }
        while let Some(going) = &mut self.going {
            tokio::select! {
                biased;
                message = self.heard.next(&self.link.calls) => return message,
                taken = going => {
                    self.going = None;
                    // It has spoken about this call already.
                    taken.map_err(|refusal| refusal.into_error().with_sent(Sent::Unknown))?;
                }
            }
        }
        self.heard.next(&self.link.calls).await
    }

    pub(super) fn say(&self, message: Bytes) {
        self.link.say(message);
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for LinkCall {
    fn drop(&mut self) {
        if self.link.calls.leave(self.id) {
            self.link.say(cancelled(self.id));
        }
    }
}

/// Withdraws a call (stdio of both eras, and HTTP of the older one).
pub(super) fn cancelled(id: i64) -> Bytes {
    let params = Raw::of_value(&serde_json::json!({ "requestId": id, "reason": "the caller withdrew" }));
    frame::notification(Method::Cancelled.name(), Some(&params))
}

impl Held for Link {
    const PAUSES: bool = true;

    fn alive(&self) -> bool {
        self.calls.closed().is_none()
    }

    fn awaited(&self) -> bool {
        self.calls.has_listener()
    }

    fn followed(&self) -> bool {
        !self.calls.followers().is_empty()
    }

    fn retire(&self) {
        self.calls.followers().end();
    }

    fn kill(&self) {
        self.calls.kill();
    }

    fn failed(&self, ticks: u64) -> bool {
        ticks.saturating_sub(self.started) < u64::try_from(STEADY.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long a server may be silent after `server/discover` before it is asked to initialize.
const SILENCE: Duration = Duration::from_secs(3);
/// A child that ended earlier than this has failed.
const STEADY: Duration = Duration::from_secs(10);
