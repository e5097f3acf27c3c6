//! What is known of one request so far. It travels with every stage value, so that whatever ends the
//! request, early or late, the record can say who asked for what and how far it came.

use crate::config::Endpoint;
use crate::house::House;
use crate::session::conversation::Conversation;
use crate::trace::OpenSpan;
use model::{CallId, Digest, Impact, Principal, PrincipalKey, ServerName, Timestamp};
use protocol::{Id, Method, Raw, Version};
use std::net::SocketAddr;
use std::sync::Arc;

/// The facts of one request, filled in by the stages it has passed.
pub(crate) struct Trail {
    pub(crate) call: CallId,
    /// How many legs of the call went before this one.
    pub(crate) legs: u32,
    pub(crate) at: Timestamp,
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: SocketAddr,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) key: Option<PrincipalKey>,
    pub(crate) conversation: Option<Conversation>,
    pub(crate) method: Option<Method>,
    /// GET or DELETE, when the request is one of a session's own and no message.
    pub(crate) verb: Option<&'static str>,
    /// The client's JSON-RPC id: every reply carries it.
    pub(crate) id: Option<Id>,
    /// What the client speaks.
    pub(crate) version: Option<Version>,
    pub(crate) server: Option<ServerName>,
    /// The tool, prompt or resource as the server names it.
    pub(crate) item: Option<Arc<str>>,
    /// The digest of the item's definition as last listed.
    pub(crate) definition: Option<Digest>,
    pub(crate) impact: Option<Impact>,
    /// The downstream identity: the broker's strategy and account.
    pub(crate) plan: Option<Arc<broker::Plan>>,
    /// The digest of the arguments in canonical form (RFC 8785).
    pub(crate) arguments: Option<Digest>,
    pub(crate) arguments_bytes: usize,
    /// The arguments themselves, if the operator wants them on record.
    pub(crate) arguments_value: Option<Raw>,
    pub(crate) decision: Option<Arc<policy::Decision>>,
    /// The policies that decided.
    pub(crate) revision: Option<Digest>,
    /// The W3C trace id, 32 hexadecimal digits.
    pub(crate) trace: Option<Arc<str>>,
    /// What is told of it for tracing; none while traces are off.
    pub(crate) span: Option<Box<OpenSpan>>,
    pub(crate) bytes_in: usize,
    begun: u64,
    last: u64,
    latency: ledger::Latency,
}

/// The stages whose time is kept; the names are those of [`ledger::Latency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Who is calling.
    Authenticate,
    /// What is asked, in which protocol.
    Admit,
    /// What it names.
    Resolve,
    /// What policy says.
    Authorize,
    /// What goes out is read.
    Inspect,
    /// The intent, or what was answered here, goes on record.
    Record,
    /// The server's own credential is fetched.
    Attach,
    /// The server is asked and answers.
    Upstream,
    /// What it answered is read and made fit for its client.
    Release,
}

impl Stage {
    /// The name, as in the record's latencies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Admit => "admit",
            Self::Resolve => "resolve",
            Self::Authorize => "authorize",
            Self::Inspect => "inspect",
            Self::Record => "record",
            Self::Attach => "attach",
            Self::Upstream => "upstream",
            Self::Release => "release",
        }
    }
}

impl Trail {
    /// The trail of a request that has just arrived.
    pub(crate) fn new(house: &House, endpoint: Endpoint, peer: SocketAddr) -> Box<Self> {
        let at = house.clock.now();
        let ticks = house.clock.ticks();
        Box::new(Self {
            call: CallId::new(at, house.dice.as_ref()),
            legs: 0,
            at,
            endpoint,
            peer,
            principal: None,
            key: None,
            conversation: None,
            method: None,
            verb: None,
            id: None,
            version: None,
            server: None,
            item: None,
            definition: None,
            impact: None,
            plan: None,
            arguments: None,
            arguments_bytes: 0,
            arguments_value: None,
            decision: None,
            revision: None,
            trace: None,
            span: OpenSpan::begin(house),
            bytes_in: 0,
            begun: ticks,
            last: ticks,
            latency: ledger::Latency::default(),
        })
    }

    /// The trail of the next leg of the same call, which begins now: who calls and what is known; nothing that a leg
    /// has to find out anew.
    pub(crate) fn next_leg(&self, house: &House) -> Box<Self> {
        let mut next = Self::new(house, self.endpoint.clone(), self.peer);
        next.call = self.call;
        next.legs = self.legs.saturating_add(1);
        next.principal.clone_from(&self.principal);
        next.key = self.key;
        next.conversation.clone_from(&self.conversation);
        next.method = self.method;
        next.id.clone_from(&self.id);
        next.version = self.version;
        next.trace.clone_from(&self.trace);
        next.span = self.span.as_ref().map(|span| span.beside(house));
        next.server.clone_from(&self.server);
        next.item.clone_from(&self.item);
        next
    }

    /// What was asked, for the record and the metrics.
    pub(crate) fn asked(&self) -> &'static str {
        self.method.map(|method| method.name()).or(self.verb).unwrap_or("unknown")
    }

    /// Adds the time since the last mark to `stage`.
    pub(crate) fn mark(&mut self, house: &House, stage: Stage) {
        let now = house.clock.ticks();
        let spent = microseconds(now.saturating_sub(self.last));
        self.last = now;
        if let Some(span) = &mut self.span {
            span.mark(stage, now.saturating_sub(self.begun));
        }
        let latency = &mut self.latency;
        let slot = match stage {
            Stage::Authenticate => &mut latency.authenticate,
            Stage::Admit => &mut latency.admit,
            Stage::Resolve => &mut latency.resolve,
            Stage::Authorize => &mut latency.authorize,
            Stage::Inspect => &mut latency.inspect,
            Stage::Record => &mut latency.record,
            Stage::Attach => &mut latency.attach,
            Stage::Upstream => &mut latency.upstream,
            Stage::Release => &mut latency.release,
        };
        *slot = slot.saturating_add(spent);
    }

    /// Ticks of the clock when it began.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Where the time went, until now.
    pub(crate) fn latency(&self, house: &House) -> ledger::Latency {
        let total = microseconds(house.clock.ticks().saturating_sub(self.begun));
        ledger::Latency { total, ..self.latency }
    }
}

fn microseconds(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / 1000).unwrap_or(u32::MAX)
}
