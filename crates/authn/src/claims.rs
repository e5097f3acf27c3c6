//! What a verified payload says, and whether it says it to us.

use crate::{AuthnError, ClaimPath, IssuerConfig, Resource, TenantSource};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Digest, Principal, Registered, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// What is kept of a payload that passed.
pub(crate) struct Claims {
    pub(crate) principal: Principal,
    /// `jti`.
    pub(crate) id: Option<Arc<str>>,
    /// `iat`.
    pub(crate) issued_at: Option<Timestamp>,
    /// The moment from which the token is no longer accepted: `exp` and the issuer's skew.
    pub(crate) expires_at: Timestamp,
    /// SHA-256 of the one client certificate that may present it (`cnf.x5t#S256`, RFC 8705 §3.1).
    pub(crate) bound_to: Option<Digest>,
}

/// Checks the registered claims (RFC 7519 §4.1, RFC 9068 §2.2 and §4), then reads the principal. The issuer
/// was found by `iss`, so that is not looked at again.
///
/// # Errors
/// The first thing that is wrong, as an [`AuthnError`]. What is not understood is refused where it could
/// mean less than it seems to.
pub(crate) fn check(
    claims: &Map<String, Value>,
    config: &IssuerConfig,
    resource: &Resource,
    now: Timestamp,
) -> Result<Claims, AuthnError> {
    is_access_token(claims)?;
    let times = Times::read(claims)?;
    let expires_at = times.check(config, now)?;
    is_for(claims, config, resource)?;
    let id: Option<Arc<str>> = match claims.get("jti") {
        None => None,
        Some(id) => Some(text(id).ok_or(AuthnError::BadClaim("jti"))?.into()),
    };
    if config.is_own() {
        is_ours(claims, times.issued, id.as_ref())?;
    }
    // `sub` is required even where another claim names the user.
    claims.get("sub").and_then(text).ok_or(AuthnError::BadClaim("sub"))?;
    let bound_to = bound_to(claims)?;
    Ok(Claims { principal: principal(claims, config)?, id, issued_at: times.issued, expires_at, bound_to })
}

/// ID, logout and refresh tokens carry marks of their own even where their `typ` header is plain `JWT`
/// (OpenID Connect Core §2 and §3.3.2.11, Back-Channel Logout §2.4; `typ` is Keycloak's, `token_use` Cognito's).
fn is_access_token(claims: &Map<String, Value>) -> Result<(), AuthnError> {
    if ["nonce", "at_hash", "c_hash", "s_hash", "events"].iter().any(|mark| claims.contains_key(*mark)) {
        return Err(AuthnError::NotAccessToken);
    }
    let says = |name: &str, accepted: &[&str]| {
        claims.get(name).is_none_or(|kind| {
            kind.as_str().is_some_and(|kind| accepted.iter().any(|fit| fit.eq_ignore_ascii_case(kind)))
        })
    };
    if !says("typ", &["Bearer", "at+jwt"]) || !says("token_use", &["access"]) {
        return Err(AuthnError::NotAccessToken);
    }
    Ok(())
}

/// A token of ours has an id, a beginning and one audience: what lacks one was not made by us, whoever signed it.
fn is_ours(
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
fn bound_to(claims: &Map<String, Value>) -> Result<Option<Digest>, AuthnError> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let members = confirmation.as_object().ok_or(AuthnError::BadClaim("cnf"))?;
    let (Some(thumbprint), 1) = (members.get("x5t#S256").and_then(Value::as_str), members.len()) else {
        return Err(AuthnError::SenderBound);
    };
    let bytes = URL_SAFE_NO_PAD.decode(thumbprint).ok();
    let digest = bytes.and_then(|bytes| bytes.try_into().ok()).map(Digest);
    digest.map(Some).ok_or(AuthnError::BadClaim("cnf"))
}

struct Times {
    expires: Timestamp,
    not_before: Option<Timestamp>,
    issued: Option<Timestamp>,
}

impl Times {
    fn read(claims: &Map<String, Value>) -> Result<Self, AuthnError> {
        let date = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(AuthnError::BadClaim(name)),
        };
        Ok(Self {
            expires: date("exp")?.ok_or(AuthnError::BadClaim("exp"))?,
            not_before: date("nbf")?,
            issued: date("iat")?,
        })
    }

    fn check(&self, config: &IssuerConfig, now: Timestamp) -> Result<Timestamp, AuthnError> {
        let expires_at = self.expires.after(config.skew);
        if expires_at <= now {
            return Err(AuthnError::Expired);
        }
        let latest = now.after(config.skew);
        if self.not_before.is_some_and(|moment| moment > latest)
            || self.issued.is_some_and(|moment| moment > latest)
        {
            return Err(AuthnError::NotYet);
        }
        // Without `iat` the token may have been made now at the latest.
        if self.expires.since(self.issued.unwrap_or(now)) > config.max_lifetime {
            return Err(AuthnError::LivesTooLong);
        }
        Ok(expires_at)
    }
}

/// Seconds since the epoch (RFC 7519 §2); a fraction is cut off, an exponent refused.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?.to_string();
    let seconds = number.split('.').next()?.parse::<i64>().ok().filter(|seconds| *seconds >= 0)?;
    Some(Timestamp::from_seconds(seconds))
}

/// One of the audiences must be the resource itself, or one that the operator accepts for it.
fn is_for(claims: &Map<String, Value>, config: &IssuerConfig, resource: &Resource) -> Result<(), AuthnError> {
    let fits = |audience: &Value| {
        audience.as_str().is_some_and(|audience| {
            resource.is(audience) || config.extra_audiences.iter().any(|accepted| accepted == audience)
        })
    };
    let all = match claims.get("aud") {
        Some(audience @ Value::String(_)) => std::slice::from_ref(audience),
        Some(Value::Array(audiences))
            if audiences.len() <= LIST_ITEMS && audiences.iter().all(Value::is_string) =>
        {
            audiences.as_slice()
        }
        _ => return Err(AuthnError::BadClaim("aud")),
    };
    if all.iter().any(fits) { Ok(()) } else { Err(AuthnError::WrongAudience) }
}

fn principal(claims: &Map<String, Value>, config: &IssuerConfig) -> Result<Principal, AuthnError> {
    let names = &config.claims;
    let one = |paths: &[ClaimPath], purpose| match first(claims, paths) {
        None => Ok(None),
        Some(value) => text(value).map(|text| Some(Arc::from(text))).ok_or(AuthnError::BadClaim(purpose)),
    };
    let needed = |paths: &[ClaimPath], purpose| one(paths, purpose)?.ok_or(AuthnError::BadClaim(purpose));
    let many = |paths: &[ClaimPath], purpose| match first(claims, paths) {
        None if is_elsewhere(claims, paths) => Err(AuthnError::BadClaim(purpose)),
        None => Ok(Vec::new()),
        Some(value) => list(value).ok_or(AuthnError::BadClaim(purpose)),
    };
    let agent = one(&names.agent, "agent")?;
    Ok(Principal {
        user: needed(&names.user, "user")?,
        client: needed(&names.client, "client")?,
        actors: actors(claims, agent.as_deref())?,
        agent,
        tenant: match &config.tenant {
            TenantSource::Fixed(tenant) => Arc::clone(tenant),
            TenantSource::Claims(paths) => needed(paths, "tenant")?,
        },
        roles: many(&names.roles, "roles")?,
        groups: many(&names.groups, "groups")?,
        scopes: many(&names.scopes, "scopes")?,
        issuer: config.issuer.as_str().into(),
        registered: if config.is_own() { registered(claims)? } else { None },
    })
}

/// Who acted before the agent: the chain of `act`, the nearest first (RFC 8693 §4.1).
fn actors(claims: &Map<String, Value>, agent: Option<&str>) -> Result<Vec<Arc<str>>, AuthnError> {
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
fn registered(claims: &Map<String, Value>) -> Result<Option<Arc<Registered>>, AuthnError> {
    let Some(trust) = claims.get("agent_trust") else { return Ok(None) };
    let trust = text(trust).ok_or(AuthnError::BadClaim("agent_trust"))?.into();
    let servers = match claims.get("agent_servers") {
        None => None,
        Some(servers @ Value::Array(_)) => Some(list(servers).ok_or(AuthnError::BadClaim("agent_servers"))?),
        Some(_) => return Err(AuthnError::BadClaim("agent_servers")),
    };
    Ok(Some(Arc::new(Registered { trust, servers })))
}

fn first<'a>(claims: &'a Map<String, Value>, paths: &[ClaimPath]) -> Option<&'a Value> {
    paths.iter().find_map(|path| find(claims, path))
}

fn find<'a>(claims: &'a Map<String, Value>, path: &ClaimPath) -> Option<&'a Value> {
    let path = path.as_str();
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

/// A provider that has too many groups for a token says where they are instead (OpenID Connect Core
/// §5.6.2). That is not the same as having none.
fn is_elsewhere(claims: &Map<String, Value>, paths: &[ClaimPath]) -> bool {
    claims
        .get("_claim_names")
        .is_some_and(|names| paths.iter().any(|path| names.get(path.as_str()).is_some()))
}

/// A non-empty string within its bound, without control characters.
fn text(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES && !text.chars().any(char::is_control))
}

/// An array of strings, or strings separated by spaces (RFC 8693 §4.2); sorted, without repeats.
fn list(value: &Value) -> Option<Vec<Arc<str>>> {
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
const TEXT_BYTES: usize = 512;
/// The longest chain of actors.
const ACTORS: usize = 8;
/// The most roles, groups, scopes or audiences.
const LIST_ITEMS: usize = 1024;
/// The longest skew that makes sense; more would be an expiry of its own.
pub(crate) const MOST_SKEW: Duration = Duration::from_secs(300);
