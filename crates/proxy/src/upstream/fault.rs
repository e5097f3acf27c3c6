//! Why an exchange failed, said once for operators and once for callers.

use crate::lease::Ended;
use model::{Code, ErrorKind};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the call may have reached the server. Only `NotSent`, or a plain read, is ever retried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// The server has not seen the call, or refused it before acting on it.
    NotSent,
    /// The server may have acted.
    Unknown,
}

impl Sent {
    /// What is known once the flag of a call says whether it has left.
    pub(super) fn of(left: &AtomicBool) -> Self {
        if left.load(Ordering::Relaxed) { Self::Unknown } else { Self::NotSent }
    }
}

/// An exchange failed.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct UpstreamError {
    /// Whether the call may have taken effect.
    pub(crate) sent: Sent,
    /// The kind: metric label, record outcome, status.
    pub(crate) kind: ErrorKind,
    /// The stable code; its title is all a caller reads.
    pub(crate) code: Code,
    /// For operators: names the server's fault, never arguments or secrets.
    text: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl UpstreamError {
    /// The server could not be reached, or refused to talk at all. Not sent.
    pub(super) fn unreachable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Sent::NotSent, ErrorKind::Upstream, Code::UPSTREAM_UNREACHABLE, text)
    }

    /// The server broke off, or answered what is not MCP.
    pub(super) fn failed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Sent::Unknown, ErrorKind::Upstream, Code::UPSTREAM_FAILED, text)
    }

    /// The server took too long.
    pub(super) fn timeout(sent: Sent, deadline: Duration) -> Self {
        let text = format!("no answer within {} ms", deadline.as_millis());
        Self::new(sent, ErrorKind::TimedOut, Code::UPSTREAM_TIMEOUT, text)
    }

    /// A bound on sessions, children or queued messages is met. Not sent.
    pub(super) fn busy(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Sent::NotSent, ErrorKind::TooMuch, Code::BUSY, text)
    }

    /// A credential could not be had. Not sent.
    pub(super) fn credential(error: broker::AttachError) -> Self {
        let text = "its credential is not available";
        Self::new(Sent::NotSent, ErrorKind::Unavailable, Code::CREDENTIAL_UNAVAILABLE, text).because(error)
    }

    /// The call needs a conversation across eras (design §6). Not sent.
    pub(super) fn unbridged(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Sent::NotSent, ErrorKind::Invalid, Code::ERA_UNBRIDGED, text)
    }

    /// A fault of ours. Not sent.
    pub(super) fn internal(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Sent::NotSent, ErrorKind::Internal, Code::INTERNAL, text)
    }

    /// The caller or the server is no longer good.
    pub(super) fn ended(ended: Ended, sent: Sent) -> Self {
        Self::new(sent, ErrorKind::Cancelled, ended.code(), ended.reason())
    }

    fn new(sent: Sent, kind: ErrorKind, code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { sent, kind, code, text: text.into(), source: None }
    }

    pub(super) fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    pub(super) fn with_sent(self, sent: Sent) -> Self {
        Self { sent, ..self }
    }

    /// What an operator reads: the fault and its causes, one line.
    pub(crate) fn detail(&self) -> String {
        let mut text = self.text.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
