//! One configured server: its eras, its sessions, its children.

use super::call::{self, HttpCall, Refusal};
use super::dialect::Dialect;
use super::door::Door;
use super::era::Eras;
use super::exchange::{Opened, Wire};
use super::fault::UpstreamError;
use super::follow::{self, Follows};
use super::link::{self, Link};
use super::probe;
use super::slots::{Key, Slot, Slots};
use super::web::{Older, Web};
use super::{Description, Outbound, Shared};
use crate::config::ServerConfig;
use crate::config::server::{StdioServer, Transport};
use authn::Verified;
use http::HeaderMap;
use model::{Digest, Timestamp};
use protocol::header::HeaderParam;
use protocol::{Bounds, Era, Method, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The server.
pub(super) struct Server {
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
    eras: Eras,
    reach: Reach,
    follows: Follows,
}

enum Reach {
    Http(Web),
    Stdio {
        server: StdioServer,
        children: Slots<Link>,
    },
    /// Its configuration cannot be used; the reason.
    Nowhere(String),
}

impl Server {
    pub(super) fn new(config: &Arc<ServerConfig>, shared: &Arc<Shared>) -> Self {
        let settings = &shared.settings;
        let limits = &settings.limits;
        let bounds =
            Bounds { bytes: limits.answer_bytes, depth: limits.json_depth, items: limits.json_items };
        let (clock, dice) = (&settings.clock, &settings.dice);
        let reach = match &config.transport {
            Transport::Http(server) => match Door::new(&settings.egress, server, bounds) {
                Ok(door) => Reach::Http(Web::new(door, shared)),
                Err(error) => Reach::Nowhere(error.detail()),
            },
            Transport::Stdio(server) => Reach::Stdio {
                server: server.clone(),
                children: Slots::new(limits.children_per_server, Arc::clone(clock), Arc::clone(dice)),
            },
        };
        let (eras, follows) = (Eras::default(), Follows::default());
        Self { config: Arc::clone(config), shared: Arc::clone(shared), eras, reach, follows }
    }

    /// Whether a configuration is the one this server was made of.
    pub(super) fn is_as(&self, config: &ServerConfig) -> bool {
        *self.config == *config
    }

    /// How long one call may take here.
    pub(super) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    #[cfg(test)]
    pub(super) fn spoken(&self) -> super::era::Spoken {
        self.eras.spoken()
    }

    /// What all servers share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The bounds of the request path.
    pub(super) fn limits(&self) -> &model::Limits {
        &self.shared.settings.limits
    }

    /// Ends what the client session follows, and what `chosen` says; calls in flight are finished first.
    pub(super) fn end_session(&self, session: &Digest, chosen: impl Fn(&Key) -> bool) {
        self.follows.end(|one| one == session);
        self.end(chosen);
    }

    /// Ends what `chosen` says; calls in flight are finished first.
    fn end(&self, chosen: impl Fn(&Key) -> bool) {
        match &self.reach {
            Reach::Http(web) => web.end(chosen),
            Reach::Stdio { children, .. } => drop(children.end(chosen)),
            Reach::Nowhere(_) => {}
        }
    }

    /// The server has left the configuration: nothing is kept for it.
    pub(super) fn retire(&self) {
        self.follows.end(|_| true);
        self.end(|_| true);
        if let Reach::Http(web) = &self.reach {
            web.door.close_idle();
        }
    }

    /// Ends at once what nobody may use any more, of whom `revoked` says so; children with their groups.
    pub(super) fn end_revoked(&self, revoked: &impl Fn(&Verified) -> bool, now: Timestamp) {
        match &self.reach {
            Reach::Http(web) => web.end_revoked(revoked, now),
            Reach::Stdio { children, .. } => children.end_revoked(revoked, now),
            Reach::Nowhere(_) => {}
        }
    }

    /// The server is contained: everything there ends at once.
    pub(super) fn contain(&self) {
        self.follows.end(|_| true);
        match &self.reach {
            Reach::Http(web) => web.kill_all(),
            Reach::Stdio { children, .. } => children.kill_all(),
            Reach::Nowhere(_) => {}
        }
    }

    pub(super) fn reap(&self, idle: Duration) {
        self.follows.sweep();
        match &self.reach {
            Reach::Http(web) => web.reap(idle),
            Reach::Stdio { children, .. } => drop(children.reap(idle)),
            Reach::Nowhere(_) => {}
        }
    }

    /// Sends a call in the client's era, or in the other if the server refuses that one. What is done seldom is boxed: every
    /// call's future has room for the largest way.
    pub(super) async fn open(
        self: &Arc<Self>,
        mut out: Outbound,
        sent: &Arc<AtomicBool>,
    ) -> Result<Opened, UpstreamError> {
        self.narrow(&mut out);
        let (mut last, mut lost) = (None, false);
        for _ in 0..TURNS {
            let Some((era, known)) = self.eras.spoken().choose(out.version.era()) else { break };
            sent.store(false, Ordering::Relaxed);
            if follow::is_across(out.method, era) {
                return Box::pin(follow::across(self, &self.follows, era, out, sent)).await;
            }
            let turn = match &self.reach {
                Reach::Http(web) => self.over_http(web, &out, era, known, sent).await?,
                Reach::Stdio { server, children } => {
                    Box::pin(self.over_stdio(server, children, &out, era, sent)).await?
                }
                Reach::Nowhere(reason) => return Err(UpstreamError::unreachable(reason.clone())),
            };
            match turn {
                Turn::Opened(wire, dialect) => {
                    let Outbound { server, inbox, .. } = out;
                    return Ok(Opened { wire, dialect: *dialect, server, inbox });
                }
                Turn::Again(error) => last = error.or(last),
                Turn::Lost(error) if lost => return Err(error),
                Turn::Lost(error) => (last, lost) = (Some(error), true),
            }
        }
        // What was believed does not hold: the next call asks anew.
        self.eras.forget();
        Err(last.unwrap_or_else(|| UpstreamError::unreachable("it refuses both eras of the protocol")))
    }

    /// What the server says of itself.
    pub(super) async fn describe(&self, mut out: Outbound) -> Result<Description, UpstreamError> {
        self.narrow(&mut out);
        let mut last = None;
        for _ in 0..TURNS {
            let Some((era, _)) = self.eras.spoken().choose(out.version.era()) else { break };
            let before = self.eras.spoken();
            let described = match (&self.reach, era) {
                (Reach::Http(web), Era::Stateless) => {
                    probe::discover(&self.shared, &self.eras, &web.door, &out).await.map(|document| {
                        document.map(|document| Description { version: Version::V2026_07_28, document })
                    })
                }
                (Reach::Http(web), Era::Session) => {
                    web.older(&self.shared, &self.eras, &out).await.map(|older| Some(older.description()))
                }
                (Reach::Stdio { server, children }, era) => {
                    self.child(server, children, &out, era).await.map(|(link, _)| {
                        Some(Description { version: link.version, document: link.document.clone() })
                    })
                }
                (Reach::Nowhere(reason), _) => Err(UpstreamError::unreachable(reason.clone())),
            };
            match described {
                Ok(Some(description)) => return Ok(description),
                Ok(None) => {}
                // The other era is worth a try only if something new was learnt.
                Err(error) if self.eras.spoken() == before => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        self.eras.forget();
        Err(last.unwrap_or_else(|| UpstreamError::unreachable("it refuses both eras of the protocol")))
    }

    /// A shared child is told of no client capabilities, and nobody hears it but its calls.
    fn narrow(&self, out: &mut Outbound) {
        if self.config.is_shared() {
            out.client_capabilities = None;
            out.client_info = None;
            out.inbox = None;
        }
    }

    async fn over_http(
        &self,
        web: &Web,
        out: &Outbound,
        era: Era,
        known: bool,
        sent: &AtomicBool,
    ) -> Result<Turn, UpstreamError> {
        if era == Era::Stateless {
            return self.stateless(&web.door, out, known, sent).await;
        }
        let before = self.eras.spoken();
        let held = match web.older(&self.shared, &self.eras, out).await {
            Ok(Older::Session(held)) => held,
            Ok(Older::Pair(link, slot)) => {
                return Box::pin(self.over_link(link, slot, out, true, sent)).await;
            }
            Err(error) if self.eras.spoken() == before => return Err(error),
            Err(error) => return Ok(Turn::Again(Some(error))),
        };
        held.session.log(out.log_level, &self.shared).await;
        let (version, info) = (held.session.version, held.session.server_info());
        let dialect = Dialect::new(&self.shared, out, version, info, true)?;
        match call::send(&web.door, Some(held.clone()), &dialect, out, &[], sent).await {
            Ok(call) => Ok(Turn::Opened(Wire::Http(call), Box::new(dialect))),
            Err(Refusal::SessionLost(error)) => {
                held.session.lose();
                held.slot.forget(&held.session);
                Ok(Turn::Lost(*error))
            }
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    async fn stateless(
        &self,
        door: &Arc<Door>,
        out: &Outbound,
        known: bool,
        sent: &AtomicBool,
    ) -> Result<Turn, UpstreamError> {
        if !known && Box::pin(probe::discover(&self.shared, &self.eras, door, out)).await?.is_none() {
            return Ok(Turn::Again(None));
        }
        let dialect = Dialect::new(&self.shared, out, Version::V2026_07_28, None, false)?;
        let refusal = match call::send(door, None, &dialect, out, &out.tool_headers, sent).await {
            Ok(call) => return Ok(Turn::Opened(Wire::Http(call), Box::new(dialect))),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::Era(probed, error) => {
                self.eras.note_probe(&probed);
                Ok(Turn::Again(Some(*error)))
            }
            Refusal::Headers(response) if out.method == Method::ToolsCall => {
                match Box::pin(probe::fresh_headers(&self.shared, door, out)).await {
                    Some(params) => Box::pin(self.again(door, out, &params, sent)).await,
                    None => Ok(Turn::Opened(Wire::Http(HttpCall::whole(door, *response)), Box::new(dialect))),
                }
            }
            Refusal::Headers(response) => {
                Ok(Turn::Opened(Wire::Http(HttpCall::whole(door, *response)), Box::new(dialect)))
            }
            Refusal::Fault(error) => Err(*error),
            Refusal::SessionLost(_) => Err(UpstreamError::internal("a stateless call has no session")),
        }
    }

    /// The one retry after -32020, with the headers of the tool's present definition.
    async fn again(
        &self,
        door: &Arc<Door>,
        out: &Outbound,
        params: &[HeaderParam],
        sent: &AtomicBool,
    ) -> Result<Turn, UpstreamError> {
        let dialect = Dialect::new(&self.shared, out, Version::V2026_07_28, None, false)?;
        let wire = match call::send(door, None, &dialect, out, params, sent).await {
            Ok(call) => call,
            Err(Refusal::Headers(response)) => HttpCall::whole(door, *response),
            Err(Refusal::Era(_, error) | Refusal::Fault(error)) => return Err(*error),
            Err(Refusal::SessionLost(_)) => {
                return Err(UpstreamError::internal("a stateless call has no session"));
            }
        };
        Ok(Turn::Opened(Wire::Http(wire), Box::new(dialect)))
    }

    async fn child(
        &self,
        server: &StdioServer,
        children: &Slots<Link>,
        out: &Outbound,
        era: Era,
    ) -> Result<(Arc<Link>, Arc<Slot<Link>>), UpstreamError> {
        let mut key = match era {
            Era::Stateless => Key { principal: Some(out.owner.principal), lane: None },
            Era::Session => Key::of(out),
        };
        if server.shared {
            key = Key { principal: None, lane: key.lane.map(|_| Digest([0; 32])) };
        }
        let alone = out.needs_a_lane() && era == Era::Session && !server.shared;
        let slot = if alone { children.free_place(key)? } else { children.place(key)? };
        out.lease.iter().for_each(|lease| slot.used_by(lease.caller()));
        let open = async || Box::pin(link::open(server, &self.shared, out, era, &self.eras)).await;
        let link = children.hold(&slot, open).await?;
        if let Some(inbox) = &out.inbox {
            link.calls.listen(inbox);
        }
        Ok((link, slot))
    }

    async fn over_stdio(
        &self,
        server: &StdioServer,
        children: &Slots<Link>,
        out: &Outbound,
        era: Era,
        sent: &AtomicBool,
    ) -> Result<Turn, UpstreamError> {
        let before = self.eras.spoken();
        let (link, slot) = match self.child(server, children, out, era).await {
            Ok(held) => held,
            Err(error) if self.eras.spoken() == before => return Err(error),
            Err(error) => return Ok(Turn::Again(Some(error))),
        };
        self.over_link(link, slot, out, !server.shared, sent).await
    }

    /// `own`: whether the link is of this caller alone.
    async fn over_link(
        &self,
        link: Arc<Link>,
        slot: Arc<Slot<Link>>,
        out: &Outbound,
        own: bool,
        sent: &AtomicBool,
    ) -> Result<Turn, UpstreamError> {
        if link.version.era() == Era::Session && own {
            link.log(out, &self.shared).await;
        }
        let dialect = Dialect::new(&self.shared, out, link.version, link.server_info(), own)?;
        let mut headers = HeaderMap::with_capacity(8);
        out.authorize(Some(dialect.method), &mut headers)?;
        out.trace.apply(&mut headers);
        let request = dialect.request(out);
        sent.store(true, Ordering::Relaxed);
        match link.call(dialect.id, request, headers).await {
            Ok(call) => Ok(Turn::Opened(Wire::Link { call, _slot: slot }, Box::new(dialect))),
            Err(Refusal::SessionLost(error)) => {
                slot.forget(&link);
                Ok(Turn::Lost(*error))
            }
            Err(refusal) => Err(refusal.into_error()),
        }
    }
}

/// What one attempt in one era came to.
enum Turn {
    Opened(Wire, Box<Dialect>),
    /// Something was learnt: choose again. The error, in case there is nothing left to choose.
    Again(Option<UpstreamError>),
    /// The session is gone, and the call was not taken: once more in a new one.
    Lost(UpstreamError),
}

/// Attempts for one call: its own era, the other one, and once more after a session was lost.
const TURNS: usize = 4;
