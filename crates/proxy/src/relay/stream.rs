//! A reply as a stream: notifications and questions of the server, and at last its answer.

use super::{answer, question, rounds};
use crate::house::{House, State};
use crate::inspect;
use crate::parked::{self, Put};
use crate::record;
use crate::reply::{self, Reply};
use crate::send::{self, Sent};
use crate::session::replay::Replay;
use crate::session::{Live, QUESTIONS, UnderWay};
use crate::stop::Stop;
use crate::trail::Stage;
use crate::upstream::Inbound;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable};
use model::{Code, ErrorKind};
use protocol::{Id, Method, Notification, Request, Response, Version, frame, sse};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames that may wait for a slow client; a full stream holds the server back.
const WAITING: usize = 16;

/// How long a client may take nothing of a full stream before it counts as gone.
const STUCK: Duration = Duration::from_secs(60);

/// Begins the stream. A stateless client's relay is driven by its own reader and ends with it; a session
/// client's runs in a task that `notifications/cancelled` finds, and its stream can be taken up again.
pub(super) fn begin(
    house: &Arc<House>,
    sent: Sent,
    first: Option<Inbound>,
    under_way: Option<UnderWay>,
) -> Reply {
    let house = Arc::clone(house);
    let (Some(under_way), Some(session)) = (under_way, sent.call.client.session.clone()) else {
        let (frames, reader) = mpsc::channel(WAITING);
        let work = run(house, sent, first, Frames::Direct(frames)).boxed();
        return reply::stream(Some(work), reader);
    };
    let (replay, reader) = session.replays().begin(sent.call.client.version >= Version::V2025_11_25);
    let (handle, registration) = AbortHandle::new_pair();
    under_way.hand_over(handle);
    tokio::spawn(async move {
        // A stream that is cancelled ends like any other.
        let work = run(house, sent, first, Frames::Kept(Arc::clone(&replay)));
        let _ = Abortable::new(work, registration).await;
        session.replays().end(&replay);
        drop(under_way);
    });
    reply::stream(None, reader)
}

/// Where the frames of a stream go.
enum Frames {
    /// To the client, as long as it is there.
    Direct(mpsc::Sender<Bytes>),
    /// To a client that may come back.
    Kept(Arc<Replay>),
    /// Nowhere: the client has taken nothing for too long.
    Nowhere,
}

/// What has gone through a stream so far.
pub(super) struct Flow {
    frames: Frames,
    streamed: usize,
    session: Option<Arc<Live>>,
    /// Questions put to the client of the session, and the ids by which the server asked them.
    asked: Vec<(Id, Option<Id>)>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        // However the stream ends: the client's own withdrawal drops it in the middle.
        if let Some(session) = &self.session {
            self.asked.iter().for_each(|(id, _)| session.withdraw(id));
        }
    }
}

impl Flow {
    /// Bytes sent so far.
    pub(super) fn streamed(&self) -> usize {
        self.streamed
    }

    /// Remembers a question that is withdrawn when the stream ends.
    pub(super) fn asks(&mut self, id: &Id) {
        self.asked.push((id.clone(), None));
    }

    /// Says that the stream is alive. False when the client is gone for good.
    pub(super) async fn keep_alive(&self) -> bool {
        match &self.frames {
            Frames::Direct(frames) => {
                let alive = frames.send(Bytes::from_static(sse::KEEP_ALIVE));
                tokio::time::timeout(STUCK, alive).await.is_ok_and(|alive| alive.is_ok())
            }
            Frames::Kept(replay) => {
                replay.keep_alive();
                true
            }
            Frames::Nowhere => false,
        }
    }

    /// Whether nobody will take anything any more.
    fn is_over(&self) -> bool {
        matches!(self.frames, Frames::Nowhere)
    }

    /// Sends one message; waits while the client is slow, but not for ever.
    pub(super) async fn send(&mut self, message: &[u8]) {
        self.streamed = self.streamed.saturating_add(message.len());
        match &self.frames {
            Frames::Direct(frames) => {
                // A client that is gone is noticed by its reader.
                let sending = frames.send(sse::event(message, None));
                if tokio::time::timeout(STUCK, sending).await.is_err() {
                    self.frames = Frames::Nowhere;
                }
            }
            Frames::Kept(replay) => {
                if tokio::time::timeout(STUCK, replay.send(message)).await.is_err() {
                    replay.let_go();
                }
            }
            Frames::Nowhere => {}
        }
    }
}

async fn run(house: Arc<House>, mut sent: Sent, mut first: Option<Inbound>, frames: Frames) {
    let (answered, mut answers) = mpsc::channel(QUESTIONS);
    let session = sent.call.client.session.clone();
    let mut flow = Flow { frames, streamed: 0, session: session.clone(), asked: Vec::new() };
    let quiet = sent.call.state.config.limits.keep_alive;
    let id = sent.call.id.clone();
    let mut until = crate::listen::until(&house, &sent.call.caller.verified);
    let last = loop {
        if flow.is_over() {
            // Dropping the call withdraws it, and its record says so.
            return;
        }
        let inbound = match first.take() {
            Some(first) => Ok(first),
            None => tokio::select! {
                biased;
                () = &mut until => break Err(expired(sent).await),
                Some((upstream, response)) = answers.recv() => {
                    if let Err(error) = answer_upstream(&mut sent, upstream, &response).await {
                        break Err(failed(sent, &error).await);
                    }
                    continue;
                }
                inbound = tokio::time::timeout(quiet, sent.exchange.next()) => match inbound {
                    Ok(inbound) => inbound,
                    Err(_) => {
                        if !flow.keep_alive().await {
                            return;
                        }
                        continue;
                    }
                },
            },
        };
        match inbound {
            Ok(Inbound::Notification(notification)) => tell(&sent.call.state, &mut flow, &notification).await,
            Ok(Inbound::Request(request)) if parked::waits(&sent) => {
                sent.call.trail.mark(&house, Stage::Upstream);
                match parked::put(&house, sent, request, flow.streamed).await {
                    Ok(Put::Parked(body)) => break Ok(body),
                    Ok(Put::Declined(declined)) => sent = *declined,
                    Err(stop) => break Err(stop),
                }
            }
            Ok(Inbound::Request(request)) => {
                ask(&mut flow, &mut sent, session.as_ref(), request, &answered).await;
            }
            Ok(Inbound::Final(outcome)) => {
                sent.call.trail.mark(&house, Stage::Upstream);
                if let Some(result) = rounds::asked(&sent, &outcome) {
                    match rounds::next(&house, sent, &result, &mut flow, &mut until).await {
                        Ok(next) => sent = next,
                        Err(stop) => break Err(stop),
                    }
                    continue;
                }
                break answer::release(&house, sent, outcome, flow.streamed)
                    .await
                    .map(|released| released.bytes(&id));
            }
            Err(error) => break Err(failed(sent, &error).await),
        }
    };
    let message = match last {
        Ok(message) => message,
        Err(stop) => reply::stop_in_stream(&record::stop(&house, stop).await),
    };
    flow.send(&message).await;
}

async fn failed(sent: Sent, error: &crate::upstream::UpstreamError) -> Stop {
    let upstream = sent.upstream_id();
    send::failed(sent.call, sent.open, error, upstream.as_deref()).await
}

/// The caller's token has expired or was revoked while the call was under way. That a revocation may be seen by
/// whatever waits first, here, at the server or at the session, shows in no record.
async fn expired(sent: Sent) -> Stop {
    let upstream = sent.upstream_id();
    let (kind, code, reason) = match sent.open.stands() {
        Err(ended) => (ErrorKind::Cancelled, ended.code(), ended.reason()),
        Ok(()) => {
            let reason = "the token ended while the call was under way";
            (ErrorKind::Unauthenticated, Code::TOKEN_INVALID, reason)
        }
    };
    sent.open.failed(sent.call.trail, ledger::Attempt::Unknown, kind, code, reason, upstream.as_deref()).await
}

/// Passes a notification on, if it is within bounds.
async fn tell(state: &State, flow: &mut Flow, notification: &Notification) {
    if notification.method.known() == Some(Method::Cancelled) {
        let put = |id: &Id| {
            let mut asked = flow.asked.iter();
            asked.find(|(_, upstream)| upstream.as_ref() == Some(id)).map(|(shown, _)| shown.clone())
        };
        if let Some((shown, told)) = question::withdrawn(notification, put) {
            flow.session.iter().for_each(|session| session.withdraw(&shown));
            flow.send(&told).await;
        }
        return;
    }
    let fits = notification.params.as_ref().is_none_or(|params| inspect::answer(state, params.raw()).is_ok());
    if fits {
        flow.send(&notification.bytes).await;
    }
}

/// Passes a server's question on under an id of our own; what cannot be asked is answered here.
async fn ask(
    flow: &mut Flow,
    sent: &mut Sent,
    session: Option<&Arc<Live>>,
    request: Request,
    answered: &mpsc::Sender<(Id, Response)>,
) {
    let (state, method) = (&sent.call.state, request.method.as_str());
    let capabilities = &sent.call.client.capabilities;
    let fit = question::fit(state, &sent.server, capabilities, method, request.params.as_ref());
    let asked = session.zip(fit.ok()).and_then(|(session, params)| {
        session.ask(request.id.clone(), answered.clone()).map(|id| (id, params))
    });
    let Some((id, params)) = asked else {
        let refusal = reply::cannot_ask(&request.id);
        // A server that is gone is noticed by the next message.
        drop(sent.exchange.answer(refusal).await);
        return;
    };
    flow.send(&frame::request(&id, method, params.as_ref())).await;
    flow.asked.push((id, Some(request.id)));
}

/// Hands the client's answer to the server, under the server's own id.
async fn answer_upstream(
    sent: &mut Sent,
    upstream: Id,
    response: &Response,
) -> Result<(), crate::upstream::UpstreamError> {
    sent.exchange.answer(reply::with_id(response, upstream)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::replay::Replays;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_does_not_hold_its_call_for_ever() {
        let (frames, _reader) = mpsc::channel(1);
        let mut flow = Flow { frames: Frames::Direct(frames), streamed: 0, session: None, asked: Vec::new() };
        flow.send(b"{}").await;
        assert!(!flow.is_over());
        flow.send(b"{}").await;
        assert!(flow.is_over() && !flow.keep_alive().await);
        let (replay, _hears) = Arc::new(Replays::new(Arc::default(), 1)).begin(false);
        flow.frames = Frames::Kept(Arc::clone(&replay));
        while replay.is_heard() {
            flow.send(b"{}").await;
        }
        assert!(!flow.is_over(), "it may come back");
    }
}
