//! One JSON-RPC 2.0 message per body (JSON-RPC 2.0 §4 and §5, MCP base protocol "Messages").

mod error;
mod id;
mod write;

pub use error::{Fault, FrameError};
pub use id::Id;
pub use write::{notification, one_line, request};

use crate::method::Method;
use crate::object::Members;
use crate::raw::{Kind, Raw};
use crate::scan::{Entry, Scan, Span};
use bytes::Bytes;

/// The bounds of one document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting; the outermost object is at depth 1. Never more than 512 is accepted.
    pub depth: usize,
    /// The most values: the document, every member's value and every element.
    pub items: usize,
}

/// What a frame holds.
#[derive(Clone, Debug)]
pub enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Is one.
    Response(Response),
}

/// The method a frame names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Called {
    /// One with a row in the table.
    Known(Method),
    /// Any other.
    Other(Box<str>),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Unique among the sender's requests in flight.
    pub id: Id,
    /// What is asked.
    pub method: Called,
    /// With what.
    pub params: Option<Members>,
    /// The frame as it came.
    pub bytes: Bytes,
}

/// A notification.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What is told.
    pub method: Called,
    /// With what.
    pub params: Option<Members>,
    /// The frame as it came.
    pub bytes: Bytes,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The request's; `None` only for an error whose sender could not read the request's id.
    pub id: Option<Id>,
    /// How it ended.
    pub outcome: Outcome,
    /// The frame as it came.
    pub bytes: Bytes,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The `result` object.
    Result(Members),
    /// The `error` object.
    Error(RpcError),
}

/// An `error` object.
#[derive(Clone, Debug)]
pub struct RpcError {
    /// An integer; see [`crate::reply`].
    pub code: i64,
    /// Written by the other side: never shown to a model without inspection.
    pub message: Box<str>,
    /// More, of any type.
    pub data: Option<Raw>,
    /// The whole object as it came.
    pub raw: Raw,
}

impl Called {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(method) => method.name(),
            Self::Other(name) => name,
        }
    }

    /// The method, if it has a row in the table.
    pub fn known(&self) -> Option<Method> {
        match self {
            Self::Known(method) => Some(*method),
            Self::Other(_) => None,
        }
    }
}

/// Reads one message: one strict pass over the text, which also notes where its parts are.
///
/// Refused: anything over `bounds`, text that is not JSON or could be read two ways (a repeated key at any
/// level, a lone surrogate, invalid UTF-8), batches, and objects that are not exactly one of request,
/// notification and response. Members unknown to JSON-RPC are left alone.
pub fn decode(body: Bytes, bounds: &Bounds) -> Result<Message, FrameError> {
    if body.len() > bounds.bytes {
        return Err(Fault::TooLarge { limit: bounds.bytes }.into());
    }
    let mut scan = Scan::new(&body, bounds.depth, bounds.items, true).map_err(|at| Fault::NotUtf8 { at })?;
    let span = scan.document();
    let inner = std::mem::take(&mut scan.inner);
    let frame = Frame { top: &scan.top, body: &body };
    let message = match span {
        Ok(span) => frame.message(span, inner),
        Err(refusal) => Err(Fault::of(refusal, bounds)),
    };
    message.map_err(|fault| FrameError { fault, id: frame.get("id").and_then(|raw| Id::of(&raw)) })
}

/// A body and the members found in it.
struct Frame<'a> {
    top: &'a [Entry],
    body: &'a Bytes,
}

impl Frame<'_> {
    fn message(&self, span: Span, inner: Vec<Entry>) -> Result<Message, Fault> {
        match self.body.get(span.start) {
            Some(b'{') => {}
            Some(b'[') => return Err(Fault::Batch),
            _ => return Err(Fault::NotAnObject),
        }
        if self.slice("jsonrpc") != Some(b"\"2.0\"")
            && self.get("jsonrpc").as_ref().and_then(Raw::to_str).as_deref() != Some("2.0")
        {
            return Err(Fault::Version);
        }
        let id = self.get("id");
        let bytes = self.body.clone();
        let answers = (self.get("result"), self.get("error"));
        let Some(method) = self.slice("method") else {
            if self.slice("params").is_some() {
                return Err(Fault::Ambiguous);
            }
            return Ok(Message::Response(self.response(id, answers, inner)?));
        };
        if let (Some(_), _) | (_, Some(_)) = answers {
            return Err(Fault::Ambiguous);
        }
        let method = match plain_string(method).and_then(Method::parse) {
            Some(method) => Called::Known(method),
            None => self.called()?,
        };
        let params = match self.get("params") {
            Some(raw) if raw.kind() == Kind::Object => Some(self.members("params", raw, inner)),
            Some(_) => return Err(Fault::Params),
            None => None,
        };
        match id {
            Some(id) => {
                let id = Id::of(&id).ok_or(Fault::Id)?;
                Ok(Message::Request(Request { id, method, params, bytes }))
            }
            None => Ok(Message::Notification(Notification { method, params, bytes })),
        }
    }

    fn response(
        &self,
        id: Option<Raw>,
        answers: (Option<Raw>, Option<Raw>),
        inner: Vec<Entry>,
    ) -> Result<Response, Fault> {
        let bytes = self.body.clone();
        let id = match id {
            Some(raw) if raw.kind() == Kind::Null => None,
            Some(raw) => Some(Id::of(&raw).ok_or(Fault::Id)?),
            None => None,
        };
        let outcome = match answers {
            (Some(_), Some(_)) => return Err(Fault::Ambiguous),
            (None, None) => return Err(Fault::Neither),
            (Some(_), None) if id.is_none() => return Err(Fault::Id),
            (Some(result), None) if result.kind() == Kind::Object => {
                Outcome::Result(self.members("result", result, inner))
            }
            (Some(_), None) => return Err(Fault::Result),
            (None, Some(error)) => Outcome::Error(RpcError::of(error).ok_or(Fault::Error)?),
        };
        Ok(Response { id, outcome, bytes })
    }

    fn called(&self) -> Result<Called, Fault> {
        let raw = self.get("method").ok_or(Fault::Method)?;
        let name = raw.to_str().ok_or(Fault::Method)?;
        Ok(Method::parse(&name).map_or_else(|| Called::Other(name.into()), Called::Known))
    }

    /// `inner` counts from the body's first byte, a `Members` from its own.
    fn members(&self, key: &str, raw: Raw, mut inner: Vec<Entry>) -> Members {
        let base = self.entry(key).map_or(0, |entry| entry.value.start);
        inner.iter_mut().for_each(|entry| *entry = entry.back(base));
        Members::with(raw, inner)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.top.iter().find(|entry| entry.is(self.body, key))
    }

    fn slice(&self, key: &str) -> Option<&[u8]> {
        self.entry(key).map(|entry| entry.value.of(self.body))
    }

    fn get(&self, key: &str) -> Option<Raw> {
        self.entry(key).map(|entry| Raw::checked(self.body.slice(entry.value.start..entry.value.end)))
    }
}

impl RpcError {
    /// Reads an `error` object: an integer `code`, a string `message`, any `data`.
    pub fn of(raw: Raw) -> Option<Self> {
        let members = Members::of(&raw)?;
        let code = members.get("code")?.to_i64()?;
        let message = members.text("message")?.into();
        Some(Self { code, message, data: members.get("data"), raw })
    }
}

fn plain_string(raw: &[u8]) -> Option<&str> {
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok()
}

#[cfg(test)]
mod tests;
