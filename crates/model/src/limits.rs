//! The bounds of design §3.5, each with its unit. `gateway` reads them from configuration.

use std::time::Duration;

/// Every bound on the request path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub request_bytes: usize,
    /// The largest answer (or single stream frame) from an upstream, in bytes.
    pub answer_bytes: usize,
    /// The largest arguments of one call, in bytes.
    pub argument_bytes: usize,
    /// The longest string in arguments or in an answer, in bytes as written.
    pub string_bytes: usize,
    /// The deepest nesting of a JSON document.
    pub json_depth: usize,
    /// The most values (members and elements) in one JSON document.
    pub json_items: usize,
    /// The largest head (request line and headers) of a request, in bytes.
    pub head_bytes: usize,
    /// How long a client may take to send a request's head.
    pub head_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a call may take in all, whatever its progress.
    pub call_timeout: Duration,
    /// How long discovery of one server may hold up a list.
    pub discovery_timeout: Duration,
    /// How long an append to the record may take before the call is refused.
    pub record_timeout: Duration,
    /// How long a stream without news waits before a keep-alive comment.
    pub keep_alive: Duration,
    /// How long a caller may take to answer what a server asks in the middle of its call.
    pub question_timeout: Duration,
    /// Open client connections.
    pub connections: usize,
    /// Open streams (GET, listen, and answers as a stream) of all callers.
    pub streams: usize,
    /// Open streams of one principal.
    pub streams_per_principal: usize,
    /// Calls in flight of one principal.
    pub calls_per_principal: usize,
    /// Mutable session entries (log level, streams, subscriptions) held by this node.
    pub sessions: usize,
    /// Ended sessions remembered until they would have expired.
    pub ended_sessions: usize,
    /// How long a session id lives.
    pub session_lifetime: Duration,
    /// Idle upstream connections kept per server.
    pub idle_connections_per_server: usize,
    /// Children of one stdio server.
    pub children_per_server: usize,
    /// How long an unused child or upstream session lives.
    pub idle_timeout: Duration,
    /// Items on one page of a list.
    pub page_items: usize,
    /// Tools, prompts, resources or templates taken from one server.
    pub catalog_items_per_server: usize,
    /// Verified tokens remembered.
    pub cached_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 4 << 20,
            answer_bytes: 16 << 20,
            argument_bytes: 4 << 20,
            string_bytes: 16 << 20,
            json_depth: 64,
            json_items: 200_000,
            head_bytes: 32 << 10,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(300),
            discovery_timeout: Duration::from_secs(5),
            record_timeout: Duration::from_secs(2),
            keep_alive: Duration::from_secs(15),
            question_timeout: Duration::from_secs(600),
            connections: 10_000,
            streams: 4_096,
            streams_per_principal: 64,
            calls_per_principal: 256,
            sessions: 16_384,
            ended_sessions: 65_536,
            session_lifetime: Duration::from_secs(24 * 3600),
            idle_connections_per_server: 128,
            children_per_server: 64,
            idle_timeout: Duration::from_secs(600),
            page_items: 10_000,
            catalog_items_per_server: 10_000,
            cached_tokens: 16_384,
        }
    }
}
