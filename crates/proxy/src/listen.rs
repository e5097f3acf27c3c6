//! Streams that outlive a call: `subscriptions/listen` of stateless clients, the GET stream of older ones.
//!
//! Both hear of changed lists and updated resources, only of what their caller may see, and end with their
//! token, its revocation, or the drain.

mod follow;
mod hear;
mod mail;
mod session;

pub(crate) use mail::inbox;
pub(crate) use session::open;

use crate::admit::Call;
use crate::config::Endpoint;
use crate::house::House;
use crate::record;
use crate::reply::{self, Reply};
use crate::stop::{Refusal, Stop};
use authn::Verified;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hear::{Hearing, Told};
use protocol::{Id, frame, meta, sse, view};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Messages that may wait for a slow listener.
const WAITING: usize = 64;

/// Opens a `subscriptions/listen` stream: the acknowledgment first, then what was agreed (MCP 2026-07-28,
/// subscriptions).
pub(crate) async fn subscribe(house: &Arc<House>, call: Box<Call>) -> Result<Reply, Stop> {
    let wanted = match view::Listen::of(call.params.as_ref()) {
        Ok(wanted) => wanted,
        Err(error) => return Err(Stop::refused(call.trail, Refusal::params(error.to_string()))),
    };
    let Some(place) = take_place(house, &call) else { return Err(Stop::busy(call.trail)) };
    let hearing = Hearing::new(house, call.trail.endpoint.clone(), &wanted);
    let (followed, refused) = follow::open(house, &call, &wanted.uris).await;
    if let (Some(code), true, false) =
        (refused, followed.is_empty(), wanted.tools || wanted.prompts || wanted.resources)
    {
        return Err(follow::refusal(call, code));
    }
    let agreed =
        view::Listen { uris: followed.iter().map(|followed| followed.uri.clone()).collect(), ..wanted };
    let id = call.id.clone();
    let acknowledged = json!({
        "_meta": {meta::SUBSCRIPTION_ID: id_value(&id)},
        "notifications": agreed.to_raw().to_value().unwrap_or_default(),
    });
    let acknowledged = frame::notification(
        "notifications/subscriptions/acknowledged",
        Some(&protocol::Raw::of_value(&acknowledged)),
    );
    let Call { trail, caller, state, .. } = *call;
    record::local(house, trail, acknowledged.len()).await?;
    let (sender, reader) = mpsc::channel(WAITING);
    drop(sender.try_send(sse::event(&acknowledged, None)));
    let house = Arc::clone(house);
    let quiet = state.config.limits.keep_alive;
    let work = async move {
        let ended = until(&house, &caller.verified);
        let heard = hear::run(&house, hearing, Told::Subscription(&id), &sender, ended, quiet);
        let drained = tokio::select! {
            drained = heard => drained,
            () = follow::relay(followed, &id, &sender) => false,
        };
        if drained {
            let result = json!({"resultType": "complete", "_meta": {meta::SUBSCRIPTION_ID: id_value(&id)}});
            let last = protocol::reply::result(&id, result.to_string().as_bytes());
            drop(sender.send(sse::event(&last, None)).await);
        }
        drop((place, caller));
    };
    Ok(reply::stream(Some(work.boxed()), reader))
}

fn take_place(house: &House, call: &Call) -> Option<crate::crowd::Place> {
    let limits = &call.state.config.limits;
    house.streams.enter(call.caller.verified.key, limits.streams, limits.streams_per_principal)
}

/// Ready when the caller's token has expired or was revoked.
pub(crate) fn until(house: &Arc<House>, verified: &Verified) -> BoxFuture<'static, ()> {
    let (house, verified) = (Arc::clone(house), verified.clone());
    async move {
        let mut changes = house.authn.changes();
        while house.authn.recheck(&verified).is_ok() {
            let left = verified.expires_at.since(house.clock.now());
            // At once when something is revoked, and now and then for the clock.
            drop(tokio::time::timeout(left.min(RECHECK), changes.changed()).await);
        }
    }
    .boxed()
}

fn id_value(id: &Id) -> serde_json::Value {
    id.to_raw().to_value().unwrap_or_default()
}

/// Whether an endpoint shows anything of a server.
pub(crate) fn shows(endpoint: &Endpoint, server: &model::ServerName, state: &crate::house::State) -> bool {
    match endpoint {
        Endpoint::Shared => true,
        Endpoint::Server(name) => name == server,
        Endpoint::Toolset(name) => state.config.toolsets.get(name).is_some_and(|set| set.touches(server)),
    }
}

/// How often an open stream asks whether its token still stands.
const RECHECK: std::time::Duration = std::time::Duration::from_secs(1);
