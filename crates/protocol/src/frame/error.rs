//! Why a text is not a message.

use super::{Bounds, Id};
use crate::reply;
use crate::scan::{DEEPEST, Refusal};

/// A text is not one message. Prints as a lower-case fragment without a byte of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct FrameError {
    /// What is wrong.
    #[source]
    pub fault: Fault,
    /// The message's id, where it stood before the fault and could be read.
    pub id: Option<Id>,
}

/// What is wrong with a text. Offsets are in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than the bound.
    #[error("text over {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// Nested deeper than the bound.
    #[error("nesting over {limit} levels")]
    TooDeep {
        /// Levels.
        limit: usize,
    },
    /// More values than the bound.
    #[error("more than {limit} values")]
    TooMany {
        /// Values.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset.
        at: usize,
    },
    /// Not JSON (RFC 8259), or a lone surrogate.
    #[error("invalid JSON at byte {at}")]
    Syntax {
        /// Offset.
        at: usize,
    },
    /// An object has a key twice.
    #[error("repeated key in the object that ends at byte {at}")]
    DuplicateKey {
        /// Offset just past the object.
        at: usize,
    },
    /// An array of messages: no version we speak has batches but 2025-03-26, where a gateway would have to
    /// answer for many calls at once.
    #[error("batches are not accepted")]
    Batch,
    /// Neither object nor array.
    #[error("message is not an object")]
    NotAnObject,
    /// `jsonrpc` is not `"2.0"`.
    #[error("member jsonrpc is not \"2.0\"")]
    Version,
    /// `id` is neither a string nor an integer (of 64 bits, without fraction and exponent).
    #[error("member id is neither a string nor an integer")]
    Id,
    /// `method` is not a string.
    #[error("member method is not a string")]
    Method,
    /// `params` is not an object.
    #[error("member params is not an object")]
    Params,
    /// `result` is not an object.
    #[error("member result is not an object")]
    Result,
    /// `error` is not an object with an integer `code` and a string `message`.
    #[error("member error has no integer code or no string message")]
    Error,
    /// Request and response at once.
    #[error("message is a request and a response at once")]
    Ambiguous,
    /// No `method`, no `result`, no `error`.
    #[error("message has none of method, result and error")]
    Neither,
}

impl FrameError {
    /// -32700 for what is not JSON, -32600 for JSON that is not one acceptable message.
    pub fn rpc_code(&self) -> i64 {
        match self.fault {
            Fault::NotUtf8 { .. } | Fault::Syntax { .. } => reply::PARSE_ERROR,
            Fault::TooLarge { .. }
            | Fault::TooDeep { .. }
            | Fault::TooMany { .. }
            | Fault::DuplicateKey { .. }
            | Fault::Batch
            | Fault::NotAnObject
            | Fault::Version
            | Fault::Id
            | Fault::Method
            | Fault::Params
            | Fault::Result
            | Fault::Error
            | Fault::Ambiguous
            | Fault::Neither => reply::INVALID_REQUEST,
        }
    }

    /// The message's id if it could be read.
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// Whether a configured bound was met, rather than the text being wrong (HTTP 413 instead of 400).
    pub fn is_over_bound(&self) -> bool {
        matches!(self.fault, Fault::TooLarge { .. } | Fault::TooDeep { .. } | Fault::TooMany { .. })
    }
}

impl Fault {
    pub(crate) fn of(refusal: Refusal, bounds: &Bounds) -> Self {
        match refusal {
            Refusal::Grammar(at) => Self::Syntax { at },
            Refusal::Repeated(at) => Self::DuplicateKey { at },
            Refusal::TooDeep => Self::TooDeep { limit: bounds.depth.min(DEEPEST) },
            Refusal::TooMany => Self::TooMany { limit: bounds.items },
        }
    }
}

impl From<Fault> for FrameError {
    fn from(fault: Fault) -> Self {
        Self { fault, id: None }
    }
}
