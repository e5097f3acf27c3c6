//! What a listener hears of the catalog.

use super::shows;
use crate::catalog::{Change, Kind};
use crate::config::Endpoint;
use crate::house::House;
use crate::session::Live;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use protocol::{Id, frame, meta, sse, view};
use serde_json::json;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

/// What a listener asked to hear.
pub(super) struct Hearing {
    changes: broadcast::Receiver<Change>,
    draining: watch::Receiver<bool>,
    endpoint: Endpoint,
    tools: bool,
    prompts: bool,
    resources: bool,
}

impl Hearing {
    pub(super) fn new(house: &House, endpoint: Endpoint, wanted: &view::Listen) -> Self {
        Self {
            changes: house.catalog.changes(),
            draining: house.draining.subscribe(),
            endpoint,
            tools: wanted.tools,
            prompts: wanted.prompts,
            resources: wanted.resources,
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => self.tools,
            Kind::Prompts => self.prompts,
            Kind::Resources => self.resources,
        }
    }
}

/// Who is told of changes.
pub(super) enum Told<'a> {
    /// The listener of this subscription.
    Subscription(&'a Id),
    /// The GET stream of this session.
    Session(&'a Live),
}

impl Told<'_> {
    /// Says that a list changed. False when the client is gone.
    async fn of(&self, kind: Kind, sender: &mpsc::Sender<Bytes>) -> bool {
        match self {
            Self::Subscription(id) => sender.send(sse::event(&changed(kind, Some(id)), None)).await.is_ok(),
            Self::Session(session) => {
                // What it has no room for it hears of with the next change.
                session.tell(&changed(kind, None));
                true
            }
        }
    }
}

/// Tells a session that all of its lists may have changed while it did not hear.
pub(super) fn may_have_changed(session: &Live) {
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        session.tell(&changed(kind, None));
    }
}

/// Tells the listener of changes until its token ends, its client is gone, or the house drains. Says whether it
/// was the drain.
pub(super) async fn run(
    house: &House,
    mut hearing: Hearing,
    told: Told<'_>,
    sender: &mpsc::Sender<Bytes>,
    mut ended: BoxFuture<'static, ()>,
    quiet: Duration,
) -> bool {
    loop {
        let Hearing { changes, draining, endpoint, .. } = &mut hearing;
        let kinds: &[Kind] = tokio::select! {
            () = &mut ended => return false,
            () = sender.closed() => return false,
            () = drain(draining) => return true,
            change = changes.recv() => match change {
                Ok(change) if !shows(endpoint, &change.server, &house.state()) => continue,
                Ok(Change { kind: Kind::Tools, .. }) => &[Kind::Tools],
                Ok(Change { kind: Kind::Prompts, .. }) => &[Kind::Prompts],
                Ok(Change { kind: Kind::Resources, .. }) => &[Kind::Resources],
                // Too slow to hear each: anything may have changed.
                Err(RecvError::Lagged(_)) => &[Kind::Tools, Kind::Prompts, Kind::Resources],
                Err(RecvError::Closed) => return false,
            },
            () = tokio::time::sleep(quiet) => {
                if sender.send(Bytes::from_static(sse::KEEP_ALIVE)).await.is_err() {
                    return false;
                }
                continue;
            }
        };
        for kind in kinds.iter().filter(|kind| hearing.wants(**kind)) {
            if !told.of(*kind, sender).await {
                return false;
            }
        }
    }
}

/// Ready when the house drains.
async fn drain(draining: &mut watch::Receiver<bool>) {
    let told = draining.wait_for(|draining| *draining).await.is_ok();
    if !told {
        std::future::pending::<()>().await;
    }
}

fn changed(kind: Kind, subscription: Option<&Id>) -> Bytes {
    let method = match kind {
        Kind::Tools => "notifications/tools/list_changed",
        Kind::Prompts => "notifications/prompts/list_changed",
        Kind::Resources => "notifications/resources/list_changed",
    };
    let params = subscription.map(|id| {
        let id = id.to_raw().to_value().unwrap_or_default();
        protocol::Raw::of_value(&json!({"_meta": {meta::SUBSCRIPTION_ID: id}}))
    });
    frame::notification(method, params.as_ref())
}
