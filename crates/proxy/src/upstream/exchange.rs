//! One exchange, as the stages see it: what the server says, in the client's era, until the answer.

use super::call::HttpCall;
use super::dialect::{Dialect, Heard};
use super::fault::{Sent, UpstreamError};
use super::link::ChildCall;
use super::route::Back;
use super::session::Session;
use super::slots::Slot;
use super::{Inbox, Unsolicited, link::Link};
use bytes::Bytes;
use model::ServerName;
use protocol::{Id, Message, Notification, Outcome, Request, Response, frame};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Sleep;

/// A call under way. Dropping it before its answer cancels it upstream: the stream is closed (HTTP), and a
/// server of the older era, or on stdio, is told with `notifications/cancelled`.
pub(crate) struct Exchange {
    opened: Opened,
    id: Id,
    deadline: Pin<Box<Sleep>>,
    limit: Duration,
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
    /// The slot keeps the child from being reaped.
    Child {
        call: ChildCall,
        _slot: Arc<Slot<Link>>,
    },
}

/// The way back for the answer to a server's question that came on no call's stream.
pub(crate) enum Answering {
    Session(Arc<Session>),
    Child(Back),
}

impl Exchange {
    pub(super) fn new(opened: Opened, deadline: Pin<Box<Sleep>>, limit: Duration) -> Self {
        let id = Id::Number(opened.dialect.id);
        Self { opened, id, deadline, limit }
    }

    /// The id of the request upstream.
    pub(crate) fn upstream_id(&self) -> &Id {
        &self.id
    }

    /// What the server says next. Cancel safe. After `Final`, or an error, it is not called again.
    ///
    /// # Errors
    /// [`UpstreamError`]: the call may have taken effect.
    pub(crate) async fn next(&mut self) -> Result<Inbound, UpstreamError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.opened.wire.next() => message?,
                () = &mut self.deadline => return Err(UpstreamError::timeout(Sent::Unknown, self.limit)),
            };
            match self.opened.dialect.hear(message)? {
                Heard::Notification(notification) => return Ok(Inbound::Notification(notification)),
                Heard::Request(request) => return Ok(Inbound::Request(request)),
                Heard::Final(outcome) => return Ok(Inbound::Final(outcome)),
                Heard::Unsolicited(notification) => self.opened.unsolicited(notification),
                Heard::Reply(reply) => self.opened.wire.say(reply),
                Heard::Nothing => {}
            }
        }
    }

    /// Answers a question of the server; the response carries the server's own id.
    ///
    /// # Errors
    /// [`UpstreamError`] when the answer could not be delivered.
    pub(crate) async fn answer(&mut self, response: Response) -> Result<(), UpstreamError> {
        match &self.opened.wire {
            Wire::Http(call) => match call.session() {
                Some(session) => session.post(response.bytes).await,
                None => Err(UpstreamError::internal("a stateless server asks no questions")),
            },
            Wire::Child { call, .. } => {
                call.say(response.bytes);
                Ok(())
            }
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
            Self::Child { call, .. } => call.next().await,
        }
    }

    fn say(&self, message: Bytes) {
        match self {
            Self::Http(call) => {
                if let Some(session) = call.session() {
                    session.send_later(message);
                }
            }
            Self::Child { call, .. } => call.say(message),
        }
    }
}

impl Answering {
    pub(super) async fn send(&self, response: Bytes) -> Result<(), UpstreamError> {
        match self {
            Self::Session(session) => session.post(response).await,
            Self::Child(back) => {
                let gone = || UpstreamError::unreachable("its process ended");
                let out = back.upgrade().ok_or_else(gone)?;
                out.send(frame::one_line(response)).await.map_err(|_| gone())
            }
        }
    }
}
