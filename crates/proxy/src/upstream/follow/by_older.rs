//! An older client follows single resources of a newer server: `resources/subscribe` is answered here, and for each
//! resource a `subscriptions/listen` stream stays open (MCP 2026-07-28, subscriptions), whose updates go to the client
//! session's inbox as an older server's would. They end with `resources/unsubscribe`, with the session, or with the server.

use crate::upstream::dialect::Dialect;
use crate::upstream::exchange::{Exchange, Inbound, Opened, Wire};
use crate::upstream::fault::{Sent, UpstreamError};
use crate::upstream::server::Server;
use crate::upstream::{Inbox, Outbound, Unsolicited};
use futures_util::FutureExt as _;
use model::{Digest, ServerName};
use protocol::meta::SUBSCRIPTION_ID;
use protocol::{Called, Edit, Message, Method, Notification, Outcome, Raw, Response, Version, frame, reply};
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::AbortHandle;

/// The resources that client sessions follow at one server.
#[derive(Default)]
pub(in crate::upstream) struct Follows(Mutex<HashMap<Digest, HashMap<Box<str>, AbortHandle>>>);

impl Follows {
    /// Ends what the chosen client sessions follow.
    pub(in crate::upstream) fn end(&self, chosen: impl Fn(&Digest) -> bool) {
        self.lock().retain(|session, followed| {
            let ends = chosen(session);
            if ends {
                followed.values().for_each(AbortHandle::abort);
            }
            !ends
        });
    }

    fn put(&self, session: Digest, uri: Box<str>, task: AbortHandle) {
        let mut table = self.lock();
        let followed = table.entry(session).or_default();
        followed.retain(|_, task| !task.is_finished());
        if let Some(earlier) = followed.insert(uri, task) {
            earlier.abort();
        }
    }

    fn remove(&self, session: Digest, uri: &str) {
        let mut table = self.lock();
        if let Some(followed) = table.get_mut(&session) {
            followed.remove(uri).inspect(AbortHandle::abort);
            if followed.is_empty() {
                table.remove(&session);
            }
        }
    }

    /// How many other resources a session follows.
    fn others(&self, session: Digest, uri: &str) -> usize {
        let table = self.lock();
        let followed = table.get(&session).into_iter().flatten();
        followed.filter(|(other, task)| &***other != uri && !task.is_finished()).count()
    }

    /// Forgets what has ended by itself.
    pub(in crate::upstream) fn sweep(&self) {
        self.lock().retain(|_, followed| {
            followed.retain(|_, task| !task.is_finished());
            !followed.is_empty()
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, HashMap<Box<str>, AbortHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins or ends following what `out` names at a newer server, and answers as an older one.
///
/// # Errors
/// [`UpstreamError`]: no client session to tell, too much followed, or the server does not let it be followed.
pub(super) async fn follow(
    server: &Arc<Server>,
    follows: &Follows,
    out: Outbound,
    sent: &Arc<AtomicBool>,
) -> Result<Opened, UpstreamError> {
    let uri = out.params.as_ref().and_then(|params| params.text("uri").map(Box::<str>::from));
    let (Some(uri), Some(session), Some(inbox)) = (uri, out.owner.session, out.inbox.clone()) else {
        return Err(UpstreamError::unbridged("nobody could be told of updates"));
    };
    // To the client this is an older server's answer.
    let dialect = Dialect::new(server.shared(), &out, out.version, None, false)?;
    let name = out.server.clone();
    if out.method == Method::ResourcesUnsubscribe {
        follows.remove(session, &uri);
    } else {
        if follows.others(session, &uri) >= FOLLOWED {
            return Err(UpstreamError::busy(format!("a session follows at most {FOLLOWED} resources")));
        }
        let mut exchange = listen(server, out, &uri, sent);
        acknowledged(&mut exchange, &uri).await?;
        let task = tokio::spawn(pass_on(exchange, name.clone(), uri.clone(), inbox.clone()));
        follows.put(session, uri, task.abort_handle());
    }
    let answer = reply::result(&protocol::Id::Number(dialect.id), b"{}");
    let result = Raw::empty_object().members().ok_or_else(|| UpstreamError::internal("no empty object"))?;
    let response = Response {
        id: Some(protocol::Id::Number(dialect.id)),
        outcome: Outcome::Result(result),
        bytes: answer,
    };
    let wire = Wire::Here(Some(Box::new(Message::Response(response))));
    Ok(Opened { wire, dialect, server: name, inbox: Some(inbox) })
}

fn listen(server: &Arc<Server>, out: Outbound, uri: &str, sent: &Arc<AtomicBool>) -> Exchange {
    let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
    let listening = out.in_its_place(Version::LATEST, Method::SubscriptionsListen, &wanted);
    let limit = server.limits().session_lifetime;
    let (server, flag, lease) = (Arc::clone(server), Arc::clone(sent), listening.lease.clone());
    Exchange::new(async move { server.open(listening, &flag).await }.boxed(), Arc::clone(sent), limit, lease)
}

/// Waits until the server has said that it will tell of this resource.
async fn acknowledged(exchange: &mut Exchange, uri: &str) -> Result<(), UpstreamError> {
    loop {
        match exchange.next().await? {
            Inbound::Notification(told) if told.method.known() == Some(Method::SubscriptionsAcknowledged) => {
                let agreed = told.params.as_ref().and_then(|params| params.object("notifications"));
                let uris = agreed.and_then(|agreed| agreed.get("resourceSubscriptions"));
                let uris = uris.and_then(|uris| uris.elements()).unwrap_or_default();
                let follows = uris.iter().any(|one| one.to_str().as_deref() == Some(uri));
                let refused = || UpstreamError::failed("it does not let this resource be followed");
                return if follows { Ok(()) } else { Err(refused().with_sent(Sent::Unknown)) };
            }
            Inbound::Notification(_) | Inbound::Request(_) => {}
            Inbound::Final(_) => {
                return Err(UpstreamError::failed("it ended the stream before it agreed to it"));
            }
        }
    }
}

/// Tells the client session of every update, until the stream ends or nobody hears it any more. With the stream goes a last
/// update, so that nobody goes on with what may have changed unheard; to follow again is to be judged again.
async fn pass_on(mut exchange: Exchange, server: ServerName, uri: Box<str>, inbox: Inbox) {
    let tell = |told: Notification| {
        let message = Message::Notification(told);
        let unsolicited = Unsolicited { server: server.clone(), message, answer: None };
        // Full: the client hears too slowly, and of the next update again.
        drop(inbox.try_send(unsolicited));
    };
    loop {
        let inbound = tokio::select! {
            inbound = exchange.next() => inbound,
            () = inbox.closed() => return,
        };
        let Ok(Inbound::Notification(told)) = inbound else { return tell(updated(&uri)) };
        let ours = told.method.known() == Some(Method::ResourcesUpdated)
            && told.params.as_ref().is_some_and(|params| params.text("uri").as_deref() == Some(&*uri));
        if !ours {
            continue;
        }
        tell(older(told));
    }
}

fn updated(uri: &str) -> Notification {
    let params = Raw::of_value(&json!({"uri": uri}));
    let bytes = frame::notification(Method::ResourcesUpdated.name(), Some(&params));
    Notification { method: Called::Known(Method::ResourcesUpdated), params: params.members(), bytes }
}

/// An update as older clients know it: of no subscription.
fn older(told: Notification) -> Notification {
    let Some(params) = &told.params else { return told };
    let plain = match params.object("_meta") {
        Some(meta) if meta.len() == 1 && meta.contains(SUBSCRIPTION_ID) => {
            Edit::new().remove(&["_meta"]).apply(params)
        }
        _ => Edit::new().remove(&["_meta", SUBSCRIPTION_ID]).apply(params),
    };
    let bytes = frame::notification(Method::ResourcesUpdated.name(), Some(&plain));
    Notification { params: plain.members(), bytes, ..told }
}

/// Resources that one client session may follow at one server.
const FOLLOWED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ended_by_itself_counts_no_more_and_is_forgotten() {
        let (follows, session) = (Follows::default(), Digest([1; 32]));
        let ended = tokio::spawn(async {});
        follows.put(session, "a".into(), ended.abort_handle());
        ended.await.unwrap();
        assert_eq!(follows.others(session, "b"), 0);
        let lives = tokio::spawn(std::future::pending::<()>());
        follows.put(session, "b".into(), lives.abort_handle());
        assert_eq!((follows.others(session, "c"), follows.others(session, "b")), (1, 0));
        follows.sweep();
        assert_eq!(follows.lock().len(), 1);
        lives.abort();
        assert!(lives.await.unwrap_err().is_cancelled());
        follows.sweep();
        assert!(follows.lock().is_empty());
    }
}
