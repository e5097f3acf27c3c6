//! Single resources that a stateless client follows: one stream to the resource's server for each, opened by the
//! same stages as any call, so that each has its own permit and its own leaves.

use crate::admit::Call;
use crate::authenticate::Caller;
use crate::house::House;
use crate::pipeline::go;
use crate::resolve;
use crate::send::{self, Sent};
use crate::stop::{Stop, Why};
use crate::trail::Trail;
use crate::upstream::Inbound;
use crate::{inspect, record};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ledger::{Attempt, Status};
use model::Code;
use protocol::{Edit, Members, Raw};
use protocol::{Id, Method, Notification, frame, meta, sse};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Resources that one stream may follow.
pub(super) const FOLLOWED: usize = 32;

/// One followed resource.
pub(super) struct Followed {
    pub(super) uri: Box<str>,
    sent: Sent,
}

/// Opens a stream for each resource. What cannot be followed is on record and left out; the reason of the first
/// such is told.
pub(super) async fn open(
    house: &Arc<House>,
    call: &Call,
    uris: &[Box<str>],
) -> (Vec<Followed>, Option<Code>) {
    let opened = join_all(uris.iter().take(FOLLOWED).map(|uri| follow(house, call, uri))).await;
    let (mut followed, mut refused) = (Vec::new(), None);
    for result in opened {
        match result {
            Ok(one) => followed.push(one),
            Err(stop) => {
                let stop = record::stop(house, stop).await;
                refused = refused.or(Some(stop.why.facts().1));
            }
        }
    }
    (followed, refused)
}

async fn follow(house: &Arc<House>, call: &Call, uri: &str) -> Result<Followed, Stop> {
    let target = resolve::subscription(house, leg(house, call, uri)?)?;
    let mut sent = go(house, target).await?;
    match sent.exchange.open().await {
        Ok(()) => Ok(Followed { uri: uri.into(), sent }),
        Err(error) => {
            let upstream = sent.upstream_id();
            Err(send::failed(sent.call, sent.open, &error, upstream.as_deref()).await)
        }
    }
}

/// A call of its own for one resource, by the same caller.
fn leg(house: &House, call: &Call, uri: &str) -> Result<Box<Call>, Stop> {
    let mut trail = Trail::new(house, call.trail.endpoint.clone(), call.trail.peer);
    trail.principal.clone_from(&call.trail.principal);
    trail.key = call.trail.key;
    trail.conversation.clone_from(&call.trail.conversation);
    trail.trace.clone_from(&call.trail.trace);
    trail.method = Some(Method::SubscriptionsListen);
    trail.version = call.trail.version;
    trail.span = call.trail.span.as_ref().map(|span| span.beside(house));
    let Some(caller) = Caller::again(house, &call.state, &call.caller) else { return Err(Stop::busy(trail)) };
    let notifications = Raw::of_value(&json!({"resourceSubscriptions": [uri]}));
    let params = call.params.as_ref().and_then(|params| {
        Members::of(
            &Edit::new().set(&["notifications"], notifications).set(&["uri"], Raw::of_str(uri)).apply(params),
        )
    });
    Ok(Box::new(Call {
        trail,
        state: Arc::clone(&call.state),
        caller,
        headers: call.headers.clone(),
        client: call.client.clone(),
        method: Method::SubscriptionsListen,
        id: call.id.clone(),
        params,
        meta: call.meta.clone(),
    }))
}

/// Tells the listener of updates until every followed stream has ended; never ends by itself without any.
pub(super) async fn relay(followed: Vec<Followed>, subscription: &Id, sender: &mpsc::Sender<Bytes>) {
    if followed.is_empty() {
        std::future::pending::<()>().await;
    }
    let mut streams: FuturesUnordered<_> =
        followed.into_iter().map(|followed| one(followed, subscription, sender)).collect();
    while streams.next().await.is_some() {}
}

async fn one(followed: Followed, subscription: &Id, sender: &mpsc::Sender<Bytes>) {
    let Followed { uri, mut sent } = followed;
    loop {
        match sent.exchange.next().await {
            Ok(Inbound::Notification(notification)) => {
                if let Some(update) = update(&sent, &notification, &uri, subscription)
                    && sender.send(sse::event(&update, None)).await.is_err()
                {
                    return;
                }
            }
            // A stateless server asks nothing; the upstream refuses it before it comes here.
            Ok(Inbound::Request(_)) => {}
            Ok(Inbound::Final(_)) => {
                let upstream = sent.upstream_id();
                let ending = record::Ending {
                    status: Status::Ok,
                    attempt: Attempt::Answered,
                    code: None,
                    reason: None,
                    upstream: upstream.as_deref(),
                    findings: &[],
                    answer_bytes: 0,
                    reply_bytes: 0,
                };
                // The listener goes on; a record that is down refuses the next call.
                drop(sent.open.settle(sent.call.trail, ending).await);
                return;
            }
            Err(error) => {
                let upstream = sent.upstream_id();
                drop(send::failed(sent.call, sent.open, &error, upstream.as_deref()).await);
                return;
            }
        }
    }
}

/// An update of the followed resource, under the listener's own subscription id.
fn update(sent: &Sent, notification: &Notification, uri: &str, subscription: &Id) -> Option<Bytes> {
    let params = notification.params.as_ref()?;
    let ours = notification.method.known() == Some(Method::ResourcesUpdated)
        && params.text("uri").as_deref() == Some(uri)
        && inspect::answer(&sent.call.state, params.raw()).is_ok();
    let stamped = Edit::new().set(&["_meta", meta::SUBSCRIPTION_ID], subscription.to_raw()).apply(params);
    ours.then(|| frame::notification(Method::ResourcesUpdated.name(), Some(&stamped)))
}

/// What the caller is told when nothing it asked for can be followed.
pub(super) fn refusal(call: Box<Call>, code: Code) -> Stop {
    let message = code.row().map_or("refused", |row| row.title);
    let refusal = crate::stop::Refusal::new(model::ErrorKind::Invalid, code, i64::from(code.0), message);
    Stop::new(call.trail, Why::Refused(refusal))
}
