//! What a request says about itself in `params._meta` (2026-07-28, basic "`_meta`").

use crate::frame::Id;
use crate::object::Members;
use crate::raw::{Kind, Raw};
use crate::reply;

/// The version of this request.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Name and version of the client's software.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What the client can do in this request.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The least severe log notification the client wants for this request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The listen request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Name and version of the server's software, in a result.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Where to report progress.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage; never passed on.
pub const BAGGAGE: &str = "baggage";

/// Severity of log notifications (RFC 5424), in rising order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `critical`
    Critical,
    /// `alert`
    Alert,
    /// `emergency`
    Emergency,
}

impl LogLevel {
    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// `params._meta`, read once. What is absent is `None`; keys of others are only in `members`.
#[derive(Clone, Debug, Default)]
pub struct RequestMeta {
    /// As sent: may be a version nobody knows. Its presence makes the request one of the stateless era.
    pub protocol_version: Option<Box<str>>,
    /// Declared for this request.
    pub client_capabilities: Option<Members>,
    /// Self-reported: for display, never for a decision.
    pub client_info: Option<Raw>,
    /// Log notifications from this level up are wanted.
    pub log_level: Option<LogLevel>,
    /// Progress notifications are wanted under this token.
    pub progress_token: Option<Id>,
    /// Kept if it is a string; its form is the tracer's business.
    pub traceparent: Option<Box<str>>,
    /// Likewise.
    pub tracestate: Option<Box<str>>,
    /// Everything.
    pub members: Option<Members>,
}

/// `_meta` is malformed: -32602, and 400 over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("_meta member {key} {fault}")]
pub struct MetaError {
    /// Which member; empty for `_meta` itself.
    pub key: &'static str,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl MetaError {
    /// -32602.
    pub const fn rpc_code(&self) -> i64 {
        reply::INVALID_PARAMS
    }
}

impl RequestMeta {
    /// Reads `_meta`; a member with a wrong type is an error, in either era.
    pub fn read(params: Option<&Members>) -> Result<Self, MetaError> {
        let Some(raw) = params.and_then(|params| params.get("_meta")) else { return Ok(Self::default()) };
        let members = Members::of(&raw).ok_or(MetaError { key: "", fault: "must be an object" })?;
        let mut meta = Self::default();
        for (key, value) in members.iter() {
            match key.as_ref() {
                PROTOCOL_VERSION => meta.protocol_version = Some(text(PROTOCOL_VERSION, &value)?),
                CLIENT_CAPABILITIES => {
                    let object = Members::of(&value);
                    meta.client_capabilities = Some(object.ok_or(wrong(CLIENT_CAPABILITIES, OBJECT))?);
                }
                CLIENT_INFO if value.kind() == Kind::Object => meta.client_info = Some(value),
                CLIENT_INFO => return Err(wrong(CLIENT_INFO, OBJECT)),
                LOG_LEVEL => {
                    let level = value.to_str().and_then(|text| LogLevel::parse(&text));
                    meta.log_level = Some(level.ok_or(wrong(LOG_LEVEL, "must be a log level"))?);
                }
                PROGRESS_TOKEN => {
                    let token = Id::of(&value);
                    meta.progress_token =
                        Some(token.ok_or(wrong(PROGRESS_TOKEN, "must be a string or an integer"))?);
                }
                TRACEPARENT => meta.traceparent = value.to_str().map(Into::into),
                TRACESTATE => meta.tracestate = value.to_str().map(Into::into),
                _ => {}
            }
        }
        meta.members = Some(members);
        Ok(meta)
    }

    /// What every stateless request must carry: the version and the client's capabilities.
    pub fn require_stateless(&self) -> Result<(&str, &Members), MetaError> {
        let version = self.protocol_version.as_deref().ok_or(wrong(PROTOCOL_VERSION, MISSING))?;
        let capabilities = self.client_capabilities.as_ref().ok_or(wrong(CLIENT_CAPABILITIES, MISSING))?;
        Ok((version, capabilities))
    }
}

const OBJECT: &str = "must be an object";
const MISSING: &str = "is missing";

const fn wrong(key: &'static str, fault: &'static str) -> MetaError {
    MetaError { key, fault }
}

fn text(key: &'static str, value: &Raw) -> Result<Box<str>, MetaError> {
    value.to_str().map(Into::into).ok_or(wrong(key, "must be a string"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(meta: serde_json::Value) -> Result<RequestMeta, MetaError> {
        RequestMeta::read(Raw::of_value(&json!({ "_meta": meta })).members().as_ref())
    }

    #[test]
    fn stateless_metadata_is_read() {
        let meta = read(json!({
            PROTOCOL_VERSION: "2026-07-28", CLIENT_CAPABILITIES: {"roots": {}}, CLIENT_INFO: {"name": "a"},
            LOG_LEVEL: "warning", "progressToken": 4, "traceparent": "00-1", "tracestate": 3, "other": [],
        }))
        .unwrap();
        assert_eq!(meta.require_stateless().unwrap().0, "2026-07-28");
        assert_eq!(meta.log_level, Some(LogLevel::Warning));
        assert_eq!(meta.progress_token, Some(Id::Number(4)));
        assert_eq!((meta.traceparent.as_deref(), meta.tracestate.as_deref()), (Some("00-1"), None));
        assert!(LogLevel::Debug < LogLevel::Emergency);
    }

    #[test]
    fn nothing_is_no_fault_until_it_is_required() {
        let meta = RequestMeta::read(None).unwrap();
        assert_eq!(meta.require_stateless().unwrap_err(), wrong(PROTOCOL_VERSION, MISSING));
        let meta = read(json!({ PROTOCOL_VERSION: "x" })).unwrap();
        assert_eq!(meta.require_stateless().unwrap_err(), wrong(CLIENT_CAPABILITIES, MISSING));
    }

    #[test]
    fn wrong_types_are_refused() {
        for meta in [
            json!(1),
            json!({ PROTOCOL_VERSION: 1 }),
            json!({ CLIENT_CAPABILITIES: [] }),
            json!({ CLIENT_INFO: "x" }),
            json!({ LOG_LEVEL: "loud" }),
            json!({ "progressToken": 1.5 }),
            json!({ "progressToken": null }),
        ] {
            assert!(read(meta.clone()).is_err(), "{meta}");
        }
    }
}
