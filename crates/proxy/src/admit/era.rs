//! Which era a request belongs to, and what each era demands of it (MCP 2026-07-28, basic/versioning: a request
//! with `_meta` is stateless, `initialize` and a session id are of the older era).

use super::{Client, SESSION_HEADER};
use crate::house::House;
use crate::session::Live;
use crate::stop::Refusal;
use crate::trail::Trail;
use http::{HeaderMap, StatusCode};
use model::{Code, ErrorKind};
use protocol::header::{self, HeaderMismatch, MCP_PROTOCOL_VERSION};
use protocol::meta::{PROTOCOL_VERSION, RequestMeta};
use protocol::method::Names;
use protocol::view::Initialize;
use protocol::{Called, Era, Members, Method, Raw, Version, reply};
use serde_json::json;
use std::sync::Arc;

/// Whether a request is of the stateless era: it says so in `_meta` or in its version header, and does not
/// open a session.
pub(super) fn is_stateless(headers: &HeaderMap, method: &Called, meta: &RequestMeta) -> bool {
    if meta.members.as_ref().is_some_and(|members| members.contains(PROTOCOL_VERSION)) {
        return true;
    }
    if *method == Called::Known(Method::Initialize) {
        return false;
    }
    match headers.get(&MCP_PROTOCOL_VERSION).and_then(|value| value.to_str().ok()) {
        Some(text) => match Version::parse(text) {
            Some(version) => version.era() == Era::Stateless,
            None => headers.get(SESSION_HEADER).is_none(),
        },
        None => false,
    }
}

/// A stateless request: required metadata, a version we speak, headers that agree with the body.
pub(super) fn stateless(
    house: &House,
    trail: &Trail,
    headers: &HeaderMap,
    method: &Called,
    params: Option<&Members>,
    meta: &RequestMeta,
) -> Result<Client, Box<Refusal>> {
    meta.require_stateless()
        .map_err(|error| Box::new(Refusal::params(error.to_string()).status(StatusCode::BAD_REQUEST)))?;
    let text = meta.protocol_version.as_deref().unwrap_or_default();
    let name = name_of(method, params);
    header::check_standard(headers, text, method.as_str(), name.as_deref()).map_err(mismatch)?;
    let version = match Version::parse(text) {
        Some(version) if version.era() == Era::Stateless => version,
        _ => return Err(Box::new(unsupported(text))),
    };
    let declared = meta.client_capabilities.as_ref();
    let (capabilities, stripped) = match declared {
        Some(declared) => protocol::capability::client(declared),
        None => (Raw::empty_object(), Vec::new()),
    };
    house.stripped.tell(house, trail, &stripped);
    Ok(Client {
        version,
        capabilities,
        info: meta.client_info.clone(),
        log_level: meta.log_level,
        session: None,
    })
}

/// What `Mcp-Name` mirrors: the name of a tool or prompt, the URI of a resource that is read.
fn name_of(method: &Called, params: Option<&Members>) -> Option<String> {
    let key = match method.known()?.row().names {
        Names::Tool | Names::Prompt => "name",
        Names::ResourceUri => "uri",
        Names::Completion | Names::Nothing => return None,
    };
    params?.text(key).map(|text| text.into_owned())
}

/// `initialize`: the version is negotiated (the client's own if we speak it, else our newest of that era).
pub(super) fn initializing(
    house: &House,
    trail: &Trail,
    params: Option<&Members>,
) -> Result<Client, Box<Refusal>> {
    let view = Initialize::of(params).map_err(|error| Box::new(Refusal::params(error.to_string())))?;
    let version = match Version::parse(&view.version) {
        Some(version) if version.era() == Era::Session => version,
        _ => Version::LATEST_SESSION,
    };
    let (capabilities, stripped) = protocol::capability::client(&view.capabilities);
    house.stripped.tell(house, trail, &stripped);
    Ok(Client { version, capabilities, info: Some(view.client_info), log_level: None, session: None })
}

/// The session a request names, if it names one. Its version header, if any, is the negotiated one.
pub(super) fn session(
    house: &House,
    trail: &Trail,
    headers: &HeaderMap,
) -> Result<Option<Arc<Live>>, Box<Refusal>> {
    let mut ids = headers.get_all(SESSION_HEADER).iter();
    let (id, None) = (ids.next(), ids.next()) else { return Err(Box::new(unknown_session())) };
    let Some(id) = id else { return Ok(None) };
    let (Ok(id), Some(principal)) = (id.to_str(), &trail.principal) else {
        return Err(Box::new(unknown_session()));
    };
    let live = house
        .sessions
        .find(id, principal, &trail.endpoint, trail.at)
        .map_err(|_| Box::new(unknown_session()))?;
    match headers.get(&MCP_PROTOCOL_VERSION).map(|value| value.to_str().unwrap_or_default()) {
        Some(text) if text != live.facts().version.as_str() => Err(Box::new(unsupported(text))),
        _ => Ok(Some(live)),
    }
}

/// The request needs a session and names none (MCP 2025-11-25, transports: 400).
pub(super) fn no_session() -> Refusal {
    Refusal::new(
        ErrorKind::Invalid,
        Code::SESSION_UNKNOWN,
        reply::INVALID_REQUEST,
        "a session id or the _meta of 2026-07-28 is needed",
    )
    .status(StatusCode::BAD_REQUEST)
}

/// The session has ended, expired or never was (MCP 2025-11-25, transports: 404).
fn unknown_session() -> Refusal {
    Refusal::new(ErrorKind::NotFound, Code::SESSION_UNKNOWN, reply::INVALID_REQUEST, "unknown session")
        .status(StatusCode::NOT_FOUND)
}

fn unsupported(requested: &str) -> Refusal {
    let supported: Vec<&str> = Version::SUPPORTED.iter().map(|version| version.as_str()).collect();
    Refusal::new(
        ErrorKind::Invalid,
        Code::VERSION_UNSUPPORTED,
        reply::UNSUPPORTED_VERSION,
        "Unsupported protocol version",
    )
    .status(StatusCode::BAD_REQUEST)
    .with("supported", json!(supported))
    .with("requested", json!(super::clip(requested)))
}

/// Headers that disagree with the body (MCP 2026-07-28, streamable HTTP: 400 and -32020).
pub(crate) fn mismatch(error: HeaderMismatch) -> Box<Refusal> {
    Box::new(
        Refusal::new(ErrorKind::Invalid, Code::HEADER_MISMATCH, reply::HEADER_MISMATCH, error.to_string())
            .status(StatusCode::BAD_REQUEST),
    )
}
