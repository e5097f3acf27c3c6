//! The gateway as an MCP client: one exchange with one server, over streamable HTTP, HTTP+SSE or stdio, in either era.
//!
//! In: a judged call in the client's era. Out: what the server says, in the client's era, or an error that
//! says whether the call may have taken effect. Never here: a decision, a record, the caller's token.
//! A server that speaks both eras is spoken to in the client's; which eras it speaks is found out once and
//! remembered until it proves wrong (MCP 2026-07-28, versioning). Sessions and children belong to one
//! principal and are bounded, opened once, reaped when idle.

mod askable;
mod backoff;
mod call;
mod child;
mod dialect;
mod door;
mod ear;
mod envelope;
mod era;
mod errand;
mod exchange;
mod fault;
mod follow;
mod followers;
mod line;
mod link;
mod loudness;
mod pair;
mod pipes;
mod probe;
mod ring;
mod route;
mod server;
mod session;
mod slots;
#[cfg(test)]
pub(crate) mod tests;
mod way;
mod web;

pub(crate) use exchange::{Exchange, Inbound};
pub(crate) use fault::{Sent, UpstreamError};

use crate::config::ServerConfig;
use crate::lease::Lease;
use arc_swap::ArcSwap;
use authn::Verified;
use child::Children;
use errand::Errands;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Clock, Dice, Digest, Limits, PrincipalKey, ServerName, Timestamp};
use protocol::header::HeaderParam;
use protocol::meta::LogLevel;
use protocol::{Era, Id, Members, Message, Method, Raw, Response, Version, capability};
use server::Server;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// What every upstream needs.
pub struct UpstreamSettings {
    /// The bounds of the request path.
    pub limits: Limits,
    /// The clock that ages sessions and children.
    pub clock: Arc<dyn Clock>,
    /// Spreads pauses.
    pub dice: Arc<dyn Dice>,
    /// The way out.
    pub egress: net::egress::Client,
    /// Variables every child gets beside its declared ones: PATH and HOME.
    pub environment: Vec<(String, String)>,
}

/// Who owns what is opened upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    /// The verified caller.
    pub(crate) principal: PrincipalKey,
    /// The client's session; none for stateless clients.
    pub(crate) session: Option<Digest>,
}

/// One judged call on its way out.
pub(crate) struct Outbound {
    /// The server.
    pub(crate) server: ServerName,
    /// Whose sessions and children it may use.
    pub(crate) owner: Owner,
    /// What the client speaks.
    pub(crate) version: Version,
    /// The method, in the client's era.
    pub(crate) method: Method,
    /// The judged params, in the client's era, names already the server's own.
    pub(crate) params: Option<Members>,
    /// The client's declared capabilities, as narrowed for this server; none is an empty object.
    pub(crate) client_capabilities: Option<Members>,
    /// The client's own `clientInfo`.
    pub(crate) client_info: Option<Raw>,
    /// The level of log messages the client asked for.
    pub(crate) log_level: Option<LogLevel>,
    /// The client's progress token. The server gets a fresh one; it is mapped back.
    pub(crate) progress: Option<Id>,
    /// The tool's `x-mcp-header` annotations, for `tools/call`.
    pub(crate) tool_headers: Arc<[HeaderParam]>,
    /// `Mcp-Param-*` headers of the client that no annotation knows: forwarded untouched.
    pub(crate) unknown_headers: Vec<(HeaderName, HeaderValue)>,
    /// The upstream's own credential, fetched by the broker.
    pub(crate) credential: broker::Credential,
    /// The trace the call is part of, for the headers of HTTP servers.
    pub(crate) trace: Trace,
    /// How long the exchange may take in all, whatever its progress.
    pub(crate) deadline: Duration,
    /// Where messages go that belong to no call of this client session.
    pub(crate) inbox: Option<Inbox>,
    /// What the call stands on; none for the gateway's own.
    pub(crate) lease: Option<Lease>,
}

/// W3C trace context. What cannot be a header value is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// `traceparent`.
    pub(crate) parent: Option<Box<str>>,
    /// `tracestate`.
    pub(crate) state: Option<Box<str>>,
}

impl Trace {
    fn apply(&self, headers: &mut HeaderMap) {
        for (name, text) in [(TRACEPARENT, &self.parent), (TRACESTATE, &self.state)] {
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::try_from(&**text).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// Where a client session hears what its upstream sessions say unasked. Full: the message is lost.
pub(crate) type Inbox = mpsc::Sender<Unsolicited>;

/// A message that belongs to no call.
pub(crate) struct Unsolicited {
    /// The server that sent it.
    pub(crate) server: ServerName,
    /// A notification, or a request of the server to the client (session era).
    pub(crate) message: Message,
    answer: Option<exchange::Answering>,
}

impl Unsolicited {
    /// Answers a request of the server, without waiting for it to take that; the response carries the server's own id.
    pub(crate) fn answer(self, response: &Response) {
        if let Some(answering) = self.answer {
            answering.send(response.bytes.clone());
        }
    }
}

/// All configured servers.
pub struct Upstreams {
    shared: Arc<Shared>,
    servers: Arc<ArcSwap<HashMap<ServerName, Arc<Server>>>>,
    reaper: tokio::task::AbortHandle,
}

/// What all servers share.
struct Shared {
    settings: UpstreamSettings,
    /// Fresh request ids and progress tokens, unique in this process.
    ids: AtomicI64,
    errands: Errands,
    children: Children,
}

impl Shared {
    fn fresh_id(&self) -> i64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

impl Outbound {
    /// What a server is told of the declared capabilities: never what the gateway does not carry.
    fn capabilities(&self) -> Raw {
        let declared = self.client_capabilities.as_ref();
        declared.map_or_else(Raw::empty_object, |declared| capability::client(declared).0)
    }

    /// Puts the credential on the call's own request, whose method the server reads as `method`.
    ///
    /// # Errors
    /// [`UpstreamError`]; nothing may be sent then.
    fn authorize(&self, method: Option<Method>, headers: &mut HeaderMap) -> Result<(), UpstreamError> {
        self.credential.apply(method.map(Method::name), headers).map_err(UpstreamError::credential)
    }

    /// The same for what the gateway asks beside the call, for the same caller.
    ///
    /// # Errors
    /// [`UpstreamError`]; nothing may be sent then.
    fn beside(&self, method: Option<Method>, headers: &mut HeaderMap) -> Result<(), UpstreamError> {
        let aside = self.credential.aside();
        aside.apply(method.map(Method::name), headers).map_err(UpstreamError::credential)
    }

    /// A request of the gateway's own on the way of this call: for the same caller, of another method, with nothing that
    /// belongs to the call alone.
    fn in_its_place(self, version: Version, method: Method, params: &serde_json::Value) -> Self {
        Self {
            version,
            method,
            params: Raw::of_value(params).members(),
            log_level: None,
            progress: None,
            unknown_headers: Vec::new(),
            trace: Trace::default(),
            inbox: None,
            ..self
        }
    }

    /// Whether the client can be asked anything in the middle of this call.
    fn can_be_asked(&self) -> bool {
        let declares = self.client_capabilities.as_ref().is_some_and(|declared| !declared.is_empty());
        self.version.era() == Era::Session || (declares && self.method.row().may_ask)
    }

    /// Whether a question must be told whose it is by nothing but being the only call under way.
    fn needs_a_lane(&self) -> bool {
        self.owner.session.is_none() && self.version.era() == Era::Stateless && self.can_be_asked()
    }
}

impl Upstreams {
    /// Upstreams for these servers. Nothing is contacted yet. Must be called within a runtime.
    pub fn new(settings: UpstreamSettings, servers: &BTreeMap<ServerName, Arc<ServerConfig>>) -> Self {
        let idle = settings.limits.idle_timeout;
        let shared = Arc::new(Shared {
            settings,
            ids: AtomicI64::new(1),
            errands: Errands::start(),
            children: Children::default(),
        });
        let table = servers
            .iter()
            .map(|(name, config)| (name.clone(), Arc::new(Server::new(config, &shared))))
            .collect::<HashMap<_, _>>();
        let servers = Arc::new(ArcSwap::from_pointee(table));
        let reaper = tokio::spawn(reap(Arc::downgrade(&servers), idle)).abort_handle();
        Self { shared, servers, reaper }
    }

    /// Takes another configuration: servers whose part did not change keep their sessions and children, the
    /// others end theirs as soon as their calls in flight are done.
    pub fn reload(&self, servers: &BTreeMap<ServerName, Arc<ServerConfig>>) {
        let old = self.servers.load_full();
        let table = servers.iter().map(|(name, config)| {
            let kept = old.get(name).filter(|server| server.is_as(config)).map(Arc::clone);
            (name.clone(), kept.unwrap_or_else(|| Arc::new(Server::new(config, &self.shared))))
        });
        let table: HashMap<_, _> = table.collect();
        for (name, server) in old.iter() {
            if !table.get(name).is_some_and(|kept| Arc::ptr_eq(kept, server)) {
                server.retire();
            }
        }
        self.servers.store(Arc::new(table));
    }

    /// Begins one exchange. Nothing is sent before it is driven.
    ///
    /// Cancel safety: dropping the exchange cancels the call upstream.
    ///
    /// # Errors
    /// [`UpstreamError`] when there is no such server.
    pub(crate) fn begin(&self, out: Outbound) -> Result<Exchange, UpstreamError> {
        let server = self.server(&out.server)?;
        let limit = match out.method {
            // A subscription lives as long as its listener.
            Method::SubscriptionsListen => out.deadline,
            _ => out.deadline.min(server.timeout()),
        };
        let sent = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&sent);
        let lease = out.lease.clone();
        // However long it lives, it opens within the time of a call.
        let patience = Some(server.timeout()).filter(|patience| *patience < limit);
        let opening = async move {
            let opening = server.open(out, &flag);
            let Some(patience) = patience else { return opening.await };
            match tokio::time::timeout(patience, opening).await {
                Ok(opened) => opened,
                Err(_) => Err(UpstreamError::timeout(Sent::of(&flag), patience)),
            }
        };
        Ok(Exchange::new(Box::pin(opening), sent, limit, lease))
    }

    /// Opens one exchange: sends the call and waits for the first sign of an answer.
    ///
    /// # Errors
    /// [`UpstreamError`]; its `sent` says whether the call may have taken effect.
    pub(crate) async fn exchange(&self, out: Outbound) -> Result<Exchange, UpstreamError> {
        let mut exchange = self.begin(out)?;
        exchange.open().await?;
        Ok(exchange)
    }

    /// What the server says of itself: the result of `server/discover` or of `initialize`.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub(crate) async fn describe(&self, out: Outbound) -> Result<Description, UpstreamError> {
        let server = self.server(&out.server)?;
        let limit = out.deadline;
        match tokio::time::timeout(limit, server.describe(out)).await {
            Ok(described) => described,
            Err(_) => Err(UpstreamError::timeout(Sent::NotSent, limit)),
        }
    }

    /// Ends whatever belongs to a client session: upstream sessions are deleted, children end.
    pub(crate) fn end(&self, owner: &Owner) {
        let Some(session) = &owner.session else { return };
        for server in self.servers.load().values() {
            server.end_session(session, |key| {
                key.principal == Some(owner.principal) && key.lane == owner.session
            });
        }
    }

    /// Ends, at once and whatever is under way there, what is open for a caller of whom `revoked` says so, and everything
    /// at servers that are `contained`. Children are killed with their groups.
    pub(crate) fn end_revoked(
        &self,
        revoked: impl Fn(&Verified) -> bool,
        contained: impl Fn(&ServerName) -> bool,
        now: Timestamp,
    ) {
        for (name, server) in self.servers.load().iter() {
            if contained(name) {
                server.contain();
            } else {
                server.end_revoked(&revoked, now);
            }
        }
    }

    /// Ends everything: upstream sessions are deleted, children and their groups end. Returns when all is
    /// done, or after `within`; what is left then dies with the value.
    pub async fn close(&self, within: Duration) {
        self.reaper.abort();
        let servers = self.servers.swap(Arc::default());
        for server in servers.values() {
            server.retire();
        }
        let work = async { tokio::join!(self.shared.errands.idle(), self.shared.children.ended()) };
        let over = tokio::time::timeout(within, work).await;
        if over.is_err() {
            tracing::warn!("some servers did not end in time and are cut off");
        }
    }

    fn server(&self, name: &ServerName) -> Result<Arc<Server>, UpstreamError> {
        let servers = self.servers.load();
        servers.get(name).map(Arc::clone).ok_or_else(|| UpstreamError::unreachable("no such server"))
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

/// A server's own description.
pub(crate) struct Description {
    /// The version in which it was asked.
    pub(crate) version: Version,
    /// The result of `server/discover` or of `initialize`, as it came.
    pub(crate) document: Members,
}

/// Ends, now and then, what nobody uses.
async fn reap(servers: Weak<ArcSwap<HashMap<ServerName, Arc<Server>>>>, idle: Duration) {
    let pause = (idle / 4).max(Duration::from_secs(1));
    loop {
        tokio::time::sleep(pause).await;
        let Some(servers) = servers.upgrade() else { return };
        for server in servers.load().values() {
            server.reap(idle);
        }
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
