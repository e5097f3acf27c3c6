//! What the gateway answers by itself: who it is, what it offers, and the small things of a session.

use crate::admit::{self, Answer, Call, Notice, Opening};
use crate::catalog::{ServerView, Snapshot};
use crate::config::Endpoint;
use crate::house::House;
use crate::inspect;
use crate::record;
use crate::reply::{self, Reply};
use crate::session::{DECLARED_BYTES, Facts, owner_of};
use crate::stop::{Refusal, Stop};
use http::{HeaderValue, StatusCode};
use model::{Code, ErrorKind};
use protocol::capability::Offer;
use protocol::{Era, Members, Method, Version, meta, view};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Answers a request that needs no server.
pub(crate) async fn answer(house: &House, call: Box<Call>) -> Result<Reply, Stop> {
    match call.method {
        Method::Initialize => initialize(house, call).await,
        Method::ServerDiscover => {
            house.catalog.ready(call.state.config.limits.discovery_timeout).await;
            let result = described(house, &call, Era::Stateless).to_string();
            let trail = record::local(house, call.trail, result.len()).await?;
            drop(trail);
            Ok(reply::result(&call.id, result.as_bytes()))
        }
        Method::LoggingSetLevel => {
            let level = view::level(call.params.as_ref());
            match (level, &call.client.session) {
                (Ok(level), Some(session)) => {
                    session.set_log_level(level);
                    Ok(reply::result(&call.id, b"{}"))
                }
                (Err(error), _) => Err(Stop::refused(call.trail, Refusal::params(error.to_string()))),
                (Ok(_), None) => Err(Stop::refused(call.trail, Refusal::params("there is no session"))),
            }
        }
        Method::Ping => Ok(reply::result(&call.id, b"{}")),
        other => {
            let reason = format!("{} has no answer of our own", other.name());
            Err(Stop::fault(call.trail, ErrorKind::Internal, Code::INTERNAL, reason))
        }
    }
}

/// Opens a session: the facts of the client are sealed into its id.
async fn initialize(house: &House, call: Box<Call>) -> Result<Reply, Stop> {
    let declared = call.client.capabilities.as_bytes().len()
        + call.client.info.as_ref().map_or(0, |info| info.as_bytes().len());
    if declared > DECLARED_BYTES {
        let text = format!("capabilities and clientInfo are over {DECLARED_BYTES} bytes");
        return Err(Stop::refused(call.trail, Refusal::params(text)));
    }
    let limits = &call.state.config.limits;
    house.catalog.ready(limits.discovery_timeout).await;
    let mut result = described(house, &call, Era::Session);
    if let Some(members) = result.as_object_mut() {
        members.insert("protocolVersion".to_owned(), json!(call.client.version.as_str()));
        members.insert("serverInfo".to_owned(), server_info());
    }
    let mut nonce = [0; 16];
    house.dice.fill(&mut nonce);
    let facts = Facts {
        owner: owner_of(&call.caller.verified.principal),
        endpoint: call.trail.endpoint.clone(),
        version: call.client.version,
        capabilities: call.client.capabilities.clone(),
        client_info: call.client.info.clone(),
        nonce,
        expires: call.trail.at.after(limits.session_lifetime),
    };
    let opened = house.sessions.open(facts, house.dice.as_ref(), call.trail.at);
    opened.iter().for_each(|session| session.used_by(&call.caller.verified));
    let id = opened.and_then(|session| HeaderValue::try_from(&**session.id()).ok());
    let Some(id) = id else {
        return Err(Stop::fault(
            call.trail,
            ErrorKind::Internal,
            Code::INTERNAL,
            "the session could not be sealed",
        ));
    };
    let result = result.to_string();
    record::local(house, call.trail, result.len()).await?;
    let mut reply = reply::result(&call.id, result.as_bytes());
    reply.headers_mut().insert(admit::SESSION_HEADER.clone(), id);
    Ok(reply)
}

/// What an endpoint offers, as `server/discover` or `initialize` says it.
fn described(house: &House, call: &Call, era: Era) -> Value {
    let snapshot = house.catalog.snapshot();
    let views = views(&snapshot, &call.trail.endpoint, call);
    let offer = views.iter().fold(Offer::default(), |offer, view| match Members::of(&view.capabilities) {
        Some(capabilities) => offer.merge(Offer::of(&capabilities)),
        None => offer,
    });
    let mut result = Map::new();
    result.insert("capabilities".to_owned(), offer.to_raw().to_value().unwrap_or_default());
    if let (Endpoint::Server(_), [view]) = (&call.trail.endpoint, views.as_slice())
        && let Some(instructions) = view.instructions.as_ref().and_then(|raw| raw.to_value().ok())
    {
        result.insert("instructions".to_owned(), instructions);
    }
    if era == Era::Stateless {
        let supported: Vec<&str> = Version::SUPPORTED.iter().map(|version| version.as_str()).collect();
        result.insert("resultType".to_owned(), json!("complete"));
        result.insert("supportedVersions".to_owned(), json!(supported));
        result.insert("ttlMs".to_owned(), json!(0));
        result.insert("cacheScope".to_owned(), json!("private"));
        result.insert("_meta".to_owned(), json!({meta::SERVER_INFO: server_info()}));
    }
    Value::Object(result)
}

/// The servers of an endpoint.
pub(crate) fn views(snapshot: &Snapshot, endpoint: &Endpoint, call: &Call) -> Vec<Arc<ServerView>> {
    let caller = &call.caller.verified.principal;
    let views = snapshot.servers.values().filter(|view| caller.has_server(&view.name));
    match endpoint {
        Endpoint::Shared => views.cloned().collect(),
        Endpoint::Server(name) => views.filter(|view| view.name == *name).cloned().collect(),
        Endpoint::Toolset(name) => {
            let toolset = call.state.config.toolsets.get(name);
            views.filter(|view| toolset.is_some_and(|set| set.touches(&view.name))).cloned().collect()
        }
    }
}

fn server_info() -> Value {
    json!({"name": "portunus", "title": "Portunus MCP gateway", "version": env!("CARGO_PKG_VERSION")})
}

/// Takes a notification of a client: 202, whatever it is (JSON-RPC 2.0 §4.1).
pub(crate) fn notice(notice: Notice) -> Result<Reply, Stop> {
    let Notice { session, notification, .. } = notice;
    if let (Some(session), Some(Method::Cancelled)) = (session, notification.method.known())
        && let Ok(cancelled) = view::Cancelled::of(notification.params.as_ref())
    {
        session.cancel(&cancelled.request);
    }
    Ok(reply::accepted())
}

/// Takes a client's answer to a server's question. An answer nobody asked for is refused.
pub(crate) fn client_answer(house: &House, answer: Answer) -> Result<Reply, Stop> {
    let Answer { trail, session, response } = answer;
    let state = house.state();
    let within = match &response.outcome {
        protocol::Outcome::Result(result) => inspect::answer(&state, result.raw()).is_ok(),
        protocol::Outcome::Error(error) => inspect::answer(&state, &error.raw).is_ok(),
    };
    if within && session.answer(response) {
        return Ok(reply::accepted());
    }
    let refusal = Refusal::new(
        ErrorKind::Invalid,
        Code::REQUEST_MALFORMED,
        protocol::reply::INVALID_REQUEST,
        "no question with this id is waiting",
    );
    Err(Stop::refused(trail, refusal.status(StatusCode::BAD_REQUEST)))
}

/// Ends a session (MCP 2025-11-25, session management: DELETE).
pub(crate) async fn end(house: &House, opening: Opening) -> Result<Reply, Stop> {
    let Opening { trail, caller, session, .. } = opening;
    if let Err(error) = house.sessions.end(&session, trail.at) {
        return Err(Stop::fault(trail, ErrorKind::Unavailable, Code::SESSION_STORE, error.to_string()));
    }
    house
        .upstreams
        .end(&crate::upstream::Owner { principal: caller.verified.key, session: Some(session.key()) });
    record::local(house, trail, 0).await?;
    Ok(reply::status(StatusCode::NO_CONTENT))
}
