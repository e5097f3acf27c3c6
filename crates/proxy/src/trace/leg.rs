//! One leg as it is told: facts of the record, and when each stage ended.

use super::{Context, Told};
use crate::config::server::Transport;
use crate::config::{Config, Endpoint};
use crate::trail::{Stage, Trail};
use ledger::{Effect, Status};
use model::{CallId, Code, ServerName, Timestamp};
use protocol::method::Names;
use protocol::{Id, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// Is told of legs that have ended. Called on the request path: it must not wait.
pub trait LegSink: Send + Sync + 'static {
    /// One leg has ended.
    fn told(&self, leg: Box<Leg>);
}

/// One leg that has ended. INVARIANT: no token, no secret, no argument, no answer and no name of a person is in it:
/// `neither_token_nor_secret_nor_argument_nor_name_is_ever_in_a_span`.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Its place in its trace.
    pub context: Context,
    /// The call: its id on record.
    pub call: CallId,
    /// When the request came, to the millisecond.
    pub begun: Timestamp,
    /// How long it took, in nanoseconds.
    pub took: u64,
    /// The stages that ended, in order; each begins where the one before it ended.
    pub marks: Vec<Mark>,
    /// The MCP method; `GET` or `DELETE` for a session's own requests.
    pub method: &'static str,
    /// The version of MCP that the client speaks.
    pub version: Option<Version>,
    /// The client's id of the request.
    pub request: Option<Id>,
    /// Where the client is.
    pub peer: IpAddr,
    /// The door it came to.
    pub endpoint: Endpoint,
    /// Its caller's tenant.
    pub tenant: Option<Arc<str>>,
    /// What it names, once that was found.
    pub target: Option<LegTarget>,
    /// What policy said.
    pub effect: Option<Effect>,
    /// How it ended.
    pub status: Status,
    /// The stable code of its failure.
    pub code: Option<Code>,
    /// The code of the JSON-RPC error that told its caller, where that is ours.
    pub rpc: Option<i64>,
    /// The size of the request.
    pub request_bytes: usize,
    /// The size of the reply.
    pub reply_bytes: usize,
    /// Ticks of the clock when the request came.
    since: u64,
}

/// What a leg names.
#[derive(Clone, Debug)]
pub struct LegTarget {
    /// The server.
    pub server: ServerName,
    /// What kind of name it is.
    pub names: Names,
    /// The server's own name of the tool or prompt; the URI of a resource.
    pub name: Option<Arc<str>>,
    /// Whether the server is a child process.
    pub child: bool,
}

/// The end of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The stage.
    pub stage: Stage,
    /// When it ended, in nanoseconds after the request came.
    pub ended: u64,
}

impl Leg {
    pub(super) fn of(trail: &Trail, context: Context, marks: Vec<Mark>) -> Self {
        let target = trail.server.as_ref().map(|server| LegTarget {
            server: server.clone(),
            names: trail.method.map_or(Names::Nothing, |method| method.row().names),
            name: trail.item.clone(),
            child: false,
        });
        let effect = trail.decision.as_deref().map(|decision| match decision {
            policy::Decision::Permit { .. } => Effect::Permit,
            policy::Decision::Deny(_) => Effect::Deny,
        });
        Self {
            context,
            call: trail.call,
            begun: trail.at,
            took: 0,
            marks,
            method: trail.asked(),
            version: trail.version,
            request: trail.id.clone(),
            peer: trail.peer.ip(),
            endpoint: trail.endpoint.clone(),
            tenant: trail.principal.as_ref().map(|principal| Arc::clone(&principal.tenant)),
            target,
            effect,
            status: Status::Unknown,
            code: None,
            rpc: None,
            request_bytes: trail.bytes_in,
            reply_bytes: 0,
            since: trail.begun(),
        }
    }

    /// It goes to its server as this configuration says.
    pub(crate) fn goes_to(&mut self, config: &Config) {
        if let Some(target) = &mut self.target {
            let server = config.servers.get(&target.server);
            target.child = server.is_some_and(|server| matches!(server.transport, Transport::Stdio(_)));
        }
    }

    /// Whatever time is left over was spent at the server, which was asked and gave no answer.
    pub(crate) fn was_sent(&mut self, ticks: u64) {
        if self.marks.iter().all(|mark| mark.stage != Stage::Upstream) {
            self.marks.push(Mark { stage: Stage::Upstream, ended: ticks.saturating_sub(self.since) });
        }
    }

    pub(super) fn end(&mut self, ticks: u64, told: Told) {
        let Told { status, code, rpc, reply_bytes } = told;
        self.took = ticks.saturating_sub(self.since);
        (self.status, self.code, self.rpc, self.reply_bytes) = (status, code, rpc, reply_bytes);
    }
}
