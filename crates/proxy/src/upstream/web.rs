//! A server over HTTP: its endpoint, and what its older era needs there, a session or a pair of stream and endpoint.

use super::call::Held;
use super::door::Door;
use super::era::{Eras, Known};
use super::fault::UpstreamError;
use super::link::Link;
use super::session::{self, Session};
use super::slots::{Held as Holds, Key, Slot, Slots};
use super::{Description, Outbound, Shared, pair};
use authn::Verified;
use model::{ErrorKind, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The endpoint and what is open there.
pub(super) struct Web {
    pub(super) door: Arc<Door>,
    sessions: Slots<Session>,
    pairs: Slots<Link>,
    /// Whether the server is of the transport before streamable HTTP, as far as is known.
    paired: AtomicBool,
}

/// What a call of the older era goes through.
pub(super) enum Older {
    Session(Held),
    /// The slot keeps the link from being reaped.
    Pair(Arc<Link>, Arc<Slot<Link>>),
}

impl Web {
    pub(super) fn new(door: Door, shared: &Shared) -> Self {
        let settings = &shared.settings;
        let most = settings.limits.sessions;
        Self {
            door: Arc::new(door),
            sessions: Slots::new(most, Arc::clone(&settings.clock), Arc::clone(&settings.dice)),
            pairs: Slots::new(most, Arc::clone(&settings.clock), Arc::clone(&settings.dice)),
            paired: AtomicBool::new(false),
        }
    }

    /// Ends what `chosen` says; calls in flight are finished first.
    pub(super) fn end(&self, chosen: impl Fn(&Key) -> bool) {
        drop(self.sessions.end(&chosen));
        drop(self.pairs.end(chosen));
    }

    /// Ends at once what was last used by a caller of whom `revoked` says so.
    pub(super) fn end_revoked(&self, revoked: &impl Fn(&Verified) -> bool, now: Timestamp) {
        self.sessions.end_revoked(revoked, now);
        self.pairs.end_revoked(revoked, now);
    }

    /// Ends everything at once.
    pub(super) fn kill_all(&self) {
        self.sessions.kill_all();
        self.pairs.kill_all();
        self.door.close_idle();
    }

    pub(super) fn reap(&self, idle: Duration) {
        drop(self.sessions.reap(idle));
        drop(self.pairs.reap(idle));
    }

    /// The caller's session; with a server that refuses to initialize one, its pair (2025-11-25, transports, backwards
    /// compatibility).
    ///
    /// # Errors
    /// [`UpstreamError`]; `eras` knows whether the server refused the era, or this caller, or is ill.
    pub(super) async fn older(
        &self,
        shared: &Shared,
        eras: &Eras,
        out: &Outbound,
    ) -> Result<Older, UpstreamError> {
        if self.paired.load(Ordering::Relaxed) {
            return self.pair(shared, eras, out).await.inspect_err(|error| {
                // It may speak something else by now.
                if error.kind == ErrorKind::Upstream {
                    self.paired.store(false, Ordering::Relaxed);
                    eras.forget();
                }
            });
        }
        let refused = match self.session(shared, eras, out).await {
            Ok(held) => return Ok(Older::Session(held)),
            Err(error) if eras.spoken().session != Known::Refuses => return Err(error),
            Err(error) => error,
        };
        match self.pair(shared, eras, out).await {
            Ok(older) => {
                self.paired.store(true, Ordering::Relaxed);
                Ok(older)
            }
            Err(_) => Err(refused),
        }
    }

    async fn session(&self, shared: &Shared, eras: &Eras, out: &Outbound) -> Result<Held, UpstreamError> {
        let slot = place(&self.sessions, out)?;
        let held =
            self.sessions.hold(&slot, async || Box::pin(session::open(&self.door, shared, out, eras)).await);
        let session = held.await?;
        session.renew(out);
        if let Some(inbox) = &out.inbox {
            session.listen(inbox);
        }
        Ok(Held { session, slot })
    }

    async fn pair(&self, shared: &Shared, eras: &Eras, out: &Outbound) -> Result<Older, UpstreamError> {
        let slot = place(&self.pairs, out)?;
        let held = self.pairs.hold(&slot, async || Box::pin(pair::open(&self.door, shared, out, eras)).await);
        let link = held.await?;
        link.renew(out);
        if let Some(inbox) = &out.inbox {
            link.calls.listen(inbox);
        }
        Ok(Older::Pair(link, slot))
    }
}

fn place<V: Holds>(slots: &Slots<V>, out: &Outbound) -> Result<Arc<Slot<V>>, UpstreamError> {
    let key = Key::of(out);
    let slot = if out.needs_a_lane() { slots.free_place(key)? } else { slots.place(key)? };
    out.lease.iter().for_each(|lease| slot.used_by(lease.caller()));
    Ok(slot)
}

impl Older {
    /// What the server said of itself.
    pub(super) fn description(&self) -> Description {
        match self {
            Self::Session(held) => {
                Description { version: held.session.version, document: held.session.document.clone() }
            }
            Self::Pair(link, _) => Description { version: link.version, document: link.document.clone() },
        }
    }
}
