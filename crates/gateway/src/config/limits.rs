//! Section `limits`.

use super::check::{At, Check};
use super::units::{Size, Span};
use model::Limits;
use schemars::JsonSchema;
use serde::Deserialize;

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ident,)*) => {
        /// Every bound of the request path. What is left out keeps its default.
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct LimitsSection {
            $($(#[doc = $doc])* $name: Option<$kind>,)*
        }

        impl LimitsSection {
            pub(super) fn check(self, at: &At, check: &mut Check) -> Limits {
                let mut limits = Limits::default();
                $(if let Some(value) = self.$name {
                    if value.is_nothing() {
                        check.fault(&at.key(stringify!($name)), "a bound of zero refuses everything", "at least 1");
                    } else {
                        limits.$name = value.amount();
                    }
                })*
                limits
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

limits! {
    /// The largest request body.
    request_bytes: Size,
    /// The largest answer of a server, and the largest frame of its stream.
    answer_bytes: Size,
    /// The largest arguments of one call.
    argument_bytes: Size,
    /// The longest string in arguments or in an answer, as written.
    string_bytes: Size,
    /// The deepest nesting of a JSON document.
    json_depth: Count,
    /// The most values in one JSON document.
    json_items: Count,
    /// The largest head (request line and headers) of a request.
    head_bytes: Size,
    /// How long a client may take to send a request's head.
    head_timeout: Span,
    /// How long a client may take to send a request's body.
    body_timeout: Span,
    /// How long a call may take in all, whatever its progress. A server's own `timeout` may be shorter.
    call_timeout: Span,
    /// How long discovery of one server may hold up a list.
    discovery_timeout: Span,
    /// How long an append to the record may take before the call is refused.
    record_timeout: Span,
    /// How long a stream without news waits before a keep-alive comment.
    keep_alive: Span,
    /// How long a caller may take to answer what a server asks in the middle of its call.
    question_timeout: Span,
    /// Open client connections.
    connections: Count,
    /// Open streams of all callers.
    streams: Count,
    /// Open streams of one principal.
    streams_per_principal: Count,
    /// Calls in flight of one principal.
    calls_per_principal: Count,
    /// Mutable session entries held by this node.
    sessions: Count,
    /// Ended sessions remembered until they would have expired.
    ended_sessions: Count,
    /// How long a session id lives.
    session_lifetime: Span,
    /// Idle connections kept to one server.
    idle_connections_per_server: Count,
    /// Children of one stdio server.
    children_per_server: Count,
    /// How long an unused child or upstream session lives.
    idle_timeout: Span,
    /// Items on one page of a list.
    page_items: Count,
    /// Tools, prompts, resources or templates taken from one server.
    catalog_items_per_server: Count,
    /// Verified tokens remembered.
    cached_tokens: Count,
}

/// A plain number of things.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
struct Count(usize);

/// A bound of any unit, as `model::Limits` holds it.
trait Bound {
    /// What it becomes.
    type Amount;
    /// Whether it bounds everything away.
    fn is_nothing(&self) -> bool;
    /// The value.
    fn amount(self) -> Self::Amount;
}

impl Bound for Count {
    type Amount = usize;
    fn is_nothing(&self) -> bool {
        self.0 == 0
    }
    fn amount(self) -> usize {
        self.0
    }
}

impl Bound for Size {
    type Amount = usize;
    fn is_nothing(&self) -> bool {
        self.0 == 0
    }
    fn amount(self) -> usize {
        self.0
    }
}

impl Bound for Span {
    type Amount = std::time::Duration;
    fn is_nothing(&self) -> bool {
        self.0.is_zero()
    }
    fn amount(self) -> std::time::Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_model_can_be_set() {
        let text = format!("{:?}", Limits::default());
        assert_eq!(text.matches(": ").count(), NAMES.len());
        assert!(NAMES.iter().all(|name| text.contains(&format!("{name}: "))));
    }
}
