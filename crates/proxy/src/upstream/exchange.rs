//! One exchange, as the stages see it: what the server says, in the client's era, until the answer.

use super::call::HttpCall;
use super::dialect::{Dialect, Heard};
use super::fault::{Sent, UpstreamError};
use super::follow::Followed;
use super::link::{Link, LinkCall};
use super::session::Session;
use super::slots::Slot;
use super::way::Back;
use super::{Inbox, Unsolicited};
use crate::lease::{self, Lease};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::ServerName;
use protocol::{Era, Id, Message, Notification, Outcome, Request, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::time::Sleep;

/// A call under way. Dropping it before its answer cancels it upstream: the stream is closed (HTTP), and a
/// server of the older era, or on stdio, is told with `notifications/cancelled`.
pub(crate) struct Exchange {
    state: State,
    /// Whether the call may have taken effect.
    sent: Arc<AtomicBool>,
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
    /// A question that has to be put once more.
    again: Option<Request>,
    /// What the call stands on.
    lease: Option<Lease>,
}

/// An open exchange, its deadline and what it stands on.
type Opening<'e> = (&'e mut Opened, Pin<&'e mut Sleep>, &'e mut Option<Lease>);

#[allow(
    clippy::large_enum_variant,
    reason = "each call has one, and a box would cost every call an allocation"
)]
enum State {
    /// On its way to the first sign of an answer.
    Opening(BoxFuture<'static, Result<Opened, UpstreamError>>),
    Open(Opened, Id),
}

/// What the server says next.
pub(crate) enum Inbound {
    /// News of this call: progress, a log message, a subscription's event.
    Notification(Notification),
    /// A question to the client (session era); `Exchange::answer` takes the answer.
    Request(Request),
    /// The answer: nothing follows.
    Final(Outcome),
}

/// An exchange without its deadline.
pub(super) struct Opened {
    pub(super) wire: Wire,
    pub(super) dialect: Dialect,
    pub(super) server: ServerName,
    pub(super) inbox: Option<Inbox>,
}

/// How it travels.
pub(super) enum Wire {
    Http(HttpCall),
    /// The slot keeps the link from being reaped.
    Link {
        call: LinkCall,
        _slot: Arc<Slot<Link>>,
    },
    /// Updates of a resource of an older server.
    Followed(Followed),
    /// It does not: the gateway has the answer itself.
    Here(Option<Box<Message>>),
}

/// The way back for the answer to a server's question that came on no call's stream.
pub(crate) enum Answering {
    Session(Arc<Session>),
    Link(Back),
}

impl Exchange {
    /// An exchange that opens as it is driven, and may take `limit` in all. `sent` is set as soon as the call may
    /// have taken effect.
    pub(super) fn new(
        opening: BoxFuture<'static, Result<Opened, UpstreamError>>,
        sent: Arc<AtomicBool>,
        limit: Duration,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            state: State::Opening(opening),
            sent,
            deadline: Box::pin(tokio::time::sleep(limit)),
            limit,
            again: None,
            lease,
        }
    }

    /// The id of the request upstream, once it is known.
    pub(crate) fn upstream_id(&self) -> Option<&Id> {
        match &self.state {
            State::Opening(_) => None,
            State::Open(_, id) => Some(id),
        }
    }

    /// What the call stands on.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The era the server is spoken to in, once that is known.
    pub(crate) fn server_era(&self) -> Option<Era> {
        match &self.state {
            State::Opening(_) => None,
            State::Open(opened, _) => Some(opened.dialect.server.era()),
        }
    }

    /// Sends the call and waits for the first sign of an answer. Cancel safe.
    ///
    /// # Errors
    /// [`UpstreamError`]; its `sent` says whether the call may have taken effect.
    pub(crate) async fn open(&mut self) -> Result<(), UpstreamError> {
        self.opened().await.map(drop)
    }

    async fn opened(&mut self) -> Result<Opening<'_>, UpstreamError> {
        if let State::Opening(opening) = &mut self.state {
            let opened = tokio::select! {
                biased;
                // SECURITY: before anything is sent, and at once: `a_call_under_way_ends_with_what_it_stands_on`.
                ended = lease::ended(&mut self.lease) => {
                    return Err(UpstreamError::ended(ended, Sent::of(&self.sent)));
                }
                opened = opening => opened?,
                () = &mut self.deadline => {
                    return Err(UpstreamError::timeout(Sent::of(&self.sent), self.limit));
                }
            };
            let id = Id::Number(opened.dialect.id);
            self.state = State::Open(opened, id);
        }
        match &mut self.state {
            State::Open(opened, _) => Ok((opened, self.deadline.as_mut(), &mut self.lease)),
            State::Opening(_) => Err(UpstreamError::internal("an exchange that opened is not open")),
        }
    }

    /// What the server says next. Cancel safe. After `Final`, or an error, it is not called again.
    ///
    /// # Errors
    /// [`UpstreamError`]; its `sent` says whether the call may have taken effect.
    pub(crate) async fn next(&mut self) -> Result<Inbound, UpstreamError> {
        if let Some(question) = self.again.take() {
            return Ok(Inbound::Request(question));
        }
        let limit = self.limit;
        let (opened, mut deadline, lease) = self.opened().await?;
        loop {
            let message = tokio::select! {
                biased;
                ended = lease::ended(lease) => return Err(UpstreamError::ended(ended, Sent::Unknown)),
                message = opened.wire.next() => message?,
                () = &mut deadline => return Err(UpstreamError::timeout(Sent::Unknown, limit)),
            };
            match opened.dialect.hear(message)? {
                Heard::Notification(notification) => return Ok(Inbound::Notification(notification)),
                Heard::Request(request) => return Ok(Inbound::Request(request)),
                Heard::Final(outcome) => return Ok(Inbound::Final(outcome)),
                Heard::Unsolicited(notification) => opened.unsolicited(notification),
                Heard::Reply(reply) => opened.wire.say(reply),
                Heard::Nothing => {}
            }
        }
    }

    /// Goes on for another request of the same caller, who was asked `question`: with time of its own, on the token of
    /// that request, and, if it has not answered, with the same question.
    pub(crate) fn go_on(&mut self, progress: Option<Id>, question: Option<Request>, lease: Lease) {
        self.lease = Some(lease);
        self.deadline = Box::pin(tokio::time::sleep(self.limit));
        self.again = question;
        if let State::Open(opened, _) = &mut self.state {
            opened.dialect.next_leg(progress);
        }
    }

    /// Answers a question of the server, within the time of the call; the response carries the server's own id.
    ///
    /// # Errors
    /// [`UpstreamError`] when the answer could not be delivered.
    pub(crate) async fn answer(&mut self, response: Response) -> Result<(), UpstreamError> {
        let State::Open(opened, _) = &self.state else {
            return Err(UpstreamError::internal("nobody has asked yet"));
        };
        match &opened.wire {
            Wire::Http(call) => match call.session() {
                Some(session) => tokio::select! {
                    biased;
                    ended = lease::ended(&mut self.lease) => Err(UpstreamError::ended(ended, Sent::Unknown)),
                    posted = session.post(response.bytes) => posted,
                    () = &mut self.deadline => Err(UpstreamError::timeout(Sent::Unknown, self.limit)),
                },
                None => Err(UpstreamError::internal("a stateless server asks no questions")),
            },
            Wire::Link { call, .. } => {
                call.say(response.bytes);
                Ok(())
            }
            Wire::Followed(_) | Wire::Here(_) => Err(UpstreamError::internal("nobody has asked")),
        }
    }
}

impl Opened {
    fn unsolicited(&self, notification: Notification) {
        if let Some(inbox) = &self.inbox {
            let message = Message::Notification(notification);
            let _ = inbox.try_send(Unsolicited { server: self.server.clone(), message, answer: None });
        }
    }
}

impl Wire {
    async fn next(&mut self) -> Result<Message, UpstreamError> {
        match self {
            Self::Http(call) => call.next().await,
            Self::Link { call, .. } => call.next().await,
            Self::Followed(followed) => followed.next().await,
            Self::Here(answer) => {
                let over = || UpstreamError::internal("an answer that was taken already");
                answer.take().map(|answer| *answer).ok_or_else(over)
            }
        }
    }

    fn say(&self, message: Bytes) {
        match self {
            Self::Http(call) => {
                if let Some(session) = call.session() {
                    session.send_later(message);
                }
            }
            Self::Link { call, .. } => call.say(message),
            Self::Followed(_) | Self::Here(_) => {}
        }
    }
}

impl Answering {
    /// Sends it without waiting: a server that does not take it holds nobody up.
    pub(super) fn send(&self, response: Bytes) {
        match self {
            Self::Session(session) => session.send_later(response),
            Self::Link(back) => back.say(response),
        }
    }
}
