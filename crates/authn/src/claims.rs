//! Reading single claims: shapes and bounds, the same for every contract.

use crate::{AuthnError, ClaimPath};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Digest, Registered, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// ID, logout and refresh tokens carry marks of their own even where their `typ` header is plain `JWT`, or where they have
/// none (OpenID Connect Core §2 and §3.3.2.11, Back-Channel Logout §2.4).
// SECURITY: `nonce` is no mark only where the contract asks for another one instead (test:
// `a_nonce_is_let_pass_where_the_contract_says_so_and_asks_for_a_mark_instead`).
pub(crate) fn is_access_token(claims: &Map<String, Value>, nonce_allowed: bool) -> Result<(), AuthnError> {
    let marked = (!nonce_allowed && claims.contains_key("nonce"))
        || ["at_hash", "c_hash", "s_hash", "events"].iter().any(|mark| claims.contains_key(*mark));
    let fits = |name: &&str| claims.get(*name).is_none_or(|kind| is_access_kind(name, kind));
    if marked || !KINDS.iter().all(fits) { Err(AuthnError::NotAccessToken) } else { Ok(()) }
}

/// Whether a claim that says what kind of token it is (one of [`KINDS`]) has the word for an access token.
pub(crate) fn is_access_kind(claim: &str, kind: &Value) -> bool {
    let accepted: &[&str] = match claim {
        "typ" => &["Bearer", "at+jwt"],
        // Cognito's word, and Ory Hydra's.
        "token_use" => &["access", "access_token"],
        _ => &[],
    };
    kind.as_str().is_some_and(|kind| accepted.iter().any(|fit| fit.eq_ignore_ascii_case(kind)))
}

/// The claims in which providers say what kind of token it is: Keycloak's, then Cognito's and Ory Hydra's.
pub(crate) const KINDS: [&str; 2] = ["typ", "token_use"];

/// A token of ours has an id, a beginning and one audience: what lacks one was not made by us, whoever signed it.
pub(crate) fn is_ours(
    claims: &Map<String, Value>,
    issued: Option<Timestamp>,
    id: Option<&Arc<str>>,
) -> Result<(), AuthnError> {
    if issued.is_none() {
        return Err(AuthnError::BadClaim("iat"));
    }
    if id.is_none() {
        return Err(AuthnError::BadClaim("jti"));
    }
    if !claims.get("aud").is_some_and(Value::is_string) {
        return Err(AuthnError::BadClaim("aud"));
    }
    Ok(())
}

/// The certificate a token is bound to (RFC 8705 §3.1). Any other binding, or one besides, is refused: what is not
/// checked must not look as if it were.
pub(crate) fn bound_to(claims: &Map<String, Value>) -> Result<Option<Digest>, AuthnError> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let members = confirmation.as_object().ok_or(AuthnError::BadClaim("cnf"))?;
    let (Some(thumbprint), 1) = (members.get("x5t#S256").and_then(Value::as_str), members.len()) else {
        return Err(AuthnError::SenderBound);
    };
    let bytes = URL_SAFE_NO_PAD.decode(thumbprint).ok();
    let digest = bytes.and_then(|bytes| bytes.try_into().ok()).map(Digest);
    digest.map(Some).ok_or(AuthnError::BadClaim("cnf"))
}

/// Who acted before the agent: the chain of `act`, the nearest first (RFC 8693 §4.1).
pub(crate) fn actors(claims: &Map<String, Value>, agent: Option<&str>) -> Result<Vec<Arc<str>>, AuthnError> {
    let bad = || AuthnError::BadClaim("act");
    let (mut actors, mut link) = (Vec::new(), claims.get("act"));
    while let Some(act) = link {
        let act = act.as_object().filter(|_| actors.len() < ACTORS).ok_or_else(bad)?;
        actors.push(Arc::from(act.get("sub").and_then(text).ok_or_else(bad)?));
        link = act.get("act");
    }
    if actors.first().is_some_and(|first: &Arc<str>| Some(&**first) == agent) {
        actors.remove(0);
    }
    Ok(actors)
}

/// What our own registry said of an agent when the token was made.
pub(crate) fn registered(claims: &Map<String, Value>) -> Result<Option<Arc<Registered>>, AuthnError> {
    let Some(trust) = claims.get("agent_trust") else { return Ok(None) };
    let trust = text(trust).ok_or(AuthnError::BadClaim("agent_trust"))?.into();
    let servers = match claims.get("agent_servers") {
        None => None,
        Some(servers @ Value::Array(_)) => Some(list(servers).ok_or(AuthnError::BadClaim("agent_servers"))?),
        Some(_) => return Err(AuthnError::BadClaim("agent_servers")),
    };
    Ok(Some(Arc::new(Registered { trust, servers })))
}

/// Seconds since the epoch (RFC 7519 §2); a fraction is cut off, an exponent refused.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?.to_string();
    let seconds = number.split('.').next()?.parse::<i64>().ok().filter(|seconds| *seconds >= 0)?;
    Some(Timestamp::from_seconds(seconds))
}

/// The claim at a path.
pub(crate) fn find<'a>(claims: &'a Map<String, Value>, path: &ClaimPath) -> Option<&'a Value> {
    claim_at(claims, path.as_str())
}

/// The claim at a path as text: a JSON pointer (RFC 6901), a claim of that very name (which may hold dots or be a URL), or
/// names joined by dots.
pub fn claim_at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(pointer) = path.strip_prefix('/') {
        let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        let mut segments = pointer.split('/').map(unescape);
        let top = claims.get(&segments.next()?)?;
        return segments.try_fold(top, |value, segment| value.get(&segment));
    }
    claims.get(path).or_else(|| {
        let mut segments = path.split('.');
        let top = claims.get(segments.next()?)?;
        segments.try_fold(top, |value, segment| value.get(segment))
    })
}

/// Whether the claims say that what one of these paths leads to is elsewhere (`_claim_names`, OpenID Connect Core §5.6.2), or
/// say something there that nobody understands. What is elsewhere is a top-level claim, however a path to it is written.
pub fn is_named_elsewhere(claims: &Map<String, Value>, paths: &[ClaimPath]) -> bool {
    let Some(names) = claims.get("_claim_names") else { return false };
    let Some(names) = names.as_object() else { return true };
    names.keys().any(|name| paths.iter().any(|path| may_begin_at(path, name)))
}

/// Whether a path may lead through the top-level claim of this name.
pub(crate) fn may_begin_at(path: &ClaimPath, name: &str) -> bool {
    match path.as_str().strip_prefix('/') {
        Some(pointer) => {
            pointer.split('/').next().is_some_and(|first| first.replace("~1", "/").replace("~0", "~") == name)
        }
        None => path.as_str() == name || path.as_str().split('.').next() == Some(name),
    }
}

/// A non-empty string within its bound, without control characters.
pub(crate) fn text(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES && !text.chars().any(char::is_control))
}

/// An array of strings, or strings separated by spaces (RFC 8693 §4.2); sorted, without repeats.
pub(crate) fn list(value: &Value) -> Option<Vec<Arc<str>>> {
    let mut items: Vec<&str> = match value {
        Value::String(joined) => joined.split(' ').filter(|item| !item.is_empty()).collect(),
        Value::Array(items) => items.iter().map(text).collect::<Option<_>>()?,
        _ => return None,
    };
    items.sort_unstable();
    items.dedup();
    let fits = items.len() <= LIST_ITEMS && items.iter().all(|item| item.len() <= TEXT_BYTES);
    fits.then(|| items.into_iter().map(Arc::from).collect())
}

/// The longest user, client, tenant, role and so on, in bytes.
pub(crate) const TEXT_BYTES: usize = 512;
/// The longest chain of actors.
const ACTORS: usize = 8;
/// The most roles, groups, scopes or audiences.
pub(crate) const LIST_ITEMS: usize = 1024;
/// The longest skew that makes sense; more would be an expiry of its own.
pub(crate) const MOST_SKEW: Duration = Duration::from_secs(300);
