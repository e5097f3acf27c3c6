//! Reading leaves back.

use crate::leaf::{
    About, Arguments, Attempt, AuthnFailure, AuthnFailures, Call, Caller, Conversation, Decision, Denial,
    Downstream, Event, Intent, Latency, Leaf, Outcome, Status, Target, Token, What,
};
use model::{CallId, Code, Digest, ErrorKind, Impact, Timestamp};
use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// One leaf with its place in the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Counted from 1 without a gap, per node.
    pub sequence: u64,
    /// When the leaf was made.
    pub time: Timestamp,
    /// The leaf.
    pub leaf: Leaf<'a>,
}

/// Why bytes are not a leaf.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or a field is of the wrong type.
    #[error("not a leaf: {0}")]
    Json(#[from] serde_json::Error),
    /// A kind of leaf that this version does not know.
    #[error("unknown kind of leaf: {0}")]
    Kind(String),
    /// A field is missing that its kind must have.
    #[error("a leaf without {0}")]
    Missing(&'static str),
}

/// Reads one leaf, borrowing from `payload` where it can. Unknown fields are passed over, so that a later
/// version may add some.
pub fn decode(payload: &[u8]) -> Result<Entry<'_>, DecodeError> {
    let wire: Wire<'_> = serde_json::from_slice(payload)?;
    let (sequence, time) = (wire.seq, wire.time);
    let leaf = match wire.kind.as_ref() {
        "intent" => Leaf::Intent(wire.intent()?),
        "outcome" => Leaf::Outcome(wire.outcome()?),
        "denial" => Leaf::Denial(wire.denial()?),
        "authn_failures" => Leaf::AuthnFailures(wire.failures()?),
        "event" => Leaf::Event(wire.event()?),
        other => return Err(DecodeError::Kind(other.to_owned())),
    };
    Ok(Entry { sequence, time, leaf })
}

/// Every field of every kind: a tagged enum would copy the arguments' value through serde's buffer.
#[derive(Deserialize)]
struct Wire<'a> {
    seq: u64,
    time: Timestamp,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    call: Option<CallId>,
    #[serde(borrow)]
    caller: Option<Caller<'a>>,
    #[serde(borrow)]
    conversation: Option<Conversation<'a>>,
    endpoint: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    target: Option<Target<'a>>,
    #[serde(borrow)]
    downstream: Option<Downstream<'a>>,
    impact: Option<Impact>,
    trace: Option<Cow<'a, str>>,
    request_bytes: Option<u64>,
    #[serde(borrow)]
    decision: Option<Decision<'a>>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(default, deserialize_with = "status")]
    status: Option<Status>,
    attempt: Option<Attempt>,
    #[serde(default, deserialize_with = "maybe_code")]
    code: Option<Code>,
    reason: Option<Cow<'a, str>>,
    upstream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token: Option<Token<'a>>,
    #[serde(default)]
    findings: Vec<Cow<'a, str>>,
    answer_bytes: Option<u64>,
    reply_bytes: Option<u64>,
    #[serde(default)]
    latency: Latency,
    from: Option<Timestamp>,
    #[serde(default, borrow)]
    failures: Vec<AuthnFailure<'a>>,
    uncounted: Option<u64>,
    what: Option<What>,
    tenant: Option<Cow<'a, str>>,
    by: Option<Cow<'a, str>>,
    #[serde(borrow)]
    about: Option<About<'a>>,
    server: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    digest: Option<Digest>,
    detail: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> {
    fn intent(mut self) -> Result<Intent<'a>, DecodeError> {
        let decision = self.decision.take().ok_or(DecodeError::Missing("decision"))?;
        Ok(Intent { call: self.call()?, decision })
    }

    fn denial(mut self) -> Result<Denial<'a>, DecodeError> {
        let Some(Status::Failed(kind)) = self.status else { return Err(DecodeError::Missing("status")) };
        Ok(Denial {
            decision: self.decision.take(),
            kind,
            code: self.code.ok_or(DecodeError::Missing("code"))?,
            reason: self.reason.take(),
            latency: self.latency,
            call: self.call()?,
        })
    }

    fn outcome(self) -> Result<Outcome<'a>, DecodeError> {
        Ok(Outcome {
            call: self.call.ok_or(DecodeError::Missing("call"))?,
            status: self.status.ok_or(DecodeError::Missing("status"))?,
            attempt: self.attempt.ok_or(DecodeError::Missing("attempt"))?,
            code: self.code,
            reason: self.reason,
            upstream: self.upstream,
            token: self.token,
            findings: self.findings,
            answer_bytes: self.answer_bytes.ok_or(DecodeError::Missing("answer_bytes"))?,
            reply_bytes: self.reply_bytes.ok_or(DecodeError::Missing("reply_bytes"))?,
            latency: self.latency,
        })
    }

    fn failures(self) -> Result<AuthnFailures<'a>, DecodeError> {
        Ok(AuthnFailures {
            from: self.from.ok_or(DecodeError::Missing("from"))?,
            failures: self.failures,
            uncounted: self.uncounted.ok_or(DecodeError::Missing("uncounted"))?,
        })
    }

    fn event(self) -> Result<Event<'a>, DecodeError> {
        Ok(Event {
            what: self.what.ok_or(DecodeError::Missing("what"))?,
            tenant: self.tenant,
            by: self.by,
            about: self.about,
            server: self.server,
            name: self.name,
            digest: self.digest,
            code: self.code,
            detail: self.detail,
        })
    }

    fn call(self) -> Result<Call<'a>, DecodeError> {
        Ok(Call {
            id: self.call.ok_or(DecodeError::Missing("call"))?,
            caller: self.caller.ok_or(DecodeError::Missing("caller"))?,
            conversation: self.conversation,
            endpoint: self.endpoint.ok_or(DecodeError::Missing("endpoint"))?,
            method: self.method.ok_or(DecodeError::Missing("method"))?,
            target: self.target,
            downstream: self.downstream,
            impact: self.impact,
            trace: self.trace,
            request_bytes: self.request_bytes.ok_or(DecodeError::Missing("request_bytes"))?,
            arguments: self.arguments,
        })
    }
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    for status in [Status::Ok, Status::ToolError, Status::InputRequired, Status::Unknown] {
        if status.as_str() == text {
            return Ok(Some(status));
        }
    }
    let kind = ErrorKind::deserialize(text.as_ref().into_deserializer());
    kind.map(|kind| Some(Status::Failed(kind))).map_err(|error: value::Error| serde::de::Error::custom(error))
}

pub(crate) fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    let text = <Cow<'de, str>>::deserialize(deserializer)?;
    let number = text.strip_prefix("PTN-").and_then(|digits| digits.parse().ok());
    number.map(Code).ok_or_else(|| serde::de::Error::custom("not a code"))
}

fn maybe_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Code>, D::Error> {
    code(deserializer).map(Some)
}
