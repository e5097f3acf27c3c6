//! Translation between the eras: what a request, an answer, an error or a notification of one era is in the
//! other. Pure, and only of what is one message on both sides; what needs a conversation is an error here.
//!
//! From 2026-07-28 to a session: its metadata moved from every `_meta` into `initialize`, its results lose
//! `resultType` and caching hints. The other way round they are added: `complete`, never cached, private.

use crate::frame::{Id, RpcError};
use crate::meta::{
    BAGGAGE, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, LogLevel, PROGRESS_TOKEN, PROTOCOL_VERSION,
    SERVER_INFO, SUBSCRIPTION_ID,
};
use crate::method::Method;
use crate::object::{Edit, Members};
use crate::raw::Raw;
use crate::reply::{
    HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, MISSING_CLIENT_CAPABILITY, RESOURCE_NOT_FOUND,
    UNSUPPORTED_VERSION, URL_ELICITATION_REQUIRED,
};
use crate::version::Version;
use crate::view::{ResultType, result_type};

/// What every request to a stateless server says about the client.
#[derive(Clone, Copy, Debug)]
pub struct ClientFacts<'a> {
    /// The version the server is spoken to in.
    pub version: Version,
    /// The client's own, narrowed ([`crate::capability::client`]).
    pub capabilities: &'a Raw,
    /// The client's own.
    pub info: Option<&'a Raw>,
    /// Log notifications wanted.
    pub log_level: Option<LogLevel>,
}

/// A message has no form in the other era.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The server wants something of the client first.
    #[error("{0} needs a conversation across protocol eras")]
    Conversation(&'static str),
    /// The result is of a type that nobody declared.
    #[error("result type {0:?} is not known")]
    ResultType(Box<str>),
}

const META: &str = "_meta";

/// Params for a stateless server: the reserved keys of `_meta` say what `facts` says, whatever stood there;
/// `baggage` stays behind. Also for a client of the same era, whose capabilities were narrowed.
pub fn params_to_stateless(params: Option<&Members>, facts: &ClientFacts<'_>) -> Raw {
    let mut edit = Edit::new();
    edit.set(&[META, PROTOCOL_VERSION], Raw::of_str(facts.version.as_str()));
    edit.set(&[META, CLIENT_CAPABILITIES], facts.capabilities.clone());
    put(&mut edit, &[META, CLIENT_INFO], facts.info.cloned());
    put(&mut edit, &[META, LOG_LEVEL], facts.log_level.map(|level| Raw::of_str(level.as_str())));
    edit.remove(&[META, BAGGAGE]);
    apply(&edit, params)
}

/// Params for a session server: the reserved keys and `baggage` are gone from `_meta`, and `_meta` itself if
/// nothing is left in it. Also for a client of the same era.
pub fn params_to_session(params: Option<&Members>) -> Option<Raw> {
    const GONE: [&str; 6] =
        [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, SUBSCRIPTION_ID, BAGGAGE];
    let params = params?;
    let Some(meta) = params.object(META) else { return Some(params.raw().clone()) };
    let gone = meta.iter().filter(|(key, _)| GONE.contains(&key.as_ref())).count();
    if gone == 0 {
        return Some(params.raw().clone());
    }
    let mut edit = Edit::new();
    if gone == meta.len() {
        edit.remove(&[META]);
    } else {
        for key in GONE {
            edit.remove(&[META, key]);
        }
    }
    Some(edit.apply(params))
}

/// Params with another progress token, or none: tokens must be unique among the requests that one server has
/// under way (basic/patterns/progress).
pub fn with_progress_token(params: Option<&Members>, token: Option<&Id>) -> Option<Raw> {
    if params.is_none() && token.is_none() {
        return None;
    }
    let mut edit = Edit::new();
    put(&mut edit, &[META, PROGRESS_TOKEN], token.map(Id::to_raw));
    Some(apply(&edit, params))
}

/// A session server's result for a stateless client. `server_info` is what its `initialize` said.
pub fn result_to_stateless(method: Method, result: &Members, server_info: Option<&Raw>) -> Raw {
    let mut edit = Edit::new();
    // Whatever it says about its type: a session server's result is always the last word.
    edit.set(&["resultType"], Raw::of_str("complete"));
    hide_from_caches(method, &mut edit);
    if let Some(info) = server_info {
        edit.set(&[META, SERVER_INFO], info.clone());
    }
    edit.apply(result)
}

/// A stateless server's result for a session client.
pub fn result_to_session(method: Method, result: &Members) -> Result<Raw, BridgeError> {
    match result_type(result) {
        Ok(ResultType::Complete) => {}
        Ok(ResultType::InputRequired) => return Err(BridgeError::Conversation("input")),
        Ok(ResultType::Other(other)) => return Err(BridgeError::ResultType(other)),
        Err(_) => return Err(BridgeError::ResultType("".into())),
    }
    let mut edit = Edit::new();
    edit.remove(&["resultType"]);
    if method.row().cacheable {
        edit.remove(&["ttlMs"]).remove(&["cacheScope"]);
    }
    match result.object(META) {
        Some(meta) if meta.len() == 1 && meta.contains(SERVER_INFO) => edit.remove(&[META]),
        _ => edit.remove(&[META, SERVER_INFO]),
    };
    Ok(edit.apply(result))
}

/// A result on its way to a stateless client: a result type where an older server gave none, and of a cacheable
/// method the hints that keep it out of caches, whatever the server said (a list is one caller's own, and a
/// server's `public` could show one caller's resource to another).
pub fn private(method: Method, result: &Members) -> Raw {
    let mut edit = Edit::new();
    if !result.contains("resultType") {
        edit.set(&["resultType"], Raw::of_str("complete"));
    } else if !method.row().cacheable {
        return result.raw().clone();
    }
    hide_from_caches(method, &mut edit);
    edit.apply(result)
}

fn hide_from_caches(method: Method, edit: &mut Edit) {
    if method.row().cacheable {
        edit.set(&["ttlMs"], Raw::of_i64(0)).set(&["cacheScope"], Raw::of_str("private"));
    }
}

/// A session server's `error` object for a stateless client. Codes that 2026-07-28 reserves or forbids change;
/// anything else stays as it came. Pages to visit are asked for ([`pages_to_stateless`]); this is what a client learns
/// that visits none.
pub fn error_to_stateless(error: &RpcError) -> Raw {
    match error.code {
        RESOURCE_NOT_FOUND => recoded(error, INVALID_PARAMS),
        URL_ELICITATION_REQUIRED => {
            let data = serde_json::json!({"requiredCapabilities": {"elicitation": {"url": {}}}});
            match recoded(error, MISSING_CLIENT_CAPABILITY).members() {
                Some(members) => Edit::new().set(&["data"], Raw::of_value(&data)).apply(&members),
                None => error.raw.clone(),
            }
        }
        -32099..=-32020 => recoded(error, INTERNAL_ERROR),
        _ => error.raw.clone(),
    }
}

/// What an older server's error -32042 is to a newer client: pages to visit, asked for by `input_required` (2025-11-25,
/// elicitation, URL mode; 2026-07-28 has no such error). Nothing if it is another error, or names no page.
pub fn pages_to_stateless(error: &RpcError) -> Option<Raw> {
    let data = error.data.as_ref().filter(|_| error.code == URL_ELICITATION_REQUIRED)?.members()?;
    let pages = data.get("elicitations")?.elements()?;
    let pages: Vec<(String, Raw)> = pages
        .iter()
        .enumerate()
        .filter_map(|(number, page)| {
            let params = Edit::new().remove(&["elicitationId"]).apply(&page.members()?);
            let asked = Edit::new()
                .set(&["method"], Raw::of_str(Method::ElicitationCreate.name()))
                .set(&["params"], params)
                .apply(&Members::empty());
            Some((format!("page-{}", number + 1), asked))
        })
        .collect();
    let mut result = Edit::new();
    result.set(&["resultType"], Raw::of_str("input_required"));
    for (key, asked) in &pages {
        result.set(&["inputRequests", key], asked.clone());
    }
    (!pages.is_empty()).then(|| result.apply(&Members::empty()))
}

/// Params of a newer client's retry for an older server, which knows neither answers nor state.
pub fn retry_to_session(params: &Members) -> Raw {
    Edit::new().remove(&["inputResponses"]).remove(&["requestState"]).apply(params)
}

/// A stateless server's `error` object for a session client. The three codes of 2026-07-28 are about how the
/// gateway asked, which the client cannot mend.
pub fn error_to_session(method: Method, error: &RpcError) -> Raw {
    let names_uri = || error.data.as_ref().and_then(Members::of).is_some_and(|data| data.contains("uri"));
    match error.code {
        INVALID_PARAMS if method == Method::ResourcesRead && names_uri() => {
            recoded(error, RESOURCE_NOT_FOUND)
        }
        HEADER_MISMATCH | MISSING_CLIENT_CAPABILITY | UNSUPPORTED_VERSION => recoded(error, INTERNAL_ERROR),
        _ => error.raw.clone(),
    }
}

/// The params of a newer server's question for an older client. A page to visit has an id there (2025-11-25,
/// elicitation, URL mode), which 2026-07-28 no longer gives.
pub fn question_to_session(params: Option<&Members>, page_id: impl FnOnce() -> String) -> Option<Raw> {
    let params = params?;
    if params.text("mode").as_deref() != Some("url") || params.contains("elicitationId") {
        return Some(params.raw().clone());
    }
    Some(Edit::new().set(&["elicitationId"], Raw::of_str(&page_id())).apply(params))
}

fn recoded(error: &RpcError, code: i64) -> Raw {
    match error.raw.members() {
        Some(members) => Edit::new().set(&["code"], Raw::of_i64(code)).apply(&members),
        None => error.raw.clone(),
    }
}

fn put<'a>(edit: &mut Edit<'a>, path: &[&'a str], value: Option<Raw>) {
    match value {
        Some(value) => edit.set(path, value),
        None => edit.remove(path),
    };
}

fn apply(edit: &Edit, params: Option<&Members>) -> Raw {
    match params {
        Some(params) => edit.apply(params),
        None => edit.apply(&Members::empty()),
    }
}

#[cfg(test)]
mod tests;
