//! Views of results.

use super::{ViewError, wrong};
use crate::method::Method;
use crate::object::Members;
use crate::raw::Raw;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The definitions as they came.
    pub items: Vec<Raw>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<Box<str>>,
}

/// How a result ends its request (2026-07-28, basic "ResultType").
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResultType {
    /// It does. Absent means this, from older servers.
    Complete,
    /// It does not: the server wants input.
    InputRequired,
    /// An extension's: invalid unless that extension was declared, and we declare none.
    Other(Box<str>),
}

/// A result that wants input (2026-07-28, basic/patterns/mrtr).
#[derive(Clone, Debug)]
pub struct InputRequired {
    /// Requests by key: elicitation, sampling or roots.
    pub requests: Option<Members>,
    /// To be echoed.
    pub state: Option<Box<str>>,
}

impl Page {
    /// Reads a list's result; `key` is [`crate::method::Row::items`].
    pub fn of(result: &Members, key: &'static str) -> Result<Self, ViewError> {
        let items = result.get(key).and_then(|raw| raw.elements()).ok_or(wrong(key, "an array"))?;
        let next_cursor = match result.get("nextCursor") {
            // Some servers end their lists with null.
            Some(raw) if raw.as_bytes() == b"null" => None,
            Some(raw) => Some(raw.to_str().ok_or(wrong("nextCursor", "a string"))?.into()),
            None => None,
        };
        Ok(Self { items, next_cursor })
    }
}

/// Reads `resultType`.
pub fn result_type(result: &Members) -> Result<ResultType, ViewError> {
    if !result.contains("resultType") {
        return Ok(ResultType::Complete);
    }
    match result.text("resultType").ok_or(wrong("resultType", "a string"))?.as_ref() {
        "complete" => Ok(ResultType::Complete),
        "input_required" => Ok(ResultType::InputRequired),
        other => Ok(ResultType::Other(other.into())),
    }
}

impl InputRequired {
    /// Reads a result whose type is `input_required`: at least one of its two members must be there, and every
    /// request must have a method.
    pub fn of(result: &Members) -> Result<Self, ViewError> {
        let requests = match result.get("inputRequests") {
            Some(raw) => Some(Members::of(&raw).ok_or(wrong("inputRequests", "an object"))?),
            None => None,
        };
        let state = match result.get("requestState") {
            Some(raw) => Some(raw.to_str().ok_or(wrong("requestState", "a string"))?.into()),
            None => None,
        };
        if requests.is_none() && state.is_none() {
            return Err(wrong("inputRequests", "there, or requestState"));
        }
        let asked = Self { requests, state };
        if asked.methods().any(|method| method.is_none()) {
            return Err(wrong("inputRequests", "requests that may be asked of a client"));
        }
        Ok(asked)
    }

    /// What each request asks of the client; `None` for what may not be asked.
    pub(super) fn methods(&self) -> impl Iterator<Item = Option<Method>> {
        self.requests.iter().flat_map(Members::iter).map(|(_, request)| {
            let method = Members::of(&request).and_then(|members| Method::parse(&members.text("method")?));
            method.filter(|method| {
                matches!(
                    method,
                    Method::ElicitationCreate | Method::SamplingCreateMessage | Method::RootsList
                )
            })
        })
    }
}

/// Whether a `tools/call` result is a failure the model reads.
pub fn is_error(result: &Members) -> bool {
    result.bytes_of("isError") == Some(b"true")
}
