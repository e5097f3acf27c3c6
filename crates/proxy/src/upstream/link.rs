//! A child that speaks MCP over its pipes, and the calls that share them.

use super::child::{self, Child};
use super::era::{self, Eras, Known, Probed};
use super::fault::{Sent, UpstreamError};
use super::line::{LineError, Lines};
use super::loudness::Loudness;
use super::ring::Ring;
use super::route::{Calls, Heard, Step};
use super::session::{initialize, initialized, own_info};
use super::slots::Held;
use super::{Outbound, Shared, envelope};
use crate::config::server::StdioServer;
use bytes::Bytes;
use protocol::meta::LogLevel;
use protocol::{Bounds, Era, Members, Message, Method, Raw, Response, Version, frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

/// A running child. Dropping the last hold on it ends the child in good order.
pub(super) struct Link {
    out: mpsc::Sender<Bytes>,
    pub(super) calls: Arc<Calls>,
    pub(super) version: Version,
    /// The result of `server/discover` or `initialize`.
    pub(super) document: Members,
    loudness: Loudness,
    started: u64,
}

/// One call in a child. Dropping it withdraws the call.
pub(super) struct ChildCall {
    link: Arc<Link>,
    id: i64,
    heard: Heard,
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
    let (sender, receiver) = mpsc::channel(QUEUED);
    let calls = Arc::new(Calls::new(era, server.shared, out.server.clone()));
    let limits = &settings.limits;
    let bounds = Bounds { bytes: limits.answer_bytes, depth: limits.json_depth, items: limits.json_items };
    let started = settings.clock.ticks();
    let run = run(child, receiver, Arc::clone(&calls), sender.downgrade(), bounds);
    shared.children.spawn(run);
    let pipe = Pipe { out: sender, calls };
    let opened = match era {
        Era::Stateless => discover(&pipe, shared, out, eras).await,
        Era::Session => begin(&pipe, shared, out, eras).await,
    };
    match opened {
        Ok((version, document)) => {
            let Pipe { out, calls } = pipe;
            let loudness = Loudness::of(&document);
            Ok(Link { out, calls, version, document, loudness, started })
        }
        // Before its first call a child has seen no arguments, so its last words are safe to show.
        Err(error) => Err(match stderr.last_line() {
            Some(words) => error.because(Words(words)),
            None => error,
        }),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its last words were: {0}")]
struct Words(String);

/// The pipes before it is known what is spoken.
struct Pipe {
    out: mpsc::Sender<Bytes>,
    calls: Arc<Calls>,
}

impl Pipe {
    async fn ask(&self, id: i64, request: Bytes) -> Result<oneshot::Receiver<Response>, UpstreamError> {
        let heard = self.calls.enter(id).map_err(|reason| UpstreamError::unreachable(reason.to_string()))?;
        self.out.send(request).await.map_err(|_| self.gone())?;
        Ok(heard.answer)
    }

    fn gone(&self) -> UpstreamError {
        let reason = self.calls.closed();
        UpstreamError::unreachable(reason.map_or("its process ended".to_owned(), |reason| reason.to_string()))
    }
}

/// Stateless: `server/discover` first (2026-07-28, stdio, backward compatibility). A server that stays silent
/// gets `initialize` too; a slow one answers in order, an older one answers the second only.
async fn discover(
    pipe: &Pipe,
    shared: &Shared,
    out: &Outbound,
    eras: &Eras,
) -> Result<(Version, Members), UpstreamError> {
    let (probe, second) = (shared.fresh_id(), shared.fresh_id());
    let mut probed = pipe.ask(probe, stateless_request(probe, Method::ServerDiscover, None, out)).await?;
    let answer = match tokio::time::timeout(SILENCE, &mut probed).await {
        Ok(answer) => answer,
        Err(_) => {
            let initialized = pipe.ask(second, initialize(second, out)).await?;
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
            Ok((Version::V2026_07_28, document))
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

async fn begin(
    pipe: &Pipe,
    shared: &Shared,
    out: &Outbound,
    eras: &Eras,
) -> Result<(Version, Members), UpstreamError> {
    let id = shared.fresh_id();
    let answer = pipe.ask(id, initialize(id, out)).await?;
    let response = answer.await.map_err(|_| pipe.gone())?;
    let opened = initialized(id, Message::Response(response), eras)?;
    let notification = frame::notification(Method::Initialized.name(), None);
    pipe.out.send(notification).await.map_err(|_| pipe.gone())?;
    eras.note(Era::Session, Known::Speaks);
    Ok(opened)
}

impl Link {
    /// Writes a call. Cancel safe: before it is queued nothing is written, afterwards it is withdrawn.
    ///
    /// # Errors
    /// [`UpstreamError`], not sent.
    pub(super) async fn call(self: &Arc<Self>, id: i64, request: Bytes) -> Result<ChildCall, UpstreamError> {
        let gone = |reason: Arc<str>| UpstreamError::unreachable(reason.to_string());
        let heard = self.calls.enter(id).map_err(gone)?;
        let call = ChildCall { link: Arc::clone(self), id, heard };
        if self.out.send(frame::one_line(request)).await.is_err() {
            return Err(gone(self.calls.closed().unwrap_or_else(|| "its process ended".into())));
        }
        Ok(call)
    }

    /// Lets the server log as much as this call wants. A server that will not is not pressed.
    pub(super) async fn log(self: &Arc<Self>, level: Option<LogLevel>, shared: &Shared) {
        if let Some((id, request)) = self.loudness.raise(level, || shared.fresh_id())
            && let Ok(mut asked) = self.call(id, request).await
        {
            let _ = tokio::time::timeout(SILENCE, asked.next()).await;
        }
    }

    /// The server's own `serverInfo`, as a session server says it.
    pub(super) fn server_info(&self) -> Option<Raw> {
        self.document.get("serverInfo")
    }

    /// Writes a notification or a response, if there is room.
    pub(super) fn say(&self, message: Bytes) {
        if self.out.try_send(frame::one_line(message)).is_err() {
            tracing::debug!("a child does not read; a message to it is lost");
        }
    }
}

impl ChildCall {
    /// The next message of this call. Cancel safe.
    ///
    /// # Errors
    /// Failed: the child ended, and the call may have taken effect.
    pub(super) async fn next(&mut self) -> Result<Message, UpstreamError> {
        tokio::select! {
            biased;
            Some(event) = self.heard.events.recv() => Ok(event),
            answer = &mut self.heard.answer => match answer {
                Ok(response) => Ok(Message::Response(response)),
                Err(_) => {
                    let reason = self.link.calls.closed();
                    let reason = reason.map_or("its process ended".to_owned(), |reason| reason.to_string());
                    Err(UpstreamError::failed(reason).with_sent(Sent::Unknown))
                }
            },
        }
    }

    pub(super) fn say(&self, message: Bytes) {
        self.link.say(message);
    }
}

impl Drop for ChildCall {
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

    fn failed(&self, ticks: u64) -> bool {
        ticks.saturating_sub(self.started) < u64::try_from(STEADY.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Moves messages until the child ends or nobody holds its link any more.
async fn run(
    child: Child,
    queue: mpsc::Receiver<Bytes>,
    calls: Arc<Calls>,
    back: mpsc::WeakSender<Bytes>,
    bounds: Bounds,
) {
    let Child { stdin, stdout, mut process } = child;
    let reason = {
        let reader = std::pin::pin!(read(stdout, &calls, &back, &bounds));
        let mut reader = reader;
        tokio::select! {
            biased;
            reason = &mut reader => reason,
            reason = write(stdin, queue) => reason,
            status = process.exited() => {
                // What it wrote last is still in the pipe.
                let _ = tokio::time::timeout(LAST_WORDS, &mut reader).await;
                status.map_or("its process ended".to_owned(), |status| format!("its process ended: {status}"))
            }
        }
    };
    calls.close(&reason);
    process.end().await;
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Bytes>) -> String {
    while let Some(message) = queue.recv().await {
        let written = async {
            stdin.write_all(&message).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            // Its end is noticed by the reader, who knows more.
            std::future::pending::<()>().await;
        }
    }
    "its process was ended after use".to_owned()
}

async fn read(stdout: ChildStdout, calls: &Calls, back: &mpsc::WeakSender<Bytes>, bounds: &Bounds) -> String {
    let mut lines = Lines::new(stdout, bounds.bytes);
    loop {
        let line = match lines.next().await {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => line,
            // Its exit status says more, if there is one soon.
            Err(LineError::Closed) => {
                tokio::time::sleep(LAST_WORDS).await;
                return LineError::Closed.to_string();
            }
            Err(error) => return error.to_string(),
        };
        let step = match protocol::decode(line.clone(), bounds) {
            Ok(message) => calls.take(message, back),
            Err(_) => calls.garbage(&line),
        };
        match step {
            Step::Go => {}
            Step::Say(reply) => {
                if let Some(out) = back.upgrade() {
                    let _ = out.try_send(frame::one_line(reply));
                }
            }
            Step::Stop(reason) => return reason.to_owned(),
        }
    }
}

/// Messages waiting to be written to one child.
const QUEUED: usize = 256;
/// How long a server may be silent after `server/discover` before it is asked to initialize.
const SILENCE: Duration = Duration::from_secs(3);
/// A child that ended earlier than this has failed.
const STEADY: Duration = Duration::from_secs(10);
/// How long the exit status waits for the last output, and the end of output for the status.
const LAST_WORDS: Duration = Duration::from_millis(100);
