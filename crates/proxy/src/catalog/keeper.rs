//! Keeps the view of one server fresh: at once, when the server says that a list changed, when somebody wants
//! it, and after a while.

use super::discover::{Asking, DiscoverError, Discovered};
use super::read::{difference, view};
use super::snapshot::{ServerView, State};
use super::{CatalogEvent, Kind, Shared};
use crate::config::ServerConfig;
use crate::reply;
use crate::upstream::{Exchange, Inbound, Unsolicited};
use model::Code;
use protocol::capability::Stripped;
use protocol::{Era, Message, Method, Notification};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// One server's keeper.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    config: Arc<ServerConfig>,
    wanted: Arc<Notify>,
    /// Failures in a row.
    failures: u32,
    tried: bool,
    stripped: Vec<Stripped>,
    /// The open subscription of a stateless server.
    listening: Option<Exchange>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, config: Arc<ServerConfig>, wanted: Arc<Notify>) -> Self {
        let stripped = Vec::new();
        Self { shared, config, wanted, failures: 0, tried: false, stripped, listening: None }
    }

    pub(super) async fn run(mut self) {
        let (inbox, mut mail) = mpsc::channel(MAIL);
        loop {
            let mut changed = false;
            {
                let mut refresh = std::pin::pin!(self.refresh(&inbox));
                loop {
                    tokio::select! {
                        () = &mut refresh => break,
                        Some(unsolicited) = mail.recv() => changed |= changes(unsolicited),
                    }
                }
            }
            // A list that changed while it was read is read again.
            let pause = if changed { Duration::ZERO } else { self.pause() };
            let mut pause = std::pin::pin!(tokio::time::sleep(pause));
            let mut listening = self.listening.take();
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = self.wanted.notified() => break,
                    Some(unsolicited) = mail.recv() => if changes(unsolicited) { break },
                    heard = hear(&mut listening) => match heard {
                        Ok(true) => break,
                        Ok(false) => {}
                        // It is opened again with the next refresh.
                        Err(()) => listening = None,
                    },
                }
            }
            let contained = self.shared.settings.watch.is_contained(&self.config.name);
            self.listening = listening.filter(|_| !contained);
            // A server that changes all the time is asked once a second.
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Asks, and serves what is new. A server that takes long holds up lists no longer than its bound.
    async fn refresh(&mut self, inbox: &mpsc::Sender<Unsolicited>) {
        let patience = self.shared.settings.limits.discovery_timeout;
        let deadline = patience.max(STARTING);
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
        let asking = Asking { shared: &shared, config: &config, inbox, deadline };
        let asked = async {
            if shared.settings.watch.is_contained(&config.name) {
                return Err(DiscoverError { code: Code::SERVER_CONTAINED, reason: "it is contained".into() });
            }
            match shared.settings.watch.permit(&config.name, &config.plan) {
                Ok(()) => asking.discover().await,
                Err(reason) => Err(DiscoverError { code: Code::DENIED, reason }),
            }
        };
        let mut asked = std::pin::pin!(tokio::time::timeout(deadline, asked));
        let mut found = tokio::time::timeout(patience, &mut asked).await.ok();
        if found.is_none() {
            self.late(patience);
            found = Some(asked.await);
        }
        match found {
            Some(Ok(Ok(found))) => {
                let (era, capabilities) = (found.version.era(), found.capabilities.clone());
                self.found(found);
                if era == Era::Stateless && self.listening.is_none() {
                    self.listening = asking.listen(&capabilities).await.ok().flatten();
                }
            }
            Some(Ok(Err(error))) => self.failed(error),
            Some(Err(_)) | None => self.failed(late(deadline)),
        }
        self.mark_tried();
    }

    fn found(&mut self, found: Discovered) {
        let name = self.config.name.clone();
        let watch = &self.shared.settings.watch;
        let snapshot = self.shared.current.load();
        let before = snapshot.servers.get(&name).map(AsRef::as_ref);
        let was_missing = before.is_none_or(|view| view.state != State::Ready);
        let version = found.version.as_str();
        for stripped in found.stripped.iter().filter(|stripped| !self.stripped.contains(stripped)) {
            let Stripped { path, reason } = stripped.clone();
            watch.event(CatalogEvent::Stripped { server: name.clone(), path, reason });
        }
        self.stripped.clone_from(&found.stripped);
        let after = view(&self.config, found, before);
        let (mut kinds, events) = difference(before, &after);
        let items = [after.tools.len(), after.prompts.len(), after.resources.len() + after.templates.len()];
        for event in events {
            watch.event(event);
        }
        if was_missing {
            watch.event(CatalogEvent::Found { server: name, version, items });
            kinds = vec![Kind::Tools, Kind::Prompts, Kind::Resources];
        }
        let same = before.is_some_and(|before| {
            before.capabilities == after.capabilities
                && before.instructions == after.instructions
                && before.info == after.info
                && before.dropped == after.dropped
        });
        self.failures = 0;
        if !(kinds.is_empty() && same) {
            self.shared.publish(after, &kinds);
        }
    }

    /// Keeps what was listed before; says so once it is certain that the server is gone.
    fn failed(&mut self, error: DiscoverError) {
        self.failures = self.failures.saturating_add(1);
        let name = &self.config.name;
        tracing::debug!(server = %name, reason = %error.reason, "discovery failed");
        let snapshot = self.shared.current.load();
        let before = snapshot.servers.get(name);
        let ready = before.is_some_and(|view| view.state == State::Ready);
        let contained = error.code == Code::SERVER_CONTAINED;
        if ready && self.failures <= FORGIVEN && !contained {
            return;
        }
        let state = State::Missing { code: error.code, reason: Arc::clone(&error.reason) };
        if before.is_some_and(|view| view.state == state) {
            return;
        }
        let event = CatalogEvent::Missing { server: name.clone(), code: error.code, reason: error.reason };
        self.shared.settings.watch.event(event);
        let view = match before {
            Some(view) => ServerView { state, ..ServerView::clone(view) },
            None => ServerView { state, ..ServerView::missing(name, error.code, Arc::default()) },
        };
        self.shared.publish(view, &[]);
    }

    /// The first answer takes longer than a list may wait: lists go on without it.
    fn late(&mut self, patience: Duration) {
        if !self.tried {
            self.failed(late(patience));
            self.failures = 0;
            self.mark_tried();
        }
    }

    fn mark_tried(&mut self) {
        if !self.tried {
            self.tried = true;
            self.shared.tried();
        }
    }

    fn pause(&self) -> Duration {
        let settings = &self.shared.settings;
        let mut noise = [0];
        settings.dice.fill(&mut noise);
        let full = match self.failures {
            0 => settings.refresh,
            failures => RETRY.saturating_mul(1 << failures.min(6)).min(settings.refresh),
        };
        let [noise] = noise;
        full.saturating_sub((full / 4).saturating_mul(u32::from(noise)) / 255)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A keeper that is replaced before its first answer must not hold up lists for ever.
        self.mark_tried();
    }
}

fn late(deadline: Duration) -> DiscoverError {
    let reason = format!("it did not describe itself within {} ms", deadline.as_millis());
    DiscoverError { code: Code::UPSTREAM_TIMEOUT, reason: reason.into() }
}

/// Waits for news of a subscription; for ever, if there is none. Says whether a list changed.
async fn hear(listening: &mut Option<Exchange>) -> Result<bool, ()> {
    let Some(exchange) = listening else { return std::future::pending().await };
    match exchange.next().await {
        Ok(Inbound::Notification(notification)) => Ok(is_change(&notification)),
        // A stateless server asks nothing on a stream.
        Ok(Inbound::Request(_)) => Ok(false),
        Ok(Inbound::Final(_)) | Err(_) => Err(()),
    }
}

/// Whether a list changed. A question is declined: `service` is nobody who could answer one.
fn changes(unsolicited: Unsolicited) -> bool {
    match &unsolicited.message {
        Message::Notification(notification) => is_change(notification),
        Message::Request(request) => {
            let declined = reply::cannot_ask(&request.id);
            unsolicited.answer(&declined);
            false
        }
        Message::Response(_) => false,
    }
}

fn is_change(notification: &Notification) -> bool {
    matches!(
        notification.method.known(),
        Some(Method::ToolsListChanged | Method::PromptsListChanged | Method::ResourcesListChanged)
    )
}

/// Unsolicited messages waiting for the keeper.
const MAIL: usize = 64;
/// How long a server may take to start and describe itself, if lists need not wait for it.
const STARTING: Duration = Duration::from_secs(30);
/// The shortest time between two discoveries.
const SETTLE: Duration = Duration::from_secs(1);
/// The pause after a first failure; it doubles with each further one, up to the refresh interval.
const RETRY: Duration = Duration::from_secs(1);
/// Failed refreshes before a server that was there counts as missing.
const FORGIVEN: u32 = 2;
