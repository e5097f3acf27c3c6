//! A newer client follows a resource of an older server: what it listens for is a `resources/subscribe` upstream (MCP
//! 2025-11-25, resources), and the server's updates, which come on its stream of unsolicited messages, are its events. With
//! the last follower of a resource goes `resources/unsubscribe`.

use crate::upstream::Outbound;
use crate::upstream::dialect::Dialect;
use crate::upstream::exchange::{Exchange, Inbound, Opened, Wire};
use crate::upstream::fault::{Sent, UpstreamError};
use crate::upstream::followers::Followers;
use crate::upstream::link::Link;
use crate::upstream::server::Server;
use crate::upstream::session::{Hearing, Session};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{Edit, Id, Members, Message, Method, Notification, Outcome, Raw, frame};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc;

/// One followed resource. Dropping it ends the following.
pub(in crate::upstream) struct Followed {
    at: At,
    uri: Box<str>,
    number: u64,
    updates: mpsc::Receiver<Notification>,
    /// The id of the request that ends it upstream.
    ending: i64,
}

/// Where it is followed.
enum At {
    Session(Arc<Session>),
    Link(Arc<Link>),
}

/// Begins to follow the one resource that `out` listens for.
///
/// # Errors
/// [`UpstreamError`]: the server refuses, or has no way to tell of updates.
pub(super) async fn follow(
    server: &Arc<Server>,
    out: Outbound,
    sent: &Arc<AtomicBool>,
) -> Result<Opened, UpstreamError> {
    let uri = wanted(&out).ok_or_else(|| UpstreamError::internal("a subscription to no single resource"))?;
    // To the client this is a newer server's stream.
    let dialect = Dialect::new(server.shared(), &out, out.version, None, false)?;
    let name = out.server.clone();
    let version = out.version;
    let subscribing = out.in_its_place(version, Method::ResourcesSubscribe, &json!({"uri": uri}));
    let opened = open(Arc::clone(server), subscribing, Arc::clone(sent)).await?;
    let at = match &opened.wire {
        Wire::Http(call) => call.session().map(|session| At::Session(Arc::clone(session))),
        Wire::Link { call, .. } => Some(At::Link(Arc::clone(call.link()))),
        Wire::Followed(_) | Wire::Here(_) => None,
    };
    let at = at.ok_or_else(|| UpstreamError::internal("a subscription in no session"))?;
    let ending = server.shared().fresh_id();
    let (number, updates) = at.followers().join(&uri);
    let followed = Followed { at, uri, number, updates, ending };
    followed.is_told().await?;
    let limit = server.timeout();
    let mut asked = Exchange::new(std::future::ready(Ok(opened)).boxed(), Arc::clone(sent), limit, None);
    loop {
        match asked.next().await? {
            Inbound::Final(Outcome::Result(_)) => break,
            Inbound::Final(Outcome::Error(error)) => {
                let text = format!("it does not let this resource be followed: error {}", error.code);
                return Err(UpstreamError::failed(text));
            }
            Inbound::Notification(_) | Inbound::Request(_) => {}
        }
    }
    Ok(Opened { wire: Wire::Followed(followed), dialect, server: name, inbox: None })
}

/// Boxed, because opening is what leads here.
fn open(
    server: Arc<Server>,
    out: Outbound,
    sent: Arc<AtomicBool>,
) -> BoxFuture<'static, Result<Opened, UpstreamError>> {
    async move { server.open(out, &sent).await }.boxed()
}

/// The one resource of a subscription.
fn wanted(out: &Outbound) -> Option<Box<str>> {
    let notifications = out.params.as_ref()?.object("notifications")?;
    let uris = notifications.get("resourceSubscriptions")?.elements()?;
    match uris.as_slice() {
        [uri] => uri.to_str().map(|uri| uri.as_ref().into()),
        _ => None,
    }
}

impl Followed {
    /// The next update. Cancel safe.
    ///
    /// # Errors
    /// Failed: the session, or the link, is gone.
    pub(in crate::upstream) async fn next(&mut self) -> Result<Message, UpstreamError> {
        let gone = || UpstreamError::failed("the session in which it was followed has ended");
        self.updates.recv().await.map(Message::Notification).ok_or_else(gone)
    }

    /// Makes sure that there is a stream on which the server tells of updates.
    async fn is_told(&self) -> Result<(), UpstreamError> {
        match &self.at {
            At::Session(session) if session.hears().await == Hearing::Never => {
                let text = "it has no stream on which it could tell of updates";
                Err(UpstreamError::unbridged(text).with_sent(Sent::Unknown))
            }
            At::Session(_) | At::Link(_) => Ok(()),
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if !self.at.followers().leave(&self.uri, self.number) {
            return;
        }
        let params = Edit::new().set(&["uri"], Raw::of_str(&self.uri)).apply(&Members::empty());
        let id = Id::Number(self.ending);
        let request = frame::request(&id, Method::ResourcesUnsubscribe.name(), Some(&params));
        match &self.at {
            At::Session(session) if session.is_lost() => {}
            At::Session(session) => session.send_later(request),
            At::Link(link) => link.ask_later(self.ending, request),
        }
    }
}

impl At {
    fn followers(&self) -> &Followers {
        match self {
            Self::Session(session) => &session.followers,
            Self::Link(link) => link.calls.followers(),
        }
    }
}
