//! Early exits. A stop carries the trail, so it is recorded before it is a reply; a challenge to a stranger
//! is counted instead (design §2, §8).

use crate::trail::Trail;
use http::StatusCode;
use model::{Code, ErrorKind};
use protocol::Method;
use serde_json::Value;
use std::sync::Arc;

/// A request ends before its time.
pub(crate) struct Stop {
    pub(crate) trail: Box<Trail>,
    pub(crate) why: Why,
    /// It is already on record.
    pub(crate) settled: bool,
}

/// Why a request ends before its time.
pub(crate) enum Why {
    /// The caller is not known, or its token does not reach this far.
    Challenge(authn::AuthnError),
    /// Not even MCP: wrong door, host, method, media type, size.
    Edge(Edge),
    /// A fault of the protocol, or a thing that does not exist for this caller.
    Refused(Refusal),
    /// Policy says no to something the caller may see.
    Denied(Denied),
    /// Policy says no until obligations are met.
    AskFirst(Vec<Arc<str>>),
    /// A bound is reached.
    Busy,
    /// Something failed: a server, the record, ourselves.
    Fault(Fault),
}

/// A fault of HTTP, answered with a status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
}

/// A fault of the protocol, answered with a JSON-RPC error.
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    pub(crate) code: Code,
    /// The JSON-RPC error code.
    pub(crate) rpc: i64,
    pub(crate) status: StatusCode,
    /// What the caller reads.
    pub(crate) message: String,
    /// What the caller's program reads, besides the code.
    pub(crate) data: Vec<(&'static str, Value)>,
    /// What the operator reads.
    pub(crate) reason: Option<Arc<str>>,
}

/// A denial of something visible.
pub(crate) struct Denied {
    /// What the caller reads.
    pub(crate) message: String,
    /// What the operator reads.
    pub(crate) reason: Arc<str>,
}

/// A failure that is not the caller's.
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) code: Code,
    /// What the operator reads; the caller reads the code's own words.
    pub(crate) reason: Arc<str>,
}

impl Stop {
    /// A stop that is yet to be recorded.
    pub(crate) fn new(trail: Box<Trail>, why: Why) -> Self {
        Self { trail, why, settled: false }
    }

    /// The outcome on record tells of this stop already.
    pub(crate) fn settled(self) -> Self {
        Self { settled: true, ..self }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(crate) fn edge(trail: Box<Trail>, edge: Edge) -> Self {
        Self::new(trail, Why::Edge(edge))
    }

    pub(crate) fn refused(trail: Box<Trail>, refusal: Refusal) -> Self {
        Self::new(trail, Why::Refused(refusal))
    }

    pub(crate) fn busy(trail: Box<Trail>) -> Self {
        Self::new(trail, Why::Busy)
    }

    pub(crate) fn fault(trail: Box<Trail>, kind: ErrorKind, code: Code, reason: impl Into<Arc<str>>) -> Self {
        Self::new(trail, Why::Fault(Fault { kind, code, reason: reason.into() }))
    }
}

impl Refusal {
    /// A refusal that the transport sees as an answer (200); see [`Refusal::status`] for the others.
    pub(crate) fn new(kind: ErrorKind, code: Code, rpc: i64, message: impl Into<String>) -> Self {
        let status = StatusCode::OK;
        Self { kind, code, rpc, status, message: message.into(), data: Vec::new(), reason: None }
    }

    /// Bad params of a known method.
    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, Code::REQUEST_MALFORMED, protocol::reply::INVALID_PARAMS, message)
    }

    /// The one answer to whatever does not exist for this caller. SECURITY: what the caller may not see and
    /// what is not there are told apart on record only: `an_invisible_tool_answers_exactly_as_an_unknown_one`.
    pub(crate) fn unknown(what: &str, name: &str, reason: impl Into<Arc<str>>) -> Self {
        let name: String = name.chars().take(200).collect();
        let message = format!("Unknown {what}: {name}");
        Self::new(ErrorKind::NotFound, Code::NOT_FOUND, protocol::reply::INVALID_PARAMS, message)
            .because(reason)
    }

    /// Adds a member to `data`.
    pub(crate) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.data.push((key, value));
        self
    }

    /// Says it with another HTTP status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What the operator reads.
    pub(crate) fn because(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

impl Why {
    /// The kind, the code and the operator's reason, for the record and the metrics.
    pub(crate) fn facts(&self) -> (ErrorKind, Code, Option<Arc<str>>) {
        match self {
            Self::Challenge(error) => (error.kind(), error.code(), None),
            Self::Edge(edge) => (edge_kind(edge.status), edge.code, None),
            Self::Refused(refusal) => (refusal.kind, refusal.code, refusal.reason.clone()),
            Self::Denied(denied) => (ErrorKind::Denied, Code::DENIED, Some(Arc::clone(&denied.reason))),
            Self::AskFirst(obligations) => {
                (ErrorKind::Denied, Code::OBLIGATION_UNMET, Some(obligations.join(", ").into()))
            }
            Self::Busy => (ErrorKind::TooMuch, Code::BUSY, None),
            Self::Fault(fault) => (fault.kind, fault.code, Some(Arc::clone(&fault.reason))),
        }
    }

    /// The code of the JSON-RPC error that tells it; none where a tool's result does.
    pub(crate) fn rpc(&self, method: Option<Method>) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.rpc),
            Self::Denied(_) | Self::AskFirst(_) if method == Some(Method::ToolsCall) => None,
            Self::Challenge(_)
            | Self::Edge(_)
            | Self::Denied(_)
            | Self::AskFirst(_)
            | Self::Busy
            | Self::Fault(_) => Some(i64::from(self.facts().1.0)),
        }
    }
}

fn edge_kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooMuch,
        StatusCode::REQUEST_TIMEOUT => ErrorKind::TimedOut,
        _ => ErrorKind::Invalid,
    }
}
